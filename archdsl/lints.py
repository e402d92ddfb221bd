"""What is legal and probably not meant."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostics import Diagnostic, Related
from archdsl.network import Network, Node
from archdsl.source import Source

LINEAR = frozenset({"conv", "dwconv", "upconv", "bn", "identity", "dropout", "droppath"})


def lint(network: Network, source: Source) -> tuple[Diagnostic, ...]:
    """Warnings about a network, at places of the text that the user wrote."""
    found: dict[tuple[str, int], Diagnostic] = {}
    for diagnostic in (*_linear_stacks(network), *_every_copy_strided(network)):
        if diagnostic.span is not None and diagnostic.span.source is source:
            found.setdefault((diagnostic.code, diagnostic.span.start), diagnostic)
    return tuple(found[key] for key in sorted(found, key=lambda key: key[1]))


def _linear_stacks(network: Network) -> Iterator[Diagnostic]:
    """L101: a conv whose only reader is a conv, with nothing nonlinear between. An `act=none` that the text states,
    a depthwise conv's pointwise, and a 1x1 or asymmetric pair that factorizes a larger one on purpose are not told."""
    readers = _readers(network)
    for index, node in enumerate(network.nodes):
        if node.kind != "conv" or "act=none" in _text(node):
            continue
        after = index
        while len(readers[after]) == 1 and network.nodes[readers[after][0]].kind in ("bn", "identity", "dropout"):
            after = readers[after][0]
        if len(readers[after]) != 1:
            continue
        second = network.nodes[readers[after][0]]
        if second.kind == "conv" and len(second.inputs) == 1:
            yield Diagnostic(
                code="L101",
                severity="warning",
                message="two convolutions with no nonlinearity between are one linear map",
                span=second.span,
                related=(Related(node.span, "the first"),) if node.span != second.span else (),
                hint="default conv(act=relu) puts one after every conv; act=none says that none is wanted",
            )


def _text(node: Node) -> str:
    return node.span.text.replace(" ", "")


def _readers(network: Network) -> list[list[int]]:
    readers: list[list[int]] = [[] for _ in network.nodes]
    for index, node in enumerate(network.nodes):
        for source in node.inputs:
            readers[source].append(index)
    return readers


def _every_copy_strided(network: Network) -> Iterator[Diagnostic]:
    """L102: `conv3-64/2 x3` shrinks the image three times, where `x3/2` was probably meant."""
    stack = [network.region]
    while stack:
        region = stack.pop()
        stack.extend(region.children)
        if region.kind == "repeat" and len(region.children) > 1:
            written = region.title.rpartition(" x")[0]
            if "/" in written.partition("(")[0] and not written.partition("(")[0].endswith("/1"):
                yield Diagnostic(
                    code="L102",
                    severity="warning",
                    message=f"each of the {len(region.children)} copies has the stride",
                    span=region.span,
                    hint=f"for the first copy only, write x{len(region.children)}/{written.partition('(')[0].rpartition('/')[2]}",
                )
