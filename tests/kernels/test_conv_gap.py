"""`conv_gap`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels import _reference
from archdsl.kernels._launch import Config
from archdsl.kernels.conv_gap import conv_gap, reference
from proof import affine, drawn, prove, weights

SMALL = Config(64, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    window: int,
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    residual: bool = False,
    **how: object,
) -> None:
    """plain: without scale and bias."""
    c, k = channels
    x, weight = drawn(n, *size, c, dtype=dtype), weights(k, window, window, c, dtype=dtype)
    if residual:
        settings = {name: how[name] for name in ("padding", "dilation") if name in how}
        before = _reference.conv(x.float(), weight.float(), **settings)
        how["residual"] = drawn(*before.shape, dtype=dtype)
    # What is outside the image is act(bias): large, so that counting it would show.
    prove(conv_gap, reference, x, weight, *(() if plain else affine(k, 0.5, 2.0)), **how)


@pytest.mark.parametrize(
    ("n", "size", "channels", "window", "how"),
    [
        (3, (7, 7), (24, 40), 1, {"act": "relu", "residual": True, "slices": 8, "config": SMALL._replace(box=(1, 8, 8))}),
        (2, (5, 9), (16, 16), 3, {"padding": (1, 1, 1, 1), "act": "silu", "config": SMALL._replace(box=(2, 4, 8))}),
        (5, (3, 3), (16, 8), 1, {"dtype": FP32, "act": "relu6", "config": SMALL._replace(box=(64, 1, 1))}),
        (3, (7, 3), (8, 24), 3, {"dtype": FP16, "padding": (1, 1, 1, 1), "residual": True}),
        (1, (4, 4), (16, 16), 1, {"plain": True, "slices": 8}),
        (2, (6, 5), (16, 16), 3, {"padding": (0, 1, 2, 3), "dilation": (2, 1), "act": "hswish"}),
    ],
    ids=str,
)  # fmt: skip
def test_conv_gap(n: int, size: tuple[int, int], channels: tuple[int, int], window: int, how: dict) -> None:
    compare(n, size, channels, window, **{"config": SMALL, **how})


def test_rules_choose() -> None:
    compare(2, (7, 7), (16, 16), 1, act="relu", residual=True)
    compare(2, (3, 3), (16, 16), 1, act="relu", dtype=FP32)


def test_refusals() -> None:
    x, weight = drawn(1, 6, 6, 16), drawn(16, 1, 1, 16)
    for said, change in {
        "a window of 3 does not fit": {"x": drawn(1, 2, 6, 16), "weight": drawn(16, 3, 3, 16)},
        "out must be": {"out": drawn(1, 6, 6, 16)},
        "residual must be": {"residual": drawn(1, 1, 1, 16)},
        "product is bm": {"config": SMALL._replace(box=(1, 8, 4))},
        "x has a pixel every 6 bytes.*take `conv` and then `gap`": {"x": drawn(1, 6, 6, 3), "weight": drawn(8, 1, 1, 3)},
        "residual has a pixel every 40": {"residual": drawn(1, 6, 6, 20)[..., :16]},
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=said):
            conv_gap(**{"x": x, "weight": weight, **change})
