"""Definition, references and rename: of labels, blocks, archs, parameters and `let` names, across `use`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lsprotocol import types

from archdsl import syntax
from archdsl.api import check
from archdsl.checks import bindings
from archdsl.lsp.analysis import Analysis
from archdsl.lsp.buffers import Buffers, is_library, uri_of
from archdsl.lsp.diagnostics import Places
from archdsl.lsp.symbols import spec_files
from archdsl.lsp.tree import innermost, path_at
from archdsl.modules import Module, load_module
from archdsl.parse import parse
from archdsl.references import Binding
from archdsl.source import Source, Span

Place = tuple[Path | None, int, int]
"""A file (None: the text itself, which is none) and a range of code points."""


class Refused(Exception):
    """A rename that can't be made, or would change what a text means."""


def definition(analysis: Analysis, offset: int) -> types.Location | None:
    """Where the name at an offset was given; of a `use`, the file."""
    tree = analysis.module.tree
    use = innermost(path_at(tree, offset), syntax.Use) if tree is not None else None
    if use is not None and analysis.path is not None:
        path = (analysis.path.parent / use.path).resolve()
        if path.is_file() or analysis.buffers.at(path) is not None:
            return types.Location(uri_of(path), types.Range(types.Position(0, 0), types.Position(0, 0)))
        return None
    binding = _binding_at(analysis, offset)
    return Places(analysis).location(binding.place) if binding is not None else None


def references(
    analysis: Analysis, offset: int, folders: Iterable[Path], declaration: bool
) -> list[types.Location]:
    """Every place that the name at an offset stands, in this text and in the files of the workspace."""
    binding = _binding_at(analysis, offset)
    if binding is None:
        return []
    found = _occurrences(analysis, binding, folders)
    places = Places(analysis)
    wanted = [span for span in found if declaration or span != binding.place]
    return [location for span in wanted if (location := places.location(span)) is not None]


def highlights(analysis: Analysis, offset: int) -> list[types.DocumentHighlight]:
    """The places of a name in its own text."""
    binding = _binding_at(analysis, offset)
    if binding is None:
        return []
    group = _group(analysis.bindings, _place(binding.place))
    own = {_place(span): span for span in group if span.source is analysis.source}
    return [
        types.DocumentHighlight(
            analysis.lines.range_of(span),
            types.DocumentHighlightKind.Write if span == binding.place else types.DocumentHighlightKind.Read,
        )
        for span in own.values()
    ]


def can_rename(analysis: Analysis, offset: int) -> types.Range | None:
    """The extent of the name at an offset, or None where nothing there can be renamed."""
    binding = _binding_at(analysis, offset)
    if binding is None or not _is_ours(analysis, binding):
        return None
    return analysis.lines.range_of(binding.span)


def rename(analysis: Analysis, offset: int, name: str, folders: Iterable[Path]) -> types.WorkspaceEdit:
    """The edits that give a name another, everywhere. Raises Refused where it would change what a text means."""
    binding = _binding_at(analysis, offset)
    if binding is None:
        raise Refused("nothing here has a name of its own")
    if not _is_ours(analysis, binding):
        raise Refused(f"`{binding.span.text}` belongs to the library or to a word of the language")
    path = binding.place.source.path
    if path is not None and is_library(path) and path.stem == binding.place.text:
        raise Refused(f"`{path.stem}` is found by its file's name: rename the file, and the block with it")
    tree, found = parse(Source("<name>", f"let {name} = 1"))
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or tree is None or found:
        raise Refused(f"`{name}` can't be a name: letters, digits and _, and none of the language's words")
    spans = _occurrences(analysis, binding, folders)
    edits: dict[int, list[Span]] = defaultdict(list)
    for span in spans:
        edits[id(span.source)].append(span)
    _prove(analysis, [sorted(group, key=lambda s: s.start) for group in edits.values()], name)
    places = Places(analysis)
    changes: dict[str, list[types.TextEdit]] = {}
    for span in spans:
        location = places.location(span)
        if location is not None:
            changes.setdefault(location.uri, []).append(types.TextEdit(location.range, name))
    return types.WorkspaceEdit(changes=changes)


# ---- occurrences ----


def _binding_at(analysis: Analysis, offset: int) -> Binding | None:
    """The name around an offset; the `@` before a label is part of it."""
    around = [
        b
        for b in analysis.bindings
        if b.span.source is analysis.source and b.span.start <= offset <= b.span.stop
    ]
    if not around and analysis.text[offset : offset + 1] == "@":
        around = [
            b for b in analysis.bindings if b.span.source is analysis.source and b.span.start == offset + 1
        ]
    return around[0] if around else None


def _place(span: Span) -> Place:
    return span.source.path, span.start, span.stop


def _is_ours(analysis: Analysis, binding: Binding) -> bool:
    """Whether a name was given by an author who can change it: not by the library, and not `copy`."""
    ours = {id(module.source) for module in analysis.module.everywhere()}
    return id(binding.place.source) in ours and binding.place.text == binding.span.text


def _group(found: list[Binding], place: Place) -> list[Span]:
    """Spans that stand for what was named at a place: two arms of an `if` may each give one name."""
    same = {place}
    grown = True
    while grown:
        grown = False
        for binding in found:
            here, there = _place(binding.span), _place(binding.place)
            if here != there and here in same and there not in same and _declares(binding, found):
                same.add(there)
                grown = True
            elif there in same and here not in same and _declares(binding, found):
                same.add(here)
                grown = True
    return [b.span for b in found if _place(b.place) in same or _place(b.span) in same]


def _declares(binding: Binding, found: list[Binding]) -> bool:
    """Whether a name that stands for one given elsewhere is itself the place of one: a `let` in a second arm."""
    here = _place(binding.span)
    return any(_place(other.place) == here and _place(other.span) == here for other in found)


class _Text(NamedTuple):
    module: Module
    found: list[Binding]


def _occurrences(analysis: Analysis, binding: Binding, folders: Iterable[Path]) -> list[Span]:
    """The spans of a name, each once: the ones in this text first, then those in files that use the one it is in."""
    found: dict[Place, Span] = {}
    place = _place(binding.place)
    modules: Iterator[_Text] = _modules(analysis, binding, folders)
    for text in modules:
        for span in _group(text.found, place):
            if (
                span.text == binding.place.text
            ):  # of a call that was mended, what stands there is something else
                found.setdefault(_place(span), span)
    return list(found.values())


def _modules(analysis: Analysis, binding: Binding, folders: Iterable[Path]) -> Iterator[_Text]:
    seen: set[Path | None] = set()
    for module in analysis.module.everywhere():
        seen.add(module.path)
        yield _Text(module, bindings(module) if module is not analysis.module else analysis.bindings)
    if binding.kind == "label" and not _is_parameter(binding):
        return  # a label is seen in its own body only
    name = binding.span.text
    buffers: Buffers = analysis.buffers
    library = is_library(binding.place.source.path)
    paths = [*(b.path for b in buffers.open.values() if b.path), *spec_files(folders)]
    for path in dict.fromkeys(path.resolve() for path in paths):
        if path in seen:
            continue
        try:
            source = buffers.source(path, str(path))
        except (OSError, UnicodeDecodeError):
            continue
        if name not in source.text or not (library or "use" in source.text):
            continue
        module = load_module(
            source, path, path.parent if analysis.module.root is None else analysis.module.root, buffers
        )
        if library or any(used.path == binding.place.source.path for used in module.everywhere()):
            seen.add(path)
            yield _Text(module, bindings(module))


def _is_parameter(binding: Binding) -> bool:
    return binding.place.source.text[binding.place.start - 1 : binding.place.start] == "@"


# ---- proof ----


def _prove(analysis: Analysis, groups: list[list[Span]], name: str) -> None:
    """Make the edits in copies and read the names again: each must stand for what it stood for. Raises Refused."""
    buffers = _Renamed(analysis.buffers)
    for spans in groups:
        source = spans[0].source
        parts, last = [], 0
        for span in spans:
            parts += [source.text[last : span.start], name]
            last = span.stop
        buffers.renamed[source.path] = "".join([*parts, source.text[last:]])
    for spans in groups:
        source = spans[0].source
        module = _module_of(analysis, source)
        if module is None:
            continue
        text = Source(source.name, buffers.renamed[source.path], source.path)
        after = load_module(text, module.path, module.root, buffers)
        moved = {(_moved(b.span, groups, name), _moved(b.place, groups, name)) for b in bindings(module)}
        if {(_place(b.span), _place(b.place)) for b in bindings(after)} != moved:
            raise Refused(f"`{name}` means something else in {Path(source.name).name} already")
        if module is analysis.module:
            before = {d.code for d in analysis.diagnostics}
            checked = check(text, path=analysis.path, root=module.root, files=buffers)
            worse = next(
                (d for d in checked.diagnostics if d.severity == "error" and d.code not in before), None
            )
            if worse is not None:
                raise Refused(worse.message)


class _Renamed(Buffers):
    """The buffers as they would be."""

    def __init__(self, before: Buffers) -> None:
        super().__init__()
        self.open = before.open
        self.before = before
        self.renamed: dict[Path | None, str] = {}

    def text(self, path: Path) -> str:
        return self.renamed[path] if path in self.renamed else self.before.text(path)


def _module_of(analysis: Analysis, source: Source) -> Module | None:
    if source is analysis.source:
        return analysis.module
    if source.path is None:
        return None
    return load_module(source, source.path, analysis.module.root, analysis.buffers)


def _moved(span: Span, groups: list[list[Span]], name: str) -> Place:
    """Where a span is after the edits."""
    start, stop = span.start, span.stop
    for spans in groups:
        if spans[0].source.path == span.source.path:
            for edit in spans:
                grown = len(name) - (edit.stop - edit.start)
                start += grown if edit.stop <= span.start else 0
                stop += grown if edit.stop <= span.stop else 0
    return span.source.path, start, stop
