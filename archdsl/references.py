"""What names, labels and words of a text stand for at one place of it, and the message where that is nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from archdsl import syntax
from archdsl.diagnostics import Diagnostic, Fix, Related, did_you_mean
from archdsl.modules import Module
from archdsl.ops import LAYERS, carried
from archdsl.ops.base import Op
from archdsl.source import Span
from archdsl.values import CONSTANTS, COPY, COPY_ALL, COPY_TOTAL, FUNCTIONS, function_called, rounded_to
from archdsl.words import FUNCTION_WORDS, PYTHON_VALUES, VALUE_WORDS, absent, layer_word, refused_label

UNREAD = ("A114", "A115", "A306")


class Binding(NamedTuple):
    """A name that stands somewhere, and where what it stands for was given its name; there both are equal.

    kind: "variable", a parameter or a `let`; "label", a labelled tensor or a `@` parameter; "definition", a block or arch.
    """

    span: Span
    place: Span
    kind: Literal["variable", "label", "definition"]


class Names:
    """What is known at one place of a body: variables, labels and where they were made."""

    def __init__(
        self,
        variables: dict[str, Span],
        labels: dict[str, Span],
        owner: str,
        outer: Names | None = None,
        definition: syntax.Definition | None = None,
    ) -> None:
        self.variables, self.labels, self.owner, self.outer = variables, labels, owner, outer
        self.heads: set[str] = set()
        self.definition: syntax.Definition | None = definition
        if definition is None and outer is not None:
            self.definition = outer.definition

    def sees(self, label: str) -> bool:
        return self.place(label) is not None

    def is_head(self, label: str) -> bool:
        """Whether a label names a side head, which is computed in training only."""
        outside = label not in self.labels and self.outer is not None and self.outer.is_head(label)
        return label in self.heads or outside

    def place(self, label: str) -> Span | None:
        """Where a label that can be used here was given."""
        return self.labels.get(label) or (self.outer.place(label) if self.outer is not None else None)

    def all_labels(self) -> list[str]:
        return [*self.labels, *(self.outer.all_labels() if self.outer else ())]

    def inner(self) -> Names:
        """The names of a body whose labels stay its own."""
        return Names(self.variables, {}, self.owner, self)


MOST_FINDINGS = 100
"""Findings about the names of one file."""


class Enough(Exception):
    """There are as many findings as anyone will read."""


class References:
    """Reports names, labels and words that stand for nothing."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.found: list[Diagnostic] = []
        self.bindings: list[Binding] = []
        self.labels = {id(d): dict(_labels_in(d.body.statements)) for d in module.definitions.values()}
        self.labels[id(None)] = dict(_labels_in(module.loose))
        # What a statement that did not parse, or a file that can't be read, would have defined is not missed.
        self.lost = _words_of_broken_lines(module)
        self.unread = any(d.code in UNREAD for d in module.diagnostics) or any(
            d.code.startswith("A0") for used in module.uses for d in used.diagnostics
        )

    def report(self, code: str, message: str, span: Span, **more: Any) -> None:
        self.found.append(Diagnostic(code=code, message=message, span=span, **more))
        self.enough()

    def enough(self) -> None:
        """Nobody reads the hundredth finding, and a long text that is all wrong must not take a minute."""
        if len(self.found) >= MOST_FINDINGS:
            raise Enough

    def missed(self, name: str, fix: Fix | None = None) -> bool:
        """Whether a name is unknown only because what defines it could not be read."""
        return name in self.lost or self.unread and fix is None

    def layer_arguments(
        self,
        layer: type[Op],
        name: str,
        given: tuple[syntax.Argument, ...],
        names: Names,
        step: syntax.Step | None,
    ) -> None:
        raise NotImplementedError

    in_arguments = False  # of a step, where `copy.all` is known

    def bound(self, kind: Literal["variable", "label", "definition"], span: Span, place: Span | None = None) -> None:
        """Note that what stands at `span` was given its name at `place`, or is given it here."""
        self.bindings.append(Binding(span, place or span, kind))

    def defines(self, name: str, span: Span) -> None:
        """A parameter or a `let`: any name but one that has a meaning of its own."""
        if name == COPY:
            self.report(
                "A108",
                "`copy` has a meaning already: in a repeated step it is the number of the copy",
                span,
                hint="give the value another name",
            )

    # ---- labels ----

    def label(self, label: syntax.Label, names: Names, *, head: bool = False) -> None:
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
        self.bound("label", label.span, names.labels.setdefault(name, label.span))
        if head:
            names.heads.add(name)

    def reference(self, reference: syntax.Reference, names: Names) -> None:
        label, span = reference.label, reference.span
        given = names.place(label)
        if given is not None:
            self.bound("label", without_parentheses(span, label), given)
        if names.is_head(label):
            place = names.place(label)
            self.report(
                "A107",
                f"`{label}` names an output that `aux` makes, and no step can go on from it",
                span,
                label="computed in training only",
                related=(Related(place, "the output"),) if place is not None else (),
                hint="label the step before the `aux`, and start from that",
            )
            return
        if names.sees(label) or self.missed(label, Fix(span, "", "")):
            return
        near = did_you_mean(label, names.all_labels())
        message = f"no step before this one is labelled `{label}`"
        hint = f"did you mean `@{near}`?" if near else f"label the step that makes it: `conv3-64 as {label}`"
        fix = replaced(span, f"@{near}" if near else None)
        where = names.place(near) if near else None
        related = (Related(where, f"`{near}` is labelled here"),) if where else ()
        here = self.labels.get(id(names.definition), {}).get(label)
        others = [
            found[label]
            for key, found in self.labels.items()
            if label in found and key != id(names.definition)
        ]
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

    def sized(self, expr: syntax.Expr | None, names: Names) -> None:
        if expr is not None:
            self.expression(expr, names)

    def expression(self, expr: syntax.Expr, names: Names, *, word: bool = False) -> None:
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
        elif isinstance(expr, syntax.Member) and expr.base.name == COPY:
            self.member_of_copy(expr)

    def member_of_copy(self, expr: syntax.Member) -> None:
        text = f"{COPY}.{expr.member.name}"
        if text not in (COPY_ALL, COPY_TOTAL):
            near = did_you_mean(text, [COPY_ALL, COPY_TOTAL])
            self.report("A106", f"there is no `{text}`", expr.span, hint="write `copy.all`, the number of this copy among all"
                        " that say so, or `copy.total`, how many they are", fix=replaced(expr.span, near))  # fmt: skip
        elif not self.in_arguments:
            self.report("A106", f"`{text}` is known only in the arguments of a step", expr.span, label="no argument of a step",
                        hint="it counts the steps that say it: `basic(16, drop=0.2*copy.all/copy.total) x3`")  # fmt: skip

    def name(self, expr: syntax.Name, names: Names, word: bool) -> None:
        name = expr.name
        if name in names.variables:
            self.bound("variable", without_parentheses(expr.span, name), names.variables[name])
            return
        if name in CONSTANTS or name == "none":
            return
        here = PYTHON_VALUES.get(name)
        if here is not None:
            message = (
                f"`{name}` is written `{here}`, in lower case"
                if name.lower() == here
                else f"`{name}` is written `{here}`"
            )
            self.report(
                "A106",
                message,
                expr.span,
                label="from another language",
                fix=replaced(expr.span, here, f"write `{here}`"),
            )
            return
        if name == COPY:
            self.report(
                "A106",
                "`copy` is known only in a step that is repeated",
                expr.span,
                label="no repeat here",
                hint="it numbers the copies from 0: `basic(16, drop=0.1*copy) x3`; pass it on to a block as an argument",
            )
            return
        if word or self.missed(name, Fix(expr.span, "", "")):
            return
        near = did_you_mean(name, [*names.variables, *CONSTANTS])
        owner = next(
            (d for d in self.module.definitions.values() if any(p.name.name == name for p in d.parameters)),
            None,
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
            fix=replaced(expr.span, near),
        )

    def call(self, expr: syntax.CallExpr, names: Names, word: bool) -> None:
        name = expr.function.name
        if function_called(name) is not None:
            for argument in expr.arguments:
                self.expression(argument.value, names)
            return
        if name in LAYERS and word:
            self.layer_arguments(LAYERS[name], name, expr.arguments, names, None)
            return
        rounded = rounded_to(name, expr)
        if rounded is not None and expr.span.text.startswith("("):  # those of a width are part of it
            rounded = f"({rounded})"
        near = FUNCTION_WORDS.get(name.lower().lstrip("_")) or did_you_mean(name, [*FUNCTIONS, *(LAYERS if word else ())])
        self.report(
            "A106",
            f"there is no function called `{name}`",
            expr.function.span,
            label="not a function",
            hint=f"write `{rounded}`" if rounded else f"did you mean `{near}`?" if near else f"the functions are {', '.join(FUNCTIONS)}",
            fix=replaced(expr.span, rounded, f"write `{rounded}`") if rounded else replaced(expr.function.span, near),
        )

    def argument_value(
        self, value: syntax.Expr, names: Names, *, layered: bool, who: tuple[str, str | None] = ("", None)
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
        choices = carried(field)
        near = VALUE_WORDS.get(name.lower()) or layer_word(name)
        if near is None and absent(name) is None:
            near = did_you_mean(name, [*choices, "none"])
        near = near if near in (choices if field == "act" else LAYERS) or near == "none" else None
        span = value.span if isinstance(value, syntax.Name) else value.function.span  # type: ignore[attr-defined]
        words = {"act": "activation", "norm": "normalization"}
        self.report(
            "A101",
            f"there is no {words.get(field, 'layer')} called `{name}`",
            value.span,
            label=f"no value for `{field}`",
            hint=f"write `{near}`" if near else f"choose one of {', '.join(choices)}, or none",
            fix=replaced(span, near, f"write `{near}`"),
        )


def without_parentheses(span: Span, name: str) -> Span:
    """The place of a name alone: the span of one in parentheses holds those too, and that of a tensor its `@`."""
    if span.text == name:
        return span
    text = re.sub(r"#[^\n]*", lambda comment: " " * len(comment[0]), span.text)
    start = text.find(name)
    if start < 0:  # a mistake that was mended: the name is not in the text as it stands
        return span
    return Span(span.source, span.start + start, span.start + start + len(name))


def replaced(span: Span, text: str | None, title: str | None = None) -> Fix | None:
    """The fix that puts a word in place of a wrong one, if there is one."""
    return Fix(span, text, title or f"did you mean `{text}`?") if text else None


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
                branches = (
                    statement.body.branches
                    if isinstance(statement.body, syntax.Branches)
                    else (statement.body,)
                )
                stack.extend(iter(body.statements) for body in reversed(branches))
    yield from found.items()


_NAMED = re.compile(r"\b(?:as|let|block|arch)\s+([A-Za-z_]\w*)")
_GIVEN = re.compile(r"(?<!\w)[^\WA-Za-z_]*+([A-Za-z_]\w*+)\s*+(?=[=,)])")


def _words_of_broken_lines(module: Module) -> frozenset[str]:
    """Words that lines with a syntax error define or could have defined."""
    broken = {
        (found.span.source, found.span.line)
        for found in module.diagnostics
        if found.code.startswith("A0") and found.span is not None and found.fix is None
    }
    lines = [source.line(number) for source, number in broken]
    return frozenset(word for line in lines for words in (_NAMED, _GIVEN) for word in words.findall(line))
