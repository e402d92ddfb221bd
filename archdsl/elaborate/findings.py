"""Findings of the elaborator: each told once, in the words of the text, at its place and its caller's."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from archdsl import syntax
from archdsl.diagnostics import Diagnostic, Fix, Related, did_you_mean
from archdsl.elaborate.frame import Frame
from archdsl.ops.base import LIMIT
from archdsl.source import Source, Span
from archdsl.values import Scope, UnknownIncoming, Value, ValueProblem, evaluate, shown, whole
from archdsl.words import VALUE_WORDS

_LARGEST_KERNEL = 15  # a larger number is no kernel that anybody writes


class Findings:
    """Collects diagnostics. What a block does wrong is told once, however often it is called."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: dict[tuple[str, int, int, int], Diagnostic] = {}

    def report(self, code: str, message: str, span: Span, **more: Any) -> None:
        """Record a finding once, however often its block is called."""
        key = (code, id(span.source), span.start, span.stop)
        if key not in self.diagnostics:
            self.diagnostics[key] = Diagnostic(code=code, message=message, span=span, **more)

    def problem(self, code: str, message: str, span: Span, frame: Frame | None, **more: Any) -> None:
        """Record a finding made inside blocks: say who called them; one inside the library is the caller's."""
        related = list(more.pop("related", ()))
        calls = frame.calls if frame is not None else ()
        # A `default` that a library's block was called under stands in the author's own text, and is told of there.
        if calls and frame is not None and frame.module.is_library and span.source is frame.module.source:
            outside = [call for call in calls if call.source is self.source] or [calls[0]]
            related.insert(0, Related(span, more.pop("label", "") or "in this step of the library's block"))
            span = outside[-1]
            more.pop("fix", None)
        else:
            places = dict.fromkeys(call for call in calls[-2:] if call != span)
            related.extend(Related(call, "called here") for call in places)
        self.report(code, message, span, related=tuple(related), **more)

    def value(self, expr: syntax.Expr, scope: Scope, frame: Frame | None = None) -> Value | None:
        """An expression's value, or None once the reason has been told."""
        try:
            return evaluate(expr, scope)
        except ValueProblem as problem:
            self.value_problem(problem, frame)
            return None

    def value_problem(self, problem: ValueProblem, frame: Frame | None) -> None:
        if (
            isinstance(problem, UnknownIncoming)
            or problem.code == "A106"
            and problem.replacement is None
            and self.told(problem.span)
        ):
            return
        title = f"write `{problem.replacement}`" if problem.code == "A116" else problem.hint
        fix = Fix(problem.span, problem.replacement, title) if problem.replacement else None
        self.problem(problem.code, problem.message, problem.span, frame, hint=problem.hint, fix=fix)

    def told(self, span: Span) -> bool:
        return any(key[1:] == (id(span.source), span.start, span.stop) for key in self.diagnostics)

    def whole(self, expr: syntax.Expr, frame: Frame, what: str) -> Any:
        """A whole number, or None once the reason has been told."""
        try:
            return whole(expr, frame.scope, what)
        except ValueProblem as problem:
            self.value_problem(problem, frame)
            return None

    def argument_problem(
        self,
        layer: type[BaseModel],
        item: Any,
        values: dict[str, Value],
        spans: dict[str, Span],
        who: Span,
        frame: Frame,
    ) -> None:
        """One pydantic finding, in the user's words and at the argument's place."""
        name = str(item["loc"][0]) if item["loc"] else ""
        span = spans.get(name, who)
        title = getattr(layer, "syntax", layer.__name__.removesuffix("Options").lower())
        if item["type"] == "missing":
            glued = re.fullmatch(r"conv([0-9]{2,})", who.text)
            named = f"conv3-{glued[1]}" if glued and int(glued[1]) > _LARGEST_KERNEL else f"{who.text}-64"
            message, label, hint = {
                "channels": (
                    "a width",
                    "how many channels come out?",
                    f"write the width after it: `{named}`",
                ),
                "kernel": (
                    "a kernel",
                    "how large is its window?",
                    f"write the size after its name: `{title}3`",
                ),
            }.get(name, (f"`{name}`", "", f"write `{title}({name}=...)`"))
            self.problem("A104", f"`{who.text}` needs {message}", who, frame, label=label, hint=hint)
            return
        context = item.get("ctx") or {}
        if item["type"] == "less_than_equal" and context.get("le") == LIMIT:
            self.problem(
                "A305",
                f"{shown(values.get(name))} is larger than any dimension can be",
                span,
                frame,
                hint=f"the limit is {LIMIT:_}",
            )
            return
        hint = ""
        fix = None
        if item["type"] == "literal_error":
            choices = [
                c
                for c in str(context.get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
                if c
            ]
            near = did_you_mean(str(values.get(name)), choices)
            hint = f"did you mean `{near}`?" if near else f"choose one of {', '.join(choices)}"
            fix = Fix(span, near, hint) if near else None
        else:
            hint, fix = _within(name, item, values.get(name), span)
        self.problem("A105", validation_message(layer, item, values), span, frame, hint=hint, fix=fix)


def _within(name: str, item: Any, value: Value, span: Span) -> tuple[str, Fix | None]:
    """What would do for an argument that is of the wrong kind or out of its range, and the edit."""
    kind, context = item["type"], item.get("ctx") or {}
    instead = ""
    if kind == "bool_type":
        word = shown(value)
        instead = {"1": "true", "0": "false"}.get(word) or VALUE_WORDS.get(word, "")
    elif (
        kind == "less_than"
        and context.get("lt") == 1
        and isinstance(value, (int, float))
        and 5 <= value < 100
    ):
        instead = f"{value / 100:g}"
        return f"it is a share, not a percentage: {value:g} % is {instead}", Fix(
            span, instead, f"write `{instead}`"
        )
    elif kind == "less_than":
        return f"it is a share: at least 0, and less than {shown(context.get('lt'))}", None
    elif kind == "greater_than" and context.get("gt") == 0:
        return "leave it out where nothing is meant" if "." in span.text else "1 is the least", None
    elif kind in ("int_type", "int_from_float"):
        return f"write a number, as in {name}=2", None
    elif kind == "float_type":
        return f"write a number, as in {name}=0.5", None
    if not instead:
        return "", None
    return f"write `{instead}`", Fix(span, instead, f"write `{instead}`")


def validation_message(layer: type[BaseModel], item: Any, values: dict[str, Value]) -> str:
    """pydantic's finding as a sentence."""
    name = str(item["loc"][0]) if item["loc"] else ""
    title = getattr(layer, "syntax", layer.__name__.removesuffix("Options").lower())
    value = shown(values.get(name, item.get("input")))
    kind, context = item["type"], item.get("ctx") or {}
    if not name:
        return item["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"`{name}` of `{title}`: {item['msg'].removeprefix('Value error, ')}"
    if kind == "literal_error":
        return f"`{name}` of `{title}` can't be {value}"
    wants = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "tuple_type": "a number or a pair of numbers",
        "string_type": "a word",
        "greater_than": f"more than {shown(context.get('gt'))}",
        "greater_than_equal": f"{shown(context.get('ge'))} or more",
        "less_than": f"less than {shown(context.get('lt'))}",
        "less_than_equal": f"at most {shown(context.get('le'))}",
        "too_long": "a pair of numbers",
        "too_short": "a pair of numbers",
        "finite_number": "a finite number",
        "missing": "a second number",
    }.get(kind, f"something else ({item['msg'].lower()})")
    return f"`{name}` of `{title}` must be {wants}, not {value}"
