"""`archdsl.optimize`: a model as an engine that runs it in evaluation, without Python between layers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from statistics import median
from typing import Any, NoReturn

import torch
from torch import nn

from archdsl import malloc
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.engine import choices
from archdsl.engine.as_built import change
from archdsl.engine.backend import WORDS, Given, Ready
from archdsl.engine.backends import chosen
from archdsl.engine.cpu import resized
from archdsl.engine.machine import key_of
from archdsl.engine.report import Report
from archdsl.engine.slices import Slices
from archdsl.live import network_of, unwrapped
from archdsl.network import Network
from archdsl.ops.base import ShapeError, written
from archdsl.plan import Plan, plan
from archdsl.symbolic import solved

PLANS = 8
"""Plans that an engine keeps, one for each size it was called with; the one unused longest goes first."""


def optimize(
    model: nn.Module,
    example: torch.Tensor,
    *,
    dtype: torch.dtype | None = None,
    backend: str | None = None,
    room: int | None = None,
) -> Engine:
    """An engine that gives what a model gives in evaluation, faster.

    model: what `archdsl.build` made, on a CPU or a CUDA GPU, after `model.eval()`. Its weights are taken as they
    are now; what happens to it later does not reach the engine.
    example: a batch of images; the engine is made for its size, dtype and device.
    dtype: what it computes in, float32 or bfloat16, on a GPU float16 too; the model's own unless stated. Outputs
    have the dtype of the images.
    backend: "onednn", which comes with torch, or "openvino", an extra; on a GPU "gpu". On a CPU a batch runs in slices,
    each with a thread of its own, where that is expected to be faster; "onednn/4" says that a slice has at most four
    images, and a batch of four is not cut; "openvino/blocks" and "openvino/plain", how images lie between layers
    (`engine.layout`). Unless stated the one that
    `archdsl tune` found the fastest for this network, size, dtype, CPU and number of threads; where it was not
    asked, openvino if it is installed and has all layers, otherwise onednn.
    room: bytes that may be taken beyond the weights' own for forms of them that run faster, in float32 on a CPU; unless
    stated about as many as leave the engine at what the model itself takes when it runs.

    Raises ArchError: the model or the example is none that an engine can be made of (A404 to A408), or the
    backend that was asked for is not installed (A401) or can't run it (A411). TypeError for an example that is no tensor.
    """
    return Engine(model, example, dtype, backend, room)


class Engine:
    """A model made ready by `archdsl.optimize`. Call it with a batch of images.

    backend: who runs it; why: that one; key: what a choice by measurement is kept under.

    Calls from several threads run side by side: what is shared is only read, and every call has tensors of its
    own; on a GPU those of one size take turns. Other batch sizes work, and other image sizes where the spec leaves
    them open; each is planned when it first comes, and the last 8 plans are kept.
    """

    def __init__(
        self,
        model: nn.Module,
        example: torch.Tensor,
        dtype: torch.dtype | None = None,
        backend: str | None = None,
        room: int | None = None,
    ) -> None:
        if not isinstance(example, torch.Tensor):
            raise _no_tensor("the example", example)
        network = network_of(model)
        if network is None:
            raise _error(
                "A404",
                f"{type(model).__name__} is not a model that archdsl built",
                "make it with archdsl.build(archdsl.load(...)), and load its weights into that",
            )
        model = unwrapped(model)
        training = next((name for name, module in model.named_modules() if module.training), None)
        if training is not None:
            which = f"{network.name}'s {training}" if training else network.name
            raise _error("A405", f"{which} is in training mode", "call model.eval() first")
        state = model.state_dict()
        self.name = network.name
        self.came, self.device = example.dtype, example.device
        self.dtype = _dtype_of(state, example.dtype) if dtype is None else dtype
        self._check_made_for(network, model, state, example)
        self.given = network.input
        self._check_size(example)
        self._shape = shape = tuple(example.shape)
        given = Given(resized(network, shape[1:]), state, self.dtype, example, room=room)
        self.key = key_of(given)
        tuned = choices.find(self.key) if backend is None else None
        self._backend, self.why, first = chosen(given, backend, tuned)
        self.backend = self._backend.name
        self._fused = self._backend.fused
        self._plans: OrderedDict[tuple[int, ...], Ready] = OrderedDict({shape: first})
        self._lock = threading.Lock()
        self._names = [output.name for output in self._fused.outputs]
        self._bare = self._names == ["out"]  # as the module: a tensor, or tensors by name
        with torch.no_grad():
            first.warm(example)
        malloc.trim()

    def __call__(self, x: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """What the model gives for a batch. Raises ArchError for one that it can't take (A406 to A408)."""
        ready = self._plans.get(tuple(x.shape))
        if ready is None or x.dtype != self.came or x.device != self.device:
            ready = self._ready_for(x)
        if torch.is_grad_enabled():
            with torch.no_grad():
                outputs = ready.run(x)
        else:  # 20 us less
            outputs = ready.run(x)
        return outputs[0] if self._bare else dict(zip(self._names, outputs, strict=True))

    @property
    def slices(self) -> Slices | None:
        """How a batch of the example's size is cut; None where it runs as a whole."""
        return self._ready(self._shape).slices

    @property
    def layout(self) -> str:
        """How images lie between layers: with openvino "blocks" or "plain", or "" where there is no choice."""
        return self._ready(self._shape).layout

    @property
    def plan(self) -> Plan:
        """Where each tensor of the example's size would lie in one arena, and what each kernel moves."""
        return plan(resized(self._fused, self._shape[1:]), WORDS[self.dtype])

    def report(self, x: torch.Tensor | None = None, *, runs: int = 10) -> Report:
        """What runs each layer, why, and how long it takes; `print` it. x: a batch, or random images of the
        example's size."""
        if x is None:
            x = torch.randn(self._shape, dtype=torch.float32).to(self.device, self.came)
        ready = self._ready_for(x)
        seconds = []
        for _ in range(runs + 2):
            start = time.perf_counter()
            self(x)
            if x.is_cuda:
                torch.cuda.synchronize(x.device)
            seconds.append(time.perf_counter() - start)
        title = (
            f"{self.name}, {written(tuple(x.shape))}, {WORDS[self.dtype]}, {torch.get_num_threads()} threads\n"
            f"{self.backend}: {self.why}"
        )
        if ready.slices is not None:
            title += f"\n{ready.slices}"
        return Report(title, ready.rows(x, runs), median(seconds[2:]))

    def __reduce__(self) -> NoReturn:
        raise TypeError("an engine can't be copied or pickled: make one of the model, by archdsl.optimize")

    def __repr__(self) -> str:
        return f"Engine({self.name!r}, {written(self._shape)}, {WORDS[self.dtype]})"

    # ---- plans ----

    def _ready_for(self, x: torch.Tensor) -> Ready:
        if not isinstance(x, torch.Tensor):
            raise _no_tensor("a batch of images", x)
        if x.dtype != self.came:
            raise _error(
                "A407",
                f"the engine is for images of {_word(self.came)}, and these are {_word(x.dtype)}",
                "cast them",
            )
        if x.device != self.device:
            raise _error(
                "A408",
                f"the engine is on {self.device}, and these images are on {x.device}",
                "move them there",
            )
        self._check_size(x)
        return self._ready(tuple(x.shape))

    def _ready(self, shape: tuple[int, ...]) -> Ready:
        with self._lock:
            found = self._plans.get(shape)
            if found is None:
                found = self._made(shape)
                self._plans = OrderedDict([*self._plans.items(), (shape, found)][-PLANS:])
            elif next(reversed(self._plans)) != shape:
                # A new dict, so that readers need no lock.
                others = [item for item in self._plans.items() if item[0] != shape]
                self._plans = OrderedDict([*others, (shape, found)])
            return found

    def _made(self, shape: tuple[int, ...]) -> Ready:
        try:
            network = resized(self._fused, shape[1:])
        except ShapeError as error:
            raise _error(
                "A406", f"{self.name} can't take {written(shape[1:])}: {error.message}", error.hint
            ) from None
        made = self._backend.ready(network, shape[0])
        malloc.trim()
        return made

    # ---- what is refused ----

    def _check_made_for(self, network: Network, model: nn.Module, state: dict[str, Any], example: torch.Tensor) -> None:
        for index in network.evaluated[1:]:
            node = network.nodes[index]
            for weight in node.op.weights(*(network.nodes[i].shape for i in node.inputs)):
                found = state.get(f"{node.name}.{weight.name}")
                if found is None or tuple(found.shape) != weight.shape:
                    raise _error(
                        "A404",
                        f"{self.name} has another {node.name}.{weight.name} than its spec",
                        "layers were exchanged after archdsl built it; change the spec instead",
                    )
        changed = change(model)
        if changed is not None:
            raise _error("A404", f"{self.name} {changed}", "make an engine of a model as archdsl built it; change the spec instead")
        devices = {str(value.device) for value in (*state.values(), example)}
        if len(devices) > 1 or example.device.type not in ("cpu", "cuda"):
            raise _error(
                "A408",
                f"{self.name} and the example are on {' and '.join(sorted(devices))}",
                "move both to one CPU or CUDA GPU",
            )
        for dtype, what in ((self.dtype, "the engine"), (self.came, "the example")):
            if dtype not in WORDS or dtype == torch.float16 and example.device.type == "cpu":
                raise _error(
                    "A407",
                    f"{what} can't be {_word(dtype)}",
                    "float32 and bfloat16 can be computed: give dtype=",
                )

    def _check_size(self, x: torch.Tensor) -> None:
        wanted, shape = self.given, tuple(x.shape)
        fits = len(shape) == len(wanted) + 1 and min(shape) > 0 and solved(wanted, shape[1:]) is not None
        if not fits:
            raise _error(
                "A406",
                f"{self.name} takes batches of {written(wanted)}, and this is {written(shape) or 'a number'}",
                f"a tensor of shape (N, {', '.join(map(str, wanted))})",
            )


def _dtype_of(state: dict[str, Any], otherwise: torch.dtype) -> torch.dtype:
    return next((value.dtype for value in state.values() if value.is_floating_point()), otherwise)


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _no_tensor(what: str, found: object) -> TypeError:
    return TypeError(f"{what} is a torch.Tensor, not {type(found).__module__}.{type(found).__name__}")


def _error(code: str, message: str, hint: str) -> ArchError:
    return ArchError([Diagnostic(code=code, message=message, span=None, hint=hint)])
