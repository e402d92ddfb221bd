"""`conv`, every form."""

from __future__ import annotations

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.conv import conv, reference, widened
from proof import affine, drawn, prove, weights

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    kernel: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    plain: bool = False,
    **how: object,
) -> None:
    """plain: without scale and bias."""
    c, k = channels
    x, weight = drawn(n, *size, c, dtype=dtype), weights(k, *kernel, c // how.get("groups", 1), dtype=dtype)
    prove(conv, reference, x, weight, *(() if plain else affine(k)), **how)


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (9, 7), (24, 40), (3, 3), {"padding": (1, 1, 1, 1), "act": "relu", "slices": 8, "residual": True}),
        (3, (5, 6), (16, 16), (1, 1), {"act": "silu", "plain": True}),
        (1, (7, 7), (8, 24), (5, 5), {"padding": (2, 2, 2, 2), "dtype": FP16, "act": "hswish"}),
        (4, (6, 6), (16, 16), (7, 7), {"padding": (3, 3, 3, 3), "dtype": FP32, "precision": "tf32", "residual": True}),
        (1, (10, 9), (16, 8), (3, 3), {"padding": (3, 1, 0, 2), "dilation": (2, 3), "act": "gelu"}),
        (2, (8, 8), (40, 16), (1, 3), {"padding": (0, 0, 1, 1), "config": SMALL._replace(flat=False), "slices": 8}),
        (2, (5, 5), (32, 64), (3, 3), {"padding": (1, 1, 1, 1), "groups": 2, "residual": True, "act": "relu6"}),
        (5, (3, 3), (16, 16), (3, 3), {"padding": (1, 1, 1, 1), "config": SMALL._replace(box=(8, 2, 2))}),
    ],
    ids=str,
)  # fmt: skip
def test_tma(
    n: int, size: tuple[int, int], channels: tuple[int, int], kernel: tuple[int, int], how: dict
) -> None:
    compare(n, size, channels, kernel, **{"form": "tma", "config": SMALL, **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (10, 12), (32, 24), (3, 3), {"padding": (1, 1, 1, 1), "act": "relu", "slices": 8, "residual": True}),
        (1, (8, 6), (16, 16), (1, 1), {"act": "relu"}),
        (1, (8, 8), (16, 16), (5, 5), {"padding": (2, 1, 1, 2), "config": SMALL._replace(flat=False)}),
        (1, (10, 10), (16, 16), (3, 3), {"padding": (2, 2, 1, 1), "dilation": (2, 1), "dtype": FP32, "precision": "tf32"}),
        (1, (6, 6), (64, 32), (3, 3), {"padding": (1, 1, 1, 1), "groups": 2}),
    ],
    ids=str,
)  # fmt: skip
def test_tma_stride_2(
    n: int, size: tuple[int, int], channels: tuple[int, int], kernel: tuple[int, int], how: dict
) -> None:
    compare(n, size, channels, kernel, **{"form": "tma", "config": SMALL, "stride": (2, 2), **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (9, 11), (24, 40), (3, 3), {"padding": (1, 1, 1, 1), "act": "relu", "slices": 8, "residual": True}),
        (1, (7, 8), (24, 16), (1, 1), {}),
        (1, (7, 7), (8, 16), (5, 5), {"padding": (2, 1, 1, 2), "dtype": FP16}),
        (3, (9, 9), (16, 16), (3, 3), {"padding": (0, 1, 2, 3), "dilation": (1, 3), "act": "tanh"}),
    ],
    ids=str,
)  # fmt: skip
def test_planes(
    n: int, size: tuple[int, int], channels: tuple[int, int], kernel: tuple[int, int], how: dict
) -> None:
    compare(n, size, channels, kernel, **{"form": "planes", "config": SMALL, "stride": (2, 2), **how})


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (9, 7), (3, 20), (3, 3), {"padding": (1, 1, 1, 1), "stride": (2, 2), "act": "relu", "residual": True}),
        (1, (11, 9), (3, 10), (11, 11), {"padding": (2, 2, 2, 2), "stride": (4, 4), "plain": True}),
        (2, (8, 9), (20, 12), (3, 3), {"padding": (1, 0, 2, 1), "stride": (1, 3), "slices": 8, "residual": True}),
        (1, (9, 9), (7, 5), (3, 3), {"padding": (2, 2, 2, 2), "dilation": (2, 2), "dtype": FP32, "slices": 1}),
        (1, (6, 6), (24, 12), (3, 3), {"padding": (1, 1, 1, 1), "groups": 3, "dtype": FP16, "residual": True}),
        (1, (5, 5), (12, 24), (3, 3), {"padding": (1, 1, 1, 1), "groups": 12}),
        (4, (1, 1), (37, 41), (1, 1), {"act": "sigmoid"}),
        (1, (5, 1), (16, 16), (3, 1), {"padding": (1, 1, 0, 0), "stride": (2, 2), "act": "hsigmoid"}),
    ],
    ids=str,
)  # fmt: skip
def test_pointer(
    n: int, size: tuple[int, int], channels: tuple[int, int], kernel: tuple[int, int], how: dict
) -> None:
    compare(n, size, channels, kernel, **{"form": "pointer", "config": SMALL, **how})


@pytest.mark.parametrize(
    ("groups", "c", "k", "left"), [(8, 4, 4, 1), (32, 2, 4, 2), (6, 16, 16, 3), (3, 40, 8, 1)]
)
def test_widened_weights(groups: int, c: int, k: int, left: int) -> None:
    """The same function with fewer groups."""
    weight = torch.randn(groups * k, 3, 3, c, dtype=torch.float64)
    x = torch.randn(1, 5, 5, groups * c, dtype=torch.float64)
    wide, fewer = widened(weight, groups)
    assert fewer == left
    apart = reference(x, weight, groups=groups)
    assert (reference(x, wide, groups=fewer) - apart).abs().max() < 1e-12


X = torch.zeros(1, 8, 8, 16, dtype=BF16)
W = torch.zeros(16, 3, 3, 16, dtype=BF16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"x": X[0]}, r"x must be images \[N, H, W, C\]"),
        ({"x": X.double()}, "x must be one of fp16, bf16, fp32"),
        ({"x": X.permute(0, 3, 1, 2)}, "x must be a slice of channels"),
        ({"weight": W.float()}, "weight must be dense"),
        ({"weight": W[..., :8]}, "weight must be dense"),
        ({"groups": 3}, "3 groups must divide"),
        ({"scale": torch.ones(15)}, "scale must be 16 fp32 numbers"),
        ({"bias": torch.ones(16, dtype=BF16)}, "bias must be 16 fp32 numbers"),
        ({"x": X[:, :2]}, "height: a window of 3 does not fit in 2"),
        ({"stride": (0, 1)}, "height: kernel, stride and dilation must be 1 or more"),
        ({"residual": X}, r"residual must be \[1, 6, 6, 16\]"),
        ({"out": X}, r"out must be \[1, 6, 6, 16\]"),
        ({"act": "swish"}, "no activation is called 'swish'"),
        ({"precision": "fast"}, "precision must be"),
        ({"form": "fft"}, "no form is called 'fft'"),
        ({"form": "tma", "stride": (3, 3)}, r"the form 'tma' can't .* stride is \(3, 3\)"),
        ({"form": "tma", "stride": (2, 2), "x": X[:, :7, :7].contiguous()}, "must be even, not 7 and 7"),
        ({"form": "tma", "x": torch.zeros(1, 8, 8, 17, dtype=BF16)[..., 1:]}, "x has a pixel every 34 bytes"),
        ({"form": "tma", "x": torch.zeros(1, 8, 8, 24, dtype=BF16)[..., 4:20]}, "x does not start at"),
        ({"form": "tma", "weight": W[:12]}, "out has a pixel every 24 bytes"),
        ({"form": "tma", "x": X.float(), "weight": W.float()}, "'tf32' is"),
        ({"form": "planes"}, r"the stride is \(1, 1\), not 2"),
        ({"form": "planes", "stride": (2, 2), "groups": 2, "weight": W[..., :8].contiguous()}, "there are 2 groups"),
        ({"form": "tma", "config": SMALL._replace(box=(1, 4, 4))}, "product is bm = 32"),
    ],
    ids=lambda v: str(v) if isinstance(v, str) else "",
)  # fmt: skip
def test_refusals(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        conv(**{"x": X, "weight": W, **arguments})
