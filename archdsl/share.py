"""One class for all instances that differ only in numbers.

Every number of every member is a column over the instances. A column that is constant is written where it stands;
one that varies becomes a constructor argument, or an expression in those there are (`4 * f`, `in_channels + k`) where
that holds for every instance. So what is printed is true by construction: nothing is guessed from the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from archdsl.lower import DEFAULTS, Body, Construct, Member, Number, Program, Statement, default_of

CHANNELS = frozenset({"channels", "in_channels", "out_channels", "num_features", "in_features", "out_features", "groups"})


@dataclass
class Parameter:
    """A constructor argument: its values over the instances, and its default where torch has one."""

    name: str
    role: str
    values: tuple[Number | None, ...]
    default: Number | bool | None = None
    is_flag: bool = False


@dataclass
class Made:
    """A construct with each number as text: a literal or an expression in the constructor's arguments.

    arguments are (name or "", text); runs are (count text, whether it is a loop, made)."""

    kind: str
    target: str
    arguments: list[tuple[str, str]] = field(default_factory=list)
    runs: list[tuple[str, bool, Made]] = field(default_factory=list)
    condition: str = ""


@dataclass
class SharedClass:
    """A class to print. statements' optional members have been decided: `absent` names those no instance has; switches
    says of each skip "True", "False", or the argument that decides; widths, by a statement's value, its list of numbers,
    or the attribute that holds it, which attributes has."""

    name: str
    exemplar: Body
    parameters: list[Parameter]
    members: list[tuple[Member, Made]]
    statements: tuple[Statement, ...]
    absent: frozenset[str]
    switches: dict[str, str]
    widths: dict[int, str]
    attributes: dict[str, str]
    index: dict[int, int]

    def values(self, body: Body) -> tuple[Number | None, ...]:
        """An instance's constructor arguments, in the order of the parameters."""
        i = self.index[id(body)]
        return tuple(p.values[i] for p in self.parameters)


_ABSENT = object()


def share(program: Program) -> tuple[SharedClass, ...]:
    """The classes of a Program, each after those it uses; the arch's own is the last."""
    return _Sharing(program).run()


class _Sharing:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.by_key: dict[Any, list[Body]] = {}
        for body in program.bodies:
            self.by_key.setdefault(body.key, []).append(body)
        self.solved: dict[Any, SharedClass] = {}
        self.order: list[SharedClass] = []
        self.taken = {"nn", "torch", *(_class_of(helper) for helper in program.helpers)}
        # The arch's own class keeps its name, whatever blocks are called.
        self.main_name = self._free(program.main.name)

    def _free(self, name: str) -> str:
        unique, count = name, 1
        while unique in self.taken:
            count += 1
            unique = f"{name}{count}"
        self.taken.add(unique)
        return unique

    def run(self) -> tuple[SharedClass, ...]:
        self.solve(self.program.main)
        return tuple(self.order)

    def solve(self, body: Body) -> SharedClass:
        key = body.key
        found = self.solved.get(key)
        if found is None:
            solver = _Solver(self, self.by_key[key])
            found = self.solved[key] = solver.run(body is self.program.main)
            self.order.append(found)
        return found

    def name_for(self, wanted: str, main: bool) -> str:
        return self.main_name if main else self._free(wanted)


def _class_of(helper: str) -> str:
    return helper.partition("class ")[2].partition("(")[0].partition(":")[0].strip()


class _Solver:
    """The numbers of one class over all its instances."""

    def __init__(self, sharing: _Sharing, bodies: list[Body]) -> None:
        self.sharing = sharing
        self.bodies = bodies
        self.parameters: list[Parameter] = []
        self.member = ""
        nodes = sharing.program.network.nodes
        self.gives = tuple(nodes[body.region.output].shape[0] for body in bodies)
        self.is_layer = bodies[0].region.kind == "layer"  # ConvBnRelu(3, 64) says more than ConvBnRelu()
        names = [dict(body.names) for body in bodies]
        common = [name for name in names[0] if all(name in other for other in names)]
        self.spec = {name: tuple(n[name] for n in names) for name in common}

    def run(self, main: bool) -> SharedClass:
        exemplar = self.bodies[0]
        members: list[tuple[Member, Made]] = []
        absent = set()
        for position, member in enumerate(exemplar.members):
            constructs = [body.members[position].construct for body in self.bodies]
            if all(c is None or member.optional and _idle(c) for c in constructs):
                absent.add(member.name)
                continue
            self.member = member.name
            made = self.make(constructs)
            if any(c is None for c in constructs) and made.target != "DropPath":  # one that is not run costs nothing
                made.condition = self.flag(constructs, member.name)
            members.append((member, made))
        switches = {}
        for position, statement in enumerate(exemplar.statements):
            if statement.switch is not None:
                values = tuple(bool(body.statements[position].switch[1]) for body in self.bodies)  # type: ignore[index]
                switches[statement.switch[0]] = self.switch(statement.switch[0], values)
        widths: dict[int, str] = {}
        attributes: dict[str, str] = {}
        for position, statement in enumerate(exemplar.statements):
            if statement.widths:
                text = self.widths(list(zip(*(body.statements[position].widths for body in self.bodies), strict=True)))
                widths[statement.value] = text if re.fullmatch(r"[\[\]0-9, ]+", text) else self.attribute(text, attributes)
        required = [p for p in self.parameters if p.default is None]
        optional = [p for p in self.parameters if p.default is not None]
        order = list(self.spec)
        required.sort(key=lambda p: (p.name != "in_channels", order.index(p.name) if p.name in order else len(order)))
        return SharedClass(
            name=self.sharing.name_for(exemplar.name, main),
            exemplar=exemplar,
            parameters=required + optional,
            members=members,
            statements=exemplar.statements,
            absent=frozenset(absent),
            switches=switches,
            widths=widths,
            attributes=attributes,
            index={id(body): i for i, body in enumerate(self.bodies)},
        )

    def flag(self, constructs: list[Construct | None], member: str) -> str:
        """A constructor argument that says whether an optional member is there."""
        values = tuple(c is not None for c in constructs)
        for p in self.parameters:
            if p.is_flag and p.values == values:
                return p.name
        name = self._unique("project" if member.startswith("shortcut") else f"with_{member}")
        self.parameters.append(Parameter(name, "flag", values, default=False, is_flag=True))  # type: ignore[arg-type]
        return name

    def switch(self, name: str, values: tuple[bool, ...]) -> str:
        """Whether a skip is there: the same for all instances, or an argument."""
        if len(set(values)) == 1:
            return repr(values[0])
        unique = self._unique(name)
        self.parameters.append(Parameter(unique, "flag", values, default=False, is_flag=True))
        return unique

    def widths(self, columns: list[tuple[int, ...]]) -> str:
        """A list of numbers of channels. One that nothing tells is what the others leave of all, where that is known."""
        texts = [self.told(column) for column in columns]
        every = [sum(row) for row in zip(*columns, strict=True)]
        whole = self.told(tuple(every)) if texts.count(None) == 1 else None
        if whole is not None:
            texts[texts.index(None)] = " - ".join([whole, *(text for text in texts if text is not None)])
        found = [text or self.new("channels", "width", list(c)) for text, c in zip(texts, columns, strict=True)]
        return f"[{', '.join(found)}]"

    def told(self, column: tuple[int, ...]) -> str | None:
        """A number of channels as a literal or an expression in what is known."""
        if len(set(column)) == 1:
            return repr(column[0])
        present: list[tuple[int, Any]] = list(enumerate(column))
        return self.known(present, role="channels") or self.derived("channels", present)

    def attribute(self, text: str, attributes: dict[str, str]) -> str:
        """What holds a value that `forward` reads."""
        taken = {member.name for member in self.bodies[0].members} | {s.switch[0] for s in self.bodies[0].statements if s.switch}
        name, count = "widths", 1
        while name in taken or attributes.get(name, text) != text:
            count += 1
            name = f"widths{count}"
        attributes[name] = text
        return f"self.{name}"

    def make(self, constructs: list[Construct | None]) -> Made:
        exemplar = next(c for c in constructs if c is not None)
        if exemplar.kind == "container":
            return self.container(constructs, exemplar)
        made = Made(exemplar.kind, exemplar.target)
        if exemplar.kind == "class":
            made.target, columns = self.class_columns(constructs)
            for parameter, column in columns:
                text = self.column(parameter.role, parameter.name, column, parameter.is_flag)
                if parameter.default is not None and text == repr(parameter.default):
                    continue
                made.arguments.append((parameter.name if parameter.default is not None else "", text))
            return made
        for i, (role, _) in enumerate(exemplar.numbers):
            column = [_ABSENT if c is None else _stated(c.numbers[i]) for c in constructs]
            text = self.column(role, role, column)
            if i >= exemplar.positional and text == repr(default_of(exemplar.target, role)):
                continue
            made.arguments.append(("" if i < exemplar.positional else role, text))
        made.arguments.extend((name, repr(value)) for name, value in exemplar.literals)
        return made

    def class_columns(self, constructs: list[Construct | None]) -> tuple[str, list[tuple[Parameter, list[Any]]]]:
        """A used class's name, and the values that each of its arguments has over our instances."""
        body = next(c.body for c in constructs if c is not None)
        assert body is not None
        used = self.sharing.solve(body)
        rows = [None if c is None else used.values(c.body) for c in constructs]  # type: ignore[arg-type]
        columns = []
        for i, parameter in enumerate(used.parameters):
            columns.append((parameter, [_ABSENT if row is None else row[i] for row in rows]))
        return used.name, columns

    def container(self, constructs: list[Construct | None], exemplar: Construct) -> Made:
        """Runs of equal constructs: written out where there is one of it, a loop where there are more."""
        made = Made("container", exemplar.target)
        rows = [None if c is None else c.runs for c in constructs]
        lengths = {len(row) for row in rows if row is not None}
        if len(lengths) > 1 or (lengths == {1} and len({row[0].count == 1 for row in rows if row is not None}) > 1):
            rows = [row if row is None or len(row) > 1 or row[0].count == 1 else row[0].split() for row in rows]
        for position in range(max(lengths | {len(row) for row in rows if row is not None})):
            runs = [row[position] if row is not None and position < len(row) else None for row in rows]
            counts = [_ABSENT if row is None else 0 if r is None else r.count for row, r in zip(rows, runs, strict=True)]
            first = [None if r is None else r.first for r in runs]
            last = [None if r is None else r.last for r in runs]
            if all(count in (_ABSENT, 1) for count in counts):
                made.runs.append(("1", False, self.make(first)))
            else:
                count = self.column("count", "count", counts)
                made.runs.append((count, True, self.stepped(first, last, counts)))
        return made

    def stepped(self, first: list[Construct | None], last: list[Construct | None], counts: list[Any]) -> Made:
        """The construct in a loop over i: what grows is written `64 + 32 * i`."""
        exemplar = next(c for c in first if c is not None)
        made = Made(exemplar.kind, exemplar.target)
        columns: list[tuple[str, str, Any, list[Any], list[Any], bool]] = []
        if exemplar.kind == "class":
            made.target, begin = self.class_columns(first)
            _, end = self.class_columns(last)
            for (p, a), (_, b) in zip(begin, end, strict=True):
                columns.append((p.name if p.default is not None else "", p.role, p.default, a, b, p.is_flag))
        elif exemplar.kind == "call":
            for i, (role, _) in enumerate(exemplar.numbers):
                a = [_ABSENT if c is None else _stated(c.numbers[i]) for c in first]
                b = [_ABSENT if c is None else _stated(c.numbers[i]) for c in last]
                bare = i < exemplar.positional
                columns.append(("" if bare else role, role, None if bare else default_of(exemplar.target, role), a, b, False))
        else:
            return self.make(first)
        for name, role, default, a, b, is_flag in columns:
            text = self.column(role, name or role, a, is_flag)
            steps = [
                _ABSENT if x is _ABSENT or n < 2 else _step(x, y, n - 1)
                for x, y, n in zip(a, b, counts, strict=True)
            ]
            if any(s is not _ABSENT and s != 0 for s in steps):
                step = self.column("step", f"{name or role}_step", steps)
                grown = "i" if step == "1" else f"{step} * i"
                text = grown if text in ("0", "0.0") else f"{text} + {grown}"
            elif default is not None and text == repr(default):
                continue
            made.arguments.append((name, text))
        if exemplar.kind == "call":
            made.arguments.extend((name, repr(value)) for name, value in exemplar.literals)
        return made

    def column(self, role: str, name: str, column: list[Any], is_flag: bool = False) -> str:
        """The text for one number: a literal where it is constant, else an expression in the arguments."""
        present = [(i, v) for i, v in enumerate(column) if v is not _ABSENT and v is not None]
        if not present or all(v == present[0][1] and type(v) is type(present[0][1]) for _, v in present):
            if not (self.is_layer and present and role in CHANNELS and present[0][1] != 1):
                return repr(present[0][1]) if present else "None"
        if is_flag:
            return self.known(present, flags=True) or self.new(role, name, column, flag=True)
        return self.known(present, role=role) or self.derived(role, present) or self.new(role, name, column)

    def known(self, present: list[tuple[int, Any]], role: str = "", flags: bool = False) -> str | None:
        """A number that the spec names, or an argument of the same role that has the same values."""
        if not flags:
            names = list(self.spec)
            if role == "in_channels":
                names.sort(key=lambda n: n != "in_channels")
            for name in names:
                if name == "in_channels" and role not in CHANNELS:
                    continue
                if _equal(present, self.spec[name]):
                    return self.use(name, role)
        for p in self.parameters:
            alike = p.is_flag if flags else (p.role == role or {p.role, role} <= CHANNELS) and not p.is_flag
            if alike and _equal(present, p.values):
                return p.name
        return None

    def use(self, name: str, role: str) -> str:
        """A number that the spec names becomes an argument of that name."""
        if not any(p.name == name for p in self.parameters):
            default = DEFAULTS.get(role) if name != "in_channels" and role not in CHANNELS else None
            self.parameters.append(Parameter(name, role, self.spec[name], default))
        return name

    def derived(self, role: str, present: list[tuple[int, Any]]) -> str | None:
        """A multiple, a share or a sum of what is known; a padding that is half the kernel."""
        if role == "padding":
            for p in self.parameters:
                if p.role == "kernel_size" and all(isinstance(p.values[i], int) for i, _ in present):
                    if all(p.values[i] // 2 == v for i, v in present):  # type: ignore
                        return f"{p.name} // 2"
            return None
        if role not in CHANNELS or len({v for _, v in present}) < 2:
            return None
        known: dict[str, tuple[Any, ...]] = dict(self.spec)
        known.update({p.name: p.values for p in self.parameters if p.role in CHANNELS})
        whole: dict[str, tuple[int, ...]] = {
            n: v for n, v in known.items() if all(isinstance(v[i], int) and not isinstance(v[i], bool) for i, _ in present)
        }
        for name, values in whole.items():
            for k in range(2, 9):
                if all(v == k * values[i] for i, v in present):
                    return f"{k} * {self.made_known(name, role)}"
            for k in (2, 4, 8, 16):
                if all(v == values[i] // k for i, v in present):
                    return f"{self.made_known(name, role)} // {k}"
        names = list(whole)
        for i, one in enumerate(names):
            for two in names[i + 1 :]:
                if all(v == whole[one][k] + whole[two][k] for k, v in present):
                    return f"{self.made_known(one, role)} + {self.made_known(two, role)}"
        return None

    def made_known(self, name: str, role: str) -> str:
        return name if any(p.name == name for p in self.parameters) else self.use(name, role)

    def new(self, role: str, name: str, column: list[Any], flag: bool = False) -> str:
        """A new argument. Instances that lack the member keep None: nobody reads it there."""
        default = False if flag else DEFAULTS.get(role)
        values = tuple(default if v is _ABSENT else v for v in column)
        if name == "out_channels" and not self.is_layer and values != self.gives:
            name = f"{self.member}_channels"  # those of a step inside, not of what the block gives
        unique = self._unique(name)
        if default is None and any(v is None for v in values):
            default = next(v for v in values if v is not None)
            values = tuple(default if v is None else v for v in values)
        self.parameters.append(Parameter(unique, role, values, default, is_flag=flag))
        return unique

    def _unique(self, name: str) -> str:
        taken = {p.name for p in self.parameters} | set(self.spec) | {"self", "i"}
        unique, count = name, 1
        while unique in taken:
            count += 1
            unique = f"{name}{count}"
        return unique


def _idle(construct: Construct) -> bool:
    """A drop path that never drops."""
    return construct.target == "DropPath" and construct.numbers[0][1] == 0


def _step(first: Any, last: Any, rounds: int) -> Any:
    """What a number grows by in each round of a loop."""
    if isinstance(first, bool) or not isinstance(first, (int, float)):
        return 0
    return (last - first) // rounds if isinstance(first, int) else (last - first) / rounds


def _stated(number: tuple[str, Number | None]) -> Number | None:
    """A number, or what torch takes where it is not stated."""
    role, value = number
    return DEFAULTS.get(role) if value is None else value


def _equal(present: list[tuple[int, Any]], values: tuple[Any, ...]) -> bool:
    return all(values[i] == v and (type(values[i]) is type(v) or isinstance(v, float)) for i, v in present)
