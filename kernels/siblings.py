"""Several 1x1 convolutions of one input in one kernel, each into a tensor of its own: the branches of an Inception block
(Szegedy et al., 2015).

    y_i = then_i(act(w_i @ x * scale_i + bias_i))

The weights lie one below the other, and each tile of output channels belongs to one of the convolutions. The input is
read once for all of them, the other tiles finding it in L2. The first may be followed by a pool or the mean of each
image (`_boxes.store_tail`): its programs work on boxes of pixels, the others' on pixels one after another.
"""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._boxes import conv_box, store_tail, tail_of, tail_start, weights_descriptor
from archdsl.kernels._common import activate, dot, grouped, index, scaled
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

MOST = 4
"""Convolutions in a kernel."""

CONFIGS = (
    Shipped(Config(128, 64, 64, 4, 4), Claim(True, True, 97 * 1024, 2)),
    Shipped(Config(64, 64, 64, 4, 4), Claim(True, True, 65 * 1024, 3)),
    Shipped(Config(128, 32, 64, 4, 4), Claim(True, True, 81 * 1024, 2)),
    Shipped(Config(256, 64, 64, 8, 3), Claim(True, True, 121 * 1024, 1)),
)
"""Example layer: 256 channels, 28 x 28, to 128, 128 and 32, alone and the first with a pool of 3 after it."""


def reference(
    x: Tensor,
    weight: Tensor,
    channels: Sequence[int],
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    act: str = "none",
    then: str = "none",
    padding: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
) -> list[Tensor]:
    """The definition; see `siblings`."""
    whole = _reference.finished(_reference.conv(x, weight), scale, bias, act=act)
    first, *others = whole.split(list(channels), dim=3)
    return [_reference.followed(first, then, padding, size), *others]


@triton.jit
def _others(
    x, weight, scale, bias, ya, yb, yc, yd, program, M, C, FIRST, KA, KB, KC, KD, PA, PB, PC, PD,
    ACT: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
    BK: tl.constexpr,
):  # fmt: skip
    """Convolutions into up to four tensors, the first's weights from row FIRST on. Kx: channels of each, Px: numbers from
    a pixel of it to the next."""
    # The tile of channels, counted through all of them, and where each one's end.
    end_a = tl.cdiv(KA, BN)
    end_b = end_a + tl.cdiv(KB, BN)
    end_c = end_b + tl.cdiv(KC, BN)
    row, column = grouped(program, tl.cdiv(M, BM), end_c + tl.cdiv(KD, BN))
    start = tl.where(
        column < end_a, 0, tl.where(column < end_b, end_a, tl.where(column < end_c, end_b, end_c))
    )
    before = tl.where(
        column < end_a, 0, tl.where(column < end_b, KA, tl.where(column < end_c, KA + KB, KA + KB + KC))
    )
    j0 = (column - start) * BN  # of its own channels
    k0 = FIRST + before + j0  # of all
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for c0 in range(0, C, BK):
        b = tl.reshape(weight.load([k0, 0, c0]), (BN, BK))
        acc = dot(x.load([row * BM, c0]), b.T, acc, PRECISION)
    # A tile may reach into the next one's weights: those columns are not stored.
    k = k0 + tl.arange(0, BN)
    acc = activate(scaled(acc, scale, bias, k, FIRST + KA + KB + KC + KD), ACT)
    m = row * BM + tl.arange(0, BM)
    j = j0 + tl.arange(0, BN)
    at = index(m, WIDE)[:, None]
    if column < end_a:
        tl.store(
            ya + at * PA + j[None, :], acc.to(ya.dtype.element_ty), mask=(m < M)[:, None] & (j < KA)[None, :]
        )
    elif column < end_b:
        tl.store(
            yb + at * PB + j[None, :], acc.to(yb.dtype.element_ty), mask=(m < M)[:, None] & (j < KB)[None, :]
        )
    elif column < end_c:
        tl.store(
            yc + at * PC + j[None, :], acc.to(yc.dtype.element_ty), mask=(m < M)[:, None] & (j < KC)[None, :]
        )
    else:
        tl.store(
            yd + at * PD + j[None, :], acc.to(yd.dtype.element_ty), mask=(m < M)[:, None] & (j < KD)[None, :]
        )


@triton.jit
def _siblings(
    boxes, rows, weight, scale, bias, y, ya, yb, yc, yd, PROGRAMS, N, H, W, OH, OW, C, K, YP,
    M, KA, KB, KC, KD, PA, PB, PC, PD, TAIL: tl.constexpr, PT: tl.constexpr, PL: tl.constexpr,
    ACT: tl.constexpr, PRECISION: tl.constexpr, WIDE: tl.constexpr, BI: tl.constexpr, BH: tl.constexpr,
    BW: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """boxes, rows: x by boxes of pixels and by pixels one after another. The first PROGRAMS programs do the convolution
    that a tail follows; without a tail there is none, and K is 0."""
    program = tl.program_id(0)
    if TAIL == 0:
        _others(
            rows, weight, scale, bias, ya, yb, yc, yd, program, M, C, 0, KA, KB, KC, KD, PA, PB, PC, PD,
            ACT, PRECISION, WIDE, BM, BN, BK
        )  # fmt: skip
    else:
        if program < PROGRAMS:
            columns = tl.cdiv(K, BN)
            tile, column = grouped(program, PROGRAMS // columns, columns)
            n0, oh0, ow0, h0, w0 = tail_start(tile, OH, OW, TAIL, PT, PL, BI, BH, BW)
            k0 = column * BN
            k = k0 + tl.arange(0, BN)
            acc = conv_box(boxes, weight, n0, h0, w0, k0, C, 1, 1, 1, 1, BI, BH, BW, BN, BK, PRECISION)
            acc = activate(scaled(acc, scale, bias, k, K), ACT)
            store_tail(acc, y, n0, oh0, ow0, h0, w0, k, N, H, W, OH, OW, K, YP, TAIL, WIDE, BI, BH, BW, BN)
        else:
            _others(
                rows, weight, scale, bias, ya, yb, yc, yd, program - PROGRAMS, M, C, K, KA, KB, KC, KD,
                PA, PB, PC, PD, ACT, PRECISION, WIDE, BM, BN, BK
            )  # fmt: skip


def siblings(
    x: Tensor,
    weight: Tensor,
    channels: Sequence[int],
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    act: str = "none",
    then: str = "none",
    padding: tuple[int, int] = (0, 0),
    size: tuple[int, int] | None = None,
    out: Sequence[Tensor | None] | None = None,
    config: Config | None = None,
    precision: str = "ieee",
) -> list[Tensor]:
    """x [N, H, W, C], weight [K, 1, 1, C] -> [N, H, W, channels[i]] each, K the sum of 2 to 4 channels.

    scale, bias: K fp32 numbers. then: what follows the first of them, "none", "gap", "maxpool2" or "maxpool3", with that
    pool's padding and size (`tail_of`). out: a tensor or None for each. Raises ValueError where the copy engine can't
    read x; `conv` for each can.
    """
    laid = image(x, "x")
    n, h, w, c, _ = laid
    if not 2 <= len(channels) <= MOST or min(channels) < 1:
        raise ValueError(f"channels must be 2 to {MOST} numbers from 1 on, not {list(channels)}")
    k = sum(channels)
    weight_of(weight, (k, 1, 1, c), x)
    vector(scale, k, "scale", x)
    vector(bias, k, "bias", x)
    tail = tail_of(then, h, w, padding, size)
    given = [None] * len(channels) if out is None else list(out)
    if len(given) != len(channels):
        raise ValueError(f"out must have {len(channels)} tensors, not {len(given)}")
    made = [output(given[0], n, *tail.after, channels[0], x)]
    made += [output(y, n, h, w, own, x) for y, own in zip(given[1:], channels[1:], strict=True)]
    why = refuses_tma(x, laid, "x") or refuses_tma(weight, image(weight, "weight"), "weight")
    if why:
        raise ValueError(f"{why}; take `conv` for each")
    m = n * h * w
    plain = made if tail.kind == 0 else made[1:]  # those that nothing follows

    def programs(config: Config) -> int:
        """Of the convolution that something follows."""
        return 0 if tail.kind == 0 else tail.tiles(n, tail.box(config, n)) * -(-channels[0] // config.bn)

    def tiles(config: Config) -> int:
        return programs(config) + -(-m // config.bm) * sum(-(-y.shape[3] // config.bn) for y in plain)

    chosen = config or cheapest([s for s in CONFIGS if tail.holds(s.config)], tiles, c, x)
    bm, bn, bk = chosen[:3]
    box = tail.box(chosen, n)
    lacking = MOST - len(plain)
    launch(
        _siblings, (tiles(chosen),), chosen, x,
        None if tail.kind == 0 else image_descriptor(x, laid, (*box, bk)), rows_descriptor(x, laid, (bm, bk)),
        weights_descriptor(weight, bn, bk), scale, bias, made[0], *plain, *[plain[-1]] * lacking,
        programs(chosen), n, h, w, *tail.after, c, channels[0] if tail.kind else 0, image(made[0], "out").pitch,
        m, *[y.shape[3] for y in plain], *[0] * lacking, *[image(y, "out").pitch for y in plain], *[0] * lacking,
        TAIL=tail.kind, PT=tail.start[0], PL=tail.start[1], ACT=activation(act), PRECISION=precision_of(precision),
        WIDE=wide(*made), BI=box[0], BH=box[1], BW=box[2], BM=bm, BN=bn, BK=bk,
    )  # fmt: skip
    return made
