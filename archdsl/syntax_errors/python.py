"""Python in place of steps."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.syntax_errors.place import Place, error, write
from archdsl.words import python_call

_PYTHON = frozenset("for def class import from return while with lambda elif print".split())


def python(place: Place) -> Diagnostic | None:
    """`for i in range(3):`, `nn.Conv2d(3, 64, 3)`, `w = 64`"""
    first = place.word(place.first)
    if place.in_parentheses():
        return None
    if (
        first in _PYTHON
        and place.index > place.first
        and (place.text == ":" or place.text[:1].isidentifier())
    ):
        span = place.span(place.first)
        hint = {
            "for": "write what repeats once: `conv3-64 x3`, or `{ ... } x3`",
            "while": "write what repeats once: `conv3-64 x3`, or `{ ... } x3`",
            "def": "write a block: `block f(k) { ... }`",
            "class": "write an arch: `arch net { ... }`",
            "import": 'write `use "path.arch"`',
            "from": 'write `use "path.arch"`',
            "elif": "write `else if condition { ... }`",
        }.get(first, "list the layers, one after the other")
        if first == "class":
            hint = f"write an arch, and its layers in order: `arch {place.word(place.first + 1).lower() or 'net'} {{ ... }}`"
        fix = Fix(span, "else if", "write `else if`") if first == "elif" else None
        return error("A001", f"`{first}` is Python, not a step", span, "not a word of the language", hint, fix)
    if place.text == "." and place.index == place.first + 1:
        whole = place.span(place.first, len(place.words) - 1)
        here = python_call(whole.text)
        return error("A001", f"`{first}.` looks like Python: here the layers themselves are listed", place.span(),
                     "a step has no dots", f"write `{here or 'conv3-64'}` for the layer",
                     Fix(whole, here, f"write `{here}`") if here else None)  # fmt: skip
    if place.text == "=" and place.index == place.first + 1 and re.fullmatch(r"[A-Za-z_]\w*", first):
        span = place.span(place.first)
        return error("A001", f"a value gets its name with `let`: write `let {first} = ...`", place.span(),
                     "no name is given a value without `let`", f"write `let {first} = ...`; a step's label is"
                     f" written after it, `as {first}`", write(span, f"let {first}"))  # fmt: skip
    return None
