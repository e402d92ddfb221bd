"""A whole picture: the network between its input and its outputs, and what the colours and bars mean."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.draw.chains import place_chain
from archdsl.draw.fold import folded, skips_of
from archdsl.draw.layout import END, pill
from archdsl.draw.marks import Edge, Mark, Placed
from archdsl.draw.scene import Scene
from archdsl.draw.tree import Box, items
from archdsl.draw.untangle import untangled
from archdsl.headroom import deep_recursion

MARGIN = 16.0


@dataclass(frozen=True, slots=True)
class Picture:
    """width, height: in pixels. most: MACs of the box that has the most; None where there are no numbers."""

    scene: Scene
    width: float
    height: float
    marks: tuple[Mark, ...]
    kinds: tuple[str, ...]
    most: int | None

    def share(self, box: Box) -> float:
        """Of the most MACs that a box of the picture has."""
        macs = box.costs[1]
        return macs / self.most if self.most and isinstance(macs, int) else 0.0


def picture(scene: Scene) -> Picture:
    """Everything at its place, the left upper corner at (0, 0)."""
    with deep_recursion():
        whole = _whole(scene)
        marks = list(whole.all_marks(whole.left + MARGIN, MARGIN))
    boxes = [item for item in items(scene.chain) if isinstance(item, Box)]
    macs = [box.costs[1] for box in boxes if isinstance(box.costs[1], int)]
    return Picture(
        scene=scene,
        width=whole.left + whole.right + 2 * MARGIN,
        height=whole.height + 2 * MARGIN,
        marks=tuple(marks),
        kinds=tuple(sorted({box.kind for box in boxes})),
        most=max(macs, default=0) or None,
    )


def _whole(scene: Scene) -> Placed:
    network = scene.network
    start = pill("input", network.input)
    if scene.end is None:
        inner = place_chain(untangled(scene.chain), {}, inside=True, ends=True)
        left, right = max(start.left, inner.left), max(start.right, inner.right)
        return Placed(left, right, END + inner.height, {}, [], [(0.0, 0.0, start), (0.0, END, inner)])
    end = pill(scene.end, network.nodes[scene.chain.leaves].shape)
    skips = skips_of(scene.chain)
    if skips:
        return folded(scene.chain, skips, start, end)
    inner = place_chain(untangled(scene.chain), {}, inside=True)
    bottom = END + inner.height + END / 2
    parts = [(0.0, 0.0, start), (0.0, END, inner), (0.0, bottom, end)]
    marks: list[Mark] = [Edge(((0.0, END + inner.height), (0.0, bottom)), scene.chain.leaves)]
    return Placed(
        left=max(start.left, inner.left, end.left),
        right=max(start.right, inner.right, end.right),
        height=bottom + END,
        ports={},
        marks=marks,
        parts=parts,
    )
