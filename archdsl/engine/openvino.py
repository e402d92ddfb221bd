"""The backend that runs on OpenVINO, if it is installed: our graph, with its kernels.

Batch norm, constant factors and paddings are folded by our passes, in float64. Which kernel runs what, and what
is fused further, is OpenVINO's choice; each size is compiled when it first comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from math import prod
from statistics import median
from typing import Any, NamedTuple

import torch

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.engine import malloc
from archdsl.engine.backend import Given, refusal
from archdsl.engine.report import Row
from archdsl.network import Network
from archdsl.passes import fused, named

PASSES = named(("remove", "pads", "fold"))
"""All that OpenVINO does not do itself, or not in float64."""

KEPT = 8
"""Requests that a size keeps between calls; more calls than that at once make their own."""

SMALL = 2**16
"""Bytes of an output up to which a copy of it takes less time than telling OpenVINO where to write."""


def is_there() -> bool:
    """Whether it is installed, without loading it."""
    return find_spec("openvino") is not None


class OpenVino:
    """See `Backend`. Raises ArchError where openvino is not installed (A401), or lacks a layer (A411)."""

    name = "openvino"

    def __init__(self, given: Given) -> None:
        if not is_there():
            raise _missing()
        try:
            from archdsl.engine.openvino_graph import Weights, missing
        except ImportError as error:  # an older one, or one for another machine
            raise refusal("openvino can't be loaded", "pip install --upgrade openvino", str(error)) from None

        lacking = missing(given.network)
        if lacking:
            raise refusal(
                f"the backend openvino has no counterpart of {', '.join(lacking)}", 'backend="onednn" has'
            )
        self.example, self.dtype = given.example.dtype, given.dtype
        self.channels_last = given.example.dim() == 4 and not given.example.is_contiguous()
        self.threads = torch.get_num_threads()
        self.fused = fused(given.network, PASSES)
        self.weights = Weights(given.state, given.dtype)

    def ready(self, network: Network, batch: int) -> Compiled:
        from archdsl.engine.openvino_graph import graph_of

        made = graph_of(network, self.weights, batch, self.example, channels_last=self.channels_last)
        return Compiled(made, _settings(self.dtype, self.threads), self.example, self.channels_last)

    def close(self) -> None:
        self.weights.close()


def _missing() -> ArchError:
    said = "openvino is not installed, and the backend of that name needs it"
    hint = "pip install archdsl[openvino]"
    return ArchError([Diagnostic(code="A401", message=said, span=None, hint=hint)])


def _settings(dtype: torch.dtype, threads: int) -> dict[str, Any]:
    return {
        # Left to itself it computes in bf16 wherever the CPU has it, also what was asked for in float32.
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
    }


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


class _Request(NamedTuple):
    """One call at a time. outputs: where it writes those that are small; None for a large one, which gets a new
    tensor each time."""

    made: Any
    outputs: tuple[torch.Tensor | None, ...]


class Compiled:
    """See `Ready`."""

    def __init__(
        self, made: Any, settings: dict[str, Any], came: torch.dtype, channels_last: bool
    ) -> None:
        self.made, self.settings, self.came, self.channels_last = made, settings, came, channels_last
        self.shapes = [tuple(output.shape) for output in made.model.outputs]
        self.compiled = self._compiled()
        if self.shapes != [tuple(output.shape) for output in self.compiled.outputs]:
            raise refusal("OpenVINO gives the network other sizes", 'backend="onednn" runs it')
        malloc.keep(max(map(prod, self.shapes)) * came.itemsize)  # what torch makes anew for each call
        self.free: deque[_Request] = deque([self._request()], KEPT)

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The image is read where torch has it. Little is done in Python: OpenVINO's threads fall asleep between calls,
        the deeper the longer it takes."""
        try:
            request = self.free.pop()
        except IndexError:  # all are in use
            request = self._request()
        x = (x.permute(0, 2, 3, 1) if self.channels_last else x).contiguous()
        outputs = [self._large(request, index) if own is None else own for index, own in enumerate(request.outputs)]
        # It does not keep the image alive: from one call to the next it only knows where that lay.
        request.made.infer(_shared(x), True, True)
        found = tuple([output if own is None else own.clone() for output, own in zip(outputs, request.outputs, strict=True)])
        self.free.append(request)
        return found

    def _large(self, request: _Request, index: int) -> torch.Tensor:
        output = torch.empty(self.shapes[index], dtype=self.came)
        request.made.set_output_tensor(index, _shared(output))
        return output

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        """What OpenVINO made of the layers, timed by itself in a graph of its own that counts."""
        counting = Compiled.__new__(Compiled)
        counting.__dict__ |= self.__dict__ | {"free": deque()}
        counting.compiled = self._compiled(PERF_COUNT=True)
        times: dict[str, list[float]] = {}
        for run in range(runs + 1):
            counting.run(x)
            for info in counting.free[0].made.get_profiling_info() if run else ():
                times.setdefault(info.node_name, []).append(info.real_time.total_seconds())
        found = []
        for node in counting.compiled.get_runtime_model().get_ordered_ops():
            seconds = median(times.get(node.get_friendly_name(), [0.0]))
            if seconds:
                found.append(self._row(node, seconds))
        return tuple(found)

    def _row(self, node: Any, seconds: float) -> Row:
        about = {name: value.astype(str) for name, value in node.get_rt_info().items()}
        known = [name.partition("/")[0] for name in about.get("originalLayersNames", "").split(",")]
        layers = [self.made.layers[name] for name in dict.fromkeys(known) if name in self.made.layers]
        kind, kernel = about.get("layerType", ""), about.get("primitiveType", "")
        return Row(
            tuple(dict.fromkeys(name for names, _ in layers for name in names)) or (node.get_friendly_name(),),
            " + ".join(pattern for _, pattern in layers) or kind.lower(),
            (f"OpenVINO {kind}, {kernel}",),
            ("as OpenVINO chose",),
            seconds,
            _bytes([*node.inputs(), *node.outputs()]),
        )

    def _compiled(self, **more: Any) -> Any:
        try:
            return _core().compile_model(self.made.model, "CPU", self.settings | more)
        except RuntimeError as error:
            said = " ".join(str(error).split()[-40:])
            raise refusal("OpenVINO can't compile the network", 'backend="onednn" runs it', said) from None

    def _request(self) -> _Request:
        made = self.compiled.create_infer_request()
        outputs: list[torch.Tensor | None] = []
        for index, shape in enumerate(self.shapes):
            small = prod(shape) * self.came.itemsize <= SMALL
            own = torch.empty(shape, dtype=self.came) if small else None
            if own is not None:
                made.set_output_tensor(index, _shared(own))
            outputs.append(own)
        return _Request(made, tuple(outputs))


def _shared(tensor: torch.Tensor) -> Any:
    """A tensor of OpenVINO's in the same memory, which the caller keeps alive."""
    tensor_of, bf16 = _tensor_of()
    tensor = tensor.detach()
    if tensor.dtype != torch.bfloat16:
        return tensor_of(tensor.numpy(), True)
    # NumPy has no bfloat16.
    return tensor_of(tensor.view(torch.int16).numpy(), list(tensor.shape), bf16)


@cache
def _tensor_of() -> tuple[Any, Any]:
    import openvino

    return openvino.Tensor, openvino.Type.bf16


def _bytes(ports: Sequence[Any]) -> int:
    return sum(prod(port.get_shape()) * port.get_element_type().size for port in ports)
