"""The tree as written: what the text says, with its sugar, comments and labels, before anything is looked up.

Every node has a span and none compares it, so `parse(format(tree)) == tree` can hold. Nodes do not change.
Children are checked by `isinstance` alone (`InstanceOf`), since the parser builds them bottom up and each was
validated when it was made.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal, dataclass_transform

from pydantic import ConfigDict, InstanceOf
from pydantic.dataclasses import dataclass

from archdsl.source import Span

SpanField = Annotated[Span, InstanceOf]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def node(cls: type) -> type:
    """A frozen pydantic dataclass whose schema is built when the first one is made (a cold start stays short)."""
    config = ConfigDict(strict=True, extra="forbid", defer_build=True)
    return dataclass(frozen=True, kw_only=True, slots=True, config=config)(cls)


@node
class Syntax:
    """Anything written."""

    span: SpanField = field(compare=False, repr=False)


# ---- expressions: compile-time values ----


@node
class Expr(Syntax):
    pass


@node
class Number(Expr):
    """`64`, `25_557_032`, `1e-3`, `4.09G`. `text` is as written; a suffix K, M or G is already multiplied in."""

    value: int | float
    text: str


@node
class Name(Expr):
    """A parameter or `let` name, or a word such as `same`, `relu`, `true`, `none`."""

    name: str


@node
class Member(Expr):
    """`in.c`"""

    base: InstanceOf[Name]
    member: InstanceOf[Name]


@node
class Reference(Expr):
    """`@name`: a labelled tensor. The span covers the `@`."""

    label: str


@node
class Unary(Expr):
    """`-a` or `not a`. `--a` is folded away by the parser, so operands are never Unary with the same sign."""

    operator: Literal["-", "not"]
    operand: InstanceOf[Expr]


@node
class Chain(Expr):
    """Operands joined left to right by operators of one precedence: `a + b - c`, `a * b // c`, `p and q and r`.

    Flat, not nested, so that a sum of a hundred thousand terms is not a hundred thousand calls deep.
    A comparison is a chain of exactly two operands.
    """

    operands: tuple[InstanceOf[Expr], ...]
    operators: tuple[Literal["+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or"], ...]


@node
class Argument(Syntax):
    """`value` or `name=value`."""

    name: InstanceOf[Name] | None = None
    value: InstanceOf[Expr]


@node
class CallExpr(Expr):
    """`round8(x)`, or a layer as a value: `norm=bn(eps=1e-3)`."""

    function: InstanceOf[Name]
    arguments: tuple[InstanceOf[Argument], ...]


@node
class TupleExpr(Expr):
    """`(0, 3)`: two items or more."""

    items: tuple[InstanceOf[Expr], ...]


# ---- statements ----


@node
class Wildcard(Expr):
    """`_` in a shape contract."""


@node
class ShapeLiteral(Syntax):
    """`3x224x224`, `3xHxW`, `512x_x_`, `1000`: one or three dims as Number, Name, Wildcard, or any expression in
    parentheses, `3x(16*H)x(16*W)`."""

    dims: tuple[InstanceOf[Expr], ...]


@node
class Statement(Syntax):
    pass


@node
class Sequence(Syntax):
    """`{ a; b }`, a branch, or a whole body."""

    statements: tuple[InstanceOf[Statement], ...]


@node
class Branches(Syntax):
    """`[ a; b | c ]`"""

    branches: tuple[InstanceOf[Sequence], ...]


@node
class Label(Syntax):
    """`c2` in `as c2`."""

    name: str


@node
class Repeat(Syntax):
    """`x4`, `x(n - 1)`, `x4/2`: count and, where written, the first copy's stride."""

    count: InstanceOf[Expr]
    stride: InstanceOf[Expr] | None = None


@node
class Step(Statement):
    """`op[kernel][-width][/stride][(args)][body] [xN[/s]] [as name] [-> shape]`

    head: the operation's name with its kernel digits still on it (`conv1x7`), a `@label`, or None for a bare
    `{ group }`. `arguments` is None where no parentheses were written and () where they were empty.
    """

    head: InstanceOf[Name] | InstanceOf[Reference] | None
    width: InstanceOf[Expr] | None = None
    stride: InstanceOf[Expr] | None = None
    arguments: tuple[InstanceOf[Argument], ...] | None = None
    body: InstanceOf[Sequence] | InstanceOf[Branches] | None = None
    repeat: InstanceOf[Repeat] | None = None
    label: InstanceOf[Label] | None = None
    contract: InstanceOf[ShapeLiteral] | None = None


@node
class Default(Statement):
    """`default conv(norm=bn, act=relu)`"""

    op: InstanceOf[Name]
    arguments: tuple[InstanceOf[Argument], ...]


@node
class Let(Statement):
    name: InstanceOf[Name]
    value: InstanceOf[Expr]


@node
class Arm(Syntax):
    """One `if` or `else if` with its body."""

    condition: InstanceOf[Expr]
    body: InstanceOf[Sequence]


@node
class If(Statement):
    """`if a { } else if b { } else { }`: arms in order, flat."""

    arms: tuple[InstanceOf[Arm], ...]
    otherwise: InstanceOf[Sequence] | None = None


@node
class Input(Statement):
    shape: InstanceOf[ShapeLiteral]


@node
class Output(Statement):
    references: tuple[InstanceOf[Reference], ...]


@node
class Expect(Statement):
    arguments: tuple[InstanceOf[Argument], ...]


@node
class Use(Statement):
    """`use "families/resnet.arch"`. `path` is the text between the quotes; `path_span` covers the quotes."""

    path: str
    path_span: SpanField = field(compare=False, repr=False)


@node
class Parameter(Syntax):
    """`f`, `s=1`, `@skip`"""

    name: InstanceOf[Name]
    default: InstanceOf[Expr] | None = None
    tensor: bool = False


@node
class Definition(Statement):
    """What `block` and `arch` share."""

    name: InstanceOf[Name]
    parameters: tuple[InstanceOf[Parameter], ...] = ()
    body: InstanceOf[Sequence]


@node
class Block(Definition):
    pass


@node
class Arch(Definition):
    pass


@node
class Comment(Syntax):
    """`# text` to the end of the line, `#` included."""

    text: str


@node
class File(Syntax):
    """A whole text: `use`, `block` and `arch`, or loose statements that make one nameless network."""

    statements: tuple[InstanceOf[Statement], ...]
    comments: tuple[InstanceOf[Comment], ...] = ()
