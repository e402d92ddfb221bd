"""Places: offsets in code points here, lines and columns in the client's unit there. All conversion is in this file."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate

from lsprotocol.types import Position, Range

from archdsl.source import Span

_LINE_END = re.compile(r"\r\n|\n|\r")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class Lines:
    """A text as the protocol counts in it.

    unit: "utf-16" (the protocol's own), "utf-8" or "utf-32", as agreed when the client connected.

    >>> lines = Lines('x = "😋"', "utf-16")
    >>> lines.position(6).character, lines.offset(Position(0, 7))
    (7, 6)
    """

    def __init__(self, text: str, unit: str) -> None:
        self.text, self.unit = text, unit
        self.starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        found = (match.start() for match in _NOT_ASCII.finditer(text))
        self.wide = [at for at in found if self._more(text[at])]
        self.more = [0, *accumulate(self._more(text[at]) for at in self.wide)]  # units of those before each

    def position(self, offset: int) -> Position:
        """The line and column of an offset."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self.starts, offset) - 1
        start = self.starts[line]
        return Position(line, offset - start + self._more_before(offset) - self._more_before(start))

    def offset(self, position: Position) -> int:
        """The offset of a line and column; of one that the text does not have, the nearest before it."""
        if position.line >= len(self.starts):
            return len(self.text)
        start = self.starts[max(position.line, 0)]
        after = self.starts[position.line + 1] if position.line + 1 < len(self.starts) else len(self.text)
        line = self.text[start:after].rstrip("\r\n")
        return start + self._characters(line, max(position.character, 0))

    def range(self, start: int, stop: int) -> Range:
        return Range(self.position(start), self.position(stop))

    def range_of(self, span: Span) -> Range:
        return self.range(span.start, span.stop)

    def _more(self, character: str) -> int:
        """How many units of the client's a character is, beyond one."""
        if self.unit == "utf-32":
            return 0
        if self.unit == "utf-8":
            return (character > "\x7f") + (character > "\u07ff") + (character > "\uffff")
        return int(character > "\uffff")

    def _more_before(self, offset: int) -> int:
        return self.more[bisect_left(self.wide, offset)]

    def _characters(self, line: str, units: int) -> int:
        """How many characters of a line its first `units` units are; one that is cut in two is left out."""
        if not self.wide or line.isascii():
            return min(units, len(line))
        for index, character in enumerate(line):
            units -= 1 + self._more(character)
            if units < 0:
                return index
        return len(line)
