"""Findings as the protocol has them: the ones that `archdsl check` prints, with their second places and their fixes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lsprotocol import types

from archdsl.diagnostics import Diagnostic
from archdsl.lsp.analysis import Analysis
from archdsl.lsp.buffers import Buffers, uri_of
from archdsl.lsp.positions import Lines
from archdsl.source import Source, Span

_SEVERITY = {"error": types.DiagnosticSeverity.Error, "warning": types.DiagnosticSeverity.Warning}


class Places:
    """Where spans are: of the text itself, of open buffers and of files."""

    def __init__(self, analysis: Analysis) -> None:
        self._known: dict[int, tuple[str, Lines]] = {id(analysis.source): (analysis.uri, analysis.lines)}
        self._buffers: Buffers = analysis.buffers
        self._unit = analysis.lines.unit

    def of(self, source: Source) -> tuple[str, Lines] | None:
        """The URI of a text and its lines, or None of one that is no file."""
        if id(source) not in self._known:
            if source.path is None:
                return None
            buffer = self._buffers.at(source.path)
            uri = buffer.uri if buffer is not None else uri_of(source.path)
            self._known[id(source)] = (uri, Lines(source.text, self._unit))
        return self._known[id(source)]

    def location(self, span: Span) -> types.Location | None:
        found = self.of(span.source)
        return types.Location(found[0], found[1].range_of(span)) if found is not None else None


def by_uri(analysis: Analysis) -> dict[str, list[types.Diagnostic]]:
    """The findings of a text and of those that it uses, by the text that they are in; its own are always there."""
    places = Places(analysis)
    found: dict[str, list[types.Diagnostic]] = {analysis.uri: []}
    for diagnostic in analysis.diagnostics:
        place = places.of(diagnostic.span.source) if diagnostic.span is not None else None
        uri = place[0] if place is not None else analysis.uri
        found.setdefault(uri, []).append(to_lsp(diagnostic, places))
    return found


def to_lsp(diagnostic: Diagnostic, places: Places) -> types.Diagnostic:
    """One finding. What does not fit the protocol's fields, the arithmetic and the help, follows the message."""
    message = [diagnostic.message, *diagnostic.notes]
    helps = diagnostic.hint or (diagnostic.fix.title if diagnostic.fix is not None else "")
    if helps:
        message.append(f"help: {helps}")
    related = []
    for other in diagnostic.related:
        location = places.location(other.span)
        if location is not None:
            related.append(types.DiagnosticRelatedInformation(location, other.message))
    location = places.location(diagnostic.span) if diagnostic.span is not None else None
    return types.Diagnostic(
        range=location.range if location is not None else types.Range(_START, _START),
        severity=_SEVERITY[diagnostic.severity],
        code=diagnostic.code,
        source="archdsl",
        message="\n".join(message),
        related_information=related or None,
    )


_START = types.Position(0, 0)


def merged(lists: Iterable[list[types.Diagnostic]]) -> list[types.Diagnostic]:
    """Several texts' findings on one, each once, in its order."""
    unique: dict[Any, types.Diagnostic] = {}
    for found in lists:
        for one in found:
            start, end = one.range.start, one.range.end
            unique.setdefault((start.line, start.character, end.line, end.character, one.code), one)
    return [unique[key] for key in sorted(unique, key=lambda key: (key[:4], str(key[4])))]
