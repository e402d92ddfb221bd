"""Words in the form that an editor has said it shows: Markdown, plain text, or a bare string."""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol.types import MarkupContent, MarkupKind

Formats = Sequence[MarkupKind] | None


def words(text: str, formats: Formats) -> MarkupContent | str:
    """A sentence or two."""
    if not formats:
        return text
    kind = MarkupKind.Markdown if MarkupKind.Markdown in formats else MarkupKind.PlainText
    return MarkupContent(kind, text)


def printed(text: str, formats: Formats) -> MarkupContent | str:
    """A text whose columns stay columns."""
    fenced = MarkupKind.Markdown in (formats or ())
    return words(f"```text\n{text}\n```" if fenced else text, formats)
