"""The layers for which shipped configurations claim what they compile to: of batch 128, with the longest epilogue.

Each is a function of a dtype and of what a launcher is told, on tensors without numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from archdsl.kernels.b2b import b2b
from archdsl.kernels.bnrelu_conv1 import bnrelu_conv1
from archdsl.kernels.conv import conv
from archdsl.kernels.conv_gap import conv_gap
from archdsl.kernels.conv_pool import conv_pool
from archdsl.kernels.depthwise import depthwise, new_sums
from archdsl.kernels.dual import dual
from archdsl.kernels.dw_pw import dw_pw
from archdsl.kernels.gap import gap
from archdsl.kernels.gemm import gemm
from archdsl.kernels.pointwise import pointwise
from archdsl.kernels.pool import pool
from archdsl.kernels.pool_conv1 import pool_conv1
from archdsl.kernels.scaled_conv1 import scaled_conv1
from archdsl.kernels.siblings import siblings
from archdsl.kernels.squeeze import squeeze
from archdsl.kernels.stem import packed, stem
from archdsl.kernels.stem_pool import stem_pool
from sm90 import empty
from torch import Tensor

N = 128
SAME = {"padding": (1, 1, 1, 1)}
Layer = Callable[..., Any]


def vectors(*lengths: int) -> list[Tensor]:
    """A scale and a bias of each length."""
    return [empty(length, dtype=torch.float32) for length in lengths for _ in range(2)]


def _conv(side: int, stride: int, channels: int = 256) -> Layer:
    """3x3."""

    def start(dtype: torch.dtype, **how: Any) -> Any:
        c, after = channels, (side - 1) // stride + 1
        x, weight = empty(N, side, side, c, dtype=dtype), empty(c, 3, 3, c, dtype=dtype)
        residual = empty(N, after, after, c, dtype=dtype)
        return conv(
            x, weight, *vectors(c), stride=(stride, stride), residual=residual, act="gelu", **SAME, **how
        )

    return start


def _gemm(dtype: torch.dtype, **how: Any) -> Any:
    x, weight = empty(N, 28, 28, 256, dtype=dtype), empty(512, 256, dtype=dtype)
    return gemm(x, weight, *vectors(512), residual=empty(N, 28, 28, 512, dtype=dtype), act="gelu", **how)


def _dual(dtype: torch.dtype, **how: Any) -> Any:
    t, x = empty(N, 28, 28, 128, dtype=dtype), empty(N, 56, 56, 256, dtype=dtype)
    weights = empty(512, 128, dtype=dtype), empty(512, 256, dtype=dtype)
    return dual(t, x, *weights, vectors(512)[0], stride=(2, 2), act="gelu", **how)


def _b2b(projected: bool) -> Layer:
    def start(dtype: torch.dtype, **how: Any) -> Any:
        if projected:
            how |= {"stride": 2, "shortcut_stride": 2, "shortcut": empty(N, 56, 56, 256, dtype=dtype)}
            how |= {"projection": empty(512, 1, 1, 256, dtype=dtype)}
        else:
            how |= {"residual": empty(N, 28, 28, 512, dtype=dtype)}
        side = 56 if projected else 28
        x, first = empty(N, side, side, 128, dtype=dtype), empty(128, 3, 3, 128, dtype=dtype)
        return b2b(x, first, empty(512, 1, 1, 128, dtype=dtype), *vectors(128, 512), **SAME, **how)

    return start


def _bnrelu_conv1(pool: int) -> Layer:
    def start(dtype: torch.dtype, **how: Any) -> Any:
        x, weight = empty(N, 56, 56, 256, dtype=dtype)[..., :192], empty(128, 1, 1, 192, dtype=dtype)
        return bnrelu_conv1(x, weight, *vectors(192, 128), act="relu", pool=pool, **how)

    return start


def _scaled_conv1(dtype: torch.dtype, **how: Any) -> Any:
    x, factors = empty(N, 56, 56, 144, dtype=dtype), empty(N, 1, 1, 144, dtype=dtype)
    weight, residual = empty(48, 1, 1, 144, dtype=dtype), empty(N, 56, 56, 48, dtype=dtype)
    return scaled_conv1(x, factors, weight, *vectors(48), residual=residual, **how)


def _siblings(then: str) -> Layer:
    def start(dtype: torch.dtype, **how: Any) -> Any:
        x, weight = empty(N, 28, 28, 256, dtype=dtype), empty(288, 1, 1, 256, dtype=dtype)
        return siblings(x, weight, (128, 128, 32), *vectors(288), act="relu", then=then, **how)

    return start


def _depthwise(dtype: torch.dtype, **how: Any) -> Any:
    sums = new_sums(empty(N, 28, 28, 192), how.get("config"))
    x, weight = empty(N, 28, 28, 192, dtype=dtype), empty(5, 5, 192, dtype=dtype)
    return depthwise(x, weight, *vectors(192), padding=(2, 2, 2, 2), act="gelu", sums=sums, **how)


def _dw_pw(stride: int) -> Layer:
    def start(dtype: torch.dtype, **how: Any) -> Any:
        x, taps = empty(N, 28, 28, 192, dtype=dtype), empty(3, 3, 192, dtype=dtype)
        residual = empty(N, 28 // stride, 28 // stride, 64, dtype=dtype)
        weight = empty(64, 1, 1, 192, dtype=dtype)
        how |= {"stride": stride, "residual": residual, "pre_act": "relu6", **SAME}
        return dw_pw(x, taps, weight, *vectors(192, 64), **how)

    return start


def image_layer(
    launcher: Layer, c: int, taps: int, x: torch.dtype | None = None, nchw: bool = False
) -> Layer:
    """A network's first convolution, normalised. x: the image's dtype, if it isn't the weights'."""

    def start(dtype: torch.dtype, **how: Any) -> Any:
        shape = (N, c, 224, 224) if nchw else (N, 224, 224, c)
        image = empty(*shape, dtype=x or dtype)
        gain, shift = vectors(c)
        if launcher is stem_pool:
            how |= {"pool_padding": (1, 1)}
        return launcher(
            image.permute(0, 2, 3, 1) if nchw else image, packed(empty(64, taps, taps, c, dtype=dtype)), *vectors(64),
            taps=taps, gain=gain, shift=shift, padding=(taps // 2,) * 4, act="gelu", **how,
        )  # fmt: skip

    return start


def _conv_pool(pool: int) -> Layer:
    def start(dtype: torch.dtype, **how: Any) -> Any:
        x, weight = empty(N, 56, 56, 128, dtype=dtype), empty(256, 3, 3, 128, dtype=dtype)
        return conv_pool(x, weight, *vectors(256), act="relu", pool=pool, **SAME, **how)

    return start


def _conv_gap(dtype: torch.dtype, **how: Any) -> Any:
    x, weight = empty(N, 7, 7, 512, dtype=dtype), empty(2048, 1, 1, 512, dtype=dtype)
    return conv_gap(x, weight, *vectors(2048), act="relu", residual=empty(N, 7, 7, 2048, dtype=dtype), **how)


def _pool_conv1(then: str) -> Layer:
    def start(dtype: torch.dtype, **how: Any) -> Any:
        x, weight = empty(N, 14, 14, 512, dtype=dtype), empty(64, 1, 1, 512, dtype=dtype)
        return pool_conv1(x, weight, *vectors(64), act="relu", then=then, **how)

    return start


def _pool(kind: str) -> Layer:
    def start(dtype: torch.dtype, **how: Any) -> Any:
        return pool(empty(N, 28, 28, 192, dtype=dtype), kind, (3, 3), stride=(2, 2), **SAME, **how)

    return start


def _gap(dtype: torch.dtype, **how: Any) -> Any:
    return gap(empty(N, 7, 7, 1024, dtype=dtype), *vectors(1024), act="relu", **how)


def _squeeze(dtype: torch.dtype, **how: Any) -> Any:
    sums, weights = (
        empty(N, 16, 672, dtype=torch.float32),
        (empty(28, 1, 1, 672, dtype=dtype), empty(672, 1, 1, 28, dtype=dtype)),
    )
    b1, b2 = vectors(28)[0], vectors(672)[0]
    return squeeze(sums, *weights, b1, b2, area=196, pre_act="silu", **how)


def _pointwise(dtype: torch.dtype, **how: Any) -> Any:
    x = empty(N, 56, 56, 64, dtype=dtype)
    how |= {"factor": empty(N, 1, 1, 64, dtype=dtype), "residual": x, "pre_act": "silu", "act": "gelu"}
    return pointwise(x, *vectors(64), **how)


def layers(kernel: str, form: str, index: int) -> tuple[Layer, ...]:
    """Those of the index-th configuration of a kernel's form."""
    if kernel == "bnrelu_conv1":  # the pointer form's first two do without the pool, the others with it
        return (_bnrelu_conv1(2 if form == "pointer" and index > 1 else 1),)
    if kernel == "dw_pw":
        return (_dw_pw(1 + index % 2),)
    if kernel == "b2b":
        return (_b2b(False), _b2b(True)) if index < 2 else (_b2b(False),)
    if kernel == "conv":
        odd = form == "pointer" and index > 2  # for channels that do not lie on 16 bytes
        return (_conv(35, 2) if form == "planes" else _conv(28, 1, 35 if odd else 256),)
    return LAYERS[kernel]


LAYERS: dict[str, tuple[Layer, ...]] = {
    "gemm": (_gemm,),
    "dual": (_dual,),
    "scaled_conv1": (_scaled_conv1,),
    "siblings": (_siblings("maxpool3"), _siblings("none")),
    "depthwise": (_depthwise,),
    "stem": (image_layer(stem, 4, 7),),
    "stem_pool": (image_layer(stem_pool, 3, 7),),
    "conv_pool": (_conv_pool(2), _conv_pool(3)),
    "conv_gap": (_conv_gap,),
    "pool_conv1": (_pool_conv1("none"), _pool_conv1("maxpool3")),
    "pool": (_pool("max"), _pool("avg")),
    "gap": (_gap,),
    "squeeze": (_squeeze,),
    "pointwise": (_pointwise,),
}
