"""The words that editors colour: the language's own, and from the registry those of the library."""

from __future__ import annotations

from archdsl.combinators import COMBINATORS
from archdsl.modules import library_names
from archdsl.ops import LAYERS
from archdsl.values import FUNCTIONS

DEFINITIONS = ("block", "arch")
STATEMENTS = ("use", "default", "let", "if", "else", "input", "output", "expect", "as")
OPERATORS = ("and", "or", "not")
KEYWORDS = (*DEFINITIONS, *STATEMENTS, *OPERATORS)
CONSTANTS = ("true", "false", "none", "same", "valid", "copy", "in")


def layers() -> list[str]:
    """Layers and what joins branches; in a text a kernel's digits may follow: `conv3`."""
    return sorted(LAYERS)


def combinators() -> list[str]:
    return sorted(COMBINATORS)


def blocks() -> list[str]:
    """Blocks of the library, which need no `use`."""
    return [name for name in library_names() if name not in LAYERS]


def functions() -> list[str]:
    return sorted(FUNCTIONS)
