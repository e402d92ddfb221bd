"""What a layer is. One file of this folder holds one layer; README.md says what else may know its name.

A layer is a pydantic model: its fields are its arguments. Dropping a file here is all it takes: `archdsl.ops`
finds it, checks it at import, and grammar, messages, `archdsl layers`, tests and editors read it from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from archdsl.symbolic import Dim, known

Shape = tuple[Dim, ...]
"""One image's shape: (C, H, W) of an image, (F,) of a vector. The batch is never written."""


def written(shape: Shape) -> str:
    """A shape as the language writes it: `64x112x112`, `3x(2*H)xW`."""
    return "x".join(str(size) if known(size) or str(size).isidentifier() else f"({size})" for size in shape)


class ShapeError(Exception):
    """A layer that does not fit what comes in.

    argument: the field at fault, if one is; the driver finds its place in the text. code: the diagnostic's.
    notes: the arithmetic, a line each. hint: one concrete way out, in the language. branch: of a merge, the
    index from 0 of the first input at fault. Where an edit would do: instead, what to write for the argument;
    before, a step to put before this one; after, a step to end the branch at fault with; incoming, how many channels
    should come in.
    """

    def __init__(
        self,
        message: str,
        argument: str | None = None,
        *,
        code: str = "A201",
        notes: tuple[str, ...] = (),
        hint: str = "",
        branch: int | None = None,
        instead: str = "",
        before: str = "",
        after: str = "",
        incoming: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.argument, self.code, self.notes, self.hint = message, argument, code, notes, hint
        self.branch = branch
        self.instead, self.before, self.after, self.incoming = instead, before, after, incoming


class Weight(NamedTuple):
    """One tensor that a layer owns, under its state_dict name. trainable=False: it is a buffer."""

    name: str
    shape: Shape
    trainable: bool = True


class Window(NamedTuple):
    """What one output position sees of its input: (height, width) extents and strides.

    extent counts dilation in: (kernel - 1) * dilation + 1. A stride under 1 is an upsampling.
    """

    extent: tuple[Dim, Dim]
    stride: tuple[Fraction | int, Fraction | int] = (1, 1)


POINTWISE = Window((1, 1))


class Module(NamedTuple):
    """Lowering to a torch module: `target(*args, **kwargs)`, then called on the inputs.

    target is a dotted torch name, `torch.nn.Conv2d`, or the name of the class that `helper`, source text that
    needs only `torch` and `torch.nn as nn`, defines. Arguments are numbers, strings, booleans, None and
    tuples of them.
    """

    target: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    helper: str | None = None


class Function(NamedTuple):
    """Lowering to an expression without state: `{0} + {1}`, `torch.cat([{*}], dim=1)`.

    `{0}`, `{1}` are the inputs, `{*}` all of them, comma-separated, `{widths}` a list of numbers of channels: the
    instances of a class may have others. binds: how loosely it binds."""

    template: str
    binds: Literal["call", "infix"] = "call"
    widths: tuple[int, ...] = ()

    def text(self, names: Sequence[str]) -> str:
        """The expression, its inputs called so."""
        return self.template.replace("{*}", ", ".join(names)).format(*names, widths=list(self.widths))


Lowering = Module | Function


def _pair(value: object) -> object:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


def _one(value: object) -> object:
    return (value,) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _whole(value: object) -> object:
    """Ratios may be written 0 or 1."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


LIMIT = 2**31 - 1
"""The largest dimension or size that any argument may state."""

Positive = Annotated[int, Field(gt=0, le=LIMIT)]
Natural = Annotated[int, Field(ge=0, le=LIMIT)]
Pair = Annotated[tuple[Positive, Positive], BeforeValidator(_pair)]
"""(height, width), or one number for both."""
NaturalPair = Annotated[tuple[Natural, Natural], BeforeValidator(_pair)]
Real = Annotated[float, BeforeValidator(_whole), Field(allow_inf_nan=False)]
PositiveReal = Annotated[float, BeforeValidator(_whole), Field(gt=0, allow_inf_nan=False)]
Reals = Annotated[tuple[Real, ...], BeforeValidator(_one), Field(min_length=1)]
"""A number for each channel, or one for all."""
PositiveReals = Annotated[tuple[PositiveReal, ...], BeforeValidator(_one), Field(min_length=1)]
Ratio = Annotated[float, BeforeValidator(_whole), Field(ge=0, lt=1)]
"""A share in [0, 1): a dropout rate."""


class Op(BaseModel):
    """Base of every layer. Frozen and strict: what validated once stays valid.

    What a layer states about its syntax:
      syntax      its name in the language. `kernel` digits may follow the name if there is a field `kernel`;
                  `-width` needs a field `channels`, `/stride` a field `stride`.
      positional  fields that bare arguments fill, in order.
      short       other spellings of argument names: {"p": "padding"}.
      layers      fields whose value is itself a layer, written `act=relu` or `norm=bn(eps=1e-3)`, or `none`.
      fills       the argument of other layers that it is meant for, `act` or `norm`: messages and completion
                  offer it there.
      follows     the layer whose `default` this one takes where it has none of its own.
      arity       number of inputs; None for a merge of two or more branches, written `syntax [ a | b ]`.
      examples    lines "conv3-64: 3x32x32 -> 64x32x32"; a refused one ends in "-> error". A merge has
                  its inputs joined by commas. They are tests and documentation at once.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)

    syntax: ClassVar[str]
    positional: ClassVar[tuple[str, ...]] = ()
    short: ClassVar[dict[str, str]] = {}
    layers: ClassVar[tuple[str, ...]] = ()
    fills: ClassVar[Literal["act", "norm"] | None] = None
    follows: ClassVar[str | None] = None
    arity: ClassVar[int | None] = 1
    examples: ClassVar[tuple[str, ...]] = ()

    def expand(self) -> tuple[Op, ...]:
        """The layers that this one stands for, in order: `conv` with a norm and an activation is three.

        Each of them must expand to itself. Only these reach the Network."""
        return (self,)

    def infer(self, *inputs: Shape) -> Shape:
        """The output's shape. Raises ShapeError."""
        raise NotImplementedError

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        """Tensors owned, given input shapes that `infer` accepted."""
        return ()

    def macs(self, output: Shape, *inputs: Shape) -> Dim:
        """Multiply-accumulates for one image: of convolutions and fc only, without bias."""
        return 0

    def window(self, *inputs: Shape) -> Window:
        """What an output position sees of the input, for the receptive field."""
        return POINTWISE

    def lower(self, *inputs: Shape) -> Lowering:
        """The torch module or expression that does it."""
        raise NotImplementedError


def image(shape: Shape, who: str) -> tuple[Dim, Dim, Dim]:
    """The (C, H, W) of an image; a vector is refused in the name of the layer `who`."""
    if len(shape) != 3:
        raise ShapeError(
            f"{who} takes an image (channels x height x width), and a vector of {written(shape)} comes in",
            code="A204",
            hint=f"move {who} before the step that makes the vector",
        )
    return shape
