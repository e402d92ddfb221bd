"""L103: channels written last. L114: channel counts that a GPU's matrix units don't like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.lints.facts import Facts
from archdsl.source import Span
from archdsl.symbolic import known

TILE = 8
"""Matrix units want 16 bytes, so many half-precision channels, at a time (NVIDIA, "Matrix Multiplication
Background User's Guide"): other counts are padded or take slower kernels."""


def last(facts: Facts) -> Iterator[Diagnostic]:
    """`input 224x224x3`, as Keras and image files have it."""
    node = facts.nodes[0]
    if len(node.shape) != 3 or not all(known(size) for size in node.shape):
        return
    channels, height, width = node.shape
    if width not in (1, 3, 4) or min(channels, height) <= 4:
        return
    sizes = re.search(r"\d+x\d+x\d+$", node.span.text)
    better = f"{width}x{channels}x{height}"
    fix = None
    if sizes is not None:
        place = Span(node.span.source, node.span.start + sizes.start(), node.span.stop)
        fix = Fix(place, better, f"write `input {better}`")
    yield Diagnostic(
        code="L103",
        severity="warning",
        message=f"this input has {channels} channels, and an image of {height}x{width}",
        span=node.span,
        label="channels come first here",
        fix=fix,
    )


def uneven(facts: Facts) -> Iterator[Diagnostic]:
    """A conv or fc whose channels, in each group, are no multiple of 8; an output has the classes it has."""
    for index, node in enumerate(facts.nodes):
        if node.kind not in ("conv", "upconv", "fc") or index in facts.makes_output:
            continue
        groups = getattr(node.op, "groups", 1)
        channels = node.shape[0]
        if not known(channels) or (channels // groups) % TILE == 0:
            continue
        each = channels // groups
        above = -(-each // TILE) * TILE
        of_group = f" in each of {groups} groups" if groups > 1 else ""
        yield facts.remark(
            "L114",
            index,
            f"{each:,} channels{of_group} are no multiple of {TILE}",
            label="slow on matrix units in half precision",
            hint=f"{above:,} is the next multiple, at little more cost"
            if above < 2 * each
            else f"{TILE} is the least",
        )
