"""`pool_conv1`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.pool_conv1 import pool_conv1, reference
from proof import affine, drawn, prove, weights

SMALL = Config(64, 16, 16, 4, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    below: float = 0.0,
    pooled: tuple[int, int] | None = None,
    **how: object,
) -> None:
    """plain: without scale and bias; below: what all numbers of x are less than 0 by; pooled: the output's size."""
    c, k = channels
    x = drawn(n, *size, c, dtype=dtype)
    x = -(x.abs() + below) if below else x
    vectors = (None, None) if plain else affine(k, 0.5)

    def defined(*operands: torch.Tensor, **how: object) -> torch.Tensor:
        return reference(*operands, size=pooled, **how)

    def launch(*operands: torch.Tensor, **how: object) -> torch.Tensor:
        return pool_conv1(*operands, size=pooled, **how)

    prove(launch, defined, x, weights(k, 1, 1, c, dtype=dtype), *vectors, **how)


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (2, (7, 5), (24, 40), {"act": "relu", "slices": 8}),
        (1, (6, 6), (16, 16), {"below": 1.0}),
        (1, (5, 4), (20, 12), {"below": 0.5, "dtype": FP32, "kernel": 5, "plain": True}),
        (3, (3, 3), (16, 8), {"dtype": FP16, "kernel": 3, "then": "gap", "below": 0.1}),
        (2, (8, 8), (16, 24), {"then": "maxpool3", "pooled": (4, 4), "below": 0.1, "slices": 8}),
        (1, (6, 8), (16, 16), {"then": "maxpool2", "act": "relu"}),
        (1, (7, 9), (16, 16), {"then": "maxpool3", "padding": (1, 1)}),
    ],
    ids=str,
)
def test_pool_conv1(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"config": SMALL, **how})


def test_rules_choose() -> None:
    compare(1, (6, 6), (16, 16), act="relu")
    compare(1, (7, 7), (16, 16), then="gap", dtype=FP32)


def test_refusals() -> None:
    x, weight = drawn(1, 6, 6, 16), drawn(16, 1, 1, 16)
    for said, change in {
        "kernel must be odd": {"kernel": 2},
        "nothing that may follow is called 'lrn'": {"then": "lrn"},
        "'gap' takes neither padding nor size": {"then": "gap", "size": (1, 1)},
        "holds no whole image": {"then": "gap", "config": SMALL._replace(box=(4, 4, 4))},
        "no configuration of the table has tiles": {"then": "gap", "x": drawn(1, 17, 17, 16)},
        "holds no window": {"then": "maxpool3", "config": SMALL._replace(box=(32, 2, 1))},
        "product is bm = 64": {"config": SMALL._replace(box=(1, 4, 4))},
        "x has a pixel every 6 bytes.*take `pool` and then `conv`": {"x": drawn(1, 6, 6, 3), "weight": drawn(8, 1, 1, 3)},
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=said):
            pool_conv1(**{"x": x, "weight": weight, **change})
