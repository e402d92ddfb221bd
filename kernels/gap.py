"""The mean over all of an image of what a batch norm and an activation make of it: the end of a DenseNet.

    y[n, k] = mean over i, j of act(x[n, i, j, k] * scale[k] + shift[k])

Saves writing and reading what the mean is taken of. One program adds up all pixels of its channels, so the sums are the
same every time.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import activate, index, scaled
from archdsl.kernels._launch import Claim, Config, Shipped, activation, image, launch, output, vector, wide
from torch import Tensor

CONFIGS = (
    Shipped(Config(64, 64, 1, 4, 2), Claim(False, False, 1024, 7)),
    Shipped(Config(32, 128, 1, 4, 2), Claim(False, False, 2048, 6)),
    Shipped(Config(128, 16, 1, 4, 2), Claim(False, False, 256, 9)),
)
"""bn channels of an image, bm pixels in a step. Example layer: 1024 channels, 7 x 7, affine, relu."""


def reference(
    x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None, *, act: str = "none"
) -> Tensor:
    """[N, H, W, C] -> [N, 1, 1, C]"""
    return _reference.finished(x, scale, shift, act=act).mean((1, 2), keepdim=True)


@triton.jit
def _gap(
    x, scale, shift, y, PIXELS, C, XP, YP, ACT: tl.constexpr, WIDE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr
):  # fmt: skip
    """XP, YP: numbers from a pixel of x, and an image of y, to the next."""
    columns = tl.cdiv(C, BN)
    n = tl.program_id(0) // columns
    c = tl.program_id(0) % columns * BN + tl.arange(0, BN)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for m0 in range(0, PIXELS, BM):
        m = m0 + tl.arange(0, BM)
        inside = (m < PIXELS)[:, None] & (c < C)[None, :]
        at = index(n * PIXELS + m, WIDE) * XP
        value = tl.load(x + at[:, None] + c[None, :], mask=inside, other=0.0).to(tl.float32)
        # Past the last pixel there would be act(shift), not 0.
        total += tl.where(inside, activate(scaled(value, scale, shift, c, C), ACT), 0.0)
    mean = tl.sum(total, axis=0) / PIXELS
    tl.store(y + index(n, WIDE) * YP + c, mean.to(y.dtype.element_ty), mask=c < C)


def gap(
    x: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    act: str = "none",
    out: Tensor | None = None,
    config: Config | None = None,
) -> Tensor:
    """x [N, H, W, C] -> [N, 1, 1, C], in `out`'s dtype. scale, shift: C fp32 numbers, or None for 1 and 0.

    Raises ValueError where the arguments don't fit together.
    """
    laid = image(x, "x")
    n, h, w, c, pitch = laid
    vector(scale, c, "scale", x)
    vector(shift, c, "shift", x)
    y = output(out, n, 1, 1, c, x)
    chosen = config or (CONFIGS[0] if c > 16 else CONFIGS[-1]).config
    launch(
        _gap, (n * -(-c // chosen.bn),), chosen, x, x, scale, shift, y, h * w, c, pitch, image(y, "out").pitch,
        ACT=activation(act), WIDE=wide(x, y), BM=chosen.bm, BN=chosen.bn,
    )  # fmt: skip
    return y
