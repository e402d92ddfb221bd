"""Layers as the tables of papers write them: `[3x3, 64] x3`, `3x3 conv, 64, /2`."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic
from archdsl.syntax_errors.place import Place, error, write

_ROW = re.compile(
    r"(?:(?P<before>[0-9]+)\s+)?(?P<high>[0-9]+)x(?P<wide>[0-9]+)(?:\s*conv[a-z]*)?"
    r"(?:(?:\s*,\s*|\s+)(?P<after>[0-9]+))?(?:\s*,?\s*(?:stride\s*|/\s*)(?P<stride>[0-9]+))?"
)


def row_of_a_table(place: Place) -> Diagnostic | None:
    """`[1x1, 64; 3x3, 64] x3`, `64 3x3 conv, stride 2`, `7x7 conv, 64`"""
    if place.in_parentheses() or place.index > place.first + 1:
        return None
    first = place.first
    bracketed = place.word(first) == "["
    last = place.end_of_step(first)
    while bracketed and place.word(last + 1) == ";":
        last = place.end_of_step(last + 1)
    if bracketed and place.word(last + 1) != "]":
        return None
    inside = place.span(first + bracketed, last)
    rows = [_ROW.fullmatch(row.strip()) for row in inside.text.split(";")]
    steps = [_step(row) for row in rows if row is not None]
    if len(steps) < len(rows):
        return None
    span = place.span(first, last + bracketed)
    text = "; ".join(steps)
    text = f"{{ {text} }}" if bracketed else text
    whole = all(row is not None and (row["before"] or row["after"]) for row in rows)
    hint = f"write `{text}`" if whole else f"write `{text}`, with its own width"
    return error("A001", "a layer starts with its name, and its kernel and its width follow", span, "no name before it",
                 hint, write(span, text) if whole else None)  # fmt: skip


def _step(row: re.Match[str]) -> str:
    kernel = row["high"] if row["high"] == row["wide"] else f"{row['high']}x{row['wide']}"
    stride = f"/{row['stride']}" if row["stride"] not in (None, "1") else ""
    return f"conv{kernel}-{row['before'] or row['after'] or 64}{stride}"
