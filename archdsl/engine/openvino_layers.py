"""Each layer of the language in OpenVINO's operations.

A layer is a function (graph, op, weights, inputs) -> output. weights: as `weights_of` names them, float32.
Tensors are N, C, H, W or N, F, as in the language; where they lie in memory is OpenVINO's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import openvino
import torch
from openvino import opset15

from archdsl.engine.long_sums import cut, joined, of_convolution
from archdsl.engine.on_disk import OnDisk
from archdsl.engine.winograd import TERMS, combined, form, original, shared
from archdsl.ops.split import part_of
from archdsl.passes._kernel import AFFINE

Weights = dict[str, Any]
Layer = Callable[["Graph", Any, Weights, Sequence[Any]], Any]


class Graph:
    """Makes operations, each named after the layer whose work it does: `conv1.conv`, then `conv1.conv/1`.

    kept: where weights lie. wanted: the convolutions that are to run with half of the multiplications, as halved.py has
    them; parts: of the one that comes next; halved: the layers that do. at_once: whether long sums stay whole. flat: of
    images, their rows, by name.
    """

    def __init__(self, kept: OnDisk, wanted: Mapping[str, int], *, at_once: bool) -> None:
        self.kept, self.wanted, self.at_once = kept, wanted, at_once
        self.layer = ""
        self.named: dict[str, int] = {}
        self.parts: int | None = None
        self.halved: set[str] = set()
        self.flat: dict[str, Any] = {}

    def __call__(self, kind: str, *args: Any, **attributes: Any) -> Any:
        """The first output of a new operation."""
        return self.node(kind, *args, **attributes).output(0)

    def node(self, kind: str, *args: Any, **attributes: Any) -> Any:
        node = getattr(opset15, kind)(*args, **attributes)
        count = self.named[self.layer] = self.named.get(self.layer, -1) + 1
        node.set_friendly_name(f"{self.layer}/{count}" if count else self.layer)
        return node

    def image(self, rows: Any, height: int) -> Any:
        """N, C, H, W of N*H, W, C. What follows and computes at each place by itself takes the rows, into whose product
        OpenVINO can fuse it."""
        count, width, channels = shape(rows)
        found = self("reshape", rows, numbers(count // height, height, width, channels), False)
        found = self("transpose", found, numbers(0, 3, 1, 2))
        self.flat[_name(found)] = rows
        return found

    def rows(self, x: Any) -> Any:
        """N*H, W, C of N, C, H, W."""
        if self.has_rows(x):
            return self.flat[_name(x)]
        batch, channels, height, width = shape(x)
        return self("reshape", self("transpose", x, numbers(0, 2, 3, 1)), numbers(batch * height, width, channels), False)

    def has_rows(self, x: Any) -> bool:
        return _name(x) in self.flat


def _name(x: Any) -> str:
    return x.get_node().get_friendly_name()


def constant(array: Any) -> Any:
    """Weights in the memory where they are, which the graph keeps."""
    return openvino.op.Constant(np.ascontiguousarray(array), shared_memory=True)


def numbers(*values: int) -> Any:
    return openvino.op.Constant(np.array(values, np.int64))


def shape(x: Any) -> tuple[int, ...]:
    """With the batch."""
    return tuple(x.get_shape())


# ---- windows ----


def _window(op: Any, x: Any) -> tuple[list[int], list[int], list[int]]:
    """(before, after, over): padding along height and width, and how far the last window, with ceil=true,
    reaches past it."""
    before, after, over = [], [], []
    dilation = getattr(op, "dilation", (1, 1))
    for axis, (size, count) in enumerate(zip(shape(x)[2:], op.infer(shape(x)[1:])[1:], strict=True)):
        extent = (op.kernel[axis] - 1) * dilation[axis] + 1
        reach = (count - 1) * op.stride[axis] + extent
        if op.padding == "same":
            more = max(reach - size, 0)
            sides = more // 2, more - more // 2
        else:
            sides = op.padding[2 * axis : 2 * axis + 2]
        before.append(sides[0])
        after.append(sides[1])
        over.append(max(reach - size - sum(sides), 0))
    return before, after, over


def _conv(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    before, after, _ = _window(op, x)
    if g.parts is not None:
        return _in_rows(g, op, w, x, g.parts, before, after)
    sums = 1 if g.at_once else of_convolution(op, shape(x)[1], op.infer(shape(x)[1:])[1:])
    groups = sums if sums > 1 else shape(x)[1] if op.syntax == "dwconv" else op.groups
    weight = _held(g, op, w, "cut" if sums > 1 else "weight", lambda given: cut(given, sums))
    if sums > 1 and prod(shape(x)[2:]) == 1 and not any(before + after):  # groups of any size have no kernel in blocks
        flat = g("reshape", x, numbers(*shape(x)[:2]), False)
        found = _sum_of_products(g, flat, list(weight.reshape(sums, op.channels, -1)), w)
        return g("reshape", found, numbers(shape(x)[0], op.channels, 1, 1), False)
    dilation = list(op.dilation)
    if weight.shape[2:] == (1, 1) and any(before + after):
        # It moves the stride of a 1x1 convolution to those before, and forgets that here there is padding between.
        weight = np.pad(weight, ((0, 0), (0, 0), (0, 1), (0, 1)))
        after, dilation = [side + 1 for side in after], [1, 1]
    kind = "convolution"
    if groups > 1:
        kind = "group_convolution"
        weight = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    found = g(kind, x, constant(weight), list(op.stride), before, after, dilation)
    if sums == 1:
        return _biased(g, found, w)
    first, *others = g.node("split", found, np.int64(1), sums).outputs()
    found = _biased(g, first, w)
    for other in others:
        found = g("add", found, other)
    return found


def _held(g: Graph, op: Any, w: Weights, kind: str, made: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The weight of a convolution in a form of its own; from here on the one it was given in is not held."""
    if kind not in w:
        weight = _as_given(op, w)
        w.pop("weight", None)
        w[kind] = g.kept.copy(made(weight))
    return w[kind]


def _as_given(op: Any, w: Weights) -> torch.Tensor:
    """The weight of a convolution, in whichever form it is held."""
    if "terms" in w:
        return original(torch.from_numpy(w["terms"]), op.channels)
    return torch.from_numpy(w["weight"]) if "weight" in w else joined(torch.from_numpy(w["cut"]), op.channels)


def _in_rows(
    g: Graph, op: Any, w: Weights, x: Any, parts: int, before: Sequence[int], after: Sequence[int]
) -> Any:
    """See archdsl/engine/winograd.py."""
    g.halved.add(g.layer)
    weight = _held(g, op, w, "terms", lambda given: combined(given, parts))
    filters, out_height, out_width = op.infer(shape(x)[1:])
    batch, channels, height, _ = shape(x)
    way = form(op, parts, shape(x)[1:], out_width, before[1])
    weight = weight.reshape(way.groups, filters, channels // parts, *way.kernel(op.kernel[0]))
    terms = g("matmul", constant(way.into.numpy()[None]), g.rows(x), False, False)
    image = g("reshape", terms, numbers(batch, *way.sides(height), TERMS * channels), False)
    top, bottom, stride, dilation = way.window(op, before[0], after[0])
    image = g("transpose", image, numbers(0, 3, 1, 2))
    found = g("group_convolution", image, constant(weight), stride, top, bottom, dilation)
    if "bias" in w:
        bias = shared(torch.from_numpy(w["bias"]), parts)
        found = g("add", found, constant(_channels(bias.numpy(), found)))
    found = g("transpose", found, numbers(0, 2, 3, 1))
    found = g("reshape", found, numbers(batch * out_height, way.tiles * way.groups, filters), False)
    return g.image(g("matmul", constant(way.back.numpy()[None]), found, False, False), out_height)


def _upconv(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    top, bottom, left, right = op.padding
    weight, kind = w["weight"], "convolution_backprop_data"
    if op.groups > 1:
        kind = "group_convolution_backprop_data"
        weight = weight.reshape(op.groups, weight.shape[0] // op.groups, *weight.shape[1:])
    found = g(
        kind,
        x,
        constant(weight),
        strides=list(op.stride),
        pads_begin=[top, left],
        pads_end=[bottom, right],
        dilations=list(op.dilation),
        output_padding=list(op.output_padding),
    )
    return _biased(g, found, w)


def _fc(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return _sum_of_products(g, _flatten(g, op, w, inputs), w["weight"], w)


def _sum_of_products(g: Graph, x: Any, parts: Sequence[Any], w: Weights) -> Any:
    """Of rows, each of whose pieces has weights of its own."""
    if len(parts) == 1:
        return _biased(g, g("matmul", x, constant(parts[0]), False, True), w)
    widths = numbers(*(each.shape[1] for each in parts))
    found = None
    for stream, each in zip(g.node("variadic_split", x, np.int64(1), widths).outputs(), parts, strict=True):
        product = g("matmul", stream, constant(each), False, True)
        found = _biased(g, product, w) if found is None else g("add", found, product)
    return found


def _biased(g: Graph, x: Any, w: Weights) -> Any:
    return x if "bias" not in w else g("add", x, constant(_channels(w["bias"], x)))


def _channels(values: Any, x: Any) -> Any:
    """A number for each channel, or one for all, where it goes with x."""
    return values.reshape(1, -1, *[1] * (len(shape(x)) - 2))


LINEAR = ("Convolution", "GroupConvolution", "Add", "Multiply")
LARGEST = 1e38
"""Not the largest number that there is: a clamp to that is taken away again."""


def _maxpool(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    before, after, over = _window(op, inputs[0])
    after = [one + two for one, two in zip(after, over, strict=True)]  # padding never wins
    x = inputs[0]
    if x.get_node().get_type_name() in LINEAR:
        # An activation after the pool would move to the convolution before it, which is right only for one that
        # never falls. It stays where another one is there already: one that changes nothing.
        x = g("clamp", x, -LARGEST, LARGEST)
    return g("max_pool", x, list(op.stride), list(op.dilation), before, after, list(op.kernel))


def _avgpool(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    before, after, over = _window(op, x)
    outside = not op.include_pad
    if any(over):  # which never counts, whereas the padding may
        if op.include_pad:
            x = g("pad", x, numbers(0, 0, *before), numbers(0, 0, *after), "constant", np.float32(0))
            before, after = [0, 0], [0, 0]
        after, outside = [one + two for one, two in zip(after, over, strict=True)], True
    return g("avg_pool", x, list(op.stride), before, after, list(op.kernel), outside)


def _gap(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("reduce_mean", inputs[0], numbers(2, 3), True)


def _adaptive(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    mean = op.syntax == "adaptiveavgpool"
    sides = shape(x)[2:]
    if any(side % count for side, count in zip(sides, op.size, strict=True)):
        if mean:
            return g("adaptive_avg_pool", x, numbers(*op.size))
        return g("adaptive_max_pool", x, numbers(*op.size), "i32")  # i64, its default, compiles nowhere
    kernel = [side // count for side, count in zip(sides, op.size, strict=True)]
    none = [0, 0]
    if mean:
        return g("avg_pool", x, kernel, none, none, kernel, True)
    return g("max_pool", x, kernel, [1, 1], none, none, kernel)


# ---- at each place by itself ----


def _affine(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    x = g("multiply", x, constant(_channels(w["scale"], x)))
    return g("add", x, constant(_channels(w["shift"], x))) if w["shift"].any() else x


def _pointwise(kind: str, *rest: Any) -> Layer:
    def layer(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
        (x,) = inputs
        return g.image(g(kind, g.rows(x), *rest), shape(x)[2]) if g.has_rows(x) else g(kind, x, *rest)

    return layer


def _softmax(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("softmax", inputs[0], 1)


def _leakyrelu(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("prelu", inputs[0], constant(np.array([op.slope], np.float32)))


def _elu(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return _pointwise("elu", op.alpha)(g, op, w, inputs)


def _prelu(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("prelu", inputs[0], constant(w["weight"]))


def _ln(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    image = len(shape(x)) == 4
    if image:
        x = g("transpose", x, numbers(0, 2, 3, 1))
    x = g("mvn", x, numbers(-1), True, op.eps, "INSIDE_SQRT")
    x = g("add", g("multiply", x, constant(w["weight"])), constant(w["bias"]))
    return g("transpose", x, numbers(0, 3, 1, 2)) if image else x


def _gn(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    sides = shape(x)
    # Of vectors in bf16 OpenVINO 2026.4 gives other numbers, and of images of 1x1 the right ones.
    if len(sides) == 2:
        x = g("reshape", x, numbers(*sides, 1, 1), False)
    x = g("group_normalization", x, constant(w["weight"]), constant(w["bias"]), op.groups, op.eps)
    return g("reshape", x, numbers(*sides), False) if len(sides) == 2 else x


def _instancenorm(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    x = g("mvn", inputs[0], numbers(2, 3), True, op.eps, "INSIDE_SQRT")
    if not op.affine:
        return x
    return _biased(g, g("multiply", x, constant(_channels(w["weight"], x))), w)


def _lrn(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("lrn", inputs[0], numbers(1), op.alpha, op.beta, op.k, op.size)


def _merged(kind: str) -> Layer:
    def layer(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
        found = inputs[0]
        for x in inputs[1:]:
            if (g.has_rows(found) or g.has_rows(x)) and shape(found) == shape(x):
                found = g.image(g(kind, g.rows(found), g.rows(x)), shape(x)[2])
            else:
                found = g(kind, found, x)
        return found

    return layer


def _mean(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("multiply", _merged("add")(g, op, w, inputs), np.float32(1 / len(inputs)))


def _gate(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    h, t, x = inputs
    return g("add", x, g("multiply", g("sigmoid", t), g("subtract", h, x)))


# ---- where things are ----


def _concat(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("concat", list(inputs), 1) if len(inputs) > 1 else inputs[0]


def part(g: Graph, x: Any, axis: int, start: int, stop: int, step: int = 1) -> Any:
    """[start, stop) along an axis."""
    if (start, stop, step) == (0, shape(x)[axis], 1):
        return x
    return g("slice", x, numbers(start), numbers(stop), numbers(step), numbers(axis))


def _split(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return part(g, inputs[0], 1, *part_of(op, shape(inputs[0])[1]))


def _crop(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    wanted = op.infer(shape(x)[1:])
    for axis, size in enumerate(wanted[1:]):
        # Of an odd rest, one more goes from the end.
        start = op.border[2 * axis] if op.size is None else (shape(x)[2 + axis] - size) // 2
        x = part(g, x, 2 + axis, start, start + size)
    return x


def _pad(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    for axis, step in enumerate(op.stride, 2):
        x = part(g, x, axis, 0, shape(x)[axis], step)
    top, bottom, left, right = op.padding
    more = (op.channels or shape(x)[1]) - shape(x)[1]
    if not (more or any(op.padding)):
        return x
    before, after = numbers(0, 0, top, left), numbers(0, more, bottom, right)
    return g("pad", x, before, after, "constant", np.float32(op.value))


def _flatten(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    return x if len(shape(x)) == 2 else g("reshape", x, numbers(shape(x)[0], prod(shape(x)[1:])), False)


def _shuffle(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("shuffle_channels", inputs[0], 1, op.groups)


def _pixelshuffle(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("depth_to_space", inputs[0], "depth_first", op.factor)


def _pixelunshuffle(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    return g("space_to_depth", inputs[0], "depth_first", op.factor)


def _upsample(g: Graph, op: Any, w: Weights, inputs: Sequence[Any]) -> Any:
    (x,) = inputs
    nearest = op.mode == "nearest"
    return g(
        "interpolate",
        x,
        numbers(*(side * factor for side, factor in zip(shape(x)[2:], op.scale, strict=True))),
        "nearest" if nearest else "linear_onnx",
        "sizes",
        coordinate_transformation_mode="asymmetric" if nearest else "half_pixel",
        nearest_mode="floor",
        axes=numbers(2, 3),
    )


LAYERS: dict[str, Layer] = {
    **dict.fromkeys(AFFINE, _affine),
    "conv": _conv,
    "dwconv": _conv,
    "upconv": _upconv,
    "fc": _fc,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "gap": _gap,
    "adaptiveavgpool": _adaptive,
    "adaptivemaxpool": _adaptive,
    "relu": _pointwise("relu"),
    "relu6": _pointwise("clamp", 0.0, 6.0),
    "silu": _pointwise("swish"),
    "hswish": _pointwise("hswish"),
    "sigmoid": _pointwise("sigmoid"),
    "hsigmoid": _pointwise("hsigmoid"),
    "tanh": _pointwise("tanh"),
    "gelu": _pointwise("gelu", "erf"),
    "mish": _pointwise("mish"),
    "elu": _elu,
    "softmax": _softmax,
    "prelu": _prelu,
    "leakyrelu": _leakyrelu,
    "ln": _ln,
    "gn": _gn,
    "instancenorm": _instancenorm,
    "lrn": _lrn,
    "add": _merged("add"),
    "mul": _merged("multiply"),
    "maximum": _merged("maximum"),
    "mean": _mean,
    "gate": _gate,
    "concat": _concat,
    "placed": _concat,
    "split": _split,
    "crop": _crop,
    "pad": _pad,
    "flatten": _flatten,
    "channelshuffle": _shuffle,
    "pixelshuffle": _pixelshuffle,
    "pixelunshuffle": _pixelunshuffle,
    "upsample": _upsample,
    "identity": lambda g, op, w, inputs: inputs[0],
    "dropout": lambda g, op, w, inputs: inputs[0],
    "droppath": lambda g, op, w, inputs: inputs[0],
}
"""By name in the language. A network with another layer is not for this backend."""
