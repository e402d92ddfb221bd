"""What OpenVINO compiled, called: with a batch as a whole, or in slices that run side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from statistics import median
from typing import Any, NamedTuple

import torch

from archdsl.engine import malloc
from archdsl.engine.backend import refusal
from archdsl.engine.report import Row
from archdsl.engine.slices import Slices
from archdsl.engine.winograd import HALVED

KEPT = 8
"""Calls at once whose requests are kept for the next; more make their own."""

SMALL = 2**16
"""Bytes of an output up to which a copy of it takes less time than telling OpenVINO where to write."""


class Graph:
    """A graph, compiled. make: it anew, since what was compiled needs it no more; packed: called when its constants are
    not needed either. came: the dtype of images and outputs; shapes: of the outputs."""

    def __init__(
        self,
        make: Callable[[], Any],
        packed: Callable[[], None],
        settings: dict[str, Any],
        came: torch.dtype,
        channels_last: bool,
    ) -> None:
        self.make, self.packed, self.settings = make, packed, settings
        self.came, self.channels_last = came, channels_last
        made = make()
        self.shapes = [tuple(output.shape) for output in made.model.outputs]
        self.compiled = self._compiled(made.model)
        if self.shapes != [tuple(output.shape) for output in self.compiled.outputs]:
            raise refusal("OpenVINO gives the network other sizes", 'backend="onednn" runs it')

    def laid(self, x: torch.Tensor) -> torch.Tensor:
        """Images as the graph reads them, without a copy where they lie so."""
        return (x.permute(0, 2, 3, 1) if self.channels_last else x).contiguous()

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        """What OpenVINO made of the layers, timed by itself in a graph of its own that counts."""
        made = self.make()
        compiled = self._compiled(made.model, PERF_COUNT=True)
        request, image = compiled.create_infer_request(), self.laid(x)
        times: dict[str, list[float]] = {}
        for run in range(runs + 1):
            request.infer(shared(image), True, True)
            for info in request.get_profiling_info() if run else ():
                times.setdefault(info.node_name, []).append(info.real_time.total_seconds())
        found = []
        for node in compiled.get_runtime_model().get_ordered_ops():
            seconds = median(times.get(node.get_friendly_name(), [0.0]))
            if seconds:
                found.append(_row(made, node, seconds))
        return tuple(found)

    def _compiled(self, model: Any, **more: Any) -> Any:
        try:
            return _core().compile_model(model, "CPU", self.settings | more)
        except RuntimeError as error:
            said = " ".join(str(error).split()[-40:])
            raise refusal("OpenVINO can't compile the network", 'backend="onednn" runs it', said) from None
        finally:
            self.packed()


class _Request(NamedTuple):
    """One call at a time. outputs: where it writes those that are small; None for a large one, which gets a new
    tensor each time."""

    made: Any
    outputs: tuple[torch.Tensor | None, ...]


class Whole:
    """See `Ready`."""

    slices = None

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        malloc.keep(max(map(prod, graph.shapes)) * graph.came.itemsize)  # what torch makes anew for each call
        self.free: deque[_Request] = deque([self._request()], KEPT)

    def warm(self, x: torch.Tensor) -> None:
        """OpenVINO has settled when it has compiled; where outputs are large, malloc takes a few calls to."""
        if any(own is None for own in self.free[0].outputs):
            self.run(x)
            self.run(x)

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The image is read where torch has it. Little is done in Python: OpenVINO's threads fall asleep between calls,
        the deeper the longer it takes."""
        try:
            request = self.free.pop()
        except IndexError:  # all are in use
            request = self._request()
        x = self.graph.laid(x)
        outputs = [self._large(request, index) if own is None else own for index, own in enumerate(request.outputs)]
        # It does not keep the image alive: from one call to the next it only knows where that lay.
        request.made.infer(shared(x), True, True)
        found = tuple([output if own is None else own.clone() for output, own in zip(outputs, request.outputs, strict=True)])
        self.free.append(request)
        return found

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        return self.graph.rows(x, runs)

    def _large(self, request: _Request, index: int) -> torch.Tensor:
        output = torch.empty(self.graph.shapes[index], dtype=self.graph.came)
        request.made.set_output_tensor(index, shared(output))
        return output

    def _request(self) -> _Request:
        made = self.graph.compiled.create_infer_request()
        outputs: list[torch.Tensor | None] = []
        for index, shape in enumerate(self.graph.shapes):
            small = prod(shape) * self.graph.came.itemsize <= SMALL
            own = torch.empty(shape, dtype=self.graph.came) if small else None
            if own is not None:
                made.set_output_tensor(index, shared(own))
            outputs.append(own)
        return _Request(made, tuple(outputs))


class InSlices:
    """See `Ready`. graph: of one slice, compiled with as many streams as slices run at once."""

    def __init__(self, graph: Graph, slices: Slices) -> None:
        self.graph, self.slices = graph, slices
        self.shapes = [(slices.images * slices.number, *shape[1:]) for shape in graph.shapes]
        malloc.keep(max(map(prod, self.shapes)) * graph.came.itemsize)
        self.free: deque[list[Any]] = deque([self._requests()], KEPT)

    def warm(self, x: torch.Tensor) -> None:
        """Nothing: OpenVINO has settled when it has compiled."""

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Each slice is read and written where it lies in the batch."""
        try:
            requests = self.free.pop()
        except IndexError:  # all are in use
            requests = self._requests()
        x = self.graph.laid(x)
        outputs = tuple([torch.empty(shape, dtype=self.graph.came) for shape in self.shapes])
        try:
            for number, start in enumerate(self.slices.starts):
                part = slice(start, start + self.slices.images)
                request = requests[number % len(requests)]
                request.wait()
                for index, output in enumerate(outputs):
                    request.set_output_tensor(index, shared(output[part]))
                request.start_async(shared(x[part]), None, True)
        finally:  # only here are the tensors kept alive
            for request in requests:
                request.wait()
        self.free.append(requests)
        return outputs

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        """Of one slice that runs alone."""
        return self.slices.rows(self.graph.rows(x[: self.slices.images], runs))

    def _requests(self) -> list[Any]:
        """Two for each stream: while one is given the next slice, it runs the other."""
        return [self.graph.compiled.create_infer_request() for _ in range(min(2 * self.slices.lanes, self.slices.number))]


def shared(tensor: torch.Tensor) -> Any:
    """A tensor of OpenVINO's in the same memory, which the caller keeps alive."""
    tensor_of, bf16 = _tensor_of()
    tensor = tensor.detach()
    if tensor.dtype != torch.bfloat16:
        return tensor_of(tensor.numpy(), True)
    # NumPy has no bfloat16.
    return tensor_of(tensor.view(torch.int16).numpy(), list(tensor.shape), bf16)


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


@cache
def _tensor_of() -> tuple[Any, Any]:
    import openvino

    return openvino.Tensor, openvino.Type.bf16


def _row(made: Any, node: Any, seconds: float) -> Row:
    about = {name: value.astype(str) for name, value in node.get_rt_info().items()}
    known = [name.partition("/")[0] for name in about.get("originalLayersNames", "").split(",")]
    layers = [made.layers[name] for name in dict.fromkeys(known) if name in made.layers]
    kind, kernel = about.get("layerType", ""), about.get("primitiveType", "")
    return Row(
        tuple(dict.fromkeys(name for names, _ in layers for name in names)) or (node.get_friendly_name(),),
        " + ".join(pattern for _, pattern in layers) or kind.lower(),
        (f"OpenVINO {kind}, {kernel}",),
        (HALVED if made.halved.intersection(known) else "as OpenVINO chose",),
        seconds,
        _bytes([*node.inputs(), *node.outputs()]),
    )


def _bytes(ports: Sequence[Any]) -> int:
    return sum(prod(port.get_shape()) * port.get_element_type().size for port in ports)
