"""The syntax tree by place: what stands at an offset, from the file down to the word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archdsl import syntax

_FIELDS: dict[type, tuple[str, ...]] = {}


def children(node: syntax.Syntax) -> Iterator[syntax.Syntax]:
    """The nodes that a node is made of, comments aside."""
    kind = type(node)
    if kind not in _FIELDS:
        fields: dict[str, Any] = kind.__dataclass_fields__  # type: ignore[attr-defined]
        _FIELDS[kind] = tuple(name for name in fields if name not in ("span", "path_span", "comments"))
    for name in _FIELDS[kind]:
        value = getattr(node, name)
        if isinstance(value, syntax.Syntax):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, syntax.Syntax))


def path_at(tree: syntax.File, offset: int) -> list[syntax.Syntax]:
    """The nodes around an offset, the file first. At the end of one node and the start of the next, the next counts."""
    path: list[syntax.Syntax] = [tree]
    while True:
        around = [child for child in children(path[-1]) if child.span.start <= offset <= child.span.stop]
        if not around:
            return path
        path.append(around[-1])


def walk(node: syntax.Syntax) -> Iterator[syntax.Syntax]:
    """A node and everything in it, in the order of the text."""
    stack = [node]
    while stack:
        found = stack.pop()
        yield found
        stack.extend(reversed(list(children(found))))


def innermost(path: list[syntax.Syntax], *kinds: type) -> Any:
    """The last of a path that is of one of the kinds, or None."""
    return next((node for node in reversed(path) if isinstance(node, kinds)), None)
