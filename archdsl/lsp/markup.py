"""Words in the form that an editor has said it shows: Markdown, plain text, or a bare string."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lsprotocol.types import MarkupContent, MarkupKind

from archdsl.modules import Files
from archdsl.ops import LAYERS
from archdsl.pages import page, stem_of

MOST_LINES = 40
"""Of a library block's text."""

Formats = Sequence[MarkupKind] | None


def words(text: str, formats: Formats) -> MarkupContent | str:
    """A sentence or two."""
    if not formats:
        return text
    kind = MarkupKind.Markdown if MarkupKind.Markdown in formats else MarkupKind.PlainText
    return MarkupContent(kind, text)


def paged(name: str, files: Files, formats: Formats) -> MarkupContent | str | None:
    """The page of a layer, a combinator or a library block; None of another name."""
    marked = MarkupKind.Markdown in (formats or ())
    text = markdown(name, files) if marked else page(name, files)
    return words(text, formats) if text else None


def markdown(name: str, files: Files) -> str:
    """A page as Markdown: its words as text, its table and examples as they are printed; "" of another name."""
    text = page(name, files)
    if text is None:
        return ""
    if stem_of(name) not in LAYERS and "\n" in text and text.startswith("#"):
        lines = text.splitlines()
        more = ["..."] if len(lines) > MOST_LINES else []
        return "\n".join(["```archdsl", *lines[:MOST_LINES], *more, "```"])
    found = re.search(r"\n(  argument|examples\n)", text)
    end = found.start() if found is not None else len(text)
    title, _, body = text[:end].partition("\n\n")
    parts = [f"**{title.strip()}**", body.strip()]
    if end < len(text):
        table = text[end:].strip("\n")
        parts.append(f"```text\n{table}\n```")
    return "\n\n".join(part for part in parts if part)
