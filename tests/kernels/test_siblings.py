"""`siblings`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.siblings import reference, siblings
from proof import affine, drawn, prove, weights

SMALL = Config(64, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    c: int,
    channels: tuple[int, ...],
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    pooled: tuple[int, int] | None = None,
    **how: object,
) -> None:
    """plain: without scale and bias; pooled: the size of the first output."""
    k = sum(channels)
    x, weight = drawn(n, *size, c, dtype=dtype), weights(k, 1, 1, c, dtype=dtype)
    vectors = (None, None) if plain else affine(k, 0.5)

    def defined(*operands: torch.Tensor, **how: object) -> list[torch.Tensor]:
        return reference(*operands, size=pooled, **how)

    def launch(*operands: torch.Tensor, **how: object) -> list[torch.Tensor]:
        return siblings(*operands, size=pooled, **how)

    prove(launch, defined, x, weight, channels, *vectors, **how)


@pytest.mark.parametrize(
    ("n", "size", "c", "channels", "how"),
    [
        (2, (5, 7), 24, (16, 40, 5), {"act": "relu", "slices": 8}),
        (1, (4, 4), 16, (9, 24), {"dtype": FP16, "plain": True}),
        (2, (6, 8), 16, (24, 16, 3, 40), {"then": "maxpool3", "pooled": (3, 4), "slices": 8}),
        (1, (8, 6), 24, (17, 24, 8), {"then": "maxpool2", "act": "relu"}),
        (3, (7, 7), 16, (40, 16), {"then": "gap", "act": "silu"}),
        (1, (5, 5), 20, (4, 8, 12), {"then": "maxpool3", "padding": (1, 0), "dtype": FP32, "slices": 4}),
        (3, (1, 1), 16, (8, 8), {"act": "hswish"}),
    ],
    ids=str,
)
def test_siblings(n: int, size: tuple[int, int], c: int, channels: tuple[int, ...], how: dict) -> None:
    compare(n, size, c, channels, **{"config": SMALL, **how})


def test_rules_choose() -> None:
    compare(1, (6, 6), 16, (16, 8))
    compare(1, (6, 6), 16, (16, 8), then="maxpool3")


def test_outputs_are_made() -> None:
    """Those that are None, beside one that is given."""
    x, weight = drawn(1, 3, 3, 16), weights(24, 1, 1, 16)
    given = torch.empty(1, 3, 3, 8, dtype=BF16)
    first, second = siblings(x, weight, (16, 8), out=[None, given], config=SMALL)
    assert second is given and first.shape == (1, 3, 3, 16) and first.dtype == BF16
    whole = torch.cat(siblings(x, weight, (16, 8), config=SMALL), dim=3)
    assert torch.equal(torch.cat([first, second], dim=3), whole)


def test_refusals() -> None:
    x, weight = drawn(1, 6, 6, 16), drawn(16, 1, 1, 16)
    for said, change in {
        "channels must be 2 to 4 numbers": {"channels": (16,)},
        "channels must be 2 to 4 numbers from 1 on": {"channels": (16, 0)},
        "weight must be dense": {"channels": (8, 9)},
        "out must have 2 tensors, not 1": {"out": [None]},
        r"out must be \[1, 6, 6, 8\]": {"out": [None, x]},
        "x has a pixel every 34 bytes.*take `conv` for each": {"x": drawn(1, 6, 6, 17)[..., :16]},
    }.items():
        with pytest.raises(ValueError, match=said):
            siblings(**{"x": x, "weight": weight, "channels": (8, 8), **change})
