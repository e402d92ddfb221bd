"""L113 (group reach): layers that see the whole image from every place."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostics import Diagnostic
from archdsl.lints.facts import Facts
from archdsl.symbolic import known


def check(facts: Facts) -> Iterator[Diagnostic]:
    """The first conv whose receptive field is larger than the input: what follows adds depth, and no context.
    Most published networks go far beyond."""
    shape = facts.nodes[0].shape
    if len(shape) != 3 or not all(known(size) for size in shape):
        return
    for index, node in enumerate(facts.nodes):
        if node.kind not in ("conv", "dwconv") or node.op.kernel == (1, 1):  # type: ignore[attr-defined]
            continue
        height, width = node.extent
        if known(height) and known(width) and height > shape[1] and width > shape[2]:
            yield facts.remark(
                "L113",
                index,
                "from here on every position sees more than the whole input: "
                f"{height}x{width} of {shape[1]}x{shape[2]}",
                label=f"receptive field {max(height, width)}",
                hint="windows after this add depth, and no context",
            )
            return
