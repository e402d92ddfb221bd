"""What runs, as data: calls of torch's operators, one after another, on values that are named and not yet there.

The list can be rewritten (`in_place.py`), and captured as one function or several (`capture.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any


@dataclass(slots=True, eq=False)
class Value:
    """A tensor that a call makes, or the image. shape: with the batch; dense: whether it is surely a whole
    channels-last tensor, no part of another."""

    shape: tuple[int, ...]
    dense: bool = True


@dataclass(frozen=True, slots=True)
class Numbers:
    """An argument that is a list of numbers or None, which TorchScript must be told."""

    items: tuple[float, ...] = ()


@dataclass(slots=True, eq=False)
class Call:
    """One operator.

    name    as TorchScript has it, `aten::relu`; "" where a layer is traced.
    args    Values, lists of them, and constants: numbers, texts, weights.
    out     what it makes.
    view    whether `out` may share memory with an argument.
    writes  the argument that it changes and gives back, or None.
    into    the same in place: (name, index of the argument that is changed), where there is one.
    traced  of a layer as torch's own operators: their graph, whose inputs are `args`.
    """

    name: str
    args: tuple[Any, ...]
    out: Value
    view: bool = False
    writes: int | None = None
    into: tuple[str, int] | None = None
    traced: Any = None

    @property
    def values(self) -> list[Value]:
        """Those that it reads."""
        found: list[Value] = []
        for arg in self.args:
            found += [v for v in (arg if isinstance(arg, list) else [arg]) if isinstance(v, Value)]
        return found


@dataclass(slots=True)
class Step:
    """What one node of the network became.

    names: of the layers; pattern: what its kernel does; runs: what does it here, in order; why: that, and not
    another, one reason for each.
    """

    node: int
    names: tuple[str, ...]
    pattern: str
    runs: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


@dataclass(slots=True)
class Program:
    """All steps of one plan. outputs: by name, in order."""

    image: Value
    steps: list[Step]
    outputs: dict[str, Value]

    @property
    def calls(self) -> list[Call]:
        return [call for step in self.steps for call in step.calls]

    def largest(self, itemsize: int) -> int:
        """Bytes of its largest tensor."""
        return itemsize * max((prod(call.out.shape) for call in self.calls), default=0)


class Memory:
    """Which values may share memory, and when it is needed last."""

    def __init__(self, program: Program) -> None:
        self.parent: dict[Value, Value] = {}
        self.last: dict[Value, int] = {}
        calls = program.calls
        for call in calls:
            shared = call.values if call.view else [] if call.writes is None else [call.args[call.writes]]
            for value in shared:
                self.join(call.out, value)
        for number, call in enumerate(calls):
            for value in (*call.values, call.out):
                self.last[self.root(value)] = number
        for value in program.outputs.values():
            self.last[self.root(value)] = len(calls)

    def root(self, value: Value) -> Value:
        """One value for all that may share memory with this one."""
        while value in self.parent:
            value = self.parent[value]
        return value

    def last_read(self, value: Value) -> int:
        """The number of the last call that reads this memory, by whichever name."""
        return self.last[self.root(value)]

    def join(self, one: Value, two: Value) -> None:
        """Both share memory."""
        one, two = self.root(one), self.root(two)
        if one is not two:
            self.parent[one] = two
            self.last[two] = max(self.last.get(one, -1), self.last.get(two, -1))
