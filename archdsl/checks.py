"""Every name, argument and label of a file that stands for nothing, and every part that a step can't have.

`check_names` walks the whole file, definitions that nothing calls and branches that nothing takes included. Shapes
are not known here; `elaborate` finds what depends on them, and skips what was told here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from archdsl import syntax
from archdsl.diagnostics import Diagnostic, Fix, Related, did_you_mean
from archdsl.modules import Module
from archdsl.names import (
    Target,
    argument_names,
    branches_of,
    described,
    free_names,
    match_parameters,
    resolve,
    signature,
)
from archdsl.ops import LAYERS
from archdsl.ops._pointwise import Pointwise
from archdsl.ops.base import Op
from archdsl.source import Span
from archdsl.values import CONSTANTS, FUNCTIONS
from archdsl.words import PYTHON_VALUES, VALUE_WORDS, argument_word, as_step, layer_word, refused_label

FIGURES = ("params", "macs", "buffers", "total", "flops")
UNREAD = ("A114", "A115", "A306")


def check_names(module: Module) -> list[Diagnostic]:
    """Every name of a file that stands for nothing, and every statement that stands where it can't."""
    checker = _Checker(module)
    for definition in module.definitions.values():
        checker.definition(definition)
    if module.loose:
        checker.body(module.loose, _Names(set(), {}, "arch"))
    return checker.found


class _Names:
    """What is known at one place of a body: variables, labels and where they were made."""

    def __init__(
        self,
        variables: set[str],
        labels: dict[str, Span],
        owner: str,
        outer: _Names | None = None,
        definition: syntax.Definition | None = None,
    ) -> None:
        self.variables, self.labels, self.owner, self.outer = variables, labels, owner, outer
        self.definition = definition if definition is not None or outer is None else outer.definition

    def sees(self, label: str) -> bool:
        return self.place(label) is not None

    def place(self, label: str) -> Span | None:
        """Where a label that can be used here was given."""
        return self.labels.get(label) or (self.outer.place(label) if self.outer is not None else None)

    def all_labels(self) -> list[str]:
        return [*self.labels, *(self.outer.all_labels() if self.outer else ())]

    def inner(self) -> _Names:
        """The names of a body whose labels stay its own."""
        return _Names(self.variables, {}, self.owner, self)


class _Checker:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.found: list[Diagnostic] = []
        self.labels = {id(d): dict(_labels_in(d.body.statements)) for d in module.definitions.values()}
        self.labels[id(None)] = dict(_labels_in(module.loose))
        # What a statement that did not parse, or a file that can't be read, would have defined is not missed.
        self.lost = _words_of_broken_lines(module)
        self.unread = any(d.code in UNREAD for d in module.diagnostics) or any(
            d.code.startswith("A0") for used in module.uses for d in used.diagnostics
        )

    def report(self, code: str, message: str, span: Span, **more: Any) -> None:
        self.found.append(Diagnostic(code=code, message=message, span=span, **more))

    def definition(self, definition: syntax.Definition) -> None:
        variables: set[str] = set()
        labels: dict[str, Span] = {}
        for parameter in definition.parameters:
            name = parameter.name.name
            if name in variables or name in labels:
                self.report(
                    "A108",
                    f"`{name}` is a parameter twice",
                    parameter.name.span,
                    hint="give one of them another name",
                )
            if parameter.default is not None:
                self.expression(parameter.default, _Names(variables, {}, "", definition=definition), word=True)
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
                variables.add(name)
        owner = "arch" if isinstance(definition, syntax.Arch) else "block"
        self.body(definition.body.statements, _Names(variables, labels, owner, definition=definition))

    def body(self, statements: Iterable[syntax.Statement], names: _Names) -> None:
        for statement in statements:
            visit = self.statements.get(type(statement))
            if visit is not None:  # use, block and arch inside a body: the parser has said so
                visit(self, statement, names)

    # ---- statements ----

    def default(self, statement: syntax.Default, names: _Names) -> None:
        name = statement.op.name
        layer = LAYERS.get(name)
        if layer is None:
            near = layer_word(name) or did_you_mean(name, LAYERS)
            near = near if near in LAYERS else None
            self.report(
                "A101",
                f"there is no layer called `{name}` to set defaults for",
                statement.op.span,
                hint=f"did you mean `{near}`?" if near else "defaults belong to layers: `default conv(norm=bn, act=relu)`",
                fix=_replaced(statement.op.span, near),
            )
            return
        self.layer_arguments(layer, name, statement.arguments, names, None)

    def let(self, statement: syntax.Let, names: _Names) -> None:
        self.expression(statement.value, names, word=True)
        name = statement.name.name
        if name in names.variables:
            self.report(
                "A108",
                f"`{name}` already has a value here",
                statement.name.span,
                hint="values don't change: give the new one a name of its own",
            )
        names.variables.add(name)

    def if_(self, statement: syntax.If, names: _Names) -> None:
        before = set(names.variables)
        after = set(before)
        for body in (*(arm.body for arm in statement.arms), statement.otherwise):
            if body is None:
                continue
            names.variables = set(before)  # each arm may `let` the same name: only one is taken
            self.body(body.statements, names)
            after |= names.variables
        names.variables = after
        for arm in statement.arms:
            self.expression(arm.condition, _Names(before, {}, "", definition=names.definition))

    def input(self, statement: syntax.Input, names: _Names) -> None:
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
                names.variables.update(free_names(dim))

    def output(self, statement: syntax.Output, names: _Names) -> None:
        if names.owner == "block":
            self.report(
                "A013",
                "a block has one output, its last tensor",
                statement.span,
                hint="remove it: `output` belongs in an arch",
            )
        for reference in statement.references:
            self.reference(reference, names)

    def expect(self, statement: syntax.Expect, names: _Names) -> None:
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
                    fix=_replaced(argument.name.span, near),
                )
            self.expression(argument.value, names)

    # ---- steps ----

    def step(self, step: syntax.Step, names: _Names) -> None:
        target = resolve(step.head, self.module)
        if isinstance(target, Diagnostic):
            if target.code != "A101" or not self.missed(step.head.name, target.fix):  # type: ignore[union-attr]
                self.found.append(self.translated(step) or target)
            self.loose_parts(step, names)
        else:
            self.parts(step, target)
            self.arguments(step, target, names)
        if isinstance(step.head, syntax.Reference):
            self.reference(step.head, names)
        self.sized(step.width, names)
        self.sized(step.stride, names)
        if step.repeat is not None:
            self.expression(step.repeat.count, names)
            self.sized(step.repeat.stride, names)
        self.step_body(step, target, names)
        if step.contract is not None:
            for dim in step.contract.dims:
                if not isinstance(dim, syntax.Wildcard):
                    self.expression(dim, names)
        if step.label is not None:
            self.label(step.label, names)

    def missed(self, name: str, fix: Fix | None = None) -> bool:
        """Whether a name is unknown only because what defines it could not be read."""
        return name in self.lost or self.unread and fix is None

    def translated(self, step: syntax.Step, layer: type[Op] | None = None) -> Diagnostic | None:
        """A call as PyTorch or Keras writes it, with the step that it is here."""
        if not isinstance(step.head, syntax.Name) or step.arguments is None or step.width or step.stride or step.body:
            return None
        positional = [a.value.span.text for a in step.arguments if a.name is None]
        named = {a.name.name: a.value.span.text for a in step.arguments if a.name is not None}
        here = as_step(step.head.name, positional, named)
        if here is None:
            return None
        span = Span(step.span.source, step.head.span.start, _end_of_arguments(step))
        if layer is None:
            message = f"there is no layer called `{step.head.name}`: here it is `{here}`"
            return Diagnostic(
                code="A101",
                message=message,
                span=step.head.span,
                label="a name from elsewhere",
                fix=Fix(span, here, f"write `{here}`"),
            )
        unnamed = [a for a in step.arguments if a.name is None]
        first = unnamed[len(layer.positional)] if len(unnamed) > len(layer.positional) else step.arguments[0]
        why = "the kernel, the width and the stride stand before the parentheses: `conv3-64/2`, `maxpool3/2`"
        return Diagnostic(
            code="A110" if unnamed else "A102",
            message=f"`{step.head.name}` is not called with these arguments: here it is `{here}`",
            span=first.span.cover(step.arguments[-1].span),
            label="as PyTorch or Keras has it",
            hint=why if "kernel" in layer.model_fields else "",
            fix=Fix(span, here, f"write `{here}`"),
        )

    def step_body(self, step: syntax.Step, target: Target | Diagnostic, names: _Names) -> None:
        if step.body is None:
            return
        group = not isinstance(target, Diagnostic) and target.kind == "group"
        head = not isinstance(target, Diagnostic) and target.combinator is not None and target.combinator.arch_only
        own_labels = step.repeat is not None or head or (group and step.label is not None)
        inside = names.inner() if own_labels else names
        if not isinstance(target, Diagnostic) and target.combinator is not None:
            if target.combinator.binds_tensors:
                inside = inside.inner()
                for argument in step.arguments or ():
                    if argument.name is not None:
                        inside.labels[argument.name.name] = argument.name.span
            if target.combinator.arch_only and names.owner == "block":
                self.report(
                    "A013",
                    f"`{step.head.name}` belongs in an arch, not in a block",  # type: ignore[union-attr]
                    step.head.span,  # type: ignore[union-attr]
                    label="a side head inside a block",
                    hint="a head is an output of the network: write it in the arch, after the call of the block",
                )
        sequences = step.body.branches if isinstance(step.body, syntax.Branches) else (step.body,)
        for sequence in sequences:
            self.body(sequence.statements, inside)

    def loose_parts(self, step: syntax.Step, names: _Names) -> None:
        """Arguments of a head that is not known: their values can still be wrong."""
        for argument in step.arguments or ():
            if isinstance(argument.value, syntax.Reference):
                self.reference(argument.value, names)
            else:
                self.expression(argument.value, names, word=True)

    def parts(self, step: syntax.Step, target: Target) -> None:
        """A width, stride or body that this head does not have, or a body that it lacks."""
        what = f"`{step.head.name}`" if isinstance(step.head, syntax.Name) else "a tensor"
        what = "a group" if target.kind == "group" else what
        if step.width is not None and not target.has_width:
            self.extra_width(step, target, what)
        for stride in (step.stride, step.repeat.stride if step.repeat else None):
            if stride is not None and not target.has_stride:
                self.extra_stride(stride, target, what)
        if target.kind in ("layer", "block", "tensor") and step.body is not None:
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
            hint = f"write `{name} {{ ... }}`"
            if isinstance(step.body, syntax.Branches) and name == "residual":
                hint = "write `residual { ... }`, which adds its own input, or `add [ a | b ]` to say both"
            self.report(
                "A111",
                f"`{name}` needs its steps in braces",
                (step.body or step.head).span,  # type: ignore[union-attr]
                label="branches, not steps in braces" if step.body else "no `{ ... }` follows",
                hint=hint,
            )
        if target.kind == "group" and not isinstance(step.body, syntax.Sequence):
            hint = "write concat, add, mul, mean or maximum before `[`"
            self.report("A111", "branches need a merge", step.span, hint=hint)
        if target.kind == "tensor" and (step.arguments is not None or step.repeat is not None):
            self.report("A111", f"{what} takes nothing: it only names a tensor", step.span, hint="put `;` after it")

    def extra_width(self, step: syntax.Step, target: Target, what: str) -> None:
        width = step.width
        assert width is not None
        hint, fix, text = "remove it", None, width.span.text
        before = Span(width.span.source, width.span.start - 1, width.span.stop)
        if before.text[:1] == "-":
            fix = Fix(before, "", f"remove `{before.text}`")
        if target.kind == "block":
            hint = f"its numbers stand in parentheses: {signature(target.definition)}"  # type: ignore[arg-type]
            fix = None
            if step.arguments is None and step.stride is None and before.text[:1] == "-":
                inner = text[1:-1] if text.startswith("(") else text
                fix = Fix(before, f"({inner})", f"write `{step.head.name}({inner})`")  # type: ignore[union-attr]
        elif target.kind == "layer":
            hint = "its channels are those that come in"
        self.report("A111", f"{what} has no width", width.span, label="a width", hint=hint, fix=fix)

    def extra_stride(self, stride: syntax.Expr, target: Target, what: str) -> None:
        hint, related = "", []
        before = Span(stride.span.source, stride.span.start - 1, stride.span.stop)
        fix = Fix(before, "", f"remove `{before.text}`") if before.text[:1] == "/" else None
        if target.definition is not None:
            name = target.definition.name
            hint = "give the block a parameter `s` and use it: `conv3-f/s`"
            related = [Related(name.span, f"{signature(target.definition)} has no parameter `s`")]
        elif target.kind in ("merge", "combinator", "group"):
            hint = "give the stride to a step inside"
        self.report(
            "A111", f"{what} has no stride", stride.span, label="a stride", related=tuple(related), hint=hint, fix=fix
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
            self.report("A111", f"`{name}` takes exactly {exact} branches, not {count}", step.body.span, hint=hint)
        elif exact is None and count < 2:
            self.report(
                "A111",
                f"`{name}` of one branch merges nothing",
                step.body.span,
                label="one branch",
                hint=f"add a second branch: `{name} [ ... | identity ]` merges with what comes in",
            )

    # ---- arguments ----

    def arguments(self, step: syntax.Step, target: Target, names: _Names) -> None:
        if target.layer is not None:
            self.layer_arguments(target.layer, step.head.name, step.arguments or (), names, step)  # type: ignore
        elif target.kind == "block":
            self.block_arguments(step, target, names)
        elif target.kind == "combinator":
            self.combinator_arguments(step, target, names)

    def layer_arguments(
        self, layer: type[Op], name: str, given: tuple[syntax.Argument, ...], names: _Names, step: syntax.Step | None
    ) -> None:
        known = argument_names(layer)
        positional = [argument for argument in given if argument.name is None]
        surplus = positional[len(layer.positional) :]
        strange = [a for a in given if a.name is not None and a.name.name not in known]
        lacking = any(argument_word(a.name.name, list(known)) is None for a in strange)  # type: ignore[union-attr]
        translated = self.translated(step, layer) if step is not None and (surplus or lacking) else None
        if translated is not None:
            self.found.append(translated)
        else:
            self.named_arguments(given, list(known), name, _listed(layer))
            if surplus:
                self.surplus(name, layer.positional, surplus[0], _listed(layer), _by_place(name, layer, step, surplus))
        self.repeated(given, [known.get(a.name.name) if a.name is not None else None for a in given])
        for argument in given:
            field = known.get(argument.name.name) if argument.name is not None else None
            self.argument_value(argument.value, names, layered=field in layer.layers, who=(name, field))

    def argument_value(
        self, value: syntax.Expr, names: _Names, *, layered: bool, who: tuple[str, str | None] = ("", None)
    ) -> None:
        """The value of an argument. layered: it is a layer's name, as in `act=relu`."""
        if layered and isinstance(value, (syntax.Name, syntax.CallExpr)):
            name = value.name if isinstance(value, syntax.Name) else value.function.name
            known = name in names.variables or name in LAYERS or name in ("none", *PYTHON_VALUES)
            if not known:
                self.no_carried_layer(value, name, who[1] or "")
                return
        self.expression(value, names, word=True)

    def no_carried_layer(self, value: syntax.Expr, name: str, field: str) -> None:
        if field == "act":
            choices = sorted(n for n, layer in LAYERS.items() if _is_activation(layer))
        else:
            choices = [n for n in ("bn", "lrn") if n in LAYERS]
        near = layer_word(name) or VALUE_WORDS.get(name.lower()) or did_you_mean(name, [*choices, "none"])
        near = near if near in LAYERS or near == "none" else None
        span = value.span if isinstance(value, syntax.Name) else value.function.span  # type: ignore[attr-defined]
        words = {"act": "activation", "norm": "normalization"}
        self.report(
            "A101",
            f"there is no {words.get(field, 'layer')} called `{name}`",
            value.span,
            label=f"no value for `{field}`",
            hint=f"write `{near}`" if near else f"choose one of {', '.join(choices)}, or none",
            fix=_replaced(span, near, f"write `{near}`"),
        )

    def surplus(
        self, name: str, fields: Iterable[str], extra: syntax.Argument, listed: str, fix: Fix | None = None
    ) -> None:
        fields = list(fields)
        takes = f"one unnamed argument, `{fields[0]}`" if len(fields) == 1 else f"{len(fields)} unnamed arguments"
        self.report(
            "A110",
            f"`{name}` takes {takes if fields else 'no unnamed arguments'}",
            extra.span,
            label="one too many",
            hint=f"name it, as in name=value: {listed}" if listed else f"write `{name}` alone",
            fix=fix,
        )

    def named_arguments(
        self,
        given: tuple[syntax.Argument, ...],
        known: list[str],
        name: str,
        listed: str,
        related: tuple[Related, ...] = (),
    ) -> None:
        for argument in given:
            if argument.name is not None and argument.name.name not in known:
                wrong = argument.name.name
                near = argument_word(wrong, known) or did_you_mean(wrong, known)
                self.report(
                    "A102",
                    f"`{name}` has no argument `{wrong}`",
                    argument.name.span,
                    label="not one of its arguments",
                    related=() if near else related,
                    hint=f"did you mean `{near}`?" if near else listed and f"it has {listed}" or "it takes none: remove it",
                    fix=_replaced(argument.name.span, near),
                )

    def repeated(self, given: tuple[syntax.Argument, ...], fields: list[str | None]) -> None:
        first: dict[str, syntax.Argument] = {}
        for argument, name in zip(given, fields, strict=True):
            if name is None:
                continue
            if name in first:
                self.report(
                    "A103",
                    f"`{argument.name.name if argument.name else name}` is given twice",
                    argument.span,
                    label="the second",
                    related=(Related(first[name].span, "the first"),),
                    hint="keep one of them",
                    fix=_removed(argument, given),
                )
            first.setdefault(name, argument)

    def block_arguments(self, step: syntax.Step, target: Target, names: _Names) -> None:
        definition = target.definition
        assert definition is not None and isinstance(step.head, syntax.Name)
        name, given = step.head.name, step.arguments or ()
        parameters = {p.name.name: p for p in definition.parameters}
        defined = (Related(definition.name.span, "defined here"),)
        before = len(self.found)
        self.named_arguments(given, list(parameters), name, signature(definition), defined)
        unnamed = [a for a in given if a.name is None]
        if len(unnamed) > len(parameters):
            takes = _count(len(parameters), "argument") if parameters else "no arguments"
            notes = described(definition)
            self.report(
                "A110",
                f"`{name}` takes {takes}, and gets {len(unnamed)}",
                unnamed[len(parameters)].span,
                label="one too many" if len(unnamed) == len(parameters) + 1 else "from here on too many",
                related=defined,
                notes=(notes,) if notes else (),
                hint=f"it is called as {signature(definition)}",
            )
        self.repeated(given, _filled(given, list(parameters)))
        taken = match_parameters(definition, given)
        strided = step.stride is not None or (step.repeat is not None and step.repeat.stride is not None)
        if "s" in taken and strided:
            self.report("A103", "the stride is given twice", taken["s"].span, hint="keep either `/` or `s=`")
        if len(self.found) == before:  # a misspelt argument is not missing as well
            self.missing_arguments(step, definition, taken, strided)
        for key, argument in taken.items():
            self.tensor_or_number(name, parameters[key], argument, names)
        for argument in given:
            if isinstance(argument.value, syntax.Reference):
                self.reference(argument.value, names)
            else:
                self.expression(argument.value, names, word=True)

    def missing_arguments(
        self, step: syntax.Step, definition: syntax.Definition, taken: dict[str, syntax.Argument], strided: bool
    ) -> None:
        missing = [
            p
            for p in definition.parameters
            if p.default is None and p.name.name not in taken and not (p.name.name == "s" and strided)
        ]
        if not missing:
            return
        name = step.head.name  # type: ignore[union-attr]
        shown = _listing([f"`{'@' if p.tensor else ''}{p.name.name}`" for p in missing])
        count, gets = len(definition.parameters), len(step.arguments or ())
        message = f"`{name}` needs {shown}"
        if gets and all(p.default is None for p in definition.parameters):
            verb = "is" if len(missing) == 1 else "are"
            message = f"`{name}` takes {_count(count, 'argument')} and gets {gets}: {shown} {verb} missing"
        notes = described(definition)
        self.report(
            "A104",
            message,
            step.head.span,  # type: ignore[union-attr]
            label=f"called with {gets or 'no'} argument{'s' if gets != 1 else ''}",
            related=(Related(missing[0].span, f"`{missing[0].name.name}` has no value in this call"),),
            notes=(notes,) if notes else (),
            hint=f"it is called as {signature(definition)}",
        )

    def tensor_or_number(
        self, block: str, parameter: syntax.Parameter, argument: syntax.Argument, names: _Names
    ) -> None:
        name, value = parameter.name.name, argument.value
        if parameter.tensor and not isinstance(value, syntax.Reference):
            hint, fix = f"label the step that makes it, `as {name}`, and pass `@{name}`", None
            if isinstance(value, syntax.Name) and names.sees(value.name):
                hint = f"write `@{value.name}`"
                fix = Fix(value.span, f"@{value.name}", hint)
            self.report(
                "A105",
                f"`{name}` of `{block}` is a tensor: it is passed with an @",
                value.span,
                label="not a tensor",
                related=(Related(parameter.span, "declared with @ here"),),
                hint=hint,
                fix=fix,
            )
        elif not parameter.tensor and isinstance(value, syntax.Reference):
            self.report(
                "A105",
                f"`{name}` of `{block}` is a number or a word, not a tensor",
                value.span,
                label="a tensor",
                related=(Related(parameter.span, "declared without @ here"),),
                hint=f"pass a number, or declare it as a tensor: `block {block}(..., @{name})`",
            )

    def combinator_arguments(self, step: syntax.Step, target: Target, names: _Names) -> None:
        combinator = target.combinator
        assert isinstance(step.head, syntax.Name)
        name, given = step.head.name, step.arguments or ()
        if combinator.binds_tensors:
            if len(given) != 1 or given[0].name is None or not isinstance(given[0].value, syntax.Reference):
                hint = f"write `{name}(p=@label) {{ ... }}`"
                self.report("A104", f"`{name}` binds one name to a tensor", step.head.span, hint=hint)
            for argument in given:
                if isinstance(argument.value, syntax.Reference):
                    self.reference(argument.value, names)
            return
        known = list(combinator.options.model_fields)
        listed = ", ".join(known)
        self.named_arguments(given, known, name, listed)
        self.repeated(given, _filled(given, known, combinator.positional))
        unnamed = [a for a in given if a.name is None]
        if len(unnamed) > len(combinator.positional):
            self.surplus(name, combinator.positional, unnamed[len(combinator.positional)], listed)
        for argument in given:
            self.expression(argument.value, names, word=True)

    # ---- labels ----

    def label(self, label: syntax.Label, names: _Names) -> None:
        name = label.name
        if name in names.labels:
            self.report(
                "A108",
                f"the label `{name}` is given twice",
                label.span,
                label="the second",
                related=(Related(names.labels[name], "the first"),),
                hint="a label names one tensor: choose another",
            )
        reason = refused_label(name)
        if reason:
            better = f"{name.strip('_')}_out"
            used = re.search(rf"@{name}(?!\w)", label.span.source.text) is not None
            self.report(
                "A109",
                f"no label can be called `{name}`: {reason}",
                label.span,
                label="becomes an attribute of the module",
                hint=f"call it `{better}`, here and where `@{name}` stands" if used else "",
                fix=None if used else Fix(label.span, better, f"call it `{better}`"),
            )
        names.labels.setdefault(name, label.span)

    def reference(self, reference: syntax.Reference, names: _Names) -> None:
        label, span = reference.label, reference.span
        if names.sees(label) or self.missed(label, Fix(span, "", "")):
            return
        near = did_you_mean(label, names.all_labels())
        message = f"no step before this one is labelled `{label}`"
        hint = f"did you mean `@{near}`?" if near else f"label the step that makes it: `conv3-64 as {label}`"
        fix = _replaced(span, f"@{near}" if near else None)
        where = names.place(near) if near else None
        related = (Related(where, f"`{near}` is labelled here"),) if where else ()
        here = self.labels.get(id(names.definition), {}).get(label)
        others = [found[label] for key, found in self.labels.items() if label in found and key != id(names.definition)]
        if here is not None or others:
            related, fix = (Related(here or others[0], "labelled here"),), None
        if here is not None and here.start > span.start:
            message = f"`@{label}` is used before the step that makes it"
            hint = "a tensor can be used only after its step: move one of the two"
        elif here is not None:
            message = f"`{label}` is the label of a step inside a repeat or a group, and not seen outside"
            hint = f"label the whole instead: `{{ ... }} as {label}`"
        elif others:
            message = f"`{label}` is a label of another block or arch, and not seen here"
            hint = f"a label inside a block stays there: label a step of this one, `as {label}`"
            if names.owner == "block":
                hint = f"give this block a parameter `@{label}` and pass the tensor where it is called"
        self.report("A107", message, span, label="no such tensor here", related=related, hint=hint, fix=fix)

    # ---- expressions ----

    def sized(self, expr: syntax.Expr | None, names: _Names) -> None:
        if expr is not None:
            self.expression(expr, names)

    def expression(self, expr: syntax.Expr, names: _Names, *, word: bool = False) -> None:
        """Names of an expression. word: a bare name may stand for itself here, as `same` and `relu` do."""
        if isinstance(expr, syntax.Name):
            self.name(expr, names, word)
        elif isinstance(expr, syntax.Unary):
            self.expression(expr.operand, names)
        elif isinstance(expr, syntax.Chain):
            compares = expr.operators[0] in ("==", "!=")
            for operand in expr.operands:
                self.expression(operand, names, word=compares)
        elif isinstance(expr, syntax.TupleExpr):
            for item in expr.items:
                self.expression(item, names, word=True)
        elif isinstance(expr, syntax.CallExpr):
            self.call(expr, names, word)
        elif isinstance(expr, syntax.Reference):
            self.reference(expr, names)

    def name(self, expr: syntax.Name, names: _Names, word: bool) -> None:
        name = expr.name
        if name in names.variables or name in CONSTANTS or name == "none":
            return
        here = PYTHON_VALUES.get(name)
        if here is not None:
            message = f"`{name}` is written `{here}`, in lower case" if name.lower() == here else f"`{name}` is written `{here}`"
            self.report("A106", message, expr.span, label="from another language", fix=_replaced(expr.span, here, f"write `{here}`"))
            return
        if word or self.missed(name, Fix(expr.span, "", "")):
            return
        near = did_you_mean(name, [*names.variables, *CONSTANTS])
        owner = next(
            (d for d in self.module.definitions.values() if any(p.name.name == name for p in d.parameters)), None
        )
        related: tuple[Related, ...] = ()
        if near:
            hint = f"did you mean `{near}`?"
        elif owner is not None and names.definition is not None:
            place = next(p.span for p in owner.parameters if p.name.name == name)
            related = (Related(place, f"a parameter of `{owner.name.name}`, seen only there"),)
            hint = f"give `{names.definition.name.name}` a parameter `{name}` too, and pass it in the call"
        elif names.variables:
            hint = f"known here: {', '.join(sorted(names.variables))}"
        else:
            hint = f"give it a value first, `let {name} = 64`, or write the number itself"
        self.report(
            "A106",
            f"`{name}` stands for nothing here",
            expr.span,
            label="no parameter and no `let` of that name",
            related=related,
            hint=hint,
            fix=_replaced(expr.span, near),
        )

    def call(self, expr: syntax.CallExpr, names: _Names, word: bool) -> None:
        name = expr.function.name
        if name in FUNCTIONS:
            for argument in expr.arguments:
                self.expression(argument.value, names)
            return
        if name in LAYERS and word:
            self.layer_arguments(LAYERS[name], name, expr.arguments, names, None)
            return
        near = did_you_mean(name, [*FUNCTIONS, *(LAYERS if word else ())])
        self.report(
            "A106",
            f"there is no function called `{name}`",
            expr.function.span,
            label="not a function",
            hint=f"did you mean `{near}`?" if near else f"the functions are {', '.join(FUNCTIONS)}",
            fix=_replaced(expr.function.span, near),
        )

    statements = {
        syntax.Default: default,
        syntax.Let: let,
        syntax.If: if_,
        syntax.Input: input,
        syntax.Output: output,
        syntax.Expect: expect,
        syntax.Step: step,
    }


def _replaced(span: Span, text: str | None, title: str | None = None) -> Fix | None:
    """The fix that puts a word in place of a wrong one, if there is one."""
    return Fix(span, text, title or f"did you mean `{text}`?") if text else None


def _removed(argument: syntax.Argument, given: tuple[syntax.Argument, ...]) -> Fix | None:
    """The fix that takes an argument out, with the comma before it."""
    index = given.index(argument)
    if index == 0:
        return None
    span = Span(argument.span.source, given[index - 1].span.stop, argument.span.stop)
    return Fix(span, "", f"remove `{argument.span.text}`")


def _by_place(
    name: str, layer: type[Op], step: syntax.Step | None, surplus: list[syntax.Argument]
) -> Fix | None:
    """`conv3(64)`, where the width is meant."""
    lone = step is not None and step.width is None and step.stride is None and len(step.arguments or ()) == 1
    if not lone or "channels" not in layer.model_fields or not isinstance(surplus[0].value, (syntax.Number, syntax.Name)):
        return None
    assert step is not None and step.head is not None
    text = surplus[0].value.span.text
    span = Span(step.span.source, step.head.span.stop, _end_of_arguments(step))
    return Fix(span, f"-{text}", f"write `{name}-{text}`")


def _end_of_arguments(step: syntax.Step) -> int:
    """Just after the `)` of a step's arguments."""
    last = step.arguments[-1].span.stop if step.arguments else step.head.span.stop  # type: ignore[union-attr]
    return step.span.source.text.index(")", last) + 1


def _filled(
    given: tuple[syntax.Argument, ...], order: list[str], positional: Iterable[str] | None = None
) -> list[str | None]:
    """The parameter that each argument fills."""
    places = iter(order if positional is None else positional)
    fill = partial(next, places, None)
    return [fill() if a.name is None else a.name.name if a.name.name in order else None for a in given]


def _listed(layer: type[Op]) -> str:
    """A layer's arguments as a sentence has them: `kernel (k), stride, padding (p)`."""
    short = {field: name for name, field in layer.short.items()}
    return ", ".join(f"{name} ({short[name]})" if name in short else name for name in layer.model_fields)


def _is_activation(layer: type[Op]) -> bool:
    return (
        issubclass(layer, Pointwise)
        and not layer.model_fields
        and layer.syntax not in ("identity", "scale")
        or layer.syntax == "prelu"
    )


def _listing(words: list[str]) -> str:
    """`a`, `b` and `c`"""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _labels_in(statements: Iterable[syntax.Statement]) -> Iterator[tuple[str, Span]]:
    """Every label of a body, at any depth; of two equal ones the first counts."""
    found: dict[str, Span] = {}
    stack = [iter(statements)]
    while stack:
        statement = next(stack[-1], None)
        if statement is None:
            stack.pop()
        elif isinstance(statement, syntax.If):
            bodies = [arm.body for arm in statement.arms]
            bodies += [statement.otherwise] if statement.otherwise else []
            stack.extend(iter(body.statements) for body in reversed(bodies))
        elif isinstance(statement, syntax.Step):
            if statement.label is not None:
                found.setdefault(statement.label.name, statement.label.span)
            if statement.body is not None:
                branches = statement.body.branches if isinstance(statement.body, syntax.Branches) else (statement.body,)
                stack.extend(iter(body.statements) for body in reversed(branches))
    yield from found.items()


def _words_of_broken_lines(module: Module) -> frozenset[str]:
    """Words that lines with a syntax error define or could have defined."""
    words: set[str] = set()
    for found in module.diagnostics:
        if found.code.startswith("A0") and found.span is not None and found.fix is None:
            line = found.span.source.line(found.span.line)
            words.update(re.findall(r"\b(?:as|let|block|arch)\s+([A-Za-z_]\w*)", line))
            words.update(re.findall(r"@?([A-Za-z_]\w*)\s*(?=[=,)])", line))
    return frozenset(words)
