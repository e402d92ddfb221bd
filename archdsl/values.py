"""Compile-time values: what expressions come to. Nothing of a spec's text is ever given to Python to run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from archdsl import syntax
from archdsl.diagnostics import did_you_mean
from archdsl.source import Span
from archdsl.symbolic import Dim, TooLarge
from archdsl.words import PYTHON_VALUES

LARGEST = 2**63 - 1
"""No computed number may pass this, so that a chain of squarings can't fill the machine."""

_LARGEST_HINT = f"the largest is {LARGEST:_}"

CONSTANTS = {"true": True, "false": False}

COPY = "copy"
"""In a repeated step, the number of the copy, from 0."""

COPY_ALL, COPY_TOTAL = "copy.all", "copy.total"
"""In a step's arguments, of all copies of the network's steps whose arguments say so: the number of this one from 0,
and how many they are."""


LOST = object()
"""What a name is bound to when its value could not be computed: told once, where it was defined."""


class Word(str):
    """A name that stands for itself: `same`, `relu`, `none`."""


class LayerCall(NamedTuple):
    """A layer written as a value: `bn(eps=1e-3)`."""

    name: str
    positional: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...]


Value = Any
"""int, float, bool, Word, tuple, LayerCall, or an Expression in the symbols of the input."""


class ValueProblem(Exception):
    """An expression that has no value. Becomes a diagnostic where it was asked for."""

    def __init__(self, code: str, message: str, span: Span, hint: str = "", replacement: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.span, self.hint, self.replacement = code, message, span, hint, replacement


def round_to(divisor: int, x: float) -> int:
    """The nearest multiple of a number, at least one of it, that is not under 90 % of x: MobileNet's rule, as timm,
    torchvision and Keras have it (`make_divisible`).

    >>> round_to(8, 33 * 0.75), round_to(4, 18), round_to(8, 11)
    (24, 20, 16)
    """
    rounded = max(divisor, int(x + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * x else rounded


def _round(x: float) -> int:
    """Halves away from zero, as on paper."""
    return math.floor(x + 0.5) if x >= 0 else -math.floor(0.5 - x)


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "round8": (partial(round_to, 8), 1, 1),
    "ceil": (math.ceil, 1, 1),
    "floor": (math.floor, 1, 1),
    "round": (_round, 1, 1),
    "min": (min, 2, 64),
    "max": (max, 2, 64),
}
"""Name to function, fewest and most arguments. As round8 are round4, round16 and the others: see `function_called`."""

_ROUND_TO = re.compile(r"round([1-9][0-9]{0,3})")


def function_called(name: str) -> tuple[Callable[..., Any], int, int] | None:
    """The function of a name: one of FUNCTIONS, or `round` and the number to whose multiples it rounds."""
    divisor = _ROUND_TO.fullmatch(name)
    return (partial(round_to, int(divisor[1])), 1, 1) if divisor else FUNCTIONS.get(name)


class Scope(NamedTuple):
    """What names mean while an expression is evaluated: variables, and the shape that `in` has."""

    variables: Mapping[str, Value]
    incoming: tuple[Dim, ...] | None


def evaluate(expr: syntax.Expr, scope: Scope) -> Value:
    """The value of an expression. A name that nothing defines is a Word.

    Raises ValueProblem with the place at fault.
    """
    kind = type(expr)
    if kind is syntax.Number:
        return expr.value  # type: ignore[attr-defined]
    if kind is syntax.Name:
        return _name(expr, scope)  # type: ignore[arg-type]
    return _EVALUATORS[kind](expr, scope)


def _name(expr: syntax.Name, scope: Scope) -> Value:
    if expr.name in scope.variables:
        value = scope.variables[expr.name]
        if value is LOST:
            raise UnknownIncoming(expr.span)
        return value
    if expr.name in CONSTANTS:
        return CONSTANTS[expr.name]
    if expr.name in PYTHON_VALUES:  # told already: go on as if it were written as here
        here = PYTHON_VALUES[expr.name]
        return CONSTANTS.get(here, Word(here))
    if expr.name == COPY:  # outside a repeat: told already
        raise UnknownIncoming(expr.span)
    return Word(expr.name)


def _member(expr: syntax.Member, scope: Scope) -> Value:
    if expr.base.name == COPY:
        value = scope.variables.get(f"{COPY}.{expr.member.name}")
        if value is None:  # told already
            raise UnknownIncoming(expr.span)
        return value
    if expr.base.name != "in":
        hint = f"write {expr.base.name} alone" if expr.base.name in scope.variables else "only in.c, in.h and in.w exist"
        raise ValueProblem("A106", f"`{expr.base.name}` has no parts", expr.span, hint)
    index = {"c": 0, "h": 1, "w": 2}.get(expr.member.name)
    if index is None:
        raise ValueProblem("A106", f"there is no `in.{expr.member.name}`", expr.span, "write in.c, in.h or in.w")
    if scope.incoming is None:
        raise UnknownIncoming(expr.span)
    if index >= len(scope.incoming):
        message = f"a vector of {scope.incoming[0]} comes in here, which has no in.{expr.member.name}"
        raise ValueProblem("A204", message, expr.span, "only in.c is known of a vector")
    return scope.incoming[index]


class UnknownIncoming(ValueProblem):
    """`in` was asked for after a step that already failed: not worth a second message."""

    def __init__(self, span: Span) -> None:
        super().__init__("A206", "the shape coming in is not known", span)


def _unary(expr: syntax.Unary, scope: Scope) -> Value:
    if expr.operator == "not":
        return not truth(expr.operand, scope)
    return _limited(-number(expr.operand, scope), expr.span)


def number(expr: syntax.Expr, scope: Scope) -> Any:
    """The value of an expression that must be a number or a symbolic size."""
    value = evaluate(expr, scope)
    if isinstance(value, bool) or isinstance(value, (str, tuple)):
        if isinstance(value, Word):
            raise unknown_name(expr, value, scope)
        if isinstance(expr, syntax.CallExpr):  # no function of that name: told already
            raise UnknownIncoming(expr.span)
        raise ValueProblem("A116", f"{shown(value)} is not a number", expr.span, "arithmetic is done with numbers only")
    return value


def known_kind(value: Value) -> bool:
    """Whether a value is of the plain kinds, and so not a symbolic size."""
    return isinstance(value, (int, float, str, tuple))


def unknown_name(expr: syntax.Expr, word: str, scope: Scope) -> ValueProblem:
    """A name that stands for nothing."""
    near = did_you_mean(word, [*scope.variables, *CONSTANTS])
    hint = f"did you mean `{near}`?" if near else "parameters and `let` names can be used here"
    return ValueProblem("A106", f"`{word}` stands for nothing here", expr.span, hint, near)


def truth(expr: syntax.Expr, scope: Scope) -> bool:
    """The value of a condition."""
    value = evaluate(expr, scope)
    if isinstance(value, Word):
        if value == "none":
            return False
        raise unknown_name(expr, value, scope)
    if not isinstance(value, (int, float)):
        raise ValueProblem("A116", f"{shown(value)} is neither true nor false", expr.span, "compare it: if k == 3 { ... }")
    return bool(value)


def _chain(expr: syntax.Chain, scope: Scope) -> Value:
    operator = expr.operators[0]
    if operator in ("and", "or"):
        wanted = operator == "or"
        for operand in expr.operands:
            if truth(operand, scope) is wanted:
                return wanted
        return not wanted
    if operator in _COMPARISONS:
        return _compare(expr, operator, scope)
    result = number(expr.operands[0], scope)
    for operator, operand in zip(expr.operators, expr.operands[1:], strict=True):
        result = _arithmetic(operator, result, number(operand, scope), operand.span, expr.span)
    return result


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _compare(expr: syntax.Chain, operator: str, scope: Scope) -> bool:
    if operator in ("==", "!="):  # words compare too: `if act == relu`
        left, right = (evaluate(operand, scope) for operand in expr.operands)
        if all(isinstance(o, syntax.Name) and o.name not in scope.variables for o in expr.operands):
            raise unknown_name(expr.operands[0], str(left), scope)
    else:
        left, right = (number(operand, scope) for operand in expr.operands)
    if known_kind(left) and known_kind(right):
        return _COMPARISONS[operator](left, right)
    if operator in ("==", "!=") and left == right:
        return operator == "=="
    raise ValueProblem(
        "A206",
        f"{shown(left)} {operator} {shown(right)} depends on a size that is not known",
        expr.span,
        "give the input numbers, `input 3x224x224`, or leave the size out of the condition",
    )


def _arithmetic(operator: str, left: Any, right: Any, right_span: Span, span: Span) -> Any:
    try:
        if operator == "+":
            return _limited(left + right, span)
        if operator == "-":
            return _limited(left - right, span)
        if operator == "*":
            return _limited(left * right, span)
        if operator == "//":
            return _limited(left // right, span)
        if operator == "%":
            return _limited(left % right, span)
        if isinstance(left, int) and isinstance(right, int) and right and left % right == 0:
            return left // right  # 64 / 4 is a number of channels, not 16.0
        return _limited(left / right, span)
    except ZeroDivisionError:
        raise ValueProblem("A116", "this divides by zero", right_span, "guard it: if n != 0 { ... }") from None
    except TooLarge as error:
        raise ValueProblem("A305", str(error), span, "give the input's height and width as numbers") from None
    except (TypeError, ValueError) as error:
        raise ValueProblem("A206", f"this can't be computed from a size that is not known: {error}", span) from None
    except OverflowError:
        raise ValueProblem("A307", "this number is too large", span, _LARGEST_HINT) from None


def _limited(value: Any, span: Span) -> Any:
    if isinstance(value, int) and abs(value) > LARGEST or isinstance(value, float) and not math.isfinite(value):
        raise ValueProblem("A307", "this number is too large", span, _LARGEST_HINT)
    return value


def _call(expr: syntax.CallExpr, scope: Scope) -> Value:
    name = expr.function.name
    found = function_called(name)
    if found is None:
        positional = tuple(evaluate(a.value, scope) for a in expr.arguments if a.name is None)
        named = tuple((a.name.name, evaluate(a.value, scope)) for a in expr.arguments if a.name is not None)
        return LayerCall(name, positional, named)
    function, fewest, most = found
    for argument in expr.arguments:
        if argument.name is not None:
            hint = f"write the value alone: {name}({argument.value.span.text})"
            raise ValueProblem("A102", f"`{name}` has no named arguments", argument.name.span, hint)
    if not fewest <= len(expr.arguments) <= most:
        wanted = "one argument" if most == 1 else "two arguments or more"
        hint = f"write {name}(x)" if most == 1 else f"write {name}(a, b)"
        rounded = rounded_to(name, expr)
        if rounded is not None:
            hint = f"to the nearest multiple of {rounded.partition('(')[0][5:]}: `{rounded}`"
        raise ValueProblem("A110", f"`{name}` takes {wanted}, not {len(expr.arguments)}", expr.span, hint)
    values = [number(argument.value, scope) for argument in expr.arguments]
    try:
        return _limited(function(*values), expr.span)
    except TypeError:
        message = f"`{name}` needs a number, and {shown(values[0])} depends on a size that is not known"
        raise ValueProblem("A206", message, expr.span, "give the input numbers: `input 3x224x224`") from None
    except (OverflowError, ValueError):
        raise ValueProblem("A307", "this number is too large", expr.span, _LARGEST_HINT) from None


def rounded_to(name: str, expr: syntax.CallExpr) -> str | None:
    """`make_divisible(x, 4)` or `round(x, 4)` as it is written here: `round4(x)`."""
    values = [argument.value for argument in expr.arguments]
    name = name.lower().strip("_")
    if name not in ("make_divisible", "round") and _ROUND_TO.fullmatch(name) is None or len(values) != 2:
        return None
    divisor = values[1].span.text
    return f"round{divisor}({values[0].span.text})" if _ROUND_TO.fullmatch(f"round{divisor}") else None


def _tuple(expr: syntax.TupleExpr, scope: Scope) -> Value:
    return tuple(evaluate(item, scope) for item in expr.items)


def _reference(expr: syntax.Reference, scope: Scope) -> Value:
    message = f"`@{expr.label}` is a tensor, and a number or a word is wanted here"
    raise ValueProblem("A105", message, expr.span, "tensors go to `@` parameters of blocks")


def _wildcard(expr: syntax.Wildcard, scope: Scope) -> Value:
    raise ValueProblem("A106", "`_` stands for any size, and only in a contract such as -> 64x_x_", expr.span, "write a number")


_EVALUATORS: dict[type, Callable[[Any, Scope], Value]] = {
    syntax.Member: _member,
    syntax.Unary: _unary,
    syntax.Chain: _chain,
    syntax.CallExpr: _call,
    syntax.TupleExpr: _tuple,
    syntax.Reference: _reference,
    syntax.Wildcard: _wildcard,
}


def whole(expr: syntax.Expr, scope: Scope, what: str) -> Any:
    """The value of an expression that must be a whole number or a symbolic size: a width, a stride, a count."""
    value = number(expr, scope)
    if isinstance(value, float):
        if not value.is_integer():
            inner = expr.span.text
            inner = inner[1:-1] if inner.startswith("(") and inner.endswith(")") else inner
            hint = f"round it: round({inner}) is {_round(value)}, round8({inner}) is {round_to(8, value)}; there are floor and ceil too"
            text = f"(round({inner}))" if what == "a width" else None
            raise ValueProblem("A116", f"{what} must be a whole number, and this is {value:g}", expr.span, hint, text)
        return int(value)
    return value


def shown(value: Value) -> str:
    """A value as the language writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple) and not isinstance(value, LayerCall):
        return "(" + ", ".join(shown(item) for item in value) + ")"
    if isinstance(value, LayerCall):
        named = [f"{name}={shown(item)}" for name, item in value.named]
        return f"{value.name}({', '.join([*map(shown, value.positional), *named])})"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)
