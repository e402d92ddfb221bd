"""Steps that run together, or whose parts stand in another order."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.source import Span
from archdsl.syntax_errors.place import COPIES, Place, error, write

COMBINATORS = ("residual", "aux", "carry")


def comma_between_steps(place: Place) -> Diagnostic | None:
    """`conv3-64, relu`"""
    if place.text != "," or not place.step_is_whole():
        return None
    return error("A002", "steps are separated by `;`, not by a comma", place.span(), "a comma between two steps",
                 "write `;`", write(place.span(), ";"))  # fmt: skip


def parts_out_of_order(place: Place) -> Diagnostic | None:
    """`conv3-64 as a x2`"""
    if not place.step_is_whole() or place.word(place.first) in (
        "input",
        "output",
        "let",
        "use",
        "expect",
        "default",
    ):
        return None
    if (
        place.text == "x"
        or place.text in ("(", "{", "[", "-", "/", "as", "->")
        or COPIES.fullmatch(place.text)
    ):
        if COPIES.fullmatch(place.text) and any(
            COPIES.fullmatch(w.text) for w in place.words[place.first : place.index]
        ):
            return error("A001", "this step already has its repeat", place.span(), "a second repeat",
                         f"group what is repeated: `{{ ... }} {place.text}`")  # fmt: skip
        moved = _moved_forward(place)
        if moved is not None:
            return moved
        return error("A001", f"`{place.text}` does not fit at this place of a step", place.span(), "out of order",
                     "the parts of a step come in this order: name-width/stride(args){body} xN as label -> shape")  # fmt: skip
    return None


def _moved_forward(place: Place) -> Diagnostic | None:
    """`pair(64)/2`: a width or stride after the arguments, where it stands before them."""
    value = place.word(place.index + 1)
    if place.before != ")" or place.text not in ("-", "/") or not re.fullmatch(r"[0-9]+|[A-Za-z_]\w*", value):
        return None
    opened = place.index - 1
    depth = 0
    while opened > place.first:
        depth += (place.word(opened) == ")") - (place.word(opened) == "(")
        if depth == 0:
            break
        opened -= 1
    if opened != place.first + 1 and place.word(opened - 1) in ("-", "/"):
        return None  # `conv3-(4*k)-8`: arithmetic
    source = place.source
    start, middle, end = place.words[place.first].start, place.words[opened].start, place.words[place.index].start
    span = place.span(place.index, place.index + 1)
    text = source.text[start:middle] + span.text + source.text[middle:end].rstrip()
    kind = "width" if place.text == "-" else "stride"
    return error("A001", f"a {kind} stands before the arguments", span, "out of order", f"write `{text}`",
                 Fix(Span(source, start, span.stop), text, f"write `{text}`"))  # fmt: skip


def two_steps(place: Place) -> Diagnostic | None:
    """`conv3-64 relu`"""
    if not place.step_is_whole() or place.glued() and place.before not in (")", "]", "}"):
        return None
    if not re.match(r"[A-Za-z_@{]", place.text) or place.text in ("as", "else"):
        return None
    if place.word(place.first) == "output" and place.text.startswith("@"):
        fix = Fix(place.gap(), ", ", "insert `,`")
        return error("A001", "labels are separated by a comma", place.span(), "`,` is missing before this",
                     "write `output @c3, @c4`", fix)  # fmt: skip
    if place.before in COMBINATORS and place.index == place.first + 1 and place.text != "{":
        last = place.index
        while place.word(last + 1) not in ("", ";", "}", "]", "|"):
            last += 1
        span = place.span(place.index, last)
        return error("A001", f"the steps of `{place.before}` stand in braces", span, "not in braces",
                     f"write `{place.before} {{ {span.text} }}`", write(span, f"{{ {span.text} }}"))  # fmt: skip
    left = place.source.text[place.words[place.first].start : place.gap().start]
    shown = f"`{left}; {place.text}`" if len(left) <= 30 else f"`;` before `{place.text}`"
    return error("A002", f"there is no separator before `{place.text}`", place.span(), "a new step starts here",
                 f"put `;` or a newline between two steps: write {shown}", Fix(place.gap(), "; ", "insert `;`"))  # fmt: skip


def missing_comma(place: Place) -> Diagnostic | None:
    """`inception(64 96)`"""
    if (
        not place.in_parentheses()
        or "COMMA" not in place.expected
        or not re.match(r"[A-Za-z0-9_@]", place.text)
    ):
        return None
    return error("A001", f"there is no comma before `{place.text}`", place.span(), "a new value starts here",
                 "separate arguments with a comma", Fix(place.gap(), ", ", "insert `,`"))  # fmt: skip


def branches_without_merge(place: Place) -> Diagnostic | None:
    """`[ a | b ]` with no `concat` before it."""
    if place.text == "|":
        return error("A001", "`|` separates branches, and only inside [ ]", place.span(), "not inside [ ]",
                     "write `concat [ a | b ]`; for `or`, write `or`")  # fmt: skip
    if place.text == "[" and place.index == place.first:
        start = place.span().start
        fix = Fix(Span(place.source, start, start), "concat ", "merge with concat")
        return error("A001", "branches need a merge before their `[`", place.span(), "no merge before this",
                     "write `concat [ a | b ]`, or add, mul, mean, maximum", fix)  # fmt: skip
    return None


def goes_on_from_the_line_before(place: Place) -> Diagnostic | None:
    """`-> 64x8x8` at the start of a line."""
    if place.index != place.first or place.text not in ("-", "/", "->", "as", "+", "*", ",", "."):
        return None
    return error("A001", f"`{place.text}` goes on with a step, and none stands before it on this line", place.span(),
                 "starts a line", "a newline ends a step: write the whole step on one line")  # fmt: skip
