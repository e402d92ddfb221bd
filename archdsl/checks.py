"""Every name, argument and label of a file that stands for nothing, and every part that a step can't have.

`check_names` walks the whole file, definitions that nothing calls and branches that nothing takes included. Shapes
are not known here; `elaborate` finds what depends on them, and skips what was told here. One checker, in layers that
each add one concern: references, arguments, checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import ClassVar

from archdsl import syntax
from archdsl.arguments import Arguments, end_of_arguments
from archdsl.diagnostics import Diagnostic, Fix, Related, did_you_mean
from archdsl.modules import Module
from archdsl.names import (
    Target,
    branches_of,
    is_a_layer,
    names_in,
    parts_of,
    resolve,
    said_in_parentheses,
    signature,
)
from archdsl.ops import LAYERS
from archdsl.references import Binding, Enough, Names, replaced, without_parentheses
from archdsl.source import Span
from archdsl.values import COPY, function_called
from archdsl.words import argument_word, layer_word

FIGURES = ("params", "macs", "buffers", "total", "flops")
_NEAR = 80  # characters before a shape among which its arrow is looked for


def check_names(module: Module) -> list[Diagnostic]:
    """Every name of a file that stands for nothing, and every statement that stands where it can't."""
    return _walked(module).found


def bindings(module: Module) -> list[Binding]:
    """Every name of a file that stands for something, with the place where that was named."""
    return _walked(module).bindings


def _walked(module: Module) -> _Checker:
    checker = _Checker(module)
    try:
        for definition in module.definitions.values():
            checker.definition(definition)
        if module.loose:
            checker.body(module.loose, Names({}, {}, "arch"))
    except Enough:
        pass
    return checker


def _is_called_merge(step: syntax.Step, target: Target) -> bool:
    """`concat(a, b)`"""
    bare = target.kind == "merge" and not (step.width or step.stride or step.body)
    return bare and any(argument.name is None for argument in step.arguments or ())


def _index(step: syntax.Step, target: Target) -> str | None:
    """`classes` of `fc[classes]`."""
    if not target.has_width or step.width or step.stride or step.arguments or step.body is None:
        return None
    found = re.fullmatch(r"\[\s*([A-Za-z_]\w*)\s*\]", step.body.span.text)
    return found[1] if found and found[1] not in LAYERS else None


def _reads_as_a_step(value: syntax.Expr, names: Names) -> bool:
    """`conv1-32`, which is read as arithmetic inside parentheses, or `relu`."""
    found = re.match(r"([A-Za-z_]+)([0-9]+(?:x[0-9]+)?)?(?!\w)", value.span.text)
    if found is None or found[0] in names.variables or names.sees(found[0]):
        return False
    return found[0] in LAYERS or found[2] is not None and found[1] in LAYERS


def _without_its_at(step: syntax.Step, names: Names) -> Diagnostic | None:
    """`concat [ a | b ]`, where a label is called that."""
    head = step.head
    bare = not (step.width or step.stride or step.arguments or step.body)
    if not isinstance(head, syntax.Name) or not bare or not names.sees(head.name) or names.is_head(head.name):
        return None
    where = names.place(head.name)
    hint = f"write `@{head.name}`"
    return Diagnostic(
        code="A101",
        message=f"`{head.name}` is a label, and a step that starts from a labelled tensor has an @",
        span=head.span,
        label="no @ before it",
        related=(Related(where, f"`{head.name}` is labelled here"),) if where is not None else (),
        hint=hint,
        fix=Fix(head.span, f"@{head.name}", hint),
    )


class _Checker(Arguments):
    """Walks definitions, statements and steps."""

    def definition(self, definition: syntax.Definition) -> None:
        variables: dict[str, Span] = {}
        labels: dict[str, Span] = {}
        self.bound("definition", definition.name.span)
        for parameter in definition.parameters:
            name = parameter.name.name
            if name in variables or name in labels:
                self.report(
                    "A108",
                    f"`{name}` is a parameter twice",
                    parameter.name.span,
                    label="the second",
                    related=(
                        Related(
                            next(p.name.span for p in definition.parameters if p.name.name == name),
                            "the first",
                        ),
                    ),
                    hint="give one of them another name",
                )
            if parameter.default is not None:
                self.expression(parameter.default, Names(variables, {}, "", definition=definition), word=True)
                if isinstance(definition, syntax.Arch):
                    self.nothing_comes_in(parameter.default)
            self.defines(name, parameter.name.span)
            self.bound("label" if parameter.tensor else "variable", parameter.name.span)
            if parameter.tensor:
                labels[name] = parameter.name.span
                if isinstance(definition, syntax.Arch):
                    self.report(
                        "A013",
                        "an arch takes no tensors",
                        parameter.span,
                        hint="make it a block, or let the arch's `input` bring the tensor",
                    )
            else:
                variables.setdefault(name, parameter.name.span)
        owner = "arch" if isinstance(definition, syntax.Arch) else "block"
        self.body(definition.body.statements, Names(variables, labels, owner, definition=definition))

    def nothing_comes_in(self, default: syntax.Expr) -> None:
        """An arch's parameters are set before its input is known."""
        stack = [default]
        while stack:
            expr = stack.pop()
            stack.extend(parts_of(expr))
            if isinstance(expr, syntax.Member) and expr.base.name == "in":
                self.report(
                    "A106",
                    f"`{expr.span.text}` is not known where an arch's parameters are set",
                    expr.span,
                    label="nothing has come in yet",
                    hint="set it after the `input`: `let w = in.c // 2`; only a block's parameters can use `in`",
                )

    def body(self, statements: Iterable[syntax.Statement], names: Names) -> None:
        for statement in statements:
            visit = self.statements.get(type(statement))
            if visit is not None:  # use, block and arch inside a body: the parser has said so
                visit(self, statement, names)

    # ---- statements ----

    def default(self, statement: syntax.Default, names: Names) -> None:
        name = statement.op.name
        layer = LAYERS.get(name)
        if layer is None:
            near = layer_word(name) or did_you_mean(name, LAYERS)
            near = near if near in LAYERS else None
            self.report(
                "A101",
                f"there is no layer called `{name}` to set defaults for",
                statement.op.span,
                hint=f"did you mean `{near}`?"
                if near
                else "defaults belong to layers: `default conv(norm=bn, act=relu)`",
                fix=replaced(statement.op.span, near),
            )
            return
        self.layer_arguments(layer, name, statement.arguments, names, None)

    def let(self, statement: syntax.Let, names: Names) -> None:
        self.expression(statement.value, names, word=True)
        name = statement.name.name
        if name in names.variables:
            self.report(
                "A108",
                f"`{name}` already has a value here",
                statement.name.span,
                hint="values don't change: give the new one a name of its own",
            )
        self.defines(name, statement.name.span)
        self.bound("variable", statement.name.span)
        names.variables[name] = statement.name.span

    def if_(self, statement: syntax.If, names: Names) -> None:
        before = dict(names.variables)
        after = dict(before)
        for body in (*(arm.body for arm in statement.arms), statement.otherwise):
            if body is None:
                continue
            names.variables = dict(before)  # each arm may `let` the same name: only one is taken
            self.body(body.statements, names)
            for name, place in names.variables.items():
                if after.setdefault(name, place) is not place and name not in before:
                    self.bound("variable", place, after[name])  # one name, whichever arm is taken
        names.variables = after
        for arm in statement.arms:
            self.expression(arm.condition, Names(before, {}, "", definition=names.definition))

    def input(self, statement: syntax.Input, names: Names) -> None:
        if names.owner == "block":
            self.report(
                "A013",
                "a block has no `input` of its own",
                statement.span,
                label="a block takes what comes in",
                hint="remove it: inside a block `in.c`, `in.h` and `in.w` are the sizes that come in",
            )
        for dim in statement.shape.dims:
            if isinstance(dim, syntax.Wildcard):
                self.report(
                    "A106",
                    "the input's size can't be left open with `_`",
                    dim.span,
                    hint="give the size a name, as in `input 3xHxW`: shapes are then worked out in H and W",
                )
            else:
                for name in names_in(dim):
                    self.defines(name.name, dim.span)
                    place = without_parentheses(name.span, name.name)
                    self.bound("variable", place, names.variables.setdefault(name.name, place))

    def output(self, statement: syntax.Output, names: Names) -> None:
        if names.owner == "block":
            self.report(
                "A013",
                "a block has one output, its last tensor",
                statement.span,
                hint="remove it: `output` belongs in an arch",
            )
        for reference in statement.references:
            self.reference(reference, names)

    def expect(self, statement: syntax.Expect, names: Names) -> None:
        for argument in statement.arguments:
            if argument.name is None:
                self.report(
                    "A102",
                    "an expected figure needs its name",
                    argument.span,
                    hint="write which figure it is: `expect(params=138_357_544)`",
                )
            elif argument.name.name not in FIGURES:
                wrong = argument.name.name
                near = argument_word(wrong, FIGURES) or did_you_mean(wrong, FIGURES)
                self.report(
                    "A102",
                    f"`{wrong}` is not a figure that can be expected",
                    argument.name.span,
                    hint=f"did you mean `{near}`?" if near else f"these can: {', '.join(FIGURES)}",
                    fix=replaced(argument.name.span, near),
                )
            self.expression(argument.value, names)

    # ---- steps ----

    def step(self, step: syntax.Step, names: Names) -> None:
        if step.repeat is not None:
            self.expression(step.repeat.count, names)
            self.sized(step.repeat.stride, names)
            outside, names.variables = names.variables, names.variables | {COPY: step.repeat.span}
            self.one_step(step, names)
            names.variables = {n: s for n, s in names.variables.items() if n != COPY or n in outside}
        else:
            self.one_step(step, names)
        if step.contract is not None and is_a_layer(text := step.contract.span.text) and text not in names.variables:
            source, start = step.contract.span.source, step.contract.span.start
            near = source.text[max(start - _NEAR, 0) : start]
            arrow = Span(source, start - len(near) + len(near.rstrip().removesuffix("->").rstrip()), start)
            self.report(
                "A203",
                f"`->` states a shape, and `{text}` is a step",
                step.contract.span,
                label="not a shape",
                fix=Fix(arrow, "; ", "write `;` between two steps"),
            )
        elif step.contract is not None:
            if len(step.contract.dims) not in (1, 3):
                count = len(step.contract.dims)
                self.report(
                    "A203",
                    f"a shape has three dims or one, and this one has {count}",
                    step.contract.span,
                    label=f"{count} dims",
                    hint="write channels x height x width, such as 64x112x112, or the channels alone, such as 1000",
                )
            for dim in step.contract.dims:
                if not isinstance(dim, syntax.Wildcard):
                    self.expression(dim, names)

    def one_step(self, step: syntax.Step, names: Names) -> None:
        target = resolve(step.head, self.module)
        self.in_arguments = True
        if isinstance(target, Diagnostic):
            if target.code != "A101" or not self.missed(step.head.name, target.fix):  # type: ignore[union-attr]
                told = self.translated(step)
                self.found.append(_without_its_at(step, names) or told or target)
                self.enough()
                if told is not None and step.width is not None:
                    self.in_arguments = False
                    return  # `soft-max`: what looks like a width is none
            self.loose_parts(step, names)
        else:
            if target.kind == "block" and target.definition is not None and step.head is not None:
                self.bound("definition", step.head.span, target.definition.name.span)
            if _is_called_merge(step, target):
                if not self.called_merge(step, target, names):
                    self.loose_parts(step, names)
            else:
                self.parts(step, target)
                self.arguments(step, target, names)
        self.in_arguments = False
        if isinstance(step.head, syntax.Reference):
            self.reference(step.head, names)
        self.sized(step.width, names)
        self.sized(step.stride, names)
        self.step_body(step, target, names)
        if step.label is not None:
            head = isinstance(target, Target) and target.combinator is not None and target.combinator.arch_only
            self.label(step.label, names, head=head)

    def step_body(self, step: syntax.Step, target: Target | Diagnostic, names: Names) -> None:
        if step.body is None or isinstance(target, Target) and _index(step, target):
            return
        group = not isinstance(target, Diagnostic) and target.kind == "group"
        head = (
            not isinstance(target, Diagnostic)
            and target.combinator is not None
            and target.combinator.arch_only
        )
        own_labels = step.repeat is not None or head or (group and step.label is not None)
        inside = names.inner() if own_labels else names
        bound: dict[str, Span | None] = {}
        if not isinstance(target, Diagnostic) and target.combinator is not None:
            if target.combinator.binds_tensors:
                for argument in step.arguments or ():
                    if argument.name is not None:
                        bound[argument.name.name] = inside.labels.get(argument.name.name)
                        inside.labels[argument.name.name] = argument.name.span
                        self.bound("label", argument.name.span)
            if target.combinator.arch_only and names.owner == "block":
                self.report(
                    "A013",
                    f"`{step.head.name}` belongs in an arch, not in a block",  # type: ignore[union-attr]
                    step.head.span,  # type: ignore[union-attr]
                    label="a side head inside a block",
                    hint="it is an output of the network: write it in the arch, after the call of the block",
                )
        sequences = step.body.branches if isinstance(step.body, syntax.Branches) else (step.body,)
        for sequence in sequences:
            self.body(sequence.statements, inside)
        for name, before in bound.items():  # what `carry` binds is seen only in it; its labels are seen on
            del inside.labels[name]
            if before is not None:
                inside.labels[name] = before

    def loose_parts(self, step: syntax.Step, names: Names) -> None:
        """Arguments of a head that is not known: their values can still be wrong."""
        for argument in step.arguments or ():
            value = argument.value
            if isinstance(value, syntax.Reference):
                self.reference(value, names)
            elif not isinstance(value, syntax.CallExpr) or function_called(value.function.name):  # `Sequential(Conv2d(3, 16, 3))`
                self.expression(argument.value, names, word=True)

    def parts(self, step: syntax.Step, target: Target) -> None:
        """A width, stride or body that this head does not have, or a body that it lacks."""
        what = f"`{step.head.name}`" if isinstance(step.head, syntax.Name) else "a tensor"
        what = "a group" if target.kind == "group" else what
        if step.width is not None and not target.has_width:
            self.extra_width(step, target, what)
        for stride in (step.stride, step.repeat.stride if step.repeat else None):
            if stride is not None and not target.has_stride:
                self.extra_stride(step, stride, target, what)
        indexed = _index(step, target)
        if indexed is not None and step.head is not None and step.body is not None:
            text = f"-{indexed}"
            self.report("A111", f"a width stands after a `-`, not in brackets: `{step.head.span.text}{text}`", step.body.span,
                        label="not branches", fix=Fix(step.body.span, text, f"write `{step.head.span.text}{text}`"))  # fmt: skip
        elif target.kind in ("layer", "block", "tensor") and step.body is not None:
            gap = Span(step.body.span.source, step.body.span.start, step.body.span.start)
            self.report(
                "A111",
                f"{what} has no body",
                step.body.span,
                label="not part of it",
                hint="put `;` or a line break before the bracket",
                fix=Fix(gap, "; ", "insert `;`") if isinstance(step.body, syntax.Sequence) else None,
            )
        if target.kind == "merge":
            self.merge_body(step, target)
        if target.kind == "combinator" and not isinstance(step.body, syntax.Sequence):
            name = step.head.name  # type: ignore[union-attr]
            hint, unbraced = f"write `{name} {{ ... }}`", None
            if isinstance(step.body, syntax.Branches) and len(step.body.branches) == 1:
                span = step.body.span
                unbraced = Fix(span, f"{{{span.text[1:-1]}}}", hint)
            elif isinstance(step.body, syntax.Branches) and name == "residual":
                hint = "write `residual { ... }`, which adds its own input, or `add [ a | b ]` to say both"
            self.report(
                "A111",
                f"`{name}` needs its steps in braces",
                (step.body or step.head).span,  # type: ignore[union-attr]
                label="not steps in braces" if unbraced else "branches, not steps in braces" if step.body else "no `{ ... }` follows",
                hint=hint,
                fix=unbraced,
            )
        if target.kind == "group" and not isinstance(step.body, syntax.Sequence):
            hint = "write concat, add, mul, mean or maximum before `[`"
            self.report("A111", "branches need a merge", step.span, hint=hint)
        if target.kind == "tensor" and (step.arguments is not None or step.repeat is not None):
            self.report(
                "A111", f"{what} takes nothing: it only names a tensor", step.span, hint="put `;` after it"
            )

    def extra_width(self, step: syntax.Step, target: Target, what: str) -> None:
        width = step.width
        assert width is not None
        hint, fix, text = "remove it", None, width.span.text
        before = Span(width.span.source, width.span.start - 1, width.span.stop)
        if before.text[:1] == "-":
            fix = Fix(before, "", f"remove `{before.text}`")
            layer = target.layer if step.arguments is None and isinstance(width, syntax.Number) and text.isdigit() else None
            named = layer is not None and f"{step.head.name}{text}"  # type: ignore[union-attr]
            if layer is not None and "kernel" in layer.model_fields and target.kernel is None:
                fix = Fix(before, text, f"write `{named}`")
            elif layer is not None and step.stride is None and said_in_parentheses(layer, text):
                inside = said_in_parentheses(layer, text)
                fix = Fix(before, inside, f"write `{step.head.name}{inside}`")  # type: ignore[union-attr]
        if target.kind == "block":
            hint = f"its numbers stand in parentheses: {signature(target.definition)}"  # type: ignore[arg-type]
            fix = None
            needed = [p.tensor for p in target.definition.parameters if p.default is None]  # type: ignore[union-attr]
            first = [p.tensor for p in target.definition.parameters[:1]]  # type: ignore[union-attr]
            if step.arguments is None and before.text[:1] == "-" and len(needed) < 2 and first == [False]:
                inner = text[1:-1] if text.startswith("(") else text
                span = Span(before.source, before.start, step.stride.span.stop if step.stride is not None else before.stop)
                better = f"{span.text[len(before.text) :]}({inner})"
                fix = Fix(span, better, f"write `{step.head.name}{better}`")  # type: ignore[union-attr]
            if target.elsewhere is not None:
                called = signature(target.definition)  # type: ignore[arg-type]
                hint, fix = f"{called} adds channels, as in DenseNet; a fully connected layer is `{target.elsewhere}-{text}`", None
        elif target.kind == "layer":
            hint = "its channels are those that come in"
        self.report("A111", f"{what} has no width", width.span, label="a width", hint=hint, fix=fix)

    def extra_stride(self, step: syntax.Step, stride: syntax.Expr, target: Target, what: str) -> None:
        hint, related = "", []
        before = Span(stride.span.source, stride.span.start - 1, stride.span.stop)
        fix = Fix(before, "", f"remove `{before.text}`") if before.text[:1] == "/" else None
        if target.definition is not None:
            name = target.definition.name
            hint = "give the block a parameter `s` and use it: `conv3-f/s`"
            related = [Related(name.span, f"{signature(target.definition)} has no parameter `s`")]
        elif target.kind in ("merge", "combinator", "group"):
            hint = "give the stride to a step inside"
        elif fix is not None and target.has_width and stride is step.stride and step.width is None and not step.arguments:
            text = f"-{stride.span.text}"
            fix = Fix(before, text, f"write `{step.head.name}{text}`")  # type: ignore[union-attr]
        self.report(
            "A111",
            f"{what} has no stride",
            stride.span,
            label="a stride",
            related=tuple(related),
            hint=hint,
            fix=fix,
        )

    def merge_body(self, step: syntax.Step, target: Target) -> None:
        name = step.head.name  # type: ignore[union-attr]
        if not isinstance(step.body, syntax.Branches):
            place = (step.body or step.head).span  # type: ignore[union-attr]
            self.report(
                "A111",
                f"`{name}` merges branches in square brackets",
                place,
                label="no branches" if step.body else "no `[ a | b ]` follows",
                hint=f"write `{name} [ a | b ]`",
            )
            return
        exact = branches_of(target)
        count = len(step.body.branches)
        if exact is not None and count != exact:
            hint = f"write `{name} [ {' | '.join('abcdef'[:exact])} ]`"
            self.report(
                "A111", f"`{name}` takes exactly {exact} branches, not {count}", step.body.span, hint=hint
            )
        elif exact is None and count < 2:
            self.report(
                "A111",
                f"`{name}` of one branch merges nothing",
                step.body.span,
                label="one branch",
                hint=f"add a second branch: `{name} [ ... | identity ]` merges with what comes in",
            )

    def called_merge(self, step: syntax.Step, target: Target, names: Names) -> bool:
        """`concat(@a, b)`: the tensors are its branches here. Gives whether what is in parentheses are steps."""
        name = step.head.name  # type: ignore[union-attr]
        values = [argument.value for argument in step.arguments or () if argument.name is None]
        if len(values) == 1 and isinstance(values[0], syntax.TupleExpr):
            values = list(values[0].items)
        labels = [getattr(value, "label", None) or getattr(value, "name", None) for value in values]
        exact = branches_of(target)
        steps = len(values) >= 2 and all(_reads_as_a_step(value, names) for value in values)
        if steps and (exact is None or len(values) == exact):
            written = f"{name} [ {' | '.join(value.span.text for value in values)} ]"
            hint = f"write `{written}`"
            whole = Span(step.span.source, step.head.span.start, end_of_arguments(step))  # type: ignore[union-attr]
            self.report("A111", f"`{name}` merges branches in square brackets", step.head.span,  # type: ignore[union-attr]
                        label="no `[ a | b ]` follows", hint=hint, fix=Fix(whole, written, hint))  # fmt: skip
            return True
        if len(labels) == 1 and exact is None and labels[0] and names.sees(labels[0]):
            labels, values = ["", *labels], [*values, *values]
        fits = len(labels) >= 2 if exact is None else len(labels) == exact
        hint, fix = f"write `{name} [ a | b ]`", None
        if fits and None not in labels:
            written = f"{name} [ {' | '.join(f'@{label}' if label else 'identity' for label in labels)} ]"
            unseen = [label for label in labels if label and not names.sees(label)]
            hint = f"write `{written}`" + (f", and label that step: `as {unseen[0]}`" if unseen else "")
            if not unseen and len(values) >= len(step.arguments or ()):
                fix = Fix(Span(step.span.source, step.head.span.start, end_of_arguments(step)), written, hint)  # type: ignore[union-attr]
        self.report(
            "A111",
            f"`{name}` merges branches in square brackets",
            step.head.span,  # type: ignore[union-attr]
            label="no `[ a | b ]` follows",
            hint=hint,
            fix=fix,
        )
        return False

    statements: ClassVar[dict[type, Callable[..., None]]] = {
        syntax.Default: default,
        syntax.Let: let,
        syntax.If: if_,
        syntax.Input: input,
        syntax.Output: output,
        syntax.Expect: expect,
        syntax.Step: step,
    }
