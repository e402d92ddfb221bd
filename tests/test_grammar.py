"""The grammar: it builds strictly, reserves exactly its words, and names no layer."""

from __future__ import annotations

import re

import pytest
from lark import Lark
from lark.exceptions import GrammarError, LexError, UnexpectedInput

from archdsl.parse import _Separators
from archdsl.resources import grammar_text

RESERVED = "use as block arch default let if else input output expect".split()
LAYERS = "conv dwconv sepconv upconv maxpool avgpool gap fc flatten bn lrn relu softmax dropout identity pad upsample".split()


def build(grammar: str) -> Lark:
    pytest.importorskip("interegular")
    return Lark(grammar, parser="lalr", lexer="contextual", start="file", strict=True, postlex=_Separators())


@pytest.fixture(scope="module")
def strict() -> Lark:
    return build(grammar_text())


def test_builds_strictly(strict: Lark) -> None:
    strict.parse("arch a { conv3-64 x2; maxpool }")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("COMPARE sum)?", "COMPARE sum)? | comparison PLUS sum"),  # an ambiguous rule
        (
            "?atom: number",
            "DIGITS: /[0-9]+/\ndigits: DIGITS\n?atom: digits | number",
        ),  # terminals that collide
    ],
)
def test_strict_refuses_a_conflict(old: str, new: str) -> None:
    """The detector can fail. (It can't read the lookaheads in NAME, REFERENCE and DIM, and lets those pass.)"""
    assert grammar_text().count(old) == 1
    with pytest.raises((GrammarError, LexError)):
        build(grammar_text().replace(old, new))


def test_names_no_layer() -> None:
    rules = re.sub(r"//[^\n]*", "", grammar_text())
    words = set(re.findall(r"[a-z]+", rules))
    assert not words & set(LAYERS)


@pytest.mark.parametrize("word", RESERVED)
def test_reserved(strict: Lark, word: str) -> None:
    with pytest.raises(UnexpectedInput):
        strict.parse(f"let {word} = 3")
    strict.parse(f"let {word}s = 3; {word}_; relu as {word}1")


@pytest.mark.parametrize("word", ["in", "and", "or", "not", "for", "x", "true", "same", "x2y", "residual"])
def test_not_reserved(strict: Lark, word: str) -> None:
    strict.parse(f"let {word} = 3")


def test_repeats_are_no_names(strict: Lark) -> None:
    for text in ("let x2 = 3", "block x10() { relu }", "relu as x1", "@x2"):
        with pytest.raises(UnexpectedInput):
            strict.parse(text)
