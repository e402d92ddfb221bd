"""What one check of one text found, with the places that an editor asks for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from archdsl import syntax
from archdsl.api import Checked, check
from archdsl.checks import bindings
from archdsl.diagnostics import Diagnostic
from archdsl.elaborate import Elaboration
from archdsl.elaborate.frame import Placed
from archdsl.lsp.buffers import Buffer, Buffers
from archdsl.lsp.positions import Lines
from archdsl.lsp.tree import children
from archdsl.modules import Module
from archdsl.references import Binding
from archdsl.source import Source, Span


class Step(NamedTuple):
    """A step of this text that was elaborated, and the draft of the network that it is part of."""

    placed: Placed
    draft: Elaboration

    @property
    def span(self) -> Span:
        return self.placed.step.span


class Analysis:
    """A text, as it was at one version, and everything known of it. root: the folder that `use` may read."""

    def __init__(self, buffer: Buffer, buffers: Buffers, root: Path | None = None) -> None:
        self.uri, self.path, self.version = buffer.uri, buffer.path, buffer.version
        self.lines: Lines = buffer.lines
        self.buffers = buffers
        name = str(buffer.path) if buffer.path is not None else "<text>"
        self.source: Source = buffers.source(buffer.path, name) if buffer.path else Source(name, buffer.text)
        if root is not None and (buffer.path is None or not buffer.path.is_relative_to(root.resolve())):
            root = None
        self.checked: Checked = check(self.source, path=buffer.path, root=root, files=buffers)

    @property
    def text(self) -> str:
        return self.source.text

    @property
    def module(self) -> Module:
        return self.checked.module

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return self.checked.diagnostics

    @cached_property
    def bindings(self) -> list[Binding]:
        """Every name of this text that stands for something."""
        return bindings(self.module)

    @cached_property
    def steps(self) -> list[Step]:
        """The steps of this text that were elaborated, in its order, up to what its errors leave unknown."""
        found: dict[int, Step] = {}
        for draft in self.checked.drafts:
            for placed in draft.placed:
                if placed.step.span.source is self.source:
                    found.setdefault(id(placed.step), Step(placed, draft))
        limits = self._limits()
        if limits:
            found = {key: step for key, step in found.items() if self._is_sure(step.span, limits)}
        return sorted(found.values(), key=lambda step: (step.span.start, -step.span.stop))

    def step_at(self, start: int) -> Step | None:
        """The step whose text starts at an offset."""
        return next((step for step in self.steps if step.span.start == start), None)

    def _limits(self) -> list[tuple[Span, int]]:
        """Where the statements that could not be read make what follows unknown: an extent, and an offset in it.

        A statement that was left out changes what comes after it, and every call of the block that it stands in.
        """
        lost = [
            d.span for d in self.module.diagnostics if d.code.startswith("A0") and d.span and _left_out(d)
        ]
        foreign = [
            m for m in self.module.everywhere() if m is not self.module and any(map(_left_out, m.diagnostics))
        ]
        if not lost and not foreign:
            return []
        limits: list[tuple[Span, int]] = []
        broken = {id(d) for m in foreign for d in m.definitions.values()}
        whole = Span(self.source, 0, len(self.text))
        bodies: list[Span] = [d.span for d in self.module.definitions.values()]
        for span in lost:
            around = next((body for body in bodies if body.start <= span.start < body.stop), whole)
            limits.append((around, span.start))
            broken |= {id(d) for d in self.module.definitions.values() if d.span == around}
        grown = True
        while grown:  # what calls a broken block is broken from there on
            grown = False
            for body, call in self._calls(broken):
                if not any(extent == body and limit <= call for extent, limit in limits):
                    limits.append((body, call))
                    broken |= {id(d) for d in self.module.definitions.values() if d.span == body}
                    grown = True
        return limits

    def _calls(self, broken: set[int]) -> Iterator[tuple[Span, int]]:
        """Steps that call a definition of those: the extent of their body, and where they start."""
        for definition in self.module.definitions.values():
            stack: list[syntax.Syntax] = [definition.body]
            while stack:
                node = stack.pop()
                stack.extend(children(node))
                if isinstance(node, syntax.Step) and isinstance(node.head, syntax.Name):
                    found = self.module.find(node.head.name)
                    if found is not None and id(found[0]) in broken:
                        yield definition.span, node.span.start

    def _is_sure(self, span: Span, limits: list[tuple[Span, int]]) -> bool:
        return all(
            not (extent.start <= span.start < extent.stop) or span.stop <= offset for extent, offset in limits
        )


def _left_out(found: Diagnostic) -> bool:
    """Whether a statement was left out of the tree: what could be mended was."""
    return (
        found.code.startswith("A0")
        and found.code != "A013"
        and (found.fix is None or found.code in ("A003", "A004"))
    )
