"""`pool_conv1` and `siblings`, the kernels of an Inception block, against the float64 reference, and what they compile
to."""

from __future__ import annotations

from unittest import mock

import pytest
import sm90
import torch
from archdsl.kernels import pool_conv1 as module
from archdsl.kernels import siblings as several
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.pool_conv1 import pool_conv1, reference
from archdsl.kernels.siblings import siblings
from proof import Poisoned, doubled, drawn, fresh, placed

SMALL = Config(64, 16, 16, 4, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    slices: bool = False,
    affine: bool = True,
    below: float = 0.0,
    pooled: tuple[int, int] | None = None,
    **how: object,
) -> None:
    """below: what all numbers of x are less than 0 by; pooled: the size that comes out."""
    fresh()
    c, k = channels
    x, weight = drawn(n, *size, c, dtype=dtype), drawn(k, 1, 1, c, dtype=dtype, size=c**-0.5)
    if below:
        x = -(x.abs() + below)
        assert x.max() < 0
    scale, bias = (torch.rand(k) + 0.5, torch.randn(k)) if affine else (None, None)
    how["size"] = pooled
    given = {name: v for name, v in how.items() if name not in ("config", "precision")}
    truth = reference(*doubled(x, weight, scale, bias), **given)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    result = pool_conv1(placed(x, c + 16, 8) if slices else x, weight, scale, bias, out=y.view, **how)
    assert result is y.view
    y.check(truth)


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (2, (7, 5), (24, 40), {"act": "relu", "slices": True}),
        (1, (6, 6), (16, 16), {"below": 1.0}),
        (1, (5, 4), (20, 12), {"below": 0.5, "dtype": FP32, "kernel": 5, "affine": False}),
        (3, (3, 3), (16, 8), {"dtype": FP16, "kernel": 3, "then": "gap", "below": 0.1}),
        (2, (8, 8), (16, 24), {"then": "maxpool3", "pooled": (4, 4), "below": 0.1, "slices": True}),
        (1, (6, 8), (16, 16), {"then": "maxpool2", "act": "relu"}),
        (1, (7, 9), (16, 16), {"then": "maxpool3", "padding": (1, 1)}),
    ],
    ids=str,
)
def test_pool_conv1(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"config": SMALL, **how})


def compare_siblings(
    n: int,
    size: tuple[int, int],
    c: int,
    channels: tuple[int, ...],
    *,
    dtype: torch.dtype = BF16,
    affine: bool = True,
    pooled: tuple[int, int] | None = None,
    **how: object,
) -> None:
    """Every second output is a slice of a wider buffer."""
    fresh()
    k = sum(channels)
    x, weight = drawn(n, *size, c, dtype=dtype), drawn(k, 1, 1, c, dtype=dtype, size=c**-0.5)
    scale, bias = (torch.rand(k) + 0.5, torch.randn(k)) if affine else (None, None)
    how["size"] = pooled
    given = {name: v for name, v in how.items() if name not in ("config", "precision")}
    truths = reference_of(x, weight, channels, scale, bias, **given)
    outs = [
        Poisoned(*truth.shape, dtype=dtype, wide=truth.shape[3] + 8 * (i % 2), at=8 * (i % 2))
        for i, truth in enumerate(truths)
    ]
    siblings(placed(x, c + 8), weight, channels, scale, bias, out=[y.view for y in outs], **how)
    for y, truth in zip(outs, truths, strict=True):
        y.check(truth)


def reference_of(
    x: torch.Tensor, weight: torch.Tensor, channels: tuple[int, ...], *vectors: object, **how: object
) -> list:
    (xd, weightd), given = doubled(x, weight), doubled(*vectors)
    return several.reference(xd, weightd, channels, *given, **how)


@pytest.mark.parametrize(
    ("n", "size", "c", "channels", "how"),
    [
        (2, (5, 7), 24, (16, 40, 5), {"act": "relu"}),
        (1, (4, 4), 16, (9, 24), {"dtype": FP16, "affine": False}),
        (2, (6, 8), 16, (24, 16, 3, 40), {"then": "maxpool3", "pooled": (3, 4)}),
        (1, (8, 6), 24, (17, 24, 8), {"then": "maxpool2", "act": "relu"}),
        (3, (7, 7), 16, (40, 16), {"then": "gap", "act": "silu"}),
        (1, (5, 5), 20, (4, 8, 12), {"then": "maxpool3", "padding": (1, 0), "dtype": FP32}),
    ],
    ids=str,
)
def test_siblings(n: int, size: tuple[int, int], c: int, channels: tuple[int, ...], how: dict) -> None:
    compare_siblings(n, size, c, channels, **{"config": SMALL._replace(stages=2), **how})


def test_rules_choose_and_wide_offsets() -> None:
    compare(1, (6, 6), (16, 16), act="relu")
    compare(1, (7, 7), (16, 16), then="gap", dtype=FP32)
    compare_siblings(1, (6, 6), 16, (16, 8))
    compare_siblings(1, (6, 6), 16, (16, 8), then="maxpool3")
    with (
        mock.patch.object(module, "wide", return_value=True),
        mock.patch.object(several, "wide", return_value=True),
    ):
        compare(1, (6, 6), (16, 16), config=SMALL, then="maxpool3")
        compare_siblings(2, (4, 4), 16, (16, 8), config=SMALL)


def test_refusals() -> None:
    x, weight = drawn(1, 6, 6, 16), drawn(16, 1, 1, 16)
    for said, change in {
        "kernel must be odd": {"kernel": 2},
        "nothing that may follow is called 'lrn'": {"then": "lrn"},
        "'gap' takes neither padding nor size": {"then": "gap", "size": (1, 1)},
        "holds no whole image": {"then": "gap", "config": SMALL._replace(box=(4, 4, 4))},
        "holds no window": {"then": "maxpool3", "config": SMALL._replace(box=(32, 2, 1))},
        "product is bm = 64": {"config": SMALL._replace(box=(1, 4, 4))},
        "x has a pixel every 6 bytes.*take `pool` and then `conv`": {"x": drawn(1, 6, 6, 3), "weight": drawn(8, 1, 1, 3)},
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=said):
            pool_conv1(**{"x": x, "weight": weight, **change})
    for said, change in {
        "channels must be 2 to 4 numbers": {"channels": (16,)},
        "weight must be dense": {"channels": (8, 9)},
        "out must have 2 tensors, not 1": {"out": [None]},
        r"out must be \[1, 6, 6, 8\]": {"out": [None, x]},
        "x has a pixel every 34 bytes": {"x": drawn(1, 6, 6, 17)[..., :16]},
    }.items():
        with pytest.raises(ValueError, match=said):
            siblings(**{"x": x, "weight": weight, "channels": (8, 8), **change})


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("shipped", "then"), [(s, t) for i, s in enumerate(module.CONFIGS) for t in ("none", "maxpool3")[: 1 + (i < 2)]], ids=str
)  # fmt: skip
def test_compiles(shipped: Shipped, then: str) -> None:
    x, weight, vector = sm90.empty(128, 14, 14, 512), sm90.empty(64, 1, 1, 512), sm90.empty(64, dtype=FP32)
    sm90.check(
        shipped.claim,
        lambda: pool_conv1(x, weight, vector, vector, act="relu", then=then, config=shipped.config),
    )


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("shipped", "then"), [(s, t) for i, s in enumerate(several.CONFIGS) for t in ("maxpool3", "none")[: 1 + (i < 1)]], ids=str
)  # fmt: skip
def test_siblings_compile(shipped: Shipped, then: str) -> None:
    x, weight, vector = sm90.empty(128, 28, 28, 256), sm90.empty(288, 1, 1, 256), sm90.empty(288, dtype=FP32)
    sm90.check(
        shipped.claim,
        lambda: siblings(
            x, weight, (128, 128, 32), vector, vector, act="relu", then=then, config=shipped.config
        ),
    )
