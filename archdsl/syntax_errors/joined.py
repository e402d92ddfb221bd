"""Steps that are joined, listed, grouped or repeated by other signs than the language's."""

from __future__ import annotations

import re

from archdsl.combinators import COMBINATORS
from archdsl.diagnostics import Diagnostic, Fix
from archdsl.source import Span
from archdsl.syntax_errors.loose import layer_called
from archdsl.syntax_errors.place import COPIES, RESERVED, Place, error, write
from archdsl.syntax_errors.steps import MERGES, innermost, inside_of, starts_a_step

_REACH = 200  # characters that are looked at before a bracket
_ARROWS = ("\u2192", "\u21d2")
_SIGNS = ("->", "=>", ">>", "|", "+", *_ARROWS)


def steps_joined(place: Place) -> Diagnostic | None:
    """`conv3-64 -> relu -> maxpool`, `conv3-64 | bn | relu`, `residual { relu } + relu`"""
    if not (place.step_is_whole() or place.text == "|" and place.index > place.first and not place.in_parentheses()):
        return None
    if place.word(place.first) in RESERVED:
        return None
    # The first and the last word of each. What stands after the first `->` may have been read as a shape.
    signs = [(i, i) for i in range(place.first, place.index) if place.words[i].text == "->" and _is_step(place, i + 1)]
    at = last = place.index
    while at < len(place.words) and place.words[at].text not in (";", "]", "}"):
        sign = _sign(place, at)
        if sign is not None and _is_step(place, sign + 1):
            signs.append((at, sign))
            at = sign
        last = at
        at += 1
    if not signs or signs[0][0] > place.index or place.text == "|" and _in_branches(place):
        return None
    span = place.span(signs[0][0], signs[-1][1])
    text, source = "", place.source.text
    for (_, stop), following in zip(signs, [*signs[1:], None], strict=True):
        text += ";"
        if following is not None:
            text += source[place.words[stop].stop : place.words[following[0]].start].rstrip()
    before = place.span(signs[0][0] - 1).stop
    shown = place.span(signs[0][0], signs[0][1]).text
    whole = source[place.words[place.first].start : before] + text + source[span.stop : place.words[last].stop]
    return error("A001", f"steps follow one another with `;`, not with `{shown}`", place.span(*signs[0]), "between two steps",
                 f"write `{whole}`", Fix(Span(place.source, before, span.stop), text, f"write `{whole}`"))  # fmt: skip


def arrows(place: Place) -> Diagnostic | None:
    """`conv3-64 \u2192 relu`: no arrow of the language's is meant."""
    return steps_joined(place) if place.text in _ARROWS else None


def _sign(place: Place, at: int) -> int | None:
    """The last word of a sign between two steps that starts here."""
    words = place.words
    if at + 1 < len(words) and words[at].text + words[at + 1].text in _SIGNS and words[at].stop == words[at + 1].start:
        return at + 1
    return at if words[at].text in _SIGNS else None


def _is_step(place: Place, index: int) -> bool:
    word = place.word(index)
    if place.word(index + 1) == "=" and place.word(index + 2) == ">":
        return layer_called(word.lower()) is not None
    return word not in RESERVED and starts_a_step(place, index)


def _in_branches(place: Place) -> bool:
    """Whether a `|` may have been meant to part branches: anywhere but straight in a definition."""
    opened = innermost(place)
    header = place.source.text[max(opened - _REACH, 0) : max(opened, 0)].rpartition("}")[2]
    definition = re.search(r"\b(?:arch|block)\s+\w+\s*(?:\([^{}]*\))?\s*$", header)
    return opened >= 0 and (place.source.text[opened] != "{" or definition is None)


def listed(place: Place) -> Diagnostic | None:
    """`- conv3-64`: a list's mark before a step."""
    if place.index != place.first or place.text not in ("-", "*", "+") or place.first and place.gap().text:
        return None
    if not starts_a_step(place, place.index + 1):
        return None
    following = place.words[place.index + 1].start
    span = Span(place.source, place.span().start, following)
    step = place.span(place.index + 1, place.end_of_step(place.index + 1)).text
    return error("A001", f"steps are listed without `{place.text}`", place.span(), "before a step",
                 f"write `{step}`", Fix(span, "", f"write `{step}`"))  # fmt: skip


def grouped_by_other_brackets(place: Place) -> Diagnostic | None:
    """`(conv3-64; relu) x2`, `[conv3-64, relu] * 2`"""
    if place.index != place.first or place.text not in ("(", "[") or not starts_a_step(place, place.index + 1):
        return None
    opened = place.span().start
    inside = inside_of(place, opened)
    if inside is None or place.text == "[" and re.search(r"[|{]", inside.text):
        return None
    flat = re.sub(r"\([^()]*\)", lambda found: " " * len(found[0]), inside.text)
    text = "".join(";" if mark == "," else one for one, mark in zip(inside.text, flat, strict=True)).strip()
    copies = re.compile(r".\s*[x*\u00d7]\s*([1-9][0-9]*)(?!\w)").match(place.source.text, inside.stop)
    whole = f"{{ {text} }}" + (f" x{copies[1]}" if copies else "")
    if copies is None and "," in flat:
        hint = f"write `{whole}` for one after another, `concat [ a | b ]` for branches side by side"
        return error("A001", "steps are grouped by braces", place.span(), "not a brace", hint)
    if copies is None and place.text == "[" and not re.search(r"[;\n]", flat):
        return None
    span = Span(place.source, opened, copies.end() if copies else inside.stop + 1)
    return error("A001", "steps are grouped by braces", place.span(), "not a brace", f"write `{whole}`", write(span, whole))


def body_in_parentheses(place: Place) -> Diagnostic | None:
    """`concat(conv1-32, conv3-32(p=1))`, `residual(conv3-64; conv3-64)`"""
    opened = innermost(place)
    start = max(opened - _REACH, 0)
    before = re.search(r"([A-Za-z_]\w*)\s*$", place.source.text[start : max(opened, 0)])
    inside = inside_of(place, opened)
    if before is None or inside is None or place.source.text[opened] != "(" or before[1] not in (*MERGES, "residual"):
        return None
    head, first = before[1], re.match(r"\s*([A-Za-z_]\w*)(?!\s*=)", inside.text)
    if first is None or layer_called(first[1]) is None:
        return None
    flat = re.sub(r"\([^()]*\)|\{[^{}]*\}|\[[^\[\]]*\]", lambda found: " " * len(found[0]), inside.text)
    text, braces = inside.text.strip(), "{}" if head == "residual" else "[]"
    if head != "residual" and "|" not in flat:
        parts = [match.start() for match in re.finditer(",", flat)]
        text = "".join(" |" if at in parts else one for at, one in enumerate(inside.text)).strip()
        if not parts:
            return None
    elif "," in flat:
        return None
    written = f"{head} {braces[0]} {text} {braces[1]}"
    span = Span(place.source, start + before.start(), inside.stop + 1)
    what = "merges branches in square brackets" if braces == "[]" else "has its steps in braces"
    return error("A001", f"`{head}` {what}", Span(place.source, opened, inside.stop + 1), "in parentheses", f"write `{written}`",
                 write(span, written))  # fmt: skip


def repeat_in_front(place: Place) -> Diagnostic | None:
    """`3 x conv3-64`, `2x { ... }`"""
    found = re.fullmatch(r"([1-9][0-9]*)(x?)", place.text)
    if place.index != place.first or found is None:
        return None
    step = place.index + (1 if found[2] else 2)
    if not found[2] and place.word(place.index + 1) not in ("x", "*") or not _is_step(place, step):
        return None
    last = place.end_of_step(step)
    text = place.span(step, last).text
    span, fix, hint = place.span(place.index, step - 1), None, f"write `{{ ... }} x{found[1]}`"
    inside = inside_of(place, place.words[step].start) if place.word(step) == "{" else None
    if inside is not None:
        whole = Span(place.source, span.start, inside.stop + 1)
        fix = Fix(whole, f"{{{inside.text}}} x{found[1]}", hint)
    elif not re.search(r"[{\[]|\bas\b|->|\bx[0-9(]", text):
        fix = write(place.span(place.index, last), f"{text} x{found[1]}")
        hint = f"write `{text} x{found[1]}`"
    return error("A001", "a repeat stands after its step", span, "before the step", hint, fix)


def repeat_in_parentheses(place: Place) -> Diagnostic | None:
    """`conv3-64 (x3)`"""
    closed, opened = place.index + 1, place.index - 1
    if place.before != "(" or not COPIES.fullmatch(place.text) or place.word(closed) != ")" or opened <= place.first:
        return None
    start, span = place.words[opened - 1].stop, place.span(opened, closed)
    return error("A001", "a repeat stands without parentheses", span, "a repeat", f"write `{place.text}`",
                 Fix(Span(place.source, start, span.stop), f" {place.text}", f"write `{place.text}`"))  # fmt: skip


def repeat_by_a_product(place: Place) -> Diagnostic | None:
    """`bottleneck(64) * 3`"""
    number = place.word(place.index + 1)
    if place.text != "*" or not place.step_is_whole() or place.before not in (")", "}", "]"):
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,2}", number) or place.word(place.index + 2) not in ("", ";", "}", "]", "|"):
        return None
    span = place.span(place.index, place.index + 1)
    return error("A001", f"a repeat is written `x{number}`", span, "not a repeat", f"write `x{number}`",
                 Fix(Span(place.source, place.gap().start, span.stop), f" x{number}", f"write `x{number}`"))  # fmt: skip


def tensors_in_arithmetic(place: Place) -> Diagnostic | None:
    """`x + y`, where tensors are added by a step."""
    other = place.word(place.index + 1)
    if place.text not in ("+", "*") or place.index != place.first + 1 or not place.before.isidentifier():
        return None
    if not other.isidentifier() or place.before in COMBINATORS:
        return None
    merge = "add" if place.text == "+" else "mul"
    said = [_branch(place, name) for name in (place.before, other)]
    hint = f"write `{merge} [ {said[0]} | {said[1]} ]`"
    if "input" in (place.before, other):
        hint = f"write `{merge} [ ... | identity ]`, or `residual {{ ... }}`, which adds what comes into it"
    return error("A001", f"tensors are {'added' if merge == 'add' else 'multiplied'} by `{merge}`", place.span(),
                 "not between tensors", hint)  # fmt: skip


def _branch(place: Place, name: str) -> str:
    made = re.search(rf"\bas\s+{name}\b|@{name}\b", place.source.text)
    return f"@{name}" if made else name


def name_of_the_input(place: Place) -> Diagnostic | None:
    """`x = input`"""
    if place.text != "=" or place.index != place.first + 1 or place.word(place.index + 1) != "input":
        return None
    if re.match(r"[0-9]", place.word(place.index + 2)):
        return None
    last = place.end_of_step(place.index)
    return error("A001", "what comes in needs no name: the steps go on from it", place.span(place.first, last),
                 "not a step", "remove it; `residual { ... }` adds what comes in, `identity` is a branch that keeps it")  # fmt: skip
