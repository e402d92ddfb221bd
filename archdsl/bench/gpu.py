"""The subjects on a GPU, and how its memory and time are read.

The device "dry" is a CPU that plays a GPU: the engine's launches run on Triton's interpreter, if
TRITON_INTERPRET=1, or by torch's operators, and nothing is captured. What it measures means nothing; it shows
that a run would come to its end."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Call = Callable[[Any], Any]

SETS = 3
"""Copies of a batch that are given in turn, so that no call finds its images in the cache."""


def device_of(name: str) -> torch.device:
    import torch

    return torch.device("cuda" if name == "cuda" else "cpu")


def prepare(subject: str, model: Any, example: Any, low: torch.dtype) -> Call:
    """What runs a subject. model, example: on the device, the peers' in `low` and channels_last."""
    import torch

    torch.backends.cudnn.benchmark = True
    return _PREPARE[subject](model, example, low)


def _engine(model: Any, example: Any, low: torch.dtype) -> Call:
    if example.is_cuda:
        optimize: Any = import_module("archdsl").optimize
        engine: Call = optimize(model, example, dtype=low)
        return engine
    from archdsl.engine.backend import Given
    from archdsl.engine.cpu import resized
    from archdsl.engine.gpu.backend import Gpu
    from archdsl.live import network_of

    network: Any = network_of(model)
    backend = Gpu(Given(resized(network, tuple(example.shape[1:])), model.state_dict(), low, example))
    ready = backend.ready(backend.fused, len(example))
    return lambda x: dict(zip(ready.program.outputs, ready.run(x), strict=True))


def _eager(model: Any, example: Any, low: torch.dtype) -> Call:
    return model  # type: ignore[no-any-return]


def _graph(model: Any, example: Any, low: torch.dtype) -> Call:
    """The module in a CUDA graph, which reads a copy of the images."""
    import torch

    if not example.is_cuda:
        return model  # type: ignore[no-any-return]
    given = example.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            model(given)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = model(given)

    def call(x: Any) -> Any:
        given.copy_(x)
        graph.replay()
        return outputs

    return call


def _compile(model: Any, example: Any, low: torch.dtype) -> Call:
    import torch

    return torch.compile(model, fullgraph=True, dynamic=False)  # type: ignore[no-any-return]


def _max_autotune(model: Any, example: Any, low: torch.dtype) -> Call:
    """Every kernel measured by torch, constants folded, in CUDA graphs."""
    import torch
    import torch._inductor.config as inductor

    inductor.freezing = True
    compiled: Call = torch.compile(model, mode="max-autotune", fullgraph=True, dynamic=False)
    return compiled


_PREPARE: dict[str, Callable[[Any, Any, torch.dtype], Call]] = {
    "archdsl": _engine,
    "eager": _eager,
    "graph": _graph,
    "compile": _compile,
    "max-autotune": _max_autotune,
}


def done(device: str) -> None:
    """Wait until everything has run that was started."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def in_turn(image: Any) -> Callable[[], Any]:
    """Gives the images, in other memory each time."""
    import torch

    copies = [image.clone() for _ in range(SETS - 1)] if isinstance(image, torch.Tensor) else []
    turn = itertools.cycle([image, *copies])
    return lambda: next(turn)


def memory() -> int | None:
    """The most bytes that torch has held of the GPU's memory since `settle`."""
    import torch

    return torch.cuda.max_memory_reserved() if torch.cuda.is_available() else None


def settle() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def ceiling(device: str, low: torch.dtype, matrix: int, copied: int) -> Call:
    """One matrix product of random numbers, and one copy of so many bytes."""
    import torch

    where = device_of(device)
    left, right = (torch.randn(matrix, matrix, device=where).to(low) for _ in range(2))
    product = torch.empty_like(left)
    source = torch.randn(copied // 4, device=where)
    target = torch.empty_like(source)
    return lambda what: torch.mm(left, right, out=product) if what == "matmul" else target.copy_(source)
