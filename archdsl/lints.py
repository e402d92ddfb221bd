"""What is legal and probably not meant. `# archdsl: ignore[L101]` at the end of a line takes a remark back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from archdsl.diagnostics import Diagnostic, Fix, Related
from archdsl.network import Network, Node
from archdsl.source import Source, Span
from archdsl.symbolic import known

PASSING = ("bn", "identity", "dropout", "droppath")
"""Layers that leave two linear maps one."""

_IGNORED = re.compile(r"#\s*archdsl:\s*ignore\[([A-Z0-9,\s]*)\]")
_NO_ACTIVATION = re.compile(r"default\s+conv\s*\([^)]*\bact\s*=\s*none\b")
_STRIDED = re.compile(r"[A-Za-z_]\w*(?:-(?:\w+|\([^()]*\)))?/(\d+)")
_STRIDED_TEXT = re.compile(r"([A-Za-z_]\w*(?:-(?:\w+|\([^()]*\)))?)/(\w+)(.*?[ \t]x\d+)(?!\d)", re.DOTALL)


MOST_WARNINGS = 100
"""Of one network: nobody reads more."""


def lint(network: Network, source: Source) -> tuple[Diagnostic, ...]:
    """Warnings about a network, at places of the text that the user wrote."""
    found: dict[tuple[str, int], Diagnostic] = {}
    for diagnostic in chain(_channels_last(network), _linear_stacks(network), _every_copy_strided(network)):
        if diagnostic.span is not None and diagnostic.span.source is source and not _ignored(diagnostic):
            found.setdefault((diagnostic.code, diagnostic.span.start), diagnostic)
            if len(found) >= MOST_WARNINGS:
                break
    return tuple(found[key] for key in sorted(found, key=lambda key: key[1]))


def _ignored(diagnostic: Diagnostic) -> bool:
    assert diagnostic.span is not None
    comment = _IGNORED.search(diagnostic.span.source.line(diagnostic.span.line))
    return comment is not None and diagnostic.code in re.split(r"[,\s]+", comment[1].strip())


def _channels_last(network: Network) -> Iterator[Diagnostic]:
    """L103: `input 224x224x3`, as Keras and image files have it."""
    node = network.nodes[0]
    if len(node.shape) != 3 or not all(known(size) for size in node.shape):
        return
    channels, height, width = node.shape
    if width not in (1, 3, 4) or min(channels, height) <= 4:
        return
    sizes = re.search(r"\d+x\d+x\d+$", node.span.text)
    better = f"{width}x{channels}x{height}"
    fix = None
    if sizes is not None:
        place = Span(node.span.source, node.span.start + sizes.start(), node.span.stop)
        fix = Fix(place, better, f"write `input {better}`")
    yield Diagnostic(
        code="L103",
        severity="warning",
        message=f"this input has {channels} channels, and an image of {height}x{width}",
        span=node.span,
        label="channels come first here",
        fix=fix,
    )


def _linear_stacks(network: Network) -> Iterator[Diagnostic]:
    """L101: a conv whose only reader is a conv, with nothing nonlinear between. Where the text says `act=none`, at
    the step or in the default, it is meant. The convs inside one `sepconv` are one step, and no stack."""
    readers = _readers(network)
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


def _readers(network: Network) -> list[list[int]]:
    readers: list[list[int]] = [[] for _ in network.nodes]
    for index, node in enumerate(network.nodes):
        for source in node.inputs:
            readers[source].append(index)
    return readers


def _every_copy_strided(network: Network) -> Iterator[Diagnostic]:
    """L102: `conv3-64/2 x3` shrinks the image three times, where `x3/2` was probably meant. A pool may mean it."""
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
