"""The words that editors colour: the language's own, and from the registry those of the library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

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


def choices() -> list[str]:
    """Words that mean something as the value of an argument alone: `order=pre`."""
    models = [*LAYERS.values(), *(combinator.options for combinator in COMBINATORS.values())]
    found = {
        word
        for model in models
        for field in model.model_fields.values()
        for word in choices_of(field.annotation)
    }
    return sorted(found - {*CONSTANTS})


def choices_of(annotation: Any) -> Iterator[str]:
    """The words that an argument of a type can be, and not one number of a list of them."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif annotation is bool:
        yield from ("true", "false")
    elif get_origin(annotation) is not tuple:
        for part in get_args(annotation):
            if not isinstance(part, (int, str, float)):
                yield from choices_of(part)
