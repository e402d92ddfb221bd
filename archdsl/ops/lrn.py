"""`lrn`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._window import stated_only
from archdsl.ops.base import Lowering, Module, Op, Positive, Real, Shape, image


class LocalResponseNorm(Op):
    """Local response normalisation across `size` neighbouring channels (AlexNet, 2012).

    y = x / (k + alpha / size * sum of x^2 over the neighbours) ** beta. Here as in torch.nn.LocalResponseNorm
    and Caffe alpha is divided by the size. The AlexNet paper does not divide: its n=5, alpha=1e-4, k=2 are
    written `lrn(5, alpha=5e-4, k=2)`.
    """

    syntax: ClassVar = "lrn"
    fills: ClassVar = "norm"
    positional: ClassVar = ("size",)
    short: ClassVar = {"n": "size"}
    examples: ClassVar = (
        "lrn: 64x56x56 -> 64x56x56",
        "lrn(5, alpha=5e-4, k=2): 96x55x55 -> 96x55x55",
        "lrn: 10 -> error",
    )

    size: Positive = 5
    alpha: Real = 1e-4
    beta: Real = 0.75
    k: Real = 1.0

    def infer(self, x: Shape) -> Shape:
        return image(x, "lrn")

    def lower(self, x: Shape) -> Lowering:
        kwargs = stated_only(alpha=(self.alpha, 1e-4), beta=(self.beta, 0.75), k=(self.k, 1.0))
        return Module("torch.nn.LocalResponseNorm", (self.size,), kwargs)
