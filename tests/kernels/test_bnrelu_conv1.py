"""`bnrelu_conv1` against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

from unittest import mock

import pytest
import sm90
import torch
from archdsl.kernels import bnrelu_conv1 as module
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.bnrelu_conv1 import CONFIGS, bnrelu_conv1, reference
from proof import RELATIVE, Poisoned, doubled, drawn, fresh, placed

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32
ROUNDED_BETWEEN = {dtype: limit * (1 if dtype == FP32 else 1.8) for dtype, limit in RELATIVE.items()}
"""What is normalised is rounded once more before it is multiplied."""


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    wide: tuple[int, int] = (0, 0),
    affine: bool = True,
    **how: object,
) -> None:
    """wide: channels of the buffer after x's, and before and after y's."""
    fresh()
    c, k = channels
    x, weight = drawn(n, *size, c, dtype=dtype), drawn(k, 1, 1, c, dtype=dtype, size=c**-0.5)
    # Scales may be negative, shifts are large: normalising what isn't in the image would show.
    vectors = [torch.randn(c), torch.randn(c) + 1.0]
    vectors += [torch.rand(k) - 0.3, torch.randn(k)] if affine else [None, None]
    given = {name: v for name, v in how.items() if name not in ("form", "config", "precision")}
    truth = reference(*doubled(x, weight, *vectors), **given)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 2 * wide[1], at=wide[1])
    result = bnrelu_conv1(placed(x, c + wide[0]), weight, *vectors, out=y.view, **how)
    assert result is y.view
    y.check(truth, ROUNDED_BETWEEN[dtype])


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (2, (7, 5), (40, 24), {"act": "relu", "wide": (24, 16)}),
        (1, (3, 3), (16, 16), {"affine": False}),
        (3, (4, 4), (24, 40), {"dtype": FP16, "pre_act": "hswish", "act": "relu6", "wide": (8, 0)}),
        (1, (9, 9), (20, 12), {"dtype": FP32, "wide": (4, 4)}),
        (2, (5, 1), (32, 8), {"pre_act": "sigmoid", "act": "silu"}),
    ],
    ids=str,
)
def test_tma(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"form": "tma", "config": SMALL, **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "how"),
    [
        (2, (7, 5), (40, 24), {"act": "relu", "wide": (24, 16)}),
        (1, (3, 3), (7, 5), {"dtype": FP16, "wide": (3, 2), "pre_act": "sigmoid"}),
        (1, (6, 6), (21, 9), {"dtype": FP32, "affine": False}),
        (2, (8, 6), (24, 16), {"pool": 2, "wide": (8, 8)}),
        (2, (7, 9), (20, 17), {"pool": 2, "dtype": FP32}),
        (1, (9, 11), (13, 16), {"pool": 3, "dtype": FP16, "act": "relu"}),
    ],
    ids=str,
)
def test_pointer(n: int, size: tuple[int, int], channels: tuple[int, int], how: dict) -> None:
    compare(n, size, channels, **{"form": "pointer", "config": SMALL, **how})


def test_rules_choose() -> None:
    compare(1, (6, 6), (24, 16))
    compare(1, (6, 6), (24, 16), pool=2)
    compare(1, (5, 5), (5, 3))


def test_wide_offsets() -> None:
    with mock.patch.object(module, "wide", return_value=True):
        compare(2, (6, 4), (24, 16), form="pointer", config=SMALL, wide=(8, 8))
        compare(2, (6, 4), (24, 16), form="pointer", config=SMALL, pool=2)


def test_refusals() -> None:
    x, weight = drawn(1, 4, 4, 8), drawn(8, 1, 1, 8)
    ones = torch.ones(8)
    for said, change in {
        "only the pointer form": {"form": "tma", "pool": 2},
        "no form is called 'fast'": {"form": "fast"},
        "pool must be 1 or more and fit in 4 x 4": {"pool": 5},
        "out must be": {"out": drawn(1, 4, 4, 9)},
        "no activation is called": {"pre_act": "maxout"},
    }.items():
        with pytest.raises(ValueError, match=said):
            bnrelu_conv1(x, weight, ones, ones, **change)
    with pytest.raises(ValueError, match="x has a pixel every 20 bytes"):
        bnrelu_conv1(drawn(1, 4, 4, 10)[..., :8], weight, ones, ones, form="tma")
    with pytest.raises(ValueError, match="pre_scale must be 8 fp32 numbers"):
        bnrelu_conv1(x, weight, torch.ones(7), ones)
    with pytest.raises(ValueError, match="weight must be dense"):
        bnrelu_conv1(x, drawn(8, 3, 3, 8), ones, ones)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("form", "shipped", "pool"),
    [(form, shipped, 1 + (form == "pointer" and i > 1)) for form, table in CONFIGS.items() for i, shipped in enumerate(table)],
    ids=str,
)  # fmt: skip
def test_compiles(form: str, shipped: Shipped, pool: int) -> None:
    x, weight = sm90.empty(128, 56, 56, 256)[..., :192], sm90.empty(128, 1, 1, 192)
    before, after = sm90.empty(192, dtype=FP32), sm90.empty(128, dtype=FP32)
    sm90.check(
        shipped.claim,
        lambda: bnrelu_conv1(
            x, weight, before, before, after, after, act="relu", pool=pool, form=form, config=shipped.config
        ),
    )
