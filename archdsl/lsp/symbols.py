"""Symbols: the outline of a text, and what the files of a workspace define."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lsprotocol import types

from archdsl import syntax
from archdsl.lsp.analysis import Analysis
from archdsl.lsp.buffers import Buffers, uri_of
from archdsl.lsp.positions import Lines
from archdsl.lsp.tree import children
from archdsl.names import signature
from archdsl.ops.base import written
from archdsl.source import Source

MOST_FILES = 2_000
MOST_SYMBOLS = 500
_SKIPPED = frozenset({"node_modules", "__pycache__", "build", "dist", "venv"})


def document(analysis: Analysis) -> list[types.DocumentSymbol]:
    """Blocks and archs, with their labelled steps."""
    tree = analysis.module.tree
    shapes = {id(step.placed.step): written(step.placed.shapes[0]) for step in analysis.steps}

    def made(node: syntax.Syntax) -> Iterator[types.DocumentSymbol]:
        for child in children(node):
            inner = list(made(child))
            if isinstance(child, syntax.Definition):
                kind = types.SymbolKind.Class if isinstance(child, syntax.Arch) else types.SymbolKind.Function
                takes = signature(child).removeprefix(child.name.name)
                yield symbol(child.name.name, kind, child, child.name, takes, inner)
            elif isinstance(child, syntax.Step) and child.label is not None:
                shape = shapes.get(id(child), "")
                yield symbol(child.label.name, types.SymbolKind.Field, child, child.label, shape, inner)
            else:
                yield from inner

    def symbol(
        name: str,
        kind: types.SymbolKind,
        node: syntax.Syntax,
        place: syntax.Syntax,
        detail: str,
        inner: list[types.DocumentSymbol],
    ) -> types.DocumentSymbol:
        whole, named = analysis.lines.range_of(node.span), analysis.lines.range_of(place.span)
        return types.DocumentSymbol(name, kind, whole, named, detail=detail or None, children=inner)

    return list(made(tree)) if tree is not None else []


def spec_files(folders: Iterable[Path]) -> Iterator[Path]:
    """The .arch files of folders, at most MOST_FILES; hidden folders and those of other tools are left out."""
    count = 0
    for folder in folders:
        for where, inner, names in os.walk(folder):
            inner[:] = sorted(n for n in inner if not n.startswith(".") and n not in _SKIPPED)
            for name in sorted(names):
                if name.endswith(".arch"):
                    yield Path(where, name)
                    count += 1
                    if count >= MOST_FILES:
                        return


def workspace(
    buffers: Buffers, folders: Iterable[Path], query: str, unit: str
) -> list[types.WorkspaceSymbol]:
    """Blocks and archs of all files whose name has the query's letters in their order."""
    found: list[types.WorkspaceSymbol] = []
    for path in dict.fromkeys([*(b.path for b in buffers.open.values() if b.path), *spec_files(folders)]):
        try:
            source = buffers.source(path.resolve(), str(path))
        except (OSError, UnicodeDecodeError):
            continue
        for definition in _definitions(buffers, source):
            if _matches(query, definition.name.name):
                kind = (
                    types.SymbolKind.Class
                    if isinstance(definition, syntax.Arch)
                    else types.SymbolKind.Function
                )
                buffer = buffers.at(path)
                uri = buffer.uri if buffer is not None else uri_of(path)
                place = types.Location(uri, Lines(source.text, unit).range_of(definition.name.span))
                found.append(
                    types.WorkspaceSymbol(place, definition.name.name, kind, container_name=path.name)
                )
                if len(found) >= MOST_SYMBOLS:
                    return found
    return found


def _definitions(buffers: Buffers, source: Source) -> list[syntax.Definition]:
    tree, _ = buffers.parse(source)
    return [s for s in tree.statements if isinstance(s, syntax.Definition)] if tree is not None else []


def _matches(query: str, name: str) -> bool:
    letters = iter(name.lower())
    return all(letter in letters for letter in query.lower())
