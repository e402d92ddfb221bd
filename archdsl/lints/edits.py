"""Taking a statement out of a text."""

from __future__ import annotations

import re

from archdsl.diagnostics import Fix
from archdsl.source import Span

_AFTER = re.compile(r"[ \t]*;[ \t]*(?=[^\s#;])")
_BEFORE = re.compile(r"[ \t]*;[ \t]*\Z")
_LINE_BEFORE = re.compile(r"(?:\A|\n)[ \t]*\Z")
_LINE_AFTER = re.compile(r"[ \t;]*\r?(?:\n|\Z)")


def without(span: Span, title: str) -> Fix | None:
    """The edit that removes a statement and its separator: from its row, or with its whole line. None where it
    stands alone between brackets, which may not be left empty."""
    text, start, stop = span.source.text, span.start, span.stop
    # No row is so long that its separator would be further off.
    before, after = text[max(0, start - 200) : start], text[stop : stop + 200]
    if (found := _AFTER.match(after)) is not None:
        return Fix(Span(span.source, start, stop + found.end()), "", title)
    if (found := _BEFORE.search(before)) is not None:
        return Fix(Span(span.source, start - len(found[0]), stop), "", title)
    line, end = _LINE_BEFORE.search(before), _LINE_AFTER.match(after)
    if line is None or end is None or (start > 200 and "\n" not in line[0]):
        return None
    begin = start - len(line[0].lstrip("\n"))
    return Fix(Span(span.source, begin, stop + end.end()), "", title)
