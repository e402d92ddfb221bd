"""A Program as readable Python: one class per block, loops as loops, no import but torch.

Only three kinds of text reach the file: templates of this package, names that the checker let through (Python
identifiers that are no keyword), and `repr()` of validated numbers and words. The spec's comments appear as comments,
unprintable characters replaced.
"""

from __future__ import annotations

import ast
import re
from itertools import chain
from itertools import count as counted
from pathlib import PurePath

from archdsl.lower import Body, Member, Program, Statement, identifiers, lower
from archdsl.network import Network
from archdsl.ops.base import written
from archdsl.share import Made, SharedClass, share
from archdsl.source import Span

MARKER = "# Written by archdsl"
"""How an emitted file begins: what tells it from a file that someone wrote."""

WIDTH = 110
INLINE = 64
"""The longest chain of a branch that stands in one expression."""


def emit(network: Network) -> str:
    """The network as the text of a Python module that imports only torch and defines one class per block.

    The class of the network itself, `Vgg16` for `vgg16`, takes no arguments. Its `forward` takes (N, C, H, W).
    """
    return print_program(lower(network))


def class_name(network: Network) -> str:
    """The name of the network's own class in the emitted module."""
    return share(lower(network))[-1].name


def print_program(program: Program) -> str:
    """The text of a Program."""
    classes = share(program)
    parts = list(program.helpers)
    parts += [_Class(shared, program, shared is classes[-1]).text() for shared in classes]
    body = "\n\n\n".join(parts)
    uses_torch = any(isinstance(n, ast.Name) and n.id == "torch" for n in ast.walk(ast.parse(body)))
    imports = "import torch\nfrom torch import nn" if uses_torch else "from torch import nn"
    return f"{_header(program)}\n\n{imports}\n\n\n{body}\n"


def _header(program: Program) -> str:
    network = program.network
    sizes = f"{network.params:,} parameters, {_figure(network.macs)} MACs for {written(network.input)}"
    lines = [f"{MARKER} from {_file(network.region.span)}; runs without it.", "#"]
    lines += [f"# {_comment(line)}".rstrip() for line in network.documentation.splitlines()]
    return "\n".join([*lines, f"# {network.name}: {_comment(sizes)}"])


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _comment(text: str) -> str:
    """Text that can stand in a comment: nothing that could end the line."""
    return "".join(c if c.isprintable() else " " for c in text)


def _file(span: Span) -> str:
    """A file's name as it may stand in a docstring too: no quote, backslash or line break of it gets there."""
    return re.sub(r"[^\w./ <>-]", "_", PurePath(span.source.name).as_posix())


class _Class:
    """One class as text."""

    def __init__(self, shared: SharedClass, program: Program, main: bool) -> None:
        self.shared, self.program, self.main = shared, program, main
        self.body: Body = shared.exemplar
        self.network = program.network

    def text(self) -> str:
        off = frozenset(name for name, argument in self.shared.switches.items() if argument == "False")
        chain = self.body.is_chain(off, self.shared.absent) and not (self.main and (self.network.taps or self._heads()))
        base = "nn.Sequential" if chain else "nn.Module"
        lines = [f"class {self.shared.name}({base}):", f'    """{self._doc()}"""', "", *self._init()]
        if not chain:
            lines += ["", *self._forward()]
        return "\n".join(lines)

    def _heads(self) -> bool:
        return any(output.aux for output in self.network.outputs) or self._several()

    def _several(self) -> bool:
        return [o.name for o in self.network.outputs if not o.aux] != ["out"]

    def _doc(self) -> str:
        region = self.body.region
        if self.main:
            shapes = ", ".join(
                f"{'' if o.name == 'out' else o.name + ' '}(N, {', '.join(map(str, self.network.nodes[o.node].shape))})"
                for o in self.network.outputs
                if not o.aux
            )
            return f"(N, {', '.join(map(str, self.network.input))}) -> {shapes}"
        if region.kind == "layer":
            kinds = [self.network.nodes[i].kind for i in range(region.start, region.stop)]
            return ", ".join(kinds)
        inner = region.children[0].span if region.kind == "block" and region.children else region.span
        what = f"`{region.block}`" if region.kind == "block" else {"aux": "A head", "group": "A group"}.get(region.kind, "")
        return f"{what} of {_file(inner)}, line {inner.line}."

    # ---- __init__ ----

    def _init(self) -> list[str]:
        parameters = ", ".join(
            ["self", *(p.name if p.default is None else f"{p.name}={p.default!r}" for p in self.shared.parameters)]
        )
        lines = [f"    def __init__({parameters}):", "        super().__init__()"]
        for member, made in self.shared.members:
            lines += self._member(member, made)
        for attribute, argument in self.shared.switches.items():
            if argument not in ("True", "False"):
                lines.append(f"        self.{attribute} = {argument}")
        lines += [f"        self.{attribute} = {text}" for attribute, text in self.shared.attributes.items()]
        return lines

    def _member(self, member: Member, made: Made) -> list[str]:
        text = _made(made)
        head = f"        self.{member.name} = "
        if made.condition:
            text = f"{text} if {made.condition} else nn.Identity()"
        comment = f"  # {member.span.line}: {_comment(member.title)} -> {written(member.shape)}" if self.main else ""
        if len(head + text + comment) > WIDTH and made.kind == "container":
            opening, closing = ("nn.ModuleList([", "])") if made.target.endswith("ModuleList") else ("nn.Sequential(", ")")
            lines = [f"{head}{opening}{comment}", *(f"            {item}," for item in _items(made))]
            return [*lines, f"        {closing}"]
        if len(head + text) > WIDTH and made.condition:
            return [f"{head}(", f"            {_made(made)}", f"            if {made.condition}", "            else nn.Identity()", "        )"]
        if len(head + text + comment) > WIDTH and comment:
            comment = f"  # {member.span.line}: -> {written(member.shape)}"
        return [head + text + comment]

    # ---- forward ----

    def _forward(self) -> list[str]:
        return _Forward(self).lines()


def _made(made: Made) -> str:
    """A construct as an expression."""
    if made.kind == "container":
        items = ", ".join(_items(made))
        if len(made.runs) == 1 and made.runs[0][1] and made.target.endswith("ModuleList"):
            return f"nn.ModuleList({items[1:]})"  # one loop is a list as it stands
        return f"nn.ModuleList([{items}])" if made.target.endswith("ModuleList") else f"nn.Sequential({items})"
    target = made.target.replace("torch.nn.", "nn.")
    arguments = ", ".join(f"{name}={text}" if name else text for name, text in made.arguments)
    return f"{target}({arguments})"


def _items(made: Made) -> list[str]:
    """What a container holds: each run one item, or a starred loop."""
    items = []
    for count, loop, item in made.runs:
        text = _made(item)
        if not loop:
            items.append(text)
            continue
        variable = "i" if re.search(r"\bi\b", text) else "_"
        items.append(f"*[{text} for {variable} in range({count})]")
    return items


class _Forward:
    """The forward of one class: statements to variables, each name reused once its tensor is dead."""

    def __init__(self, printed: _Class) -> None:
        self.printed = printed
        self.body = printed.body
        self.network = printed.network
        self.main = printed.main
        self.taps = self.network.taps if self.main else ()
        self.labels = {node: label for label, node in reversed(self.taps)}  # a tensor of two labels has the first
        leaving = {(o.name, o.node) for o in self.network.outputs}
        self.offered = () if leaving.issuperset(self.taps) else self.taps  # what leaves anyway needs no asking for
        heads = [o.name for o in self.network.outputs if o.aux] if self.main else []
        names = identifiers([*self.labels.values(), *heads], printed.body.input_names)
        self.variables = dict(zip(self.labels, names, strict=False))
        self.heads = dict(zip(heads, names[len(self.labels) :], strict=True))
        self.reserved = set(names)
        self.text: dict[int, str] = {}
        self.atom: dict[int, bool] = {}
        self.inlined: dict[int, set[int]] = {}
        self.out: list[str] = []

    def lines(self) -> list[str]:
        body = self.body
        alive = self._alive()
        statements = [s for s in body.statements if s.value in alive]
        uses = self._uses(statements)
        last = self._last_uses(statements)
        readers = {operand: i for i, statement in enumerate(statements) for operand in statement.operands}
        holders: dict[str, int] = {}
        for name, node in zip(body.input_names, body.inputs, strict=True):
            self.text[node], self.atom[node] = name, True
            holders[name] = node
        for position, statement in enumerate(statements):
            text, infix = self._expression(statement)
            inline = statement.branch and uses.get(statement.value, 0) == 1 and statement.value != body.output
            reader = readers.get(statement.value) if inline else None
            if reader is not None and len(text) <= INLINE and "\n" not in text and not statements[reader].loop:
                self.text[statement.value], self.atom[statement.value] = text, not infix
                # what stands inside lives until its reader
                for operand in self._leaves(statement):
                    last[operand] = max(last.get(operand, 0), reader)
                self.inlined[statement.value] = self._leaves(statement)
                continue
            off = statement.switch is not None and self.printed.shared.switches[statement.switch[0]] == "False"
            if (statement.template == "{0}" or off) and not self.labels.get(statement.value):
                source = statement.operands[0]
                self.text[statement.value], self.atom[statement.value] = self.text[source], self.atom[source]
                last[source] = max(last.get(source, 0), last.get(statement.value, 0))
                continue
            final = statement.value == body.output and position == len(statements) - 1 and not self._named_outputs()
            if final and not statement.loop:
                self.out += f"return {text}".split("\n")
                return self._signature() + [f"        {line}" for line in self.out]
            name = self._name(statement, position, last, holders)
            other = ""
            if statement.carried is not None:
                holders[name] = statement.value
                other = self._free(position, {**last, statement.value: len(statements)}, holders)
                holders[other] = statement.carried
                self.text[statement.carried], self.atom[statement.carried] = other, True
            self._assign(name, statement, text, other)
            holders[name] = statement.value
            self.text[statement.value], self.atom[statement.value] = name, True
        self._return()
        return self._signature() + [f"        {line}" for line in self.out]

    def _leaves(self, statement: Statement) -> set[int]:
        """Variables that an expression reads, through what is inlined in it."""
        found: set[int] = set()
        for operand in statement.operands:
            found |= self.inlined.get(operand, {operand})
        return found

    def _alive(self) -> set[int]:
        """Values that are read, or leave."""
        needed = {self.body.output} | set(self.labels)
        if self.main:
            needed |= {o.node for o in self.network.outputs}
        for statement in reversed(self.body.statements):
            if statement.value in needed:
                needed.update(statement.operands)
        return needed

    def _uses(self, statements: list[Statement]) -> dict[int, int]:
        uses: dict[int, int] = {}
        for statement in statements:
            for operand in statement.operands:
                uses[operand] = uses.get(operand, 0) + 1
        for node in {*self.labels, *(o.node for o in self.network.outputs if self.main)}:
            uses[node] = uses.get(node, 0) + 1
        return uses

    def _last_uses(self, statements: list[Statement]) -> dict[int, int]:
        last: dict[int, int] = {}
        for position, statement in enumerate(statements):
            for operand in statement.operands:
                last[operand] = position
        kept = {self.body.output, *self.labels}
        if self.main:
            kept |= {o.node for o in self.network.outputs}
        for node in kept:
            last[node] = len(statements)
        return last

    def _name(self, statement: Statement, position: int, last: dict[int, int], holders: dict[str, int]) -> str:
        """A variable: the label, or the name of an operand that dies here, or the first that is free."""
        label = self.variables.get(statement.value)
        if label is not None:
            return label
        if statement.aux:
            return self.heads[statement.member or ""]
        operands = statement.operands
        if statement.loop:  # what the loop passes along is read until its last round
            last = {**last, **dict.fromkeys(operands[1:], position + 1)}
            operands = operands[:1] if operands[0] not in operands[1:] else ()
        for operand in operands:
            name = self.text.get(operand, "")
            if holders.get(name) == operand and last.get(operand, -1) <= position and name not in self.reserved:
                return name
        return self._free(position, last, holders)

    def _free(self, position: int, last: dict[int, int], holders: dict[str, int]) -> str:
        """The first variable whose tensor nobody reads from here on."""
        names = chain("xyzuvw", (f"y{i}" for i in counted(1)))
        return next(
            name
            for name in names
            if name not in self.reserved and (name not in holders or last.get(holders[name], -1) <= position)
        )

    def _expression(self, statement: Statement) -> tuple[str, bool]:
        """A statement's right side, and whether it needs parentheses inside another."""
        template = statement.template.replace("{widths}", self.printed.shared.widths.get(statement.value, ""))
        if statement.switch is not None:
            argument = self.printed.shared.switches[statement.switch[0]]
            if argument == "False":
                template = "{0}"
            elif argument != "True":
                template = f"{template} if self.{statement.switch[0]} else {{0}}"
        absent = self.printed.shared.absent
        template = re.sub(r"self\.(\w+)\((\{[01]\})\)", lambda m: m[2] if m[1] in absent else m[0], template)
        operands = []
        called = re.search(r"\(\{|\[\{|, \{", template) is not None and not statement.infix
        for operand in statement.operands:
            text = self.text[operand]
            operands.append(text if called or self.atom[operand] else f"({text})")
        text = template.format(*operands)
        if template.startswith("torch.cat([") and (len(text) > 80 or sum("(" in o for o in operands) > 2):
            items = "".join(f"    {o},\n" for o in operands)
            text = f"torch.cat([\n{items}], dim=1)"
        elif statement.infix and len(text) > 90:
            joined = template.replace(" + ", "\n    + ").format(*operands)
            text = f"(\n    {joined}\n)"
        return text, statement.infix

    def _assign(self, name: str, statement: Statement, text: str, other: str) -> None:
        if statement.loop == "carry":
            stream, previous = statement.operands
            before = [(name, self.text[stream]), (other, self.text[previous])]
            moved = [(left, right) for left, right in before if left != right]
            if moved:
                self.out.append(f"{', '.join(left for left, _ in moved)} = {', '.join(right for _, right in moved)}")
            self.out += [f"for layer in self.{statement.member}:", f"    {name}, {other} = layer({name}, {other}), {name}"]
        elif statement.loop:
            stream, *extra = statement.operands
            arguments = ", ".join([name, *(self.text[e] for e in extra)])
            if self.text[stream] != name:
                self.out.append(f"{name} = {self.text[stream]}")
            self.out += [f"for layer in self.{statement.member}:", f"    {name} = layer({arguments})"]
        elif statement.aux:
            self.out.append(f"{name} = {text} if aux else None")
        else:
            self.out += f"{name} = {text}".split("\n")

    # ---- the arch's own forward ----

    def _named_outputs(self) -> bool:
        return self.main and (self.printed._heads() or bool(self.offered))

    def _signature(self) -> list[str]:
        names = ", ".join(["self", *self.body.input_names])
        if not self._named_outputs():
            return [f"    def forward({names}):"]
        heads = [o.name for o in self.network.outputs if o.aux]
        if heads:
            names += ", aux=None"
        if self.offered:
            names += ", taps=()"
        doc = []
        if heads:
            doc.append(f"aux: compute {' and '.join(heads)} too; None: in training only.")
        if self.offered:
            doc.append(f"taps: tensors to return too, of {', '.join(label for label, _ in self.offered)}.")
        if heads or self.offered or self.printed._several():
            doc.append("With more than one output, a dict by name." if not self.printed._several() else "Returns a dict by name.")
        lines = [f"    def forward({names}):"]
        if len(doc) == 1:
            lines.append(f'        """{doc[0]}"""')
        elif doc:
            lines += [f'        """{doc[0]}', "", *(f"        {line}" for line in doc[1:]), '        """']
        if heads:
            lines.append("        aux = self.training if aux is None else aux")
        return lines

    def _return(self) -> None:
        if not self._named_outputs():
            self.out.append(f"return {self.text[self.body.output]}")
            return
        mains = [o for o in self.network.outputs if not o.aux]
        heads = [o for o in self.network.outputs if o.aux]
        outputs = ", ".join(f'"{o.name}": {self.text[o.node]}' for o in mains)
        if self.printed._several() and not heads and not self.offered:
            self.out.append(f"return {{{outputs}}}")
            return
        self.out.append(f"outputs = {{{outputs}}}")
        if heads:
            also = ", ".join(f'"{o.name}": {self.text[o.node]}' for o in heads)
            self.out += ["if aux:", f"    outputs |= {{{also}}}"]
        if self.offered:
            labelled = ", ".join(f'"{label}": {self.text[node]}' for label, node in self.offered)
            line = f"tensors = {{{labelled}}}"
            if len(line) > WIDTH - 8:
                line = "tensors = {\n    " + ",\n    ".join(labelled.split(", ")) + ",\n}"
            self.out += line.split("\n")
            self.out.append("outputs |= {name: tensors[name] for name in ([taps] if isinstance(taps, str) else taps)}")
        if self.printed._several():
            self.out.append("return outputs")
        else:
            self.out.append(f"return outputs if len(outputs) > 1 else {self.text[mains[0].node]}")
