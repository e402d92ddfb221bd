"""The combinators: `residual`, `aux` and `carry`, steps with one body. Their options; elaborate.py gives them meaning."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from archdsl.ops.base import PositiveReal, Ratio


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


class ResidualOptions(_Options):
    """F(x) + x (He et al., 2015). Where shapes differ the shortcut is a 1x1 projection with the stride that makes
    them agree; `identity` refuses that, `projection` always projects, `pad` subsamples and adds zero channels
    (option A), `match` skips only where shapes agree (MobileNetV2)."""

    shortcut: Literal["auto", "identity", "projection", "pad", "match"] = "auto"
    scale: PositiveReal = 1.0
    drop_path: Ratio = 0.0


class AuxOptions(_Options):
    """A side head (Szegedy et al., 2014): the stream passes by, the head's output is computed in training. weight is
    that of its loss."""

    weight: PositiveReal = 1.0


class CarryOptions(_Options):
    """`carry(p=@stem) { cell(@p) x4 }`: after each step inside, @p is that step's input (NASNet)."""


class Combinator(NamedTuple):
    name: str
    options: type[_Options]
    positional: tuple[str, ...] = ()
    binds_tensors: bool = False
    arch_only: bool = False


COMBINATORS: dict[str, Combinator] = {
    "residual": Combinator("residual", ResidualOptions),
    "aux": Combinator("aux", AuxOptions, positional=("weight",), arch_only=True),
    "carry": Combinator("carry", CarryOptions, binds_tensors=True),
}
