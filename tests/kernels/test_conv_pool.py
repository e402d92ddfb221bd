"""`conv_pool`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.conv_pool import conv_pool, reference
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
    negative: bool = False,
    pooled: tuple[int, int] | None = None,
    **how: object,
) -> None:
    """plain: without scale and bias; negative: all before the pool is below 0, where padding would win; pooled: the
    output's size."""
    c, k = channels
    x, weight = drawn(n, *size, c, dtype=dtype), weights(k, window, window, c, dtype=dtype)
    vectors = (None, None) if plain else affine(k, 0.5, -12.0 if negative else 0.0)

    def checked(*operands: torch.Tensor, **how: object) -> torch.Tensor:
        y = reference(*operands, size=pooled, **how)
        assert not negative or y.max() < 0
        return y

    def launch(*operands: torch.Tensor, **how: object) -> torch.Tensor:
        return conv_pool(*operands, size=pooled, **how)

    prove(launch, checked, x, weight, *vectors, **how)


SAME = {"padding": (1, 1, 1, 1)}


@pytest.mark.parametrize(
    ("n", "size", "channels", "window", "how"),
    [
        (2, (8, 12), (24, 40), 3, {**SAME, "act": "relu", "slices": 8}),
        (1, (9, 7), (16, 16), 3, {**SAME, "negative": True, "pooled": (5, 4)}),
        (3, (6, 6), (16, 8), 1, {"dtype": FP16, "plain": True, "config": SMALL._replace(box=(4, 4, 4))}),
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
def test_pool_2(n: int, size: tuple[int, int], channels: tuple[int, int], window: int, how: dict) -> None:
    compare(n, size, channels, window, **{"pool": 2, "config": SMALL, **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "window", "how"),
    [
        (2, (8, 12), (24, 40), 3, {**SAME, "act": "relu", "slices": 8}),
        (1, (12, 12), (16, 16), 3, {**SAME, "negative": True, "pool_padding": (1, 1)}),
        (2, (8, 8), (16, 16), 3, {**SAME, "negative": True, "pooled": (4, 4), "dtype": FP16}),
        (5, (5, 7), (16, 8), 1, {"plain": True, "config": SMALL._replace(box=(4, 4, 4))}),
        (1, (9, 8), (16, 16), 3, {"dtype": FP32, "negative": True, "pool_padding": (0, 1), "act": "tanh"}),
        (1, (3, 3), (8, 8), 1, {"negative": True}),
    ],
    ids=str,
)  # fmt: skip
def test_pool_3(n: int, size: tuple[int, int], channels: tuple[int, int], window: int, how: dict) -> None:
    compare(n, size, channels, window, **{"pool": 3, "config": SMALL, **how})


def test_rules_choose() -> None:
    compare(1, (8, 8), (16, 16), 3, pool=2, **SAME)
    compare(2, (8, 8), (16, 16), 3, pool=3, dtype=FP32, **SAME)


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
