"""`conv`: every form against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

import pytest
import sm90
import torch
from archdsl.kernels import conv_planes, conv_pointer, conv_tma
from archdsl.kernels._launch import Config, Shipped
from archdsl.kernels.conv import conv, reference, widened
from proof import Poisoned, doubled, drawn, fresh, guarded, placed

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    kernel: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    slices: bool = False,
    residual: bool = False,
    affine: bool = True,
    pitch: int | None = None,
    **how: object,
) -> None:
    """Run it on drawn numbers and compare. slices: of wider buffers; pitch: of x alone."""
    fresh()
    c, k = channels
    groups = how.get("groups", 1)
    x = drawn(n, *size, c, dtype=dtype)
    fan = c // groups * kernel[0] * kernel[1]
    weight = drawn(k, *kernel, c // groups, dtype=dtype, size=fan**-0.5)
    scale, bias = (torch.rand(k) - 0.3, torch.randn(k)) if affine else (None, None)
    given = {name: v for name, v in how.items() if name not in ("form", "config", "precision")}
    truth = reference(*doubled(x, weight, scale, bias), **given)
    more = drawn(*truth.shape, dtype=dtype) if residual else None
    if residual:
        truth = reference(*doubled(x, weight, scale, bias), residual=more.double(), **given)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    seen = placed(x, c + 16, 8) if slices else placed(x, pitch)
    added = None if more is None else placed(more, k + 8 if slices else None)
    result = conv(seen, *guarded(weight, scale, bias), residual=added, out=y.view, **how)
    assert result is y.view
    y.check(truth)


@pytest.mark.parametrize(
    ("n", "size", "channels", "kernel", "how"),
    [
        (2, (9, 7), (24, 40), (3, 3), {"padding": (1, 1, 1, 1), "act": "relu", "slices": True, "residual": True}),
        (3, (5, 6), (16, 16), (1, 1), {"act": "silu", "affine": False}),
        (1, (7, 7), (8, 24), (5, 5), {"padding": (2, 2, 2, 2), "dtype": FP16, "act": "hswish"}),
        (4, (6, 6), (16, 16), (7, 7), {"padding": (3, 3, 3, 3), "dtype": FP32, "precision": "tf32", "residual": True}),
        (1, (10, 9), (16, 8), (3, 3), {"padding": (3, 1, 0, 2), "dilation": (2, 3), "act": "gelu"}),
        (2, (8, 8), (40, 16), (1, 3), {"padding": (0, 0, 1, 1), "config": SMALL._replace(flat=False), "slices": True}),
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
        (2, (10, 12), (32, 24), (3, 3), {"padding": (1, 1, 1, 1), "act": "relu", "slices": True, "residual": True}),
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
        (2, (9, 11), (24, 40), (3, 3), {"padding": (1, 1, 1, 1), "act": "relu", "slices": True, "residual": True}),
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
        (1, (11, 9), (3, 10), (11, 11), {"padding": (2, 2, 2, 2), "stride": (4, 4), "affine": False}),
        (2, (8, 9), (20, 12), (3, 3), {"padding": (1, 0, 2, 1), "stride": (1, 3), "slices": True, "residual": True}),
        (1, (9, 9), (7, 5), (3, 3), {"padding": (2, 2, 2, 2), "dilation": (2, 2), "dtype": FP32, "pitch": 9}),
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


@pytest.mark.parametrize("draw", range(6))
def test_drawn_layers(draw: int) -> None:
    """The form and the configuration that the rules choose."""
    seed = fresh()
    pick = lambda *options: options[int(torch.randint(len(options), ()))]  # noqa: E731
    c, k = pick(3, 8, 16, 21), pick(8, 10, 24)
    kernel = (pick(1, 2, 3), pick(1, 3))
    how = {
        "stride": pick((1, 1), (2, 2), (2, 1)),
        "padding": tuple(pick(0, 1, 2) for _ in range(4)),
        "dilation": (pick(1, 2), 1),
        "residual": pick(True, False),
        "slices": pick(True, False),
        "dtype": pick(BF16, FP16, FP32),
    }
    try:
        compare(pick(1, 2, 4), (pick(5, 6, 7), pick(5, 8)), (c, k), kernel, **how)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, {c}->{k} {kernel} {how}: {error}") from error


def test_wide_offsets() -> None:
    """int64 offsets give the same as int32; tensors past 2^31 need a GPU."""
    fresh()
    from unittest import mock

    with mock.patch.object(conv_pointer, "wide", return_value=True):
        compare(
            2, (5, 5), (12, 20), (3, 3), form="pointer", config=SMALL, padding=(1, 1, 1, 1), residual=True
        )


@pytest.mark.parametrize(
    ("groups", "c", "k", "left"), [(8, 4, 4, 1), (32, 2, 4, 2), (6, 16, 16, 3), (3, 40, 8, 1)]
)
def test_widened_weights(groups: int, c: int, k: int, left: int) -> None:
    """The same function with fewer groups."""
    fresh()
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


def layer(
    n: int,
    h: int,
    c: int,
    k: int,
    r: int,
    stride: int = 1,
    groups: int = 1,
    dtype: torch.dtype = BF16,
    **how: object,
) -> None:
    """Start a layer of a batch of n, with the longest epilogue there is."""
    oh = (h - 1) // stride + 1
    conv(
        sm90.empty(n, h, h, c, dtype=dtype),
        sm90.empty(k, r, r, c // groups, dtype=dtype),
        sm90.empty(k, dtype=FP32),
        sm90.empty(k, dtype=FP32),
        stride=(stride, stride),
        padding=(r // 2,) * 4,
        groups=groups,
        residual=sm90.empty(n, oh, oh, k, dtype=dtype),
        act="gelu",
        **how,
    )


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", conv_tma.CONFIGS, ids=lambda s: str(s.config))
def test_tma_compiles(shipped: Shipped) -> None:
    sm90.check(shipped.claim, lambda: layer(128, 28, 256, 256, 3, form="tma", config=shipped.config))


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", conv_planes.CONFIGS, ids=lambda s: str(s.config))
def test_planes_compile(shipped: Shipped) -> None:
    sm90.check(shipped.claim, lambda: layer(128, 35, 256, 256, 3, 2, form="planes", config=shipped.config))


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", conv_pointer.EVEN, ids=lambda s: str(s.config))
def test_pointer_compiles(shipped: Shipped) -> None:
    sm90.check(shipped.claim, lambda: layer(128, 28, 256, 256, 3, form="pointer", config=shipped.config))


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", conv_pointer.ODD, ids=lambda s: str(s.config))
def test_pointer_compiles_odd_channels(shipped: Shipped) -> None:
    sm90.check(shipped.claim, lambda: layer(128, 28, 35, 35, 3, form="pointer", config=shipped.config))
