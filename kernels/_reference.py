"""Pieces of the kernels' definitions in plain torch, on images [N, H, W, C] of any dtype."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

ACTIVATIONS = {
    "none": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "hswish": F.hardswish,
    "sigmoid": torch.sigmoid,
    "hsigmoid": F.hardsigmoid,
    "gelu": F.gelu,
    "tanh": torch.tanh,
}


def nchw(x: Tensor) -> Tensor:
    """As torch's own layers take it."""
    return x.permute(0, 3, 1, 2)


def nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def conv(
    x: Tensor,
    weight: Tensor,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Weights [K, R, S, C / groups]; padding: top, bottom, left, right."""
    top, bottom, left, right = padding
    padded = F.pad(nchw(x), (left, right, top, bottom))
    return nhwc(F.conv2d(padded, nchw(weight), None, stride, 0, dilation, groups))


def finished(
    x: Tensor,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    act: str = "none",
) -> Tensor:
    """act(x * scale + bias + residual)"""
    if scale is not None:
        x = x * scale
    if bias is not None:
        x = x + bias
    if residual is not None:
        x = x + residual
    return ACTIVATIONS[act](x)


def maxpool(x: Tensor, window: int, stride: int, padding: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The largest of each window of the image, `size` windows; padding: before, by rows and columns. Places outside the
    image never win."""
    h, w = x.shape[1:3]
    after = [(n - 1) * stride + window - side - p for n, side, p in zip(size, (h, w), padding, strict=True)]
    sides = (padding[1], max(after[1], 0), padding[0], max(after[0], 0))
    y = F.max_pool2d(F.pad(nchw(x), sides, value=-torch.inf), window, stride)
    return nhwc(y[:, :, : size[0], : size[1]])


def followed(
    x: Tensor, then: str, padding: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None
) -> Tensor:
    """What "none", "gap", "maxpool2" or "maxpool3" makes of x; pools have stride 2."""
    if then == "none":
        return x
    if then == "gap":
        return x.mean((1, 2), keepdim=True)
    window = int(then[-1])
    fit = tuple((side + 2 * p - window) // 2 + 1 for side, p in zip(x.shape[1:3], padding, strict=True))
    return maxpool(x, window, 2, padding, size or (fit[0], fit[1]))
