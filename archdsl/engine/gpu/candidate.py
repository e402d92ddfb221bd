"""What can run a problem: a kernel with a configuration, made ready for given tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from archdsl.engine.gpu.arena import Scratch
from archdsl.engine.gpu.weights import Weights

Run = Callable[[], None]
"""Starts the kernels; nothing is looked up or allocated any more, but by torch's own operators."""


class Partial(NamedTuple):
    """A mean that is not finished: sums [N, parts, C] in float32 of so many numbers."""

    sums: Tensor
    area: int


class Given(NamedTuple):
    """What a candidate is made ready for. inputs, outputs: images [N, H, W, C] in the problem's order.
    partials: means, by the address where they should be, of which only the sums are there; what makes them
    says so, and what reads them takes the sums, or has them finished first (`finish`)."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: Weights
    scratch: Scratch
    partials: dict[int, Partial]


def finish(mean: Tensor, partials: dict[int, Partial]) -> Run | None:
    """What makes a mean of the sums that stand for it; None where it is there."""
    partial = partials.pop(mean.data_ptr(), None)
    if partial is None:
        return None
    sums, area = partial

    def run() -> None:
        mean.copy_(sums.sum(1)[:, None, None] / area)

    return run


@dataclass(frozen=True)
class Candidate:
    """backend   "triton", "cudnn" or "torch".
    name      of the kernel, and its configuration: what the cache stores and a report says.
    seconds   what it should take, by `cost`; ranks what was never measured.
    launches  kernels that it starts.
    make      given tensors, what runs it; raises ValueError where it can't run those.
    package   that it needs beside torch and Triton, with its versions; "" where it needs none.
    """

    backend: str
    name: str
    config: str
    seconds: float
    launches: int
    make: Callable[[Given], Run]
    package: str = ""

    @property
    def label(self) -> str:
        return f"{self.backend}:{self.name}" + (f":{self.config}" if self.config else "")
