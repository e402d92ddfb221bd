"""`depthwise`: against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

import pytest
import sm90
import torch
from archdsl.kernels import depthwise as kernel
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.depthwise import depthwise, new_sums, reference
from proof import Poisoned, close, doubled, drawn, fresh, guarded, placed

SMALL = Config(16, 16, 1, 1, 1)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(n: int, size: tuple[int, int], c: int, kernel: int, multiplier: int = 1, **how: object) -> None:
    fresh()
    dtype, slices, sums = how.pop("dtype", BF16), how.pop("slices", False), how.pop("sums", False)
    k = c * multiplier
    x, weight = drawn(n, *size, c, dtype=dtype), drawn(kernel, kernel, k, dtype=dtype, size=1 / kernel)
    scale, bias = (torch.rand(k) - 0.3, torch.randn(k)) if how.pop("affine", True) else (None, None)
    config = how.pop("config", SMALL)
    truth = reference(*doubled(x, weight, scale, bias), **how)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    seen = placed(x, c + 16, 8) if slices else placed(x)
    room = None
    if sums:
        room = Poisoned(*new_sums(y.view, config).shape, dtype=FP32)
        how["sums"] = room.view
    assert depthwise(seen, *guarded(weight, scale, bias), out=y.view, config=config, **how) is y.view
    y.check(truth)
    if room is not None:
        assert room.view.shape[1] > 1, "one box shows nothing"
        close(room.view.sum(1), truth.sum((1, 2)), 1e-5, 1e-5)
        assert not room.view.isnan().any() and room.buffer[room.outside].isnan().all()


@pytest.mark.parametrize(
    ("n", "size", "c", "kernel", "how"),
    [
        (2, (9, 7), 24, 3, {"padding": (1, 1, 1, 1), "act": "relu6", "slices": True, "sums": True}),
        (1, (8, 9), 20, 3, {"padding": (0, 1, 2, 1), "stride": (2, 2), "act": "hswish"}),
        (4, (5, 6), 16, 5, {"padding": (2, 2, 2, 2), "act": "silu", "dtype": FP16, "sums": True}),
        (1, (9, 9), 8, 5, {"padding": (2, 1, 1, 2), "stride": (2, 1), "dtype": FP32}),
        (1, (9, 7), 17, 7, {"padding": (3, 3, 3, 3), "stride": (2, 2), "affine": False, "slices": True}),
        (1, (9, 9), 8, 3, {"padding": (2, 2, 3, 3), "dilation": (2, 3)}),
        (2, (5, 5), 6, 3, {"padding": (1, 1, 1, 1), "multiplier": 3, "act": "relu", "sums": True}),
        (3, (7, 7), 40, 3, {"padding": (1, 1, 1, 1), "config": None, "act": "gelu"}),
        (2, (3, 3), 16, 3, {"padding": (1, 1, 1, 1), "config": SMALL._replace(box=(1, 8, 2))}),
        (2, (1, 1), 16, 1, {}),
    ],
    ids=str,
)
def test_depthwise(n: int, size: tuple[int, int], c: int, kernel: int, how: dict) -> None:
    compare(n, size, c, kernel, **how)


def test_wide_offsets() -> None:
    from unittest import mock

    with mock.patch.object(kernel, "wide", return_value=True):
        compare(2, (5, 5), 12, 3, padding=(1, 1, 1, 1), sums=True)


X, W = torch.zeros(1, 8, 8, 16, dtype=BF16), torch.zeros(3, 3, 16, dtype=BF16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"weight": W[..., :8]}, "K a multiple of 16"),
        ({"weight": W.float()}, "weight must be dense"),
        ({"x": X[:, :2]}, "height: a window of 3"),
        ({"out": X}, "out must be"),
        ({"sums": torch.zeros(1, 2, 16)}, r"sums must be \[1, 3, 16\] of fp32"),
        ({"config": SMALL._replace(box=(2, 2, 4))}, "of one image"),
        ({"act": "mish"}, "no activation is called 'mish'"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_refusals(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        depthwise(**{"x": X, "weight": W, "config": SMALL, **arguments})


def layer(kernel: int, stride: int, config: Config, dtype: torch.dtype = BF16) -> None:
    """Start a layer of 128 images of 28 x 28 x 192 with the longest epilogue there is."""
    x, side = sm90.empty(128, 28, 28, 192, dtype=dtype), 28 // stride
    vector = sm90.empty(192, dtype=FP32)
    sums = new_sums(sm90.empty(128, side, side, 192), config)
    depthwise(
        x, sm90.empty(kernel, kernel, 192, dtype=dtype), vector, vector, stride=(stride, stride),
        padding=(kernel // 2,) * 4, act="gelu", sums=sums, config=config,
    )  # fmt: skip


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", kernel.CONFIGS, ids=lambda s: str(s.config))
def test_compiles(shipped: Shipped) -> None:
    sm90.check(shipped.claim, lambda: layer(5, 1, shipped.config))
