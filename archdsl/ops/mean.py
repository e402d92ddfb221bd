"""`mean`"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops._merge import agreed
from archdsl.ops.base import Function, Lowering, Module, Op, Ratio, Shape

HELPER = '''\
class MeanDropPath(nn.Module):
    """The mean of the paths. While training, each sample loses each path with probability `ratio`, never all.

    (N, ...), (N, ...), ... -> (N, ...).
    """

    def __init__(self, ratio):
        super().__init__()
        self.ratio = ratio

    def forward(self, *paths):
        if not self.training:
            return sum(paths) / len(paths)
        batch, device = paths[0].shape[0], paths[0].device
        kept = torch.rand(len(paths), batch, device=device) >= self.ratio
        spared = torch.rand(len(paths), batch, device=device).argsort(0) == 0  # one path of each sample
        kept = torch.where(kept.any(0), kept, spared).to(paths[0].dtype)
        shares = (kept / kept.sum(0)).view(len(paths), batch, *[1] * (paths[0].dim() - 1))
        return sum(path * share for path, share in zip(paths, shares, strict=True))

    def extra_repr(self):
        return f"ratio={self.ratio}"
'''


class Mean(Op):
    """The mean of the branches, all of one shape: FractalNet's join (Larsson et al., 2016).

    With `drop_path`, while training, each sample loses each branch with that probability, but at least one
    stays, and the mean is that of the rest: the paper's local drop-path. In evaluation it is the mean of all.
    """

    syntax: ClassVar = "mean"
    arity: ClassVar = None
    examples: ClassVar = (
        "mean: 64x32x32, 64x32x32 -> 64x32x32",
        "mean(drop_path=0.15): 64x32x32, 64x32x32, 64x32x32 -> 64x32x32",
        "mean: 64x32x32, 64x16x16 -> error",
    )

    drop_path: Ratio = 0.0

    def infer(self, *inputs: Shape) -> Shape:
        return agreed("averaged", inputs)

    def lower(self, *inputs: Shape) -> Lowering:
        if self.drop_path:
            return Module("MeanDropPath", (self.drop_path,), {}, HELPER)
        total = " + ".join(f"{{{i}}}" for i in range(len(inputs)))
        return Function(f"({total}) / {len(inputs)}", "infix")
