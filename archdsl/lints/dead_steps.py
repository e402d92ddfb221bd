"""L106: a step whose result nothing reads."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostics import Diagnostic
from archdsl.lints.facts import Facts

SILENT = ("input", "identity")
"""What costs nothing and may be left over from wiring."""


def check(facts: Facts) -> Iterator[Diagnostic]:
    """The last of the steps that lead to no output and no label: `conv3-64; @stem; ...` forgets the conv."""
    nodes = facts.nodes
    needed = bytearray(len(nodes))
    for index in (
        *(output.node for output in facts.network.outputs),
        *(node for _, node in facts.network.taps),
    ):
        needed[index] = 1
    for index in range(len(nodes) - 1, -1, -1):
        if needed[index]:
            for source in nodes[index].inputs:
                needed[source] = 1
    if all(needed):
        return
    lost = [index for index, flag in enumerate(needed) if not flag]
    spent = sum(nodes[index].params for index in lost)
    for index in lost:
        if nodes[index].kind in SILENT or any(
            nodes[reader].kind not in SILENT for reader in facts.readers[index]
        ):
            continue
        yield Diagnostic(
            code="L106",
            severity="warning",
            message="nothing reads what this step makes",
            span=nodes[index].span,
            label="it leads to no output",
            notes=(f"{spent:,} parameters of this network are never used",) if spent else (),
            hint="a branch that should join needs a merge such as `add [ ... | ... ]`; a tensor to be given out "
            "needs `output` or a label",
        )
