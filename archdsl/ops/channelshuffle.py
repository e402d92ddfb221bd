"""`channelshuffle`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._convolution import divisors_around, undivided
from archdsl.ops.base import Lowering, Module, Op, Positive, Shape, image
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
            raise undivided(
                self.groups, channels, "input channels", divisors_around(self.groups, channels)
            )
        return x

    def lower(self, x: Shape) -> Lowering:
        return Module("torch.nn.ChannelShuffle", (self.groups,))
