"""L110: a softmax at the end, before a loss that has one of its own."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostics import Diagnostic
from archdsl.lints.edits import without
from archdsl.lints.facts import Facts


def check(facts: Facts) -> Iterator[Diagnostic]:
    """An output that is a softmax: torch's cross_entropy, and Keras's with from_logits, take logits."""
    labelled = {index for _, index in facts.network.taps}
    for output in facts.network.outputs:
        node = facts.nodes[output.node]
        if node.kind == "softmax":
            yield Diagnostic(
                code="L110",
                severity="warning",
                message=f"the output `{output.name}` is a softmax, and losses such as cross-entropy have one of "
                "their own",
                span=node.span,
                label="twice in training",
                hint="leave it out: the largest logit is the largest probability",
                # A label goes with its step, and something may read it.
                fix=None if output.node in labelled else without(node.span, "leave the softmax out"),
            )
