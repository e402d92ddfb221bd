"""Python in place of steps."""

from __future__ import annotations

import re

from archdsl.calls_elsewhere import called, joined_tensors, python_call
from archdsl.diagnostics import Diagnostic, Fix
from archdsl.ops import LAYERS
from archdsl.source import Span
from archdsl.syntax_errors.place import Place, error, write
from archdsl.syntax_errors.steps import inside_of
from archdsl.words import absent, layer_word, plain_name

PYTHON = frozenset("for def class import from return while with lambda elif print".split())

_METHOD = re.compile(r"\w+\s*=\s*(?!in\b)[A-Za-z_]\w*(?:\.\w+)+\s*\(")
"""`x = self.conv1(x)`"""


def python(place: Place) -> Diagnostic | None:
    """`for i in range(3):`, `nn.Conv2d(3, 64, 3)`, `w = 64`"""
    first = place.word(place.first)
    if place.in_parentheses():
        return None
    if (
        first in PYTHON
        and place.index > place.first
        and (place.text == ":" or place.text[:1].isidentifier())
    ):
        span = place.span(place.first)
        hint = {
            "for": "write what repeats once: `conv3-64 x3`, or `{ ... } x3`; in it `copy` counts from 0",
            "while": "write what repeats once: `conv3-64 x3`, or `{ ... } x3`",
            "def": "write a network, `arch net { ... }`, or a part of it, `block f(k) { ... }`",
            "class": "write an arch: `arch net { ... }`",
            "import": 'write `use "path.arch"`',
            "from": 'write `use "path.arch"`',
            "elif": "write `else if condition { ... }`",
        }.get(first, "list the layers, one after the other")
        if first == "class":
            hint = f"write an arch, and its layers in order: `arch {place.word(place.first + 1).lower() or 'net'} {{ ... }}`"
        fix = Fix(span, "else if", "write `else if`") if first == "elif" else None
        if first == "for" and (loop := _loop(place)):
            hint, fix = loop
        return error("A001", f"`{first}` is Python, not a step", span, "not a word of the language", hint, fix)
    if place.text == "." and place.index == place.first + 1:
        return _dotted(place, first)
    if first in ("const", "var", "val") and place.index == place.first + 1 and place.word(place.index + 1) == "=":
        return error("A001", "a value gets its name with `let`", place.span(place.first), "a word of another language",
                     f"write `let {place.text} = ...`", write(place.span(place.first), "let"))  # fmt: skip
    whole = place.span(place.first, len(place.words) - 1).text
    if place.text == "=" and (called(whole) is not None or _METHOD.match(whole)):
        return _dotted(place, place.word(place.index + 1))
    if place.text == "=" and place.index == place.first + 1 and re.fullmatch(r"[A-Za-z_]\w*", first):
        span = place.span(place.first)
        return error("A001", f"a value gets its name with `let`: write `let {first} = ...`", place.span(),
                     "no name is given a value without `let`", f"write `let {first} = ...`; a step's label is"
                     f" written after it, `as {first}`", write(span, f"let {first}"))  # fmt: skip
    return None


def _loop(place: Place) -> tuple[str, Fix] | None:
    """`for i in range(3) { ... }`, whose steps do not ask for i."""
    text = place.source.text
    start = place.words[place.first].start
    head = re.compile(r"for\s+(\w+)\s+in\s+range\(\s*([0-9]+)\s*\)\s*(?=\{)").match(text, start)
    inside = inside_of(place, head.end()) if head else None
    if head is None or inside is None or re.search(rf"\b{head[1]}\b", inside.text):
        return None
    copies = int(head[2])
    if not 1 < copies < 1000 or re.match(r"[ \t]*[^\s;}\]|#]", text[inside.stop + 1 : inside.stop + 101]):
        return None
    body = text[head.end() : inside.stop + 1]
    shown = f"{body} x{copies}" if len(body) < 60 and "\n" not in body else f"{{ ... }} x{copies}"
    return f"write `{shown}`", Fix(Span(place.source, start, inside.stop + 1), f"{body} x{copies}", f"write `{shown}`")


def _dotted(place: Place, first: str) -> Diagnostic:
    """`nn.Conv2d(3, 64, 3)`: the step that it is, or at least what the layer is called."""
    whole = place.span(place.first, len(place.words) - 1)
    call = called(whole.text)
    if call is not None and whole.text[call.stop :].lstrip()[:1] in ("", ";", "|", "}", "]"):
        whole = Span(whole.source, whole.start, whole.start + call.stop)
    found, fix = python_call(whole.text), None
    if found is not None and found.is_known(LAYERS):
        here = found.text
        hint = f"write `{here}` for the layer"
        # Which steps make the tensors that are joined, only their labels would tell.
        fix = None if call is not None and joined_tensors(call) else Fix(whole, here, f"write `{here}`")
        hint = hint if fix else f"write `{here}`, and label those steps: `as a`"
    elif call is None:
        hint = "write a layer alone, as in `conv3-64`"
    elif (word := layer_word(call.name) or plain_name(call.name)) in LAYERS:
        hint = f"the layer is called `{word}` here"
    else:
        nearest = absent(call.name) or "`archdsl layers` lists what there is"
        hint = f"there is no layer called `{call.name}`; {nearest}"
    dot = place.span(place.index + 2 if place.text == "=" else None)
    return error("A001", f"`{first}.` looks like Python: here the layers themselves are listed", dot,
                 "a step has no dots", hint, fix)  # fmt: skip
