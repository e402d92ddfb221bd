"""A max pool that keeps the size, and the 1x1 convolution after it, in one kernel: the pool branch of an Inception block
(Szegedy et al., 2015).

    y = then(act(weight @ maxpool(x) * scale + bias)),    k x k windows, k odd, stride 1, padding k // 2

The pooled tensor, as large as the input, is neither written nor read: each tap of the window is a box of pixels, and the
largest of them the left side of the product. `then` is what may follow in the same kernel: see `_boxes.store_tail`.

The copy engine reads zeros outside the image, but padding must never win: taps outside are -inf instead, so it is right
for inputs below 0 too.
"""

from __future__ import annotations

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._boxes import box_pixels, store_tail, tail_of, tail_start
from archdsl.kernels._common import activate, dot, grouped, scaled
from archdsl.kernels._launch import (
    Claim,
    Config,
    Shipped,
    activation,
    cheapest,
    image,
    image_descriptor,
    launch,
    output,
    precision_of,
    refuses_tma,
    rows_descriptor,
    vector,
    weight_of,
    wide,
)
from torch import Tensor

CONFIGS = (
    Shipped(Config(128, 64, 64, 8, 2), Claim(True, True, 24 * 1024 + 8, 2)),
    Shipped(Config(64, 64, 64, 4, 2), Claim(True, True, 16 * 1024 + 8, 4)),
    Shipped(Config(256, 64, 32, 8, 2), Claim(True, True, 20 * 1024 + 8, 2)),
    Shipped(Config(128, 32, 32, 4, 2), Claim(True, True, 10 * 1024 + 8, 4)),
)
"""Example layer: 512 channels, 14 x 14, to 64, alone and with a pool of 3 after it. stages: taps that are on their way
at once."""


def reference(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    kernel: int = 3,
    act: str = "none",
    then: str = "none",
    padding: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
) -> Tensor:
    """The definition; see `pool_conv1`."""
    most = _reference.maxpool(x, kernel, 1, (kernel // 2, kernel // 2), (x.shape[1], x.shape[2]))
    y = _reference.finished(_reference.conv(most, weight), scale, bias, act=act)
    return _reference.followed(y, then, padding, size)


@triton.jit
def _pool_conv1(
    x, weight, scale, bias, y, N, H, W, OH, OW, C, K, YP, WINDOW: tl.constexpr,
    TAIL: tl.constexpr, PT: tl.constexpr, PL: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
    WIDE: tl.constexpr, BI: tl.constexpr, BH: tl.constexpr, BW: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    BM: tl.constexpr = BI * BH * BW
    columns = tl.cdiv(K, BN)
    tile, column = grouped(tl.program_id(0), tl.num_programs(0) // columns, columns)
    n0, oh0, ow0, h0, w0 = tail_start(tile, OH, OW, TAIL, PT, PL, BI, BH, BW)
    _, h, w = box_pixels(n0, h0, w0, BI, BH, BW)
    k0 = column * BN
    k = k0 + tl.arange(0, BN)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for c0 in range(0, C, BK):
        most = tl.full((BM, BK), float("-inf"), dtype=tl.float32)
        for tap in tl.range(WINDOW * WINDOW, num_stages=STAGES):
            dy = tap // WINDOW - WINDOW // 2
            dx = tap % WINDOW - WINDOW // 2
            a = tl.reshape(x.load([n0, h0 + dy, w0 + dx, c0]), (BM, BK)).to(tl.float32)
            inside = (h + dy >= 0) & (h + dy < H) & (w + dx >= 0) & (w + dx < W)
            most = tl.maximum(most, tl.where(inside[:, None], a, float("-inf")))
        # A pixel far outside the image stays -inf and makes NaN of its row, which nothing reads.
        acc = dot(most.to(x.dtype), weight.load([k0, c0]).T, acc, PRECISION)
    acc = activate(scaled(acc, scale, bias, k, K), ACT)
    store_tail(acc, y, n0, oh0, ow0, h0, w0, k, N, H, W, OH, OW, K, YP, TAIL, WIDE, BI, BH, BW, BN)


def pool_conv1(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    kernel: int = 3,
    act: str = "none",
    then: str = "none",
    padding: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
    out: Tensor | None = None,
    config: Config | None = None,
    precision: str = "ieee",
) -> Tensor:
    """x [N, H, W, C], weight [K, 1, 1, C] -> [N, H, W, K], or what `then` makes of it.

    kernel: side of the pool's window, odd. then: "none", "gap", "maxpool2" or "maxpool3", with that pool's padding and
    size (`tail_of`). Raises ValueError where the copy engine can't read x; `pool` and then `conv` can.
    """
    laid = image(x, "x")
    n, h, w, c, _ = laid
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel must be odd, so that the pool keeps the size, not {kernel}")
    k = weight.shape[0]
    weight_of(weight, (k, 1, 1, c), x)
    vector(scale, k, "scale", x)
    vector(bias, k, "bias", x)
    tail = tail_of(then, h, w, padding, size)
    y = output(out, n, *tail.after, k, x)
    wlaid = image(weight, "weight")
    why = refuses_tma(x, laid, "x") or refuses_tma(weight, wlaid, "weight")
    if why:
        raise ValueError(f"{why}; take `pool` and then `conv`")

    def tiles(config: Config) -> int:
        return tail.tiles(n, tail.box(config, n)) * -(-k // config.bn)

    chosen = config or cheapest([s for s in CONFIGS if tail.holds(s.config)], tiles, c, x)
    box, bn, bk = tail.box(chosen, n), chosen.bn, chosen.bk
    launch(
        _pool_conv1, (tiles(chosen),), chosen, x,
        image_descriptor(x, laid, (*box, bk)), rows_descriptor(weight, wlaid, (bn, bk)), scale, bias, y,
        n, h, w, *tail.after, c, k, image(y, "out").pitch, WINDOW=kernel, TAIL=tail.kind, PT=tail.start[0],
        PL=tail.start[1], ACT=activation(act), PRECISION=precision_of(precision), WIDE=wide(y),
        BI=box[0], BH=box[1], BW=box[2], BN=bn, BK=bk, STAGES=chosen.stages,
    )  # fmt: skip
    return y
