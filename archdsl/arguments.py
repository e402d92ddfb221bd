"""Arguments of layers, blocks and combinators: unknown, missing, repeated, too many, or as another library has them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Container, Iterable
from functools import lru_cache, partial
from typing import Any, Literal

from pydantic import ValidationError

from archdsl import syntax
from archdsl.calls_elsewhere import as_step
from archdsl.diagnostics import Diagnostic, Fix, Related, did_you_mean
from archdsl.names import Target, argument_names, described, match_parameters, resolve, signature
from archdsl.ops import LAYERS, carried
from archdsl.ops.base import Op
from archdsl.references import Names, References, replaced
from archdsl.source import Span
from archdsl.words import INFERRED, PYTHON_VALUES, argument_word, layer_word


class Arguments(References):
    """Reports what is wrong with the arguments of a step."""

    def arguments(self, step: syntax.Step, target: Target, names: Names) -> None:
        if target.layer is not None:
            self.layer_arguments(target.layer, step.head.name, step.arguments or (), names, step)  # type: ignore
        elif target.kind == "block":
            self.block_arguments(step, target, names)
        elif target.kind == "combinator":
            self.combinator_arguments(step, target, names)

    def layer_arguments(
        self,
        layer: type[Op],
        name: str,
        given: tuple[syntax.Argument, ...],
        names: Names,
        step: syntax.Step | None,
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
            given = self.replaced_arguments(layer, name, given, known, step)
            self.named_arguments(given, list(known), name, _listed(layer))
            if surplus:
                fix = _said_by_name(layer, surplus) or _by_place(name, layer, step, surplus) or _together(layer, positional)
                if set(layer.positional) >= set(layer.model_fields):
                    fix = fix or _removed(surplus[0], given)
                self.surplus(name, layer.positional, surplus[0], _listed(layer), fix)
        filled = _filled(given, list(known), layer.positional)
        self.repeated(given, [known[name] if name is not None else None for name in filled])
        if step is not None:
            self.said_twice(step, layer, given, known)
        for argument in given:
            field = known.get(argument.name.name) if argument.name is not None else None
            self.argument_value(argument.value, names, layered=field in layer.layers, who=(name, field))

    def replaced_arguments(
        self,
        layer: type[Op],
        name: str,
        given: tuple[syntax.Argument, ...],
        known: dict[str, str],
        step: syntax.Step | None,
    ) -> tuple[syntax.Argument, ...]:
        """Arguments from elsewhere that are not said so here, and the rest: `bn=True`, and what is known without them."""
        rest = []
        for argument in given:
            if argument.name is None or argument.name.name in known:
                rest.append(argument)
                continue
            wrong = argument.name.name
            known_here = wrong in INFERRED or step is not None and known.get(argument_word(wrong, list(known)) or "") in (
                self.before_parentheses(step)
            )
            switched = None if known_here else _switched(argument, layer)
            if not known_here and switched is None:
                rest.append(argument)
                continue
            why = "it is what comes in" if wrong in INFERRED else "it stands before the parentheses"
            self.report(
                "A102",
                f"`{name}` has no argument `{wrong}`" + (f": {why}" if known_here else ""),
                argument.name.span,
                label="not one of its arguments",
                hint=f"write `{switched}`" if switched else "remove it",
                fix=replaced(argument.span, switched, f"write `{switched}`")
                or _removed(argument, given)
                or (_emptied(step) if step is not None else None),
            )
        return tuple(rest)

    def before_parentheses(self, step: syntax.Step) -> dict[str, Span]:
        """The arguments that a step states before its parentheses, and where."""
        target = resolve(step.head, self.module)
        parts = {
            "kernel": target.kernel_span if isinstance(target, Target) else None,
            "channels": step.width.span if step.width is not None else None,
            "stride": step.stride.span if step.stride is not None else None,
        }
        return {field: span for field, span in parts.items() if span is not None}

    def said_twice(
        self, step: syntax.Step, layer: type[Op], given: tuple[syntax.Argument, ...], known: dict[str, str]
    ) -> None:
        """`conv3-64(kernel=5)`: a part before the parentheses, and the same in them."""
        parts = self.before_parentheses(step)
        for argument in given:
            field = known.get(argument.name.name) if argument.name is not None else None
            first = parts.get(field or "")
            if first is not None:
                word = {"channels": "width"}.get(field or "", field)
                self.report(
                    "A103",
                    f"the {word} is given twice",
                    argument.span,
                    label="the second",
                    related=(Related(first, "the first"),),
                    hint="keep one of them",
                    fix=_removed(argument, given) or _emptied(step),
                )

    def translated(self, step: syntax.Step, layer: type[Op] | None = None) -> Diagnostic | None:
        """A call as PyTorch or Keras writes it, with the step that it is here."""
        if isinstance(step.head, syntax.Name) and isinstance(step.width, syntax.Name) and layer is None:
            return _hyphenated(step.head, step.width)
        if (
            not isinstance(step.head, syntax.Name)
            or step.arguments is None
            or step.width
            or step.stride
            or step.body
        ):
            return None
        positional = [a.value.span.text for a in step.arguments if a.name is None]
        named = {a.name.name: a.value.span.text for a in step.arguments if a.name is not None}
        found = as_step(step.head.name, positional, named)
        if found is None or not found.is_known(LAYERS):
            return None
        here = found.text
        span = Span(step.span.source, step.head.span.start, end_of_arguments(step))
        if layer is None:
            message = f"there is no layer called `{step.head.name}`: here it is `{here}`"
            return Diagnostic(
                code="A101",
                message=message,
                span=step.head.span,
                label="a name from elsewhere",
                hint=_carried_too(step.head, found.layer, here),
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

    def surplus(
        self, name: str, fields: Iterable[str], extra: syntax.Argument, listed: str, fix: Fix | None = None
    ) -> None:
        fields = list(fields)
        takes = (
            f"one unnamed argument, `{fields[0]}`" if len(fields) == 1 else f"{len(fields)} unnamed arguments"
        )
        self.report(
            "A110",
            f"`{name}` takes {takes if fields else 'no unnamed arguments'}",
            extra.span,
            label="one too many",
            hint="" if fix else f"name it: {listed}" if listed else f"write `{name}` alone",
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
        names = set(known)
        for argument in given:
            if argument.name is not None and argument.name.name not in names:
                wrong = argument.name.name
                near = argument_word(wrong, known) or did_you_mean(wrong, known)
                self.report(
                    "A102",
                    f"`{name}` has no argument `{wrong}`",
                    argument.name.span,
                    label="not one of its arguments",
                    related=() if near else related,
                    hint=f"did you mean `{near}`?"
                    if near
                    else listed and f"it has {listed}" or "it takes none: remove it",
                    fix=replaced(argument.name.span, near),
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

    # ---- blocks and combinators ----

    def block_arguments(self, step: syntax.Step, target: Target, names: Names) -> None:
        definition = target.definition
        assert definition is not None and isinstance(step.head, syntax.Name)
        name, given = step.head.name, step.arguments or ()
        parameters = {p.name.name: p for p in definition.parameters}
        defined = (Related(definition.name.span, "defined here"),)
        before = len(self.found)
        if self.misread(step, target, parameters):
            return
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
        for argument in given:
            parameter = parameters.get(argument.name.name) if argument.name is not None else None
            if parameter is not None:
                kind: Literal["label", "variable"] = "label" if parameter.tensor else "variable"
                self.bound(kind, argument.name.span, parameter.name.span)  # type: ignore[union-attr]
        taken = match_parameters(definition, given)
        strided = step.stride is not None or (step.repeat is not None and step.repeat.stride is not None)
        if "s" in taken and strided:
            self.report("A103", "the stride is given twice", taken["s"].span, hint="keep either `/` or `s=`")
        # A misspelt argument is not missing as well, nor one that stands where a layer has its width.
        if len(self.found) == before and (step.width is None or step.arguments is not None):
            self.missing_arguments(step, definition, taken, strided)
        for key, argument in taken.items():
            self.tensor_or_number(name, parameters[key], argument, names)
        for argument in given:
            if isinstance(argument.value, syntax.Reference):
                self.reference(argument.value, names)
            else:
                self.expression(argument.value, names, word=True)

    def misread(self, step: syntax.Step, target: Target, parameters: Container[str]) -> bool:
        """Whether a block of the library is called as the layer is that has its name elsewhere: `dense(10, relu)`."""
        given, name = step.arguments or (), step.head.name  # type: ignore[union-attr]
        as_keras = len(given) > 1 or any(a.name is not None and a.name.name not in parameters for a in given)
        told = self.translated(step) if target.elsewhere and as_keras else None
        if told is None or told.fix is None:
            return False
        self.report("A110", f"`{name}` is a block of the library, and not called with these: a fully connected layer is "
                    f"`{told.fix.text}`", given[0].span.cover(given[-1].span), label="as Keras has it",
                    notes=(f"{signature(target.definition)} adds channels, as in DenseNet",), fix=told.fix)  # type: ignore[arg-type]  # fmt: skip
        return True

    def missing_arguments(
        self,
        step: syntax.Step,
        definition: syntax.Definition,
        taken: dict[str, syntax.Argument],
        strided: bool,
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
        self, block: str, parameter: syntax.Parameter, argument: syntax.Argument, names: Names
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

    def combinator_arguments(self, step: syntax.Step, target: Target, names: Names) -> None:
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


def _together(layer: type[Op], positional: list[syntax.Argument]) -> Fix | None:
    """The fix that puts the last of a layer's arguments and those beyond it in parentheses, where the layer takes that."""
    first = len(layer.positional) - 1
    texts = [argument.value.span.text for argument in positional]
    if first < 0 or not all(text.isdigit() or text == "_" for text in texts):
        return None
    values: list[Any] = [int(text) if text.isdigit() else text for text in texts]
    try:
        layer(**dict(zip(layer.positional, [*values[:first], tuple(values[first:])], strict=True)))
    except ValidationError:
        return None
    span = positional[first].span.cover(positional[-1].span)
    return Fix(span, f"({span.text})", f"write `({span.text})`, one argument")


def _removed(argument: syntax.Argument, given: tuple[syntax.Argument, ...]) -> Fix | None:
    """The fix that takes an argument out, with the comma before it."""
    # By identity: two arguments that say the same are equal.
    index = next(i for i, one in enumerate(given) if one is argument)
    if len(given) == 1:
        return None
    if index == 0:
        return Fix(Span(argument.span.source, argument.span.start, given[1].span.start), "", f"remove `{argument.span.text}`")
    span = Span(argument.span.source, given[index - 1].span.stop, argument.span.stop)
    return Fix(span, "", f"remove `{argument.span.text}`")


def _switched(argument: syntax.Argument, layer: type[Op]) -> str | None:
    """`bn=True` as `norm=bn`."""
    assert argument.name is not None
    on = PYTHON_VALUES.get(argument.value.span.text, argument.value.span.text)
    word = argument.name.name.lower()
    here = word if word in LAYERS else layer_word(word)
    if here not in LAYERS or on not in ("true", "false"):
        return None
    field = LAYERS[here].fills or ""
    return f"{field}={here if on == 'true' else 'none'}" if field in layer.layers else None


def _emptied(step: syntax.Step) -> Fix | None:
    """The fix that takes a step's only argument out, parentheses and all."""
    if step.arguments is None or len(step.arguments) != 1:
        return None
    stop = max(p.span.stop for p in (step.head, step.width, step.stride) if p is not None)
    span = Span(step.span.source, stop, end_of_arguments(step))
    return Fix(span, "", f"remove `{span.text}`")


def _carried_too(head: syntax.Name, layer: str, here: str) -> str:
    """What a `default` before it gives to a convolution that was written as a framework's, which carries nothing."""
    if layer not in ("conv", "dwconv", "sepconv", "upconv"):
        return ""
    starts, given_by = _defaults(head.span.source.text, layer)
    before = bisect_left(starts, head.span.start)
    given = given_by[before - 1] if before else []
    given = [field for field in given if f"{field}=" not in here]
    if not given:
        return ""
    names = {"norm": "a norm", "act": "an activation"}
    return (f"by `default` it carries {' and '.join(names[field] for field in given)} too; "
            f"({', '.join(f'{field}=none' for field in given)}) leaves that out")  # fmt: skip


@lru_cache(maxsize=4)
def _defaults(text: str, layer: str) -> tuple[list[int], list[list[str]]]:
    """Where the defaults of a convolution begin, and which of norm and activation each gives."""
    found = list(re.finditer(rf"\bdefault\s+(?:conv|{layer})\s*\((.*)", text))
    fields = [
        [field for field in ("norm", "act") if re.search(rf"\b{field}\s*=(?!\s*none)", default[1])] for default in found
    ]
    return [default.start() for default in found], fields


def _said_by_name(layer: type[Op], surplus: list[syntax.Argument]) -> Fix | None:
    """`conv3-64(bn, relu)`, where norm and activation are meant."""
    said = {}
    for argument in surplus:
        word = argument.value.span.text
        field = next((field for field in layer.layers if word in carried(field)), None)
        if field is None or field in said:
            return None
        said[field] = f"{field}={word}"
    span = surplus[0].span.cover(surplus[-1].span)
    if span.text.count(",") != len(surplus) - 1:
        return None
    text = ", ".join(said.values())
    return Fix(span, text, f"write `{text}`")


def _by_place(
    name: str, layer: type[Op], step: syntax.Step | None, surplus: list[syntax.Argument]
) -> Fix | None:
    """`conv3(64)`, `conv3(64, p=1)`, where the width is meant."""
    if step is None or step.head is None or step.width is not None or step.stride is not None:
        return None
    first, *others = step.arguments or ()
    if surplus != [first] or "channels" not in layer.model_fields or not isinstance(first.value, (syntax.Number, syntax.Name)):
        return None
    source, stop = step.span.source, end_of_arguments(step)
    until = others[0].span.start if others else stop
    text = f"-{first.value.span.text}" + ("(" if others else "")
    return Fix(Span(source, step.head.span.stop, until), text, f"write `{name}{text}{source.text[until:stop]}`")


def _hyphenated(head: syntax.Name, width: syntax.Name) -> Diagnostic | None:
    """`soft-max` and `max-pool`, as papers hyphenate them."""
    joined = f"{head.name}{width.name}".lower()
    here = joined if joined in LAYERS else layer_word(joined)
    if here is None or " " in here:
        return None
    span = head.span.cover(width.span)
    return Diagnostic(
        code="A101",
        message=f"`{span.text}` is written `{here}`: a `-` announces a width",
        span=span,
        label="in one word",
        fix=Fix(span, here, f"write `{here}`"),
    )


def end_of_arguments(step: syntax.Step) -> int:
    """Just after the `)` of a step's arguments."""
    last = step.arguments[-1].span.stop if step.arguments else step.head.span.stop  # type: ignore[union-attr]
    close = step.span.source.text.find(")", last, step.span.stop + 1)
    return close + 1 if close >= 0 else last


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


def _listing(words: list[str]) -> str:
    """`a`, `b` and `c`"""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
