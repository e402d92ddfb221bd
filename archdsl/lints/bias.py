"""L111: a bias that the norm after it takes away again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.diagnostics import Diagnostic, Fix, Related
from archdsl.lints.facts import Facts, operation
from archdsl.source import Span

CENTRING = ("bn", "instancenorm")
"""Norms that subtract the mean of each channel by itself, and so its bias; a group's or a position's mean keeps it."""
_MEANT = re.compile(r"default\s+(?:conv|dwconv|sepconv|upconv)\s*\([^)]*\bbias\s*=\s*true\b")
_HEAD = re.compile(r"[A-Za-z_]\w*+(?:-(?:\w++|\([^()]*\)))?+(?:/(?:\w++|\([^()]*\)))?+(\(\s*+)?+(?![-/])")


def check(facts: Facts) -> Iterator[Diagnostic]:
    """`conv3-64; bn`: the norm subtracts the mean, and the bias with it. `bias=true`, at the step or in a
    default of its file, says that it is meant."""
    meant: dict[int, bool] = {}
    for node in facts.nodes:
        if node.kind not in CENTRING:
            continue
        before = facts.input_of(node)
        if not getattr(before.op, "bias", None) or len(facts.readers[node.inputs[0]]) != 1:
            continue
        source = before.span.source
        if id(source) not in meant:
            meant[id(source)] = _MEANT.search(source.text) is not None
        written = before.span.text
        if before.span == node.span or meant[id(source)] or re.search(r"\bbias\s*=", written):
            continue
        yield Diagnostic(
            code="L111",
            severity="warning",
            message=f"this {before.kind}'s bias is taken away again by the norm after it",
            span=operation(before.span),
            label="has a bias, which a norm follows",
            related=(Related(node.span, "subtracts the mean of each channel"),),
            hint=f"a norm that it carries leaves the bias out: `default {before.kind}(norm=bn)`; "
            "`bias=true` says it is meant",
            fix=_fix(before.span),
        )


def _fix(span: Span) -> Fix | None:
    found = _HEAD.match(span.text)
    if found is None or re.search(r"[ \t]x[\d(]", span.text):
        return None
    at = Span(span.source, span.start + found.end(), span.start + found.end())
    inside = found[1] is not None
    empty = inside and span.text[found.end() :].startswith(")")
    text = ("bias=false" if empty else "bias=false, ") if inside else "(bias=false)"
    return Fix(at, text, "write `bias=false`")
