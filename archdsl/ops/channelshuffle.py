"""`channelshuffle`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._convolution import nearest_groups
from archdsl.ops.base import Lowering, Module, Op, Positive, Shape, ShapeError, image
from archdsl.symbolic import known


class ChannelShuffle(Op):
    """Deal out the channels of each group in turn, so that the next grouped conv sees all (ShuffleNet, 2018).

    (C, H, W) -> the same: channel i comes from channel i % groups * (C / groups) + i // groups
    (torch.nn.ChannelShuffle).
    """

    syntax: ClassVar = "channelshuffle"
    positional: ClassVar = ("groups",)
    examples: ClassVar = (
        "channelshuffle(3): 240x28x28 -> 240x28x28",
        "channelshuffle(3): 64x28x28 -> error",
        "channelshuffle(2): 10 -> error",
    )

    groups: Positive

    def infer(self, x: Shape) -> Shape:
        channels, _, _ = image(x, "channelshuffle")
        if known(channels) and channels % self.groups:
            raise ShapeError(
                f"groups={self.groups} does not divide the {channels} input channels",
                "groups",
                code="A205",
                notes=(f"{channels} = {channels // self.groups}*{self.groups} + {channels % self.groups}",),
                hint=nearest_groups(self.groups, channels),
            )
        return x

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.ChannelShuffle", (self.groups,))
