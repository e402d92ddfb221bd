"""`b2b`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.b2b import b2b, reference
from proof import affine, drawn, prove, weights

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int, int],
    window: int,
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    shortcut: tuple[int, int, int] | None = None,
    **how: object,
) -> None:
    """shortcut: its height, width and channels, if it is projected; plain: without scales and biases."""
    c, b, k = channels
    x, first = drawn(n, *size, c, dtype=dtype), weights(b, window, window, c, dtype=dtype)
    second = weights(k, 1, 1, b, dtype=dtype)
    if shortcut:
        how["shortcut"] = drawn(n, *shortcut, dtype=dtype)
        how["projection"] = weights(k, 1, 1, shortcut[2], dtype=dtype)
    vectors = () if plain else (*affine(b, 0.5), *affine(k))
    prove(b2b, reference, x, first, second, *vectors, images=(0, "residual", "shortcut"), **how)


P1 = {"padding": (1, 1, 1, 1)}


@pytest.mark.parametrize(
    ("n", "size", "channels", "window", "how"),
    [
        (2, (7, 5), (24, 16, 40), 3, {**P1, "residual": True, "slices": 8}),
        (1, (6, 6), (16, 24, 24), 3, {**P1, "shortcut": (6, 6, 24), "dtype": FP16}),
        (
            2,
            (6, 8),
            (16, 16, 24),
            3,
            {**P1, "stride": 2, "shortcut": (5, 8, 8), "shortcut_stride": 2, "slices": 8},
        ),
        (1, (5, 5), (8, 20, 12), 1, {"dtype": FP32, "residual": True, "pre_act": "sigmoid", "act": "silu"}),
        (3, (4, 4), (16, 40, 16), 5, {"padding": (2, 1, 3, 2), "plain": True, "act": "none"}),
        (1, (8, 8), (32, 16, 16), 3, {**P1, "stride": 2, "residual": True, "shortcut": (4, 4, 16)}),
    ],
    ids=str,
)
def test_b2b(n: int, size: tuple[int, int], channels: tuple[int, int, int], window: int, how: dict) -> None:
    compare(n, size, channels, window, **{"config": SMALL, **how})


def test_rules_choose() -> None:
    compare(1, (6, 6), (16, 16, 32), 3, residual=True, **P1)
    compare(1, (6, 6), (16, 16, 32), 3, stride=2, dtype=FP16, **P1)


def test_refusals() -> None:
    x, first, second = drawn(1, 6, 6, 8), drawn(16, 3, 3, 8), drawn(8, 1, 1, 16)
    for said, change in {
        "136 channels between are more than 128": {"pre_weight": drawn(136, 3, 3, 8), "weight": drawn(8, 1, 1, 136)},
        "stride must be 1, or 2 with even sizes, not 2 with 7 x 6": {"stride": 2, "x": drawn(1, 7, 6, 8)},
        "stride must be 1, or 2 .* not 3": {"stride": 3},
        "shortcut and projection are given together": {"shortcut": drawn(1, 4, 4, 8)},
        "every 2th pixel of the shortcut must be": {
            "shortcut": drawn(1, 4, 4, 8), "projection": drawn(8, 1, 1, 8), "shortcut_stride": 2,
        },
        "at stride 2 the 8 channels": {"stride": 2, "config": SMALL},
        "x has a pixel every 18 bytes.*take `conv` twice": {"x": drawn(1, 6, 6, 9)[..., :8]},
        "shortcut has a pixel every 18": {"shortcut": drawn(1, 4, 4, 9)[..., :8], "projection": drawn(8, 1, 1, 8)},
        "residual must be": {"residual": x},
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=said):
            b2b(**{"x": x, "pre_weight": first, "weight": second, **change})
