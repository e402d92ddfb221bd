"""Statements that lack a part, or have `=` for `==`, or a name that is a word of the language."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.source import Span
from archdsl.syntax_errors.place import COPIES, RESERVED, Place, error, write


def name_that_is_reserved(place: Place) -> Diagnostic | None:
    """`as input`, `let x2 = 1`"""
    word = place.text.removeprefix("@")
    repeat = bool(COPIES.fullmatch(word))
    if word not in RESERVED and not repeat:
        return None
    wanted = "REFERENCE" if place.text.startswith("@") else "NAME"
    if wanted not in place.expected and "DIM" not in place.expected:
        return None
    if place.index == place.first and not place.text.startswith("@") and not place.in_parentheses():
        return None
    if word in ("if", "else", "let") and place.before in (")", "}") or place.before == "else":
        return None
    if wanted == "NAME" and place.step_is_whole():
        return None
    span = place.span()
    why = "reads as a repeat" if repeat else "is a word of the language"
    other = f"n{word[1:]}" if repeat else f"{word}_"
    return error("A010", f"`{word}` {why} and can't be a name", span, "can't be a name",
                 f"choose another name, such as `{other}`")  # fmt: skip


def orphan_else(place: Place) -> Diagnostic | None:
    """`if a { ... }; else { ... }`"""
    if place.text != "else":
        return None
    fix = None
    start = place.span().start
    between = re.search(r"\}([ \t\r\n]*;[ \t\r\n;]*)$", place.source.text[:start])
    if between:
        fix = Fix(Span(place.source, start - len(between[1]), start), " ", "remove the `;` before `else`")
    return error("A001", "this `else` has no `if` before it", place.span(), "no `if` ends just before this",
                 "write `if condition { ... } else { ... }`, with no `;` before the `else`", fix)  # fmt: skip


def equals(place: Place) -> Diagnostic | None:
    """`if a = 1`, `let a == 1`, `conv3-64 = stem`"""
    first = place.word(place.first)
    label = place.word(place.index + 1)
    if place.text == "=" and place.step_is_whole() and place.index == len(place.words) - 2 and label.isidentifier():
        return error("A001", f"a label is written after its step, with `as`: write `as {label}`", place.span(),
                     "not expected here", f"write `as {label}`", write(place.span(), "as"))  # fmt: skip
    if place.text == "=" and "EQUAL" not in place.expected and "COMPARE" in place.expected:
        return error("A001", "`=` gives a value its name; a comparison is written `==`", place.span(),
                     "not a comparison", "write `==`", write(place.span(), "=="))  # fmt: skip
    if first == "let" and place.index == place.first + 2 and place.text != "=":
        if place.text == "==":
            return error("A001", "`==` compares; `let` gives a name its value with `=`", place.span(), "a comparison",
                         "write `=`", write(place.span(), "="))  # fmt: skip
        name = place.word(place.first + 1)
        fix = None if place.at_end else Fix(place.gap(), " = ", "insert `=`")
        return error("A001", f"`let {name}` gives no value: write `let {name} = ...`", place.span(),
                     "`=` is missing here", f"write `let {name} = ...`", fix)  # fmt: skip
    if place.text == "==" and "EQUAL" in place.expected and place.in_parentheses():
        return error("A001", "`==` compares; an argument gets its value with `=`", place.span(), "a comparison",
                     "write `=`", write(place.span(), "="))  # fmt: skip
    return None


def second_comparison(place: Place) -> Diagnostic | None:
    """`a < b < c`"""
    if place.text not in ("<", "<=", ">", ">=", "==", "!=") or "AND" not in place.expected:
        return None
    return error("A001", "a comparison has two sides", place.span(), "a second comparison",
                 "join two comparisons with `and`: `a < b and b < c`")  # fmt: skip


def missing_body(place: Place) -> Diagnostic | None:
    """`arch net`, and its brace on the next line."""
    first = place.word(place.first)
    if "LBRACE" not in place.expected or place.index == place.first or place.in_parentheses():
        return None
    if first not in ("arch", "block", "if", "else", "}"):
        return None
    if first in ("arch", "block") and place.index < place.first + 2:
        return None
    what = {"arch": "an arch", "block": "a block", "if": "an `if`"}.get(first, "an `else`")
    end = Span(place.source, place.words[place.index - 1].stop, place.words[place.index - 1].stop)
    text = place.source.text
    found = re.compile(r"(?:[ \t\r\n;]|#[^\n]*\n)*\{").match(text, end.stop)
    fix = None
    if place.text == "" and found and "#" not in found.group():
        fix = Fix(Span(place.source, end.stop, found.end()), " {", "put `{` on the same line")
        return error("A001", f"the body of {what} starts on the same line", end, "`{` belongs here",
                     "write `{` at the end of this line", fix)  # fmt: skip
    if first == "block" and "LPAR" in place.expected and place.word(place.first + 2) != "(":
        return None
    hint = "write the body in braces: { ... }"
    if place.text == ":":
        hint = "a body stands in braces, not after a colon: { ... }"
    return error("A001", f"the body of {what} is missing: it starts with `{{`", end, "`{` is missing here", hint)  # fmt: skip


def missing_parameters(place: Place) -> Diagnostic | None:
    """`block f { ... }`"""
    if place.word(place.first) != "block" or place.index != place.first + 2 or place.text == "(":
        return None
    gap = place.span(place.first + 1).at_end()
    return error("A001", "a block lists its parameters in ( ), even where it has none", place.span(),
                 "`(` is missing before this", f"write `block {place.word(place.first + 1)}() {{ ... }}`",
                 Fix(gap, "()", "insert `()`"))  # fmt: skip


def nothing_follows(place: Place) -> Diagnostic | None:
    """A word that promises something, and the end of the statement."""
    body_too_soon = place.text in ("{", "(") and place.before in ("arch", "block", "if")
    if place.index <= place.first or not (place.at_end or body_too_soon):
        return None
    end = place.span() if place.text else place.span(place.index - 1).at_end()
    last = place.before
    promised = {
        "as": ("`as` needs a name", "a name is missing here", "write `as c2`"),
        "->": ("`->` needs a shape", "a shape is missing here", "write `-> 64x112x112`"),
        "-": ("there is no width after `-`", "a width is missing here", "write a number, a name or ( ): `conv3-64`"),
        "/": ("there is no stride after `/`", "a stride is missing here", "write a number, a name or ( ): `conv3/2`"),
        "=": ("there is no value after `=`", "a value is missing here", "write a value after it"),
        "let": ("`let` needs a name and a value", "a name is missing here", "write `let w = 64`"),
        "input": ("`input` needs a shape", "a shape is missing here", "write `input 3x224x224`"),
        "output": ("`output` needs a label", "a label is missing here", "write `output @c3, @c4`"),
        "use": ("`use` needs a path", "a path is missing here", 'write `use "families/resnet.arch"`'),
        "default": ("`default` needs a layer and its arguments", "a layer is missing here",
                    "write `default conv(norm=bn, act=relu)`"),
        "expect": ("`expect` needs its figures", "`(` is missing here", "write `expect(params=25_557_032)`"),
        "arch": ("`arch` needs a name", "a name is missing here", "write `arch net { ... }`"),
        "block": ("`block` needs a name", "a name is missing here", "write `block f(k) { ... }`"),
        "if": ("`if` needs a condition", "a condition is missing here", "write `if s != 1 { ... }`"),
        "@": ("`@` needs the name of a label", "a name is missing here", "write `@c2`"),
    }  # fmt: skip
    if last in promised:
        message, label, hint = promised[last]
        return error("A001", message, end, label, hint)
    if place.word(place.first) == "default" and place.index == place.first + 2:
        return error("A001", f"`default {last}` needs its arguments", end, "`(` is missing here",
                     f"write `default {last}(act=relu)`")  # fmt: skip
    if last in ("+", "*", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "not"):
        return error(
            "A001", f"there is nothing after `{last}`", end, "a value is missing here", "write a value"
        )
    if last == "," and place.text != ")":
        return error("A001", "there is nothing after this `,`", end, "something is missing here",
                     "remove the comma, or go on after it")  # fmt: skip
    if last == "(" and place.text == ")" and "RPAR" not in place.expected:
        return error("A001", "there is no value in these parentheses", place.span(place.index - 1, place.index),
                     "a value is missing", "write a value between ( and )")  # fmt: skip
    return None
