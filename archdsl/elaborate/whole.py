"""The whole network: input, parameters and outputs of an arch, and the figures it is expected to meet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from archdsl import syntax
from archdsl.diagnostics import Diagnostic, Related, did_you_mean
from archdsl.elaborate.frame import Frame, Namer, Placed, Stop
from archdsl.elaborate.steps import Steps
from archdsl.headroom import deep_recursion
from archdsl.modules import Module
from archdsl.names import signature
from archdsl.network import Image, Network, Node, Output, Region
from archdsl.ops.base import LIMIT, Shape
from archdsl.source import Span
from archdsl.symbolic import TooLarge, known
from archdsl.values import LOST, Scope, Value, Word, shown

MOST_COUNTS = 3
"""Runs that look for a `copy.total` which counts itself: a number of copies may depend on it."""


class Elaboration(NamedTuple):
    """network: None where there was an error. nodes, placed: what there was up to the first errors, for an editor."""

    network: Network | None
    diagnostics: tuple[Diagnostic, ...]
    nodes: tuple[Node, ...]
    placed: tuple[Placed, ...]



def elaborate(
    definition: syntax.Arch | None,
    module: Module,
    *,
    name: str,
    input_shape: tuple[int, ...] | None = None,
    params: dict[str, Any] | None = None,
) -> Elaboration:
    """The network of an arch, or of a module's loose steps where definition is None.

    input_shape: in place of the text's own `input`. params: in place of the arch's defaults.
    """
    builder = _Elaborator(module, name, input_shape, dict(params or {}))
    with deep_recursion():
        network = builder.run(definition)
        for _ in range(MOST_COUNTS):  # how many copies there are is known once all of them are
            if not builder.asked_total or builder.copies == builder.total:
                break
            copies = builder.copies
            builder = _Elaborator(module, name, input_shape, dict(params or {}))
            builder.total = copies
            network = builder.run(definition)
        else:
            builder.refuse_total(definition)
            network = None
    nodes = network.nodes if network is not None else tuple(builder.nodes)
    return Elaboration(network, tuple(builder.diagnostics.values()), nodes, tuple(builder.placed.values()))



class _Elaborator(Steps):
    """Runs one arch, or a text's loose steps."""

    def __init__(
        self, module: Module, name: str, input_shape: tuple[int, ...] | None, params: dict[str, Any]
    ) -> None:
        super().__init__(module.source, name)
        self.module, self.input_shape, self.params = module, input_shape, params
        self.chosen: tuple[syntax.Output, list[int | None]] | None = None
        self.overridden = False
        self.input_given: syntax.Input | None = None

    def run(self, definition: syntax.Arch | None) -> Network | None:
        body = definition.body if definition is not None else syntax.Sequence(statements=self.module.loose, span=self._all())
        span = definition.name.span if definition is not None else self._all()
        variables = self._parameters(definition) if definition is not None else {}
        if definition is None and self.params:
            hint = f"steps alone have none: put them into `arch {self.name}({next(iter(self.params))}=...) {{ ... }}`"
            self.report("A102", f"there is no parameter `{next(iter(self.params))}` here", span, hint=hint)
        frame = Frame(
            module=self.module,
            variables=variables,
            tensors={},
            incoming=None,
            defaults={},
            namer=Namer("", body),
            depth=0,
            calls=(),
            is_arch=True,
            block=self.name,
        )
        try:
            if self.input_shape is not None and not any(isinstance(s, syntax.Input) for s in body.statements):
                self.image(self.input_shape, span, frame)
            stream = self.sequence(body, 0 if self.nodes else None, frame)
        except Stop:
            return None
        if not self.nodes:
            self._no_input(body, definition, span)
            return None
        if len(self.nodes) == 1:
            self.report(
                "A117",
                f"`{self.name}` has no layers",
                span,
                label="nothing but its input",
                hint="add a step after the input: `conv3-64`",
            )
        self._set_outputs(stream, span)
        if any(d.severity == "error" for d in self.diagnostics.values()) or not any(not o.aux for o in self.outputs):
            return None
        region = Region(
            kind="arch",
            name="",
            title=self.name,
            start=0,
            stop=len(self.nodes),
            inputs=(0,),
            output=next(o.node for o in self.outputs if not o.aux),
            block=self.name,
            arguments=tuple(variables.items()),
            children=tuple(self.children),
            span=span,
        )
        try:
            network = Network(
                name=self.name,
                nodes=self.without_stand_ins(),
                outputs=tuple(self.outputs),
                region=region,
                taps=tuple(self.taps.items()),
                documentation=self._documentation(definition),
            )
            _ = network.macs, network.activation_bytes
        except TooLarge as error:
            self.report("A305", str(error), span, hint="give the input's height and width as numbers")
            return None
        self._check_expectations(network)
        return network if not self.diagnostics else None

    def refuse_total(self, definition: syntax.Arch | None) -> None:
        """Where every count of the copies leads to another."""
        self.report(
            "A116",
            f"`copy.total` decides how many copies there are: with {self.total}, there are {self.copies}",
            definition.name.span if definition is not None else self._all(),
            label="its steps count themselves",
            hint="use it for rates, such as `drop=0.2*copy.all/copy.total`, and not for a number of steps",
        )

    def _all(self) -> Span:
        statements = self.module.loose
        if not statements:
            return Span(self.module.source, 0, 0)
        return statements[0].span.cover(statements[-1].span)

    def _documentation(self, definition: syntax.Arch | None) -> str:
        """Comment lines that stand right above the arch."""
        tree = self.module.tree
        if tree is None:
            return ""
        source = self.module.source
        line = definition.span.line if definition is not None else (self._all().line)
        by_line = {c.span.line: c for c in tree.comments if source.line(c.span.line).lstrip().startswith("#")}
        lines: list[str] = []
        while (line := line - 1) in by_line:
            lines.append(by_line[line].text.lstrip("# ").rstrip())
        return "\n".join(reversed(lines))

    def _parameters(self, arch: syntax.Arch) -> dict[str, Value]:
        """The arch's parameters, with what the caller gave in place of the defaults."""
        variables: dict[str, Value] = {}
        given = dict(self.params)
        for parameter in arch.parameters:
            name = parameter.name.name
            default = None
            if parameter.default is not None:
                default = self.value(parameter.default, Scope(variables, None))
            if name in given:
                value = given.pop(name)
                value = Word(value) if isinstance(value, str) else value
                if isinstance(default, (int, float)) and not isinstance(default, bool) and isinstance(value, str):
                    self.report("A105", f"`{name}` of `{arch.name.name}` is a number, not {value!r}", parameter.span)
                self.overridden |= value != default
                variables[name] = value
            elif parameter.default is None:
                hint = f"give it: -p {name}=VALUE on the command line, {name}=VALUE in Python"
                self.report("A104", f"`{arch.name.name}` needs `{name}`", parameter.span, hint=hint)
            else:
                variables[name] = LOST if default is None else default
        for name in given:
            near = did_you_mean(name, [p.name.name for p in arch.parameters])
            hint = f"did you mean `{near}`?" if near else f"it is defined as {signature(arch)}"
            if name == "classes" and not near:
                hint = f"write `arch {arch.name.name}(classes=1000)` and `fc-classes`; of a model, archdsl.replace_head"
            self.report("A102", f"`{arch.name.name}` has no parameter `{name}`", arch.name.span, hint=hint)
        return variables

    def _no_input(self, body: syntax.Sequence, definition: syntax.Arch | None, span: Span) -> None:
        if self.diagnostics:
            return
        first = body.statements[0].span if body.statements and definition is None else span
        if not body.statements:
            self.report("A117", f"`{self.name}` has no layers", span, hint="start with its input: input 3x224x224")
            return
        self.report(
            "A112",
            f"`{self.name}` does not say what comes in",
            first,
            hint="write `input 3x224x224` as its first line: channels, height, width; or give --input 3x224x224",
        )

    def _set_outputs(self, stream: int | None, span: Span) -> None:
        if self.chosen is None:
            if stream is not None and len(self.nodes) > 1:
                self._refuse_another_out(stream)
                self.outputs.insert(0, Output(name="out", node=stream, span=span))
            return
        statement, nodes = self.chosen
        mains = []
        for reference, node in zip(statement.references, nodes, strict=True):
            if node is not None:
                mains.append(Output(name=reference.label, node=node, span=reference.span))
        self.outputs[:0] = mains

    def _refuse_another_out(self, stream: int) -> None:
        """The last tensor leaves under the name `out`; no other may be called that."""
        other = self.taps.get("out", stream) != stream or any(o.name == "out" for o in self.outputs)
        if other:
            message = "the network's last tensor leaves as `out`, and this label gives another that name"
            self.report("A109", message, self.label_spans["out"], hint="choose another label, or say what leaves: output @out")

    def _check_expectations(self, network: Network) -> None:
        """Published figures hold for the network as published: other parameters or input sizes are not compared."""
        if self.overridden:
            return
        for statement, scope in self.expectations:
            for argument in statement.arguments:
                if argument.name is not None:
                    self._expect(argument, scope, network)

    def _expect(self, argument: syntax.Argument, scope: Scope, network: Network) -> None:
        figure = argument.name.name  # type: ignore[union-attr]
        actual = {
            "params": lambda: network.params,
            "buffers": lambda: network.buffers,
            "total": lambda: network.params + network.buffers,
            "macs": lambda: network.macs,
            "flops": lambda: network.flops,
        }.get(figure, lambda: None)()
        wanted = self.value(argument.value, scope)
        if actual is None or wanted is None or not known(actual):
            return
        if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
            if not isinstance(wanted, Word):  # a word that stands for nothing has been told
                self.report("A105", f"`{figure}` must be a number, not {shown(wanted)}", argument.value.span)
            return
        text = argument.value.text if isinstance(argument.value, syntax.Number) else ""
        words = {"params": "parameters", "macs": "MACs", "flops": "FLOPs", "total": "parameters and buffers"}
        if matches_figure(actual, wanted, text):
            return
        difference = actual - wanted
        self.report(
            "A208",
            f"the published figure is {text or shown(wanted)} {words.get(figure, figure)}, and this network has {actual:_}",
            argument.span,
            label=f"{abs(difference):_} too {'many' if difference > 0 else 'few'}".replace(".0", ""),
            notes=tuple(_reasons(network, figure, difference, wanted)),  # type: ignore[arg-type]
            hint="a layer, a width or a bias differs from the paper, or the figure counts something else",
        )

    def input(self, statement: syntax.Input, stream: int | None, frame: Frame) -> int | None:
        if not frame.is_arch or frame.calls:
            return stream  # an arch called as a step takes what comes in
        if self.nodes:
            first = self.input_given.span if self.input_given else statement.span
            self.report(
                "A013",
                "a network has one input, and it comes first",
                statement.span,
                label="a second input" if self.input_given else "not the first statement",
                related=(Related(first, "the input"),) if self.input_given else (),
                hint="remove it; to go on from an earlier tensor, label it with `as name` and write `@name`"
                if self.input_given
                else "move it to the arch's first line",
            )
            return stream
        self.input_given = statement
        shape = self.dims(statement.shape, frame, symbols=True)
        if self.input_shape is not None:
            given = self.input_shape
            if shape is not None and len(shape) == len(given):
                self._bind_symbols(statement, given, frame)
            self.resized = given != shape
            self.overridden |= self.resized
            shape = given
        if shape is None:
            return None
        return self.image(shape, statement.span, frame)

    def _bind_symbols(self, statement: syntax.Input, given: tuple[int, ...], frame: Frame) -> None:
        """Give the text's open sizes the caller's numbers."""
        bound: dict[str, int] = {}
        for dim, size in zip(statement.shape.dims, given, strict=True):
            if isinstance(dim, syntax.Name) and not known(frame.variables.get(dim.name, 0)):
                if bound.setdefault(dim.name, size) != size:
                    message = f"`{dim.name}` can't be {bound[dim.name]} and {size} at once"
                    self.report("A105", message, dim.span, hint="give an input whose sizes agree where the text's do")
        frame.variables.update(bound)

    def image(self, shape: Shape, span: Span, frame: Frame) -> int:
        """Node 0. Sizes that the text leaves open are symbols from here on."""
        for size in shape:
            if known(size) and not 1 <= size <= LIMIT:
                code, word = ("A305", "large") if size > LIMIT else ("A105", "small")
                hint = f"the limit is {LIMIT:_}" if size > LIMIT else "every size is at least 1"
                self.report(code, f"a size of {size:_} is too {word}", span, hint=hint)
                raise Stop
        frame.incoming = shape
        self.nodes.append(Node(op=Image(), name="input", inputs=(), shape=shape, span=span))
        return 0

    def output(self, statement: syntax.Output, frame: Frame) -> None:
        if frame.is_arch and not frame.calls:
            if self.chosen is not None:
                related = (Related(self.chosen[0].span, "the first"),)
                self.report("A013", "`output` is said twice", statement.span, related=related, hint="list them in one: output @a, @b")
                return
            counts = Counter(r.label for r in statement.references)
            for reference in statement.references:
                if counts[reference.label] > 1:
                    self.report("A108", f"`@{reference.label}` is an output twice", reference.span, hint="name it once")
            self.chosen = (statement, [self.labelled(r, frame) for r in statement.references])

    def steps_before_input(self, step: syntax.Step) -> None:
        if self.input_given is None and self.input_shape is None:
            self.report(
                "A112",
                f"`{self.name}` does not say what comes in",
                step.span,
                label="what comes into the first step?",
                hint="write `input 3x224x224` before it: channels, height, width; or give --input 3x224x224",
            )
            raise Stop


def matches_figure(actual: int, wanted: int | float, text: str) -> bool:
    """Whether a figure equals a published one at the precision that it was written in."""
    if not re.fullmatch(r"[\d_]+(\.[\d_]+)?[KMG]", text):
        return actual == wanted
    unit = {"K": 10**3, "M": 10**6, "G": 10**9}[text[-1]]
    decimals = len(text[:-1].partition(".")[2].replace("_", ""))
    written = Fraction(text[:-1].replace("_", ""))
    return abs(Fraction(actual, unit) - written) * 2 * 10**decimals <= 1


def _reasons(network: Network, figure: str, difference: int, wanted: int | float) -> Iterator[str]:
    """What may explain a figure that is not met: one layer, all biases, all norms, or a factor of two."""
    size = abs(difference)
    if figure in ("macs", "flops") and wanted and abs((wanted + difference) * 2 / wanted - 1) < 0.02:
        yield "the published figure is twice as large: it may count FLOPs, two for each multiply-accumulate"
    if figure not in ("params", "total") or size != int(size):
        return
    for node in network.layers:
        if node.params == size:
            where = node.span.source.position(node.span.start)[0]
            yield f"`{node.span.text.splitlines()[0]}` in line {where} alone has {size:_}"
            return
    biases = sum(node.shape[0] for node in network.layers if node.kind in ("conv", "dwconv", "fc") and _biased(node))
    norms = sum(node.params for node in network.layers if node.op.fills == "norm")
    if biases == size:
        yield f"its biases have just that many, {size:_}"
    if norms == size:
        yield f"its norms have just that many, {size:_}"


def _biased(node: Node) -> bool:
    return getattr(node.op, "bias", None) is not False
