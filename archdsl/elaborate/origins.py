"""How a size came about: the step that set it, the arithmetic, and what would have given another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from archdsl import syntax
from archdsl.diagnostics import Fix
from archdsl.network import Node
from archdsl.ops.base import Op, Shape, ShapeError, written
from archdsl.source import Span
from archdsl.symbolic import Dim, known

MOST_SIZES = 7
"""Sizes that a note lists of the way through a network."""


def set_size(nodes: Sequence[Node], index: int) -> int:
    """The node that gave the height and width that one has: it, or one before it."""
    while nodes[index].inputs and nodes[index].shape[1:] == nodes[nodes[index].inputs[0]].shape[1:]:
        if len(nodes[index].shape) != len(nodes[nodes[index].inputs[0]].shape):
            break
        index = nodes[index].inputs[0]
    return index


def set_channels(nodes: Sequence[Node], index: int) -> int:
    """The node that gave the channels that one has."""
    while nodes[index].inputs and nodes[index].shape[:1] == nodes[nodes[index].inputs[0]].shape[:1]:
        if nodes[index].kind == "conv":
            break
        index = nodes[index].inputs[0]
    return index


def made_vector(nodes: Sequence[Node], index: int) -> int:
    """The node that made a vector of an image."""
    while nodes[index].inputs and len(nodes[nodes[index].inputs[0]].shape) == 1:
        index = nodes[index].inputs[0]
    return index


def the_way(nodes: Sequence[Node], index: int) -> str:
    """The sizes of the image on its way to a node, `32x32 -> 16x16 -> 8x8`; "" where there are fewer than three."""
    sizes: list[Shape] = []
    while True:
        shape = nodes[index].shape
        if len(shape) == 3 and (not sizes or sizes[-1] != shape[1:]):
            sizes.append(shape[1:])
        if not nodes[index].inputs:
            break
        index = nodes[index].inputs[0]
    sizes.reverse()
    texts = [written(size) for size in sizes]
    if len(texts) > MOST_SIZES:
        texts[2 : len(texts) - MOST_SIZES + 3] = ["..."]
    return " -> ".join(texts) if len(texts) > 2 else ""


def arithmetic(nodes: Sequence[Node], index: int) -> str:
    """How a node's height and width follow from its input's: `(112 + 2*0 - 3) // 2 + 1 = 55`."""
    node = nodes[index]
    sliding = getattr(node.op, "_sliding", None)
    if sliding is None or not node.inputs or len(node.shape) != 3:
        return ""
    return "; ".join(sliding.lines(nodes[node.inputs[0]].shape[1:], node.shape[1:]))


def step_text(step: syntax.Step) -> str:
    """A step as written, without label, repeat and contract; cut where it is long."""
    if step.head is None:
        return "{ ... }"
    stop = step.head.span.stop
    for part in (step.width, step.stride):
        stop = part.span.stop if part is not None else stop
    text = Span(step.span.source, step.head.span.start, stop).text
    if step.arguments:
        inside = Span(step.span.source, step.arguments[0].span.start, step.arguments[-1].span.stop).text
        text += f"({' '.join(inside.split())})" if len(inside) < 40 else "(...)"
    return text


MOST_PADDING = 16
"""The largest padding that is proposed: no published network has a larger one."""


def remedies(op: Op, shape: Shape, wanted: tuple[Dim | None, ...]) -> Iterator[tuple[str, str]]:
    """One argument and a value for it that would give the wanted height and width."""
    if getattr(op, "_sliding", None) is None:
        return
    extent = max(op.window(shape).extent)  # type: ignore[type-var]
    for field, text, value in (
        *(("padding", str(p), (p,) * 4) for p in range(min(extent // 2, MOST_PADDING) + 1 if known(extent) else 0)),
        ("padding", "same", "same"),
        *(("ceil", "true", True),) * ("ceil" in type(op).model_fields),
        *(("stride", str(s), (s, s)) for s in (1, 2, 3, 4)),
    ):
        try:
            got = type(op)(**dict(op) | {field: value}).infer(shape)
        except (ShapeError, ValidationError):
            continue
        if all(w is None or w == g for w, g in zip(wanted, got[1:], strict=True)):
            yield field, text


def with_argument(step: syntax.Step, field: str, text: str) -> tuple[Fix, str] | None:
    """The edit that gives a step an argument, and the step as it is then."""
    if not isinstance(step.head, syntax.Name):
        return None
    source = step.span.source
    stop = step.head.span.stop
    for part in (step.width, step.stride):
        stop = part.span.stop if part is not None else stop
    if field == "stride":
        if step.repeat is not None and step.repeat.stride is not None:
            return None
        if step.stride is not None:
            if not isinstance(step.stride, syntax.Number):
                return None
            fix = Fix(step.stride.span, text, "")
        else:
            fix = Fix(Span(source, stop, stop), f"/{text}", "")
    else:
        short = {"padding": "p"}.get(field, field)
        for argument in step.arguments or ():
            if argument.name is not None and argument.name.name in (field, short):
                fix = Fix(argument.value.span, text, "")
                break
        else:
            if step.arguments:
                end = step.arguments[-1].span.stop
                fix = Fix(Span(source, end, end), f", {short}={text}", "")
            elif step.arguments is None:
                fix = Fix(Span(source, stop, stop), f"({short}={text})", "")
            else:
                return None
    end = source.text.index(")", step.arguments[-1].span.stop) + 1 if step.arguments else stop
    start = step.head.span.start
    then = (
        source.text[start : fix.span.start] + fix.text + source.text[fix.span.stop : max(end, fix.span.stop)]
    )
    then = " ".join(then.split())
    return Fix(fix.span, fix.text, f"write `{then}`"), then


def unwritten(step: syntax.Step, op: Op, error: ShapeError) -> Fix | None:
    """The edit that gives a layer the argument that it should have, where it is the step's own or one that the step
    carries: `gn` is `gn(8)`, and `norm=gn(32)` is `norm=gn(8)`. None where it is said elsewhere, as in a default."""
    if op.positional[:1] != (error.argument,):
        return None
    own = [step.head.span] if isinstance(step.head, syntax.Name) and step.arguments is None else []
    for span in (*own, *(argument.value.span for argument in step.arguments or ())):
        found = re.fullmatch(rf"{op.syntax}(?:(\((?:{error.argument}\s*=\s*)?)\d+(,.*|)\))?", span.text)
        if found:
            then = f"{op.syntax}{found[1] or '('}{error.instead}{found[2] or ''})"
            return Fix(span, then, f"write `{then}`")
    return None
