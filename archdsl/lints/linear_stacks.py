"""L101: convolutions with nothing nonlinear between."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.diagnostics import Diagnostic, Related
from archdsl.lints.facts import Facts

PASSING = ("bn", "identity", "dropout", "droppath")
"""Layers that leave two linear maps one."""

_NO_ACTIVATION = re.compile(r"default\s+conv\s*\([^)]*\bact\s*=\s*none\b")


def check(facts: Facts) -> Iterator[Diagnostic]:
    """A conv whose only reader is a conv, with nothing nonlinear between. Where the text says `act=none`, at
    the step or in the default, it is meant. The convs inside one `sepconv` are one step, and no stack."""
    network, readers = facts.network, facts.readers
    meant: dict[int, bool] = {}  # whether a text's default says `act=none`, by source
    for index, node in enumerate(network.nodes):
        if node.kind != "conv" or "act=none" in node.span.text.replace(" ", ""):
            continue
        after = index
        while len(readers[after]) == 1 and network.nodes[readers[after][0]].kind in PASSING:
            after = readers[after][0]
        if len(readers[after]) != 1:
            continue
        second = network.nodes[readers[after][0]]
        if second.kind != "conv":
            continue
        source = node.span.source
        if id(source) not in meant:
            meant[id(source)] = _NO_ACTIVATION.search(source.text) is not None
        if meant[id(source)]:
            continue
        same = node.span == second.span
        yield Diagnostic(
            code="L101",
            severity="warning",
            message="two convolutions with nothing nonlinear between are one linear map",
            span=second.span,
            label="its copies follow each other directly"
            if same and " x" in node.span.text
            else "follows a convolution directly",
            related=() if same else (Related(node.span, "the first"),),
            hint="`default conv(act=relu)` puts a relu after every conv; `act=none` at the step says that none is meant",
        )
