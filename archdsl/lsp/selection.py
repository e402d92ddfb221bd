"""Selection ranges: from the word at the cursor outwards, node by node."""

from __future__ import annotations

from lsprotocol import types

from archdsl.lsp.analysis import Analysis
from archdsl.lsp.tree import path_at


def ranges(analysis: Analysis, offset: int) -> types.SelectionRange:
    """What is around an offset, each with what is around that."""
    tree = analysis.module.tree
    extents = [(0, len(analysis.text))]
    if tree is not None:
        extents += [(node.span.start, node.span.stop) for node in path_at(tree, offset)]
    found: types.SelectionRange | None = None
    last = None
    for start, stop in extents:
        if (start, stop) != last and (last is None or last[0] <= start and stop <= last[1]):
            found = types.SelectionRange(analysis.lines.range(start, stop), parent=found)
            last = (start, stop)
    assert found is not None, "the whole text is around every offset"
    return found
