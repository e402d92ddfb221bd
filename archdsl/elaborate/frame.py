"""What a body can see while it is elaborated, and how its steps are named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from archdsl import syntax
from archdsl.modules import Module
from archdsl.ops.base import Shape
from archdsl.source import Span
from archdsl.values import Scope, Value


class Placed(NamedTuple):
    """What a step of the text became the first time that it was elaborated: the nodes [start, stop), made from the
    tensor `entered`, of which `result` flows on. shapes: those it gives, in every call of its block and every copy."""

    step: syntax.Step
    start: int
    stop: int
    entered: int | None
    result: int
    shapes: list[Shape]


class Stop(Exception):
    """A limit was passed: nothing after it is worth elaborating."""



class Namer:
    """Attribute names within one module: labels as they are, the rest by kind and number. Labels win."""

    def __init__(self, prefix: str, body: syntax.Sequence | None) -> None:
        self.prefix = prefix
        self.counts: dict[str, int] = {}
        self.taken = frozenset(_labels_of(body)) if body is not None else frozenset()

    def fresh(self, base: str) -> str:
        if base.startswith("__"):
            base = f"_{base.lstrip('_')}"  # Python would put the name of the class before two
        while True:
            count = self.counts[base] = self.counts.get(base, 0) + 1
            name = f"{base}_{count}" if base[-1].isdigit() else f"{base}{count}"
            if name not in self.taken:
                return name

    def reserve(self, base: str) -> str:
        """The bare name where it is free, else a numbered one."""
        if base in self.counts or base in self.taken:
            return self.fresh(base)
        self.counts[base] = 1
        return base

    def path(self, name: str) -> str:
        return f"{self.prefix}.{name}" if self.prefix else name



def _labels_of(body: syntax.Sequence) -> tuple[str, ...]:
    """Labels of steps that live in the same module as this body: not those inside labelled groups or repeats."""
    found = []
    stack = list(body.statements)
    while stack:
        statement = stack.pop()
        if isinstance(statement, syntax.If):
            for arm in statement.arms:
                stack.extend(arm.body.statements)
            stack.extend(statement.otherwise.statements if statement.otherwise else ())
        elif isinstance(statement, syntax.Step):
            if statement.label is not None:
                found.append(statement.label.name)
            if statement.repeat is None and statement.body is not None:
                bodies = statement.body.branches if isinstance(statement.body, syntax.Branches) else (statement.body,)
                for inner in bodies:
                    stack.extend(inner.statements)
    return tuple(found)



class Default(NamedTuple):
    """One argument that `default` set, and where."""

    value: Value
    span: Span


Defaults = dict[str, dict[str, Default]]


@dataclass(slots=True)
class Frame:
    """What a body can see.

    module     where its names are looked up; block: the definition it belongs to.
    variables  parameters and `let` names; tensors: labels and `@` parameters, None for one that an error lost.
    incoming   the shape that `in` has, or None before the input is known.
    defaults   what `default` has set, for this body and the blocks it calls.
    namer      names of the module that its steps become attributes of.
    depth      how many blocks are being expanded; calls: the heads of the steps that called them.
    """

    module: Module
    variables: dict[str, Value]
    tensors: dict[str, int | None]
    incoming: Shape | None
    defaults: Defaults
    namer: Namer
    depth: int
    calls: tuple[Span, ...]
    is_arch: bool
    block: str

    def inside(self, **changes: Any) -> Frame:
        """The same, with changes."""
        return replace(self, **changes)

    @property
    def scope(self) -> Scope:
        return Scope(self.variables, self.incoming)
