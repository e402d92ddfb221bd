"""What the formatter keeps of a text: its statements, which of them share a row, comments and blank lines."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from archdsl.format.tokens import Token, balanced, read_tokens

DEFINITIONS = ("block", "arch", "use")


@dataclass(slots=True)
class Text:
    """A piece of a statement without a body. `comments` stand on lines of their own before it (before an `else`);
    `own_line`: the author broke the line before it."""

    tokens: Sequence[Token]
    comments: tuple[str, ...] = ()
    own_line: bool = False


@dataclass(slots=True)
class Body:
    """`{ ... }`. `opened`: the author broke the line after the brace; `comment` stands on the brace's line."""

    rows: list[Row]
    opened: bool
    comment: str


@dataclass(slots=True)
class Branches:
    """`[ ... | ... ]`. `broken`: the author broke the line between two branches."""

    branches: list[list[Row]]
    broken: bool


@dataclass(slots=True)
class Statement:
    """Pieces in the order of the text; or `verbatim`, the text of one that has an error."""

    pieces: list[Text | Body | Branches]
    verbatim: str | None = None
    flat: str | bool | None = False  # on one line, or None where it can't be; False: not asked for yet

    @property
    def word(self) -> str:
        """Its first word: a keyword, an operation, or nothing for a bare group."""
        first = self.pieces[0] if self.pieces else None
        return first.tokens[0].text if isinstance(first, Text) else ""


@dataclass(slots=True)
class Row:
    """Statements that share a line, and the comment at its end; without statements, a comment of its own line."""

    blank: bool  # above it
    statements: list[Statement] = field(default_factory=list)
    comment: str = ""


def read_layout(text: str, errors: Sequence[int]) -> list[Row]:
    """The rows of a text. errors: offsets; the innermost statement around each is kept verbatim. A definition whose
    brackets don't match is verbatim as a whole."""
    tokens = read_tokens(text)
    if balanced(tokens):
        return _Reader(text, tokens, errors).rows()
    rows: list[Row] = []
    for part in _definitions(text, tokens):
        if balanced(part):
            rows += _Reader(text, part, errors).rows()
        else:
            verbatim = text[part[0].start : part[-1].stop]
            rows.append(Row(part[0].newlines > 1, [Statement([], verbatim)]))
    return rows


def _definitions(text: str, tokens: list[Token]) -> list[list[Token]]:
    """The tokens cut before each definition that starts a line at the left edge."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        at_left = token.start == 0 or text[token.start - 1] == "\n"
        if at_left and token.text in DEFINITIONS and parts[-1]:
            parts.append([])
        parts[-1].append(token)
    return parts


class _Reader:
    def __init__(self, text: str, tokens: Sequence[Token], errors: Sequence[int]) -> None:
        self.text = text
        self.tokens = tokens
        self.errors = sorted(errors)
        self.at = 0

    def rows(self) -> list[Row]:
        return self._rows(in_branch=False, outermost=True)

    def _peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _rows(self, in_branch: bool, outermost: bool = False) -> list[Row]:
        """Statements up to the bracket or `|` that ends them, which is left."""
        rows: list[Row] = []
        last: Row | None = None  # that may go on on this line
        while (token := self._peek()) is not None:
            if token.kind == "comment":
                self.at += 1
                if last is not None and token.newlines == 0:
                    last.comment = token.text
                else:
                    rows.append(Row(blank=token.newlines > 1, comment=token.text))
                last = None
                continue
            if token.kind == "symbol":
                ends = token.text in ("]", "}") or (token.text == "|" and in_branch)
                if ends and not outermost:
                    return rows
            alone = outermost and token.text in DEFINITIONS
            if last is None or token.newlines or alone:
                last = Row(blank=token.newlines > 1)
                rows.append(last)
            last.statements.append(self._statement(in_branch))
            if alone:
                after = self._peek()
                if after is None or after.kind != "comment":
                    last = None
        return rows

    def _statement(self, in_branch: bool) -> Statement:
        start = self.tokens[self.at].start
        pieces: list[Text | Body | Branches] = []
        words: list[Token] = []
        own_line = False
        comments: tuple[str, ...] = ()
        depth = 0

        def text_ends() -> None:
            nonlocal words, own_line, comments
            if words:
                pieces.append(Text(words, comments, own_line))
            words, own_line, comments = [], False, ()

        first = True
        while (token := self._peek()) is not None:
            symbol = token.text if token.kind == "symbol" else ""
            if depth == 0 and not first and (token.separated or token.kind == "comment"):
                found = self._else_follows(pieces, words)
                if found is None:
                    break
                text_ends()
                comments, own_line = found
                words.append(self.tokens[self.at - 1])
                continue
            if depth == 0 and (symbol in ("]", "}") or (symbol == "|" and in_branch)):
                break
            if depth == 0 and symbol in ("{", "["):
                text_ends()
                pieces.append(self._body() if symbol == "{" else self._branches())
            else:
                depth += {"(": 1, ")": -1}.get(symbol, 0)
                words.append(token)
                self.at += 1
            first = False
        text_ends()
        stop = self.tokens[self.at - 1].stop
        return Statement(pieces, self.text[start:stop] if self._claimed(start, stop) else None)

    def _claimed(self, start: int, stop: int) -> bool:
        """Whether an error lies here that no statement inside has."""
        low = bisect_left(self.errors, start)
        high = low
        while high < len(self.errors) and self.errors[high] <= stop:
            high += 1
        del self.errors[low:high]
        return high > low

    def _else_follows(
        self, pieces: list[Text | Body | Branches], words: list[Token]
    ) -> tuple[tuple[str, ...], bool] | None:
        """The comments before the `else` of an `if` and whether it starts a line; None where there is none."""
        if words or not pieces or not isinstance(pieces[-1], Body):
            return None
        first = pieces[0]
        if not isinstance(first, Text) or first.tokens[0].text != "if":
            return None
        at = self.at
        comments = []
        while at < len(self.tokens) and self.tokens[at].kind == "comment":
            comments.append(self.tokens[at].text)
            at += 1
        if at == len(self.tokens) or self.tokens[at].text != "else":
            return None
        self.at = at + 1
        return tuple(comments), self.tokens[at].newlines > 0

    def _body(self) -> Body:
        self.at += 1
        after = self._peek()
        comment = ""
        opened = after is not None and after.newlines > 0
        if after is not None and after.kind == "comment" and after.newlines == 0:
            comment = after.text
            self.at += 1
        rows = self._rows(in_branch=False)
        if rows:
            rows[0].blank = False
        self.at += 1  # the closing brace
        return Body(rows, opened, comment)

    def _branches(self) -> Branches:
        branches: list[list[Row]] = []
        broken = False
        while True:
            bar = self.tokens[self.at]  # or the opening bracket
            self.at += 1
            after = self._peek()
            broken = broken or (bar.text == "|" and bar.newlines > 0)
            broken = broken or (after is not None and after.text not in ("|", "]") and after.newlines > 0)
            rows = self._rows(in_branch=True)
            if rows:
                rows[0].blank = False
            branches.append(rows)
            closing = self._peek()
            if closing is None or closing.text != "|":
                self.at += 1
                return Branches(branches, broken)
