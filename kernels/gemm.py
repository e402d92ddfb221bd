"""A 1x1 convolution, stride 1, as a persistent GEMM: act(x @ w.T * scale + bias + residual).

    y[m, k] = act(scale[k] * sum over c of x[m, c] * w[k, c] + bias[k] + residual[m, k]),    m a pixel of any image

Two thirds of what a ResNet moves go through such layers. Pixels lie one after another, so no tile is wasted on
an image's edge; as many programs as the GPU runs at once go on from tile to tile, so that a tile's loads begin while
the one before is finished and written. Tiles come and go by the copy engine, the residual's too. Against a
product and its batch norm, addition and activation one by one it saves reading and writing the output three times.

Also a fully connected layer, of images of one pixel. Channels that do not lie on 16 bytes are `conv`'s.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import dot, finish_box, grouped
from archdsl.kernels._convolution import Convolution, checked, refuses_copies
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    cheapest,
    halves,
    image,
    image_descriptor,
    launch,
    output,
    processors,
)
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

CONFIGS = (
    Shipped(Config(128, 64, 64, 4, 4), Claim(True, True, 113 * 1024, 2)),
    Shipped(Config(128, 128, 64, 8, 3), Claim(True, True, 113 * 1024, 1)),
    Shipped(Config(128, 256, 64, 8, 3), Claim(True, True, 193 * 1024, 1)),
    Shipped(Config(256, 128, 64, 8, 3), Claim(True, True, 177 * 1024, 1)),
    Shipped(Config(64, 64, 64, 4, 4), Claim(True, True, 73 * 1024, 3)),
    Shipped(Config(128, 32, 32, 4, 4), Claim(True, True, 49 * 1024, 4)),
)


def reference(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    act: str = "none",
    residual: Tensor | None = None,
) -> Tensor:
    """The definition; see `gemm`."""
    return _reference.finished(x @ weight.T, scale, bias, residual, act)


@triton.jit
def _gemm(
    xd, wd, rd, yd, scale, bias, M, C, K, PROGRAMS, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    HALVES: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Pixels are images of one pixel, which the epilogue that boxes have can write."""
    rows = tl.cdiv(M, BM)
    columns = tl.cdiv(K, BN)
    for tile in tl.range(tl.program_id(0), rows * columns, PROGRAMS, flatten=True):
        row, column = grouped(tile, rows, columns)
        m0 = row * BM
        k0 = column * BN
        acc = tl.zeros((BM, BN), dtype=tl.float32)
        for c in range(0, C, BK):
            acc = dot(tl.reshape(xd.load([m0, 0, 0, c]), (BM, BK)), wd.load([k0, c]).T, acc, PRECISION)
        finish_box(acc, scale, bias, rd, yd, m0, 0, 0, k0, K, BM, 1, 1, BN, HALVES, ACT)


def gemm(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    act: str = "none",
    residual: Tensor | None = None,
    out: Tensor | None = None,
    precision: str = "ieee",
    config: Config | None = None,
) -> Tensor:
    """act(x @ weight.T * scale + bias + residual), images [N, H, W, K], into `out` or new ones.

    x         images [N, H, W, C]; residual and out [N, H, W, K]; each may be a slice of channels.
    weight    [K, C], dense, of x's dtype. scale, bias: [K] of fp32, or None for 1 and 0.
    precision of fp32, which must be "tf32".

    Raises ValueError where the arguments don't fit together, or the copy engine can't move them.
    """
    if weight.dim() != 2:
        raise ValueError(f"weight must be [K, C], not {list(weight.shape)}")
    laid = image(x, "x")
    out = output(out, *laid[:3], weight.shape[0], x)
    if residual is not None and residual.shape != out.shape:
        raise ValueError(f"residual must be {list(out.shape)}, not {list(residual.shape)}")
    call = checked(
        _in_a_row(x, "x"), weight[:, None, None], scale, bias, (1, 1), (0, 0, 0, 0), (1, 1), 1, act,
        None if residual is None else _in_a_row(residual, "residual"), _in_a_row(out, "out"), precision,
    )  # fmt: skip
    config = config or choose(call)
    if reason := refuses_copies(call, config):
        raise ValueError(f"gemm can't do this layer: {reason}; conv can")
    (m, *_), c, k = call.into, call.laid.c, call.into.c
    tile = (config.bm, 1, 1, config.bn // (1 + halves(config)))
    tiles = -(-m // config.bm) * -(-k // config.bn)
    at_once = next((s.claim.ctas for s in CONFIGS if s.config == config), 1)
    programs = min(tiles, processors(x) * at_once)
    launch(
        _gemm, (programs,), config, x,
        image_descriptor(call.x, call.laid, (config.bm, 1, 1, config.bk)),
        TensorDescriptor(weight, [k, c], [c, 1], [config.bn, config.bk]),
        None if call.added is None else image_descriptor(call.residual, call.added, tile),
        image_descriptor(call.out, call.into, tile),
        call.scale, call.bias, m, c, k, programs,
        BM=config.bm, BN=config.bn, BK=config.bk, HALVES=halves(config), ACT=call.act, PRECISION=call.precision,
    )  # fmt: skip
    return out


def choose(call: Convolution) -> Config:
    """By rule."""
    return cheapest(CONFIGS, lambda c: -(-call.pixels // c.bm) * call.column_tiles(c), call.laid.c, call.x)


def _in_a_row(x: Tensor, name: str) -> Tensor:
    """The same pixels as images of one pixel each."""
    n, h, w, c, pitch = image(x, name)
    return x.as_strided((n * h * w, 1, 1, c), (pitch, pitch, pitch, 1))
