"""Repeats: `xN` on a line of its own, glued to a number, without one."""

from __future__ import annotations

import re

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.source import Span
from archdsl.syntax_errors.place import COPIES, Place, error, write

_COPIES = 16  # more of them are seldom meant, and an edit would silently make a deep network


def dangling_repeat(place: Place) -> Diagnostic | None:
    """`x2` on a line of its own."""
    if place.index != place.first or not COPIES.fullmatch(place.text):
        return None
    span = place.span()
    text = place.source.text
    before = text[: span.start].rstrip(" \t\r\n;")
    last_line = before[before.rfind("\n") + 1 :]
    gap = Span(place.source, len(before), span.stop)
    fix = None
    if before and before[-1] not in "{[|(" and "#" not in last_line:
        fix = Fix(gap, f" {place.text}", "put it on the step's line")
        return error("A005", f"`{place.text}` repeats the step before it: write it on the same line", span,
                     "no step before it on this line", f"write `... {place.text}` after the step", fix)  # fmt: skip
    hint = "write the step first: `conv3-64 x2`"
    return error("A005", f"`{place.text}` repeats the step before it: write it on the same line", span,
                 "no step before it", hint)  # fmt: skip


def glued_repeat(place: Place) -> Diagnostic | None:
    """`conv3-64x2`"""
    found = re.fullmatch(r"([0-9][0-9_]*)(x[0-9]+)((?:x[0-9A-Za-z_]+)*)", place.text)
    if found is None or place.before not in ("-", "/"):
        glued = re.fullmatch(r"([0-9][0-9_]*)x", place.text)
        if glued and place.before in ("-", "/") and place.word(place.index + 1) != "(":
            return error("A006", f"`{place.text}` runs a number and a repeat together, and the repeat has no number",
                         place.span(), "a number ends where a letter starts", f"write `{glued[1]} x2`")  # fmt: skip
        if glued and place.before in ("-", "/") and place.word(place.index + 1) == "(":
            span = place.span()
            text = f"{glued[1]} x"
            return error("A006", f"`{place.text}(` runs a number and a repeat together", span,
                         "a number ends where a letter starts", f"write `{text}(...)`", write(span, text))  # fmt: skip
        return None
    span = place.span()
    number, copies, more = found.groups()
    head = place.source.text[place.words[place.first].start : span.start]
    if more:
        text = f"{head}... -> {place.text}"
        return error("A006", f"`{place.text}` is no width: a shape stands after `->`", span, "a shape glued on",
                     f"write `{text}`")  # fmt: skip
    whole = f"{head}{number} {copies}"
    if int(copies[1:]) > _COPIES:
        return error("A006", f"`{place.text}` runs a number and a repeat together, or is half of a shape", span,
                     "a number ends where a letter starts",
                     f"write `{whole}` for {copies[1:]} copies; a shape stands after `->`")  # fmt: skip
    return error("A006", f"`{place.text}` runs a number and a repeat together: write `{whole}`", span,
                 "a number ends where a letter starts", f"write `{whole}`", write(span, f"{number} {copies}"))  # fmt: skip


def repeat_without_number(place: Place) -> Diagnostic | None:
    """`conv3-64 x`, `x 2`, `xn`"""
    if not place.step_is_whole() or "COPIES" not in place.expected:
        return None
    if place.text == "x":
        following = place.word(place.index + 1)
        if following.isdigit():
            span = place.span(place.index, place.index + 1)
            return error("A001", f"a repeat is written in one piece: `x{following}`", span, "a blank after the x",
                         f"write `x{following}`", write(span, f"x{following}"))  # fmt: skip
        if following == "(":
            span = place.span(place.index, place.index + 1)
            return error("A001", "a repeat is written in one piece: `x(...)`", span, "a blank after the x",
                         "write `x(...)`", write(span, "x("))  # fmt: skip
        return error("A001", "`x` needs a number: `x2`", place.span(), "a number is missing after the x",
                     "write `x2`, or `x(n)` for a computed number")  # fmt: skip
    found = re.fullmatch(r"x([A-Za-z_]\w{0,9})", place.text)
    following = place.word(place.index + 1)
    if found and not place.glued() and following in ("", ";", "}", "]", "|", "/", "as", "->"):
        text = f"x({found[1]})"
        return error("A001", f"a repeat by a name stands in parentheses: `{text}`", place.span(), "reads as a name",
                     f"write `{text}`, or `;` if it is a step of its own", write(place.span(), text))  # fmt: skip
    return None
