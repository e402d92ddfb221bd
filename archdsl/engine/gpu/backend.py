"""The engine's backend on a GPU: the whole network as one CUDA graph for each batch size.

model's Network ─all passes─▶ Network ─plan─▶ launches ─choose─▶ kernels on one arena ─▶ CUDA graph

Nothing but the graph needs a GPU. On a CPU the same launches run one after another: on Triton's interpreter
(TRITON_INTERPRET=1) all of them, else those that torch has operators for.
"""

from __future__ import annotations

import os
import threading
from functools import partial

import torch

from archdsl.engine.backend import WORDS, Given
from archdsl.engine.gpu import book as books
from archdsl.engine.gpu import cudnn_side, tune
from archdsl.engine.gpu.choose import Chooser
from archdsl.engine.gpu.hand import candidates, has
from archdsl.engine.gpu.passes import for_gpu
from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.program import Program, choices_of
from archdsl.engine.gpu.timing import seconds_of
from archdsl.engine.gpu.weights import Weights, of_model
from archdsl.engine.report import Row
from archdsl.network import Network
from archdsl.plan import plan


class Gpu:
    """A network's weights on a GPU, and the choice of its kernels, which all sizes share.

    Kernels that the book has no measurement of are compared with the definition before they may run. With
    ARCHDSL_TUNE=1 they are measured, and the user's own book keeps what was found; with ARCHDSL_TUNE=0 no
    measurement is used.
    """

    name = "gpu"

    def __init__(
        self, given: Given, *, book: books.Book | None = None, backends: frozenset[str] | None = None
    ) -> None:
        """book: what was measured; unless stated what ships, and the user's own. backends: "triton", "cudnn"
        or "torch", those that may be chosen from; unless stated all."""
        self.device, self.came = given.example.device, given.example.dtype
        self.dtype = WORDS[given.dtype]
        state = {name: value.detach().clone() for name, value in given.state.items()}
        self.fused = for_gpu(given.network, partial(has, backends), self.dtype)
        self.weights = Weights(of_model(state), given.dtype, self.device)
        self.chooser = Chooser(
            partial(candidates, backends), known_book(self.device) if book is None else book
        )

    def ready(self, network: Network, batch: int) -> Ready:
        """The launches for one size, captured. A batch gets an arena of its own."""
        planned = plan(network, self.dtype)
        with on(self.device), torch.no_grad():
            if self.device.type == "cuda":
                problems = [problem for _, problem, _ in choices_of(planned, batch, self.chooser)]
                if os.environ.get("ARCHDSL_TUNE") == "1":
                    self._tune(problems)
                tune.prove(problems, self.chooser, self.device)
            return Ready(Program(planned, batch, self.chooser, self.weights, self.device), self.came)

    def close(self) -> None:
        """Other sizes may want the weights in other forms: they are kept."""

    def _tune(self, problems: list[Problem]) -> None:
        waiting = tune.problems_with_parts(problems, self.chooser)
        for problem in waiting:
            if not self.chooser.measured(problem):
                tune.tune(problem, self.chooser, self.device)
        mine = books.load(self.chooser.book.machine, [books.own()])
        mine.entries.update((p.key, e) for p in waiting for e in [self.chooser.book.entries.get(p.key)] if e)
        books.save(mine, books.own())


class Ready:
    """One size: a program, and one call at a time, since the arena is one. Calls may come on any stream."""

    slices, layout = None, ""

    def __init__(self, program: Program, came: torch.dtype) -> None:
        self.program, self.came = program, came
        self._lock = threading.Lock()
        self._done: torch.cuda.Event | None = None

    def warm(self, x: torch.Tensor) -> None:
        """The graph was captured when this was made; its first run loads it."""
        self.run(x)

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs in order, copies that outlive the next call."""
        program, device = self.program, self.program.device
        with self._lock, on(device):
            stream = torch.cuda.current_stream(device) if device.type == "cuda" else None
            if stream is not None and self._done is not None:
                stream.wait_event(self._done)  # the last call may be on another stream
            program.load(x)
            program.run()
            outputs = tuple(value.to(self.came, copy=True) for value in program.outputs.values())
            if stream is not None:
                self._done = stream.record_event()
        return outputs

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        """What runs each launch, and how long: each by itself, again and again on the same tensors, which
        then lie in the L2 cache."""
        self.run(x)
        program = self.program
        with self._lock, on(program.device), torch.no_grad():
            return tuple(
                Row(
                    each.launch.kernel.weighted or (each.launch.name,),
                    each.launch.kernel.pattern,
                    tuple(leaf.how for leaf in each.choice.leaves),
                    tuple(leaf.why for leaf in each.choice.leaves),
                    seconds_of([each.run], program.device, max(runs, 3))[0],
                    each.choice.bytes,
                )
                for each in program.launches
            )


def on(device: torch.device) -> torch.cuda.device:
    """Kernels are started on this GPU; does nothing for a CPU."""
    return torch.cuda.device(device if device.type == "cuda" else -1)


def known_book(device: torch.device) -> books.Book:
    """What is known of a device's kernels."""
    machine = machine_of(device)
    unused = os.environ.get("ARCHDSL_TUNE") == "0"
    return books.load(machine, () if unused else None, package=cudnn_side.package())


def machine_of(device: torch.device) -> str:
    """What measurements on a device hold for."""
    if device.type != "cuda":
        return books.machine("interpreted", (0, 0), 0)
    about = torch.cuda.get_device_properties(device)
    return books.machine(about.name, (about.major, about.minor), about.multi_processor_count)
