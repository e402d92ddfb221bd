"""Steps over brackets: merges, `residual` with its shortcuts, `aux`, `carry`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from archdsl import syntax
from archdsl.diagnostics import Fix, Related
from archdsl.elaborate.frame import Frame, Namer
from archdsl.elaborate.layers import Layers, exact, first_line, part_names, plain
from archdsl.elaborate.origins import arithmetic, remedies, set_size, step_text, with_argument
from archdsl.names import Target
from archdsl.network import Output, Region
from archdsl.ops import LAYERS
from archdsl.ops.base import Op, Shape, written
from archdsl.source import Source, Span
from archdsl.symbolic import Dim, known
from archdsl.values import Value, Word


class Brackets(Layers):
    """Merges and combinators. `sequence`, which runs a body, is the subclass's."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.outputs: list[Output] = []

    def sequence(
        self, body: syntax.Sequence, stream: int | None, frame: Frame, carry: str | None = None
    ) -> int | None:
        raise NotImplementedError

    def labelled(self, reference: syntax.Reference, frame: Frame) -> int | None:
        """The tensor that `@name` stands for; None for one that an error lost."""
        label = reference.label
        if label in frame.tensors:
            return frame.tensors[label]
        # Names are known to exist: the label is a side head's, or its step was not among those taken.
        message = f"nothing is labelled `{label}` here: the `if` that would label it was not taken"
        hint = "label a step that is always there, or use the label inside the same `if`"
        related: tuple[Related, ...] = ()
        aside = next((o for o in self.outputs if o.aux and o.name == label), None)
        if aside is not None:
            message = f"`{label}` names an output that `aux` makes, and no step goes on from that"
            hint = "label the step before the `aux`, and start from that"
            related = (Related(first_line(aside.span), "the output"),)
        self.problem(
            "A107", message, reference.span, frame, label="no such tensor here", related=related, hint=hint
        )
        return None

    def name_of(self, step: syntax.Step, frame: Frame) -> str:
        """The attribute that a step becomes: its label, or its kind and number."""
        if step.label is not None:
            return step.label.name
        head = step.head
        if head is None:
            return frame.namer.fresh("group")
        target = self._targets[id(step)]
        if target is not None and target.kind == "layer":
            return frame.namer.fresh(target.layer.syntax)  # type: ignore[union-attr]
        return frame.namer.fresh(head.name)  # type: ignore[union-attr]

    def branch(self, body: syntax.Sequence, stream: int | None, frame: Frame) -> int | None:
        """One branch; a region of its own within the merge's."""
        outer, self.children = self.children, []
        start = len(self.nodes)
        result = self.sequence(body, stream, frame)
        if result is not None and stream is not None:
            outer.append(
                Region(
                    kind="branch",
                    name="",
                    title="branch",
                    start=start,
                    stop=len(self.nodes),
                    inputs=(stream,),
                    output=result,
                    children=tuple(self.children),
                    span=body.span,
                )
            )
        self.children = outer
        return result

    def merge(self, step: syntax.Step, target: Target, stream: int | None, frame: Frame) -> int | None:
        assert isinstance(step.body, syntax.Branches) and target.layer is not None
        ops = self.ops_of(step, target, frame, None)
        outer, self.children = self.children, []
        start = len(self.nodes)
        results = [self.branch(body, stream, frame) for body in step.body.branches]
        labelled = step.label is not None and step.repeat is None  # a repeat's label is the repeat's
        name = frame.namer.path(step.label.name if labelled else frame.namer.fresh(target.layer.syntax))  # type: ignore
        result = None
        if ops is not None and stream is not None and None not in results:
            inputs = [r for r in results if r is not None]
            if target.layer.arity is not None:
                inputs.append(stream)  # a gate also reads what came in
            result = self.add(
                ops[0], tuple(inputs), name, step, frame, tuple(b.span for b in step.body.branches)
            )
        if result is not None and stream is not None:
            title = self.title(step, frame, None)
            outer.append(self.region("merge", "", title, start, stream, result, step, tuple(self.children)))
        self.children = outer
        return result

    def options(self, step: syntax.Step, target: Target, frame: Frame) -> Any:
        """A combinator's validated options, or None once the reason has been told."""
        values: dict[str, Value] = {}
        spans: dict[str, Span] = {}
        position = 0
        for argument in step.arguments or ():
            if argument.name is not None:
                name = argument.name.name
            else:
                name = (*target.combinator.positional, "", "")[
                    min(position, len(target.combinator.positional))
                ]
                position += 1
            value = self.value(argument.value, frame.scope, frame)
            if value is None:
                return None
            if name in target.combinator.options.model_fields:
                values[name], spans[name] = value, argument.value.span
        try:
            return target.combinator.options(**plain(values))
        except ValidationError as error:
            for item in error.errors(include_url=False):
                self.argument_problem(target.combinator.options, item, values, spans, step.head.span, frame)  # type: ignore[union-attr]
            return None

    def do_residual(self, step: syntax.Step, target: Target, stream: int | None, frame: Frame) -> int | None:
        options = self.options(step, target, frame)
        outer, self.children = self.children, []
        start = len(self.nodes)
        body = self.sequence(step.body, stream, frame)  # type: ignore[arg-type]
        result = None
        if options is not None and stream is not None and body is not None:
            name = (
                frame.namer.reserve("shortcut") if options.shortcut in ("auto", "pad", "projection") else ""
            )
            # Named even where the rate is 0 or nothing is skipped, so that a block's instances share a class.
            drop = frame.namer.fresh("droppath") if "drop_path" in options.model_fields_set else ""
            result = self.shortcut(step, options, stream, body, frame, name, drop)
            if result is not None and (result != body or body != stream):
                title = self.title(step, frame, None)
                children = tuple(self.children)
                self.children = []
                names: tuple[tuple[str, Any], ...] = ()
                if name:
                    names = (("shortcut", name), ("signature", self.signature(step, options.shortcut, body, frame)))
                if options.shortcut == "match":
                    names = (("skip", (frame.namer.reserve("skip"), result != body)),)
                if drop:
                    names = (*names, ("drop", drop))
                outer.append(
                    self.region("residual", "", title, start, stream, result, step, children, arguments=names)
                )
        outer.extend(self.children)  # of a residual that failed
        self.children = outer
        return result

    def signature(
        self, step: syntax.Step, how: str, body: int, frame: Frame
    ) -> tuple[str, ...]:
        """What kind of shortcut this is, or would be where shapes agree: instances of a block share a class only where
        that is the same."""
        if how == "pad":
            return ("pad",)
        shape = self.nodes[body].shape
        ops = self.projection(shape[0], (1, 1), step, frame) if len(shape) == 3 else ()
        return tuple(f"{op.syntax} {op.model_copy(update={'channels': 0}) if op.syntax == 'conv' else op}" for op in ops or ())

    def shortcut(
        self, step: syntax.Step, options: Any, stream: int, body: int, frame: Frame, name: str, drop: str
    ) -> int | None:
        """F(x) + shortcut(x). name, drop: what the shortcut's and the drop path's members are called.

        The shortcut is the identity where the body keeps the channels and has no stride: what a network's weights are
        must not depend on the size of its input, and a stride on a single pixel changes no shape.
        """
        came, left = self.nodes[stream].shape, self.nodes[body].shape
        agree = came[0] == left[0] and len(came) == len(left) and self.strides(stream, body) == (1, 1)
        if options.shortcut == "match" and not (agree and came == left):
            return body
        if agree and came != left:
            agree = False
            if options.shortcut in ("auto", "pad"):
                self.cannot_match(step, stream, body, frame, asked=options.shortcut)
                return None
        if options.scale != 1.0:
            body = self.part(_layer("scale", factor=options.scale), body, "scale", step, frame)  # type: ignore[assignment]
        if options.drop_path:
            dropping = _layer("droppath", ratio=options.drop_path)
            body = self.inserted((dropping,), body, drop, "droppath", step, frame)  # type: ignore[assignment]
        skip: int | None = stream
        if options.shortcut == "projection" or options.shortcut in ("auto", "pad") and not agree:
            skip = self.adapt(step, options.shortcut, stream, body, frame, name)
        elif not agree:
            self.cannot_match(step, stream, body, frame, asked=options.shortcut)
            return None
        if skip is None or body is None:
            return None
        path = frame.namer.path(frame.namer.fresh("add"))
        return self.add(_ADD, (body, skip), path, step, frame)

    def strides(self, stream: int, body: int) -> tuple[Any, ...]:
        """Effective strides between two tensors."""
        before, after = self.nodes[stream].jump, self.nodes[body].jump
        return tuple(exact(Fraction(a) / Fraction(b)) for a, b in zip(after, before, strict=True))

    def part(self, op: Op, source: int, name: str, step: syntax.Step, frame: Frame) -> int | None:
        """One inserted layer that the author did not write by name."""
        return self.inserted((op,), source, frame.namer.fresh(name), name, step, frame)

    def inserted(
        self, ops: tuple[Op, ...], source: int, name: str, title: str, step: syntax.Step, frame: Frame
    ) -> int | None:
        start = len(self.nodes)
        path = frame.namer.path(name)
        result: int | None = source
        for op, part in zip(ops, part_names(ops), strict=True):
            result = self.add(op, (result,), f"{path}.{part}" if part else path, step, frame)  # type: ignore[arg-type]
            if result is None:
                return None
        region = self.region("layer", name, title, start, source, result, step)  # type: ignore[arg-type]
        self.children.append(region)
        return result

    def adapt(
        self, step: syntax.Step, how: str, stream: int, body: int, frame: Frame, name: str
    ) -> int | None:
        """A shortcut that gives the body's shape: a 1x1 projection, or option A's subsampling and zero channels."""
        came, left = self.nodes[stream].shape, self.nodes[body].shape
        strides = self.strides(stream, body)
        if len(came) != 3 or len(left) != 3:
            self.cannot_match(
                step, stream, body, frame, "a shortcut joins images, and one of them is a vector"
            )
            return None
        if not all(isinstance(s, int) for s in strides):
            self.cannot_match(
                step, stream, body, frame, "the body enlarges the image, and a shortcut can only shrink it"
            )
            return None
        reached = (left[0], *((size - 1) // s + 1 for size, s in zip(came[1:], strides, strict=True)))
        if reached != left:
            notes = [
                f"{axis}: a shortcut with stride {s} gives ({size} - 1) // {s} + 1 = {got}, the body gives {end}"
                for axis, size, s, got, end in zip(
                    ("height", "width"), came[1:], strides, reached[1:], left[1:], strict=True
                )
                if got != end
            ]
            if len(notes) == 2 and notes[0].removeprefix("height") == notes[1].removeprefix("width"):
                notes = [f"height and width{notes[1].removeprefix('width')}"]
            self.cannot_match(
                step, stream, body, frame, *(notes if strides != (1, 1) else ()), reached=reached[1:]
            )
            return None
        if how == "pad":
            ops = self.option_a(step, stream, body, strides, frame)
        else:
            ops = self.projection(left[0], strides, step, frame)
        if ops is None:
            return None
        stride = "" if strides == (1, 1) else f"/{strides[0]}"
        title = (
            f"shortcut: conv1-{left[0]}{stride}" if how != "pad" else f"shortcut: pad to {left[0]}{stride}"
        )
        return self.inserted(ops, stream, name, title, step, frame)

    def option_a(
        self, step: syntax.Step, stream: int, body: int, strides: tuple[Any, ...], frame: Frame
    ) -> tuple[Op, ...] | None:
        came, left = self.nodes[stream].shape, self.nodes[body].shape
        if not (known(came[0]) and known(left[0]) and left[0] >= came[0]):
            note = "shortcut=pad adds zero channels and can't take any away"
            self.cannot_match(step, stream, body, frame, note, asked="pad")
            return None
        return (_layer("pad", channels=left[0], stride=strides),)

    def projection(
        self, channels: Dim, strides: tuple[Any, ...], step: syntax.Step, frame: Frame
    ) -> tuple[Op, ...] | None:
        """The shortcut's 1x1: normalized as every conv here, never activated; bare where norms come first."""
        key = ("projection", channels, strides, id(frame.defaults))
        if key not in self._ops:
            spans: dict[str, Span] = {}
            given = {
                "kernel": 1,
                "channels": channels,
                "stride": strides,
                "padding": 0,
                "act": Word("none"),
                "groups": 1,
                "dilation": 1,
            }
            order = frame.defaults.get("conv", {}).get("order")
            if order is not None and order.value == "pre":
                given["norm"] = Word("none")
            spans = dict.fromkeys(given, step.span)
            self._ops[key] = self.build(LAYERS["conv"], given, spans, step, frame)
        return self._ops[key]

    def cannot_match(
        self,
        step: syntax.Step,
        stream: int,
        body: int,
        frame: Frame,
        *notes: str,
        asked: str = "",
        reached: Shape = (),
    ) -> None:
        """A shortcut that can't bring its input to the body's shape: both shapes, and the step that parts them."""
        nodes = self.nodes
        came, left = nodes[stream].shape, nodes[body].shape
        found, fix = list(notes), None
        reached = reached or came[1:]
        hint = "keep the size inside with p=same, or write both ways out: `add [ ... | ... ]`"
        at = set_size(nodes, body)
        maker = self.made_by.get(at)
        if maker is not None and at > stream and came[1:] != left[1:] and arithmetic(nodes, at):
            found.insert(0, f"`{step_text(maker)}`: {arithmetic(nodes, at)}")
            same = bool(reached) and next(
                remedies(nodes[at].op, nodes[nodes[at].inputs[0]].shape, reached), None
            )
            edit = with_argument(maker, *same) if same else None
            if edit is not None and maker.span.source is self.source:
                fix = Fix(edit[0].span, edit[0].text, f"`{edit[1]}` would give {written(reached)}")
        if asked in ("identity", "pad"):
            hint = f"shortcut={asked} needs {'equal shapes' if asked == 'identity' else 'as many channels or more'};"
            hint += " projection, a 1x1 conv, can change both"
            value = next(
                a.value for a in step.arguments or () if a.name is not None and a.name.name == "shortcut"
            )
            if value.span.source is self.source and value.span.text == asked:
                fix = Fix(value.span, "projection", "write `shortcut=projection`")
        places = [
            (nodes[stream].span, f"{written(came)} comes in"),
            (nodes[body].span, f"the body ends with {written(left)}"),
        ]
        self.problem(
            "A207",
            f"{written(came)} comes in and the body gives {written(left)}, so they can't be added",
            step.head.span,  # type: ignore[union-attr]
            frame,
            label="the two ways part here",
            related=tuple(Related(first_line(span), text) for span, text in places),
            notes=tuple(found),
            hint=hint if fix is None or asked in ("identity", "pad") else "",
            fix=fix,
        )

    def do_aux(self, step: syntax.Step, target: Target, stream: int | None, frame: Frame) -> int | None:
        options = self.options(step, target, frame)
        if frame.calls or options is None or stream is None:
            return stream  # an arch called as a step leaves its heads behind
        outer, self.children = self.children, []
        start = len(self.nodes)
        name = step.label.name if step.label is not None else frame.namer.fresh("aux")
        assert isinstance(step.body, syntax.Sequence)
        namer = Namer(frame.namer.path(name), step.body)
        inside = frame.inside(namer=namer, tensors=dict(frame.tensors), variables=dict(frame.variables))
        result = self.sequence(step.body, stream, inside)
        if result is not None and result != stream:
            title = self.title(step, frame, None)
            outer.append(self.region("aux", name, title, start, stream, result, step, tuple(self.children)))
            self.outputs.append(
                Output(name=name, node=result, aux=True, weight=options.weight, span=step.span)
            )
        elif result is not None:
            self.report("A117", "this head has no layers", step.span)
        self.children = outer
        return stream

    def do_carry(self, step: syntax.Step, target: Target, stream: int | None, frame: Frame) -> int | None:
        argument = (step.arguments or (None,))[0]
        if argument is None or argument.name is None or not isinstance(argument.value, syntax.Reference):
            return None
        name = argument.name.name
        inside = frame.inside(tensors={**frame.tensors, name: self.labelled(argument.value, frame)})
        result = self.sequence(step.body, stream, inside, carry=name)  # type: ignore[arg-type]
        for label, node in inside.tensors.items():
            if label != name and label not in frame.tensors:
                frame.tensors[label] = node
        return result


def _layer(name: str, **arguments: Any) -> Op:
    """A layer that the author did not write by name."""
    return LAYERS[name](**arguments)


_ADD = _layer("add")
