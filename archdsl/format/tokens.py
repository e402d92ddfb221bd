"""A text's words for the formatter, and which of them stand apart.

The formatter reads tokens and not the tree, since the tree forgets what an author may have meant: parentheses, `--a`,
which steps share a row. Separators are no tokens: each token knows what stood before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<newline>\n)
    |(?P<separator>;)
    |[ \t\r]+
    |(?P<string>"[^"\n]*")
    |(?P<number>[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[A-Za-z0-9_]*)
    |(?P<word>@?[A-Za-z_][A-Za-z0-9_]*)
    |(?P<symbol>->|//|==|!=|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)
_TWO = ("->", "//", "==", "!=", "<=", ">=")
_OPERANDS = ("word", "number", "string")


class Token(NamedTuple):
    """A word, number, string, symbol or comment at [start, stop) of its text.

    newlines: line breaks between it and the token before. separated: a `;` or a line break stands there.
    """

    kind: str
    text: str
    start: int
    stop: int
    newlines: int
    separated: bool


def read_tokens(text: str) -> list[Token]:
    """All tokens of a text; comments lose the blanks at their end."""
    tokens = []
    newlines, separated = 0, False
    start = 1 if text.startswith("\ufeff") else 0
    for match in _TOKEN.finditer(text, start):
        kind = match.lastgroup
        if kind == "newline":
            newlines += 1
            separated = True
        elif kind == "separator":
            separated = True
        elif kind is not None:
            written = match.group()
            if kind == "comment":
                written = written.rstrip()
            begin = match.start()
            tokens.append(Token(kind, written, begin, begin + len(written), newlines, separated))
            newlines, separated = 0, False
    return tokens


def balanced(tokens: Sequence[Token]) -> bool:
    """Whether every bracket has its partner."""
    partner = {")": "(", "]": "[", "}": "{"}
    stack = []
    for token in tokens:
        if token.kind != "symbol":
            continue
        if token.text in "([{":
            stack.append(token.text)
        elif token.text in partner and (not stack or stack.pop() != partner[token.text]):
            return False
    return not stack


def spaced(tokens: Sequence[Token]) -> list[bool]:
    """Whether a space stands before each token of a piece of a statement.

    `conv3 - 64/ 2 (p = 0)` is `conv3-64/2(p=0)`; in a value `+`, `-`, `//`, `%` and comparisons stand apart and
    `*` and `/` do not, unless one follows a `//` or `%` of the same product: `a // b * c` would mislead as `a // b*c`.
    """
    return _Spaces(tokens).read()


class _Spaces:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.apart = [True] * len(tokens)
        self.after_operand = False
        self.products: list[list[int]] = [
            []
        ]  # the operators of the product being read, in each open parenthesis

    def read(self) -> list[bool]:
        tokens, apart = self.tokens, self.apart
        words = {token.text for token in tokens[:2] if token.kind == "word"}
        in_value = bool(words & {"let", "if"})
        in_shape = tokens[0].text == "input"
        depth = 0
        for index, token in enumerate(tokens):
            before = tokens[index - 1] if index else None
            if token.kind == "comment":
                continue
            if token.kind == "symbol":
                if token.text == "(":
                    self._opened(index, in_value or depth > 0, in_shape and depth == 0)
                    depth += 1
                elif token.text == ")":
                    apart[index] = False
                    depth -= 1
                    self._product_ends()
                    if len(self.products) > 1:
                        self.products.pop()
                    self.after_operand = True
                elif token.text == "->" and depth == 0:
                    in_shape = True
                elif depth or in_value:
                    self._operator(index, in_keyword=depth > 0)
                else:
                    self._part_of_step(index)
                continue
            if token.text in ("and", "or") and self.after_operand and (depth or in_value):
                self._product_ends()
                self.after_operand = False
                continue
            if in_shape and depth == 0 and before is not None and before.text == ")":
                apart[index] = before.stop != token.start
            self.after_operand = not (token.text in ("not", "let", "if", "else") and token.kind == "word")
        self._product_ends()
        self._never_merged()
        return apart

    def _opened(self, index: int, in_value: bool, in_shape: bool) -> None:
        before = self.tokens[index - 1] if index else None
        if before is not None and in_shape:
            self.apart[index] = before.stop != self.tokens[index].start or before.text in ("->", "input")
        elif before is not None and not in_value:
            self.apart[index] = before.text == "->"
        elif before is not None and before.kind == "word" and self.after_operand:
            self.apart[index] = False  # a call
        if index + 1 < len(self.tokens):
            self.apart[index + 1] = False
        self.products.append([])
        self.after_operand = False

    def _part_of_step(self, index: int) -> None:
        text = self.tokens[index].text
        glued = {"-": (True, True), "/": (True, True), ",": (True, False), ".": (True, True)}.get(text)
        if glued is not None:
            self._around(index, not glued[0], not glued[1])

    def _operator(self, index: int, in_keyword: bool) -> None:
        text = self.tokens[index].text
        if text == ".":
            self._around(index, False, False)
            return
        if text in ("*", "/", "//", "%") and self.after_operand:
            self.products[-1].append(index)
        elif text == "-" and not self.after_operand:
            self._around(index, self.apart[index], False)
            return
        else:
            self._product_ends()
            if text == ",":
                self._around(index, False, True)
            elif text == "=" and in_keyword:
                self._around(index, False, False)
        self.after_operand = False

    def _product_ends(self) -> None:
        product = self.products[-1]
        texts = [self.tokens[index].text for index in product]
        wide = next((at for at, text in enumerate(texts) if text in ("//", "%")), len(texts))
        mixed = any(text in ("*", "/") for text in texts[wide:])
        for index, text in zip(product, texts, strict=True):
            space = mixed or text in ("//", "%")
            self._around(index, space, space)
        product.clear()

    def _around(self, index: int, before: bool, after: bool) -> None:
        self.apart[index] = before
        if index + 1 < len(self.tokens):
            self.apart[index + 1] = after

    def _never_merged(self) -> None:
        """In a text with errors: two tokens stay two."""
        for index in range(1, len(self.tokens)):
            left, right = self.tokens[index - 1], self.tokens[index]
            if self.apart[index]:
                continue
            if left.kind in _OPERANDS and right.kind in _OPERANDS and left.stop != right.start:
                self.apart[index] = True
            elif left.text + right.text in _TWO:
                self.apart[index] = True
