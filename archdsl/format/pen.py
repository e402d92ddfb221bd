"""The pen: lines as they are written, and words that are too long for one or have comments between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archdsl.format.steps import Step
from archdsl.format.tokens import Token, spaced

INDENT = 2


@dataclass(slots=True)
class Line:
    """One line to write: `text` at column `indent`, then ` as label`, ` -> shape` and a comment.

    steps: the steps of a plain row, which may be aligned with others; `text` is then theirs.
    """

    indent: int
    text: str = ""
    label: str = ""
    contract: str = ""
    comment: str = ""
    gap: int = 2  # blanks before the comment
    blank: bool = False  # above it
    steps: tuple[Step, ...] = ()

    @property
    def width(self) -> int:
        """Without alignment and comment."""
        return self.indent + sum(map(len, (self.text, self.label, self.contract)))


class Pen:
    """Writes words to the last line. `limit`: columns of a line."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lines: list[Line] = []

    # ---- where the pen is ----

    @property
    def line(self) -> Line:
        return self.lines[-1]

    @property
    def room(self) -> int:
        return self.limit - self.line.width

    def _new_line(self, indent: int, blank: bool = False) -> None:
        # Deeply nested branches would indent every line by thousands.
        self.lines.append(Line(min(indent, self.limit), blank=blank and bool(self.lines)))

    def _put(self, text: str) -> None:
        self.line.text += text

    # ---- words ----

    def _flat_text(self, tokens: Sequence[Token], apart: Sequence[bool] | None = None) -> str | None:
        """Words on one line; a comment, or a comma at the end of a list, breaks them."""
        if len(tokens) > self.limit:
            return None
        parts = []
        before = ""
        for token, space in zip(tokens, apart or spaced(tokens), strict=True):
            if token.kind == "comment" or (token.text == ")" and before == ","):
                return None
            parts.append(f" {token.text}" if space and before else token.text)
            before = token.text
        return "".join(parts)

    def _words(self, tokens: Sequence[Token], apart: Sequence[bool], indent: int, reserved: int) -> None:
        """Words as they come; a list in parentheses that does not fit goes on lines of its own."""
        at = 0
        while at < len(tokens):
            token = tokens[at]
            if token.kind == "comment":
                self._comment(token, indent + 2 * INDENT)
                self._new_line(indent + 2 * INDENT)
                at += 1
                continue
            lead = " " if apart[at] and at and self.line.text else ""
            if token.text != "(":
                self._put(lead + token.text)
                at += 1
                continue
            stop = _partner(tokens, at) + 1
            flat = self._flat_text(tokens[at:stop], apart[at:stop])
            follows = self._following(tokens, apart, stop) + reserved
            if flat is not None and len(lead) + len(flat) + follows <= self.room:
                self._put(lead + flat)
            else:
                self._put(lead)
                self._list(tokens[at:stop], apart[at:stop], indent)
            at = stop

    def _following(self, tokens: Sequence[Token], apart: Sequence[bool], at: int) -> int:
        """Columns that the words after a list need, up to the next that can be broken."""
        wide = 0
        while (
            at < len(tokens) and tokens[at].text != "(" and tokens[at].kind != "comment" and wide < self.limit
        ):
            wide += len(tokens[at].text) + apart[at]
            at += 1
        return wide

    def _list(self, tokens: Sequence[Token], apart: Sequence[bool], indent: int) -> None:
        """`( ... )` over several lines: its items together on one, or a line for each."""
        inner = indent + INDENT
        self._put("(")
        items = _items(tokens)
        together = self._flat_text(tokens[1:-1], apart[1:-1])
        if together is not None and tokens[-2].text != "," and inner + len(together) <= self.limit and items:
            self._new_line(inner)
            self._put(together)
            self._new_line(indent)
            self._put(")")
            return
        for start, stop, comma in items:
            at = start
            while at < stop and tokens[at].kind == "comment":
                self._comment(tokens[at], inner)
                at += 1
            if at < stop or comma:
                self._new_line(inner)
            end = stop
            while end > at and tokens[end - 1].kind == "comment":
                end -= 1
            self._words(tokens[at:end], apart[at:end], inner, reserved=1)
            for token in tokens[end:stop]:
                self._comment(token, inner)
            if comma:
                if end < stop:
                    self._new_line(inner)
                self._put(",")
        self._new_line(indent)
        self._put(")")

    def _comment(self, token: Token, indent: int) -> None:
        """At the end of the line, or on one of its own as its author has it."""
        fresh = not self.line.text and not self.line.comment
        if not fresh and (token.newlines or self.line.comment):
            self._new_line(indent)
        self.line.comment = token.text


def _partner(tokens: Sequence[Token], at: int) -> int:
    depth = 0
    for index in range(at, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[index].text, 0)
        if depth == 0:
            return index
    raise AssertionError("brackets were matched before")


def _items(tokens: Sequence[Token]) -> list[tuple[int, int, bool]]:
    """Of `( a, b )`: where each item starts and stops, and whether a comma follows. A comment on the line of a comma
    belongs to the item before."""
    items = []
    depth = 0
    start = 1
    for index in range(1, len(tokens) - 1):
        text = tokens[index].text
        depth += {"(": 1, ")": -1}.get(text, 0)
        if text == "," and depth == 0:
            items.append((start, index, True))
            start = index + 1
    if start < len(tokens) - 1:
        items.append((start, len(tokens) - 1, False))
    return items
