"""`gn`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._convolution import divisors_around, undivided
from archdsl.ops._pointwise import Pointwise
from archdsl.ops._window import stated_only
from archdsl.ops.base import Lowering, Module, Positive, PositiveReal, Shape, ShapeError, Weight
from archdsl.symbolic import known


class GroupNorm(Pointwise):
    """Group normalisation (Wu & He, 2018; torch.nn.GroupNorm).

    y = (x - mean) / sqrt(variance + eps) * weight + bias, with the mean and variance of all that one sample has in
    a group of C / groups channels, the same in training; weight and bias are the channel's own. 32 groups are the
    paper's. The statistics are of the whole image, which the receptive field does not count.
    """

    syntax: ClassVar = "gn"
    positional: ClassVar = ("groups",)
    fills: ClassVar = "norm"
    examples: ClassVar = (
        "gn: 64x56x56 -> 64x56x56",
        "gn(8, eps=1e-6): 48xHxW -> 48xHxW",
        "gn(4): 128 -> 128",
        "gn: 48x56x56 -> error",
        "gn(8): 8x1x1 -> error",
    )

    groups: Positive = 32
    eps: PositiveReal = 1e-5

    def infer(self, x: Shape) -> Shape:
        channels, *sides = x
        if not known(channels):
            return x
        if channels % self.groups:
            told = () if "groups" in self.model_fields_set else (f"gn has {self.groups} groups unless told otherwise",)
            raise undivided(self.groups, channels, "channels that gn gets", self._would_do(channels), *told)
        if channels == self.groups and all(side == 1 for side in sides):
            raise ShapeError(
                "each group is one number here, of which its own mean leaves nothing",
                "groups",
                code="A204",
                hint=f"groups={self._would_do(channels)[0]} would do" if channels > 1 else "leave gn out here",
                instead=f"{self._would_do(channels)[0]}" if channels > 1 else "",
            )
        return x

    def _would_do(self, channels: int) -> list[int]:
        """Groups of more than one channel each, where there can be such."""
        found = divisors_around(min(self.groups, channels), channels)
        return [n for n in found if n < channels] or [1]

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return Weight("weight", x[:1]), Weight("bias", x[:1])

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.GroupNorm", (self.groups, x[0]), stated_only(eps=(self.eps, 1e-5)))
