"""Folding: bodies, branches, argument lists over several lines, and comments of several lines."""

from __future__ import annotations

from lsprotocol import types

from archdsl import syntax
from archdsl.lsp.analysis import Analysis
from archdsl.lsp.tree import walk


def ranges(analysis: Analysis) -> list[types.FoldingRange]:
    """What can be folded. The line of a closing bracket stays in sight."""
    tree = analysis.module.tree
    if tree is None:
        return []
    position = analysis.lines.position
    found: dict[int, types.FoldingRange] = {}

    def fold(start: int, stop: int, kind: types.FoldingRangeKind | None = None) -> None:
        first, last = position(start).line, position(stop).line
        if kind is None:
            last -= 1
        if last > first:
            found.setdefault(first, types.FoldingRange(first, last, kind=kind))

    for node in walk(tree):
        if isinstance(node, (syntax.Definition, syntax.Step, syntax.Arm)):
            fold(node.span.start, node.span.stop)
        elif isinstance(node, syntax.If) and node.otherwise is not None:
            fold(node.otherwise.span.start, node.otherwise.span.stop)
    run: list[syntax.Comment] = []
    for comment in tree.comments:
        if run and position(comment.span.start).line == position(run[-1].span.start).line + 1:
            run.append(comment)
        else:
            run = [comment]
        if len(run) > 1:
            found.pop(position(run[0].span.start).line, None)
            fold(run[0].span.start, run[-1].span.stop, types.FoldingRangeKind.Comment)
    return [found[line] for line in sorted(found)]
