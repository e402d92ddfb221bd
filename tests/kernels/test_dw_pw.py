"""`dw_pw`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.dw_pw import dw_pw, reference
from proof import affine, drawn, prove, weights

SMALL = Config(32, 16, 16, 4, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    window: int,
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    **how: object,
) -> None:
    """plain: without scales and biases."""
    c, k = channels
    x, weight = drawn(n, *size, c, dtype=dtype), weights(k, 1, 1, c, dtype=dtype)
    taps = drawn(window, window, c, dtype=dtype, size=1 / window)
    vectors = () if plain else (*affine(c, 0.5, 1.0), *affine(k))
    prove(dw_pw, reference, x, taps, weight, *vectors, **how)


P1 = {"padding": (1, 1, 1, 1), "pre_act": "relu6"}
P2 = {"padding": (2, 2, 2, 2), "pre_act": "silu"}


@pytest.mark.parametrize(
    ("n", "size", "channels", "window", "how"),
    [
        (2, (7, 5), (24, 40), 3, {**P1, "residual": True, "slices": 8}),
        (3, (4, 6), (16, 24), 5, {**P2, "dtype": FP16, "residual": True, "act": "relu"}),
        (1, (6, 6), (20, 12), 3, {"padding": (0, 2, 1, 0), "dtype": FP32, "plain": True}),
        (2, (6, 8), (24, 16), 3, {**P1, "stride": 2, "slices": 8}),
        (1, (8, 6), (16, 24), 5, {**P2, "stride": 2, "residual": True}),
        (2, (8, 8), (16, 8), 3, {"stride": 2, "padding": (0, 1, 0, 1), "pre_act": "relu", "dtype": FP16}),
    ],
    ids=str,
)
def test_tma(n: int, size: tuple[int, int], channels: tuple[int, int], window: int, how: dict) -> None:
    compare(n, size, channels, window, **{"form": "tma", "config": SMALL, **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "window", "how"),
    [
        (2, (7, 5), (24, 40), 3, {**P1, "residual": True, "slices": 8}),
        (1, (9, 7), (13, 7), 3, {**P1, "stride": 2, "dtype": FP16, "residual": True}),
        (2, (7, 7), (21, 9), 5, {**P2, "stride": 2, "dtype": FP32}),
        (1, (8, 9), (16, 16), 3, {"stride": 3, "padding": (2, 0, 1, 1), "act": "hswish"}),
    ],
    ids=str,
)
def test_pointer(n: int, size: tuple[int, int], channels: tuple[int, int], window: int, how: dict) -> None:
    compare(n, size, channels, window, **{"form": "pointer", "config": SMALL, **how})


def test_rules_choose() -> None:
    compare(2, (6, 6), (24, 16), 3, residual=True, **P1)
    compare(2, (7, 7), (24, 16), 3, stride=2, **P1)


def test_refusals() -> None:
    x, taps, weight = drawn(1, 6, 5, 8), drawn(3, 3, 8), drawn(8, 1, 1, 8)
    for said, change in {
        "the form 'tma' can't do it: the stride is 3": {"form": "tma", "stride": 3},
        "height and width must be even, not 6 and 5": {"form": "tma", "stride": 2},
        "no form is called 'fast'": {"form": "fast"},
        r"depthwise must be \[R, S, C\]": {"depthwise": drawn(8, 3, 3, 1)},
        "pre_bias must be 8 fp32": {"pre_bias": torch.ones(7)},
        "residual must be": {"residual": drawn(1, 6, 5, 8)},
        "x has a pixel every 18 bytes": {"form": "tma", "x": drawn(1, 6, 5, 9)[..., :8]},
        "product is bm": {"config": SMALL._replace(box=(1, 4, 4))},
    }.items():
        with pytest.raises(ValueError, match=said):
            dw_pw(**{"x": x, "depthwise": taps, "weight": weight, **change})
