"""`stem_pool` against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

from unittest import mock

import pytest
import sm90
import torch
from archdsl.kernels import stem_pool as module
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.stem import packed
from archdsl.kernels.stem_pool import CONFIGS, reference, stem_pool
from proof import Poisoned, doubled, drawn, fresh, placed

SMALL = Config(64, 32, 32, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    kernel: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    planes: bool = False,
    pixels: torch.dtype | None = None,
    negative: bool = False,
    normalised: bool = False,
    pooled: tuple[int, int] | None = None,
    slices: bool = False,
    **how: object,
) -> None:
    """planes: x is NCHW in memory; pixels: its dtype; negative: all before the pool is below 0."""
    fresh()
    c, k = channels
    x = (
        torch.randint(0, 256, (n, *size, c), dtype=torch.uint8)
        if pixels == torch.uint8
        else drawn(n, *size, c, dtype=dtype)
    )
    weight = drawn(k, *kernel, c, dtype=dtype, size=(c * kernel[0] * kernel[1]) ** -0.5)
    scale, bias = torch.rand(k) + 0.5, torch.randn(k) - (12.0 if negative else 0.0)
    how["size"] = pooled
    if normalised:
        # Powers of two and small integers, so that v is exact in every dtype and the reference need not round.
        how["gain"], how["shift"] = torch.full((c,), 2.0**-6), torch.full((c,), -2.0)
    given = {name: v for name, v in how.items() if name not in ("config", "precision")}
    truth = reference(
        *doubled(x, weight, scale, bias), **dict(zip(given, doubled(*given.values()), strict=True))
    )
    assert not negative or truth.max() < 0
    seen = x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1) if planes else x if pixels else placed(x)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    result = stem_pool(seen, packed(weight), scale, bias, taps=kernel[1], out=y.view, **how)
    assert result is y.view
    y.check(truth)


P3 = {"padding": (3, 3, 3, 3)}


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (14, 17), (3, 40), (7, 7), {**P3, "act": "relu", "pool_padding": (1, 1), "slices": True}),
        (1, (16, 16), (3, 8), (7, 7), {**P3, "negative": True, "pooled": (4, 4), "planes": True}),
        (1, (12, 12), (4, 16), (7, 7), {**P3, "negative": True, "pool_padding": (1, 1), "dtype": FP16}),
        (2, (9, 8), (3, 16), (3, 3), {"padding": (1, 1, 0, 1), "stride": (1, 2), "pool": 2, "dtype": FP32}),
        (
            1,
            (13, 13),
            (3, 16),
            (7, 7),
            {**P3, "pixels": torch.uint8, "normalised": True, "pool_padding": (1, 1)},
        ),
    ],
    ids=str,
)
def test_stem_pool(
    n: int, size: tuple[int, int], channels: tuple[int, int], kernel: tuple[int, int], how: dict
) -> None:
    bk = max(16, 1 << (kernel[1] * channels[0] - 1).bit_length())
    compare(n, size, channels, kernel, **{"config": SMALL._replace(bk=bk), **how})


def test_rules_choose_and_wide_offsets() -> None:
    compare(1, (12, 12), (3, 16), (7, 7), act="relu", **P3)
    with mock.patch.object(module, "wide", return_value=True):
        compare(1, (12, 12), (3, 16), (7, 7), act="relu", config=SMALL, **P3)


def test_refusals() -> None:
    x, weight = drawn(1, 12, 12, 3), packed(drawn(8, 7, 7, 3))
    for said, change in {
        "pool must be 2 or 3, not 4": {"pool": 4},
        "5 taps of 3 channels are not packed in rows of 32": {"taps": 5},
        "out must be of torch.bfloat16": {"out": drawn(1, 2, 2, 8, dtype=FP32)},
        "a configuration of bk 64 does not do rows of 32": {"config": SMALL._replace(bk=64)},
        "longer than 64": {"x": drawn(1, 12, 12, 12), "weight": packed(drawn(8, 7, 7, 12))},
        "x must be images": {"x": x.double()},
        "has no 9 windows": {"size": (9, 9)},
    }.items():
        with pytest.raises(ValueError, match=said):
            stem_pool(**{"x": x, "weight": weight, "taps": 7, **change})


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", CONFIGS, ids=lambda s: str(s.config))
def test_compiles(shipped: Shipped) -> None:
    x, weight, vector = sm90.empty(128, 224, 224, 3), sm90.empty(64, 7, 32), sm90.empty(64, dtype=FP32)
    sm90.check(
        shipped.claim,
        lambda: stem_pool(
            x, weight, vector, vector, taps=7, act="relu", pool_padding=(1, 1), config=shipped.config, **P3
        ),
    )
