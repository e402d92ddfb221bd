"""`conv_pool` against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

from unittest import mock

import pytest
import sm90
import torch
from archdsl.kernels import conv_pool as module
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.conv_pool import CONFIGS, conv_pool, reference
from proof import Poisoned, doubled, drawn, fresh, placed

SMALL = Config(64, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    kernel: int,
    *,
    dtype: torch.dtype = BF16,
    slices: bool = False,
    affine: bool = True,
    negative: bool = False,
    pooled: tuple[int, int] | None = None,
    **how: object,
) -> None:
    """negative: so that everything before the pool is below 0; pooled: the size that comes out."""
    fresh()
    c, k = channels
    x, weight = (
        drawn(n, *size, c, dtype=dtype),
        drawn(k, kernel, kernel, c, dtype=dtype, size=c**-0.5 / kernel),
    )
    scale, bias = (torch.rand(k) + 0.5, torch.randn(k)) if affine else (None, None)
    if negative:
        bias = bias - 12.0
    how["size"] = pooled
    given = {name: v for name, v in how.items() if name not in ("config", "precision")}
    truth = reference(*doubled(x, weight, scale, bias), **given)
    assert not negative or truth.max() < 0
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    result = conv_pool(placed(x, c + 16, 8) if slices else x, weight, scale, bias, out=y.view, **how)
    assert result is y.view
    y.check(truth)


SAME = {"padding": (1, 1, 1, 1)}


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (8, 12), (24, 40), 3, {**SAME, "act": "relu", "slices": True}),
        (1, (9, 7), (16, 16), 3, {**SAME, "negative": True, "pooled": (5, 4)}),
        (3, (6, 6), (16, 8), 1, {"dtype": FP16, "affine": False, "config": SMALL._replace(box=(4, 4, 4))}),
        (
            1,
            (7, 7),
            (16, 16),
            5,
            {"padding": (2, 0, 1, 3), "dtype": FP32, "pool_padding": (1, 0), "negative": True},
        ),
        (2, (4, 10), (8, 16), 3, {**SAME, "dilation": (2, 1), "padding": (2, 2, 1, 1), "act": "silu"}),
    ],
    ids=str,
)
def test_pool_2(n: int, size: tuple[int, int], channels: tuple[int, int], kernel: int, how: dict) -> None:
    compare(n, size, channels, kernel, **{"pool": 2, "config": SMALL, **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (8, 12), (24, 40), 3, {**SAME, "act": "relu", "slices": True}),
        (1, (12, 12), (16, 16), 3, {**SAME, "negative": True, "pool_padding": (1, 1)}),
        (2, (8, 8), (16, 16), 3, {**SAME, "negative": True, "pooled": (4, 4), "dtype": FP16}),
        (5, (5, 7), (16, 8), 1, {"affine": False, "config": SMALL._replace(box=(4, 4, 4))}),
        (1, (9, 8), (16, 16), 3, {"dtype": FP32, "negative": True, "pool_padding": (0, 1), "act": "tanh"}),
        (1, (3, 3), (8, 8), 1, {"negative": True}),
    ],
    ids=str,
)  # fmt: skip
def test_pool_3(n: int, size: tuple[int, int], channels: tuple[int, int], kernel: int, how: dict) -> None:
    compare(n, size, channels, kernel, **{"pool": 3, "config": SMALL, **how})


def test_rules_choose() -> None:
    compare(1, (8, 8), (16, 16), 3, pool=2, **SAME)
    compare(2, (8, 8), (16, 16), 3, pool=3, dtype=FP32, **SAME)


def test_wide_offsets() -> None:
    with mock.patch.object(module, "wide", return_value=True):
        compare(2, (8, 8), (16, 16), 3, pool=3, config=SMALL, slices=True, **SAME)


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("pool must be 2 or 3", {"pool": 4}),
        ("has no 4 windows over 6 places", {"size": (4, 3)}),
        ("a pool of 2 with padding 2", {"pool_padding": (2, 0)}),
        ("a window of 3 does not fit", {"x": drawn(1, 2, 6, 16), "weight": drawn(16, 3, 3, 16)}),
        ("holds no window", {"pool": 3, "config": SMALL._replace(box=(2, 16, 2))}),
        ("out must be", {"out": drawn(1, 3, 4, 16)}),
    ],
)
def test_refusals(said: str, change: dict) -> None:
    with pytest.raises(ValueError, match=said):
        conv_pool(**{"x": drawn(1, 6, 6, 16), "weight": drawn(16, 1, 1, 16), "config": SMALL, **change})


def test_refuses_what_the_copy_engine_cannot_read() -> None:
    with pytest.raises(ValueError, match=r"x has a pixel every 6 bytes.*take `conv` and then `pool`"):
        conv_pool(drawn(1, 6, 6, 3), drawn(16, 1, 1, 3))


@pytest.mark.compiled
@pytest.mark.parametrize("pool", [2, 3])
@pytest.mark.parametrize("shipped", CONFIGS, ids=str)
def test_compiles(shipped: Shipped, pool: int) -> None:
    x, weight, vector = sm90.empty(128, 56, 56, 128), sm90.empty(256, 3, 3, 128), sm90.empty(256, dtype=FP32)
    sm90.check(
        shipped.claim,
        lambda: conv_pool(
            x, weight, vector, vector, padding=(1, 1, 1, 1), act="relu", pool=pool, config=shipped.config
        ),
    )
