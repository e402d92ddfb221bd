"""Arithmetic in a width or a stride, which stands in parentheses."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.ops import LAYERS
from archdsl.syntax_errors.loose import layer_called
from archdsl.syntax_errors.place import COPIES, RESERVED, Place, error, write

_OPERATORS = ("+", "-", "*", "/", "//", "%", ".", "**")


def bare_arithmetic(place: Place) -> Diagnostic | None:
    """`conv3-4*f`"""
    # The lexer reads `64//2` as a stride that has no number, so there the step is not whole.
    if (
        place.in_parentheses()
        or place.text not in _OPERATORS
        or not (place.step_is_whole() or place.text == "//")
    ):
        return None
    sign = _sign_before(place)
    if sign is None or place.word(place.first) in ("let", "if", "else", "input"):
        return None
    first = sign + 1
    last = place.index - 1
    at = place.index
    while at < len(place.words) and place.words[at].text in _OPERATORS:
        if place.words[at].text == "/" and at != place.index:
            break  # the stride
        operand = _operand_after(place, at)
        if operand is None:
            break
        last, at = operand, operand + 1
    kind = "width" if place.words[sign].text == "-" else "stride"
    if last < place.index:
        if place.text == "-":
            span = place.span()
            return error("A007", "there is nothing after this `-`", span, "a minus with no number",
                         "remove it, or write arithmetic in parentheses", write(span, ""))  # fmt: skip
        return None
    if place.text == "/" and kind == "stride":
        return None
    if place.text == "**":
        return None
    other = _parts_in_another_order(place, sign, last) or _layers_behind(place, sign, last)
    if other is not None:
        return other
    span = place.span(first, last)
    text = re.sub(r"\s", "", span.text)
    strided = re.fullmatch(r"(\w+)-(s?)([1-9])", text)
    meant = strided and (not _is_given_a_value(place, f"s{strided[3]}") if strided[2] else strided[1].isdigit())
    if strided and meant and kind == "width":
        head = place.source.text[place.words[place.first].start : span.start]
        better = f"{strided[1]}/{strided[3]}"
        hint = f"write `{head}{better}` for a stride" + ("" if strided[2] else f", `{head}({text})` for a difference")
        return error("A007", "a `-` announces a width, and a `/` the stride", span, "a second `-`", hint,
                     write(span, better) if strided[2] else None)  # fmt: skip
    head = place.source.text[place.words[place.first].start : place.words[sign].stop]
    repeat = re.fullmatch(r"(\w+) +\* *([0-9]+)", span.text)
    if repeat and last == len(place.words) - 1:
        return error("A007", "`*` multiplies only inside parentheses", span, f"the {kind} is a number, a name or ( )",
                     f"to multiply, write `{head}({text})`",
                     Fix(span, f"{repeat[1]} x{repeat[2]}", f"write `{head}{repeat[1]} x{repeat[2]}`"))  # fmt: skip
    return error("A007", f"arithmetic stands in parentheses: write `{head}({text})`", span,
                 f"the {kind} is a number, a name or ( )", f"write `{head}({text})`", write(span, f"({text})"))  # fmt: skip


def _parts_in_another_order(place: Place, sign: int, last: int) -> Diagnostic | None:
    """`conv3/2-64`, `conv-3-64`: no arithmetic, where the width would be missing or the kernel."""
    head, one, other = place.word(place.first), place.word(sign + 1), place.word(place.index + 1)
    layer = layer_called(head)
    if layer is None or "channels" not in layer.model_fields or sign != place.first + 1 or place.text != "-":
        return None
    if last != place.index + 1 or place.index != sign + 2:
        return None
    kernelless = head in LAYERS and "kernel" in layer.model_fields
    if place.word(sign) == "/":
        text, message = f"{head}-{other}/{one}", "a width stands before the stride"
    elif kernelless and one.isdigit() and other.isdigit():
        text, message = f"{head}{one}-{other}", "a kernel is written straight after the name"
    else:
        return None
    span = place.span(place.first, last)
    return error("A001", message, span, "out of order", f"write `{text}`", write(span, text))


def _layers_behind(place: Place, sign: int, last: int) -> Diagnostic | None:
    """`conv3-64+bn+relu`, `fc-1000-softmax`: layers joined by a sign, each a step of its own."""
    joined = place.words[place.index : last + 1]
    names = [word.text for word in joined[1::2]]
    if not names or any(word.text not in ("+", "-") for word in joined[::2]):
        return None
    if any(name not in LAYERS or _is_given_a_value(place, name) for name in names):
        return None
    if place.word(sign + 1) in LAYERS and not _is_given_a_value(place, place.word(sign + 1)):
        span = place.span(place.first, last)
        return error("A001", "what follows a convolution is named in its parentheses, or a step of its own", span,
                     "not a width", "write `conv3-64(norm=bn, act=relu)`, or `conv3-64; bn; relu`")  # fmt: skip
    span = place.span(place.index, last)
    behind = place.word(last + 1) not in ("", ";", "}", "]", "|")
    fix = None if behind else write(span, "".join(f"; {name}" for name in names))
    head = place.source.text[place.words[place.first].start : span.start].rstrip()
    return error("A001", "every layer is a step of its own", span, "not part of the step",
                 f"write `{'; '.join([head, *names])}`", fix)  # fmt: skip


def _is_given_a_value(place: Place, name: str) -> bool:
    text = place.source.text
    return bool(re.search(rf"\blet\s+{name}\b|\b(?:arch|block)\s+\w+\s*\([^{{}}]{{0,2000}}\b{name}\b", text))


def _sign_before(place: Place) -> int | None:
    """The `-` or `/` that starts the width or stride which the word at fault goes on with."""
    depth = 0
    for at in range(place.index - 1, place.first, -1):
        token = place.words[at].text
        depth += (token == ")") - (token == "(")
        if depth == 0 and token in ("-", "/"):
            if place.index - at == 2:
                return at
            inside = [word.text for word in place.words[at + 1 : place.index]]
            if len(inside) < 2 or inside[-1] != ")":
                return None
            is_call = inside[0].isidentifier() and inside[1] == "(" and "=" not in inside
            return at if inside[0] == "(" or is_call else None
    return None


def _operand_after(place: Place, at: int) -> int | None:
    """The last word of the operand that follows an operator, if one does."""
    index = at + 1
    while place.word(index) == "-":
        index += 1
    token = place.word(index)
    if token == "(":
        return _matching(place, index)
    if not token or not (token[0].isalnum() or token[0] == "_"):
        return None
    if COPIES.fullmatch(token) or token in RESERVED:
        return None
    if place.word(index + 1) == "(" and token.isidentifier() and place.word(at) != ".":
        return _matching(place, index + 1)
    return index


def _matching(place: Place, index: int) -> int | None:
    depth = 0
    for at in range(index, len(place.words)):
        depth += (place.words[at].text == "(") - (place.words[at].text == ")")
        if depth == 0:
            return at
    return None
