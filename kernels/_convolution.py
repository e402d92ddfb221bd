"""A convolution that was asked for, checked: what the forms of `conv` are given."""

from __future__ import annotations

from typing import NamedTuple

from archdsl.kernels._launch import (
    Config,
    Image,
    activation,
    box_of,
    image,
    output,
    precision_of,
    refuses_tma,
    residual_of,
    vector,
    weight_of,
    window,
)
from torch import Tensor


class Convolution(NamedTuple):
    """laid: the input; into: the output; added: the residual; start: padding above and left."""

    x: Tensor
    weight: Tensor
    scale: Tensor | None
    bias: Tensor | None
    residual: Tensor | None
    out: Tensor
    laid: Image
    into: Image
    added: Image | None
    stride: tuple[int, int]
    start: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    act: str
    precision: str

    @property
    def channels(self) -> tuple[int, int]:
        """Input and output channels of a group."""
        return self.laid.c // self.groups, self.into.c // self.groups

    @property
    def kernel(self) -> tuple[int, int]:
        return self.weight.shape[1], self.weight.shape[2]

    @property
    def pixels(self) -> int:
        """Of the output, of all images."""
        return self.into.n * self.into.h * self.into.w

    def column_tiles(self, config: Config) -> int:
        return -(-self.channels[1] // config.bn) * self.groups

    def boxes(self, config: Config) -> int:
        n, h, w = box_of(config, *self.into[:3])
        return -(-self.into.n // n) * -(-self.into.h // h) * -(-self.into.w // w)


def checked(
    x: Tensor,
    weight: Tensor,
    scale: Tensor | None,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
    groups: int,
    act: str,
    residual: Tensor | None,
    out: Tensor | None,
    precision: str,
) -> Convolution:
    """Raises ValueError where the arguments don't fit together."""
    laid = image(x, "x")
    if weight.dim() != 4 or groups < 1 or laid.c % groups or weight.shape[0] % groups:
        raise ValueError(
            f"{groups} groups must divide the {laid.c} channels of x and the first of a weight [K, R, S, C / groups], "
            f"not {list(weight.shape)}"
        )
    k, r, s, _ = weight.shape
    weight_of(weight, (k, r, s, laid.c // groups), x)
    top, bottom, left, right = padding
    oh = window(laid.h, r, stride[0], top, bottom, dilation[0], "height")
    ow = window(laid.w, s, stride[1], left, right, dilation[1], "width")
    scale, bias = vector(scale, k, "scale", x), vector(bias, k, "bias", x)
    added = residual_of(residual, laid.n, oh, ow, k, x)
    out = output(out, laid.n, oh, ow, k, x)
    return Convolution(
        x, weight, scale, bias, residual, out, laid, image(out, "out"), added,
        stride, (top, left), dilation, groups, activation(act), precision_of(precision),
    )  # fmt: skip


def refuses_copies(call: Convolution, config: Config) -> str | None:
    """Why the copy engine can't move this layer's tiles, or None."""
    size = call.x.element_size()
    if size == 4 and call.precision == "ieee":
        return "fp32 of precision 'ieee' is not multiplied from where the copy engine puts it; 'tf32' is"
    if config.bk * size % 16 or config.bn * size % 16:
        return f"tiles of {config.bk} and {config.bn} channels are not a multiple of 16 bytes"
    if max(config.bn, config.bk, *box_of(config, *call.into[:3])) > 256:
        return "a tile is longer than 256 in one dimension"
    if call.channels[0] * size % 16:
        return f"{call.channels[0]} input channels of a weight are not a multiple of 16 bytes"
    for name, tensor, laid in (
        ("x", call.x, call.laid),
        ("out", call.out, call.into),
        ("residual", call.residual, call.added),
    ):
        if tensor is not None and laid is not None and (reason := refuses_tma(tensor, laid, name)):
            return reason
    if reason := refuses_tma(call.weight, Image(1, 1, 1, call.channels[0], call.channels[0]), "weight"):
        return reason
    return None
