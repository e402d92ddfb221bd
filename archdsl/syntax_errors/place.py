"""Where a text stopped fitting: the words of its line, and what a slip needs to say about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Fix, Related
from archdsl.source import Source, Span

RESERVED = ("use", "as", "block", "arch", "default", "let", "if", "else", "input", "output", "expect")
_WORDS = re.compile(
    r'"[^"\n]*"?|#[^\n]*|->|//|/\*|\*\*|&&|\|\||==|!=|<=|>='
    r"|[0-9][0-9A-Za-z_]*(?:\.[0-9A-Za-z_]*)*|\.[0-9][0-9A-Za-z_]*|@[A-Za-z0-9_]*|[A-Za-z_][A-Za-z0-9_]*|\s+|."
)
_REACH = 2000  # characters of a line that are looked at on each side
COPIES = re.compile(r"x[0-9]+")


class Word(NamedTuple):
    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class Place:
    """Where a text stopped fitting, and the words of its line."""

    source: Source
    words: tuple[Word, ...]  # of the line, without blanks and comment
    index: int  # of the word at fault; len(words) at the line's end
    first: int  # index of the first word of the statement
    expected: frozenset[str]

    @property
    def text(self) -> str:
        return self.words[self.index].text if self.index < len(self.words) else ""

    @property
    def at_end(self) -> bool:
        return self.text in ("", ";", "}", "]", "|", ")")

    @property
    def before(self) -> str:
        return self.words[self.index - 1].text if self.index > self.first else ""

    def word(self, index: int) -> str:
        return self.words[index].text if self.first <= index < len(self.words) else ""

    def span(self, first: int | None = None, last: int | None = None) -> Span:
        """From one word to another, both included; the word at fault if none is named."""
        if not self.words:
            return Span(self.source, 0, 0)
        first = self.index if first is None else first
        last = first if last is None else last
        if first >= len(self.words):
            stop = self.words[-1].stop
            return Span(self.source, stop, stop)
        return Span(self.source, self.words[first].start, self.words[min(last, len(self.words) - 1)].stop)

    def line(self) -> str:
        """From the first word of the line, as far as it is looked at."""
        return self.source.text[self.words[0].start : self.words[-1].stop] if self.words else ""

    def end_of_step(self, first: int) -> int:
        """The last word of what a word is part of, before a `;`, a `|` or a closing bracket."""
        last = first
        while self.word(last + 1) not in ("", ";", "}", "]", "|"):
            last += 1
        return last

    def gap(self) -> Span:
        """The blank between the word at fault and the one before it."""
        stop = self.span().start
        start = self.words[self.index - 1].stop if self.index else stop
        return Span(self.source, start, stop)

    def glued(self) -> bool:
        return self.index > 0 and self.gap().start == self.gap().stop

    def step_is_whole(self) -> bool:
        """Whether the statement could have ended before the word at fault."""
        return "_SEPARATOR" in self.expected and self.index > self.first and not self.in_parentheses()

    def in_parentheses(self) -> bool:
        depth = 0
        for word in self.words[self.first : self.index]:
            depth += (word.text == "(") - (word.text == ")")
        return depth > 0


def place_at(source: Source, at: int, expected: frozenset[str]) -> Place:
    text = source.text
    if at >= len(text):
        at = len(text.rstrip())
    line_start = text.rfind("\n", 0, at) + 1
    line_stop = text.find("\n", at)
    line_stop = len(text) if line_stop < 0 else line_stop
    line_start, line_stop = max(line_start, at - _REACH), min(line_stop, at + _REACH)
    words = []
    for match in _WORDS.finditer(text, line_start, line_stop):
        token = match.group()
        if not token.isspace() and token[0] not in "#\ufeff":
            words.append(Word(token, match.start(), match.end()))
    index = next((i for i, word in enumerate(words) if word.stop > at), len(words))
    return Place(source, tuple(words), index, _first_of_statement(words, index), expected)


def _first_of_statement(words: list[Word], index: int) -> int:
    depth = 0
    for at in range(index - 1, -1, -1):
        token = words[at].text
        if token in (")", "]", "}"):
            depth += 1
        elif token in ("(", "[", "{"):
            if depth == 0 and token != "(":
                return at + 1
            depth = max(0, depth - 1)
        elif token in (";", "|") and depth == 0:
            return at + 1
    return 0


def error(
    code: str,
    message: str,
    span: Span,
    label: str,
    hint: str,
    fix: Fix | None = None,
    related: tuple[Related, ...] = (),
) -> Diagnostic:
    message = message.removesuffix(f": {hint}")
    if fix is not None and hint.startswith("write `") and fix.title.startswith("write `"):
        fix = Fix(fix.span, fix.text, hint)
    return Diagnostic(code=code, message=message, span=span, label=label, hint=hint, fix=fix, related=related)


def write(span: Span, text: str) -> Fix:
    shown = text.strip()
    return Fix(span, text, f"write `{shown}`" if shown else f"remove `{span.text}`")
