"""`stem`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from archdsl.kernels._launch import Config
from archdsl.kernels.stem import packed, reference, stem
from proof import Poisoned, affine, doubled, drawn, placed, prove, weights

SMALL = Config(32, 16, 16, 4, 2)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def image(n: int, h: int, w: int, c: int, dtype: torch.dtype, nchw: bool) -> torch.Tensor:
    """[N, H, W, C], laid as the caller has it, with NaN around it where there is one."""
    x = (
        torch.randint(0, 256, (n, h, w, c)).to(dtype)
        if dtype == torch.uint8
        else drawn(n, h, w, c, dtype=dtype)
    )
    x = x.permute(0, 3, 1, 2).contiguous() if nchw else x
    x = x if dtype == torch.uint8 else placed(x)
    return x.permute(0, 2, 3, 1) if nchw else x


def compare(
    n: int,
    size: tuple[int, int],
    channels: tuple[int, int],
    window: tuple[int, int],
    *,
    dtype: torch.dtype = BF16,
    x: torch.dtype = BF16,
    nchw: bool = False,
    plain: bool = False,
    normalize: bool = False,
    launcher: Callable[..., torch.Tensor] | None = None,
    definition: Callable[..., torch.Tensor] = reference,
    **how: object,
) -> None:
    """x: the image's dtype; plain: without scale and bias; normalize: with gain and shift."""
    c, k = channels
    seen, weight = image(n, *size, c, x, nchw), weights(k, *window, c, dtype=dtype)
    if normalize:
        how["gain"] = (torch.rand(c) + 0.5) / (60 if x == torch.uint8 else 1)
        how["shift"] = torch.randn(c)
    config = how.get("config", None)
    if config is not None:
        how["config"] = config._replace(bk=packed(weight).shape[2])

    def launch(
        image: torch.Tensor, weight: torch.Tensor, *vectors: torch.Tensor, **how: object
    ) -> torch.Tensor:
        if nchw or x == torch.uint8:  # neither laid anew nor between NaNs
            image = seen
        return (launcher or stem)(image, placed(packed(weight)), *vectors, taps=window[1], **how)

    prove(launch, definition, seen, weight, *((None, None) if plain else affine(k)), dtype=dtype, **how)


@pytest.mark.parametrize(
    ("n", "size", "channels", "window", "how"),
    [
        (2, (13, 11), (3, 24), (7, 7), {"padding": (3, 3, 3, 3), "act": "relu"}),
        (1, (12, 12), (4, 16), (7, 7), {"padding": (3, 3, 3, 3), "x": FP32, "act": "relu"}),
        (2, (9, 10), (3, 20), (3, 3), {"padding": (0, 1, 0, 1), "nchw": True, "x": FP32, "act": "hswish", "normalize": True}),
        (2, (9, 9), (3, 16), (3, 3), {"padding": (1, 1, 1, 1), "nchw": True, "x": torch.uint8, "normalize": True}),
        (1, (9, 9), (3, 8), (5, 3), {"padding": (2, 2, 1, 1), "stride": (1, 3), "dtype": FP16, "x": FP16}),
        (1, (8, 8), (1, 16), (3, 3), {"dtype": FP32, "x": FP32, "slices": 2, "plain": True}),
        (1, (12, 12), (3, 16), (11, 11), {"padding": (2, 2, 2, 2), "stride": (4, 4), "slices": 8}),
        (1, (7, 7), (3, 70), (3, 3), {"padding": (1, 1, 1, 1), "config": None, "x": torch.uint8}),
    ],
    ids=str,
)  # fmt: skip
def test_stem(
    n: int, size: tuple[int, int], channels: tuple[int, int], window: tuple[int, int], how: dict
) -> None:
    compare(n, size, channels, window, **{"config": SMALL, **how})


def test_pixels_that_no_window_sees_do_not_count() -> None:
    """Nor do those beside a window, which zeros in the packed weights stand for."""
    x, weight = drawn(1, 11, 11, 3), drawn(16, 3, 3, 3, size=0.2)
    truth = reference(*doubled(x, weight), stride=(4, 4))
    x[:, 3::4] = x[:, :, 3::4] = torch.nan
    y = Poisoned(*truth.shape)
    stem(x, packed(weight), taps=3, stride=(4, 4), out=y.view, config=SMALL)
    y.check(truth)


def test_reference_normalises_inside_the_image() -> None:
    """Padding is of zeros after normalising, as a layer before the convolution would have it."""
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
        ({"weight": W[..., :9]}, "as `stem.packed` makes it"),
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
