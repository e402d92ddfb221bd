"""`layerscale`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Real, Shape, Weight

HELPER = '''\
class LayerScale(nn.Module):
    """x times a learned factor for each channel, `init` to begin with. (N, C, ...) -> the same."""

    def __init__(self, channels, init):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), init))

    def forward(self, x):
        return x * self.weight.view(-1, *[1] * (x.dim() - 2))
'''


class LayerScale(Pointwise):
    """x times a learned factor for each channel, `init` to begin with (Touvron et al., 2021, "Going deeper").

    At the end of a residual's body, with a small `init`, it lets a deep network begin as nearly the identity:
    ConvNeXt (2022) has `layerscale(1e-6)`.
    """

    syntax: ClassVar = "layerscale"
    positional: ClassVar = ("init",)
    examples: ClassVar = (
        "layerscale: 96x56x56 -> 96x56x56",
        "layerscale(1e-4): 384 -> 384",
    )

    init: Real = 1e-6

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return (Weight("weight", x[:1]),)

    def lower(self, x: Shape) -> Lowering:
        return Module("LayerScale", (*x[:1], self.init), {}, HELPER)
