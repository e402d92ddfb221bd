"""The server: what the protocol asks is answered from the analysis of the text as it is now.

A change only marks a text. It is checked as soon as the messages that have come are read, but never again before as
long has passed as the last check took: so the server keeps half its time for reading, and typing does not queue.
Requests wait for that check.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method

from archdsl.lsp import (
    actions,
    completion,
    folding,
    formatting,
    hints,
    hover,
    lens,
    navigation,
    selection,
    signature,
    symbols,
    tokens,
)
from archdsl.lsp.analysis import Analysis
from archdsl.lsp.buffers import Buffer, Buffers, is_library, path_of
from archdsl.lsp.diagnostics import by_uri, merged
from archdsl.lsp.settings import SECTION, Settings, read

log = logging.getLogger("archdsl.lsp")
Answer = TypeVar("Answer")


class Protocol(LanguageServerProtocol):
    """The text of documents is kept in `Buffers`: pygls splits lines at characters where the protocol has no line end."""

    _server: ArchServer

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(self, params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        self._server.open(document.uri, document.text, document.version)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(self, params: types.DidChangeTextDocumentParams) -> None:
        self._server.change(params.text_document.uri, params.text_document.version, params.content_changes)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(self, params: types.DidCloseTextDocumentParams) -> None:
        self._server.close(params.text_document.uri)

    # What the base class does under these names is replaced, not added to.
    lsp_text_document__did_open = opened
    lsp_text_document__did_change = changed
    lsp_text_document__did_close = closed


class ArchServer(LanguageServer):
    """Open texts, their analyses, and what has been published of them."""

    def __init__(self, version: str) -> None:
        super().__init__("archdsl", version, protocol_cls=Protocol)
        self.buffers = Buffers()
        self.settings = Settings()
        self.shows_diagrams = False  # whether the client knows the command
        self.analyses: dict[str, Analysis] = {}
        self._stale: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rest_until = 0.0
        self._asked: set[asyncio.Task[None]] = set()  # kept, since the loop itself does not
        self._waiting: list[asyncio.Future[None]] = []
        self._found: dict[
            str, dict[str, list[types.Diagnostic]]
        ] = {}  # by the text checked, by the text at fault
        self._shown: set[str] = set()  # texts that have findings on the client's side

    @property
    def unit(self) -> str:
        encoding = self.workspace.position_encoding
        return str(getattr(encoding, "value", encoding))

    @property
    def folders(self) -> list[Path]:
        """The folders of the workspace."""
        uris = list(self.workspace.folders) or ([self.workspace.root_uri] if self.workspace.root_uri else [])
        return [path for uri in uris if (path := path_of(uri)) is not None]

    # ---- texts ----

    def open(self, uri: str, text: str, version: int) -> None:
        self.buffers.open[uri] = Buffer(uri, text, version, self.unit)
        self._changed(uri)

    def change(self, uri: str, version: int, changes: Any) -> None:
        buffer = self.buffers.open.get(uri)
        if buffer is None:
            return
        for change in changes:
            buffer.change(change)
        buffer.version = version
        self._changed(uri)

    def close(self, uri: str) -> None:
        self.buffers.open.pop(uri, None)
        self.analyses.pop(uri, None)
        self._stale.discard(uri)
        gone = self._found.pop(uri, {})
        for other in {uri, *gone}:
            self._publish(other)
        self._changed(uri)

    def everything_changed(self) -> None:
        """A file on the disk, or a setting."""
        self._stale.update(self.buffers.open)
        self._schedule()

    def _changed(self, uri: str) -> None:
        """Mark a text and those that use it."""
        path = path_of(uri)
        self._stale.update(
            other
            for other, analysis in self.analyses.items()
            if is_library(path)
            or (other != uri and any(module.path == path for module in analysis.module.everywhere()))
            or _lacks_a_file(analysis)
        )
        if uri in self.buffers.open:
            self._stale.add(uri)
        self._schedule()

    # ---- checks ----

    def _schedule(self) -> None:
        if self._timer is None and self._stale:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._rest_until - time.monotonic()), self._check_stale)

    def _check_stale(self) -> None:
        self._timer = None
        start = time.monotonic()
        stale, self._stale = self._stale, set()
        touched: set[str] = set()
        for uri in sorted(stale & self.buffers.open.keys()):
            touched |= self._check(uri)
        for uri in sorted(touched):
            self._publish(uri)
        end = time.monotonic()
        self._rest_until = end + (end - start)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        if len(stale) > 1:
            self._refresh()

    def _check(self, uri: str) -> set[str]:
        """Check one text. The texts whose findings may have changed."""
        before = self._found.get(uri, {})
        try:
            self.analyses[uri] = Analysis(self.buffers.open[uri], self.buffers, self.settings.root)
            self._found[uri] = by_uri(self.analyses[uri])
        except Exception:  # the server must outlive a mistake of its own
            log.exception("could not check %s", uri)
            self.analyses.pop(uri, None)
            self._found[uri] = {uri: []}
        return {uri, *before, *self._found[uri]}

    def _publish(self, uri: str) -> None:
        buffer = self.buffers.open.get(uri)
        found = merged(lists[uri] for lists in self._found.values() if uri in lists)
        if found or uri in self._shown or buffer is not None:
            self.text_document_publish_diagnostics(
                types.PublishDiagnosticsParams(
                    uri, found, version=buffer.version if buffer is not None else None
                )
            )
        (self._shown.add if found else self._shown.discard)(uri)

    def _refresh(self) -> None:
        """Texts that nobody typed in have other shapes now: an editor asks again where it is told to."""
        workspace = self.client_capabilities.workspace
        if (
            workspace is not None
            and workspace.inlay_hint is not None
            and workspace.inlay_hint.refresh_support
        ):
            self._ask(self.workspace_inlay_hint_refresh_async(None))
        if workspace is not None and workspace.code_lens is not None and workspace.code_lens.refresh_support:
            self._ask(self.workspace_code_lens_refresh_async(None))

    async def analysis(self, uri: str) -> Analysis | None:
        """The analysis of a text as it is now; None of one that is not open."""
        while uri in self._stale:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            self._schedule()
            await future
        return self.analyses.get(uri)

    def _ask(self, asked: Awaitable[Any], then: Callable[[Any], None] | None = None) -> None:
        """Ask the client, and go on; one that refuses goes without."""

        async def wait() -> None:
            try:
                answer = await asked
            except JsonRpcException as refused:
                log.info("the client refused: %s", refused)
            else:
                if then is not None:
                    then(answer)

        task = asyncio.get_running_loop().create_task(wait())
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    # ---- settings ----

    def set(self, given: Any) -> None:
        self.settings = read(given)
        self.everything_changed()

    def ask_for_settings(self) -> None:
        workspace = self.client_capabilities.workspace
        if workspace is None or not workspace.configuration:
            return
        asked = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
        self._ask(self.workspace_configuration_async(asked), self.configured)

    def configured(self, answer: list[Any] | None) -> None:
        """What the client said of our section. Nothing, where it has none: what it said at the start holds."""
        if answer and answer[0] is not None:
            self.set(answer[0])

    def watch_files(self) -> None:
        """Ask to be told of specs that change on the disk, which open ones may use."""
        workspace = self.client_capabilities.workspace
        watched = workspace.did_change_watched_files if workspace is not None else None
        if watched is None or not watched.dynamic_registration:
            return
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher("**/*.arch")])
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        asked = types.RegistrationParams([types.Registration("archdsl-files", method, options)])
        self._ask(self.client_register_capability_async(asked))


def _lacks_a_file(analysis: Analysis) -> bool:
    return any(d.code == "A114" for d in analysis.diagnostics)


def make_server(version: str) -> ArchServer:
    """A server with every feature, not started."""
    server = ArchServer(version)

    def on(
        method: str, options: Any = None
    ) -> Callable[[Callable[[Analysis, Any], Answer]], Callable[[Any], Awaitable[Answer | None]]]:
        """Register an answer that needs the analysis of its text as it is now."""

        def register(answer: Callable[[Analysis, Any], Answer]) -> Callable[[Any], Awaitable[Answer | None]]:
            async def handler(params: Any) -> Answer | None:
                analysis = await server.analysis(params.text_document.uri)
                return answer(analysis, params) if analysis is not None else None

            server.feature(method, options)(handler)
            return handler

        return register

    def at(analysis: Analysis, params: Any) -> int:
        return analysis.lines.offset(params.position)

    on(types.TEXT_DOCUMENT_HOVER)(lambda a, p: hover.hover(a, at(a, p)))
    on(types.TEXT_DOCUMENT_DEFINITION)(lambda a, p: navigation.definition(a, at(a, p)))
    on(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)(lambda a, p: navigation.highlights(a, at(a, p)))
    on(types.TEXT_DOCUMENT_REFERENCES)(
        lambda a, p: navigation.references(a, at(a, p), server.folders, p.context.include_declaration)
    )
    on(types.TEXT_DOCUMENT_PREPARE_RENAME)(lambda a, p: navigation.can_rename(a, at(a, p)))
    on(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)(lambda a, p: symbols.document(a))
    on(types.TEXT_DOCUMENT_FOLDING_RANGE)(lambda a, p: folding.ranges(a))
    on(types.TEXT_DOCUMENT_SELECTION_RANGE)(
        lambda a, p: [selection.ranges(a, a.lines.offset(position)) for position in p.positions]
    )
    on(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, tokens.LEGEND)(lambda a, p: tokens.tokens(a))
    on(types.TEXT_DOCUMENT_CODE_LENS, types.CodeLensOptions(resolve_provider=False))(
        lambda a, p: lens.lenses(a, server.shows_diagrams)
    )
    on(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=actions.KINDS))(
        lambda a, p: actions.actions(a, p.range, p.context.only)
    )
    on(types.TEXT_DOCUMENT_INLAY_HINT, types.InlayHintOptions(resolve_provider=True))(
        lambda a, p: hints.hints(
            a,
            a.lines.offset(p.range.start),
            a.lines.offset(p.range.end),
            server.settings.shapes,
            server.settings.costs,
        )
    )

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    async def rename(params: types.RenameParams) -> types.WorkspaceEdit | None:
        analysis = await server.analysis(params.text_document.uri)
        if analysis is None:
            return None
        try:
            return navigation.rename(analysis, at(analysis, params), params.new_name, server.folders)
        except navigation.Refused as refused:
            raise JsonRpcInvalidParams(str(refused)) from None

    @server.feature(types.INLAY_HINT_RESOLVE)
    async def resolve_hint(hint: types.InlayHint) -> types.InlayHint:
        uri = hint.data.get("uri") if isinstance(hint.data, dict) else None
        analysis = await server.analysis(uri) if isinstance(uri, str) else None
        return hints.resolve(analysis, hint) if analysis is not None else hint

    # What is typed at is older than any analysis: these two read the text itself, and don't wait.
    @server.feature(
        types.TEXT_DOCUMENT_COMPLETION,
        types.CompletionOptions(trigger_characters=completion.TRIGGERS, resolve_provider=True),
    )
    async def complete(params: types.CompletionParams) -> list[types.CompletionItem]:
        uri = params.text_document.uri
        buffer, analysis = (
            server.buffers.open.get(uri),
            server.analyses.get(uri) or await server.analysis(uri),
        )
        if buffer is None or analysis is None:
            return []
        offset = buffer.lines.offset(params.position)
        return completion.complete(
            analysis, buffer.text, offset, bool(_completions(server.client_capabilities).snippet_support)
        )

    @server.feature(types.COMPLETION_ITEM_RESOLVE)
    def resolve_item(item: types.CompletionItem) -> types.CompletionItem:
        return completion.resolve(
            item, server.buffers, _completions(server.client_capabilities).documentation_format
        )

    @server.feature(
        types.TEXT_DOCUMENT_SIGNATURE_HELP, types.SignatureHelpOptions(trigger_characters=signature.TRIGGERS)
    )
    async def help_with_signature(params: types.SignatureHelpParams) -> types.SignatureHelp | None:
        uri = params.text_document.uri
        buffer, analysis = (
            server.buffers.open.get(uri),
            server.analyses.get(uri) or await server.analysis(uri),
        )
        if buffer is None or analysis is None:
            return None
        return signature.signature(
            analysis,
            buffer.text,
            buffer.lines.offset(params.position),
            _signatures(server.client_capabilities).documentation_format,
        )

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def format_document(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
        buffer = server.buffers.open.get(params.text_document.uri)
        return formatting.edits(buffer.lines, 0, len(buffer.text)) if buffer is not None else []

    @server.feature(types.TEXT_DOCUMENT_RANGE_FORMATTING)
    def format_range(params: types.DocumentRangeFormattingParams) -> list[types.TextEdit]:
        buffer = server.buffers.open.get(params.text_document.uri)
        if buffer is None:
            return []
        start, stop = buffer.lines.offset(params.range.start), buffer.lines.offset(params.range.end)
        return formatting.edits(buffer.lines, start, stop)

    @server.feature("archdsl/diagram")
    async def draw(params: Any) -> dict[str, Any] | None:
        from archdsl.lsp.diagram import diagram  # most sessions never draw

        analysis = await server.analysis(params.textDocument.uri)
        return diagram(analysis, params.arch) if analysis is not None else None

    @server.feature(types.WORKSPACE_SYMBOL)
    def find_symbols(params: types.WorkspaceSymbolParams) -> list[types.WorkspaceSymbol]:
        return symbols.workspace(server.buffers, server.folders, params.query, server.unit)

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        given = params.initialization_options
        server.settings = read(given)
        server.shows_diagrams = isinstance(given, dict) and given.get("diagram") is True

    @server.feature(types.INITIALIZED)
    def initialized(params: types.InitializedParams) -> None:
        server.ask_for_settings()
        server.watch_files()

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def configured(params: types.DidChangeConfigurationParams) -> None:
        if isinstance(params.settings, dict) and SECTION in params.settings:
            server.set(params.settings)
        else:
            server.ask_for_settings()

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(params: types.DidChangeWatchedFilesParams) -> None:
        server.everything_changed()

    return server


def _completions(capabilities: types.ClientCapabilities) -> types.ClientCompletionItemOptions:
    """What the client can do with a completion."""
    document = capabilities.text_document
    given = document.completion if document is not None else None
    return given.completion_item if given and given.completion_item else types.ClientCompletionItemOptions()


def _signatures(capabilities: types.ClientCapabilities) -> types.ClientSignatureInformationOptions:
    document = capabilities.text_document
    given = document.signature_help if document is not None else None
    return (
        given.signature_information
        if given and given.signature_information
        else types.ClientSignatureInformationOptions()
    )
