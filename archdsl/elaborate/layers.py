"""Single layers: arguments validated, shapes inferred, nodes appended."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from pydantic import ValidationError

from archdsl import syntax
from archdsl.diagnostics import Diagnostic, Fix, Related, did_you_mean
from archdsl.elaborate.findings import Findings, validation_message
from archdsl.elaborate.frame import Defaults, Frame, Stop
from archdsl.elaborate.origins import (
    arithmetic,
    made_vector,
    set_channels,
    set_size,
    step_text,
    the_way,
    unwritten,
)
from archdsl.names import Target, argument_names, fits, free_names, members_of_copy, resolve
from archdsl.network import Kind, Node, Region
from archdsl.ops import LAYERS
from archdsl.ops.base import LIMIT, Op, Shape, ShapeError, Window, written
from archdsl.source import Source, Span
from archdsl.symbolic import (
    Dim,
    Expression,
    TooLarge,
    known,
    larger,
    nameless,
    substitute,
    symbol,
    symbols_of,
)
from archdsl.values import COPY, COPY_ALL, LayerCall, Value, ValueProblem, Word, evaluate, shown, whole

MOST_LAYERS = 200_000
"""Nodes of one network."""

LONGEST_BODY = 40
"""Characters of a body that a table's row still shows."""

_FACTORS = (2, 4, 8, 16, 32, 64, 128)
"""Of which an image's sides may have to be multiples, so that halving and doubling it again give the same size."""


class Inferred(NamedTuple):
    """What a layer's rules say of it for given input shapes."""

    shape: Shape
    params: Dim
    buffers: Dim
    macs: Dim
    window: Window


class Layers(Findings):
    """Builds nodes. Ops are cached by step, arguments and defaults; what they infer, by op and input shapes."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.nodes: list[Node] = []
        self.made_by: dict[int, syntax.Step] = {}  # by the node's index
        self.children: list[Region] = []  # of the region being built
        self._targets: dict[int, Target | None] = {}
        self._unknown: set[tuple[str, int]] = set()
        self._ops: dict[Any, tuple[Op, ...] | None] = {}
        self._inferred: dict[Any, Inferred] = {}
        self._stand_ins: dict[Dim, Dim] = {}
        self._kept: list[Defaults] = []  # alive as long as the caches that are keyed by their identity

    def named(self, layer: type[Op], arguments: tuple[syntax.Argument, ...]) -> list[tuple[str, syntax.Argument]]:
        """Arguments with the fields they fill; what fills none has been reported."""
        known_names = argument_names(layer)
        position = 0
        pairs = []
        for argument in arguments:
            if argument.name is None:
                if position < len(layer.positional):
                    pairs.append((layer.positional[position], argument))
                position += 1
            elif argument.name.name in known_names:
                pairs.append((known_names[argument.name.name], argument))
        return pairs

    def ops_of(
        self, step: syntax.Step, target: Target, frame: Frame, stride: syntax.Expr | None
    ) -> tuple[Op, ...] | None:
        """The layers that a step stands for, validated; None once the reason has been told."""
        layer = target.layer
        assert layer is not None
        given: dict[str, Value] = {}
        spans: dict[str, Span] = {}
        try:
            if target.kernel is not None:
                given["kernel"], spans["kernel"] = target.kernel, target.kernel_span  # type: ignore[assignment]
            if step.width is not None and "channels" in layer.model_fields:
                given["channels"] = whole(step.width, frame.scope, "a width")
                spans["channels"] = step.width.span
            if stride is not None and "stride" in layer.model_fields:
                given["stride"] = whole(stride, frame.scope, "a stride")
                spans["stride"] = stride.span
            for name, argument in self.named(layer, step.arguments or ()):
                given[name] = evaluate(argument.value, frame.scope)
                spans[name] = argument.value.span
        except ValueProblem as problem:
            self.value_problem(problem, frame)
            return None
        try:
            key = (layer.syntax, tuple(given.items()), id(frame.defaults))
            if key in self._ops:
                return self._ops[key]
        except TypeError:  # a symbolic size that is not hashable never names a layer's argument
            key = None
        ops = self.build(layer, given, spans, step, frame)
        if key is not None and ops is not None:
            self._ops[key] = ops
        return ops

    def build(
        self, layer: type[Op], given: dict[str, Value], spans: dict[str, Span], step: syntax.Step, frame: Frame
    ) -> tuple[Op, ...] | None:
        """Validate a layer's arguments over its defaults."""
        who = step.head.span if step.head is not None else step.span
        values: dict[str, Value] = {}
        for source in (layer.follows, layer.syntax):
            for name, default in frame.defaults.get(source or "", {}).items():
                if name in layer.model_fields and name not in given:
                    values[name] = default.value
                    spans.setdefault(name, default.span)
        values.update(given)
        for name, value in values.items():
            if isinstance(value, tuple):
                value = next((item for item in value if isinstance(item, Expression)), None)
            if isinstance(value, Expression):
                self.problem("A206", f"`{name}` must be known when compiling, and {value} is not", spans[name], frame)
                return None
        try:
            for name in layer.layers:
                if name in values:
                    values[name] = self.layer_value(values[name], spans[name], frame)
            return layer(**plain(values)).expand()
        except ValidationError as error:
            for item in error.errors(include_url=False):
                self.argument_problem(layer, item, values, spans, who, frame)
        except ShapeError as error:
            self.shape_problem(error, layer, spans, who, frame, ())
        except ValueProblem as problem:
            self.value_problem(problem, frame)
        return None

    def layer_value(self, value: Value, span: Span, frame: Frame) -> Op | None:
        """`relu`, `bn(eps=1e-3)` or `none` as an argument. Raises ValueProblem."""
        if value is None or isinstance(value, Op) or isinstance(value, Word) and value == "none":
            return value if isinstance(value, Op) else None
        call = LayerCall(value, (), ()) if isinstance(value, Word) else value
        if not isinstance(call, LayerCall):
            raise ValueProblem("A105", f"a layer is wanted here, such as relu or none, not {shown(value)}", span)
        layer = LAYERS.get(call.name)
        if layer is None or layer.arity != 1:
            near = did_you_mean(call.name, [*LAYERS, "none"])
            hint = f"did you mean `{near}`?" if near else "`archdsl layers` lists what there is"
            raise ValueProblem("A101", f"there is no layer called `{call.name}` to be used so", span, hint, near)
        names = argument_names(layer)
        values = {name: d.value for name, d in frame.defaults.get(call.name, {}).items()}
        values.update(zip(layer.positional, call.positional, strict=False))
        values.update({names[name]: item for name, item in call.named if name in names})
        try:
            return layer(**plain(values))
        except ValidationError as error:
            raise ValueProblem("A105", validation_message(layer, error.errors(include_url=False)[0], {}), span) from None

    def layer(
        self, step: syntax.Step, target: Target, stream: int | None, frame: Frame, name: str, stride: syntax.Expr | None
    ) -> int | None:
        ops = self.ops_of(step, target, frame, stride)
        if ops is None or stream is None:
            return None
        start = len(self.nodes)
        path = frame.namer.path(name)
        result: int | None = stream
        names = part_names(ops)
        for op, part in zip(ops, names, strict=True):
            where = f"{path}.{part}" if part else path
            result = self.add(op, (result,), where, step, frame)  # type: ignore[arg-type]
            if result is None:
                return None
        title = self.title(step, frame, stride)
        self.children.append(self.region("layer", name, title, start, stream, result, step))  # type: ignore[arg-type]
        return result

    def add(
        self, op: Op, inputs: tuple[int, ...], name: str, step: syntax.Step, frame: Frame, branches: tuple[Span, ...] = ()
    ) -> int | None:
        """Append one layer's node, or report why it does not fit."""
        nodes = self.nodes
        shapes = tuple([nodes[i].shape for i in inputs])
        key = (id(op), shapes)
        inferred = self._inferred.get(key)
        if inferred is None:
            inferred = self.infer(op, shapes, inputs, step, frame, branches)
            if inferred is None:
                return None
            self._inferred[key] = inferred
        if len(nodes) > MOST_LAYERS:
            self.too_many(step.span, frame)
        try:
            extent, jump = _see(self.positive_window(inferred.window), nodes, inputs)
        except TooLarge as error:
            self.problem("A305", str(error), step.span, frame, hint="give the input's height and width as numbers")
            return None
        self.made_by[len(nodes)] = step
        nodes.append(
            Node(
                op=op,
                name=name,
                inputs=inputs,
                shape=inferred.shape,
                params=inferred.params,
                buffers=inferred.buffers,
                macs=inferred.macs,
                extent=extent,
                jump=jump,
                span=step.span,
            )
        )
        return len(nodes) - 1

    def positive_window(self, window: Window) -> Window:
        """A window over the whole of an image whose size is an expression, with a symbol in place of the size: what
        matters while receptive fields are compared is that it is positive, which an expression does not show."""
        height, width = window.extent
        if known(height) and known(width):
            return window
        return Window((self.stand_in(height), self.stand_in(width)), window.stride)

    def stand_in(self, size: Dim) -> Dim:
        if known(size) or any(symbol.startswith("#") for symbol in symbols_of(size)):
            return size
        if size not in self._stand_ins:
            self._stand_ins[size] = nameless(len(self._stand_ins) + 1)
        return self._stand_ins[size]

    def without_stand_ins(self) -> tuple[Node, ...]:
        """The nodes, with the sizes that symbols stood for. Raises TooLarge."""
        if not self._stand_ins:
            return tuple(self.nodes)
        values = {symbols_of(symbol)[0]: size for size, symbol in self._stand_ins.items()}
        fields = {node.extent for node in self.nodes}
        meant = {field: (substitute(field[0], values), substitute(field[1], values)) for field in fields}
        return tuple(replace(node, extent=meant[node.extent]) for node in self.nodes)

    def infer(
        self, op: Op, shapes: tuple[Shape, ...], inputs: tuple[int, ...], step: syntax.Step, frame: Frame, branches: tuple[Span, ...]
    ) -> Inferred | None:
        who = step.head.span if step.head is not None else step.span
        try:
            shape = op.infer(*shapes)
            for size in shape:
                if known(size) and size > LIMIT:
                    self.problem("A305", f"a dimension of {size:,} is larger than any can be", who, frame, hint=f"the limit is {LIMIT:_}")
                    return None
            params: Dim = 0
            buffers: Dim = 0
            for weight in op.weights(*shapes):
                elements: Dim = 1
                for side in weight.shape:
                    elements = elements * side
                if weight.trainable:
                    params = params + elements
                else:
                    buffers = buffers + elements
            return Inferred(shape, params, buffers, op.macs(shape, *shapes), op.window(*shapes))
        except TooLarge as error:
            self.problem("A305", str(error), who, frame, hint="give the input's height and width as numbers")
            return None
        except ShapeError as error:
            spans = {}
            if step.width is not None:
                spans["channels"] = step.width.span
            if step.stride is not None:
                spans["stride"] = step.stride.span
            target = self._targets.get(id(step))
            if target is not None and target.kernel_span is not None:
                spans["kernel"] = target.kernel_span
            for name, argument in self.named(type(op), step.arguments or ()):
                spans.setdefault(name, argument.value.span)
            fix = None
            if error.argument not in spans and error.instead and step.span.source is self.source:
                fix = unwritten(step, op, error)
            elif error.incoming is not None and not frame.calls:
                fix = self.wider(error.incoming, inputs[0])
            self.shape_problem(error, type(op), spans, who, frame, inputs, branches, fix)
            return None

    def wider(self, channels: int, index: int) -> Fix | None:
        """The edit that makes so many channels come from a node, if it is the width of one step."""
        step = self.made_by.get(set_channels(self.nodes, index))
        if step is None or not isinstance(step.width, syntax.Number) or step.repeat is not None or channels > LIMIT:
            return None
        span = step.width.span
        if span.source is not self.source:
            return None
        then = f"{Span(span.source, step.span.start, span.start).text}{channels}"
        return Fix(span, f"{channels}", f"write `{then}`")

    def shape_problem(
        self,
        error: ShapeError,
        layer: type[Op],
        spans: dict[str, Span],
        who: Span,
        frame: Frame,
        inputs: tuple[int, ...],
        branches: tuple[Span, ...] = (),
        fix: Fix | None = None,
    ) -> None:
        """A layer that does not fit what comes in: the arithmetic, and the step that made what came in."""
        span = spans.get(error.argument or "", who)
        related, notes, hint = [], list(error.notes), error.hint
        branch = error.branch
        if branches and branch is not None and branch < len(branches):
            for index in (0, branch):
                text = f"branch {index + 1} gives {written(self.nodes[inputs[index]].shape)}"
                related.append(Related(first_line(branches[index]), text))
            if error.code == "A202" and not error.after:
                notes, hint = self.branch_sizes(inputs, (0, branch), notes, hint)
            if error.after:
                end = branches[branch].at_end()
                fix = Fix(end, f"; {error.after}", f"end branch {branch + 1} with `{error.after}`")
        elif inputs:
            related.append(self.origin(error, inputs[0]))
            way = the_way(self.nodes, inputs[0]) if error.argument == "kernel" else ""
            notes += [f"the image on its way here: {way}"] if way else []
        if layer.syntax == "avgpool" and error.argument == "kernel":
            hint = f"{hint}; `gap` averages over any size"
        if error.instead and error.argument in spans and _is_plain(span) and span.source is self.source:
            start = who.start if error.argument == "kernel" and who.start < span.start < who.stop else span.start
            named = re.search(r"\w+\s*=\s*$", span.source.text[max(0, start - 40) : start])
            then = (named[0] if named else Span(span.source, start, span.start).text) + error.instead
            fix = Fix(span, error.instead, f"write `{then}`")
        elif error.before and who.source is self.source:
            place = Span(who.source, who.start, who.start)
            fix = Fix(place, f"{error.before}; ", f"put `{error.before}` before it")
        self.problem(
            error.code, error.message, span, frame, related=tuple(related), notes=tuple(notes), hint=hint, fix=fix
        )

    def origin(self, error: ShapeError, index: int) -> Related:
        """The step that gave what does not fit: its size, its channels, or that it is a vector."""
        nodes = self.nodes
        if error.code == "A204" and len(nodes[index].shape) == 1:
            made = nodes[made_vector(nodes, index)]
            return Related(first_line(made.span), f"a vector from here on, of {written(made.shape)}")
        if error.code == "A205":
            made = nodes[set_channels(nodes, index)]
            return Related(first_line(made.span), f"{made.shape[0]} channels come from here")
        if error.argument == "kernel":
            made = nodes[set_size(nodes, index)]
            verb = "makes it" if made.inputs else "the image is"
            return Related(first_line(made.span), f"{verb} {written(made.shape[1:])}")
        made = nodes[index]
        return Related(first_line(made.span), f"{'gives' if made.inputs else 'brings'} {written(made.shape)}")

    def branch_sizes(
        self, inputs: tuple[int, ...], pair: tuple[int, int], notes: list[str], hint: str
    ) -> tuple[list[str], str]:
        """Why two branches came to different heights and widths, and what would make them agree."""
        nodes = self.nodes
        one, two = (nodes[inputs[index]] for index in pair)
        if len(one.shape) != 3 or len(two.shape) != 3 or one.shape[1:] == two.shape[1:]:
            return notes, hint
        found = list(notes)
        for index in pair:
            at = set_size(nodes, inputs[index])
            how = arithmetic(nodes, at)
            if how and at in self.made_by and at > min(inputs):
                found.append(f"branch {index + 1}, `{step_text(self.made_by[at])}`: {how}")
        if one.jump == two.jump:
            image = _agreeing_image(nodes[0].shape, one.shape, two.shape)
            if image is not None:
                return found, f"they agree for images whose sides are multiples: `input {image}`"
            return found, "the strides agree and the paddings do not: p=same keeps the size in both"
        first, second = (exact(node.jump[0]) for node in (one, two))
        more, less = (pair[0], pair[1]) if first > second else (pair[1], pair[0])
        factor = exact(Fraction(max(first, second)) / Fraction(min(first, second)))
        return found, f"branch {more + 1} shrinks the image {factor} times as much as branch {less + 1}: give both the same stride"

    def too_many(self, span: Span, frame: Frame) -> None:
        """The limit on layers: nothing after it is elaborated."""
        calls = frame.calls
        hint = "this block calls itself, or repeats too often" if calls else "repeat it less often"
        self.problem("A304", f"this network has more than {MOST_LAYERS:,} layers", span, frame, hint=hint)
        raise Stop

    def target(self, step: syntax.Step, frame: Frame) -> Target | None:
        """What a step's head means; None if nothing, which names.py has reported."""
        key = id(step)
        if key not in self._targets:
            name = (step.head.name if isinstance(step.head, syntax.Name) else "", id(frame.module))
            if name in self._unknown:  # told by names.py; looking for what was meant takes long
                self._targets[key] = None
                return None
            found = resolve(step.head, frame.module)
            if isinstance(found, Diagnostic):
                self._unknown.add(name)
            usable = not isinstance(found, Diagnostic) and fits(step, found)
            self._targets[key] = found if usable else None  # type: ignore[assignment]
        return self._targets[key]

    def title(self, step: syntax.Step, frame: Frame, stride: syntax.Expr | None) -> str:
        """A step as its author would say it, numbers put in; a body in full only where it is short."""
        text = step.head.name if isinstance(step.head, syntax.Name) else ""
        if step.width is not None:
            text += f"-{self._shown(step.width, frame)}"
        if stride is not None:
            text += f"/{self._shown(stride, frame)}"
        if step.arguments:
            text += "(" + ", ".join(self._argument_title(a, frame) for a in step.arguments) + ")"
        if step.body is not None:
            body = step.body.span.text
            if len(body) > LONGEST_BODY or "\n" in body:
                body = "[ ... ]" if isinstance(step.body, syntax.Branches) else "{ ... }"
            text += f" {body}"
        return text.strip()

    def _shown(self, expr: syntax.Expr, frame: Frame) -> str:
        """A number as computed; of all copies together, one that depends on the copy as it is written."""
        of_all = COPY_ALL not in frame.variables and members_of_copy(expr)
        if of_all or COPY not in frame.variables and COPY in free_names(expr):
            return expr.span.text
        return shown(self.value(expr, frame.scope, frame))

    def _argument_title(self, argument: syntax.Argument, frame: Frame) -> str:
        if isinstance(argument.value, syntax.Reference):
            text = f"@{argument.value.label}"
        else:
            text = self._shown(argument.value, frame)
        return f"{argument.name.name}={text}" if argument.name is not None else text

    def region(
        self,
        kind: Kind,
        name: str,
        title: str,
        start: int,
        entered: int,
        result: int,
        step: syntax.Step,
        children: tuple[Region, ...] = (),
        **more: Any,
    ) -> Region:
        return Region(
            kind=kind,
            name=name,
            title=title,
            start=start,
            stop=len(self.nodes),
            inputs=self.reads(start, entered),
            output=result,
            label=step.label.name if step.label is not None else None,
            children=children,
            span=step.span,
            **more,
        )

    def reads(self, start: int, entered: int) -> tuple[int, ...]:
        """Nodes before `start` that those after it read: the stream first."""
        seen: dict[int, None] = {}
        for region_node in self.nodes[start:]:
            for source in region_node.inputs:
                if source < start:
                    seen[source] = None
        seen.pop(entered, None)
        return (entered, *seen)


def plain(values: dict[str, Value]) -> dict[str, Value]:
    """Values as pydantic's strict mode wants them: words as str, the word none as None only where a layer was wanted."""
    return {k: str(v) if isinstance(v, Word) else v for k, v in values.items()}



_NAMES: dict[tuple[str, ...], tuple[str, ...]] = {}



def part_names(ops: tuple[Op, ...]) -> tuple[str, ...]:
    """Attribute of each layer within the module of its step; "" where the step is one layer and needs none."""
    if len(ops) == 1:
        return ("",)
    kinds = tuple(op.syntax for op in ops)
    names = _NAMES.get(kinds)
    if names is None:
        seen: dict[str, int] = {}
        parts = []
        for kind in kinds:
            seen[kind] = seen.get(kind, 0) + 1
            parts.append(kind if seen[kind] == 1 else f"{kind}{seen[kind]}")
        names = _NAMES[kinds] = tuple(parts)
    return names



def _see(window: Window, nodes: list[Node], inputs: tuple[int, ...]) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Receptive field and effective stride after a window: the largest over the inputs."""
    extent, stride = window
    sources = [nodes[i] for i in inputs]
    if len(sources) == 1 and extent == (1, 1) and stride == (1, 1):
        return sources[0].extent, sources[0].jump
    field, jump = [], []
    for axis in (0, 1):
        if len(sources) > 1 and _symbolic(*(s.extent[axis] for s in sources)):
            # What a tensor sees, those computed from it see too: then nothing need be compared.
            seen = [nodes[i] for i in inputs if not any(_comes_from(nodes, j, i) for j in inputs if j > i)]
        else:
            seen = sources
        sides = [s.extent[axis] + _steps(extent[axis] - 1, s.jump[axis]) for s in seen]
        largest = sides[0]
        for side in sides[1:]:
            largest = max(largest, side) if not _symbolic(largest, side) else larger(largest, side)
        field.append(largest)
        jump.append(exact(max(s.jump[axis] for s in sources) * stride[axis]))
    return (field[0], field[1]), (jump[0], jump[1])



def _comes_from(nodes: list[Node], node: int, source: int) -> bool:
    """Whether a tensor is computed from another that stands before it."""
    found, pending = {node}, [node]
    while pending:
        for before in nodes[pending.pop()].inputs:
            if before == source:
                return True
            if before > source and before not in found:
                found.add(before)
                pending.append(before)
    return False


def _is_plain(span: Span) -> bool:
    """Whether a place holds one number, or a list of them, which can be replaced by another."""
    return re.fullmatch(r"[0-9][0-9x_]*|\([0-9_, ]+\)", span.text) is not None


def _steps(count: Any, jump: int | Fraction) -> Any:
    """Input pixels over so many output positions; of an enlarged image, the whole ones."""
    return count * jump if isinstance(jump, int) else (count * jump.numerator) // jump.denominator


def _symbolic(*values: Any) -> bool:
    return not all(isinstance(value, (int, Fraction)) for value in values)



def exact(value: Any) -> Any:
    """A fraction that is whole is an int."""
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value



def first_line(span: Span) -> Span:
    """The first line of a span, so that a snippet stays short."""
    end = span.source.text.find("\n", span.start, span.stop)
    return span if end < 0 else Span(span.source, span.start, end)


def _agreeing_image(image: Shape, one: Shape, two: Shape) -> str | None:
    """The image as multiples of its open sides, `3x(16*H)x(16*W)`, for which two sizes are the same; None where there is none."""
    names = [str(side) for side in image if not known(side)]
    if not names or not all(name.isidentifier() for name in names):
        return None
    for factor in _FACTORS:
        larger_image = {name: factor * symbol(name) for name in names}
        if all(substitute(a, larger_image) == substitute(b, larger_image) for a, b in zip(one, two, strict=True)):
            return "x".join(str(side) if known(side) else f"({factor}*{side})" for side in image)
    return None
