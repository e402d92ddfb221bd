"""L102: a stride that every copy of a repeat has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.diagnostics import Diagnostic, Fix
from archdsl.lints.facts import Facts
from archdsl.network import Node
from archdsl.source import Span

_STRIDED = re.compile(r"[A-Za-z_]\w*(?:-(?:\w+|\([^()]*\)))?/(\d+)")
_STRIDED_TEXT = re.compile(r"([A-Za-z_]\w*(?:-(?:\w+|\([^()]*\)))?)/(\w+)(.*?[ \t]x\d+)(?!\d)", re.DOTALL)


def check(facts: Facts) -> Iterator[Diagnostic]:
    """`conv3-64/2 x3` shrinks the image three times, where `x3/2` was probably meant. A pool may mean it."""
    network = facts.network
    stack = [network.region]
    while stack:
        region = stack.pop()
        stack.extend(region.children)
        strided = _STRIDED.match(region.title) if region.kind == "repeat" else None
        if (
            strided is None
            or strided[1] == "1"
            or len(region.children) < 2
            or _pools(network.nodes[region.start])
        ):
            continue
        copies, stride = len(region.children), int(strided[1])
        written = _STRIDED_TEXT.match(region.span.text)
        fix = None
        if written is not None and not region.span.text[written.end() :].startswith("/"):
            then = f"{written[1]}{written[3]}/{written[2]}"
            place = Span(region.span.source, region.span.start, region.span.start + written.end())
            fix = Fix(place, then, f"write `{then}` to stride the first copy only")
        yield Diagnostic(
            code="L102",
            severity="warning",
            message=f"each of the {copies} copies has the stride: together they shrink the image {stride**copies} times",
            span=region.span,
            label=f"/{stride} in every copy",
            hint=""
            if fix
            else f"for the first copy only, write `x{copies}/{stride}` and leave the stride before it out",
            fix=fix,
        )


def _pools(node: Node) -> bool:
    return node.kind.endswith("pool")
