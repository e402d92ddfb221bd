"""L112: a window part of which only ever sees padding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from archdsl.diagnostics import Diagnostic
from archdsl.lints import channels
from archdsl.lints.facts import Facts
from archdsl.network import Node
from archdsl.symbolic import known
from archdsl.words import BLOCK_WORDS

LONGEST = 1000
"""A longer window is not looked at: checking must stay fast whatever a text says."""


def check(facts: Facts) -> Iterator[Diagnostic]:
    """`conv3-512` on 1x1: eight of its nine weights are multiplied by zeros, and never learn."""
    if any(channels.last(facts)):  # its height is no height
        return
    for index, node in enumerate(facts.nodes):
        if node.kind not in ("conv", "dwconv") or node.op.kernel == (1, 1):  # type: ignore[attr-defined]
            continue
        before = facts.input_of(node)
        height, width = before.shape[1:]
        if not known(height) or not known(width):
            continue
        kernel = node.op.kernel  # type: ignore[attr-defined]
        used = [_used(node, axis, size) for axis, size in enumerate((height, width))]
        if tuple(used) == kernel:
            continue
        place = facts.place(index)
        called = re.match(r"\w*", place.span.text)[0]  # type: ignore[index]
        hint = "a smaller window does the same with fewer weights, or shrink the image less before"
        if place.note and called in BLOCK_WORDS:
            hint = f"`{called}` is a block of convolutions; a fully connected layer is `{BLOCK_WORDS[called]}-10`"
        yield facts.remark(
            "L112",
            index,
            f"only {used[0]}x{used[1]} of this {kernel[0]}x{kernel[1]} window ever meet the image",
            label=f"{height}x{width} comes in, the rest is padding",
            hint=hint,
        )


def _used(node: Node, axis: int, size: int) -> int:
    """How many positions of the window, along one axis, lie within the image somewhere."""
    op: Any = node.op
    kernel, stride, dilation = op.kernel[axis], op.stride[axis], op.dilation[axis]
    count = node.shape[1 + axis]
    assert known(count)
    if op.padding == "same":
        before = max((count - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2
    else:
        before = op.padding[2 * axis]
    # Weight t meets pixel n * stride - before + t * dilation at the n-th place; the last place that is not past the
    # end is the one nearest to it.
    if kernel > LONGEST:
        return int(kernel)
    used = 0
    for t in range(kernel):
        first = t * dilation - before
        last = min(count - 1, (size - 1 - first) // stride)
        used += last >= 0 and first + last * stride >= 0
    return used
