"""What the names of a text stand for, decided before any shape is known.

`resolve` says what one step's head means; `check_names` walks a whole file, definitions that nothing calls and
branches that nothing takes included, and reports every name, argument and label that stands for nothing.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from archdsl import syntax
from archdsl.combinators import COMBINATORS
from archdsl.diagnostics import Diagnostic, Fix, Related, did_you_mean
from archdsl.modules import Module, library_block, library_names
from archdsl.ops import LAYERS
from archdsl.ops.base import Op
from archdsl.source import Span
from archdsl.values import CONSTANTS, FUNCTIONS

_HEAD = re.compile(r"([A-Za-z_]+?)(\d+(?:x\d+)?)$")

PYTORCH = {
    "linear": "fc",
    "dense": "fc",
    "batchnorm": "bn",
    "swish": "silu",
    "hardswish": "hswish",
    "hardsigmoid": "hsigmoid",
    "globalavgpool": "gap",
    "adaptiveavgpool": "gap",
    "depthwise": "dwconv",
    "separable": "sepconv",
    "deconv": "upconv",
    "convtranspose": "upconv",
    "cat": "concat",
    "sum": "add",
    "pool": "maxpool",
    "meanpool": "avgpool",
    "shuffle": "channelshuffle",
    "skip": "identity",
    "interpolate": "upsample",
    "localresponsenorm": "lrn",
    "for": "xN after a step, as in `conv3-64 x3`",
    "repeat": "xN after a step, as in `conv3-64 x3`",
    "return": "output @label",
    "def": "block",
    "class": "arch",
    "import": "use",
    "include": "use",
}
"""What people call things elsewhere, and what they are called here."""


class Target(NamedTuple):
    """What a step's head stands for."""

    kind: Literal["layer", "merge", "block", "combinator", "group", "tensor"]
    layer: type[Op] | None = None
    kernel: tuple[int, int] | None = None
    kernel_span: Span | None = None
    definition: syntax.Definition | None = None
    module: Module | None = None
    combinator: Any = None


def resolve(head: syntax.Name | syntax.Reference | None, module: Module) -> Target | Diagnostic:
    """What a head stands for: a block by its exact name, then a layer with kernel digits, then the library."""
    if head is None:
        return Target("group")
    if isinstance(head, syntax.Reference):
        return Target("tensor")
    name = head.name
    found = module.find(name)
    if found is not None:
        return Target("block", definition=found[0], module=found[1])
    if name in COMBINATORS:
        return Target("combinator", combinator=COMBINATORS[name])
    layer = LAYERS.get(name)
    if layer is not None:
        return Target("merge" if takes_branches(layer) else "layer", layer)
    split = _HEAD.match(name)
    if split and (split[1] in LAYERS or split[1] in COMBINATORS):
        return _with_kernel(head, split[1], split[2])
    block = library_block(name)
    if block is not None:
        return Target("block", definition=block[0], module=block[1])
    return _unknown(head, split[1] if split else name, split[2] if split else "", module)


def _with_kernel(head: syntax.Name, name: str, digits: str) -> Target | Diagnostic:
    layer = LAYERS.get(name)
    span = Span(head.span.source, head.span.start + len(name), head.span.stop)
    if layer is None or "kernel" not in layer.model_fields:
        return Diagnostic(
            code="A111",
            message=f"`{name}` has no kernel, so no digits can follow its name",
            span=span,
            hint=f"write {name}",
            fix=Fix(span, "", f"write {name}"),
        )
    if len(digits) > 10 * 2 + 1:
        return Diagnostic(code="A307", message="this number is too large", span=span)
    height, _, width = digits.partition("x")
    kernel = (int(height), int(width or height))
    return Target("layer", layer, kernel, span)


def takes_branches(layer: type[Op]) -> bool:
    """Whether a layer is written over branches, `add [ a | b ]`."""
    return layer.arity != 1


def _unknown(head: syntax.Name, stem: str, digits: str, module: Module) -> Diagnostic:
    """No layer, block or combinator of that name."""
    known = [*LAYERS, *COMBINATORS, *module.definitions, *module.imported, *library_names()]
    squeezed = re.sub(r"(2d|_)", "", head.name.lower())
    near = PYTORCH.get(squeezed) or PYTORCH.get(re.sub(r"\d+$", "", squeezed))
    if near is None:
        if digits:
            near = did_you_mean(stem, [n for n in LAYERS if "kernel" in LAYERS[n].model_fields])
            near = near + digits if near else None
        near = near or did_you_mean(head.name, known)
    fix = None
    if near is None:
        hint = "archdsl layers lists them all"
    elif " " in near:
        hint = f"write {near}"
    else:
        hint = f"did you mean `{near}`?"
        fix = Fix(head.span, near, hint)
    return Diagnostic(
        code="A101",
        message=f"there is no layer or block called `{head.name}`",
        span=head.span,
        label="not a layer, a block or a combinator",
        hint=hint,
        fix=fix,
    )


def argument_names(layer: type[Op]) -> dict[str, str]:
    """How a layer's arguments may be called, each with its field."""
    return {**{name: name for name in layer.model_fields}, **layer.short}


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

    def __init__(self, variables: set[str], labels: dict[str, Span], owner: str, outer: _Names | None = None) -> None:
        self.variables, self.labels, self.owner, self.outer = variables, labels, owner, outer

    def sees(self, label: str) -> bool:
        return label in self.labels or (self.outer is not None and self.outer.sees(label))

    def all_labels(self) -> list[str]:
        return [*self.labels, *(self.outer.all_labels() if self.outer else ())]

    def inner(self) -> _Names:
        """The names of a body whose labels stay its own."""
        return _Names(self.variables, {}, self.owner, self)


class _Checker:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.found: list[Diagnostic] = []

    def report(self, code: str, message: str, span: Span, **more: Any) -> None:
        self.found.append(Diagnostic(code=code, message=message, span=span, **more))

    def definition(self, definition: syntax.Definition) -> None:
        variables: set[str] = set()
        labels: dict[str, Span] = {}
        for parameter in definition.parameters:
            name = parameter.name.name
            if name in variables or name in labels:
                self.report("A108", f"`{name}` is a parameter twice", parameter.name.span)
            if parameter.default is not None:
                self.expression(parameter.default, _Names(variables, {}, ""), word=True)
            if parameter.tensor:
                labels[name] = parameter.name.span
                if isinstance(definition, syntax.Arch):
                    self.report(
                        "A013",
                        "an arch takes no tensors",
                        parameter.name.span,
                        hint="make it a block, or let the arch's input bring the tensor",
                    )
            else:
                variables.add(name)
        owner = "arch" if isinstance(definition, syntax.Arch) else "block"
        self.body(definition.body.statements, _Names(variables, labels, owner))

    def body(self, statements: Iterable[syntax.Statement], names: _Names) -> None:
        for statement in statements:
            visit = self.statements.get(type(statement))
            if visit is not None:  # use, block and arch inside a body: the parser has said so
                visit(self, statement, names)

    def default(self, statement: syntax.Default, names: _Names) -> None:
        layer = LAYERS.get(statement.op.name)
        if layer is None:
            near = did_you_mean(statement.op.name, LAYERS)
            self.report(
                "A101",
                f"there is no layer called `{statement.op.name}` to set defaults for",
                statement.op.span,
                hint=f"did you mean `{near}`?" if near else "defaults belong to layers: default conv(norm=bn)",
                fix=Fix(statement.op.span, near, f"did you mean `{near}`?") if near else None,
            )
            return
        self.layer_arguments(layer, statement.op.name, statement.arguments, names, statement.span)

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
            self.expression(arm.condition, _Names(before, {}, ""))

    def input(self, statement: syntax.Input, names: _Names) -> None:
        if names.owner == "block":
            self.report(
                "A013",
                "a block has no `input` of its own",
                statement.span,
                hint="a block takes the shape that comes in, in.c, in.h and in.w; `input` belongs in an arch",
            )
        for dim in statement.shape.dims:
            if isinstance(dim, syntax.Name):
                names.variables.add(dim.name)
            elif isinstance(dim, syntax.Wildcard):
                self.report(
                    "A106",
                    "the input's size can't be left open with `_`",
                    dim.span,
                    hint="give the size a name, as in 3xHxW: shapes are then expressions in it",
                )
            else:
                for symbol in free_names(dim):
                    names.variables.add(symbol)

    def output(self, statement: syntax.Output, names: _Names) -> None:
        if names.owner == "block":
            self.report(
                "A013",
                "a block has one output, its last tensor",
                statement.span,
                hint="`output` belongs in an arch",
            )
        for reference in statement.references:
            self.reference(reference, names)

    def expect(self, statement: syntax.Expect, names: _Names) -> None:
        known = ("params", "macs", "buffers", "total", "flops")
        for argument in statement.arguments:
            if argument.name is None:
                self.report("A102", "an expected figure needs its name", argument.span, hint="expect(params=138_357_544)")
            elif argument.name.name not in known:
                near = did_you_mean(argument.name.name, known)
                self.report(
                    "A102",
                    f"`{argument.name.name}` is not a figure that can be expected",
                    argument.name.span,
                    hint=f"did you mean `{near}`?" if near else f"these can: {', '.join(known)}",
                    fix=Fix(argument.name.span, near, f"did you mean `{near}`?") if near else None,
                )
            self.expression(argument.value, names)

    def step(self, step: syntax.Step, names: _Names) -> None:
        target = resolve(step.head, self.module)
        if isinstance(target, Diagnostic):
            self.found.append(target)
            self.loose_parts(step, names)
        else:
            self.parts(step, target, names)
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

    def step_body(self, step: syntax.Step, target: Target | Diagnostic, names: _Names) -> None:
        if step.body is None:
            return
        group = not isinstance(target, Diagnostic) and target.kind == "group"
        own_labels = step.repeat is not None or (group and step.label is not None)
        inside = names.inner() if own_labels else names
        if not isinstance(target, Diagnostic) and target.combinator is not None and target.combinator.binds_tensors:
            inside = inside.inner()
            for argument in step.arguments or ():
                if argument.name is not None:
                    inside.labels[argument.name.name] = argument.name.span
        if not isinstance(target, Diagnostic) and target.combinator is not None:
            if target.combinator.arch_only and names.owner == "block":
                self.report(
                    "A013",
                    f"`{step.head.name}` belongs in an arch, not in a block",  # type: ignore[union-attr]
                    step.head.span,  # type: ignore[union-attr]
                    hint="a head has a name in the network's outputs; write it where the block is called",
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

    def parts(self, step: syntax.Step, target: Target, names: _Names) -> None:
        """A width, stride or body that this head does not have, or a body that it lacks."""
        what = _kind_words(step, target)
        has_width = target.kind == "layer" and "channels" in target.layer.model_fields  # type: ignore[union-attr]
        if step.width is not None and not has_width:
            hint = "its numbers go in parentheses" if target.kind == "block" else "leave it out"
            self.report("A111", f"{what} has no width", step.width.span, hint=hint)
        stride_ok = (target.kind == "layer" and "stride" in target.layer.model_fields) or (  # type: ignore[union-attr]
            target.kind == "block" and any(p.name.name == "s" for p in target.definition.parameters)  # type: ignore[union-attr]
        )
        for stride in (step.stride, step.repeat.stride if step.repeat else None):
            if stride is not None and not stride_ok:
                hint = "give the block a parameter `s` and use it: conv3-f/s" if target.kind == "block" else "leave it out"
                self.report("A111", f"{what} has no stride", stride.span, hint=hint)
        if target.kind in ("layer", "block", "tensor") and step.body is not None:
            self.report("A111", f"{what} has no body", step.body.span, hint="put `;` or a line break before the bracket")
        if target.kind == "merge":
            self.merge_body(step, target)
        if target.kind == "combinator" and not isinstance(step.body, syntax.Sequence):
            wanted = f"write {step.head.name} {{ ... }}"  # type: ignore[union-attr]
            self.report("A111", f"{what} needs one body in braces", (step.body or step.head).span, hint=wanted)  # type: ignore[union-attr]
        if target.kind == "group" and not isinstance(step.body, syntax.Sequence):
            self.report("A111", "branches need a merge", step.span, hint="write concat, add, mul, mean or maximum before `[`")
        if target.kind == "tensor" and (step.arguments is not None or step.repeat is not None):
            self.report("A111", f"{what} takes nothing: it only names a tensor", step.span, hint="put `;` after it")

    def merge_body(self, step: syntax.Step, target: Target) -> None:
        name = step.head.name  # type: ignore[union-attr]
        if not isinstance(step.body, syntax.Branches):
            place = (step.body or step.head).span  # type: ignore[union-attr]
            self.report("A111", f"`{name}` merges branches in square brackets", place, hint=f"write {name} [ a | b ]")
            return
        exact = target.layer.arity - 1 if target.layer.arity is not None else None  # type: ignore[union-attr]
        count = len(step.body.branches)
        if exact is not None and count != exact:
            self.report("A111", f"`{name}` takes exactly {exact} branches, not {count}", step.body.span)
        elif exact is None and count < 2:
            self.report(
                "A111",
                f"`{name}` of one branch merges nothing",
                step.body.span,
                hint=f"add a second branch, as in {name} [ identity | ... ], or leave the brackets out",
            )

    def arguments(self, step: syntax.Step, target: Target, names: _Names) -> None:
        given = step.arguments or ()
        if target.kind in ("layer", "merge"):
            self.layer_arguments(target.layer, step.head.name, given, names, step.head.span)  # type: ignore
        elif target.kind == "block":
            self.block_arguments(step, target, names)
        elif target.kind == "combinator":
            self.combinator_arguments(step, target, names)

    def layer_arguments(
        self, layer: type[Op], name: str, given: tuple[syntax.Argument, ...], names: _Names, span: Span
    ) -> None:
        known = argument_names(layer)
        fields = [known.get(a.name.name) if a.name is not None else None for a in given]
        self.named_arguments(given, known, name)
        self.repeated(given, fields)
        positional = [argument for argument in given if argument.name is None]
        if len(positional) > len(layer.positional):
            extra = positional[len(layer.positional)]
            hint = f"name it: {', '.join(f'{n}=' for n in known)}" if known else f"write {name} alone"
            count = len(layer.positional)
            message = f"`{name}` takes {count or 'no'} unnamed argument{'s' if count != 1 else ''}"
            self.report("A110", message, extra.span, hint=hint)
        for argument in given:
            self.expression(argument.value, names, word=True)

    def named_arguments(self, given: tuple[syntax.Argument, ...], known: Iterable[str], name: str) -> None:
        known = list(known)
        for argument in given:
            if argument.name is not None and argument.name.name not in known:
                near = _pytorch_argument(argument.name.name, known) or did_you_mean(argument.name.name, known)
                listed = f"its arguments are {', '.join(known)}" if known else "it takes none"
                self.report(
                    "A102",
                    f"`{name}` has no argument `{argument.name.name}`",
                    argument.name.span,
                    hint=f"did you mean `{near}`?" if near else listed,
                    fix=Fix(argument.name.span, near, f"did you mean `{near}`?") if near else None,
                )

    def repeated(self, given: tuple[syntax.Argument, ...], fields: list[str | None]) -> None:
        first: dict[str, syntax.Argument] = {}
        for argument, name in zip(given, fields, strict=True):
            if name is None:
                continue
            if name in first:
                self.report(
                    "A103",
                    f"`{argument.name.name}` is given twice",  # type: ignore[union-attr]
                    argument.span,
                    related=(Related(first[name].span, "the first"),),
                    hint="keep one of them",
                )
            first.setdefault(name, argument)

    def block_arguments(self, step: syntax.Step, target: Target, names: _Names) -> None:
        definition = target.definition
        assert definition is not None and isinstance(step.head, syntax.Name)
        parameters = {p.name.name: p for p in definition.parameters}
        given = step.arguments or ()
        self.named_arguments(given, parameters, step.head.name)
        taken = match_parameters(definition, given)
        if len([a for a in given if a.name is None]) > len(parameters):
            extra = [a for a in given if a.name is None][len(parameters)]
            self.report(
                "A110",
                f"`{step.head.name}` takes {len(parameters) or 'no'} argument{'s' if len(parameters) != 1 else ''}",
                extra.span,
                related=(Related(definition.name.span, "defined here"),),
                hint=signature(definition),
            )
        self.repeated_parameters(given, definition)
        strided = step.stride is not None or (step.repeat is not None and step.repeat.stride is not None)
        if "s" in taken and strided:
            self.report("A103", "the stride is given twice", taken["s"].span, hint="keep either `/` or `s=`")
        for name, parameter in parameters.items():
            argument = taken.get(name)
            if argument is None:
                if parameter.default is None and not (name == "s" and strided):
                    self.report(
                        "A104",
                        f"`{step.head.name}` needs `{'@' if parameter.tensor else ''}{name}`",
                        step.head.span,
                        related=(Related(parameter.span, "this parameter has no default"),),
                        hint=f"write {signature(definition)}",
                    )
            elif parameter.tensor and not isinstance(argument.value, syntax.Reference):
                self.report(
                    "A105",
                    f"`{name}` of `{step.head.name}` is a tensor",
                    argument.value.span,
                    related=(Related(parameter.span, "declared with @ here"),),
                    hint="label the step that makes it, `as skip`, and pass @skip",
                )
            elif not parameter.tensor and isinstance(argument.value, syntax.Reference):
                self.report(
                    "A105",
                    f"`{name}` of `{step.head.name}` is a number or a word, not a tensor",
                    argument.value.span,
                    related=(Related(parameter.span, "declared without @ here"),),
                )
        for argument in given:
            if isinstance(argument.value, syntax.Reference):
                self.reference(argument.value, names)
            else:
                self.expression(argument.value, names, word=True)

    def repeated_parameters(self, given: tuple[syntax.Argument, ...], definition: syntax.Definition) -> None:
        order = [p.name.name for p in definition.parameters]
        position = 0
        first: dict[str, syntax.Argument] = {}
        for argument in given:
            if argument.name is None:
                name = order[position] if position < len(order) else None
                position += 1
            else:
                name = argument.name.name
            if name is not None and name in first:
                related = (Related(first[name].span, "the first"),)
                self.report("A103", f"`{name}` is given twice", argument.span, related=related, hint="keep one of them")
            elif name is not None:
                first[name] = argument

    def combinator_arguments(self, step: syntax.Step, target: Target, names: _Names) -> None:
        combinator = target.combinator
        assert isinstance(step.head, syntax.Name)
        given = step.arguments or ()
        if combinator.binds_tensors:
            if len(given) != 1 or given[0].name is None or not isinstance(given[0].value, syntax.Reference):
                hint = f"write {step.head.name}(p=@label) {{ ... }}"
                self.report("A104", f"`{step.head.name}` binds one name to a tensor", step.head.span, hint=hint)
            for argument in given:
                if isinstance(argument.value, syntax.Reference):
                    self.reference(argument.value, names)
            return
        known = list(combinator.options.model_fields)
        self.named_arguments(given, known, step.head.name)
        self.repeated(given, [a.name.name if a.name and a.name.name in known else None for a in given])
        positional = [a for a in given if a.name is None]
        if len(positional) > len(combinator.positional):
            extra = positional[len(combinator.positional)]
            self.report("A110", f"`{step.head.name}` has no unnamed argument here", extra.span, hint=f"name it: {', '.join(f'{n}=' for n in known)}")
        for argument in given:
            self.expression(argument.value, names, word=True)

    def label(self, label: syntax.Label, names: _Names) -> None:
        name = label.name
        if name in names.labels:
            self.report(
                "A108",
                f"the label `{name}` is given twice",
                label.span,
                related=(Related(names.labels[name], "the first"),),
                hint="every label names one tensor: choose another",
            )
        reason = refused_label(name)
        if reason:
            self.report("A109", f"no label can be called `{name}`: {reason}", label.span, hint=f"call it {name}_out")
        names.labels.setdefault(name, label.span)

    def reference(self, reference: syntax.Reference, names: _Names) -> None:
        if names.sees(reference.label):
            return
        near = did_you_mean(reference.label, names.all_labels())
        span = reference.span
        self.report(
            "A107",
            f"no step before this one is labelled `{reference.label}`",
            span,
            hint=f"did you mean `@{near}`?" if near else f"label the step that makes it: `as {reference.label}`",
            fix=Fix(span, f"@{near}", f"did you mean `@{near}`?") if near else None,
        )

    def sized(self, expr: syntax.Expr | None, names: _Names) -> None:
        if expr is not None:
            self.expression(expr, names)

    def expression(self, expr: syntax.Expr, names: _Names, *, word: bool = False) -> None:
        """Names of an expression. word: a bare name may stand for itself here, as `same` and `relu` do."""
        if isinstance(expr, syntax.Name):
            if word or expr.name in names.variables or expr.name in CONSTANTS or expr.name == "none":
                return
            near = did_you_mean(expr.name, [*names.variables, *CONSTANTS])
            visible = ", ".join(sorted(names.variables))
            self.report(
                "A106",
                f"`{expr.name}` stands for nothing here",
                expr.span,
                hint=f"did you mean `{near}`?" if near else f"known here: {visible}" if visible else "no names are known here",
                fix=Fix(expr.span, near, f"did you mean `{near}`?") if near else None,
            )
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

    def call(self, expr: syntax.CallExpr, names: _Names, word: bool) -> None:
        name = expr.function.name
        if name in FUNCTIONS:
            for argument in expr.arguments:
                self.expression(argument.value, names)
            return
        if name in LAYERS and word:
            self.layer_arguments(LAYERS[name], name, expr.arguments, names, expr.span)
            return
        near = did_you_mean(name, [*FUNCTIONS, *(LAYERS if word else ())])
        self.report(
            "A106",
            f"there is no function called `{name}`",
            expr.function.span,
            hint=f"did you mean `{near}`?" if near else f"the functions are {', '.join(FUNCTIONS)}",
            fix=Fix(expr.function.span, near, f"did you mean `{near}`?") if near else None,
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


def free_names(expr: syntax.Expr) -> list[str]:
    """Names in an arithmetic expression, in order."""
    if isinstance(expr, syntax.Name):
        return [expr.name]
    if isinstance(expr, syntax.Unary):
        return free_names(expr.operand)
    if isinstance(expr, syntax.Chain):
        return [name for operand in expr.operands for name in free_names(operand)]
    return []


def match_parameters(
    definition: syntax.Definition, given: tuple[syntax.Argument, ...]
) -> dict[str, syntax.Argument]:
    """Arguments by the parameter each fills; bare ones in order. What matches nothing is left out."""
    order = [p.name.name for p in definition.parameters]
    taken: dict[str, syntax.Argument] = {}
    position = 0
    for argument in given:
        if argument.name is None:
            if position < len(order):
                taken.setdefault(order[position], argument)
            position += 1
        elif argument.name.name in order:
            taken.setdefault(argument.name.name, argument)
    return taken


def signature(definition: syntax.Definition) -> str:
    """A definition's first line, as its author would call it: `bottleneck(f, s=1)`."""
    parts = []
    for parameter in definition.parameters:
        text = ("@" if parameter.tensor else "") + parameter.name.name
        parts.append(f"{text}={parameter.default.span.text}" if parameter.default is not None else text)
    return f"{definition.name.name}({', '.join(parts)})"


MODULE_ATTRIBUTES = frozenset(
    "add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extra_repr "
    "float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia "
    "named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer "
    "register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook "
    "register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter "
    "register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule "
    "share_memory state_dict to to_empty train training type xpu zero_grad append extend insert pop items keys values".split()
)
"""Names that torch.nn.Module, Sequential and ModuleList use themselves; a test compares them with torch's."""

def refused_label(name: str) -> str | None:
    """Why a label can't become an attribute of the emitted module, or None."""
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "it is a word of Python"
    if name in MODULE_ATTRIBUTES:
        return "torch.nn.Module uses that name"
    if name.startswith("_"):
        return "it starts with an underscore"
    return None


def _pytorch_argument(name: str, known: list[str]) -> str | None:
    """What an argument that PyTorch has is called here."""
    here = {
        "kernel_size": "kernel",
        "out_channels": "channels",
        "filters": "channels",
        "strides": "stride",
        "pad": "p",
        "activation": "act",
        "normalization": "norm",
        "use_bias": "bias",
        "ceil_mode": "ceil",
        "count_include_pad": "include_pad",
        "scale_factor": "scale",
        "rate": "ratio",
    }.get(name)
    return here if here in known else None


def _kind_words(step: syntax.Step, target: Target) -> str:
    if isinstance(step.head, syntax.Name):
        return f"`{step.head.name}`"
    return "a tensor" if target.kind == "tensor" else "a group"
