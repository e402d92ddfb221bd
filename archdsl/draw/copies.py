"""Copies of a repeat that look the same, of which a picture shows one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archdsl.network import Network, Region


def runs(
    network: Network, copies: Sequence[Region], closed: bool, parted: Sequence[bool]
) -> list[list[Region]]:
    """The copies, in runs of those that are drawn alike. closed: as boxes, which all are; parted: of each copy, whether
    something is drawn right after it."""
    found: list[list[Region]] = []
    before: object = None
    for index, copy in enumerate(copies):
        look = None if closed else _look(network, copy)
        if not found or look != before or parted[index - 1]:
            found.append([])
        found[-1].append(copy)
        before = look
    return found


def without_count(title: str) -> tuple[str, str]:
    """A repeat's step and, where it has one, the first copy's stride: `basic(64) x2/2` is ("basic(64)", "2")."""
    found = re.fullmatch(r"(.*) x\d+(?:/(.*))?", title, re.DOTALL)
    return (found[1], found[2] or "") if found else (title, "")


def _look(network: Network, region: Region) -> tuple[object, ...]:
    """Equal for two copies that are drawn alike: their steps and layers, whatever the sizes."""
    # What is inside a residual says it all; its own arguments may tell the copies' numbers, as a drop path's rate.
    inside = tuple(
        (child.kind if child.kind == "residual" else child.title, _look(network, child))
        for child in region.children
    )
    kinds = tuple(node.kind for node in network.nodes[region.start : region.stop])
    return (region.kind, kinds, inside)
