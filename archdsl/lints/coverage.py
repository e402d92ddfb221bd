"""L104: pixels between windows that nothing reads. L105: rows at the end that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archdsl.diagnostics import Diagnostic
from archdsl.lints.facts import Facts
from archdsl.network import Node
from archdsl.ops._window import extent_of
from archdsl.symbolic import known

SLIDING = ("conv", "dwconv", "maxpool", "avgpool")
LINES = ("row", "column")


def gaps(facts: Facts) -> Iterator[Diagnostic]:
    """`maxpool2/3`: the window is smaller than its step. A window of 1 picks pixels, and says so."""
    for index, node in enumerate(facts.nodes):
        if node.kind not in SLIDING:
            continue
        op: Any = node.op
        for extent, stride, line in zip(_extents(op), op.stride, LINES, strict=True):
            if 1 < extent < stride:
                yield facts.remark(
                    "L104",
                    index,
                    f"a window of {extent} that moves by {stride} leaves {stride - extent} of every "
                    f"{stride} {line}s out",
                    label="what lies between two windows is never read",
                    hint=f"take a window of at least {stride}, or a stride of at most {extent}",
                )
                break


def left_over(facts: Facts) -> Iterator[Diagnostic]:
    """`maxpool` of 7x7: the windows stop before the end. Rows of padding may be left over."""
    for index, node in enumerate(facts.nodes):
        if node.kind not in SLIDING:
            continue
        left = [_unread(node, facts.input_of(node), axis) for axis in (0, 1)]
        if not any(left):
            continue
        parts = [f"{_count(many, line)}" for many, line in zip(left, LINES, strict=True) if many]
        height, width = facts.input_of(node).shape[1:]
        are = "is" if sum(left) == 1 else "are"
        yield facts.remark(
            "L105",
            index,
            f"the last {' and the last '.join(parts)} of {height}x{width} {are} never read",
            label="its windows stop before the end",
            notes=tuple(node.op._sliding.lines((height, width), node.shape[1:])),  # type: ignore[attr-defined]
            hint="`ceil=true` lets a last window hang over the edge, `p=same` centres them"
            if node.kind.endswith("pool")
            else "padding at the end reads them too: `p=same`, or a border of one with p=1",
        )


def _extents(op: Any) -> tuple[int, int]:
    return extent_of(op.kernel, getattr(op, "dilation", (1, 1)))


def _count(many: int, line: str) -> str:
    return line if many == 1 else f"{many} {line}s"


def _unread(node: Node, before: Node, axis: int) -> int:
    """How many pixels at the end of an axis no window reaches."""
    op: Any = node.op
    size = before.shape[1 + axis]
    extent, stride = _extents(op)[axis], op.stride[axis]
    if op.padding == "same" or not known(size) or extent == 1 or extent < stride:
        return 0
    count = node.shape[1 + axis]
    assert known(count)
    reached = (count - 1) * stride + extent - op.padding[2 * axis]
    if before.kind == "pad":  # its border is padding as well
        border: Any = before.op
        size -= border.padding[2 * axis + 1]
    return max(0, size - reached)
