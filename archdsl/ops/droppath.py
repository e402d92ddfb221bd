"""`droppath`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Lowering, Module, Ratio, Shape

HELPER = '''\
class DropPath(nn.Module):
    """While training, zero a whole sample with probability `ratio` and divide the others by 1 - ratio.

    (N, ...) -> the same.
    """

    def __init__(self, ratio):
        super().__init__()
        self.ratio = ratio

    def forward(self, x):
        if not self.training or not self.ratio:
            return x
        keep = 1 - self.ratio
        kept = x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(keep)
        return x * (kept / keep)

    def extra_repr(self):
        return f"ratio={self.ratio}"
'''


class DropPath(Pointwise):
    """Stochastic depth: while training, each sample loses the whole tensor with probability `ratio`.

    What is kept is divided by 1 - ratio, so that the mean stays; in evaluation nothing happens (Huang et al.,
    2016). At the end of a residual's body it is what timm and torchvision call drop path;
    `residual(drop_path=0.2)` puts it there.
    """

    syntax: ClassVar = "droppath"
    positional: ClassVar = ("ratio",)
    examples: ClassVar = ("droppath(0.2): 64x56x56 -> 64x56x56", "droppath(0.1): 10 -> 10")

    ratio: Ratio

    def lower(self, x: Shape) -> Lowering:
        return Module("DropPath", (self.ratio,), {}, HELPER)
