"""`scaled_conv1`, alone and after `squeeze`."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels import _reference
from archdsl.kernels._launch import Config
from archdsl.kernels.scaled_conv1 import reference, scaled_conv1
from archdsl.kernels.squeeze import squeeze
from proof import affine, doubled, drawn, prove, weights

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    **how: object,
) -> None:
    """plain: without scale and bias."""
    c, k = channels
    x, weight = drawn(n, *size, c, dtype=dtype), weights(k, 1, 1, c, dtype=dtype)
    factors, vectors = torch.rand(n, 1, 1, c).to(dtype), () if plain else affine(k)
    prove(scaled_conv1, reference, x, factors, weight, *vectors, images=(0, 1, "residual"), **how)


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (3, (5, 3), (24, 40), {"residual": True, "slices": 8, "act": "relu"}),
        (1, (4, 4), (16, 16), {"plain": True, "dtype": FP16}),
        (9, (1, 1), (20, 12), {"dtype": FP32, "residual": True}),
    ],
    ids=str,
)
def test_tma(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"form": "tma", "config": SMALL, **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (3, (5, 3), (24, 40), {"residual": True, "slices": 8, "act": "relu"}),
        (2, (3, 3), (7, 5), {"dtype": FP16, "residual": True, "slices": 1}),
        (1, (6, 6), (21, 9), {"dtype": FP32, "plain": True, "act": "silu"}),
    ],
    ids=str,
)
def test_pointer(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"form": "pointer", "config": SMALL, **how})


def test_rules_choose() -> None:
    compare(2, (4, 4), (24, 16), residual=True)
    compare(2, (3, 3), (5, 3), residual=True)


def test_a_block() -> None:
    """Sums, squeeze and scaled projection with a residual, as an EfficientNet has them."""
    x, more = drawn(2, 6, 5, 24, dtype=FP32), drawn(2, 6, 5, 8, dtype=FP32)
    w1, w2, w3 = (
        drawn(4, 1, 1, 24, dtype=FP32),
        drawn(24, 1, 1, 4, dtype=FP32),
        drawn(8, 1, 1, 24, dtype=FP32),
    )
    sums = torch.stack([x[:, :3].sum((1, 2)), x[:, 3:].sum((1, 2))], dim=1)
    y = scaled_conv1(x, squeeze(sums, w1, w2, area=30, pre_act="silu"), w3, residual=more)
    xd, w1d, w2d, w3d, mored = doubled(x, w1, w2, w3, more)
    gate = torch.sigmoid(
        _reference.conv(torch.nn.functional.silu(_reference.conv(xd.mean((1, 2), True), w1d)), w2d)
    )
    truth = _reference.conv(xd * gate, w3d) + mored
    assert (y.double() - truth).abs().max() < 1e-4 * truth.abs().max()


def test_refusals() -> None:
    x, factors, weight = drawn(2, 3, 3, 8), drawn(2, 1, 1, 8), drawn(8, 1, 1, 8)
    for said, change in {
        "factors must be": {"factors": drawn(1, 1, 1, 8)},
        "factors must be .* of torch.float32": {"factors": drawn(2, 1, 1, 8, dtype=FP32)},
        "no form is called 'fast'": {"form": "fast"},
        "the form 'tma' can't do it: x has a pixel": {"form": "tma", "x": drawn(2, 3, 3, 9)[..., :8]},
    }.items():
        with pytest.raises(ValueError, match=said):
            scaled_conv1(**{"x": x, "factors": factors, "weight": weight, **change})
