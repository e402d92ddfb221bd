"""The parts of a step that are aligned with those of its neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from archdsl.format.tokens import Token

KEYWORDS = frozenset("use block arch default let if else input output expect".split())
FEWEST_NUMBERS = 3
"""A call of at least that many plain numbers, and no other positional arguments, is a table's row: its numbers
stand under those of the next."""

_COPIES = re.compile(r"x[0-9]+")


class Step(NamedTuple):
    """One step, or the end of one after its body.

    before, numbers, after: `inception(`, `64`, `96`, ... and `)`; without numbers all of it is `before`.
    shape: what is the same in steps that differ in numbers only: the operation and its arguments' names.
    """

    before: str
    numbers: tuple[str, ...]
    after: str
    repeat: str
    label: str
    contract: str
    shape: tuple[str, ...]

    @property
    def core(self) -> str:
        return self.before + ", ".join(self.numbers) + self.after


def read_step(tokens: Sequence[Token], apart: Sequence[bool]) -> Step | None:
    """The parts of a step; None for another statement and where a comment stands inside."""
    first = tokens[0]
    if (first.kind == "word" and first.text in KEYWORDS) or any(token.kind == "comment" for token in tokens):
        return None
    starts = {"repeat": len(tokens), "label": len(tokens), "contract": len(tokens)}
    depth = 0
    for at, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        before = tokens[at - 1].text if at else ""
        if depth or before in ("-", "/", "as"):
            continue
        if token.text == "->":
            starts["contract"] = min(starts["contract"], at)
        elif token.text == "as":
            starts["label"] = min(starts["label"], at)
        elif _COPIES.fullmatch(token.text) and token.kind == "word":
            starts["repeat"] = min(starts["repeat"], at)
        elif (
            token.text == "x"
            and at + 1 < len(tokens)
            and tokens[at + 1].text == "("
            and _ends_operation(tokens, at)
        ):
            starts["repeat"] = min(starts["repeat"], at)
    contract = starts["contract"]
    label = min(starts["label"], contract)
    repeat = min(starts["repeat"], label)
    core = tokens[:repeat]
    before, numbers, after, shape = _call(core, apart)
    return Step(
        before,
        numbers,
        after,
        _joined(tokens, apart, repeat, label),
        _joined(tokens, apart, label, contract),
        _joined(tokens, apart, contract, len(tokens)),
        shape,
    )


def _ends_operation(tokens: Sequence[Token], at: int) -> bool:
    """Whether an `x` before `(` counts copies: it follows an operation, or the body of one."""
    return at == 0 or tokens[at - 1].kind in ("word", "number") or tokens[at - 1].text == ")"


def _joined(tokens: Sequence[Token], apart: Sequence[bool], start: int, stop: int) -> str:
    parts = [f" {tokens[at].text}" if apart[at] else tokens[at].text for at in range(start, stop)]
    return "".join(parts).lstrip(" ")


def _call(
    tokens: Sequence[Token], apart: Sequence[bool]
) -> tuple[str, tuple[str, ...], str, tuple[str, ...]]:
    """Of `inception(64, 96, max=true)`: what stands before its numbers, they, what stands after, and its shape."""
    whole = _joined(tokens, apart, 0, len(tokens))
    if not tokens:
        return "", (), "", ()
    opened = next((at for at in range(1, len(tokens)) if _opens_arguments(tokens, at)), None)
    name = tokens[0].text
    if opened is None:
        return whole, (), "", (name,)
    names, starts = [], [opened + 1]
    depth = 0
    for at in range(opened + 1, len(tokens)):
        text = tokens[at].text
        depth += {"(": 1, ")": -1}.get(text, 0)
        if depth < 0:
            break
        if depth == 0 and text == ",":
            starts.append(at + 1)
        elif depth == 0 and text == "=":
            names.append(tokens[at - 1].text)
    count = len(starts) - len(names)
    shape = (name, str(count), *names)
    firsts = starts[:count]
    if count < FEWEST_NUMBERS or not all(_is_number(tokens, at) for at in firsts):
        return whole, (), "", shape
    numbers = tuple(tokens[at].text for at in firsts)
    before = _joined(tokens, apart, 0, opened + 1)
    return before, numbers, _joined(tokens, apart, firsts[-1] + 1, len(tokens)), (*shape, "numbers")


def _opens_arguments(tokens: Sequence[Token], at: int) -> bool:
    return tokens[at].text == "(" and (
        tokens[at - 1].kind in ("word", "number") or tokens[at - 1].text == ")"
    )


def _is_number(tokens: Sequence[Token], at: int) -> bool:
    return tokens[at].text.isdigit() and at + 1 < len(tokens) and tokens[at + 1].text in (",", ")")
