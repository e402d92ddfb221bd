"""How wide a text is, without a font at hand: an estimate that no common sans serif exceeds."""

from __future__ import annotations

import unicodedata

from archdsl.ops.base import Shape, written

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"

# Advance widths of Helvetica, in thousandths of the font's size, for the printable characters of ASCII.
_WIDTHS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 "
    "584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 "
    "667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 "
    "278 556 500 722 500 500 500 334 260 334 584"
)
_ASCII = tuple(int(width) / 1000 for width in _WIDTHS.split())

WIDEST = 1.14
"""DejaVu Sans, which stands in where there is no Helvetica, is about this much wider."""


def text_width(text: str, size: float) -> float:
    """Pixels that a line of text takes at most, at a font size in pixels."""
    return WIDEST * size * sum(map(_advance, text))


def _advance(character: str) -> float:
    code = ord(character) - 32
    if 0 <= code < len(_ASCII):
        return _ASCII[code]
    if unicodedata.combining(character):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(character) in "WF" or character == "…" else 0.75


def fitted(text: str, size: float, most: float) -> str:
    """The text, cut with an ellipsis where it would be wider than `most` pixels."""
    if text_width(text, size) <= most:
        return text
    room = most - text_width("…", size)
    used, kept = 0.0, 0
    for character in text:
        used += WIDEST * size * _advance(character)
        if used > room:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def sizes(shape: Shape) -> str:
    """`64×112×112`"""
    return (
        " × ".join(written((side,)) for side in shape)
        if any(not isinstance(s, int) for s in shape)
        else "×".join(map(str, shape))
    )
