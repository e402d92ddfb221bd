"""Formatting: what `archdsl fmt` does, as the smallest edits, so that cursors and marks stay where they are."""

from __future__ import annotations

from lsprotocol import types

from archdsl.lsp.positions import Lines


def edits(lines: Lines, start: int, stop: int) -> list[types.TextEdit]:
    """The edits of [start, stop] that bring a text into its canonical form."""
    from archdsl.format import format_edits  # a server starts without it

    found = format_edits(lines.text, start=start, stop=stop)
    return [types.TextEdit(lines.range(edit.start, edit.stop), edit.text) for edit in found]
