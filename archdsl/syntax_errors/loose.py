"""Arguments that stand behind their step, without parentheses."""

from __future__ import annotations

import re
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.ops import LAYERS
from archdsl.ops.base import Op
from archdsl.source import Span
from archdsl.syntax_errors.place import Place, error
from archdsl.words import argument_word

_HEAD = re.compile(r"([A-Za-z_]\w*)(?:-\w+)?(/\w+)?")
_ARGUMENT = re.compile(r"([A-Za-z_]+) *(?:= *([A-Za-z0-9_.]+)|([0-9][0-9.]*))|(same|valid)")
_STRIDES = ("stride", "strides", "s")


def layer_called(word: str) -> type[Op] | None:
    """The layer of a step's name, which a kernel may follow: `conv`, `conv3`."""
    return LAYERS.get(word) or LAYERS.get(re.sub(r"[0-9]+(x[0-9]+)?$", "", word))


class _Given(NamedTuple):
    field: str
    text: str
    value: str


def loose_arguments(place: Place) -> Diagnostic | None:
    """`conv3-64, stride 2`, `conv3-64 stride=2`, `conv3-64 p1`, `conv3-64 same`"""
    if not place.step_is_whole():
        return None
    last = place.end_of_step(place.index)
    start = place.words[place.first].start
    head = _HEAD.fullmatch(place.source.text[start : place.gap().start])
    layer = layer_called(head[1]) if head else None
    if head is None or layer is None:
        return None
    given = _arguments(layer, place.span(place.index, last).text)
    fields = [one.field for one in given]
    if not given or len(set(fields)) < len(fields) or (head[2] and "stride" in fields):
        return None
    stride = "".join(f"/{one.value}" for one in given if one.field == "stride")
    rest = ", ".join(one.text for one in given if one.field != "stride")
    more = stride + (f"({rest})" if rest else "")
    span = place.span(place.index, last)
    what = "a stride stands after a `/`" if not rest else "arguments stand in parentheses"
    return error("A001", f"{what}, straight after the step", span, "not part of the step", f"write `{head[0]}{more}`",
                 Fix(Span(place.source, place.gap().start, span.stop), more, f"write `{head[0]}{more}`"))  # fmt: skip


def _arguments(layer: type[Op], text: str) -> list[_Given]:
    """Arguments that stand side by side; none where a part is something else."""
    found, at = [], 0
    for match in re.finditer(rf"[\s,]*(?:{_ARGUMENT.pattern})(?=[\s,]|$)", text):
        if match.start() != at:
            return []
        at = match.end()
        name, value = (match[1], match[2] or match[3]) if match[1] else ("p", match[4])
        field = _field(layer, name)
        if field is None:
            return []
        short = next((short for short, long in layer.short.items() if long == field), field)
        found.append(_Given(field, f"{short}={value}", value))
    return found if not text[at:].strip(" ,") else []


def _field(layer: type[Op], name: str) -> str | None:
    fields = layer.model_fields
    if name in _STRIDES:
        return "stride" if "stride" in fields else None
    field = layer.short.get(name, name)
    field = field if field in fields else argument_word(name, tuple(fields)) or ""
    return field if field and field not in ("channels", "kernel") else None
