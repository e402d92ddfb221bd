"""How many layers a step must come to, at least, told without elaborating it.

A text of two lines can ask for a billion layers. Elaborating until the limit is hit takes seconds; counting from
below, with each block and each set of arguments counted once, takes milliseconds. What depends on a shape is not
known here and counts as little as it could.
"""

from __future__ import annotations

from typing import Any

from archdsl import syntax
from archdsl.diagnostics import Diagnostic
from archdsl.modules import Module
from archdsl.names import Target, match_parameters, resolve
from archdsl.values import Scope, ValueProblem, evaluate, truth

MOST_COUNTED = 2_000
"""Bodies that one count may look at; past that it stops raising its bound."""

DEEPEST = 200


class _Endless(Exception):
    """Blocks that call each other past the limit: the elaborator finds that at once, and says it better."""


class Budget:
    """Counts of one elaboration, each block with the same arguments counted once."""

    def __init__(self) -> None:
        self._counts: dict[Any, int] = {}
        self._looked = 0

    def least(self, step: syntax.Step, target: Target, module: Module, variables: dict[str, Any]) -> int:
        """Layers of one copy of a step, at least."""
        try:
            return self._once(step, target, module, variables, 0)
        except _Endless:
            return 0

    def _once(self, step: syntax.Step, target: Target, module: Module, variables: dict[str, Any], depth: int) -> int:
        if target.kind == "layer":
            return 1
        if target.kind == "block":
            return self._block(step, target, variables, depth)
        bodies: tuple[syntax.Sequence, ...] = ()
        if isinstance(step.body, syntax.Branches):
            bodies = step.body.branches
        elif isinstance(step.body, syntax.Sequence) and not (target.combinator and target.combinator.arch_only):
            bodies = (step.body,)
        own = 1 if target.kind == "merge" else 0
        return own + sum(self._body(body, module, variables, depth) for body in bodies)

    def _block(self, step: syntax.Step, target: Target, variables: dict[str, Any], depth: int) -> int:
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
                self._let(parameter.name.name, expr, variables if argument is not None else dict(bound), bound)
        try:
            key = (id(definition), tuple(bound.items()))
            if key in self._counts:
                return self._counts[key]
        except TypeError:
            return 0
        if self._looked > MOST_COUNTED:
            return 0
        self._looked += 1
        count = self._body(definition.body, module, bound, depth + 1)
        self._counts[key] = count
        return count

    def _let(self, name: str, expr: syntax.Expr, seen: dict[str, Any], into: dict[str, Any]) -> None:
        """Bind a name to a value, or to nothing where the value needs a shape."""
        into.pop(name, None)
        if _computable(expr, seen):
            try:
                into[name] = evaluate(expr, Scope(seen, None))
            except ValueProblem:
                pass

    def _body(self, body: syntax.Sequence, module: Module, variables: dict[str, Any], depth: int) -> int:
        variables = dict(variables)
        total = 0
        for statement in body.statements:
            if isinstance(statement, syntax.Let):
                self._let(statement.name.name, statement.value, variables, variables)
            elif isinstance(statement, syntax.If):
                total += self._if(statement, module, variables, depth)
            elif isinstance(statement, syntax.Step):
                total += self._step(statement, module, variables, depth)
        return total

    def _step(self, step: syntax.Step, module: Module, variables: dict[str, Any], depth: int) -> int:
        target = resolve(step.head, module)
        if isinstance(target, Diagnostic) or target.kind == "tensor":
            return 0
        copies = 1
        if step.repeat is not None:
            copies = 0
            if _computable(step.repeat.count, variables):
                try:
                    count = evaluate(step.repeat.count, Scope(variables, None))
                    copies = max(0, int(count)) if isinstance(count, (int, float)) else 0
                except ValueProblem:
                    pass
        return copies * self._once(step, target, module, variables, depth) if copies else 0

    def _if(self, statement: syntax.If, module: Module, variables: dict[str, Any], depth: int) -> int:
        least: int | None = None
        for arm in statement.arms:
            decided = None
            if _computable(arm.condition, variables):
                try:
                    decided = truth(arm.condition, Scope(variables, None))
                except ValueProblem:
                    pass
            if decided is False:
                continue
            count = self._body(arm.body, module, variables, depth)
            if decided:
                return count if least is None else min(least, count)
            least = count if least is None else min(least, count)
        otherwise = self._body(statement.otherwise, module, variables, depth) if statement.otherwise else 0
        return otherwise if least is None else min(least, otherwise)


def _computable(expr: syntax.Expr, variables: dict[str, Any]) -> bool:
    """Whether every name of an expression is bound, so that it can be evaluated without a shape."""
    if isinstance(expr, syntax.Name):
        return expr.name in variables or expr.name in ("true", "false")
    if isinstance(expr, syntax.Unary):
        return _computable(expr.operand, variables)
    if isinstance(expr, syntax.Chain):
        return all(_computable(operand, variables) for operand in expr.operands)
    if isinstance(expr, syntax.CallExpr):
        return all(_computable(argument.value, variables) for argument in expr.arguments)
    return isinstance(expr, syntax.Number)
