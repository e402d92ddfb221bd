"""What the engine asks of whoever runs a network: for each size something that is called with images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.engine.report import Row
from archdsl.network import Network
from archdsl.passes.weights import State

if TYPE_CHECKING:
    from archdsl.engine.slices import Slices


class Given(NamedTuple):
    """What a backend is made of. network: after `resized` to the example; state: a state_dict; dtype: what is
    computed in; example: of the images, whose dtype the outputs have; most: images that run together, as `sliced` has it;
    room: as `optimize` has it; layout: how images lie between layers, one of the backend's words for that. None leaves
    either to the backend.
    """

    network: Network
    state: State
    dtype: torch.dtype
    example: torch.Tensor
    most: int | None = None
    room: int | None = None
    layout: str | None = None


class Ready(Protocol):
    """One size, ready to run. Several threads may call it at once. slices: how it cuts the batch, if it does; layout:
    how images lie between its layers, if the backend has a word for that, or ""."""

    @property
    def slices(self) -> Slices | None: ...

    @property
    def layout(self) -> str: ...

    def warm(self, x: torch.Tensor) -> None:
        """Do what the first calls with such images would do once."""

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs in order, which nothing writes to any more."""

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        """What runs each layer, each timed by itself."""


class Backend(Protocol):
    """The weights as they were when it was made, and a way to run them. For one thread at a time."""

    name: str
    fused: Network

    def ready(self, network: Network, batch: int) -> Ready:
        """For one size. network: `fused` after `resized`."""

    def close(self) -> None:
        """The first size is ready: from here on nothing of the model is needed."""


WORDS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
"""Those that are computed in, and their words in a plan."""


def refusal(message: str, hint: str, *notes: str) -> ArchError:
    """A411: this backend can't run this network here."""
    return ArchError([Diagnostic(code="A411", message=message, span=None, hint=hint, notes=notes)])

