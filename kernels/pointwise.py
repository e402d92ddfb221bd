"""What is done element by element to a tensor that lies in memory already: the epilogue of a product that a library made,
a batch norm that nothing else takes in, an addition, a gate, a copy into a concat, a cast.

    y = act(pre_act(x * factor * scale + shift) + residual)

Each number is read and written once, where torch's operators read and write it once for each of those layers.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import activate, index, scaled
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    activation,
    image,
    launch,
    output,
    residual_of,
    vector,
    wide,
)
from torch import Tensor

CONFIGS = (
    Shipped(Config(32, 64, 1, 4, 1), Claim(False, False, 4096, 8)),
    Shipped(Config(16, 128, 1, 4, 1), Claim(False, False, 4096, 8)),
    Shipped(Config(64, 32, 1, 4, 1), Claim(False, False, 4096, 8)),
    Shipped(Config(256, 8, 1, 4, 1), Claim(False, False, 4096, 8)),
)
"""Example layer: 64 channels, 56 x 56, with everything."""


def reference(
    x: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    factor: Tensor | None = None,
    pre_act: str = "none",
    act: str = "none",
) -> Tensor:
    """The definition, on [N, H, W, C]; factor [N, 1, 1, C]."""
    x = x if factor is None else x * factor
    before = _reference.finished(x, scale, shift, act=pre_act)
    return _reference.finished(before, residual=residual, act=act)


@triton.jit
def _pointwise(
    x, factor, scale, shift, residual, y, M, HW, C, x_pitch, f_pitch, r_pitch, y_pitch,
    PRE_ACT: tl.constexpr, ACT: tl.constexpr, WIDE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    columns = tl.cdiv(C, BN)
    tile = tl.program_id(0)
    m = tile // columns * BM + tl.arange(0, BM)
    c = tile % columns * BN + tl.arange(0, BN)
    inside = (m < M)[:, None] & (c < C)[None, :]
    rows = index(m, WIDE)
    value = tl.load(x + (rows * x_pitch)[:, None] + c[None, :], mask=inside, other=0.0).to(tl.float32)
    if factor is not None:
        at = (m // HW * f_pitch)[:, None] + c[None, :]
        value = value * tl.load(factor + at, mask=inside, other=0.0).to(tl.float32)
    value = activate(scaled(value, scale, shift, c, C), PRE_ACT)
    if residual is not None:
        more = tl.load(residual + (rows * r_pitch)[:, None] + c[None, :], mask=inside, other=0.0)
        value = value + more.to(tl.float32)
    value = activate(value, ACT)
    tl.store(y + (rows * y_pitch)[:, None] + c[None, :], value.to(y.dtype.element_ty), mask=inside)


def pointwise(
    x: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    factor: Tensor | None = None,
    pre_act: str = "none",
    act: str = "none",
    out: Tensor | None = None,
    config: Config | None = None,
) -> Tensor:
    """x [N, H, W, C] -> the same shape, in `out`'s dtype.

    scale, shift: C fp32 numbers. residual: images like x, of its dtype. factor [N, 1, 1, C], of x's dtype. `out` may be
    x or the residual. Raises ValueError where the arguments don't fit together.
    """
    laid = image(x, "x")
    n, h, w, c, pitch = laid
    vector(scale, c, "scale", x)
    vector(shift, c, "shift", x)
    added = residual_of(residual, n, h, w, c, x)
    gate = None if factor is None else image(factor, "factor")
    if gate is not None and (gate[:4] != (n, 1, 1, c) or factor is None or factor.dtype != x.dtype):
        raise ValueError(f"factor must be {[n, 1, 1, c]} of {x.dtype}, not {list(gate[:4])}")
    y = output(out, n, h, w, c, x)
    to = image(y, "out")
    chosen = config or next((s.config for s in CONFIGS if s.config.bn <= max(c, 8)), CONFIGS[-1].config)
    m = n * h * w
    launch(
        _pointwise, (triton.cdiv(m, chosen.bm) * triton.cdiv(c, chosen.bn),), chosen, x,
        x, factor, scale, shift, residual, y, m, h * w, c, pitch, gate.pitch if gate else 0,
        added.pitch if added else 0, to.pitch, PRE_ACT=activation(pre_act), ACT=activation(act),
        WIDE=wide(x, residual, y), BM=chosen.bm, BN=chosen.bn,
    )  # fmt: skip
    return y
