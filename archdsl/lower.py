"""From the Network to a Program: classes, their members and their forward, still as data.

One class per block: instances that differ only in numbers share a class, and the numbers that differ become its
constructor's arguments (`share.py`). Loops stay loops. `emit.py` prints a Program; nothing else is lowered anywhere.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.headroom import deep_recursion
from archdsl.network import Alias, Network, Region
from archdsl.ops import LAYERS
from archdsl.ops.base import Function, Module, written
from archdsl.source import Span
from archdsl.symbolic import known

Number = int | float | tuple[Any, ...]


DEFAULTS: dict[str, Number] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0}
"""Numbers that torch's modules take where none is given, so that one instance may state what another leaves out."""


POOLS = frozenset(
    {"torch.nn.MaxPool2d", "torch.nn.AvgPool2d", "SameMaxPool2d", "SameAvgPool2d", "PaddedMaxPool2d", "PaddedAvgPool2d"}
)


def default_of(target: str, role: str) -> Number | None:
    """What a module takes where no number of that role is given. A pool's stride follows its kernel: always stated."""
    return None if role == "stride" and target in POOLS else DEFAULTS.get(role)


POSITIONAL = {
    "torch.nn.Conv2d": ("in_channels", "out_channels", "kernel_size"),
    "torch.nn.ConvTranspose2d": ("in_channels", "out_channels", "kernel_size"),
    "torch.nn.BatchNorm2d": ("num_features",),
    "torch.nn.BatchNorm1d": ("num_features",),
    "PartialBatchNorm2d": ("num_features",),
    "PartialBatchNorm1d": ("num_features",),
    "torch.nn.LayerNorm": ("num_features",),
    "LayerNorm2d": ("num_features",),
    "LayerScale": ("num_features", "init"),
    "torch.nn.MaxPool2d": ("kernel_size",),
    "torch.nn.AvgPool2d": ("kernel_size",),
    "PaddedMaxPool2d": ("kernel_size",),
    "PaddedAvgPool2d": ("kernel_size",),
    "SameMaxPool2d": ("kernel_size", "stride"),
    "SameAvgPool2d": ("kernel_size", "stride"),
    "SameConv2d": ("in_channels", "out_channels", "kernel_size"),
    "PaddedConv2d": ("in_channels", "out_channels", "kernel_size"),
    "torch.nn.Dropout": ("p",),
    "DropPath": ("ratio",),
    "PadChannels": ("channels",),
    "torch.nn.ZeroPad2d": ("padding",),
    "torch.nn.ConstantPad2d": ("padding", "value"),
    "torch.nn.PReLU": ("num_features",),
    "torch.nn.AdaptiveAvgPool2d": ("output_size",),
    "torch.nn.AdaptiveMaxPool2d": ("output_size",),
    "Crop2d": ("border",),
    "CenterCrop2d": ("size",),
    "torch.nn.LocalResponseNorm": ("size",),
    "Linear": ("in_features", "out_features"),
}
"""Roles of bare arguments, for naming the constructor arguments that take their place."""


@dataclass(frozen=True)
class Construct:
    """How a member is made: a torch module or helper, a class of the Program, or a container of constructs.

    numbers   (role, value) of each number in order; None where this instance has none of that role.
    key       everything else: two constructs with equal keys differ only in numbers.
    """

    kind: Literal["call", "class", "container"]
    target: str
    key: Any
    numbers: tuple[tuple[str, Number | None], ...] = ()
    literals: tuple[tuple[str, Any], ...] = ()
    positional: int = 0
    body: Body | None = None
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True)
class Run:
    """`count` constructs in a row whose numbers change by a constant step."""

    first: Construct
    second: Construct
    last: Construct
    count: int

    def split(self) -> tuple[Run, Run]:
        """The first alone, then the rest."""
        rest = Run(self.second, self.second, self.last, self.count - 1)
        return Run(self.first, self.first, self.first, 1), rest


@dataclass(frozen=True)
class Member:
    """One attribute. optional: a shortcut that some instances of the class have and others don't; signature: what
    those that have it must agree on."""

    name: str
    construct: Construct | None
    optional: bool
    span: Span
    title: str
    shape: tuple[Any, ...]
    signature: Any = None


@dataclass(frozen=True)
class Statement:
    """`value = template(operands)`: values are node indices. member: the attribute called, if one is.

    branch: stands in a branch of a merge, where a short chain reads best on one line. loop: run the member's
    modules in turn, each with the same further operands, or ("carry") with what the one before it read; `carried` is
    the value that is left of those. switch: (attribute, whether this instance has it) of a skip that others of the
    class may lack: the template is what happens where it is on, `{0}` where it is off. widths: what `{widths}` stands for.
    """

    value: int
    template: str
    operands: tuple[int, ...]
    infix: bool = False
    member: str | None = None
    branch: bool = False
    aux: bool = False
    loop: Literal["", "for", "carry"] = ""
    carried: int | None = None
    switch: tuple[str, bool] | None = None
    widths: tuple[int, ...] = ()


@dataclass(frozen=True)
class Body:
    """What a region becomes before it shares a class with others."""

    name: str
    region: Region
    members: tuple[Member, ...]
    statements: tuple[Statement, ...]
    inputs: tuple[int, ...]
    input_names: tuple[str, ...]
    output: int
    key: Any
    names: tuple[tuple[str, Number], ...]

    def is_chain(self, off: frozenset[str], absent: frozenset[str]) -> bool:
        """Whether each member feeds the next and nothing else happens: an nn.Sequential. off: skips that are not;
        absent: members that are not."""
        members = [member for member in self.members if member.name not in absent]
        value = self.inputs[0] if len(self.inputs) == 1 else None
        output = self.output
        statements = []
        for statement in self.statements:
            if statement.switch is None or statement.switch[0] not in off:
                statements.append(statement)
            elif statement.value == output:
                output = statement.operands[0]
        for member, statement in zip(members, statements, strict=False):
            plain = statement.member == member.name and statement.operands == (value,) and not member.optional
            if not plain or statement.aux or statement.loop or statement.template != f"self.{member.name}({{0}})":
                return False
            value = statement.value
        return len(members) == len(statements) > 0 and value == output


@dataclass(frozen=True)
class Program:
    """Everything that the emitted file will say. main: the arch's own body; bodies: every class instance, children
    first; helpers: source texts of layers that torch has no module for."""

    network: Network
    main: Body
    bodies: tuple[Body, ...]
    helpers: tuple[str, ...]

    def __str__(self) -> str:
        lines = []
        for body in self.bodies:
            lines.append(f"{body.name}({', '.join(f'{k}={v}' for k, v in body.names)}):")
            lines.extend(f"  {m.name}: {_construct_text(m.construct)}" for m in body.members)
            for s in body.statements:
                lines.append(f"  %{s.value} = {s.template}  [{', '.join(f'%{o}' for o in s.operands)}]")
            lines.append(f"  return %{body.output}")
        return "\n".join(lines)


def _construct_text(construct: Construct | None) -> str:
    if construct is None:
        return "absent"
    if construct.kind == "container":
        return f"{construct.target}[{', '.join(f'{r.count} x {_construct_text(r.first)}' for r in construct.runs)}]"
    numbers = [f"{role}={value}" for role, value in construct.numbers if value is not None]
    if construct.kind == "class":
        return construct.target
    return f"{construct.target}({', '.join([*numbers, *(f'{k}={v!r}' for k, v in construct.literals)])})"


def lower(network: Network) -> Program:
    """The Program of a network. Raises ArchError (A206) where a layer's weights depend on a size left open."""
    for node in network.nodes:
        if not (known(node.params) and known(node.buffers) and known(node.shape[0])):
            raise ArchError(
                [
                    Diagnostic(
                        code="A206",
                        message=f"a module needs numbers of channels, and {written(node.shape)} leaves them open here",
                        span=node.span,
                        hint="write the input's channels as a number, as in 3xHxW, or give --input 3x224x224",
                    )
                ]
            )
    lowering = _Lowering(network)
    with deep_recursion():
        main = lowering.body(network.region, camel(network.name))
    return Program(network, main, tuple(lowering.bodies), tuple(lowering.helpers))


def camel(name: str) -> str:
    """`resnet50` as a class is called: `Resnet50`; `conv_bn` is `ConvBn`."""
    joined = "".join(part[:1].upper() + part[1:] for part in name.split("_") if part)
    return joined if joined.isidentifier() and not keyword.iskeyword(joined) else f"Net{joined}"


def identifiers(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Names of the spec as Python variables, all different: what Python or the emitted file itself uses, and what
    could be the name of a class, gets an underscore; underscores in front, which Python mangles, go."""
    used = set(taken)
    found = []
    for name in names:
        plain = name.lstrip("_")
        if not plain.isidentifier():
            plain = f"p{plain}"
        while plain in used or keyword.iskeyword(plain) or plain in OWN_WORDS or plain[0].isupper() and plain[-1] != "_":
            plain += "_"
        used.add(plain)
        found.append(plain)
    return found


OWN_WORDS = frozenset("self super torch nn x i aux taps outputs tensors layer name range len isinstance str l".split())
"""What the emitted methods call things themselves, and `l`, which reads as 1."""


@dataclass
class _Open:
    """A body under construction. renamed: nodes whose value a later statement gives anew."""

    region: Region
    members: list[Member] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    renamed: dict[int, int] = field(default_factory=dict)

    def operands(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.renamed.get(node, node) for node in nodes)


class _Lowering:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes = network.nodes
        self.bodies: list[Body] = []
        self.helpers: dict[str, None] = {}
        self.labels = {node: label for label, node in network.taps}
        self.aliases: dict[int, int] = {}
        for index, node in enumerate(self.nodes):
            if isinstance(node.op, Alias):
                self.aliases[index] = self.aliases.get(node.inputs[0], node.inputs[0])
        self._calls: dict[Any, Construct] = {}
        self._reads: dict[int, int] | None = None

    # ---- bodies ----

    def body(self, region: Region, name: str) -> Body:
        """The body of a region that becomes a module."""
        aliases = {alias: source for alias, source in self.aliases.items() if alias not in region.inputs}
        open_ = _Open(region, renamed=aliases)
        self.regions(region.children, open_, branch=False)
        inputs = region.inputs
        if not (region.start <= region.output < region.stop) and region.output not in inputs:
            inputs = (*inputs, region.output)
        members, statements = tuple(open_.members), tuple(open_.statements)
        output = open_.renamed.get(region.output, region.output)
        key = self._key(name, members, statements, inputs, output)
        body = Body(
            name=name,
            region=region,
            members=members,
            statements=statements,
            inputs=inputs,
            input_names=self._input_names(region, inputs),
            output=output,
            key=key,
            names=self._names(region),
        )
        self.bodies.append(body)
        return body

    def _names(self, region: Region) -> tuple[tuple[str, Number], ...]:
        """Numbers that have a name in the spec: what a constructor's arguments are best called by."""
        numbers = [(k, v) for k, v in region.arguments if isinstance(v, (int, float)) and not isinstance(v, bool)]
        values = [v for _, v in numbers]
        named = list(zip(identifiers((k for k, _ in numbers), ["in_channels"]), values, strict=True))
        shape = self.nodes[region.inputs[0]].shape if region.inputs else ()
        if shape and isinstance(shape[0], int):
            named.append(("in_channels", shape[0]))
        return tuple(named)

    def _input_names(self, region: Region, inputs: tuple[int, ...]) -> tuple[str, ...]:
        extra = list(region.parameters)
        wanted = [extra.pop(0) if extra else self.labels.get(index, "also") for index in inputs[1:]]
        return ("x", *identifiers(wanted))

    def _key(self, name: str, members: Any, statements: Any, inputs: tuple[int, ...], output: int) -> Any:
        """What two bodies must agree on to share a class: all but numbers, and all but optional shortcuts."""
        index = {node: i for i, node in enumerate(inputs)}
        parts = []
        for s in statements:
            index[s.value] = len(index)
            if s.carried is not None:
                index[s.carried] = len(index)
            parts.append((s.template, s.switch and s.switch[0], len(s.widths), tuple(index[o] for o in s.operands), s.member, s.aux, s.loop))
        made = tuple((m.name, m.signature if m.optional else m.construct.key) for m in members)
        return (name, made, tuple(parts), index.get(output))

    # ---- regions ----

    def regions(self, regions: tuple[Region, ...], into: _Open, *, branch: bool) -> None:
        for region in regions:
            if region.start == region.stop:
                continue  # it only named a tensor
            if region.kind == "branch":
                self.regions(region.children, into, branch=True)
            elif region.kind == "merge":
                self.regions(region.children, into, branch=branch)
                self.node(region.output, into, region, branch)
            elif region.kind == "residual":
                self.residual(region, into, branch)
            elif region.kind == "repeat":
                self.repeat(region, into, branch)
            else:
                self.member(region, into, branch)

    def node(self, index: int, into: _Open, region: Region, branch: bool) -> None:
        """One node that no region of its own stands for: a merge, an addition."""
        node = self.nodes[index]
        lowering = node.op.lower(*(self.nodes[i].shape for i in node.inputs))
        if isinstance(lowering, Function):
            self.function(index, lowering, node.inputs, into, branch)
            return
        name = node.name.rpartition(".")[2]
        into.members.append(Member(name, self.call(lowering), False, region.span, region.title, node.shape))
        operands = into.operands(node.inputs)
        holes = ", ".join(f"{{{i}}}" for i in range(len(operands)))
        into.statements.append(Statement(index, f"self.{name}({holes})", operands, member=name, branch=branch))

    def function(self, index: int, lowering: Function, operands: tuple[int, ...], into: _Open, branch: bool) -> None:
        template = lowering.template
        if "{*}" in template:
            template = template.replace("{*}", ", ".join(f"{{{i}}}" for i in range(len(operands))))
        infix = lowering.binds == "infix"
        into.statements.append(
            Statement(index, template, into.operands(operands), infix, branch=branch, widths=lowering.widths)
        )

    def residual(self, region: Region, into: _Open, branch: bool) -> None:
        """F(x) + shortcut(x): the shortcut and the drop path are members that may be absent, so that a block keeps
        one class."""
        arguments = dict(region.arguments)
        name, drop, switch = arguments.get("shortcut"), arguments.get("drop"), arguments.get("skip")
        inserted = {child.name: child for child in region.children if child.name in (name, drop) and child.name}
        body = tuple(child for child in region.children if child.name not in inserted)
        self.regions(body, into, branch=branch)
        add = self.nodes[region.output]
        summed = switch is None or switch[1]
        value = add.inputs[0] if summed else region.output
        term = "{0}"
        if drop is not None:
            path = inserted.get(drop)
            value = path.inputs[0] if path is not None else value
            self.drop_path(drop, path, region, summed, into)
            term = f"self.{drop}({{0}})"
        if switch is not None:
            self.switched(region, value, term, switch, into, branch)
            return
        if name is None:
            operands = into.operands((value, add.inputs[1]))
            into.statements.append(Statement(region.output, f"{term} + {{1}}", operands, True, branch=branch))
            return
        shortcut = inserted.get(name)
        construct = self.construct(shortcut) if shortcut is not None else None
        title = shortcut.title if shortcut is not None else "shortcut: identity"
        into.members.append(Member(name, construct, True, region.span, title, add.shape, arguments["signature"]))
        skip = region.inputs[0] if shortcut is not None else add.inputs[1]
        operands = into.operands((value, skip))
        into.statements.append(
            Statement(region.output, f"{term} + self.{name}({{1}})", operands, True, member=name, branch=branch)
        )

    def drop_path(self, name: str, path: Region | None, region: Region, summed: bool, into: _Open) -> None:
        """The member of a drop path that is stated: one of rate 0 where it is left out, none where nothing is summed."""
        shape = self.nodes[region.output].shape
        construct = self.construct(path) if path is not None else None
        if construct is None and summed:
            never = LAYERS["droppath"].model_validate({"ratio": 0.0})
            lowering = never.lower(shape)
            assert isinstance(lowering, Module)
            construct = self.call(lowering._replace(helper=None))
        into.members.append(Member(name, construct, True, region.span, "droppath", shape, ("droppath",)))

    def switched(
        self, region: Region, body: int, term: str, switch: tuple[str, bool], into: _Open, branch: bool
    ) -> None:
        """A skip that is there only where shapes agree: a block's instances share a class and switch it."""
        value = region.output
        stream = self.nodes[region.output].inputs[1] if switch[1] else region.inputs[0]
        operands = into.operands((body, stream))
        if not switch[1]:
            value = into.renamed[region.output] = ~region.output  # no node stands for a sum that is not made
        into.statements.append(Statement(value, f"{term} + {{1}}", operands, True, branch=branch, switch=switch))

    def member(self, region: Region, into: _Open, branch: bool) -> None:
        """A region that is an attribute: a layer, a block, a labelled group, a head."""
        if region.kind == "layer" and region.stop - region.start == 1:
            node = self.nodes[region.start]
            lowering = node.op.lower(*(self.nodes[i].shape for i in node.inputs))
            if isinstance(lowering, Function):
                self.function(region.start, lowering, node.inputs, into, branch)
                return
        construct = self.construct(region)
        inputs = into.operands(self.inputs_of(region, construct))
        shape = self.nodes[region.output].shape
        into.members.append(Member(region.name, construct, False, region.span, region.title, shape))
        if region.output < region.start:
            return  # it hands on a tensor that was there before: its layers are dead
        holes = ", ".join(f"{{{i}}}" for i in range(len(inputs)))
        template = f"self.{region.name}({holes})"
        aux = region.kind == "aux"
        into.statements.append(Statement(region.output, template, inputs, member=region.name, branch=branch, aux=aux))

    def inputs_of(self, region: Region, construct: Construct) -> tuple[int, ...]:
        return construct.body.inputs if construct.body is not None else region.inputs[:1]

    def construct(self, region: Region) -> Construct:
        """How the module of a region is made."""
        if region.kind == "layer":
            return self.layer(region)
        if region.start == region.stop:
            return self.call(Module("torch.nn.Identity"))
        if region.kind == "repeat":
            raise AssertionError("a repeat is a container, made by repeat()")
        body = self.body(region, self.class_name(region))
        return Construct("class", body.name, ("class", body.key), body=body)

    def class_name(self, region: Region) -> str:
        if region.kind == "block":
            return camel(region.block)
        if region.kind == "aux":
            return "Aux"
        if region.label is not None and not region.name.isdigit():
            return camel(region.label)
        kinds = [self.nodes[i].kind for i in range(region.start, region.stop)]
        head = region.title.split()[0].partition("(")[0]
        if head.startswith("{"):
            return "".join(camel(kind) for kind in kinds) if len(kinds) <= 4 else "Group"
        return camel(head)

    def layer(self, region: Region) -> Construct:
        """A layer: torch's own module, or a small chain of them."""
        if region.stop - region.start == 1:
            node = self.nodes[region.start]
            lowering = node.op.lower(*(self.nodes[i].shape for i in node.inputs))
            if isinstance(lowering, Module):
                return self.call(lowering)
        parts = _Open(region)
        previous = region.inputs[0]
        for index in range(region.start, region.stop):
            node = self.nodes[index]
            lowering = node.op.lower(*(self.nodes[i].shape for i in node.inputs))
            if isinstance(lowering, Function):
                self.function(index, lowering, node.inputs, parts, False)
            else:
                name = node.name.rpartition(".")[2]
                parts.members.append(Member(name, self.call(lowering), False, region.span, node.kind, node.shape))
                parts.statements.append(Statement(index, f"self.{name}({{0}})", (previous,), member=name))
            previous = index
        kinds = [self.nodes[i].kind for i in range(region.start, region.stop)]
        name = "".join(camel(kind) for kind in kinds)
        members, statements = tuple(parts.members), tuple(parts.statements)
        key = self._key(name, members, statements, region.inputs[:1], region.output)
        body = Body(name, region, members, statements, region.inputs[:1], ("x",), region.output, key, ())
        self.bodies.append(body)
        return Construct("class", name, ("class", key), body=body)

    def call(self, module: Module) -> Construct:
        """A torch module or a helper with its arguments: numbers apart from the rest."""
        if module.helper is not None:
            self.helpers.setdefault(module.helper.strip("\n"))
        memo = (module.target, module.args, tuple(module.kwargs.items()))
        found = self._calls.get(memo)
        if found is not None:
            return found
        roles = POSITIONAL.get(module.target, ())
        numbers: list[tuple[str, Number | None]] = []
        literals: list[tuple[str, Any]] = []
        for i, value in enumerate(module.args):
            role = roles[i] if i < len(roles) else f"arg{i}"
            if not _is_number(value):
                raise AssertionError(f"{module.target}: a bare argument must be a number, not {value!r}")
            numbers.append((role, value))
        for name, value in module.kwargs.items():
            (numbers if _is_number(value) else literals).append((name, value))
        stated = {name for name, _ in numbers}
        if module.target in POOLS and "stride" not in stated and len(module.args) == 1:
            numbers.append(("stride", module.args[0]))
            stated.add("stride")
        numbers.extend((name, None) for name in DEFAULTS if name not in stated)
        head, tail = numbers[: len(module.args)], sorted(numbers[len(module.args) :], key=_role_order)
        forced = tuple(name for name, value in tail if value is not None and default_of(module.target, name) is None)
        key = (module.target, len(module.args), tuple(sorted(literals, key=str)), forced)
        construct = Construct(
            "call", module.target, key, (*head, *tail), tuple(literals), positional=len(module.args)
        )
        self._calls[memo] = construct
        return construct

    # ---- repeats ----

    def repeat(self, region: Region, into: _Open, branch: bool) -> None:
        """N copies: one container, run in a loop."""
        constructs = [self.construct(child) for child in region.children]
        inputs = [
            into.operands(self.inputs_of(child, c) if child.start != child.stop else (child.output,))
            for child, c in zip(region.children, constructs, strict=True)
        ]
        shape = self.nodes[region.output].shape
        runs = runs_of(constructs)
        outputs = [child.output for child in region.children]
        in_line = all(i[0] == o for i, o in zip(inputs[1:], outputs, strict=False))
        chained = in_line and all(len(i) == 1 for i in inputs)
        target = "torch.nn.Sequential" if chained else "torch.nn.ModuleList"
        kinds = tuple(run.first.key for run in runs)
        if len(set(kinds)) == 1 and len(runs) <= 2:
            kinds = kinds[:1]  # one, all alike, or a first and the rest: `share` writes them in one way
        container = Construct("container", target, (target, kinds), runs=runs)
        name = region.name
        into.members.append(Member(name, container, False, region.span, region.title, shape))
        if region.output < region.start:
            return
        if any(child.output < child.start for child in region.children if child.start != child.stop):
            self.unrolled(region, inputs, outputs, into, branch)
            return
        if chained and self._read_after(region, [c.output for c in region.children][:-1]):
            self.unrolled(region, inputs, [c.output for c in region.children], into, branch)
            return
        if chained:
            first = inputs[0][0] if inputs else region.inputs[0]
            into.statements.append(Statement(region.output, f"self.{name}({{0}})", (first,), member=name, branch=branch))
            return
        leaves = self._read_after(region, outputs[:-1])
        if not leaves and in_line and all(i[1:] == inputs[0][1:] for i in inputs):
            into.statements.append(Statement(region.output, f"self.{name}", inputs[0], member=name, loop="for"))
            return
        # NASNet's wiring: each copy reads the stream and what the copy before it read.
        carried = in_line and all(len(i) == 2 for i in inputs) and len(inputs) > 2
        carried = carried and all(b[1] == a[0] for a, b in pairwise(inputs))
        if carried and leaves <= {outputs[-2]}:
            statement = Statement(region.output, f"self.{name}", inputs[0], member=name, loop="carry", carried=outputs[-2])
            into.statements.append(statement)
            return
        self.unrolled(region, inputs, outputs, into, branch)

    def unrolled(
        self, region: Region, inputs: list[tuple[int, ...]], outputs: list[int], into: _Open, branch: bool
    ) -> None:
        for i, (operands, output) in enumerate(zip(inputs, outputs, strict=True)):
            if output < region.children[i].start:
                continue
            holes = ", ".join(f"{{{k}}}" for k in range(len(operands)))
            template = f"self.{region.name}[{i}]({holes})"
            into.statements.append(Statement(output, template, operands, member=region.name, branch=branch))

    def _read_after(self, region: Region, values: list[int]) -> set[int]:
        """Which of these values are read outside the region, or leave the network."""
        wanted = set(values)
        read = {o.node for o in self.network.outputs} & wanted
        if self._reads is None:
            self._reads = {}
            for index, node in enumerate(self.nodes):
                for source in node.inputs:
                    self._reads[source] = max(self._reads.get(source, 0), index)
        return read | {value for value in wanted if self._reads.get(value, 0) >= region.stop}


def _role_order(number: tuple[str, Number | None]) -> tuple[int, str]:
    """The order in which torch's documentation names them."""
    order = list(DEFAULTS)
    return (order.index(number[0]) if number[0] in order else -1, number[0])


def _is_number(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_number(item) for item in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def raw_numbers(construct: Construct) -> tuple[Number | None, ...]:
    """Every number within a construct, children's included, in a fixed order for a given key."""
    if construct.kind == "call":
        return tuple(value for _, value in construct.numbers)
    if construct.kind == "class":
        assert construct.body is not None
        return body_numbers(construct.body)
    found: list[Number | None] = []
    for run in construct.runs:
        found.append(run.count)
        found.extend(raw_numbers(run.first))
        found.extend(raw_numbers(run.last))
    return tuple(found)


def body_numbers(body: Body) -> tuple[Number | None, ...]:
    """Every number within a body, optional members apart: they may be absent."""
    found: list[Number | None] = []
    for member in body.members:
        if not member.optional and member.construct is not None:
            found.extend(raw_numbers(member.construct))
        elif member.optional:
            found.append(0 if member.construct is None else 1)
            if member.construct is not None:
                found.extend(raw_numbers(member.construct))
    found.extend(int(statement.switch[1]) for statement in body.statements if statement.switch is not None)
    return tuple(found)


def runs_of(constructs: list[Construct]) -> tuple[Run, ...]:
    """Constructs in a row as runs: equal ones, or three and more whose numbers grow by constant steps."""
    numbers = [raw_numbers(c) for c in constructs]
    runs: list[Run] = []
    start = 0
    while start < len(constructs):
        stop = start + 1
        steps: tuple[float, ...] | None = None
        while stop < len(constructs) and constructs[stop].key == constructs[start].key:
            step = _steps(numbers[stop - 1], numbers[stop])
            if step is None or (steps is not None and not _same_steps(step, steps)):
                break
            steps = steps or step
            stop += 1
        count = stop - start
        moving = steps is not None and any(steps)
        if moving and count < 3:
            stop, count = start + 1, 1
        runs.append(Run(constructs[start], constructs[min(start + 1, stop - 1)], constructs[stop - 1], count))
        start = stop
    return tuple(runs)


def _same_steps(one: tuple[float, ...], two: tuple[float, ...]) -> bool:
    """Whole numbers exactly; rates, which come from a division, but for rounding."""
    return one == two or all(a == b or isinstance(a, float) and abs(a - b) < 1e-12 for a, b in zip(one, two, strict=True))


def _steps(before: tuple[Any, ...], after: tuple[Any, ...]) -> tuple[float, ...] | None:
    """Differences between two instances' numbers, or None where there are none."""
    if len(before) != len(after):
        return None
    found: list[float] = []
    for a, b in zip(before, after, strict=True):
        if a == b:
            found.append(0)
        elif isinstance(a, int) and isinstance(b, int) or isinstance(a, float) and isinstance(b, float):
            found.append(b - a)
        else:
            return None
    return tuple(found)
