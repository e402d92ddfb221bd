"""`instancenorm`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops._window import stated_only
from archdsl.ops.base import Lowering, Module, PositiveReal, Shape, ShapeError, Weight, image


class InstanceNorm(Pointwise):
    """Instance normalisation (Ulyanov et al., 2016; torch.nn.InstanceNorm2d).

    y = (x - mean) / sqrt(variance + eps), with the mean and variance of each channel of each image by itself, the same
    in training. `affine=true` gives a channel a weight and a bias of its own. The statistics are of the whole image,
    which the receptive field does not count.
    """

    syntax: ClassVar = "instancenorm"
    fills: ClassVar = "norm"
    examples: ClassVar = (
        "instancenorm: 64x128x128 -> 64x128x128",
        "instancenorm(affine=true, eps=1e-3): 64xHxW -> 64xHxW",
        "instancenorm: 512x1x1 -> error",
        "instancenorm: 10 -> error",
    )

    eps: PositiveReal = 1e-5
    affine: bool = False

    def infer(self, x: Shape) -> Shape:
        _, *sides = image(x, "instancenorm")
        if sides == [1, 1]:
            raise ShapeError(
                "each channel is one number here, of which its own mean leaves nothing",
                code="A204",
                hint="move instancenorm before the step that makes the image 1x1",
            )
        return x

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return (Weight("weight", x[:1]), Weight("bias", x[:1])) if self.affine else ()

    def lower(self, x: Shape) -> Lowering:
        kwargs = stated_only(eps=(self.eps, 1e-5), affine=(self.affine, False))
        return Module("torch.nn.InstanceNorm2d", x[:1], kwargs)
