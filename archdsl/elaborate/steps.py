"""Statements in order: steps with their repeats, labels and contracts; blocks called; `let`, `if`, `default`."""

from __future__ import annotations

from archdsl import syntax
from archdsl.arguments import end_of_arguments
from archdsl.budget import Budget
from archdsl.diagnostics import Fix, Related
from archdsl.elaborate.brackets import Brackets
from archdsl.elaborate.frame import Default, Frame, Namer, Placed, Stop
from archdsl.elaborate.layers import MOST_LAYERS
from archdsl.elaborate.origins import arithmetic, remedies, set_size, step_text, with_argument
from archdsl.names import Target, counted, free_names, is_a_layer, match_parameters
from archdsl.network import Alias, Image, Node
from archdsl.ops import LAYERS
from archdsl.ops.base import Shape, ShapeError, written
from archdsl.source import Source, Span
from archdsl.symbolic import Dim, known, symbol
from archdsl.values import (
    COPY,
    COPY_ALL,
    COPY_TOTAL,
    LOST,
    Scope,
    Value,
    ValueProblem,
    evaluate,
    shown,
    truth,
    whole,
)

DEEPEST = 200
"""Blocks that call each other."""

MOST_IDLE = 10_000
"""Steps that make no layer: a text of three lines can ask for a billion of them."""

UNKNOWN_TOTAL = 2**16
"""What `copy.total` is while the copies are counted: more than they are in any network, so that a rate stays one."""

MOST_SHAPES = 8
"""Shapes of one step that are noted: it has another in each call of its block, or copy of its repeat."""


_ALIAS = Alias()


class Steps(Brackets):
    """Runs bodies; what only a whole network has, its input and outputs, is the subclass's. A tensor is the index of its node; None is a tensor that an earlier error lost."""

    def __init__(self, source: Source, name: str) -> None:
        super().__init__(source)
        self.name = name
        self.taps: dict[str, int] = {}
        self.expectations: list[tuple[syntax.Expect, Scope]] = []
        self.label_spans: dict[str, Span] = {}
        self.resized = False  # whether the caller gave another input than the text's
        self.budget = Budget()
        self.idle = 0
        self.copies = 0  # of steps that say `copy.all` or `copy.total`
        self.total = UNKNOWN_TOTAL
        self.asked_total = False
        self.placed: dict[int, Placed] = {}  # by the step's identity

    def input(self, statement: syntax.Input, stream: int | None, frame: Frame) -> int | None:
        raise NotImplementedError

    def output(self, statement: syntax.Output, frame: Frame) -> None:
        raise NotImplementedError

    def steps_before_input(self, step: syntax.Step) -> None:
        raise NotImplementedError

    def sequence(self, body: syntax.Sequence, stream: int | None, frame: Frame, carry: str | None = None) -> int | None:
        """Run a body's statements on a tensor; `default` inside ends with the body."""
        defaults = frame.defaults
        stream = self.statements(body, stream, frame, carry)
        frame.defaults = defaults
        return stream

    def statements(self, body: syntax.Sequence, stream: int | None, frame: Frame, carry: str | None) -> int | None:
        for statement in body.statements:
            kind = type(statement)
            if kind is syntax.Step:
                stream = self.step(statement, stream, frame, carry)  # type: ignore[arg-type]
            elif kind is syntax.Let:
                value = self.value(statement.value, frame.scope, frame)  # type: ignore[attr-defined]
                frame.variables[statement.name.name] = LOST if value is None else value  # type: ignore[attr-defined]
            elif kind is syntax.If:
                stream = self.branch_on(statement, stream, frame, carry)  # type: ignore[arg-type]
            elif kind is syntax.Default:
                self.default(statement, frame)  # type: ignore[arg-type]
            elif kind is syntax.Input:
                stream = self.input(statement, stream, frame)  # type: ignore[arg-type]
            elif kind is syntax.Output:
                self.output(statement, frame)  # type: ignore[arg-type]
            elif kind is syntax.Expect and frame.is_arch and not frame.calls:
                self.expectations.append((statement, frame.scope))  # type: ignore[arg-type]
        return stream

    def branch_on(self, statement: syntax.If, stream: int | None, frame: Frame, carry: str | None) -> int | None:
        try:
            for arm in statement.arms:
                if truth(arm.condition, frame.scope):
                    return self.statements(arm.body, stream, frame, carry)
        except ValueProblem as problem:
            self.value_problem(problem, frame)
            return None
        if statement.otherwise is not None:
            return self.statements(statement.otherwise, stream, frame, carry)
        return stream

    def default(self, statement: syntax.Default, frame: Frame) -> None:
        layer = LAYERS.get(statement.op.name)
        if layer is None:
            return
        fields = dict(frame.defaults.get(statement.op.name, {}))
        for name, argument in self.named(layer, statement.arguments):
            value = self.value(argument.value, frame.scope, frame)
            if value is not None:
                fields[name] = Default(value, argument.value.span)
        frame.defaults = {**frame.defaults, statement.op.name: fields}
        self._kept.append(frame.defaults)

    def dims(self, literal: syntax.ShapeLiteral, frame: Frame, *, symbols: bool) -> Shape | None:
        """A shape's sizes. symbols: a name without a value becomes one."""
        sizes: list[Dim | None] = []
        variables = frame.variables
        for dim in literal.dims:
            if symbols and not isinstance(dim, syntax.Number):
                for name in free_names(dim):
                    variables.setdefault(name, symbol(name))
            if isinstance(dim, syntax.Wildcard):
                sizes.append(None)
            else:
                size = self.whole(dim, frame, "a size")
                if size is None:
                    return None
                sizes.append(size)
        return tuple(sizes)  # type: ignore[arg-type]

    def step(self, step: syntax.Step, stream: int | None, frame: Frame, carry: str | None = None) -> int | None:
        target = self.target(step, frame)
        start, entered = len(self.nodes), stream
        if target is None:
            result = None
        elif target.kind == "tensor":
            result = self.labelled(step.head, frame)  # type: ignore[arg-type]
        elif not self.nodes:
            self.steps_before_input(step)
            result = None
        elif step.repeat is not None:
            result = self.repeat(step, target, stream, frame, carry)
        else:
            before = stream
            own = target.kind in ("layer", "block") or (target.kind == "group" and step.label is not None)
            result = self.once(step, target, stream, frame, self.name_of(step, frame) if own else "", step.stride)
            if carry is not None:
                frame.tensors[carry] = before
        if result is not None:
            self.place(step, start, entered, result)
        if step.contract is not None:
            result = self.contract(step, result, frame)
        if step.label is not None:
            self.label_spans.setdefault(step.label.name, step.label.span)
        head = target is not None and target.combinator is not None and target.combinator.arch_only
        if step.label is not None and not head:  # a head's label names the head, which do_aux has noted
            frame.tensors[step.label.name] = result
            if frame.is_arch and not frame.calls and result is not None and frame.namer.prefix == "":
                self.taps[step.label.name] = result
        return result

    def place(self, step: syntax.Step, start: int, entered: int | None, result: int) -> None:
        """Note what a step became."""
        shape = self.nodes[result].shape
        placed = self.placed.get(id(step))
        if placed is None:
            self.placed[id(step)] = Placed(step, start, len(self.nodes), entered, result, [shape])
        elif shape not in placed.shapes and len(placed.shapes) < MOST_SHAPES:
            placed.shapes.append(shape)

    def repeat(
        self, step: syntax.Step, target: Target, stream: int | None, frame: Frame, carry: str | None
    ) -> int | None:
        """N copies in sequence. Each copy that is not one layer is a module of its own, numbered within the repeat's."""
        repeat = step.repeat
        assert repeat is not None
        count = self.whole(repeat.count, frame, "a number of copies")
        if count is None:
            return None
        if not known(count):
            self.problem("A206", f"the number of copies, {count}, is not known", repeat.span, frame)
            return None
        if count < 0 or count == 0 and isinstance(repeat.count, syntax.Number):
            self.problem("A105", f"a step can't be repeated {count} times", repeat.span, frame, hint="x1 is the least")
            return None
        outside = frame.variables.pop(COPY, None)  # that of a repeat around this one
        around = frame.variables.pop(COPY_ALL, None)
        if stream is None:
            count = min(count, 1)  # nothing can be inferred: look for other mistakes once
        elif len(self.nodes) + count * self.least_layers(step, target, stream, frame) > MOST_LAYERS:
            self.too_many(repeat.span, frame)
        name = self.name_of(step, frame)
        title = f"{self.title(step, frame, step.stride)} x{count}" if stream is not None else ""
        outer, self.children = self.children, []
        start, entered = len(self.nodes), stream
        inner = frame.inside(namer=Namer(frame.namer.path(name), None))
        for index in range(count):
            stride = step.stride
            if index == 0 and repeat.stride is not None:
                stride = repeat.stride
            before = stream
            frame.variables[COPY] = index
            stream = self.once(step, target, stream, inner, str(index), stride, copy=True)
            if carry is not None:
                frame.tensors[carry] = before
            if stream is None and entered is not None:
                break
        if outside is None:
            frame.variables.pop(COPY, None)
        else:
            frame.variables[COPY] = outside
        if around is not None:
            frame.variables[COPY_ALL] = around
        if stream is not None and entered is not None:
            if repeat.stride is not None:
                title += f"/{shown(self.whole(repeat.stride, frame, 'a stride'))}"
            outer.append(self.region("repeat", name, title, start, entered, stream, step, tuple(self.children)))
        self.children = outer
        return stream

    def least_layers(self, step: syntax.Step, target: Target, stream: int, frame: Frame) -> int:
        """Layers that one copy of a step makes, at least."""
        incoming = self.nodes[stream].shape
        return self.budget.least(step, target, frame.module, frame.variables, incoming, frame.incoming)

    def once(
        self,
        step: syntax.Step,
        target: Target,
        stream: int | None,
        frame: Frame,
        name: str,
        stride: syntax.Expr | None,
        copy: bool = False,
    ) -> int | None:
        """One copy of a step. copy: inside a repeat, so even a bracketed step becomes a module."""
        before = len(self.nodes)
        said = counted(step)
        around = {key: frame.variables.get(key) for key in (COPY_ALL, COPY_TOTAL)} if said else {}
        if said:
            frame.variables |= {COPY_ALL: self.copies, COPY_TOTAL: self.total}
            self.copies += 1
            self.asked_total |= COPY_TOTAL in said
        result = self.one_copy(step, target, stream, frame, name, stride, copy)
        for key, value in around.items():
            if value is None:
                del frame.variables[key]
            else:
                frame.variables[key] = value
        if len(self.nodes) == before and stream is not None:
            self.idle += 1
            if self.idle > MOST_IDLE:
                self.problem(
                    "A304",
                    f"more than {MOST_IDLE:,} steps of this network make no layer",
                    step.span,
                    frame,
                    hint="a repeat or a block runs on without adding anything",
                )
                raise Stop
        return result

    def one_copy(
        self,
        step: syntax.Step,
        target: Target,
        stream: int | None,
        frame: Frame,
        name: str,
        stride: syntax.Expr | None,
        copy: bool,
    ) -> int | None:
        if target.kind == "layer":
            return self.layer(step, target, stream, frame, name, stride)
        if target.kind == "block":
            return self.call(step, target, stream, frame, name, stride)
        if not copy and not (target.kind == "group" and step.label is not None):
            return self.bracketed(step, target, stream, frame)
        # A bracketed step that is a module of its own: its labels are its own too.
        outer, self.children = self.children, []
        start = len(self.nodes)
        namer = Namer(frame.namer.path(name), step.body if isinstance(step.body, syntax.Sequence) else None)
        inside = frame.inside(namer=namer, tensors=dict(frame.tensors))
        result = self.bracketed(step, target, stream, inside)
        if result is not None and stream is not None:
            title = self.title(step, frame, None)
            outer.append(self.region("group", name, title, start, stream, result, step, tuple(self.children)))
        self.children = outer
        return result

    def bracketed(self, step: syntax.Step, target: Target, stream: int | None, frame: Frame) -> int | None:
        """A merge, a combinator or a group, within the module of the frame."""
        if target.kind == "group":
            assert isinstance(step.body, syntax.Sequence)
            return self.sequence(step.body, stream, frame)
        if target.kind == "merge":
            return self.merge(step, target, stream, frame)
        return getattr(self, "do_" + target.combinator.name)(step, target, stream, frame)

    def contract(self, step: syntax.Step, result: int | None, frame: Frame) -> int | None:
        """Compare what a step gives with what its author wrote after `->`."""
        literal = step.contract
        assert literal is not None
        if is_a_layer(literal.span.text) and literal.span.text not in frame.scope.variables:  # told already
            return result
        wanted = self.dims(literal, frame, symbols=False)
        if wanted is None:
            return result
        if len(wanted) not in (1, 3):  # told already, and not what it should be
            if result is None or self.resized:
                return result
            if len(wanted) == 2 and len(self.nodes[result].shape) == 3:
                wanted = (None, *wanted)  # type: ignore[assignment]
        if self.resized and len(wanted) == 3:  # heights and widths are the paper's, for the paper's input
            wanted = (wanted[0], None, None)  # type: ignore[assignment]
        if result is None:
            if None in wanted or not self.nodes:
                return None
            # The author says what is here, so what follows can be checked even though what came before is wrong.
            self.nodes.append(Node(op=Image(), name="", inputs=(), shape=wanted, span=literal.span))
            return len(self.nodes) - 1
        shape = self.nodes[result].shape
        agrees = len(shape) == len(wanted) and all(w is None or w == s for w, s in zip(wanted, shape, strict=True))
        if agrees and len(literal.dims) == 2:
            gives = written(shape)
            fix = Fix(literal.span, gives, f"write `-> {gives}`")
            message = f"this step gives {gives}, and `{literal.span.text}` lacks the channels"
            self.problem("A203", message, literal.span, frame, label="2 dims of three", fix=fix)
        if agrees:
            return result
        self.broken_contract(step, literal, wanted, result, frame)
        return None  # the next contract finds the stream again, so that one mistake is not told at each

    def broken_contract(
        self, step: syntax.Step, literal: syntax.ShapeLiteral, wanted: Shape, result: int, frame: Frame
    ) -> None:
        """A contract that does not hold: how the size came about, and what would have given the one wanted."""
        nodes, shape = self.nodes, self.nodes[result].shape
        gives = written(shape)
        here = step.head.span if step.head is not None else Span(step.span.source, step.span.start, step.span.start + 1)
        related = [Related(here, f"gives {gives}")]
        notes, hint = [], f"if the contract is the mistake, write `-> {gives}`"
        fix: Fix | None = None
        if len(shape) != len(wanted):
            kinds = {1: "a vector, which has one size", 3: "an image, which has three"}
            notes.append(f"what comes out is {kinds[len(shape)]}")
        elif len(shape) == 3 and any(w is not None and w != s for w, s in zip(wanted[1:], shape[1:], strict=True)):
            at = self.window_of(step, result)
            maker = self.made_by.get(at)
            how = arithmetic(nodes, at)
            if maker is not None and how:
                notes.append(f"`{step_text(maker)}`: {how}")
                if maker is not step and maker.head is not None and maker.span.source is literal.span.source:
                    related.append(Related(maker.head.span, f"makes it {written(shape[1:])}"))
                fix = self.other_size(at, maker, wanted)
        elif not frame.calls and isinstance(step.width, syntax.Number) and wanted[0] is not None and known(wanted[0]):
            head = step.head.name if isinstance(step.head, syntax.Name) else ""
            fix = Fix(step.width.span, str(wanted[0]), f"write `{head}-{wanted[0]}`")
        if fix is None:
            hint, fix = "", Fix(literal.span, gives, f"write `-> {gives}` if that is what you want")
        self.problem(
            "A203",
            f"this step gives {gives}, not {literal.span.text}",
            literal.span,
            frame,
            label="the shape it should have",
            related=tuple(related),
            notes=tuple(notes),
            hint=hint,
            fix=fix,
        )

    def window_of(self, step: syntax.Step, result: int) -> int:
        """The node that set the size of a step's result; where it kept its input's, the step's own window."""
        at = set_size(self.nodes, result)
        index = result
        while self.made_by.get(at) is not step and self.made_by.get(index) is step:
            if arithmetic(self.nodes, index):
                return index
            index = self.nodes[index].inputs[0]
        return at

    def other_size(self, at: int, maker: syntax.Step, wanted: Shape) -> Fix | None:
        """The edit of the step that set a size which makes it the wanted one, if one argument can."""
        if maker.span.source is not self.source:
            return None
        node = self.nodes[at]
        for field, text in remedies(node.op, self.nodes[node.inputs[0]].shape, wanted[1:]):
            found = with_argument(maker, field, text)
            if found is not None:
                fix, then = found
                return Fix(fix.span, fix.text, f"`{then}` would give {written(wanted[1:])}")
        return None

    def call(
        self, step: syntax.Step, target: Target, stream: int | None, frame: Frame, name: str, stride: syntax.Expr | None
    ) -> int | None:
        definition, module = target.definition, target.module
        assert definition is not None and module is not None and isinstance(step.head, syntax.Name)
        if frame.depth >= DEEPEST:
            self.problem(
                "A303",
                f"blocks call each other more than {DEEPEST} deep",
                step.head.span,
                frame,
                related=(Related(definition.name.span, "this block"),),
                hint=_stop_of(definition),
            )
            raise Stop
        incoming = self.nodes[stream].shape if stream is not None else None
        bound = self.bind(step, definition, frame, stride, incoming)
        if bound is None or stream is None:
            return None
        if target.elsewhere is not None and len(self.nodes[stream].shape) == 1:
            self.misread(step, target, stream, frame)
            return None
        variables, tensors, missing = bound
        if missing:
            return None
        given: set[int | None] = {stream}
        aliases: dict[int | None, int] = {}
        for parameter, tensor in tensors.items():
            if tensor in given:
                path = frame.namer.path(f"{name}.{parameter}")
                tensors[parameter] = self.add(_ALIAS, (tensor,), path, step, frame)  # type: ignore[arg-type]
                aliases[tensors[parameter]] = tensor  # type: ignore[assignment]
            given.add(tensors[parameter])
        outer, self.children = self.children, []
        start = len(self.nodes)
        if not frame.calls and start + self.least_layers(step, target, stream, frame) > MOST_LAYERS:
            self.too_many(step.head.span, frame)
        inner = Frame(
            module=module,
            variables=dict(variables),
            tensors=tensors,
            incoming=incoming,
            defaults=frame.defaults,
            namer=Namer(frame.namer.path(name), definition.body),
            depth=frame.depth + 1,
            calls=(*frame.calls, step.head.span),
            is_arch=False,
            block=definition.name.name,
        )
        result = self.sequence(definition.body, stream, inner)
        result = aliases.get(result, result)  # outside the block the tensor has its own name
        if result is not None:
            title = self.title(step, frame, stride)
            outer.append(
                self.region(
                    "block",
                    name,
                    title,
                    start,
                    stream,
                    result,
                    step,
                    tuple(self.children),
                    block=definition.name.name,
                    arguments=tuple(variables.items()),
                    parameters=tuple(p.name.name for p in definition.parameters if p.tensor),
                )
            )
        self.children = outer
        return result

    def misread(self, step: syntax.Step, target: Target, stream: int, frame: Frame) -> None:
        """`flatten; dense(10)`, where Keras's Dense is meant."""
        span, layer = step.head.span, target.elsewhere  # type: ignore[union-attr]
        here = f"{layer}-{step.arguments[0].value.span.text}" if step.arguments and len(step.arguments) == 1 else f"{layer}-10"
        whole = Span(span.source, span.start, end_of_arguments(step))
        error = ShapeError("", code="A204")
        self.problem(
            "A204",
            f"`{span.text}` is DenseNet's layer and takes an image, and a vector of {written(self.nodes[stream].shape)} comes in",
            span,
            frame,
            related=(self.origin(error, stream),),
            hint=f"a fully connected layer is `{here}`",
            fix=Fix(whole, here, f"a fully connected layer is `{here}`") if step.arguments else None,
        )

    def bind(
        self,
        step: syntax.Step,
        definition: syntax.Definition,
        frame: Frame,
        stride: syntax.Expr | None,
        incoming: Shape | None,
    ) -> tuple[dict[str, Value], dict[str, int | None], bool] | None:
        """A call's variables and tensors; None where an argument is wrong, missing=True where a tensor is lost.

        incoming: what `in` is in the block, and so in its parameters' defaults."""
        taken = match_parameters(definition, step.arguments or ())
        variables: dict[str, Value] = {}
        tensors: dict[str, int | None] = {}
        missing = False
        for parameter in definition.parameters:
            name = parameter.name.name
            argument = taken.get(name)
            if parameter.tensor:
                if argument is None or not isinstance(argument.value, syntax.Reference):
                    return None
                tensors[name] = self.labelled(argument.value, frame)
                missing |= tensors[name] is None
                continue
            try:
                if argument is not None:
                    variables[name] = evaluate(argument.value, frame.scope)
                elif name == "s" and stride is not None:
                    variables[name] = whole(stride, frame.scope, "a stride")
                elif parameter.default is not None:
                    variables[name] = evaluate(parameter.default, Scope(variables, incoming))
                else:
                    return None
            except ValueProblem as problem:
                self.value_problem(problem, frame)
                return None
        return variables, tensors, missing


def _stop_of(definition: syntax.Definition) -> str:
    """How a block that calls itself could end."""
    numbers = [p.name.name for p in definition.parameters if not p.tensor]
    case = f"if {numbers[0]} > 1 {{ ... }}" if numbers else "if n > 1 { ... }, with a parameter n"
    return f"give `{definition.name.name}` an end: put the steps that call it in `{case}`"
