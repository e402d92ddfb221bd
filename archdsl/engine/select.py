"""Which calls run a network on a CPU: a walk over its nodes, each of which becomes a step.

Tensors are channels-last throughout. A convolution takes what follows it as oneDNN can: an activation, or a
residual and a ReLU. A large one of three columns is two products and half of the multiplications. What oneDNN has no
kernel for is torch's own operator.

A 1x1 convolution without stride could be a matrix product too. That takes as long (networks of one image 0.98 to 1.02 times),
but oneDNN keeps half a MiB for each product that differs from the others: 30 of the 87 MiB of DenseNet-121.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch

from archdsl.engine.calls import Call, Numbers, Program, Step, Value
from archdsl.engine.growing import Place, growing
from archdsl.engine.long_sums import of_convolution
from archdsl.engine.maxima import KEPT, POSITIVE, Tap, taps, worth
from archdsl.engine.packing import Weights
from archdsl.engine.sides import sides
from archdsl.engine.traced import traced
from archdsl.engine.winograd import HALVED, TERMS, form, shared
from archdsl.network import Network
from archdsl.ops.base import Op
from archdsl.passes._kernel import (
    AFFINE,
    CONVOLUTIONS,
    Kernel,
    Other,
    Placed,
    Stage,
    computes,
    stage_of,
)

FUSED: dict[str, tuple[str, Numbers, str]] = {
    "relu": ("relu", Numbers(), ""),
    "relu6": ("hardtanh", Numbers((0.0, 6.0)), ""),
    "silu": ("swish", Numbers(), ""),
    "hswish": ("hardswish", Numbers(), ""),
    "sigmoid": ("sigmoid", Numbers(), ""),
    "hsigmoid": ("hardsigmoid", Numbers(), ""),
    "tanh": ("tanh", Numbers(), ""),
    "gelu": ("gelu", Numbers(), "none"),
}
"""Activations as oneDNN computes them before it writes: (attr, scalars, algorithm)."""

ALONE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "relu": ("relu", ()),
    "relu6": ("hardtanh", (0.0, 6.0)),
    "silu": ("silu", ()),
    "hswish": ("hardswish", ()),
    "sigmoid": ("sigmoid", ()),
    "hsigmoid": ("hardsigmoid", ()),
    "tanh": ("tanh", ()),
    "mish": ("mish", ()),
    "leakyrelu": ("leaky_relu", ("slope",)),
    "elu": ("elu", ("alpha", 1.0, 1.0)),
}
"""Activations as operators of their own, which have a twin that works in place. A word is the layer's argument."""

LARGE = 50_000
"""Numbers above which, in bf16, a depthwise convolution of one cell scales faster than torch's operators."""

NONE = ("none", Numbers(), "")

_LONG = 4096
"""Inputs of an fc whose sums torch adds up no more exactly than oneDNN does."""


class Selector:
    """Makes the program of one network, whose sizes are all numbers, for one batch. halved: see halved.py."""

    def __init__(
        self,
        network: Network,
        weights: Weights,
        batch: int,
        came: torch.dtype,
        threads: int,
        onednn: bool,
        halved: Mapping[str, int],
    ) -> None:
        self.network, self.weights, self.batch, self.came, self.threads = network, weights, batch, came, threads
        self.dtype = weights.dtype
        self.onednn = onednn
        self.halved = halved
        self.steps: list[Step] = []
        self.rows: dict[Value, Value] = {}  # of an image, the same with channels as the last dimension
        self.positive: set[Value] = set()  # nothing in them is below zero
        self.stages: dict[int, Stage] = {}

    def program(self) -> Program:
        network = self.network
        image = Value(self._sized(network.input), dense=False)
        values: dict[int, Value] = {}
        ways: dict[int, list[Value]] = {}
        self._begin(0, ("input",), "input")
        values[0] = image if self.came == self.dtype else self._cast(image, self.dtype)
        places = growing(network)
        buffers: dict[int, Value] = {}
        for index in network.evaluated[1:]:
            node = network.nodes[index]
            inputs = [values[i] for i in node.inputs]
            op = node.op
            if isinstance(op, Other):
                values[index] = ways[node.inputs[0]][op.index]
                continue
            if op.syntax in ("identity", "dropout", "droppath"):
                values[index] = inputs[0]
                continue
            if isinstance(op, Kernel):
                self._begin(index, op.weighted or (node.name,), op.pattern)
                ways[index] = self._kernel(op, inputs)
                values[index] = ways[index][0]
                continue
            stage = network_stage(self.network, index, self.weights) if computes(op) else None
            self._begin(index, (node.name,), op.syntax if stage is None else Kernel(trunk=(stage,)).pattern)
            if index in places:
                values[index] = self._grown(index, places[index], inputs, buffers)
            elif isinstance(op, Placed) or op.syntax == "concat":
                values[index] = self._concat(inputs, self._sized(node.shape))
                if self.positive.issuperset(inputs):
                    self.positive.add(values[index])
            elif stage is not None:
                values[index] = self._chain((stage,), inputs[0], inputs)
            else:
                values[index] = self._plain(op, {}, inputs)
        self._begin(0, ("output",), "output")
        outputs = {}
        for output in network.outputs:
            if not output.aux:
                value = values[output.node]
                outputs[output.name] = value if self.came == self.dtype else self._cast(value, self.came)
        return Program(image, [step for step in self.steps if step.calls], outputs)

    # ---- writing calls down ----

    def _begin(self, node: int, names: tuple[str, ...], pattern: str) -> None:
        self.steps.append(Step(node, names, pattern))

    def _say(self, runs: str, why: str) -> None:
        step = self.steps[-1]
        step.runs.append(runs)
        step.why.append(why)

    def _call(
        self,
        name: str,
        *args: Any,
        shape: tuple[int, ...],
        view: bool = False,
        dense: bool = True,
        into: tuple[str, int] | None = None,
    ) -> Value:
        out = Value(shape, dense)
        self.steps[-1].calls.append(Call(name, args, out, view=view, into=into))
        return out

    def _cast(self, value: Value, dtype: torch.dtype) -> Value:
        self._say(f"torch to {str(dtype).removeprefix('torch.')}", "the engine computes in another dtype")
        number = _DTYPES[dtype]
        return self._call("aten::to.dtype", value, number, False, False, None, shape=value.shape, dense=False)

    def _sized(self, shape: Sequence[Any]) -> tuple[int, ...]:
        return (self.batch, *shape)

    # ---- kernels ----

    def _kernel(self, kernel: Kernel, inputs: list[Value]) -> list[Value]:
        trunk = self._chain(kernel.trunk, inputs[0], inputs)
        found = []
        for way in kernel.ways:
            value = trunk
            if way.stop is not None and (way.start, way.stop) != (0, trunk.shape[1]):
                value = self._part(trunk, 1, way.start, way.stop)
            found.append(self._chain(way.stages, value, inputs))
        return found

    def _part(self, whole: Value, side: int, start: int, stop: int, step: int = 1) -> Value:
        shape = (*whole.shape[:side], -(-(stop - start) // step), *whole.shape[side + 1 :])
        return self._call("aten::slice.Tensor", whole, side, start, stop, step, shape=shape, view=True, dense=False)

    def _chain(self, stages: Sequence[Stage], stream: Value, inputs: Sequence[Value]) -> Value:
        at = 0
        while at < len(stages):
            used, found = self._next(stages[at:], stream, inputs)
            at += used
            last = stages[at - 1].kind
            if last in POSITIVE and used > 1 or last in KEPT and stream in self.positive:
                self.positive.add(found)
            stream = found
        return stream

    def _next(self, stages: Sequence[Stage], stream: Value, inputs: Sequence[Value]) -> tuple[int, Value]:
        """What runs the first of these stages: how many it covers, and what comes out."""
        stage = stages[0]
        operands = [inputs[i] for i in stage.operands]
        if stage.side:
            operands[0] = self._chain(stage.side, operands[0], inputs)
        if stage.kind == "identity":
            return 1, stream
        if self.onednn and stage.kind in CONVOLUTIONS and stage.kind != "upconv":
            if stage.kind == "fc":
                return self._linear(stages, stream, inputs)
            return self._convolution(stages, stream, inputs)
        if self.onednn and stage.kind == "upconv" and _plain_upconv(stage):
            return self._upconv(stages, stream)
        if stage.kind in AFFINE:
            return self._affine(stages, stream)
        if stage.kind in ALONE:
            return 1, self._activation(stage, stream)
        if stage.kind in ("add", "mul"):
            return 1, self._merge(stage, stream, operands)
        if self.onednn and stage.kind == "avgpool" and _mean_by_weights(stage, stream, self.dtype):
            return 1, self._mean(stage, stream)
        if stage.kind == "maxpool":
            found = self._largest(stage, stream)
            if found is not None:
                return 1, found
        weights = self.weights.plain(stage) if stage.sources else {}
        return 1, self._plain(stage.op, weights, stage.arguments(stream, operands))

    # ---- oneDNN ----

    def _after(
        self, stages: Sequence[Stage], inputs: Sequence[Value], shape: tuple[int, ...]
    ) -> tuple[int, tuple[str, Numbers, str], Value | None, str | None]:
        """What a convolution does on the way out: (stages covered, activation, residual, activation after
        the residual)."""
        then = stages[1] if len(stages) > 1 else None
        if then is not None and then.kind in FUSED:
            return 2, FUSED[then.kind], None, None
        if then is not None and then.kind == "add" and len(then.operands) == 1:
            other = inputs[then.operands[0]]
            if then.side:
                other = self._chain(then.side, other, inputs)
            assert other.shape == shape
            if len(stages) > 2 and stages[2].kind == "relu":
                return 3, NONE, other, "relu"
            return 2, NONE, other, None
        return 1, NONE, None, None

    def _convolution(
        self, stages: Sequence[Stage], stream: Value, inputs: Sequence[Value]
    ) -> tuple[int, Value]:
        stage = stages[0]
        op: Any = stage.op
        shape = self._sized(op.infer(stream.shape[1:]))
        parts = self.halved.get(stage.sources[0].name)
        if parts is not None:
            return 1, self._in_rows(stage, stream, shape, parts)
        sums = of_convolution(op, stream.shape[1], shape[2:]) if self.dtype == torch.float32 else 1
        if sums > 1:
            return 1, self._in_sums(stage, stream, shape, sums)
        used, act, other, final = self._after(stages, inputs, shape)
        stream, padding = self._padded(op, stream)
        groups = stream.shape[1] if stage.kind == "dwconv" else op.groups
        window: tuple[Any, ...] = (padding, list(op.stride), list(op.dilation), groups)
        weight = self.weights.convolution(stage, *window, list(stream.shape))
        bias = self.weights.bias(stage, merging=other is not None)
        word = "depthwise convolution" if stage.kind == "dwconv" else "convolution"
        if other is None:
            self._say(_with(f"oneDNN {word}", act), "weights are packed once")
            name = "mkldnn::_convolution_pointwise"
            return used, self._call(name, stream, weight, bias, *window, *act, shape=shape)
        self._say(
            f"oneDNN {word} + add{' + relu' if final else ''}", "the residual is added before it writes"
        )
        name = "mkldnn::_convolution_pointwise.binary"
        args = (stream, other, weight, bias, *window, "add", 1.0, final, Numbers(), "")
        into = ("mkldnn::_convolution_pointwise_.binary", 1) if other.dense else None
        return used, self._call(name, *args, shape=shape, into=into)

    def _in_sums(self, stage: Stage, stream: Value, shape: tuple[int, ...], sums: int) -> Value:
        """See archdsl/engine/long_sums.py."""
        op: Any = stage.op
        stream, padding = self._padded(op, stream)
        window: tuple[Any, ...] = (padding, list(op.stride), list(op.dilation), sums)
        weight, bias = self.weights.cut(stage, sums, *window, list(stream.shape)), self.weights.bias(stage)
        if bias is not None:
            bias = torch.cat([bias, torch.zeros(len(bias) * (sums - 1))])
        self._say("oneDNN convolution in groups, torch add", "its sums are long, and cut")
        name, channels = "mkldnn::_convolution_pointwise", shape[1]
        whole = (shape[0], sums * channels, *shape[2:])
        found = self._call(name, stream, weight, bias, *window, *NONE, shape=whole)
        out = self._part(found, 1, 0, channels)
        for first in range(channels, sums * channels, channels):
            other = self._part(found, 1, first, first + channels)
            out = self._call("aten::add.Tensor", out, other, 1, shape=shape)
        return out

    def _in_rows(self, stage: Stage, stream: Value, shape: tuple[int, ...], parts: int) -> Value:
        """See archdsl/engine/winograd.py."""
        op: Any = stage.op
        batch, channels, height, width = stream.shape
        _, filters, out_height, out_width = shape
        top, bottom, left, _ = sides(op, stream.shape[2:])
        way = form(op, parts, stream.shape[1:], out_width, left)
        self._say("oneDNN convolution between products", HALVED)
        rows = self._shaped(self._rows(stream), batch * height, width, channels)
        into, back = way.into.expand(batch * height, -1, -1), way.back.expand(batch * out_height, -1, -1)
        terms = self._call("aten::bmm", into, rows, shape=(*into.shape[:2], channels))
        image = self._columns(self._shaped(terms, batch, *way.sides(height), TERMS * channels))
        padding, _, *window = way.window(op, top, bottom)
        weight = self.weights.terms(stage, way, padding, *window, way.groups, list(image.shape))
        bias = self.weights.bias(stage)
        bias = None if bias is None else shared(bias, parts)
        name = "mkldnn::_convolution_pointwise"
        sums = (batch, way.groups * filters, *way.sides(out_height))
        found = self._rows(self._call(name, image, weight, bias, padding, *window, way.groups, *NONE, shape=sums))
        flat = self._shaped(found, batch * out_height, way.tiles * way.groups, filters)
        out = self._call("aten::bmm", back, flat, shape=(batch * out_height, out_width, filters))
        return self._columns(self._shaped(out, batch, out_height, out_width, filters))

    def _shaped(self, value: Value, *shape: int) -> Value:
        return self._call("aten::reshape", value, list(shape), shape=shape, view=True, dense=value.dense)

    def _columns(self, rows: Value) -> Value:
        """The image of rows."""
        batch, height, width, channels = rows.shape
        image = self._call("aten::permute", rows, [0, 3, 1, 2], shape=(batch, channels, height, width), view=True)
        self.rows[image] = rows
        return image

    def _padded(self, op: Any, stream: Value) -> tuple[Value, list[int]]:
        """What a convolution reads, and its padding: oneDNN's is the same on both sides here."""
        top, bottom, left, right = sides(op, stream.shape[2:])
        if top == bottom and left == right:
            return stream, [top, left]
        batch, channels, height, width = stream.shape
        self._say("torch constant_pad_nd", "the padding differs from side to side")
        shape = (batch, channels, height + top + bottom, width + left + right)
        padded = self._call("aten::constant_pad_nd", stream, [left, right, top, bottom], 0, shape=shape)
        return padded, [0, 0]

    def _rows(self, value: Value) -> Value:
        if value not in self.rows:
            shape = (value.shape[0], *value.shape[2:], value.shape[1])
            self.rows[value] = self._call(
                "aten::permute", value, [0, 2, 3, 1], shape=shape, view=True, dense=False
            )
        return self.rows[value]

    def _linear(self, stages: Sequence[Stage], stream: Value, inputs: Sequence[Value]) -> tuple[int, Value]:
        stage = stages[0]
        if len(stream.shape) > 2:
            flat = (stream.shape[0], prod(stream.shape[1:]))
            stream = self._call("aten::flatten.using_ints", stream, 1, -1, shape=flat, view=True, dense=False)
        shape = self._sized(stage.op.infer(stream.shape[1:]))
        # Later plans follow the first: its form of the weights is the one that is held.
        plain = self.weights.held(stage) == "plain" if self.weights.held(stage) else self.batch > 1
        if self.dtype == torch.float32 and plain and stream.shape[1] < _LONG:
            # Of several images oneDNN adds up the products in a row: as the last layer that doubled the error of
            # some networks. Of one image, or of long sums, it is as exact as torch, and two to three times faster.
            self._say("torch linear", "adds up more exactly than oneDNN's, in hardly more time")
            found = self.weights.plain(stage)
            return 1, self._call("aten::linear", stream, found["weight"], found.get("bias"), shape=shape)
        used, act, other, final = self._after(stages, inputs, shape)
        if final is not None:  # a product has none
            used -= 1
        weight = self.weights.linear(stage, stream.shape[0])
        bias = self.weights.bias(stage, merging=other is not None)
        if other is None:
            self._say(_with("oneDNN product", act), "weights are packed once")
            return used, self._call("mkldnn::_linear_pointwise", stream, weight, bias, *act, shape=shape)
        self._say("oneDNN product + add", "weights are packed once")
        name = "mkldnn::_linear_pointwise.binary"
        return used, self._call(name, stream, other, weight, bias, "add", shape=shape)

    def _upconv(self, stages: Sequence[Stage], stream: Value) -> tuple[int, Value]:
        stage = stages[0]
        op: Any = stage.op
        shape = self._sized(op.infer(stream.shape[1:]))
        act = FUSED.get(stages[1].kind) if len(stages) > 1 else None
        window = (
            [op.padding[0], op.padding[2]],
            list(op.output_padding),
            list(op.stride),
            list(op.dilation),
            op.groups,
        )
        weight = self.weights.convolution(stage, *window, list(stream.shape), transposed=True)
        self._say(_with("oneDNN transposed convolution", act or NONE), "weights are packed once")
        name = "mkldnn::_convolution_transpose_pointwise"
        args = (stream, weight, self.weights.bias(stage), *window, *(act or NONE))
        return (2 if act else 1), self._call(name, *args, shape=shape, dense=False)

    def _mean(self, stage: Stage, stream: Value) -> Value:
        """An average pool as a depthwise convolution with equal weights."""
        op: Any = stage.op
        channels = stream.shape[1]
        shape = self._sized(op.infer(stream.shape[1:]))
        window: tuple[Any, ...] = ([op.padding[0], op.padding[2]], list(op.stride), [1, 1], channels)
        share = torch.full((channels, 1, *op.kernel), 1 / prod(op.kernel), dtype=self.dtype)
        weight = torch.ops.mkldnn._reorder_convolution_weight(share, *window, list(stream.shape))
        self._say(
            "oneDNN depthwise convolution of equal weights",
            "torch's average pool takes several times as long",
        )
        name = "mkldnn::_convolution_pointwise"
        return self._call(name, stream, weight, None, *window, *NONE, shape=shape)

    # ---- torch ----

    def _affine(self, stages: Sequence[Stage], stream: Value) -> tuple[int, Value]:
        channels = stream.shape[1]
        scale, shift = self.weights.affine(stages[0], channels)
        is_image = len(stream.shape) == 4
        if self.dtype == torch.bfloat16 and self.onednn and is_image and prod(stream.shape) > LARGE:
            act = FUSED.get(stages[1].kind) if len(stages) > 1 else None
            window = ([0, 0], [1, 1], [1, 1], channels)
            weight = torch.ops.mkldnn._reorder_convolution_weight(
                scale.view(-1, 1, 1, 1).to(self.dtype), *window, list(stream.shape)
            )
            self._say(
                _with("oneDNN depthwise 1x1 convolution", act or NONE),
                "scales and activates in one go; large",
            )
            name = "mkldnn::_convolution_pointwise"
            out = self._call(name, stream, weight, shift, *window, *(act or NONE), shape=stream.shape)
            return (2 if act else 1), out
        if self.dtype == torch.bfloat16:
            self._say("torch batch_norm", "nothing to fold it into; its factors stay float32")
            zero, one = torch.zeros(channels), torch.ones(channels)
            args: tuple[Any, ...] = (stream, scale, shift, zero, one, False, 0.0, 0.0, False)
            return 1, self._call("aten::batch_norm", *args, shape=stream.shape, dense=stream.dense)
        sides = (1, channels, 1, 1) if is_image else (channels,)
        self._say("torch addcmul", "nothing to fold it into; twice as fast as batch_norm")
        args = (shift.view(sides), stream, scale.view(sides), 1)
        return 1, self._call("aten::addcmul", *args, shape=stream.shape, dense=stream.dense)

    def _activation(self, stage: Stage, stream: Value) -> Value:
        name, given = ALONE[stage.kind]
        rest = [getattr(stage.op, each) if isinstance(each, str) else each for each in given]
        self._say(f"torch {name}", "no convolution before it that could take it")
        into = (f"aten::{name}_", 0)
        return self._call(f"aten::{name}", stream, *rest, shape=stream.shape, dense=stream.dense, into=into)

    def _largest(self, stage: Stage, stream: Value) -> Value | None:
        """A max pool where it is faster as maxima."""
        op: Any = stage.op
        height, width = op.infer(stream.shape[1:])[1:]
        top, _, left, _ = sides(op, stream.shape[2:])
        tall = taps(stream.shape[2], height, op.kernel[0], op.stride[0], op.dilation[0], top)
        wide = taps(stream.shape[3], width, op.kernel[1], op.stride[1], op.dilation[1], left)
        positive = stream in self.positive
        if not (tall and tall[0].full(height) and wide and wide[0].full(width)):
            return None
        if not worth(prod(stream.shape), op.stride != (1, 1), self.dtype, positive, self.threads):
            return None
        rows, integers = self._rows(stream), positive and self.dtype == torch.bfloat16
        if integers:  # TorchScript has no view as another type
            self._say("torch maximum of integers", "numbers that are not below zero are ordered as their bits are")
            rows = self._call("aten::view_copy.dtype", rows, _DTYPES[torch.int16], shape=rows.shape)
        else:
            self._say("torch maximum", "torch's max pool writes indices too, four times its result")
        rows = self._along(rows, 1, tall, op.stride[0], stream.dense or integers)
        rows = self._along(rows, 2, wide, op.stride[1], True)
        if integers:
            rows = self._call("aten::view_copy.dtype", rows, _DTYPES[torch.bfloat16], shape=rows.shape)
        return self._columns(rows)

    def _along(self, rows: Value, side: int, found: Sequence[Tap], stride: int, ordered: bool) -> Value:
        """The maxima of windows along one side. found: the first is of all outputs. ordered: whether the rows lie one
        after another in memory."""
        first, *rest = found
        shape = (*rows.shape[:side], first.stop, *rows.shape[side + 1 :])

        def read(tap: Tap) -> Value:
            return self._part(rows, side, tap.start * stride + tap.shift, (tap.stop - 1) * stride + tap.shift + 1, stride)

        if ordered and rest and rest[0].full(first.stop):
            out = self._call("aten::maximum", read(first), read(rest.pop(0)), shape=shape)
        else:
            out = self._call("aten::clone", read(first), _LAYOUTS[torch.contiguous_format], shape=shape)
        for tap in rest:
            mine = self._part(out, side, tap.start, tap.stop)
            self._call("aten::maximum.out", mine, read(tap), mine, shape=mine.shape, dense=False)
            self.steps[-1].calls[-1].writes = 2
        return out

    def _merge(self, stage: Stage, stream: Value, operands: Sequence[Value]) -> Value:
        first, *rest = stage.arguments(stream, operands)
        self._say(f"torch {stage.kind}", "no convolution before it that could take it")
        for other in rest:
            shape = tuple(map(max, zip(first.shape, other.shape, strict=True)))
            extra = (1,) if stage.kind == "add" else ()
            index = 0 if first.shape == shape else 1 if other.shape == shape else None
            into = None if index is None else (f"aten::{stage.kind}_.Tensor", index)
            dense = first.dense and other.dense
            name = f"aten::{stage.kind}.Tensor"
            first = self._call(name, first, other, *extra, shape=shape, dense=dense, into=into)
        return first

    def _concat(self, inputs: list[Value], shape: tuple[int, ...]) -> Value:
        if len(inputs) == 1:
            return inputs[0]
        self._say("torch cat", "oneDNN's operators write whole tensors only")
        return self._call("aten::cat", list(inputs), 1, shape=shape, dense=all(i.dense for i in inputs))

    def _grown(self, index: int, place: Place, inputs: list[Value], buffers: dict[int, Value]) -> Value:
        """A concat as the first channels of a tensor that has room for those after it."""
        if place.first not in buffers:
            shape = self._sized(self.network.nodes[place.last].shape)
            layout = _LAYOUTS[torch.channels_last]
            args = (list(shape), _DTYPES[self.dtype], None, None, None, layout)
            buffers[place.first] = self._call("aten::empty.memory_format", *args, shape=shape)
            start = 0
        else:
            start, inputs = inputs[0].shape[1], inputs[1:]
        buffer = buffers[place.first]
        for value in inputs:
            stop = start + value.shape[1]
            part = self._part(buffer, 1, start, stop)
            copied = self._call("aten::copy_", part, value, False, shape=value.shape, dense=False)
            self.steps[-1].calls[-1].writes = 0
            assert copied.shape == part.shape
            start = stop
        self._say("torch copy_", "only the new channels are copied, into a tensor that grows")
        if index == place.last:
            return buffer
        return self._part(buffer, 1, 0, start)

    def _plain(self, op: Op, weights: dict[str, torch.Tensor], inputs: Sequence[Value]) -> Value:
        shapes = [value.shape for value in inputs]
        found = traced(op.lower(*(shape[1:] for shape in shapes)), weights, shapes, self.dtype)
        self._say(
            f"torch {', '.join(found.operators) or 'nothing'}", "no faster kernel: the layer's own operators"
        )
        out = Value(found.shape, found.dense)
        call = Call("", tuple(inputs), out, view=found.shares, traced=found.graph)
        self.steps[-1].calls.append(call)
        return out


_DTYPES = {torch.int16: 2, torch.float32: 6, torch.bfloat16: 15}
"""As TorchScript numbers them."""
_LAYOUTS = {torch.contiguous_format: 0, torch.channels_last: 2}


def network_stage(network: Network, index: int, weights: Weights) -> Stage:
    """The one stage of a plain layer; the same object for every plan, since weights are kept by it."""
    node = network.nodes[index]
    return weights.stage_of(index, lambda: stage_of(node, [network.nodes[i].shape for i in node.inputs]))


def _with(text: str, act: tuple[str, Numbers, str]) -> str:
    return text if act[0] == "none" else f"{text} + {act[0]}"


def _plain_upconv(stage: Stage) -> bool:
    """oneDNN's grouped ones are not used: their weights are laid out otherwise."""
    op: Any = stage.op
    return op.groups == 1 and op.padding[0] == op.padding[1] and op.padding[2] == op.padding[3]


def _mean_by_weights(stage: Stage, stream: Value, dtype: torch.dtype) -> bool:
    """Whether an average pool is a convolution: every window divides by the same number. In bf16 only where
    that number is exact."""
    op: Any = stage.op
    area = prod(op.kernel)
    if op.padding == "same" or op.ceil or area > 25 or prod(stream.shape[2:]) <= area:
        return False
    if op.padding[0] != op.padding[1] or op.padding[2] != op.padding[3]:
        return False
    exact = area & (area - 1) == 0
    return (op.include_pad or not any(op.padding)) and (exact or dtype == torch.float32)
