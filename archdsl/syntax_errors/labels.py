"""Labels that are written otherwise than `as name` after the step."""

from __future__ import annotations

import re

from archdsl.combinators import COMBINATORS
from archdsl.diagnostics import Diagnostic
from archdsl.ops import LAYERS
from archdsl.syntax_errors.place import RESERVED, Place, error, write
from archdsl.syntax_errors.steps import starts_a_step


def label_elsewhere(place: Place) -> Diagnostic | None:
    """`conv3-64 @c1`, `c1: conv3-64`, `c1 = conv3-64`"""
    if place.text.startswith("@") and place.step_is_whole() and not place.glued():
        return _behind(place)
    if place.text in (":", "=") and place.index == place.first + 1:
        return _before(place)
    return None


def _behind(place: Place) -> Diagnostic | None:
    name = place.text[1:]
    before = place.source.text[: place.span().start]
    made = re.search(rf"\bas\s+{name}\b|[(,]\s*@{name}\b", before)  # a label, or a parameter
    merge = place.before in LAYERS and LAYERS[place.before].arity != 1
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or made or merge or place.word(place.first) == "output":
        return None
    return error("A001", "a label is written with `as`", place.span(), "`@` reads a label",
                 f"write `as {name}`", write(place.span(), f"as {name}"))  # fmt: skip


def _before(place: Place) -> Diagnostic | None:
    name, step = place.before, re.match(r"[a-z]+", place.word(place.index + 1))
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or name in RESERVED or step is None:
        return None
    known = step[0] in LAYERS or step[0] in COMBINATORS
    if not known and not (place.text == ":" and starts_a_step(place, place.index + 1)):
        return None
    last = place.end_of_step(place.index + 1)
    if place.text == "=" and name in (word.text for word in place.words[place.index + 2 : last + 1]):
        return error("A001", "steps are listed without their tensors: each goes on from the one before",
                     place.span(place.first, place.index), "not part of a step",
                     "write the layer alone, as in `conv3-64`, and `as name` after it where it is used again")  # fmt: skip
    step_itself = re.sub(r"\bx ([0-9]+)$", r"x\1", place.span(place.index + 1, last).text)
    text = f"{step_itself} as {name}"
    if "{" in text or "[" in text:  # it may go on in other lines
        return error("A001", "a label stands after its step", place.span(place.first, place.index), "before the step",
                     f"write `as {name}` after the step")  # fmt: skip
    return error("A001", "a label stands after its step", place.span(place.first, place.index), "before the step",
                 f"write `{text}`", write(place.span(place.first, last), text))  # fmt: skip
