"""What kernels share on the device: the dot, the epilogue, tiles of an image.

`INTERPRETED` is fixed when triton is imported (TRITON_INTERPRET=1). The interpreter keeps bf16 as integers, and its
dot multiplies those integers: so operands are made fp32 there, which is exact. It also cuts off fp32 -> bf16 where
a GPU rounds to nearest: a store's error is up to twice as large (tests/kernels/proof.py allows for it). And it
computes every fp32 dot exactly, so the error of tf32 shows on a GPU only.
"""

from __future__ import annotations

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(bool(triton.knobs.runtime.interpret))

ACTIVATIONS = ("none", "relu", "relu6", "silu", "hswish", "sigmoid", "hsigmoid", "gelu", "tanh")


@triton.jit
def dot(a, b, acc, PRECISION: tl.constexpr):
    """acc + a @ b in fp32. PRECISION, of fp32 operands only: "ieee" (exact products) or "tf32" (tensor cores)."""
    if INTERPRETED:
        return tl.dot(a.to(tl.float32), b.to(tl.float32), acc, input_precision="ieee")
    else:
        return tl.dot(a, b, acc, input_precision=PRECISION)


@triton.jit
def activate(x, ACT: tl.constexpr):
    """The activation called ACT (ACTIVATIONS), of fp32 values."""
    tl.static_assert(
        ACT == "none" or ACT == "relu" or ACT == "relu6" or ACT == "silu" or ACT == "hswish"
        or ACT == "sigmoid" or ACT == "hsigmoid" or ACT == "gelu" or ACT == "tanh"
    )  # fmt: skip
    if ACT == "relu":
        x = tl.maximum(x, 0.0)
    elif ACT == "relu6":
        x = tl.minimum(tl.maximum(x, 0.0), 6.0)
    elif ACT == "silu":
        x = x * tl.sigmoid(x)
    elif ACT == "hswish":
        x = x * tl.minimum(tl.maximum(x + 3.0, 0.0), 6.0) * (1.0 / 6.0)
    elif ACT == "sigmoid":
        x = tl.sigmoid(x)
    elif ACT == "hsigmoid":
        x = tl.minimum(tl.maximum(x + 3.0, 0.0), 6.0) * (1.0 / 6.0)
    elif ACT == "gelu":
        x = 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    elif ACT == "tanh":
        x = 2.0 * tl.sigmoid(2.0 * x) - 1.0
    return x


@triton.jit
def scaled(acc, scale, bias, k, K):
    """acc[:, j] * scale[k[j]] + bias[k[j]] of an accumulator (rows, columns); scale and bias: fp32, K long, or None."""
    if scale is not None:
        acc = acc * tl.load(scale + k, mask=k < K, other=0.0)[None, :]
    if bias is not None:
        acc = acc + tl.load(bias + k, mask=k < K, other=0.0)[None, :]
    return acc


@triton.jit
def finish(acc, scale, bias, k, K, residual, ACT: tl.constexpr):
    """The epilogue: ACT(acc * scale + bias + residual); the residual a tile like acc of any dtype, or None."""
    acc = scaled(acc, scale, bias, k, K)
    if residual is not None:
        acc += residual.to(tl.float32)
    return activate(acc, ACT)


@triton.jit
def finish_box(
    acc, scale, bias, rd, yd, n0, h0, w0, k0, K, BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr,
    BN: tl.constexpr, HALVES: tl.constexpr, ACT: tl.constexpr,
):  # fmt: skip
    """The epilogue of a box's accumulator, written to yd at (n0, h0, w0, k0) with the residual from rd, or None.

    HALVES: half of the columns after the other (`_launch.halves`), which takes fewer registers; the blocks of rd and
    yd are then BN / 2 wide.
    """
    BM: tl.constexpr = BI * BH * BW
    if HALVES:
        left, right = tl.split(tl.permute(tl.reshape(acc, (BM, 2, BN // 2)), (0, 2, 1)))
        finish_box(left, scale, bias, rd, yd, n0, h0, w0, k0, K, BI, BH, BW, BN // 2, False, ACT)
        finish_box(right, scale, bias, rd, yd, n0, h0, w0, k0 + BN // 2, K, BI, BH, BW, BN // 2, False, ACT)
    else:
        residual = tl.reshape(rd.load([n0, h0, w0, k0]), (BM, BN)) if rd is not None else None
        acc = finish(acc, scale, bias, k0 + tl.arange(0, BN), K, residual, ACT)
        yd.store([n0, h0, w0, k0], tl.reshape(acc.to(yd.dtype), (BI, BH, BW, BN)))


@triton.jit
def index(m, WIDE: tl.constexpr):
    """m as what offsets are computed from: int64 where an offset may pass 2^31 (`_launch.wide`), else int32."""
    if WIDE:
        return m.to(tl.int64)
    else:
        return m


@triton.jit
def box_at(tile, H, W, BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr):
    """Image, row and column where box number `tile` starts; columns fastest, so that halos meet in the L2 cache."""
    across = tl.cdiv(W, BW)
    down = tl.cdiv(H, BH)
    w0 = (tile % across) * BW
    rest = tile // across
    h0 = (rest % down) * BH
    n0 = (rest // down) * BI
    return n0, h0, w0


@triton.jit
def pixel(m, H, W):
    """Image, row and column of pixel number m of images H x W."""
    w = m % W
    rest = m // W
    return rest // H, rest % H, w


@triton.jit
def grouped(tile, ROWS, COLUMNS, GROUP: tl.constexpr = 8):
    """Row and column of tile number `tile`: GROUP rows of tiles share each column of weights while it is in L2."""
    first = (tile // (GROUP * COLUMNS)) * GROUP
    height = tl.minimum(ROWS - first, GROUP)
    inside = tile % (GROUP * COLUMNS)
    return first + inside % height, inside // height


@triton.jit
def tap_box(xd, n0, h0, w0, c, dy, dx, PITCH, STRIDE: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr):
    """(BM, BK): channels c and on of the pixels that a tap sees, dy rows and dx columns from the window's start, for the
    box of outputs at (n0, h0, w0). xd: `_launch.taps_descriptor` of the same stride, 1 or 2; PITCH: x's."""
    if STRIDE == 1:
        a = xd.load([n0, h0 + dy, w0 + dx, c])
    else:
        a = xd.load([n0, h0 + (dy >> 1), dy & 1, w0 + (dx >> 1), (dx & 1) * PITCH + c])
    return tl.reshape(a, (BM, BK))
