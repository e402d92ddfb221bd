"""What the convolutions share: the norm and activation they carry, their bias, and their groups."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, isqrt
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, InstanceOf, SerializeAsAny

from archdsl.ops.base import Op, ShapeError
from archdsl.symbolic import Dim, known


def _of_one_input(layer: Op | None) -> Op | None:
    if layer is not None and layer.arity != 1:
        raise ValueError(f"{layer.syntax} joins branches, so no layer can carry it")
    return layer


Carried = Annotated[SerializeAsAny[InstanceOf[Op]] | None, AfterValidator(_of_one_input)]
"""A layer that another carries, `norm=bn`, or none."""

Order = Literal["post", "pre"]
"""post: conv, norm, act. pre: norm, act, conv."""


def bias_of(bias: bool | None, norm: Op | None, order: Order) -> bool:
    """A bias is on unless a norm follows: that would take it away again."""
    return bias if bias is not None else norm is None or order == "pre"


def carry(core: tuple[Op, ...], norm: Op | None, act: Op | None, order: Order) -> tuple[Op, ...]:
    """The core with its norm and activation after or before it."""
    carried = tuple(step for layer in (norm, act) if layer is not None for step in layer.expand())
    return (*core, *carried) if order == "post" else (*carried, *core)


def bare(op: Any) -> Any:
    """A convolution that carries nothing, with its bias decided."""
    bias = bias_of(op.bias, op.norm, op.order)
    if (op.norm, op.act, op.bias, op.order) == (None, None, bias, "post"):
        return op
    return type(op)(**dict(op) | {"bias": bias, "norm": None, "act": None, "order": "post"})


def refuse_groups(groups: int, channels_in: Dim, channels: int) -> None:
    """Groups must divide the channels on both sides. Raises ShapeError."""
    for count, side in ((channels_in, "input"), (channels, "output")):
        if known(count) and count % groups:
            common = gcd(channels_in, channels) if known(channels_in) else channels
            raise undivided(groups, count, f"{side} channels", divisors_around(groups, common))


def undivided(groups: int, count: int, what: str, would_do: Sequence[int], *notes: str) -> ShapeError:
    """Groups that do not divide so many channels. would_do: numbers of groups that are near, the likeliest first."""
    return ShapeError(
        f"groups={groups} does not divide the {count} {what}",
        "groups",
        code="A205",
        notes=(f"{count} = {count // groups}*{groups} + {count % groups}", *notes),
        hint=" or ".join(f"groups={n}" for n in would_do) + " would do",
        instead=f"{would_do[0]}",
    )


def divisors_around(groups: int, channels: int) -> list[int]:
    """The nearest divisor below a number that is none, and the nearest above."""
    small = [n for n in range(1, isqrt(channels) + 1) if channels % n == 0]
    divisors = sorted({*small, *(channels // n for n in small)})
    return [n for n in divisors if n < groups][-1:] + [n for n in divisors if n > groups][:1]
