"""A text with edits, and the way from a place in it back to the place in the original."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class Edit(NamedTuple):
    """Put `text` where `start` to `stop` is; errors up to `through` are this one's consequences."""

    start: int
    stop: int
    text: str
    through: int = -1


class Patch:
    """The original text with edits made. Edits are in the original's offsets and do not overlap."""

    def __init__(self, original: str, edits: Iterable[Edit] = ()) -> None:
        self._original = original
        self._edits = sorted(edits)
        if not self._edits:
            self.text = original
            return
        pieces: list[str] = []
        self._starts = []  # where each replacement starts in the patched text
        self._stops = []
        read = written = 0
        for edit in self._edits:
            written += edit.start - read
            pieces += (original[read : edit.start], edit.text)
            self._starts.append(written)
            written += len(edit.text)
            self._stops.append(written)
            read = edit.stop
        pieces.append(original[read:])
        self.text = "".join(pieces)

    def to_source(self, offset: int) -> int:
        """The original place of something that starts at `offset` of the patched text."""
        if not self._edits:
            return offset
        index = bisect_right(self._starts, offset) - 1
        if index < 0:
            return offset
        edit = self._edits[index]
        if offset < self._stops[index]:
            return min(edit.start + offset - self._starts[index], edit.stop)
        return edit.stop + offset - self._stops[index]

    def to_source_end(self, offset: int) -> int:
        """The original place of something that stops at `offset` of the patched text."""
        if not self._edits:
            return offset
        index = bisect_left(self._starts, offset) - 1
        if index < 0:
            return offset
        edit = self._edits[index]
        if offset < self._stops[index]:
            return min(edit.start + offset - self._starts[index], edit.stop)
        return edit.stop + offset - self._stops[index]

    def touches(self, start: int, stop: int) -> bool:
        """Whether any edit meets the range [start, stop], ends included."""
        return any(edit.start <= stop and start <= edit.stop for edit in self._edits)

    def reported(self, at: int, start: int, stop: int) -> bool:
        """Whether an error at `at`, in the statement [start, stop], follows from one already reported."""
        return any(
            edit.start <= at <= max(edit.stop, edit.through)
            or (edit.start <= stop and start <= edit.stop and at <= max(edit.stop, edit.through))
            for edit in self._edits
        )

    def with_edit(self, edit: Edit) -> Patch | None:
        """This and one more edit, in place of those that it takes in; None where it would change nothing."""
        kept = []
        start, stop = edit.start, edit.stop
        for other in self._edits:
            if other.start < stop and start < other.stop or start <= other.start and other.stop <= stop:
                start, stop = min(start, other.start), max(stop, other.stop)
            else:
                kept.append(other)
        made = edit._replace(start=start, stop=stop)
        if made[:3] in [other[:3] for other in self._edits] or self._original[start:stop] == made.text:
            return None
        return Patch(self._original, [*kept, made])
