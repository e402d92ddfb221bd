"""Where text comes from, and the places in it: every node and every diagnostic points here."""

from __future__ import annotations

import errno
import os
import re
import stat
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, eq=False)
class Source:
    """One text with the name that messages call it by: a path, `<stdin>` or `<text>`. path: the file, if it is one.

    A carriage return alone ends a line too, and is a line feed in `text`: every place stays where it was."""

    name: str
    text: str
    path: Path | None = None

    def __post_init__(self) -> None:
        if "\r" in self.text:
            object.__setattr__(self, "text", line_feeds(self.text))

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offset of the first character of every line."""
        starts = [0]
        starts.extend(i + 1 for i, character in enumerate(self.text) if character == "\n")
        return tuple(starts)

    def position(self, offset: int) -> tuple[int, int]:
        """1-based line and column, in code points, of an offset."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its newline."""
        start = self.line_starts[number - 1]
        stop = self.line_starts[number] - 1 if number < len(self.line_starts) else len(self.text)
        return self.text[start:stop].rstrip("\r")


_ALONE = re.compile(r"\r(?!\n)")


def line_feeds(text: str) -> str:
    r"""A text with a line feed for each line end that is a carriage return alone; `\r\n` stays."""
    return _ALONE.sub("\n", text)


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of code points, [start, stop), in one source."""

    source: Source
    start: int
    stop: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.stop]

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    def cover(self, other: Span) -> Span:
        """The smallest span that holds both."""
        return Span(self.source, min(self.start, other.start), max(self.stop, other.stop))

    def at_end(self) -> Span:
        """The empty place just after this one."""
        return Span(self.source, self.stop, self.stop)

    def is_part_of(self, other: Span) -> bool:
        """Whether it is some of another's text, and not all of it.

        >>> text = Source("net.arch", "conv3-64; relu")
        >>> step, width = Span(text, 0, 8), Span(text, 6, 8)
        >>> width.is_part_of(step), step.is_part_of(step), step.at_end().is_part_of(step)
        (True, False, False)
        >>> Span(Source("another.arch", "conv3-64"), 6, 8).is_part_of(step)
        False
        """
        inside = self.source is other.source and other.start <= self.start and self.stop <= other.stop
        return inside and self != other and self.start < self.stop

    def begins_or_ends_in(self, other: Span) -> bool:
        """Whether it begins behind another's start and before its stop, or comes from before it and ends there.

        >>> text = Source("net.arch", "conv3-64; relu")
        >>> step, width, rest, both = Span(text, 0, 8), Span(text, 6, 8), Span(text, 6, 14), Span(text, 0, 14)
        >>> [span.begins_or_ends_in(step) for span in (width, rest, step, both)]
        [True, True, False, False]
        >>> step.begins_or_ends_in(rest), both.begins_or_ends_in(width)
        (True, False)
        >>> Span(Source("another.arch", "conv3-64"), 6, 8).begins_or_ends_in(step)
        False
        """
        if self.source is not other.source:
            return False
        begins = other.start < self.start < other.stop
        return begins or self.start < other.start < self.stop < other.stop


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """A file's bytes. A pipe would wait for a writer, and a device never end: they are refused. Raises OSError."""
    file = open(path, "rb", opener=_without_waiting)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "a pipe or a device, not a file", os.fspath(path))
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
