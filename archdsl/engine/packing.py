"""Weights of one engine: folded in float64, cast once, and laid out as oneDNN wants them.

All plans share them. A plan for another batch packs anew only where oneDNN asks for another layout there, from
what is packed already: weights are held once, not plain and packed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from archdsl.engine.long_sums import cut, joined
from archdsl.engine.winograd import Winograd, combined, original
from archdsl.passes._kernel import Stage
from archdsl.passes.weights import State, as_given, weights_of

_onednn = torch.ops.mkldnn


class Weights:
    """The weights of a model as they were when this was made. For one thread at a time."""

    def __init__(self, state: State, dtype: torch.dtype) -> None:
        self.state: State | None = state
        self.dtype = dtype
        self.kept: dict[int, dict[str, torch.Tensor]] = {}
        self.packed: dict[int, list[torch.Tensor]] = {}
        self.owners: dict[int, Stage] = {}  # ids stay theirs
        self.stages: dict[int, Stage] = {}

    def stage_of(self, node: int, make: Callable[[], Stage]) -> Stage:
        """The stage of a node that is a layer by itself: one object for all plans."""
        return self.stages.setdefault(node, make())

    def close(self) -> None:
        """The first plan is made: from here on nothing of the model is needed."""
        self.state = None

    def held(self, stage: Stage) -> str | None:
        """In which form the weights of an earlier plan's stage are: packed, plain, or not there yet."""
        if self.packed.get(id(stage)):
            return "packed"
        return "plain" if id(stage) in self.kept else None

    def plain(self, stage: Stage) -> dict[str, torch.Tensor]:
        """By name, in the engine's dtype."""
        found = self._folded(stage)
        return {name: value.to(self.dtype) for name, value in found.items()}

    def affine(self, stage: Stage, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(scale, shift) in float32, a number for each channel."""
        found = self._folded(stage)
        scale, shift = (found[name].expand(channels).contiguous() for name in ("scale", "shift"))
        return scale, shift

    def bias(self, stage: Stage, *, merging: bool = False) -> torch.Tensor | None:
        """In float32, which oneDNN adds before it rounds; not where it merges with another tensor too."""
        bias = self._folded(stage).get("bias")
        return bias.to(self.dtype) if merging and bias is not None else bias

    def convolution(self, stage: Stage, *window: Any, transposed: bool = False) -> torch.Tensor:
        """Packed. window: padding, stride, dilation, groups and the size of what comes in."""
        pack = _onednn._reorder_convolution_weight
        if transposed:  # whose packed form can't be unpacked
            pack = _onednn._reorder_convolution_transpose_weight
            if self.packed.get(id(stage)):
                return self.packed[id(stage)][0]
        return self._pack(stage, lambda weight: pack(_original(stage.op, weight), *window))

    def cut(self, stage: Stage, sums: int, *window: Any) -> torch.Tensor:
        """Packed, of a convolution whose sums are cut."""
        pack = _onednn._reorder_convolution_weight
        return self._pack(stage, lambda weight: pack(cut(_original(stage.op, weight), sums).contiguous(), *window))

    def terms(self, stage: Stage, way: Winograd, *window: Any) -> torch.Tensor:
        """Packed, of the convolution between the products."""
        pack = _onednn._reorder_convolution_weight
        op: Any = stage.op

        def of(weight: torch.Tensor) -> torch.Tensor:
            is_terms = len(weight) == way.groups * op.channels
            terms = weight if is_terms else combined(_original(op, weight), way.parts)
            return pack(terms.reshape(*terms.shape[:2], *way.kernel(op.kernel[0])), *window)

        return self._pack(stage, of)

    def linear(self, stage: Stage, rows: int) -> torch.Tensor:
        """Packed, of an fc or a 1x1 convolution."""
        return self._pack(stage, lambda weight: _onednn._reorder_linear_weight(weight.flatten(1), rows))

    def _pack(self, stage: Stage, pack: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        before = self.packed.setdefault(id(stage), [])
        weight = before[0].to_dense() if before else self._folded(stage)["weight"]
        packed = pack(weight.to(self.dtype).contiguous())
        for other in before:
            if _same_layout(packed, other):
                return other
        before.append(packed)
        self.kept[id(stage)].pop("weight", None)
        return packed

    def _folded(self, stage: Stage) -> dict[str, torch.Tensor]:
        """What is left plain of a stage's weights: float32 for what is small, the engine's dtype for weights."""
        if id(stage) not in self.kept:
            assert self.state is not None
            self.owners[id(stage)] = stage
            found = as_given(stage, self.state) or weights_of(stage, self.state)
            self.kept[id(stage)] = {
                name: value.to(self.dtype if value.dim() > 1 else torch.float32, copy=True)
                for name, value in found.items()
            }
        return self.kept[id(stage)]


def _original(op: Any, weight: torch.Tensor) -> torch.Tensor:
    """Of a convolution, also where only its terms are held, or it is cut."""
    if op.syntax != "conv" or len(weight) == op.channels:
        return weight
    if tuple(weight.shape[2:]) == op.kernel:
        return joined(weight, op.channels)
    return original(weight.flatten(2), op.channels)


def _same_layout(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one.shape != two.shape or one.is_mkldnn != two.is_mkldnn:
        return False
    if not one.is_mkldnn:
        return True
    return torch.equal(_onednn._get_mkldnn_serialized_md(one), _onednn._get_mkldnn_serialized_md(two))
