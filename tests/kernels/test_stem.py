"""`stem`: against the float64 reference, and what its configurations compile to."""

from __future__ import annotations

import pytest
import sm90
import torch
from archdsl.kernels import stem as kernel
from archdsl.kernels._launch import Claim, Config, Shipped
from archdsl.kernels.stem import packed, reference, stem
from proof import Poisoned, doubled, drawn, fresh, guarded, placed

BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def images(n: int, h: int, w: int, c: int, dtype: torch.dtype, layout: str) -> torch.Tensor:
    """[N, H, W, C], laid as the caller has it, with NaN around it where there is one."""
    x = (
        torch.randint(0, 256, (n, h, w, c)).to(dtype)
        if dtype == torch.uint8
        else drawn(n, h, w, c, dtype=dtype)
    )
    if dtype == torch.uint8:
        return x if layout == "nhwc" else x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    if layout == "nhwc":
        return placed(x)
    if layout == "slice":
        return placed(x, c + 5, 2)
    return placed(x.permute(0, 3, 1, 2).contiguous()).permute(0, 2, 3, 1)


@pytest.mark.parametrize(
    ("n", "size", "c", "k", "window", "how"),
    [
        (2, (13, 11), 3, 24, (7, 7), {"padding": (3, 3, 3, 3), "act": "relu"}),
        (1, (12, 12), 4, 16, (7, 7), {"padding": (3, 3, 3, 3), "x": FP32, "act": "relu"}),
        (2, (9, 10), 3, 20, (3, 3), {"padding": (0, 1, 0, 1), "layout": "nchw", "x": FP32, "act": "hswish"}),
        (
            2,
            (9, 9),
            3,
            16,
            (3, 3),
            {"padding": (1, 1, 1, 1), "layout": "nchw", "x": torch.uint8, "normalize": True},
        ),
        (1, (9, 9), 3, 8, (5, 3), {"padding": (2, 2, 1, 1), "stride": (1, 3), "dtype": FP16, "x": FP16}),
        (1, (8, 8), 1, 16, (3, 3), {"dtype": FP32, "x": FP32, "layout": "slice", "affine": False}),
        (1, (12, 12), 3, 16, (11, 11), {"padding": (2, 2, 2, 2), "stride": (4, 4), "slices": True}),
        (1, (7, 7), 3, 70, (3, 3), {"padding": (1, 1, 1, 1), "config": None, "normalize": True, "x": FP32}),
    ],
    ids=str,
)
def test_stem(n: int, size: tuple[int, int], c: int, k: int, window: tuple[int, int], how: dict) -> None:
    fresh()
    how = dict(how)
    dtype, slices = how.pop("dtype", BF16), how.pop("slices", False)
    x = images(n, *size, c, how.pop("x", BF16), how.pop("layout", "nhwc"))
    weight = drawn(k, *window, c, dtype=dtype, size=(c * window[0] * window[1]) ** -0.5)
    scale, bias = (torch.rand(k) - 0.3, torch.randn(k)) if how.pop("affine", True) else (None, None)
    if how.pop("normalize", False):
        how["gain"], how["shift"] = (
            (torch.rand(c) + 0.5) / (60 if x.dtype == torch.uint8 else 1),
            torch.randn(c),
        )
    run = packed(weight).shape[2]
    config = how.pop("config", Config(32, 16, run, 4, 2))
    # The image is rounded to the weights' dtype before it is multiplied; float64 weights would hide that.
    gain, shift = how.get("gain"), how.get("shift")
    seen = x.float() if gain is None else x.float() * gain + shift
    settings = {name: v for name, v in how.items() if name not in ("gain", "shift")}
    truth = reference(*doubled(seen.to(dtype), weight, scale, bias), **settings)
    y = Poisoned(*truth.shape, dtype=dtype, wide=k + 24 if slices else None, at=16 if slices else 0)
    stem(x, *guarded(packed(weight), scale, bias), taps=window[1], out=y.view, config=config, **how)
    y.check(truth, *LOOSE.get(dtype, ()) if gain is not None else ())


LOOSE = {BF16: (9e-3, 2e-2)}
"""Where the interpreter cuts off twice: the normalised image and the result."""


def test_pixels_that_no_window_sees_do_not_count() -> None:
    """Nor do those beside a window, which zeros in the packed weights stand for."""
    fresh()
    x, weight = drawn(1, 11, 11, 3), drawn(16, 3, 3, 3, size=0.2)
    truth = reference(*doubled(x, weight), stride=(4, 4))
    x[:, 3::4] = x[:, :, 3::4] = torch.nan
    y = Poisoned(*truth.shape)
    stem(x, packed(weight), taps=3, stride=(4, 4), out=y.view, config=Config(32, 16, 16, 4, 2))
    y.check(truth)


def test_reference_normalises_inside_the_image() -> None:
    """Padding is of zeros after normalising, as a layer before the convolution would have it."""
    fresh()
    x, weight = torch.randn(1, 5, 5, 3, dtype=torch.float64), torch.randn(8, 3, 3, 3, dtype=torch.float64)
    gain, shift = torch.rand(3, dtype=torch.float64) + 0.5, torch.randn(3, dtype=torch.float64)
    nchw = torch.nn.functional.conv2d(
        (x * gain + shift).permute(0, 3, 1, 2), weight.permute(0, 3, 1, 2), stride=2, padding=1
    )
    made = reference(x, weight, gain=gain, shift=shift, padding=(1, 1, 1, 1))
    assert (made - nchw.permute(0, 2, 3, 1)).abs().max() < 1e-12


X, W = torch.zeros(1, 8, 8, 3, dtype=BF16), torch.zeros(16, 3, 16, dtype=BF16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"x": X[0]}, "x must be images"),
        ({"x": X.double()}, "x must be images .* of uint8"),
        ({"weight": W[..., :9]}, "as `packed` makes it"),
        ({"taps": 7}, "7 taps of 3 channels are not packed in rows of 16"),
        ({"x": X[:, :2]}, "height: a window of 3"),
        ({"gain": torch.ones(4)}, "gain must be 3 fp32 numbers"),
        ({"out": torch.zeros(1, 3, 3, 16)}, "out must be of torch.bfloat16"),
        ({"config": Config(32, 16, 32, 4, 2)}, "does not do rows of 16"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_refusals(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stem(**{"x": X, "weight": W, "taps": 3, **arguments})


def layer(c: int, taps: int, x: torch.dtype, config: Config | None = None, nchw: bool = False) -> None:
    """Start the first layer of 128 images of 224 x 224, normalised, with the longest epilogue there is."""
    image = (
        sm90.empty(128, c, 224, 224, dtype=x).permute(0, 2, 3, 1)
        if nchw
        else sm90.empty(128, 224, 224, c, dtype=x)
    )
    vector, norm = sm90.empty(64, dtype=FP32), sm90.empty(c, dtype=FP32)
    weight = packed(sm90.empty(64, taps, taps, c))
    stem(
        image, weight, vector, vector, taps=taps, gain=norm, shift=norm, padding=(taps // 2,) * 4, act="gelu",
        config=config,
    )  # fmt: skip


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", kernel.CONFIGS, ids=lambda s: str(s.config))
def test_compiles(shipped: Shipped) -> None:
    sm90.check(shipped.claim, lambda: layer(4, 7, BF16, shipped.config))


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("c", "taps", "x", "nchw"), [(3, 7, FP32, True), (3, 3, torch.uint8, False), (3, 11, BF16, False)]
)
def test_compiles_for_other_images(c: int, taps: int, x: torch.dtype, nchw: bool) -> None:
    claim = Claim(tma=False, tensor_cores=True, shared=32 * 1024, ctas=2)
    sm90.check(claim, lambda: layer(c, taps, x, nchw=nchw))
