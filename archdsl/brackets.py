"""Brackets and comments, read before the parser: which brackets have no partner, and who forgot it."""

from __future__ import annotations

import re
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Fix, Related
from archdsl.patch import Edit
from archdsl.source import Source, Span
from archdsl.syntax import Comment

DEEPEST = 200
MOST_REPORTED = 20

_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_OPENERS = {closer: opener for opener, closer in _CLOSERS.items()}
_TOKENS = re.compile(r'"[^"\n]*"?|#[^\n]*|[()\[\]{}]')
_TOKENS_AND_LINES = re.compile(
    r'"[^"\n]*"?|#[^\n]*|[()\[\]{}|;]|\n|(?<![A-Za-z0-9_@])'
    r"(?:use|block|arch|default|let|if|else|input|output|expect)(?![A-Za-z0-9_])"
)
_WORDS = re.compile(r'"[^"\n]*"?|#[^\n]*|\n|[^\s"#]+')
_ARGUMENT = re.compile(r"[ \t\r]*(?:\n|#|[A-Za-z_]\w*[ \t]*=(?!=)|[0-9@(-]|[A-Za-z_][\w.]*[ \t]*[,)*/+%-])")
_BLANKS = re.compile(r"[ \t]*")
_SPACE = re.compile(r"\s*")
_HEADER = re.compile(
    r"^[ \t]*((?:arch|block)[ \t]+[A-Za-z_]\w*[ \t]*+(?:\([^()\n]*\))?)[ \t\r]*$", re.MULTILINE
)


class Brackets(NamedTuple):
    comments: tuple[Comment, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    repairs: tuple[Edit, ...] = ()  # with these made, every bracket has its partner
    hopeless: bool = False  # too deep, or too many at fault: nothing more is worth saying


class _Open(NamedTuple):
    bracket: str
    offset: int
    indent: int  # of its line


def read_brackets(source: Source) -> Brackets:
    """The comments of a text and what is wrong with its brackets, without recursion."""
    comments = []
    stack: list[str] = []
    balanced = True
    for match in _TOKENS.finditer(source.text):
        token = match.group()
        first = token[0]
        if first == "#":
            span = Span(source, match.start(), match.end() - token.endswith("\r"))
            comments.append(Comment(text=span.text, span=span))
        elif first in _CLOSERS:
            stack.append(first)
            if len(stack) > DEEPEST:
                return Brackets((), (_too_deep(source, match.start()),), hopeless=True)
        elif first in _OPENERS:
            if stack and stack[-1] == _OPENERS[first]:
                stack.pop()
            else:
                balanced = False
    if balanced and not stack:
        return Brackets(tuple(comments))
    finder = _Culprits(source)
    finder.read()
    found = tuple(finder.found[:MOST_REPORTED])
    return Brackets(tuple(comments), found, tuple(finder.repairs), hopeless=len(found) == MOST_REPORTED)


def _too_deep(source: Source, offset: int) -> Diagnostic:
    return Diagnostic(
        code="A302",
        message=f"brackets are nested more than {DEEPEST} deep",
        span=Span(source, offset, offset + 1),
        label=f"bracket number {DEEPEST + 1}",
        hint="give the inner part a name: a `block`, or a `let`",
    )


class _Culprits:
    """Reads an unbalanced text once more, with layout as evidence, and decides which bracket is at fault."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.stack: list[_Open] = []
        self.found: list[Diagnostic] = []
        self.repairs: list[Edit] = []
        self.indent = 0  # of the line being read
        self.ended: int | None = None  # where the last body of several lines was closed, if nothing is open

    def read(self) -> None:
        line = 0
        self.indent = _BLANKS.match(self.text).end()  # type: ignore[union-attr]
        for match in _TOKENS_AND_LINES.finditer(self.text):
            token, offset = match.group(), match.start()
            first = token[0]
            if first == "#":
                continue
            if first == "\n":
                line = match.end()
                self.indent = _BLANKS.match(self.text, line).end() - line  # type: ignore[union-attr]
                continue
            leads = offset == line + self.indent
            if first in _CLOSERS:
                if first != "(":
                    self._drop_parentheses(offset)
                self.stack.append(_Open(first, offset, self.indent))
            elif first in _OPENERS:
                self._close(first, offset, leads)
            elif token in ("|", ";"):
                if token == "|" or self._only_parentheses_missing(offset):
                    self._drop_parentheses(offset)
            elif first != '"':
                self._keyword(token, offset, leads)
            if len(self.found) >= MOST_REPORTED:
                return
        while self.stack and len(self.found) < MOST_REPORTED:
            self._unclosed(self.stack.pop(), len(self.text))

    def _only_parentheses_missing(self, offset: int) -> bool:
        """Whether a `;` at offset most likely ends a step whose `(` was left open on the same line."""
        if not self.stack or self.stack[-1].bracket != "(":
            return False
        opened = self.stack[-1].offset
        rest = self.text[offset : offset + 200].partition("\n")[0]
        return (
            offset - opened < 200
            and "\n" not in self.text[opened:offset]
            and rest.count(")") <= rest.count("(")
        )

    def _drop_parentheses(self, offset: int) -> None:
        """Nothing but a value stands in ( ): whatever is open there was forgotten."""
        while self.stack and self.stack[-1].bracket == "(":
            self._unclosed(self.stack.pop(), offset)

    def _keyword(self, word: str, offset: int, leads: bool) -> None:
        if leads or word in ("block", "arch"):
            following = self.text[offset + len(word) : offset + len(word) + 1]
            if following in (" ", "\t"):
                self._drop_parentheses(offset)
        if word not in ("block", "arch") or not leads:
            return
        while self.stack and self.stack[-1].indent >= self.indent:
            self._unclosed(self.stack.pop(), offset)

    def _close(self, closer: str, offset: int, leads: bool) -> None:
        opener = _OPENERS[closer]
        wanted = [index for index, item in enumerate(self.stack) if item.bracket == opener]
        if closer == ")":
            wanted = wanted if self.stack and self.stack[-1].bracket == "(" else []
        if wanted and leads and closer != ")":
            # A closing bracket under the line that opened: what is open further in was forgotten.
            aligned = [index for index in wanted if self.stack[index].indent == self.indent]
            if aligned and all(item.indent > self.indent for item in self.stack[aligned[-1] + 1 :]):
                wanted = aligned
        if wanted:
            while len(self.stack) > wanted[-1] + 1:
                self._unclosed(self.stack.pop(), offset)
            opened = self.stack.pop()
            in_lines = closer == "}" and self.text.find("\n", opened.offset, offset) >= 0
            self.ended = offset if in_lines and not self.stack else None
        elif self.stack and not self._has_partner_below(closer):
            self._mismatched(self.stack.pop(), closer, offset)
        else:
            self._stray(closer, offset)

    def _has_partner_below(self, closer: str) -> bool:
        # `conv3)` inside braces: the brace is innocent, it has its own partner further on.
        return closer == ")" and self.stack[-1].bracket != "("

    def _add(self, diagnostic: Diagnostic, repair: Edit) -> None:
        self.found.append(diagnostic)
        self.repairs.append(repair)

    def _unclosed(self, opened: _Open, before: int) -> None:
        bracket, offset, _ = opened
        closer = _CLOSERS[bracket]
        place = self._end_of_content(offset, before, one_line=bracket == "(")
        text = closer if bracket == "(" or self.text[place - 1 : place].isspace() else f" {closer}"
        span = Span(self.source, place, place)
        half = bracket == "(" and place > offset + 1 and self.text[place - 1] in "=+-*/%<>"
        diagnostic = Diagnostic(
            code="A003",
            message=f"this `{bracket}` is never closed",
            span=span,
            label=f"`{closer}` is missing here",
            related=(Related(Span(self.source, offset, offset + 1), f"`{bracket}` opened here"),),
            hint="write the value, and `)`" if half else f"write `{closer}`",
            fix=None if half else Fix(span, text, f"insert `{closer}`"),
        )
        # An argument without its value would be a second error at the same place.
        start = max(offset, self.text.rfind(",", offset, place)) + 1 if half else place
        self._add(diagnostic, Edit(start, place, text))

    def _end_of_content(self, opened: int, before: int, one_line: bool) -> int:
        """Where the closing bracket most likely belongs: a line's end, before its comment."""
        position = opened + 1
        last = position
        header = True
        following = 0  # where something stands again
        for match in _WORDS.finditer(self.text, position, before):
            token = match.group()
            if token == "\n":
                if one_line and not self._goes_on(opened, last, match.end()):
                    return last
                if not one_line and header:
                    if following <= match.start():
                        following = _SPACE.match(self.text, match.start()).end()  # type: ignore[union-attr]
                    branches = self.text.startswith("|", following)
                    if last > position and not branches:
                        # `residual { conv3-64`: something follows the brace on its line, so it was to end there.
                        return last
                    header = branches
            elif token[0] != "#":
                last = match.end()
        return last

    def _goes_on(self, opened: int, last: int, line: int) -> bool:
        """Whether a `(` that is never closed goes on in the line that starts at `line`."""
        if last > opened + 1 and self.text[last - 1] not in ",+-*/%(=<>":
            return False
        return _ARGUMENT.match(self.text, line) is not None

    def _stray(self, closer: str, offset: int) -> None:
        span = Span(self.source, offset, offset + 1)
        headers = list(_HEADER.finditer(self.text, 0, offset)) if closer == "}" else []
        if headers and not self._used(headers[-1].end(1)):
            place = headers[-1].end(1)
            here = Span(self.source, place, place)
            name = headers[-1].group(1)
            self._add(
                Diagnostic(
                    code="A001",
                    message=f"`{name}` has no `{{` before its body",
                    span=here,
                    label="`{` is missing here",
                    related=(Related(span, "the body ends here"),),
                    hint=f"write `{name} {{`",
                    fix=Fix(here, " {", "insert `{`"),
                ),
                Edit(place, place, " {"),
            )
            return
        related: tuple[Related, ...] = ()
        fix = Fix(span, "", f"remove `{closer}`")
        if closer == "}" and self.ended is not None and self.text[self.ended + 1 : offset].strip():
            # Steps stand between: the brace before them came too early.
            early = Span(self.source, self.ended, self.ended + 1)
            related = (Related(early, "this one has closed it already"),)
            fix = Fix(early, "", "remove the earlier `}`")
        diagnostic = Diagnostic(
            code="A004",
            message=f"this `{closer}` closes nothing: no `{_OPENERS[closer]}` is open here",
            span=span,
            label="nothing to close",
            related=related,
            hint=f"remove one, or write the `{_OPENERS[closer]}` that it was meant to close",
            fix=fix,
        )
        self._add(diagnostic, Edit(offset, offset + 1, ""))

    def _used(self, place: int) -> bool:
        return any(repair.start == place for repair in self.repairs) or self.text[place:].lstrip().startswith(
            "{"
        )

    def _mismatched(self, opened: _Open, closer: str, offset: int) -> None:
        right = _CLOSERS[opened.bracket]
        span = Span(self.source, offset, offset + 1)
        diagnostic = Diagnostic(
            code="A004",
            message=f"`{opened.bracket}` is closed by `{closer}`",
            span=span,
            label=f"`{right}` is expected here",
            related=(
                Related(
                    Span(self.source, opened.offset, opened.offset + 1), f"`{opened.bracket}` opened here"
                ),
            ),
            hint=f"write `{right}` in place of `{closer}`",
            fix=Fix(span, right, f"write `{right}`"),
        )
        self._add(diagnostic, Edit(offset, offset + 1, right))
