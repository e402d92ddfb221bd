"""The canonical form of a text: same tokens, same comments, other blanks.

One form, and no options but the line length. An author decides what stands on a line: rows stay rows, a body that was
opened stays open. Blanks, indentation, alignment and lines that are too long are decided here. What has an error stays
as it is.
"""

from __future__ import annotations

from typing import NamedTuple

from archdsl.format.columns import to_text
from archdsl.format.layout import read_layout
from archdsl.format.printing import to_lines
from archdsl.format.tokens import read_tokens
from archdsl.headroom import collector_paused, deep_recursion
from archdsl.parse import LONGEST_SOURCE, parse
from archdsl.source import Source, line_feeds

LINE_LENGTH = 110
SHORTEST, LONGEST = 40, 320


class TextEdit(NamedTuple):
    """Put `text` where [start, stop) of the original is."""

    start: int
    stop: int
    text: str


class Formatted(NamedTuple):
    """A text in canonical form, and how many errors of syntax it has: what has one is left as it was."""

    text: str
    errors: int


def format_text(text: str, *, line_length: int = LINE_LENGTH) -> str:
    r"""The text in canonical form, with line feeds for line ends. A text of nothing but errors comes back as it is.

    >>> print(format_text("conv3-64   x2;maxpool->64x16x16\nconv3-128 x2 ; maxpool -> 128x8x8"), end="")
    conv3-64  x2; maxpool  -> 64x16x16
    conv3-128 x2; maxpool  -> 128x8x8

    line_length: from 40 to 320; what is longer is broken where it can be. Raises ValueError outside of that.
    """
    return formatted(text, line_length=line_length).text


def formatted(text: str, *, line_length: int = LINE_LENGTH) -> Formatted:
    """`format_text`, with the number of errors. Raises as that does."""
    if not SHORTEST <= line_length <= LONGEST:
        raise ValueError(f"a line has {SHORTEST} to {LONGEST} columns, not {line_length}")
    with collector_paused(), deep_recursion():
        tree, found = parse(Source("<text>", text))
        if tree is None and found:
            return Formatted(text, len(found))
        text = line_feeds(text)
        errors = [diagnostic.span.start for diagnostic in found if diagnostic.span is not None]
        made = to_text(to_lines(read_layout(text, errors), line_length), line_length)
        if text.startswith("\ufeff"):
            made = "\ufeff" + made
        if not _same_tokens(text, made):
            assert found, "the formatter changed a text that has no error"
            made = text
        # Blanks count too, and a text of a megabyte that checks must still do so.
        return Formatted(text if _too_long(made) else made, len(found))


def format_edits(
    text: str, *, start: int = 0, stop: int | None = None, line_length: int = LINE_LENGTH
) -> list[TextEdit]:
    """The smallest changes that make the canonical form, in order: only blanks and separators are touched.

    start, stop: only changes that meet this range of code points (to format a selection). Raises as `format_text`.
    """
    made = format_text(text, line_length=line_length)
    if made == text:
        return []
    stop = len(text) if stop is None else stop
    edits = []
    old_at = new_at = 1 if text.startswith("\ufeff") else 0
    for (old_start, old_stop), (new_start, new_stop) in zip(_places(text), _places(made), strict=True):
        blank = made[new_at:new_start]
        if text[old_at:old_start] != blank and old_at <= stop and start <= old_start:
            edits.append(TextEdit(old_at, old_start, blank))
        old_at, new_at = old_stop, new_stop
    return edits


def _places(text: str) -> list[tuple[int, int]]:
    """Where each token is, and the end of the text."""
    return [*((token.start, token.stop) for token in read_tokens(line_feeds(text))), (len(text), len(text))]


def _same_tokens(text: str, made: str) -> bool:
    return [token.text for token in read_tokens(text)] == [token.text for token in read_tokens(made)]


def _too_long(text: str) -> bool:
    return len(text) * 4 > LONGEST_SOURCE and len(text.encode("utf-8", "replace")) > LONGEST_SOURCE
