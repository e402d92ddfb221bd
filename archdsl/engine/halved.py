"""Which convolutions run with half of the multiplications (winograd.py): those that gain the most for each byte, while
there is room for the terms of their weights, which are twice as many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from archdsl.engine.sides import sides
from archdsl.engine.winograd import TAPS, TERMS, saving, sums, tiles
from archdsl.network import Network
from archdsl.passes._kernel import CONVOLUTIONS, Step
from archdsl.plan import Plan, plan

THEIRS, OURS, AROUND = 450_000, 70_000, 1_600_000
"""Bytes beside weights that torch keeps of each convolution that differs from the others, an engine of each, and an engine of the
two products around each that differs. Measured as what processes with VGG-16, ResNet-50 and -152, GoogLeNet and Inception v3 hold more than
their weights and tensors."""


def halved(network: Network, batch: int, gain: float, *, even: bool, room: int | None = None) -> dict[str, int]:
    """Into how many sums the products of each such layer are cut, by the layer's name in the state_dict.

    network: fused or not, all its sizes numbers; in float32. gain: as in `saving`. even: whether padding above and below has
    to be the same. room: bytes for their terms beyond those of the weights; unless stated as many as torch's own way to
    run the network would take for other things.
    """
    planned = plan(network, "f32")
    found = []
    for step in _convolutions(planned):
        if step.stage.kind != "conv":
            continue
        op: Any = step.stage.op
        size: Any = step.inputs[0]
        wanted: Any = step.output
        top, bottom, *_ = sides(op, size[1:])
        if even and top != bottom:
            continue
        saved = saving(op, size, wanted, gain)
        if saved is not None:
            found.append(_Found(step.stage.sources[0].name, saved, sums(op, size[0]), op, size, wanted))
    live = planned.live * batch
    left = as_torch(planned, batch) if room is None else room
    taken: dict[str, int] = {}
    around: set[tuple[Any, Any]] = set()
    widest = live
    for each in sorted(found, key=lambda each: -each.saved / (each.more + max(each.between * batch - live, 0))):
        wider = max(each.between * batch, widest)
        needed = each.more + wider - widest + (AROUND if (each.op, each.size) not in around else 0)
        if needed <= left:
            left, widest = left - needed, wider
            taken[each.name] = each.parts
            around.add((each.op, each.size))
    return taken


class _Found(NamedTuple):
    """A convolution that gains. saved: FLOPs; parts: its sums; size, wanted: C, H, W of what comes in and goes out."""

    name: str
    saved: float
    parts: int
    op: Any
    size: Any
    wanted: Any

    @property
    def more(self) -> int:
        """Bytes of its terms beyond those of its weights."""
        return 4 * self.op.kernel[0] * (TERMS - TAPS) * self.size[0] * self.wanted[0]

    @property
    def between(self) -> int:
        """Bytes of an image's terms and their products, which are alive at once."""
        rows = self.size[0] * self.size[1] + self.parts * self.wanted[0] * self.wanted[1]
        return 4 * TERMS * tiles(self.wanted[2]) * rows


def as_torch(planned: Plan, batch: int) -> int:
    """Bytes that torch takes beyond what an engine of the network takes, at a guess on the safe side.

    Of one image torch's tensors are little more than an engine's (35 of 31 MiB in VGG-16), although nothing is fused, and
    it packs weights for each call. Of a batch an engine has slices, a few images at once. Its kernels are held one by
    one, where torch makes those that are alike once.
    """
    steps = list(_convolutions(planned))
    different = {(step.stage.op, step.inputs) for step in steps}
    return max(planned.live * (3 * batch - 2) // 4 + THEIRS * len(different) - OURS * len(steps), 0)


def _convolutions(planned: Plan) -> Iterator[Step]:
    return (step for launch in planned.launches for step in launch.steps if step.stage.kind in CONVOLUTIONS)
