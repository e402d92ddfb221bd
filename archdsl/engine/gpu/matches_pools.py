"""Forms of the kernels that pool: alone, or after a convolution; and of sibling convolutions, one of which
may be pooled.

Each function says of a problem whether it has the kernel's form, and how the kernel is called for it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

from archdsl.engine.gpu.candidate import Given
from archdsl.engine.gpu.matches import few_channels
from archdsl.engine.gpu.matches_fused import affine_and_act, loads, one_by_one, plain_window
from archdsl.engine.gpu.problem import Problem
from archdsl.engine.gpu.segments import segments
from archdsl.engine.gpu.triton_side import (
    Call,
    activation,
    added,
    chained,
    padding_of,
    product,
    simple_epilogue,
    sizes,
)
from archdsl.kernels import conv_gap, conv_pool, gap, pool, pool_conv1, siblings, stem_pool
from archdsl.kernels.siblings import MOST
from archdsl.passes._kernel import POOLS, Stage, Step


class Tail(NamedTuple):
    """What follows a convolution in its kernel: "none", "gap", "maxpool2" or "maxpool3", of stride 2."""

    then: str
    padding: tuple[int, int] = (0, 0)
    size: tuple[int, int] | None = None

    @property
    def named(self) -> dict[str, Any]:
        return {"then": self.then} | (
            {} if self.size is None else {"padding": self.padding, "size": self.size}
        )

    @property
    def again(self) -> float:
        """Products for each that is wanted: borders of windows that overlap are computed twice."""
        return (16 / 14) ** 2 if self.then == "maxpool3" else 1.0


def tail_of(problem: Problem, stages: Sequence[Stage]) -> Tail | None:
    """Stages after a convolution as a tail; None where they are none."""
    if not stages:
        return Tail("none")
    if len(stages) > 1:
        return None
    step = problem.step(stages[0])
    if stages[0].kind == "gap":
        return Tail("gap")
    op: Any = stages[0].op
    around = padding_of(step) if stages[0].kind == "maxpool" else None
    if around is None or op.kernel not in ((2, 2), (3, 3)) or op.stride != (2, 2) or op.dilation != (1, 1):
        return None
    if max(around[0], around[2]) > op.kernel[0] // 2:
        return None
    _, height, width = sizes(step.output)
    return Tail(f"maxpool{op.kernel[0]}", (around[0], around[2]), (height, width))


def _pooled(tail: Tail) -> dict[str, Any]:
    """As the kernels that always pool are told."""
    return {"pool": int(tail.then[-1]), "pool_padding": tail.padding, "size": tail.size}


# ---- after a convolution ----


def convolution_pool(problem: Problem) -> Call | None:
    """conv_pool: a convolution of stride 1, an activation, and a max pool of stride 2."""
    parts = chained(problem, "conv", "maxpool")
    if parts is None or parts[0].stage is None or parts[1].stage is None or parts[1].post:
        return None
    op: Any = parts[0].stage.op
    step, tail = problem.step(parts[0].stage), tail_of(problem, [parts[1].stage])
    act, padding, channels = activation(parts[0].post), padding_of(step), problem.inputs[0].channels
    if act is None or padding is None or tail is None or not plain_window(op) or not loads(problem, channels):
        return None
    named = {"padding": padding, "dilation": op.dilation, "act": act} | _pooled(tail)

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights = given.weights
        return [given.inputs[0], weights.weight(step), None, weights.bias(step)], named | {
            "out": given.outputs[0]
        }

    tables = {"": conv_pool.CONFIGS}
    depth = channels * prod(op.kernel)
    return Call(
        "conv_pool", conv_pool.conv_pool, arguments, tables, *product(problem, step), depth, tail.again
    )


def first_pool(problem: Problem) -> Call | None:
    """stem_pool: a convolution of few channels and a max pool."""
    parts = chained(problem, "conv", "maxpool")
    if parts is None or parts[0].stage is None or parts[1].stage is None or parts[1].post:
        return None
    step, tail = problem.step(parts[0].stage), tail_of(problem, [parts[1].stage])
    row, act = few_channels(problem, step), activation(parts[0].post)
    if row is None or row.run > 64 or tail is None or act is None:
        return None
    named = row.named | {"act": act} | _pooled(tail)

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        args = [row.image(given), row.weight(given), None, given.weights.bias(step)]
        return args, named | {"out": given.outputs[0]}

    table = tuple(each._replace(config=each.config._replace(bk=row.run)) for each in stem_pool.CONFIGS)
    depth = row.run * sizes(step.weights[0].shape)[2]
    return Call(
        "stem_pool", stem_pool.stem_pool, arguments, {"": table}, *product(problem, step), depth, tail.again
    )


def convolution_mean(problem: Problem) -> Call | None:
    """conv_gap: a convolution of stride 1 with an epilogue, and the mean over each image."""
    parts = chained(problem, "conv", "gap")
    if parts is None or parts[0].stage is None or parts[1].post:
        return None
    op: Any = parts[0].stage.op
    step, after = problem.step(parts[0].stage), simple_epilogue(problem, parts[0].post)
    padding, channels = padding_of(step), problem.inputs[0].channels
    if (
        after is None
        or padding is None
        or not plain_window(op)
        or not loads(problem, channels, *problem.inputs[1:])
    ):
        return None

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights = given.weights
        named = {
            "padding": padding,
            "dilation": op.dilation,
            "act": after.last,
            "residual": added(given, after),
        }
        return [given.inputs[0], weights.weight(step), None, weights.bias(step)], named | {
            "out": given.outputs[0]
        }

    depth = channels * prod(op.kernel)
    tables = {"": conv_gap.CONFIGS}
    return Call("conv_gap", conv_gap.conv_gap, arguments, tables, *product(problem, step), depth)


# ---- around 1x1 convolutions ----


def pool_convolution(problem: Problem) -> Call | None:
    """pool_conv1: a max pool that keeps the size, a 1x1 convolution, an activation, and a tail."""
    parts = segments(problem.trunk)
    if len(parts) not in (2, 3) or parts[0].kind != "maxpool" or parts[0].post or not problem.kernel.simple:
        return None
    window: Any = parts[0].stage.op  # type: ignore[union-attr]
    main = parts[1].stage
    side = window.kernel[0]
    around = padding_of(problem.step(parts[0].stage))  # type: ignore[arg-type]
    if window.kernel != (side, side) or side % 2 == 0 or window.stride != (1, 1) or window.dilation != (1, 1):
        return None
    if around != (side // 2,) * 4 or main is None or not one_by_one(main):
        return None
    last = [stage for part in parts[2:] for stage in (part.stage, *part.post) if stage is not None]
    act, tail, channels = activation(parts[1].post), tail_of(problem, last), problem.inputs[0].channels
    if act is None or tail is None or not loads(problem, channels):
        return None
    step = problem.step(main)

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights = given.weights
        named = {"kernel": side, "act": act, "out": given.outputs[0]} | tail.named
        return [given.inputs[0], weights.weight(step), None, weights.bias(step)], named

    tables = {"": pool_conv1.CONFIGS}
    rows, columns = product(problem, step)
    return Call("pool_conv1", pool_conv1.pool_conv1, arguments, tables, rows, columns, channels, tail.again)


def branches(problem: Problem) -> Call | None:
    """siblings: 1x1 convolutions of one input with the same activation, each to a tensor of its own; the
    first may have a tail."""
    parts, ways = segments(problem.trunk), problem.kernel.ways
    if (
        len(parts) != 1
        or not 2 <= len(ways) <= MOST
        or parts[0].stage is None
        or not one_by_one(parts[0].stage)
    ):
        return None
    act, channels = activation(parts[0].post), problem.inputs[0].channels
    if act is None or len(problem.inputs) > 1 or not loads(problem, channels):
        return None
    ends = [0, *(way.stop or 0 for way in ways)]
    if (
        any(way.start != end for way, end in zip(ways, ends, strict=False))
        or ends[-1] != sizes(problem.steps[0].output)[0]
    ):
        return None
    if any(way.stages for way in ways[1:]):
        return None
    tail = tail_of(problem, ways[0].stages)
    if tail is None:
        return None
    step = problem.step(parts[0].stage)
    widths = [b - a for a, b in pairwise(ends)]

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        weights = given.weights
        named = {"act": act, "out": list(given.outputs)} | tail.named
        return [given.inputs[0], weights.weight(step), widths, None, weights.bias(step)], named

    rows, columns = product(problem, step)
    return Call(
        "siblings", siblings.siblings, arguments, {"": siblings.CONFIGS}, rows, columns, channels, tail.again
    )


# ---- alone ----


def alone(problem: Problem) -> Call | None:
    """pool: a max or an average pool by itself."""
    parts = segments(problem.trunk)
    if (
        len(parts) != 1
        or parts[0].kind not in ("maxpool", "avgpool")
        or parts[0].post
        or not problem.kernel.simple
    ):
        return None
    assert parts[0].stage is not None
    op: Any = parts[0].stage.op
    step = problem.step(parts[0].stage)
    padding = padding_of(step)
    if padding is None or op.padding == "same" and op.syntax == "avgpool":
        return None
    dilation = getattr(op, "dilation", (1, 1))
    if dilation != (1, 1) and (op.ceil or any(padding)):
        return None
    _, height, width = sizes(step.output)
    named = {"stride": op.stride, "padding": padding, "dilation": dilation, "size": (height, width)}
    if op.syntax == "avgpool":
        named["include_pad"] = op.include_pad

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        return [given.inputs[0], op.syntax[:3], op.kernel], named | {"out": given.outputs[0]}

    return _elementwise_call(problem, "pool", pool.pool, arguments, {"": pool.CONFIGS}, step)


def mean(problem: Problem) -> Call | None:
    """gap: affine, an activation, and the mean over each image."""
    parts = segments(problem.trunk)
    if not problem.kernel.simple or parts[-1].kind != "gap" or parts[-1].post or len(parts) > 2:
        return None
    before = affine_and_act(parts[0].post, least=0) if len(parts) == 2 and parts[0].stage is None else None
    if len(parts) == 2 and before is None:
        return None
    steps, act = ([problem.step(stage) for stage in before[0]], before[1]) if before else ([], "none")

    def arguments(given: Given) -> tuple[list[Any], dict[str, Any]]:
        scale, shift = given.weights.affine(steps) if steps else (None, None)
        return [given.inputs[0], scale, shift], {"act": act, "out": given.outputs[0]}

    assert parts[-1].stage is not None
    return _elementwise_call(
        problem, "gap", gap.gap, arguments, {"": gap.CONFIGS}, problem.step(parts[-1].stage)
    )


def _elementwise_call(
    problem: Problem, name: str, launcher: Any, arguments: Any, tables: dict[str, Any], step: Step
) -> Call:
    assert step.stage.kind in POOLS
    return Call(name, launcher, arguments, tables, *product(problem, step), 0, vector=True)
