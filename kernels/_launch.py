"""What kernels share on the host: configurations and what they claim, the checks at the door, outputs, launching.

Images are tensors [N, H, W, C]: pixels one after another, each `pitch` numbers after the one before, its C channels
in a row. So a slice of channels of a wider buffer, `buffer[..., 64:96]`, is an image, for input and output alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from archdsl.kernels._common import ACTIVATIONS, INTERPRETED
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

DTYPES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32"}
RUNS_ON = "cpu" if INTERPRETED.value else "cuda"
LARGEST_GRID = 2**31 - 1


class Config(NamedTuple):
    """Tile sizes of a launch: rows (pixels) x columns (output channels) of a program, and how deep a step goes into
    the input channels. box: images, rows, columns of pixels, powers of two, whose product is bm; None: `box_for`
    chooses. flat: a convolution is one loop over taps and channels; else the taps are unrolled."""

    bm: int
    bn: int
    bk: int
    warps: int
    stages: int
    box: tuple[int, int, int] | None = None
    flat: bool = True

    def __str__(self) -> str:
        box = "" if self.box is None else "_box" + "x".join(map(str, self.box))
        taps = "" if self.flat else "_taps"
        return f"{self.bm}x{self.bn}x{self.bk}_{self.warps}w_{self.stages}s{box}{taps}"


class Claim(NamedTuple):
    """What a configuration compiles to for sm_90, spilling nothing, in its layer of tests/kernels/layers.py, by Triton 3.6
    and 3.7; tests/kernels/test_shipped.py checks it.

    tma           loads tiles by the copy engine; tensor_cores: multiplies on the tensor cores.
    shared        bytes of shared memory of a program, at most.
    ctas          programs that fit on a multiprocessor, at least.
    """

    tma: bool
    tensor_cores: bool
    shared: int
    ctas: int


class Shipped(NamedTuple):
    """A configuration that may be chosen, and what it claims."""

    config: Config
    claim: Claim


class Image(NamedTuple):
    """An image's sizes, and how many numbers after a pixel the next one lies."""

    n: int
    h: int
    w: int
    c: int
    pitch: int


def image(x: Tensor, name: str) -> Image:
    """x as images [N, H, W, C], of which the strides of dimensions of size 1 say nothing.

    Raises ValueError where x has another rank, an empty dimension, another dtype, or is laid otherwise.
    """
    if x.dim() != 4 or 0 in x.shape:
        raise ValueError(f"{name} must be images [N, H, W, C], not of shape {list(x.shape)}")
    if x.dtype not in DTYPES:
        raise ValueError(f"{name} must be one of {', '.join(DTYPES.values())}, not {x.dtype}")
    n, h, w, c = x.shape
    apart = {2: 1, 1: w, 0: h * w}  # pixels from one to the next, along each dimension
    pitch = next((x.stride(d) // apart[d] for d in (2, 1, 0) if x.shape[d] > 1), c)
    laid = all(x.stride(d) == pitch * apart[d] for d in (2, 1, 0) if x.shape[d] > 1)
    if not laid or pitch < c or (c > 1 and x.stride(3) != 1):
        raise ValueError(
            f"{name} must be a slice of channels of a dense [N, H, W, C] buffer, not of strides {list(x.stride())}; "
            "channels-last tensors are given as x.permute(0, 2, 3, 1)"
        )
    return Image(n, h, w, c, pitch)


def output(out: Tensor | None, n: int, h: int, w: int, c: int, like: Tensor) -> Tensor:
    """out, checked to be images n x h x w x c where `like` is; or new ones of like's dtype."""
    if out is None:
        return torch.empty((n, h, w, c), dtype=like.dtype, device=like.device)
    image(out, "out")
    if tuple(out.shape) != (n, h, w, c):
        raise ValueError(f"out must be {[n, h, w, c]}, not {list(out.shape)}")
    same_device(like, out=out)
    return out


def vector(values: Tensor | None, length: int, name: str, like: Tensor) -> Tensor | None:
    """values, checked to be `length` fp32 numbers in a row where `like` is; or None."""
    if values is None:
        return None
    if tuple(values.shape) != (length,) or values.dtype != torch.float32 or not values.is_contiguous():
        raise ValueError(
            f"{name} must be {length} fp32 numbers in a row, not {list(values.shape)} of {values.dtype}"
        )
    same_device(like, **{name: values})
    return values


def weight_of(weight: Tensor, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """weight, checked to be dense, of this shape, of like's dtype and where it is."""
    if tuple(weight.shape) != shape or weight.dtype != like.dtype or not weight.is_contiguous():
        raise ValueError(
            f"weight must be dense, {list(shape)} of {like.dtype}, not {list(weight.shape)} of {weight.dtype} "
            f"with strides {list(weight.stride())}"
        )
    same_device(like, weight=weight)
    return weight


def residual_of(residual: Tensor | None, n: int, h: int, w: int, c: int, like: Tensor) -> Image | None:
    """The layout of what is added before the activation: images of the output's shape and like's dtype; or None."""
    if residual is None:
        return None
    laid = image(residual, "residual")
    if laid[:4] != (n, h, w, c) or residual.dtype != like.dtype:
        raise ValueError(
            f"residual must be {[n, h, w, c]} of {like.dtype}, not {list(laid[:4])} of {residual.dtype}"
        )
    same_device(like, residual=residual)
    return laid


def same_device(like: Tensor, **others: Tensor) -> None:
    for name, tensor in others.items():
        if tensor.device != like.device:
            raise ValueError(f"{name} is on {tensor.device}, but the input is on {like.device}")


def activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ValueError(f"no activation is called {name!r}; there are {', '.join(ACTIVATIONS)}")
    return name


def precision_of(precision: str) -> str:
    """How fp32 is multiplied; other dtypes are exact either way."""
    if precision not in ("ieee", "tf32"):
        raise ValueError(f"precision must be 'ieee' or 'tf32', not {precision!r}")
    return precision


def window(size: int, kernel: int, stride: int, before: int, after: int, dilation: int, name: str) -> int:
    """Places of a window along `size` pixels, `name` being the axis. Raises ValueError where none fits."""
    if min(kernel, stride, dilation) < 1 or min(before, after) < 0:
        raise ValueError(f"{name}: kernel, stride and dilation must be 1 or more and padding 0 or more")
    reach = (kernel - 1) * dilation + 1
    if size + before + after < reach:
        raise ValueError(
            f"{name}: a window of {reach} does not fit in {size} with padding {before} and {after}"
        )
    return (size + before + after - reach) // stride + 1


def refuses_tma(x: Tensor, laid: Image, name: str) -> str | None:
    """Why the copy engine can't read or write x, or None where it can: it wants every pixel on 16 bytes."""
    if laid.pitch * x.element_size() % 16:
        return f"{name} has a pixel every {laid.pitch * x.element_size()} bytes, not a multiple of 16"
    if x.data_ptr() % 16:
        return f"{name} does not start at a multiple of 16 bytes"
    return None


def image_descriptor(x: Tensor, laid: Image, block: tuple[int, int, int, int]) -> TensorDescriptor:
    """x for the copy engine, in blocks of images, rows, columns and channels. What lies outside x reads as 0 and is not
    written: also the channels beside a slice."""
    n, h, w, c, pitch = laid
    return TensorDescriptor(x, [n, h, w, c], [h * w * pitch, w * pitch, pitch, 1], list(block))


def taps_descriptor(
    x: Tensor, laid: Image, stride: int, block: tuple[int, int, int, int]
) -> TensorDescriptor:
    """x for `_common.tap_box`, of stride 1 or 2. At stride 2 two rows and two columns are seen as one,
    [N, H / 2, 2, W / 2, 2 * pitch], so that the pixels which a tap sees are a box again: H and W must be even, and a
    step through the channels that goes past the last reads what lies beside a slice."""
    if stride == 1:
        return image_descriptor(x, laid, block)
    n, h, w, c, pitch = laid
    sizes = [n, h // 2, 2, w // 2, pitch + c]
    steps = [h * w * pitch, 2 * w * pitch, w * pitch, 2 * pitch, 1]
    return TensorDescriptor(x, sizes, steps, [block[0], block[1], 1, block[2], block[3]])


def rows_descriptor(x: Tensor, laid: Image, block: tuple[int, int]) -> TensorDescriptor:
    """x as a matrix of pixels by channels."""
    n, h, w, c, pitch = laid
    return TensorDescriptor(x, [n * h * w, c], [pitch, 1], list(block))


def box_for(n: int, h: int, w: int, bm: int) -> tuple[int, int, int]:
    """bm pixels as images, rows, columns, powers of two: the least waste beyond the images' edges, and of
    those the squarest, whose 3x3 window reads the fewest pixels around it."""

    def cost(box: tuple[int, int, int]) -> tuple[int, int]:
        return math.prod(-(-size // b) for size, b in zip((n, h, w), box, strict=True)), (box[1] + 2) * (
            box[2] + 2
        ) * box[0]

    sides = [2**i for i in range(bm.bit_length())]
    boxes = [(bm // (a * b), a, b) for a in sides for b in sides if a * b <= bm]
    return min(boxes, key=cost)


def box_of(config: Config, n: int, h: int, w: int) -> tuple[int, int, int]:
    """The configuration's box, or the one chosen for these images. Raises ValueError where it isn't bm pixels."""
    box = config.box or box_for(n, h, w, config.bm)
    if math.prod(box) != config.bm or any(b & (b - 1) for b in box):
        raise ValueError(f"box {box} must be powers of two whose product is bm = {config.bm}")
    return box


def halves(config: Config) -> bool:
    """Whether a tile's epilogue is done in two halves. With 64 sums a thread that frees the registers for a second
    program, with 128 those for a residual or a gelu; a half is still 64 columns, 128 bytes of a 2-byte dtype."""
    return config.bn >= 128 and config.bm * config.bn >= 64 * 32 * config.warps


def cheapest(table: Sequence[Shipped], tiles: Callable[[Config], int], depth: int, like: Tensor) -> Config:
    """The configuration of least estimated work, of a sum over `depth` for `tiles(config)` tiles: full waves of programs
    times a tile's work, with what is rounded up, and with a small tile's larger share of loads. A rule for
    layers that nobody timed; it says nothing of kernels of other kinds.

    Of 4-byte numbers a step is half as deep, which takes the same shared memory. Raises ValueError for an empty table.
    """
    fitting = [
        (s.config._replace(bk=s.config.bk // 2) if like.element_size() == 4 else s.config, s.claim.ctas)
        for s in table
        if like.element_size() < 4 or max(s.config.bm, s.config.bn) <= 128
    ]

    if not fitting:
        raise ValueError(
            "no configuration of the table has tiles for this layer; give one, or take a kernel for each layer"
        )

    def work(choice: tuple[Config, int]) -> float:
        config, ctas = choice
        waves = -(-tiles(config) // (processors(like) * ctas)) * ctas
        tile = config.bm * config.bn * -(-depth // config.bk) * config.bk
        return waves * tile * (1 + 32 / config.bm + 32 / config.bn)

    return min(fitting, key=work)[0]


def wide(*tensors: Tensor | None) -> bool:
    """Whether an offset into one of them may not fit in int32."""
    return any(
        sum((size - 1) * step for size, step in zip(x.shape, x.stride(), strict=True)) >= 2**31
        for x in tensors
        if x is not None
    )


def processors(like: Tensor) -> int:
    """Multiprocessors of the GPU; 132, an H100's and H200's, where there is no GPU to ask."""
    if like.device.type == "cuda":
        return int(torch.cuda.get_device_properties(like.device).multi_processor_count)
    return 132


def launch(
    kernel: Any, grid: tuple[int, ...], config: Config, like: Tensor, *arguments: Any, **constants: Any
) -> None:
    """Run `kernel` on like's device. Raises ValueError where that device can't run it."""
    if like.device.type != RUNS_ON:
        raise ValueError(
            f"the tensors are on {like.device}, but Triton kernels run on a CUDA GPU"
            + (" (here on the CPU only: TRITON_INTERPRET is set)" if RUNS_ON == "cpu" else "")
        )
    if math.prod(grid) > LARGEST_GRID:
        raise ValueError(f"{math.prod(grid)} programs are more than a GPU starts at once; split the batch")
    kernel[grid](*arguments, **constants, num_warps=config.warps, num_stages=config.stages)
