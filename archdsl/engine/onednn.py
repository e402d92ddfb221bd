"""The backend that needs nothing but torch: oneDNN's kernels, as torch brings them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from archdsl import malloc
from archdsl.engine.backend import WORDS, Given
from archdsl.engine.calls import Program
from archdsl.engine.capture import Runner, capture
from archdsl.engine.cpu import for_cpu
from archdsl.engine.halved import halved
from archdsl.engine.in_place import in_place
from archdsl.engine.packing import Weights
from archdsl.engine.report import Row, rows
from archdsl.engine.select import Selector
from archdsl.engine.slices import Sliced, Slices, sliced
from archdsl.network import Network
from archdsl.plan import plan

GAIN = 0.78
"""See `winograd.saving`: torch's products of batches are MKL's, and slower than oneDNN's convolutions."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A program and the function that runs it."""

    network: Network
    program: Program
    run: Runner
    dtype: torch.dtype
    slices: None = None
    layout: str = ""

    def warm(self, x: torch.Tensor) -> None:
        """TorchScript looks at the first run, and settles in the second."""
        self.run(x)
        self.run(x)

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        """Its steps, timed call by call."""
        counted = plan(self.network, WORDS[self.dtype])
        return rows(self.program, counted, x, runs)


class OneDnn:
    """See `Backend`."""

    name = "onednn"

    def __init__(self, given: Given) -> None:
        self.came, self.dtype = given.example.dtype, given.dtype
        self.most, self.room = given.most, given.room
        self.threads = torch.get_num_threads()
        slices = self._slices(given.network, given.example.shape[0])
        self.fused = for_cpu(given.network, given.example.shape[0] if slices is None else slices.images)
        self.weights = Weights(given.state, given.dtype)
        self.kernels = _has_onednn(given.dtype)

    def ready(self, network: Network, batch: int) -> Captured | Sliced:
        slices = self._slices(network, batch)
        few = self._halved(network, batch)
        if slices is None:
            return self._whole(network, batch, self.threads, few)
        return Sliced(self._whole(network, slices.images, 1, few), slices)

    def _slices(self, network: Network, batch: int) -> Slices | None:
        return sliced(network, WORDS[self.dtype], batch, self.threads, self.most)

    def _halved(self, network: Network, batch: int) -> dict[str, int]:
        if self.dtype != torch.float32 or not self.kernels:
            return {}
        return halved(network, batch, GAIN, even=True, room=self.room)

    def _whole(self, network: Network, batch: int, threads: int, few: Mapping[str, int]) -> Captured:
        program = Selector(network, self.weights, batch, self.came, threads, self.kernels, few).program()
        in_place(program)
        malloc.keep(program.largest(self.dtype.itemsize))
        return Captured(network, program, capture(program, network.name), self.dtype)

    def close(self) -> None:
        self.weights.close()


def _has_onednn(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
