"""What OpenVINO compiled, called: with a batch as a whole, or in slices that run side by side."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from math import prod
from statistics import median
from typing import Any

import torch

from archdsl import malloc
from archdsl.engine import in_blocks
from archdsl.engine.backend import refusal
from archdsl.engine.on_disk import OnDisk
from archdsl.engine.report import Row
from archdsl.engine.slices import Slices
from archdsl.engine.winograd import HALVED

KEPT = 8
"""Calls at once whose requests are kept for the next; more make their own."""

SMALL = 2**16
"""Bytes of an output up to which a copy of it takes less time than telling OpenVINO where to write."""


class Graph:
    """A graph, compiled. make: it anew, since what was compiled needs it no more; kept: where its constants lie. came: the
    dtype of images and outputs; shapes: of the outputs. blocks: whether all convolutions are to be as in_blocks.py has them,
    then whether they are."""

    def __init__(
        self,
        make: Callable[[], Any],
        kept: OnDisk,
        settings: dict[str, Any],
        came: torch.dtype,
        channels_last: bool,
        *,
        blocks: bool,
    ) -> None:
        self.make, self.kept, self.settings = make, kept, settings
        self.came, self.channels_last, self.blocks = came, channels_last, blocks
        model = self._made().model
        self.shapes = [tuple(output.shape) for output in model.outputs]
        self.compiled = self._compiled(model)
        if self.blocks and not in_blocks.are(self.compiled):
            self.blocks = False
            del model, self.compiled  # or its packed weights would lie beside those of the next
            self.compiled = self._compiled(self._made().model)
        if self.shapes != [tuple(output.shape) for output in self.compiled.outputs]:
            raise refusal("OpenVINO gives the network other sizes", 'backend="onednn" runs it')

    def laid(self, x: torch.Tensor) -> torch.Tensor:
        """Images as the graph reads them, without a copy where they lie so."""
        return (x.permute(0, 2, 3, 1) if self.channels_last else x).contiguous().resolve_neg()

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        """What OpenVINO made of the layers, timed by itself in a graph of its own that counts."""
        made = self._made()
        compiled = self._compiled(made.model, PERF_COUNT=True)
        request, image = compiled.create_infer_request(), self.laid(x)
        times: dict[str, list[float]] = {}
        for run in range(runs + 1):
            request.infer(lying(image), True, True)
            for info in request.get_profiling_info() if run else ():
                times.setdefault(info.node_name, []).append(info.real_time.total_seconds())
        found = []
        for node in compiled.get_runtime_model().get_ordered_ops():
            seconds = median(times.get(node.get_friendly_name(), [0.0]))
            if seconds:
                found.append(_row(made, node, seconds, self.blocks))
        return tuple(found)

    def _made(self) -> Any:
        made = self.make()
        self.blocks = self.blocks and in_blocks.ask(made.model, _core())
        return made

    def _compiled(self, model: Any, **more: Any) -> Any:
        malloc.trim()
        with self.kept.passing():
            try:
                return _core().compile_model(model, "CPU", self.settings | more)
            except RuntimeError as error:
                said = " ".join(str(error).split()[-40:])
                raise refusal("OpenVINO can't compile the network", 'backend="onednn" runs it', said) from None


@dataclass(slots=True)
class _Call:
    """What a call needs, one at a time. requests: of OpenVINO's, each of which runs one slice at a time. outputs: where it
    writes those that are small; None for a large one, which gets a new tensor each time. written, images: what OpenVINO
    is told of them, slice by slice; at: where the images lay that it was told of last."""

    requests: list[Any]
    outputs: tuple[torch.Tensor | None, ...]
    written: list[list[Any]] = field(default_factory=list)
    images: list[Any] = field(default_factory=list)
    at: int = 0


class _Calls:
    """What calls need is kept for the next when they are over. shapes: of the outputs, for a whole batch."""

    def __init__(self, graph: Graph, shapes: Sequence[tuple[int, ...]], number: int) -> None:
        self.graph, self.shapes, self.number = graph, shapes, number
        self.layout = "blocks" if graph.blocks else "plain"
        malloc.keep(max(map(prod, shapes)) * graph.came.itemsize)  # what torch makes anew for each call
        self.free: deque[_Call] = deque([self.another()], KEPT)

    def taken(self) -> _Call:
        try:
            return self.free.pop()
        except IndexError:  # all are in use
            return self.another()

    def given(self, call: _Call, outputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The outputs of a call that is over, as the caller gets them."""
        found = tuple([output if own is None else own.clone() for output, own in zip(outputs, call.outputs, strict=True)])
        self.free.append(call)
        return found

    def new(self, index: int) -> torch.Tensor:
        return torch.empty(self.shapes[index], dtype=self.graph.came)

    def another(self) -> _Call:
        made = [self.graph.compiled.create_infer_request() for _ in range(self.number)]
        return _Call(made, _small(self.shapes, self.graph.came))


class Whole(_Calls):
    """See `Ready`."""

    slices = None

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph, graph.shapes, 1)

    def warm(self, x: torch.Tensor) -> None:
        """OpenVINO has settled when it has compiled; where outputs are large, malloc takes a few calls to."""
        if any(own is None for own in self.free[0].outputs):
            self.run(x)
            self.run(x)

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The image is read where torch has it. Little is done in Python, whose code is no longer in the caches after a
        network: OpenVINO is told where the image lies only when that changes."""
        call = self.taken()
        (request,) = call.requests
        x = self.graph.laid(x)
        if call.at != x.data_ptr():
            request.set_input_tensor(0, lying(x))
            call.at = x.data_ptr()
        outputs = [self._large(request, index) if own is None else own for index, own in enumerate(call.outputs)]
        request.infer(None, True, True)
        return self.given(call, outputs)

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        return self.graph.rows(x, runs)

    def another(self) -> _Call:
        call = super().another()
        for index, own in enumerate(call.outputs):
            if own is not None:
                call.requests[0].set_output_tensor(index, lying(own))
        return call

    def _large(self, request: Any, index: int) -> torch.Tensor:
        output = self.new(index)
        request.set_output_tensor(index, lying(output))
        return output


class InSlices(_Calls):
    """See `Ready`. graph: of one slice, compiled with as many streams as slices run at once, each of which has two requests:
    while one is given the next slice, it runs the other."""

    def __init__(self, graph: Graph, slices: Slices) -> None:
        self.slices = slices
        shapes = [(slices.images * slices.number, *shape[1:]) for shape in graph.shapes]
        super().__init__(graph, shapes, min(2 * slices.lanes, slices.number))

    def warm(self, x: torch.Tensor) -> None:
        """Nothing: OpenVINO has settled when it has compiled."""

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Each slice is read and written where it lies in the batch."""
        call = self.taken()
        x = self.graph.laid(x)
        if call.at != x.data_ptr():
            call.images = self._parts(x)
            call.at = x.data_ptr()
        outputs = [self._large(call, index) if own is None else own for index, own in enumerate(call.outputs)]
        try:
            for number, image in enumerate(call.images):
                request = call.requests[number % self.number]
                request.wait()
                for index, parts in enumerate(call.written):
                    request.set_output_tensor(index, parts[number])
                request.set_input_tensor(0, image)
                request.start_async()
        finally:  # only here are the tensors kept alive
            for request in call.requests:
                request.wait()
        return self.given(call, outputs)

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        """Of one slice that runs alone."""
        return self.slices.rows(self.graph.rows(x[: self.slices.images], runs))

    def another(self) -> _Call:
        call = super().another()
        call.written = [[] if own is None else self._parts(own) for own in call.outputs]
        return call

    def _large(self, call: _Call, index: int) -> torch.Tensor:
        output = self.new(index)
        call.written[index] = self._parts(output)
        return output

    def _parts(self, tensor: torch.Tensor) -> list[Any]:
        return [lying(tensor[start : start + self.slices.images]) for start in self.slices.starts]


def _small(shapes: Sequence[tuple[int, ...]], dtype: torch.dtype) -> tuple[torch.Tensor | None, ...]:
    """A tensor for each output that is small; None for the others."""
    made = (prod(shape) * dtype.itemsize <= SMALL for shape in shapes)
    return tuple(torch.empty(shape, dtype=dtype) if small else None for shape, small in zip(shapes, made, strict=True))


def lying(tensor: torch.Tensor) -> Any:
    """A tensor of OpenVINO's in the same memory, which the caller keeps alive: it knows no more than where that lies."""
    openvino, numpy = _modules()
    memory = (ctypes.c_char * tensor.nbytes).from_address(tensor.data_ptr())
    if tensor.dtype != torch.bfloat16:
        return openvino.Tensor(numpy.frombuffer(memory, numpy.float32).reshape(tensor.shape), True)
    # NumPy has no bfloat16.
    return openvino.Tensor(numpy.frombuffer(memory, numpy.int16), list(tensor.shape), openvino.Type.bf16)


@cache
def _modules() -> tuple[Any, Any]:
    """Looked up once: this runs in every call whose image lies elsewhere."""
    return import_module("openvino"), import_module("numpy")


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def _row(made: Any, node: Any, seconds: float, blocks: bool) -> Row:
    about = {name: value.astype(str) for name, value in node.get_rt_info().items()}
    known = [name.partition("/")[0] for name in about.get("originalLayersNames", "").split(",")]
    layers = [made.layers[name] for name in dict.fromkeys(known) if name in made.layers]
    kind, kernel = about.get("layerType", ""), about.get("primitiveType", "")
    return Row(
        tuple(dict.fromkeys(name for names, _ in layers for name in names)) or (node.get_friendly_name(),),
        " + ".join(pattern for _, pattern in layers) or kind.lower(),
        (f"OpenVINO {kind}, {kernel}",),
        (_why(made, known, blocks and kind == "Convolution"),),
        seconds,
        _bytes([*node.inputs(), *node.outputs()]),
    )


def _why(made: Any, known: list[str], blocks: bool) -> str:
    if made.halved.intersection(known):
        return HALVED
    return in_blocks.WHY if blocks else "as OpenVINO chose"


def _bytes(ports: Sequence[Any]) -> int:
    return sum(prod(port.get_shape()) * port.get_element_type().size for port in ports)
