"""The language server as a process of its own, as three editors would talk to it.

pytest-lsp holds what each editor has said it can do, and warns where an answer does not keep to that: here a warning fails.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

pytest.importorskip("pygls", reason="the language server is not installed: archdsl[lsp]")
pytest.importorskip("pytest_lsp", reason="pytest-lsp is not installed: archdsl[test]")

import pytest_lsp
from lsprotocol import types
from pygls.protocol import default_converter
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities
from pytest_lsp.client import DEFAULT_CLIENT_FEATURES, register_lsp_features

from archdsl.api import check
from archdsl.format import format_text
from archdsl.lsp.positions import Lines
from archdsl.resources import specs_root
from archdsl.source import Source

CHECKOUT = Path(__file__).resolve().parent.parent
SPECS = specs_root().resolve()
EDITORS = ["visual-studio-code", "neovim", "emacs"]
COMMAND = [sys.executable, "-m", "archdsl", "lsp"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("error::pytest_lsp.LspSpecificationWarning"),
]

PATIENCE = 60
"""Seconds: a server that does not answer is seen, a slow machine is not."""

TEXT = """\
# 😋 two steps
block f(k) {
  conv3-k
}
arch net(classes=10) {
  input 3x32x32
  f(8) as c1
  maxpool
  gap; fc-classes
}
"""


class Client(LanguageClient):
    """pytest-lsp's, which also keeps what was last told of each text, and takes what a server asks of editors."""

    told: dict[str, types.PublishDiagnosticsParams]
    init_result: types.InitializeResult


def make_client() -> Client:
    client = Client(converter_factory=default_converter)
    client.told = {}
    asked = (
        types.CLIENT_REGISTER_CAPABILITY,
        types.WORKSPACE_INLAY_HINT_REFRESH,
        types.WORKSPACE_CODE_LENS_REFRESH,
    )
    features = {**DEFAULT_CLIENT_FEATURES, **dict.fromkeys(asked, lambda params: None)}
    features[types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS] = lambda params: client.told.update(
        {params.uri: params}
    )
    register_lsp_features(client, features)
    return client


@pytest_lsp.fixture(
    scope="module",
    params=EDITORS,
    config=ClientServerConfig(COMMAND, make_client, ENVIRONMENT),
)
async def client(request: pytest.FixtureRequest, lsp_client: Client) -> AsyncIterator[None]:
    result = await lsp_client.initialize_session(
        types.InitializeParams(
            capabilities=client_capabilities(request.param),
            workspace_folders=[types.WorkspaceFolder(SPECS.as_uri(), "specs")],
            root_uri=SPECS.as_uri(),
        )
    )
    lsp_client.init_result = result
    assert result.server_info is not None and result.server_info.name == "archdsl"
    yield
    await lsp_client.shutdown_session()


class Editor:
    """One open text, with its version."""

    def __init__(self, client: Client, uri: str) -> None:
        self.client, self.uri, self.version = client, uri, 1
        self.document = types.TextDocumentIdentifier(uri)

    async def open(self, text: str) -> list[types.Diagnostic]:
        item = types.TextDocumentItem(self.uri, "archdsl", self.version, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return await self.told()

    async def type(self, line: int, column: int, text: str, erase: int = 0) -> list[types.Diagnostic]:
        """Put in a text, in the place of `erase` UTF-16 units of a line."""
        self.version += 1
        place = types.Range(types.Position(line, column), types.Position(line, column + erase))
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(self.version, self.uri),
                [types.TextDocumentContentChangePartial(text=text, range=place)],
            )
        )
        return await self.told()

    async def told(self) -> list[types.Diagnostic]:
        """The findings on the text as it is."""
        return await self.until(lambda found: True)

    async def until(self, wanted: Callable[[list[types.Diagnostic]], bool]) -> list[types.Diagnostic]:
        """The findings on the text as it is, once they are the wanted ones."""
        start = time.monotonic()
        while time.monotonic() < start + PATIENCE:
            told = self.client.told.get(self.uri)
            if told is not None and told.version == self.version and wanted(list(told.diagnostics)):
                return list(told.diagnostics)
            await asyncio.sleep(0.005)
        raise TimeoutError(f"version {self.version} of {self.uri}: {self.client.told.get(self.uri)}")

    async def hints(self) -> list[str]:
        everything = types.Range(types.Position(0, 0), types.Position(1000, 0))
        found = await self.client.text_document_inlay_hint_async(
            types.InlayHintParams(self.document, everything)
        )
        return [str(hint.label) for hint in found or ()]

    async def close(self) -> None:
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(self.document))

    def at(self, line: int, column: int) -> dict[str, object]:
        return {"text_document": self.document, "position": types.Position(line, column)}


async def test_a_session(client: Client) -> None:
    """Open, type a mistake, mend it as the server proposes, ask for everything, close."""
    editor = Editor(client, "untitled:net")
    assert await editor.open(TEXT) == []
    assert await editor.hints() == ["→ 8x32x32", "→ 8x32x32", "→ 8x16x16", "→ 8x1x1", "→ 10"]

    (found,) = await editor.type(7, 2, "maxpol", erase=7)
    assert (found.code, found.range.start) == ("A101", types.Position(7, 2))
    assert await editor.hints() == ["→ 8x32x32", "→ 8x32x32"], "those before the mistake stay"
    actions = await client.text_document_code_action_async(
        types.CodeActionParams(editor.document, found.range, types.CodeActionContext([found]))
    )
    action = (actions or [])[0]
    assert isinstance(action, types.CodeAction) and action.title == "did you mean `maxpool`?"
    (edit,) = (action.edit.changes or {})[editor.uri] if action.edit else ()
    length = edit.range.end.character - edit.range.start.character
    assert await editor.type(edit.range.start.line, edit.range.start.character, edit.new_text, length) == []

    hover = await client.text_document_hover_async(types.HoverParams(**editor.at(7, 3)))
    assert hover is not None and "8x32x32 → 8x16x16" in hover.contents.value
    defined = await client.text_document_definition_async(types.DefinitionParams(**editor.at(6, 2)))
    assert isinstance(defined, types.Location) and defined.range.start == types.Position(1, 6)
    renamed = await client.text_document_rename_async(types.RenameParams(new_name="g", **editor.at(6, 2)))
    assert renamed is not None and len((renamed.changes or {})[editor.uri]) == 2
    items = await client.text_document_completion_async(types.CompletionParams(**editor.at(7, 2)))
    labels = {item.label: item for item in (items if isinstance(items, list) else [])}
    assert {"conv", "f", "bottleneck"} <= set(labels)
    resolved = await client.completion_item_resolve_async(labels["conv"])
    assert "LeCun" in str(resolved.documentation)
    help_ = await client.text_document_signature_help_async(types.SignatureHelpParams(**editor.at(6, 4)))
    assert help_ is not None and help_.signatures[0].label == "f(k)"
    asked = {"text_document": editor.document}
    symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(**asked))
    assert [symbol.name for symbol in symbols or ()] == ["f", "net"]
    (lens,) = await client.text_document_code_lens_async(types.CodeLensParams(**asked)) or ()
    assert lens.command is not None and lens.command.title.startswith("3x32x32 → 10 · 314 parameters")
    assert await client.text_document_folding_range_async(types.FoldingRangeParams(**asked))
    tokens = await client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(**asked))
    assert tokens is not None and len(tokens.data) > 100
    selected = await client.text_document_selection_range_async(
        types.SelectionRangeParams(editor.document, [types.Position(7, 3)])
    )
    assert selected and selected[0].parent is not None
    await editor.close()


async def test_the_same_findings_as_the_command_line(client: Client) -> None:
    for path in sorted((CHECKOUT / "tests" / "errors").glob("*.arch"))[::12]:
        text = path.read_text(encoding="utf-8", errors="replace")
        editor = Editor(client, path.resolve().as_uri())
        shown = await editor.open(text)
        found = check(Source(path.name, text), path=path.resolve()).diagnostics
        wanted = sorted(d.code for d in found if d.span is None or d.span.source.text == text)
        assert sorted(str(d.code) for d in shown) == wanted, path.name
        await editor.close()


async def test_unsaved_text_of_a_used_file(client: Client) -> None:
    """A change in a buffer shows at once in the text that uses it; closing it unsaved takes it back."""
    user = Editor(client, (SPECS / "inception_resnet_v2.arch").as_uri())
    used = Editor(client, (SPECS / "families" / "inception_resnet_v2.arch").as_uri())
    assert await user.open((SPECS / "inception_resnet_v2.arch").read_text(encoding="utf-8")) == []
    text = (SPECS / "families" / "inception_resnet_v2.arch").read_text(encoding="utf-8")
    await used.open(text)
    line = next(i for i, one in enumerate(text.splitlines()) if one.startswith("block inception_resnet_a"))
    column = text.splitlines()[line].index("inception")
    await used.type(line, column, "x", erase=1)
    await user.until(lambda found: "A101" in {d.code for d in found})
    await used.close()
    await user.until(lambda found: found == [])
    await user.close()


async def test_unsaved_text_of_a_library_block(client: Client) -> None:
    user, block = (
        Editor(client, "untitled:user"),
        Editor(client, (SPECS / "lib" / "bottleneck.arch").as_uri()),
    )
    assert await user.open("arch net { input 64x8x8; bottleneck(16) }\n") == []
    asked = {"textDocument": {"uri": user.uri}, "arch": None}
    drawn = await client.protocol.send_request_async("archdsl/diagram", asked)
    assert drawn.problem is None and "bottleneck(16)" in drawn.svg
    text = (SPECS / "lib" / "bottleneck.arch").read_text(encoding="utf-8")
    assert await block.open(text) == []
    line = next(i for i, one in enumerate(text.splitlines()) if one.startswith("block bottleneck"))
    await block.type(line, len("block "), "x", erase=1)
    await user.until(lambda found: "A101" in {d.code for d in found})
    drawn = await client.protocol.send_request_async("archdsl/diagram", asked)
    assert drawn.svg is None and drawn.problem.startswith("line 1: there is no layer or block")
    await block.close()
    await user.until(lambda found: found == [])
    await user.close()


async def test_symbols_of_the_workspace(client: Client) -> None:
    found = await client.workspace_symbol_async(types.WorkspaceSymbolParams("inception_resnet_v2"))
    assert "inception_resnet_v2" in {symbol.name for symbol in found or ()}


async def test_fifty_keys_in_a_row(client: Client) -> None:
    """Keys that come faster than they can be checked: the last findings are those on the last text."""
    editor = Editor(client, "untitled:keys")
    await editor.open(TEXT)
    for _ in range(50):
        editor.version += 1
        place = types.Range(types.Position(7, 2), types.Position(7, 2))
        client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(editor.version, editor.uri),
                [types.TextDocumentContentChangePartial(text="q", range=place)],
            )
        )
    (found,) = await editor.told()
    assert "q" * 50 + "maxpool" in found.message
    await editor.close()


async def test_settings(client: Client) -> None:
    editor = Editor(client, "untitled:settings")
    await editor.open(TEXT)
    for given, wanted in (
        ({"hints": {"shapes": False}}, []),
        ({"hints": {"shapes": False, "costs": True}}, ["224 params 221K MACs", "90 params 80 MACs"]),
        ({}, ["→ 8x32x32", "→ 8x16x16", "→ 8x1x1", "→ 10"]),
    ):
        client.set_configuration(given, section="archdsl")
        client.workspace_did_change_configuration(types.DidChangeConfigurationParams({"archdsl": given}))
        start = time.monotonic()
        while sorted(set(await editor.hints())) != sorted(wanted):
            assert time.monotonic() < start + PATIENCE, given
            await asyncio.sleep(0.005)
    await editor.close()


async def test_formatting(client: Client) -> None:
    editor = Editor(client, "untitled:format")
    text = "# 😋\narch net {\ninput 3x8x8\n  conv3-8;relu   # 😋\n conv3-8   }\n"
    await editor.open(text)
    options = types.FormattingOptions(tab_size=2, insert_spaces=True)
    edits = await client.text_document_formatting_async(
        types.DocumentFormattingParams(editor.document, options)
    )
    assert edited(text, client, edits or []) == format_text(text) != text
    place = types.Range(types.Position(3, 0), types.Position(3, 18))
    edits = await client.text_document_range_formatting_async(
        types.DocumentRangeFormattingParams(editor.document, place, options)
    )
    lines = edited(text, client, edits or []).splitlines()
    assert lines[3] == format_text(text).splitlines()[3] and lines[4].endswith("   }"), lines
    await editor.close()


def edited(text: str, client: Client, edits: Sequence[types.TextEdit]) -> str:
    """A text after edits, places in the unit that the client and the server have agreed on."""
    capabilities = client.init_result.capabilities
    lines = Lines(text, str(getattr(capabilities.position_encoding, "value", capabilities.position_encoding)))
    for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
        text = text[: lines.offset(edit.range.start)] + edit.new_text + text[lines.offset(edit.range.end) :]
    return text


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT, timeout=120
    )


@pytest.mark.asyncio(loop_scope="function")
async def test_what_is_missing_is_named() -> None:
    done = run(
        "import sys; sys.modules['pygls'] = None\nfrom archdsl.cli import main; sys.exit(main(['lsp']))"
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr == 'archdsl: error: the language server needs pygls: pip install "archdsl[lsp]"\n'


@pytest.mark.asyncio(loop_scope="function")
async def test_torch_stays_out() -> None:
    done = run("import sys, archdsl.lsp.server; print({'torch', 'triton', 'numpy'} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stderr
