"""`ln`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops._window import stated_only
from archdsl.ops.base import Lowering, Module, PositiveReal, Shape, Weight

HELPER = '''\
class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels, for each position by itself. (N, C, H, W) -> the same."""

    def forward(self, x):
        x = x.movedim(1, -1)
        x = nn.functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.movedim(-1, 1)
'''


class LayerNorm(Pointwise):
    """Layer normalisation over the channels (Ba et al., 2016): of an image, at each position by itself.

    y = (x - mean) / sqrt(variance + eps) * weight + bias, with the mean and variance of the C values of one
    position, or of a vector's features (torch.nn.LayerNorm): the same in training, and no sample sees
    another. ConvNeXt (2022) has `norm=ln(eps=1e-6)`.
    """

    syntax: ClassVar = "ln"
    fills: ClassVar = "norm"
    examples: ClassVar = (
        "ln: 96x56x56 -> 96x56x56",
        "ln(eps=1e-6): 768 -> 768",
        "ln: 96xHxW -> 96xHxW",
    )

    eps: PositiveReal = 1e-5

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return Weight("weight", x[:1]), Weight("bias", x[:1])

    def lower(self, x: Shape) -> Lowering:
        kwargs = stated_only(eps=(self.eps, 1e-5))
        if len(x) == 1:
            return Module("torch.nn.LayerNorm", x, kwargs)
        return Module("LayerNorm2d", x[:1], kwargs, HELPER)
