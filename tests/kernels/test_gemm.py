"""`gemm`: against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

import pytest
import sm90
import torch
from archdsl.kernels import _launch, conv
from archdsl.kernels import gemm as kernel
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.gemm import gemm, reference
from proof import Poisoned, doubled, drawn, fresh, guarded, placed

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


@pytest.mark.parametrize(
    ("images", "channels", "how"),
    [
        ((2, 9, 7), (24, 40), {"act": "relu", "residual": True, "slices": True}),
        ((3, 5, 6), (8, 24), {"act": "silu", "affine": False}),
        ((1, 11, 13), (40, 16), {"dtype": FP16, "residual": True}),
        ((1, 6, 6), (16, 20), {"dtype": FP32, "precision": "tf32", "act": "gelu"}),
        ((4, 1, 1), (64, 72), {"config": None}),
        ((2, 5, 5), (24, 136), {"config": Config(32, 128, 16, 1, 2), "residual": True, "act": "relu"}),
    ],
    ids=str,
)
def test_gemm(images: tuple[int, int, int], channels: tuple[int, int], how: dict) -> None:
    fresh()
    how = {"config": SMALL, **how}
    dtype, slices = how.pop("dtype", BF16), how.pop("slices", False)
    (c, k), m = channels, how.get("act", "none")
    x, weight = drawn(*images, c, dtype=dtype), drawn(k, c, dtype=dtype, size=c**-0.5)
    scale, bias = (torch.rand(k) - 0.3, torch.randn(k)) if how.pop("affine", True) else (None, None)
    more = drawn(*images, k, dtype=dtype) if how.pop("residual", False) else None
    truth = reference(
        *doubled(x, weight, scale, bias), act=m, residual=None if more is None else more.double()
    )
    y = Poisoned(*images, k, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    seen = placed(x, c + 16, 8) if slices else placed(x)
    added = None if more is None else placed(more, k + 8 if slices else None)
    assert gemm(seen, *guarded(weight, scale, bias), residual=added, out=y.view, **how) is y.view
    y.check(truth)


@pytest.mark.parametrize("programs", [1, 3, 100])
def test_each_program_goes_from_tile_to_tile(programs: int) -> None:
    from unittest import mock

    fresh()
    x, weight = drawn(2, 8, 8, 16), drawn(56, 16, size=0.25)
    y = Poisoned(2, 8, 8, 56)
    with mock.patch.object(kernel, "processors", return_value=programs):
        gemm(placed(x), weight, out=y.view, config=SMALL)
    y.check(reference(*doubled(x, weight)))


def test_is_a_convolution() -> None:
    fresh()
    x, weight, residual = (drawn(2, 3, 3, 16).double(), drawn(24, 16).double(), drawn(2, 3, 3, 24).double())
    apart = conv.reference(x, weight[:, None, None], residual=residual, act="relu")
    assert (reference(x, weight, residual=residual, act="relu") - apart).abs().max() < 1e-12


X, W = torch.zeros(1, 4, 4, 16, dtype=BF16), torch.zeros(24, 16, dtype=BF16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"weight": W[:, None, None]}, r"weight must be \[K, C\]"),
        ({"weight": W[:, :8]}, "weight must be dense"),
        ({"weight": W[:20]}, "gemm can't do this layer: out has a pixel every 40 bytes, .*; conv can"),
        ({"x": X[..., :12].contiguous(), "weight": W[:, :12].contiguous()}, "12 input channels"),
        ({"x": X.float(), "weight": W.float()}, "'ieee' is not"),
        ({"residual": X}, "residual must be"),
        ({"residual": torch.zeros(1, 4, 4, 24)}, "residual must be"),
        ({"out": X}, "out must be"),
        ({"config": SMALL._replace(bn=512)}, "longer than 256"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_refusals(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        gemm(**{"x": X, "weight": W, **arguments})


def layer(c: int, k: int, dtype: torch.dtype = BF16, **how: object) -> None:
    """Start a layer of 128 images of 28 x 28 with the longest epilogue there is."""
    x, y = sm90.empty(128, 28, 28, c, dtype=dtype), sm90.empty(128, 28, 28, k, dtype=dtype)
    vector = sm90.empty(k, dtype=FP32)
    gemm(x, sm90.empty(k, c, dtype=dtype), vector, vector, residual=y, act="gelu", **how)


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", kernel.CONFIGS, ids=lambda s: str(s.config))
def test_compiles(shipped: Shipped) -> None:
    sm90.check(shipped.claim, lambda: layer(256, 512, config=shipped.config))


@pytest.mark.compiled
def test_compiles_tf32() -> None:
    claim = _launch.Claim(tma=True, tensor_cores=True, shared=227 * 1024, ctas=1)
    sm90.check(claim, lambda: layer(256, 512, dtype=FP32, precision="tf32"))
