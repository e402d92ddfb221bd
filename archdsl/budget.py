"""How many layers a step must come to, at least, told without elaborating it.

A text of two lines can ask for a billion layers. Elaborating until the limit is hit takes seconds; counting from
below, with each block and each set of arguments counted once, takes milliseconds. What depends on a shape is not
known here, beyond layers that keep every shape, and counts as little as it could.
"""

from __future__ import annotations

from typing import Any

from archdsl import syntax
from archdsl.diagnostics import Diagnostic
from archdsl.modules import Module
from archdsl.names import Target, match_parameters, resolve
from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Shape
from archdsl.values import COPY, Scope, ValueProblem, evaluate

MOST_COUNTED = 2_000
"""Bodies that one count may look at; past that it stops raising its bound."""

DEEPEST = 200


class _Endless(Exception):
    """Blocks that call each other past the limit: the elaborator finds that at once, and says it better."""


Incoming = Shape | None
"""The shape at a place, or None where it is not known here."""


class Budget:
    """Counts of one elaboration, each block with the same arguments and input counted once.

    Every method that counts gives the layers, at least, and the shape that goes on where that is still known: layers
    that keep every shape are all that is followed.
    """

    def __init__(self) -> None:
        self._counts: dict[Any, tuple[int, Incoming]] = {}
        self._looked = 0

    def least(
        self, step: syntax.Step, target: Target, module: Module, variables: dict[str, Any], incoming: Incoming, block: Incoming
    ) -> int:
        """Layers of one copy of a step, at least. incoming: the shape that the step gets; block: the one that `in` is."""
        try:
            return self._once(step, target, module, Scope(variables, block), incoming, 0)[0]
        except _Endless:
            return 0

    def _once(
        self, step: syntax.Step, target: Target, module: Module, scope: Scope, incoming: Incoming, depth: int
    ) -> tuple[int, Incoming]:
        if target.kind == "layer":
            keeps = target.layer is not None and issubclass(target.layer, Pointwise)
            return 1, incoming if keeps else None
        if target.kind == "block":
            return self._block(step, target, scope, incoming, depth)
        if isinstance(step.body, syntax.Branches):
            ends = [self._body(body, module, scope, incoming, depth) for body in step.body.branches]
            keeps = step.head is not None and step.head.name != "concat"  # type: ignore[union-attr]
            same = keeps and all(end[1] == incoming for end in ends)
            return 1 + sum(end[0] for end in ends), incoming if same else None
        if isinstance(step.body, syntax.Sequence) and not (target.combinator and target.combinator.arch_only):
            return self._body(step.body, module, scope, incoming, depth)
        return 0, incoming

    def _block(
        self, step: syntax.Step, target: Target, scope: Scope, incoming: Incoming, depth: int
    ) -> tuple[int, Incoming]:
        definition, module = target.definition, target.module
        assert definition is not None and module is not None
        if depth > DEEPEST:
            raise _Endless
        taken = match_parameters(definition, step.arguments or ())
        bound: dict[str, Any] = {}
        for parameter in definition.parameters:
            argument = taken.get(parameter.name.name)
            expr = argument.value if argument is not None else parameter.default
            if expr is not None and not parameter.tensor:
                self._let(parameter.name.name, expr, scope if argument is not None else Scope(dict(bound), incoming), bound)
        key = (id(definition), tuple(bound.items()), incoming)
        try:
            found = self._counts.get(key)
        except TypeError:  # a value that can't be a key
            return 0, None
        if found is not None:
            return found
        if self._looked > MOST_COUNTED:
            return 0, None
        self._looked += 1
        found = self._body(definition.body, module, Scope(bound, incoming), incoming, depth + 1)
        self._counts[key] = found
        return found

    def _let(self, name: str, expr: syntax.Expr, seen: Scope, into: dict[str, Any]) -> None:
        """Bind a name to a value, or to nothing where the value needs a shape."""
        value = _value(expr, seen)
        into.pop(name, None)
        if value is not None:
            into[name] = value

    def _body(
        self, body: syntax.Sequence, module: Module, scope: Scope, incoming: Incoming, depth: int
    ) -> tuple[int, Incoming]:
        scope = Scope(dict(scope.variables), scope.incoming)
        total = 0
        for statement in body.statements:
            count = 0
            if isinstance(statement, syntax.Let):
                self._let(statement.name.name, statement.value, scope, scope.variables)  # type: ignore[arg-type]
            elif isinstance(statement, syntax.If):
                count, incoming = self._if(statement, module, scope, incoming, depth)
            elif isinstance(statement, syntax.Step):
                count, incoming = self._step(statement, module, scope, incoming, depth)
            total += count
        return total, incoming

    def _step(
        self, step: syntax.Step, module: Module, scope: Scope, incoming: Incoming, depth: int
    ) -> tuple[int, Incoming]:
        target = resolve(step.head, module)
        if isinstance(target, Diagnostic) or target.kind == "tensor":
            return 0, None
        if step.repeat is None:
            return self._once(step, target, module, scope, incoming, depth)
        copies = _value(step.repeat.count, scope)
        if not isinstance(copies, (int, float)) or copies < 1:
            return 0, None
        scope = Scope({name: value for name, value in scope.variables.items() if name.partition(".")[0] != COPY}, scope.incoming)
        first, after = self._once(step, target, module, scope, incoming, depth)
        if after == incoming:
            return int(copies) * first, after
        rest, _ = self._once(step, target, module, scope, None, depth)
        return first + (int(copies) - 1) * rest, None

    def _if(
        self, statement: syntax.If, module: Module, scope: Scope, incoming: Incoming, depth: int
    ) -> tuple[int, Incoming]:
        possible: list[tuple[int, Incoming]] = []
        for arm in statement.arms:
            decided = _value(arm.condition, scope)
            if decided is not None and not decided:
                continue
            possible.append(self._body(arm.body, module, scope, incoming, depth))
            if decided:
                break
        else:
            otherwise = statement.otherwise
            possible.append(self._body(otherwise, module, scope, incoming, depth) if otherwise else (0, incoming))
        ends = {end for _, end in possible}
        return min(count for count, _ in possible), ends.pop() if len(ends) == 1 else None


def _value(expr: syntax.Expr, scope: Scope) -> Any:
    """An expression's value, or None where it needs what is not known here."""
    if not _computable(expr, scope):
        return None
    try:
        return evaluate(expr, scope)
    except ValueProblem:
        return None


def _computable(expr: syntax.Expr, scope: Scope) -> bool:
    """Whether every name of an expression is bound: an unbound one would count as a word."""
    if isinstance(expr, syntax.Name):
        return expr.name in scope.variables or expr.name in ("true", "false")
    if isinstance(expr, syntax.Unary):
        return _computable(expr.operand, scope)
    if isinstance(expr, syntax.Chain):
        return all(_computable(operand, scope) for operand in expr.operands)
    if isinstance(expr, syntax.CallExpr):
        return all(_computable(argument.value, scope) for argument in expr.arguments)
    return isinstance(expr, (syntax.Number, syntax.Member))
