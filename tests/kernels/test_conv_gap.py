"""`conv_gap` against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

import pytest
import sm90
import torch
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.conv_gap import CONFIGS, conv_gap, reference
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
    residual: bool = False,
    **how: object,
) -> None:
    fresh()
    c, k = channels
    x, weight = (
        drawn(n, *size, c, dtype=dtype),
        drawn(k, kernel, kernel, c, dtype=dtype, size=c**-0.5 / kernel),
    )
    # What is outside the image is act(bias): large, so that counting it would show.
    scale, bias = (torch.rand(k) + 0.5, torch.randn(k) + 2.0) if affine else (None, None)
    given = {name: v for name, v in how.items() if name not in ("config", "precision")}
    if residual:
        pad = sum(how.get("padding", (0, 0, 0, 0))[:2])
        more = drawn(n, *(side + pad - kernel + 1 for side in size), k, dtype=dtype)
        how["residual"], given["residual"] = placed(more, k + 8 if slices else None), more.double()
    truth = reference(*doubled(x, weight, scale, bias), **given)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    result = conv_gap(placed(x, c + 16, 8) if slices else x, weight, scale, bias, out=y.view, **how)
    assert result is y.view
    y.check(truth)


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (3, (7, 7), (24, 40), 1, {"act": "relu", "residual": True, "slices": True, "config": SMALL._replace(box=(1, 8, 8))}),
        (2, (5, 9), (16, 16), 3, {"padding": (1, 1, 1, 1), "act": "silu", "config": SMALL._replace(box=(2, 4, 8))}),
        (5, (3, 3), (16, 8), 1, {"dtype": FP32, "act": "relu6", "config": SMALL._replace(box=(64, 1, 1))}),
        (3, (7, 3), (8, 24), 3, {"dtype": FP16, "padding": (1, 1, 1, 1), "residual": True}),
        (1, (4, 4), (16, 16), 1, {"affine": False, "slices": True}),
        (2, (6, 5), (16, 16), 3, {"padding": (0, 1, 2, 3), "dilation": (2, 1), "act": "hswish"}),
    ],
    ids=str,
)  # fmt: skip
def test_conv_gap(n: int, size: tuple[int, int], channels: tuple[int, int], kernel: int, how: dict) -> None:
    compare(n, size, channels, kernel, **{"config": SMALL, **how})


def test_rules_choose() -> None:
    compare(2, (7, 7), (16, 16), 1, act="relu", residual=True)
    compare(2, (3, 3), (16, 16), 1, act="relu", dtype=FP32)


def test_refusals() -> None:
    x, weight = drawn(1, 6, 6, 16), drawn(16, 1, 1, 16)
    for said, change in {
        "a window of 3 does not fit": {"x": drawn(1, 2, 6, 16), "weight": drawn(16, 3, 3, 16)},
        "out must be": {"out": drawn(1, 6, 6, 16)},
        "residual must be": {"residual": drawn(1, 1, 1, 16)},
        "product is bm": {"config": SMALL._replace(box=(1, 8, 4))},
        "x has a pixel every 6 bytes.*take `conv` and then `gap`": {"x": drawn(1, 6, 6, 3), "weight": drawn(8, 1, 1, 3)},
        "residual has a pixel every 40": {"residual": drawn(1, 6, 6, 20)[..., :16]},
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=said):
            conv_gap(**{"x": x, "weight": weight, **change})


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", CONFIGS, ids=lambda s: str(s.config))
def test_compiles(shipped: Shipped) -> None:
    x, weight, vector = sm90.empty(128, 7, 7, 512), sm90.empty(2048, 1, 1, 512), sm90.empty(2048, dtype=FP32)
    residual = sm90.empty(128, 7, 7, 2048)
    sm90.check(
        shipped.claim,
        lambda: conv_gap(x, weight, vector, vector, act="relu", residual=residual, config=shipped.config),
    )
