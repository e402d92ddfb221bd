"""`squeeze` and `scaled_conv1` against the float64 reference, alone and together, and what they compile to."""

from __future__ import annotations

from unittest import mock

import pytest
import sm90
import torch
from archdsl.kernels import _reference
from archdsl.kernels import scaled_conv1 as module
from archdsl.kernels import squeeze as small
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.scaled_conv1 import CONFIGS, reference, scaled_conv1
from archdsl.kernels.squeeze import squeeze
from proof import RELATIVE, Poisoned, doubled, drawn, fresh, placed

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32
ROUNDED_BETWEEN = {dtype: limit * (1 if dtype == FP32 else 2) for dtype, limit in RELATIVE.items()}
"""What is scaled, and the mean, are rounded once more before they are multiplied."""


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    slices: bool = False,
    affine: bool = True,
    residual: bool = False,
    **how: object,
) -> None:
    fresh()
    c, k = channels
    x, weight = drawn(n, *size, c, dtype=dtype), drawn(k, 1, 1, c, dtype=dtype, size=c**-0.5)
    factors = torch.rand(n, 1, 1, c).to(dtype)
    scale, bias = (torch.rand(k) - 0.3, torch.randn(k)) if affine else (None, None)
    given = {name: v for name, v in how.items() if name not in ("form", "config", "precision")}
    if residual:
        more = drawn(n, *size, k, dtype=dtype)
        how["residual"], given["residual"] = placed(more, k + 8 if slices else None), more.double()
    truth = reference(*doubled(x, factors, weight, scale, bias), **given)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    seen = placed(x, c + 16, 8) if slices else x
    result = scaled_conv1(seen, placed(factors), weight, scale, bias, out=y.view, **how)
    assert result is y.view
    y.check(truth, ROUNDED_BETWEEN[dtype])


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (3, (5, 3), (24, 40), {"residual": True, "slices": True, "act": "relu"}),
        (1, (4, 4), (16, 16), {"affine": False, "dtype": FP16}),
        (9, (1, 1), (20, 12), {"dtype": FP32, "residual": True}),
    ],
    ids=str,
)
def test_tma(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"form": "tma", "config": SMALL, **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (3, (5, 3), (24, 40), {"residual": True, "slices": True, "act": "relu"}),
        (2, (3, 3), (7, 5), {"dtype": FP16, "residual": True}),
        (1, (6, 6), (21, 9), {"dtype": FP32, "affine": False, "act": "silu"}),
    ],
    ids=str,
)
def test_pointer(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"form": "pointer", "config": SMALL, **how})


def test_rules_choose_and_wide_offsets() -> None:
    compare(2, (4, 4), (24, 16), residual=True)
    with mock.patch.object(module, "wide", return_value=True):
        compare(2, (3, 3), (5, 3), residual=True)


@pytest.mark.parametrize(
    ("n", "parts", "channels", "how"),
    [
        (3, 5, (40, 6, 40), {"area": 49, "pre_act": "silu"}),
        (17, 1, (24, 20, 33), {"act": "hsigmoid", "dtype": FP16, "mean": True}),
        (2, 3, (17, 5, 48), {"area": 9, "dtype": FP32, "biased": False, "pre_act": "sigmoid"}),
    ],
    ids=str,
)
def test_squeeze(n: int, parts: int, channels: tuple[int, int, int], how: dict) -> None:
    """mean: the mean itself, in the weights' dtype."""
    fresh()
    dtype, biased, mean = (
        how.pop(name, default) for name, default in (("dtype", BF16), ("biased", True), ("mean", False))
    )
    c, b, k = channels
    sums = drawn(n, parts, c, dtype=dtype if mean else FP32, size=how.get("area", 1) * parts**-0.5)
    w1, w2 = drawn(b, 1, 1, c, dtype=dtype, size=c**-0.5), drawn(k, 1, 1, b, dtype=dtype, size=b**-0.5)
    biases = [torch.randn(b), torch.randn(k)] if biased else [None, None]
    truth = small.reference(*doubled(sums, w1, w2, *biases), **how)
    y = Poisoned(*truth.shape, dtype=dtype)
    squeeze(placed(sums), w1, w2, *biases, out=y.view, config=SMALL._replace(bm=16), **how)
    y.check(truth, ROUNDED_BETWEEN[dtype])


def test_a_block() -> None:
    """Sums, squeeze and scaled projection with a residual, as an EfficientNet has them."""
    fresh()
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
    sums = torch.ones(2, 1, 8)
    for said, change in {
        "sums must be dense": {"sums": sums[..., ::2]},
        "area must be 1 pixel or more": {"area": 0},
        "300 channels between": {"w1": drawn(300, 1, 1, 8), "w2": drawn(8, 1, 1, 300)},
        "weight must be dense": {"w2": drawn(8, 1, 1, 9)},
        "b1 must be 8 fp32": {"b1": torch.ones(4)},
    }.items():
        with pytest.raises(ValueError, match=said):
            squeeze(**{"sums": sums, "w1": weight, "w2": weight, **change})


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("form", "shipped"), [(form, shipped) for form, table in CONFIGS.items() for shipped in table], ids=str
)
def test_compiles(form: str, shipped: Shipped) -> None:
    x, factors, weight = sm90.empty(128, 56, 56, 144), sm90.empty(128, 1, 1, 144), sm90.empty(48, 1, 1, 144)
    vector, residual = sm90.empty(48, dtype=FP32), sm90.empty(128, 56, 56, 48)
    sm90.check(
        shipped.claim,
        lambda: scaled_conv1(
            x, factors, weight, vector, vector, residual=residual, form=form, config=shipped.config
        ),
    )


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", small.CONFIGS, ids=lambda s: str(s.config))
def test_squeeze_compiles(shipped: Shipped) -> None:
    sums, b1, b2 = (
        sm90.empty(128, 16, 672, dtype=FP32),
        sm90.empty(28, dtype=FP32),
        sm90.empty(672, dtype=FP32),
    )
    w1, w2 = sm90.empty(28, 1, 1, 672), sm90.empty(672, 1, 1, 28)
    made = sm90.check(
        shipped.claim,
        lambda: squeeze(sums, w1, w2, b1, b2, area=196, pre_act="silu", config=shipped.config),
    )
    assert made.mma > 0
