"""Forms of the kernels of one layer and what follows it: a convolution of any kind, or what is element by
element.

Each function says of a problem whether it has the kernel's form, and how the kernel is called for it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.engine.gpu.arena import TORCH_DTYPES
from archdsl.engine.gpu.candidate import Given, Partial
from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.segments import epilogue, segments
from archdsl.engine.gpu.spot import Spot
from archdsl.engine.gpu.triton_side import (
    Call,
    activation,
    added,
    copies,
    one_segment,
    padding_of,
    product,
    simple_epilogue,
    sizes,
)
from archdsl.kernels import conv, depthwise, gemm, pointwise, stem
from archdsl.kernels._convolution import checked
from archdsl.kernels._launch import Shipped
from archdsl.passes._kernel import AFFINE, Stage, Step, is_pixelwise

GROUP = 32
"""Channels that a group of a grouped convolution is widened to."""


def convolution(problem: Problem) -> Call | None:
    """conv: act(conv(x) + bias + residual); an fc is one over its whole input."""
    part = one_segment(problem)
    if part is None or part.stage is None or part.kind not in ("conv", "fc") or part.stage.operands:
        return None
    after = simple_epilogue(problem, part.post)
    step = problem.step(part.stage)
    padding = (0, 0, 0, 0) if part.kind == "fc" else padding_of(step)
    if after is None or padding is None:
        return None
    if part.kind == "fc" and len(step.inputs[0]) == 3 and not problem.inputs[0].dense:
        return None
    op: Any = part.stage.op
    groups = getattr(op, "groups", 1)
    more: dict[str, Any] = {"act": after.last}
    if part.kind == "conv":
        more |= {"stride": op.stride, "padding": padding, "dilation": op.dilation}

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        x, (weight, wide) = given.inputs[0], _weight(given, step, groups)
        bias = given.weights.bias(step)
        if step.stage.kind == "fc":
            x = flat(x)
        named = more | {"groups": wide, "residual": added(given, after), "out": given.outputs[0]}
        return [x, weight, None, bias], named

    shape = sizes(step.inputs[0])
    depth = prod(shape) if part.kind == "fc" else shape[0] // groups * prod(op.kernel)
    tables = _able(problem, step, more, groups)
    return Call("conv", conv.conv, arguments, tables, *product(problem, step), depth)


def _able(problem: Problem, step: Step, named: dict[str, Any], groups: int) -> dict[str, Sequence[Shipped]]:
    """Of each form the configurations that can do a convolution, as the forms themselves say of tensors
    without numbers."""
    dtype, batch = TORCH_DTYPES[problem.dtype], problem.batch

    def meta(spot: Spot) -> Tensor:
        whole = torch.empty(batch, spot.height, spot.width, spot.row, dtype=dtype, device="meta")
        return whole[..., spot.channel : spot.channel + spot.channels]

    x, *others = map(meta, problem.inputs)
    k, c, *window = sizes(step.weights[0].shape)
    if step.stage.kind == "fc":
        x, window = flat(x), [1, 1]
    weight, wide = torch.empty(k, *window, c, dtype=dtype, device="meta"), groups
    if groups > 1:
        weight, wide = conv.widened(weight, groups, GROUP)
    told = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1)} | named
    residual = others[0] if others else None
    call = checked(
        x, weight, None, None, **told, groups=wide, residual=residual, out=meta(problem.out), precision="ieee"
    )
    return {
        form: [shipped for shipped in module.CONFIGS if module.refuses(call, shipped.config) is None]
        for form, module in conv.FORMS.items()
    }


def flat(x: Tensor) -> Tensor:
    """Whole images as one pixel each."""
    n, h, w, c = x.shape
    return x.reshape(n, 1, 1, h * w * c) if h * w > 1 else x


def _weight(given: Given, step: Step, groups: int) -> tuple[Tensor, int]:
    """[K, R, S, C / groups], and the groups that it is for: small ones are joined."""
    weights = given.weights
    if step.stage.kind == "fc":
        whole = weights.weight(step)
        return whole.view(whole.shape[0], 1, 1, -1), 1
    if groups == 1:
        return weights.weight(step), 1
    joined: tuple[Tensor, int] = weights.kept_as(
        "widened", [step], lambda: conv.widened(weights.weight(step), groups, GROUP)
    )
    return joined


def matrix(problem: Problem) -> Call | None:
    """gemm: a 1x1 convolution of stride 1, or an fc, with an epilogue, by the copy engine."""
    part = one_segment(problem)
    if part is None or part.stage is None or problem.dtype == "f32":
        return None
    op: Any = part.stage.op
    if part.kind != "fc" and not (is_pixelwise(part.stage) and op.stride == (1, 1)):
        return None
    after = simple_epilogue(problem, part.post)
    step = problem.step(part.stage)
    depth = prod(sizes(step.inputs[0])) if part.kind == "fc" else sizes(step.inputs[0])[0]
    if after is None or depth * problem.size % 16:
        return None
    if not all(copies(spot, problem.size) for spot in (*problem.inputs, *problem.outputs)):
        return None
    if part.kind == "fc" and not problem.inputs[0].dense:
        return None

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weight = given.weights.weight(step)
        x = flat(given.inputs[0]) if step.stage.kind == "fc" else given.inputs[0]
        rows = weight.view(weight.shape[0], -1)
        named = {"act": after.last, "residual": added(given, after), "out": given.outputs[0]}
        return [x, rows, None, given.weights.bias(step)], named

    return Call("gemm", gemm.gemm, arguments, {"": gemm.CONFIGS}, *product(problem, step), depth)


class Row(NamedTuple):
    """A convolution of few channels as `stem` takes it. wide: channels of the image with the zeros that fill
    up its pixels; run: numbers of a row of the window, filled up; named: what the launcher is told."""

    step: Step
    wide: int
    run: int
    named: dict[str, Any]

    def image(self, given: Given) -> Tensor:
        x = given.inputs[0]
        return x if x.shape[3] == self.wide else x.as_strided((*x.shape[:3], self.wide), x.stride())

    def weight(self, given: Given) -> Tensor:
        def pack() -> Tensor:
            weight = given.weights.weight(self.step)
            return stem.packed(torch.nn.functional.pad(weight, (0, self.wide - weight.shape[3])))

        return given.weights.kept_as(f"stem{self.wide}", [self.step], pack)  # type: ignore[no-any-return]


def few_channels(problem: Problem, step: Step) -> Row | None:
    """A convolution of up to 4 channels, of which a row of the window is no longer than 256 numbers; else
    None."""
    op: Any = step.stage.op
    spot, padding = problem.inputs[0], padding_of(step)
    if spot.channels > 4 or op.groups != 1 or op.dilation != (1, 1) or padding is None:
        return None
    wide = 4 if (spot.channels, spot.row, spot.channel) == (3, 4, 0) else spot.channels
    run = max(16, 1 << (op.kernel[1] * wide - 1).bit_length())
    named = {"taps": op.kernel[1], "stride": op.stride, "padding": padding}
    return Row(step, wide, run, named) if run <= 256 else None


def first(problem: Problem) -> Call | None:
    """stem: a convolution of few channels, a row of its window at a time."""
    part = one_segment(problem)
    if part is None or part.stage is None or part.kind != "conv":
        return None
    step = problem.step(part.stage)
    row, act = few_channels(problem, step), activation(part.post)
    if row is None or act is None:
        return None

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        args = [row.image(given), row.weight(given), None, given.weights.bias(step)]
        return args, row.named | {"act": act, "out": given.outputs[0]}

    table = tuple(
        each._replace(config=each.config._replace(bk=row.run))
        for each in stem.CONFIGS
        if row.run <= 32 or each.config.bm <= 64
    )
    depth = row.run * sizes(step.weights[0].shape)[2]
    return Call("stem", stem.stem, arguments, {"": table}, *product(problem, step), depth)


def by_channel(problem: Problem) -> Call | None:
    """depthwise: and, where the mean of what it writes is wanted too, sums of parts of each image."""
    parts = segments(problem.trunk)
    if len(parts) != 1 or parts[0].stage is None or parts[0].kind != "dwconv":
        return None
    ways = problem.kernel.ways
    means = (
        len(ways) == 2
        and ways[0].plain
        and ways[1].stop is None
        and [s.kind for s in ways[1].stages] == ["gap"]
    )
    if not (problem.kernel.simple or means):
        return None
    op: Any = parts[0].stage.op
    step = problem.step(parts[0].stage)
    act, padding = activation(parts[0].post), padding_of(step)
    if act is None or padding is None:
        return None
    named = {"stride": op.stride, "padding": padding, "dilation": op.dilation, "act": act}

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights, out = given.weights, given.outputs[0]
        weight = weights.kept_as(
            "rsk", [step], lambda: weights.weight(step)[..., 0].permute(1, 2, 0).contiguous()
        )
        more: dict[str, Any] = {}
        if means:
            more["sums"] = depthwise.new_sums(out)
            given.partials[given.outputs[1].data_ptr()] = Partial(more["sums"], out.shape[1] * out.shape[2])
        return [given.inputs[0], weight, None, weights.bias(step)], named | more | {"out": out}

    rows, columns = product(problem, step)
    tables = {} if means else {"": depthwise.CONFIGS}
    return Call("depthwise", depthwise.depthwise, arguments, tables, rows, columns, 0, vector=True)


def elementwise(problem: Problem) -> Call | None:
    """pointwise: a factor for each channel of an image, affine, an activation, a sum, an activation."""
    part = one_segment(problem)
    if part is None or part.stage is not None or problem.out.shape != problem.inputs[0].shape:
        return None
    rest = list(part.post)
    factor = None
    if rest and rest[0].kind == "mul" and is_gate(problem, rest[0]):
        factor = rest.pop(0).operands[0]
    affine = []
    while rest and rest[0].kind in AFFINE:
        affine.append(problem.step(rest.pop(0)))
    after = epilogue(rest)
    if (
        after is None
        or after.add is not None
        and (after.add.side or problem.inputs[after.add.operands[0]].shape != problem.out.shape)
    ):
        return None

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        scale, shift = given.weights.affine(affine) if affine else (None, None)
        residual, gate = added(given, after), None if factor is None else given.inputs[factor]
        acts = {"pre_act": after.first, "act": after.last} if after.add else {"pre_act": after.last}
        return [given.inputs[0], scale, shift, residual], acts | {"factor": gate, "out": given.outputs[0]}

    rows = problem.batch * problem.out.height * problem.out.width
    tables = {"": pointwise.CONFIGS}
    return Call(
        "pointwise", pointwise.pointwise, arguments, tables, rows, problem.out.channels, 0, vector=True
    )


def is_gate(problem: Problem, stage: Stage) -> bool:
    """Whether a product's operand is one number for each channel of an image."""
    if len(stage.operands) != 1 or stage.side:
        return False
    return problem.inputs[stage.operands[0]].shape == (problem.inputs[0].channels, 1, 1)
