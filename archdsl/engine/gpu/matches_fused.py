"""Forms of the kernels of several layers: something element by element before a convolution, and two
convolutions in one.

Each function says of a problem whether it has the kernel's form, and how the kernel is called for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from archdsl.engine.gpu.candidate import Given
from archdsl.engine.gpu.matches import is_gate
from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.segments import Epilogue, epilogue, segments
from archdsl.engine.gpu.spot import Spot
from archdsl.engine.gpu.triton_side import (
    Call,
    activation,
    added,
    chained,
    copies,
    one_segment,
    padding_of,
    product,
    simple_epilogue,
    sizes,
)
from archdsl.kernels import b2b, bnrelu_conv1, dual, dw_pw, scaled_conv1, squeeze
from archdsl.passes._kernel import ACTIVATIONS, AFFINE, Stage, Step, is_pixelwise

# ---- what several of them ask ----


def plain_window(op: Any, stride: bool = True) -> bool:
    """A convolution of all channels; stride: which must be 1."""
    return op.groups == 1 and (not stride or op.stride == (1, 1))


def loads(problem: Problem, channels: int, *others: Spot) -> bool:
    """Whether the copy engine can bring the input, weights of so many input channels, and other tensors. Not
    float32: multiplied without tensor cores, what it brings goes through local memory, thousands of spills."""
    if problem.dtype == "f32" or channels * problem.size % 16:
        return False
    return all(copies(s, problem.size) for s in (problem.inputs[0], *others))


def one_by_one(stage: Stage | None) -> bool:
    op: Any = None if stage is None else stage.op
    return stage is not None and is_pixelwise(stage) and op.stride == (1, 1)


# ---- something element by element before a 1x1 convolution ----


def norm_convolution(problem: Problem) -> Call | None:
    """bnrelu_conv1: affine and an activation, a 1x1 convolution, and, if an average pool follows, that before
    it."""
    parts = segments(problem.trunk)
    kinds = tuple(part.kind for part in parts)
    if kinds not in (("in", "conv"), ("in", "conv", "avgpool")) or not problem.kernel.simple:
        return None
    main = parts[1].stage
    before, act = affine_and_act(parts[0].post), activation(parts[1].post)
    if main is None or not one_by_one(main) or before is None or act is None:
        return None
    step = problem.step(main)
    pool = 1
    if len(parts) == 3:
        assert parts[2].stage is not None
        window: Any = parts[2].stage.op
        pool = window.kernel[0]
        if act != "none" or parts[2].post or not _tiles(window, sizes(step.output)):
            return None
    steps, pre_act = [problem.step(stage) for stage in before[0]], before[1]

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights = given.weights
        args = [given.inputs[0], weights.weight(step), *weights.affine(steps), None, weights.bias(step)]
        return args, {"pre_act": pre_act, "act": act, "pool": pool, "out": given.outputs[0]}

    rows = problem.batch * problem.out.height * problem.out.width
    columns, depth = sizes(step.output)[0], sizes(step.inputs[0])[0]
    copied = pool == 1 and loads(problem, depth, problem.out)
    tables = {form: table for form, table in bnrelu_conv1.CONFIGS.items() if copied or form == "pointer"}
    return Call(
        "bnrelu_conv1",
        bnrelu_conv1.bnrelu_conv1,
        arguments,
        tables,
        rows,
        columns,
        depth,
        1 / pool**2,
        forms=True,
    )


def affine_and_act(stages: tuple[Stage, ...], least: int = 1) -> tuple[list[Stage], str] | None:
    """Affine stages, at least so many, and then at most one activation."""
    affine = [stage for stage in stages if stage.kind in AFFINE]
    rest = [stage for stage in stages if stage.kind not in AFFINE and stage.kind != "identity"]
    if len(affine) < least or len(rest) > 1 or list(stages[: len(affine)]) != affine:
        return None
    if rest and rest[0].kind not in ACTIVATIONS - {"prelu"}:
        return None
    return affine, rest[0].kind if rest else "none"


def _tiles(window: Any, shape: tuple[int, ...]) -> bool:
    """Whether an average pool's windows lie side by side, within the image."""
    size = window.kernel[0]
    plain = window.kernel == (size, size) == window.stride and not window.ceil
    return plain and window.padding == (0, 0, 0, 0) and shape[1] >= size and shape[2] >= size


def gated_convolution(problem: Problem) -> Call | None:
    """scaled_conv1: a factor for each channel of an image, a 1x1 convolution and its epilogue."""
    parts = chained(problem, "in", "conv")
    if parts is None or len(parts[0].post) != 1 or parts[0].post[0].kind != "mul":
        return None
    gate, main = parts[0].post[0], parts[1].stage
    after = simple_epilogue(problem, parts[1].post)
    if main is None or not one_by_one(main) or not is_gate(problem, gate) or after is None:
        return None
    step = problem.step(main)
    others = [problem.inputs[after.add.operands[0]]] if after.add is not None else []
    copied = loads(problem, problem.inputs[0].channels, problem.out, *others)

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights = given.weights
        args = [
            given.inputs[0],
            given.inputs[gate.operands[0]],
            weights.weight(step),
            None,
            weights.bias(step),
        ]
        return args, {"act": after.last, "residual": added(given, after), "out": given.outputs[0]}

    tables = {form: table for form, table in scaled_conv1.CONFIGS.items() if copied or form == "pointer"}
    rows, columns = product(problem, step)
    depth = problem.inputs[0].channels
    return Call(
        "scaled_conv1", scaled_conv1.scaled_conv1, arguments, tables, rows, columns, depth, forms=True
    )


# ---- two convolutions ----


def projected(problem: Problem) -> Call | None:
    """dual: a 1x1 convolution, and the shortcut's added to it."""
    part = one_segment(problem)
    if part is None or part.stage is None or not one_by_one(part.stage) or problem.dtype == "f32":
        return None
    after = epilogue(part.post)
    if after is None or after.first != "none" or after.add is None or len(after.add.side) != 1:
        return None
    side = after.add.side[0]
    op: Any = side.op
    if not is_pixelwise(side) or op.dilation != (1, 1):
        return None
    shortcut = problem.inputs[after.add.operands[0]]
    channels = problem.inputs[0].channels
    if not loads(problem, channels, shortcut, problem.out) or shortcut.channels * problem.size % 16:
        return None
    main, other = problem.step(part.stage), problem.step(side)

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights = given.weights
        both = [weights.weight(step).view(problem.out.channels, -1) for step in (main, other)]
        assert after.add is not None
        args = [given.inputs[0], given.inputs[after.add.operands[0]], *both, both_biases(given, main, other)]
        return args, {"stride": op.stride, "act": after.last, "out": given.outputs[0]}

    depth = channels + shortcut.channels
    return Call("dual", dual.dual, arguments, {"": dual.CONFIGS}, *product(problem, main), depth)


def both_biases(given: Given, main: Step, other: Step) -> Tensor | None:
    """Two convolutions' biases as one, added in float64."""

    def make() -> Tensor | None:
        found = [given.weights.doubles(step).get("bias") for step in (main, other)]
        there = [bias for bias in found if bias is not None]
        if not there:
            return None
        total = there[0] if len(there) == 1 else there[0] + there[1]
        return total.to(device=given.weights.device, dtype=torch.float32).contiguous()

    return given.weights.kept_as("biases", [main, other], make)  # type: ignore[no-any-return]


def depthwise_convolution(problem: Problem) -> Call | None:
    """dw_pw: a depthwise convolution, an activation, and a 1x1 convolution with its epilogue."""
    parts = chained(problem, "dwconv", "conv")
    if parts is None or parts[0].stage is None or not one_by_one(parts[1].stage):
        return None
    op: Any = parts[0].stage.op
    assert parts[1].stage is not None
    before, main = problem.step(parts[0].stage), problem.step(parts[1].stage)
    pre_act, after, padding = (
        activation(parts[0].post),
        simple_epilogue(problem, parts[1].post),
        padding_of(before),
    )
    if pre_act is None or after is None or padding is None or op.multiplier != 1 or problem.dtype == "f32":
        return None  # float32 would spill, as in `loads`
    if op.stride[0] != op.stride[1] or op.dilation != (1, 1):
        return None
    named = {"stride": op.stride[0], "padding": padding, "pre_act": pre_act, "act": after.last}

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights = given.weights
        taps = weights.kept_as(
            "rsk", [before], lambda: weights.weight(before)[..., 0].permute(1, 2, 0).contiguous()
        )
        args = [
            given.inputs[0],
            taps,
            weights.weight(main),
            None,
            weights.bias(before),
            None,
            weights.bias(main),
        ]
        return args, named | {"residual": added(given, after), "out": given.outputs[0]}

    return Call(
        "dw_pw", dw_pw.dw_pw, arguments, dict(dw_pw.CONFIGS), *product(problem, main), problem.inputs[0].channels,
        forms=True,
    )  # fmt: skip


def back_to_back(problem: Problem) -> Call | None:
    """b2b: a convolution of few channels, a 1x1 convolution, and a shortcut added, projected or as it is."""
    parts = chained(problem, "conv", "conv")
    if parts is None or parts[0].stage is None or not one_by_one(parts[1].stage):
        return None
    assert parts[1].stage is not None
    op: Any = parts[0].stage.op
    before, main = problem.step(parts[0].stage), problem.step(parts[1].stage)
    pre_act, after, padding = activation(parts[0].post), epilogue(parts[1].post), padding_of(before)
    channels, between = problem.inputs[0].channels, sizes(before.output)[0]
    if pre_act is None or after is None or after.first != "none" or padding is None or between > b2b.WIDEST:
        return None
    if not plain_window(op, stride=False) or op.dilation != (1, 1) or op.stride not in ((1, 1), (2, 2)):
        return None
    step = 64 if problem.size == 2 else 32
    if op.stride == (2, 2) and (
        channels % step or problem.inputs[0].height % 2 or problem.inputs[0].width % 2
    ):
        return None
    if between * problem.size % 16 or not loads(problem, channels, *problem.inputs[1:], problem.out):
        return None
    named: dict[str, Any] = {
        "stride": op.stride[0],
        "padding": padding,
        "pre_act": pre_act,
        "act": after.last,
    }
    side = _side_of(problem, after)
    if after.add is not None and side is None and not _same_size(problem, after.add):
        return None
    if side is not None:
        named["shortcut_stride"] = side.stage.op.stride[0]  # type: ignore[attr-defined]

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights, more = given.weights, dict(named)
        if side is None:
            bias = weights.bias(main)
            more["residual"] = added(given, after)
        else:
            bias = both_biases(given, main, side)
            more |= {"shortcut": added(given, after), "projection": weights.weight(side)}
        args = [
            given.inputs[0],
            weights.weight(before),
            weights.weight(main),
            None,
            weights.bias(before),
            None,
            bias,
        ]
        return args, more | {"out": given.outputs[0]}

    rows, _ = product(problem, main)
    depth = problem.flops // (2 * rows * between)  # as deep as one product of so many columns would be
    return Call("b2b", b2b.b2b, arguments, {"": b2b.CONFIGS}, rows, between, depth)


def _side_of(problem: Problem, after: Epilogue) -> Step | None:
    """A shortcut's 1x1 convolution, of equal strides, that the copy engine can feed."""
    if after.add is None or len(after.add.side) != 1 or not is_pixelwise(after.add.side[0]):
        return None
    op: Any = after.add.side[0].op
    spot = problem.inputs[after.add.operands[0]]
    if op.stride[0] != op.stride[1] or spot.channels * problem.size % 16:
        return None
    return problem.step(after.add.side[0])


def _same_size(problem: Problem, add: Stage) -> bool:
    return not add.side and problem.inputs[add.operands[0]].shape == problem.step(add).output


def excitation(problem: Problem) -> Call | None:
    """squeeze: two 1x1 convolutions, or fcs, of single positions; it begins from sums where those are what
    there is."""
    parts = segments(problem.trunk)
    if len(parts) != 2 or not problem.kernel.simple or problem.inputs[0].shape[1:] not in ((), (1, 1)):
        return None
    if not all(part.kind == "fc" or one_by_one(part.stage) for part in parts) or not problem.inputs[0].dense:
        return None
    acts = [activation(part.post) for part in parts]
    one, two = (problem.step(part.stage) for part in parts if part.stage is not None)
    if None in acts or sizes(one.output)[0] > squeeze.MOST:
        return None

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights, x = given.weights, given.inputs[0]
        partial = given.partials.get(x.data_ptr())
        sums, area = (x.view(x.shape[0], 1, -1), 1) if partial is None else partial
        w1, w2 = (_as_kernel(weights.weight(step)) for step in (one, two))
        named = {"area": area, "pre_act": acts[0], "act": acts[1], "out": given.outputs[0]}
        return [sums, w1, w2, weights.bias(one), weights.bias(two)], named

    rows, columns = product(problem, two)
    tables = {"": squeeze.CONFIGS}
    return Call("squeeze", squeeze.squeeze, arguments, tables, rows, columns, problem.inputs[0].channels)


def _as_kernel(weight: Tensor) -> Tensor:
    return weight.view(weight.shape[0], 1, 1, -1)
