"""What a text defines and nothing reads.

L107: parameters and values. L108: blocks and `use`. L109: a block's labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from archdsl import syntax
from archdsl.diagnostics import Diagnostic
from archdsl.lints.edits import without
from archdsl.modules import Module
from archdsl.source import Span

NAMING = {
    (syntax.Let, "name"),
    (syntax.Argument, "name"),
    (syntax.Parameter, "name"),
    (syntax.Default, "op"),
    (syntax.CallExpr, "function"),
    (syntax.Member, "base"),
    (syntax.Member, "member"),
    (syntax.Block, "name"),
    (syntax.Arch, "name"),
}
"""Parts that are names of something, and read nothing."""


def values(module: Module) -> Iterator[Diagnostic]:
    """L107: a parameter or a `let` that nothing in its definition reads."""
    for owner, statements, parameters in _scopes(module):
        parts = list(_parts((*parameters, *statements)))
        read = {part.name for part in parts if isinstance(part, syntax.Name)}
        tensors = {part.label for part in parts if isinstance(part, syntax.Reference)}
        for parameter in parameters:
            name = parameter.name.name
            if name not in (tensors if parameter.tensor else read):
                yield _unread(
                    "L107",
                    parameter.name.span,
                    f"nothing in `{owner}` reads its parameter `{name}`",
                    "read it, or leave it out here and where it is given",
                    f"so `{owner}/2` strides nothing" if name == "s" and not parameter.tensor else "",
                )
        for part in parts:
            if isinstance(part, syntax.Let) and part.name.name not in read:
                message = f"nothing reads `{part.name.name}`"
                yield _unread("L107", part.name.span, message, "read it, or leave it out", whole=part.span)


def definitions(module: Module) -> Iterator[Diagnostic]:
    """L108: a block that no network of its file calls, and a `use` of a file of which nothing is called. A file
    of blocks alone is there for others."""
    statements = module.tree.statements if module.tree is not None else ()
    called = {name: _called((definition,)) for name, definition in module.definitions.items()}
    everything = set().union(_called(module.loose), *called.values())
    uses = [statement for statement in statements if isinstance(statement, syntax.Use)]
    if module.definitions or module.loose:
        for use, used in zip(uses, module.uses, strict=True):
            if not everything & (used.definitions.keys() - module.definitions.keys()):
                message = f"nothing of `{use.path}` is used here"
                yield _unread("L108", use.path_span, message, "leave it out", whole=use.span)
    reached = _called(module.loose)
    waiting = [*reached, *(name for name, d in module.definitions.items() if isinstance(d, syntax.Arch))]
    if not waiting:
        return
    while waiting:
        for name in called.get(waiting.pop(), ()):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    for name, definition in module.definitions.items():
        if isinstance(definition, syntax.Block) and name not in reached:
            hint = "call it, leave it out, or move it to a file of blocks that others `use`"
            yield _unread(
                "L108", definition.name.span, f"no network of this file calls the block `{name}`", hint
            )


def labels(module: Module) -> Iterator[Diagnostic]:
    """L109: a label in a block that nothing there reads. In an arch, a label is a place where the network can be
    tapped."""
    for definition in module.definitions.values():
        if not isinstance(definition, syntax.Block):
            continue
        parts = list(_parts(definition.body.statements))
        read = {part.label for part in parts if isinstance(part, syntax.Reference)}
        for part in parts:
            if isinstance(part, syntax.Label) and part.name not in read:
                yield _unread(
                    "L109",
                    part.span,
                    f"nothing in `{definition.name.name}` reads the label `{part.name}`",
                    f"write `@{part.name}` where it is wanted, or leave it out",
                    "seen in this block only",
                )


def _unread(
    code: str, span: Span, message: str, hint: str, label: str = "", whole: Span | None = None
) -> Diagnostic:
    fix = without(whole, "leave it out") if whole is not None else None
    return Diagnostic(
        code=code,
        severity="warning",
        message=message,
        span=span,
        label=label,
        hint=hint if fix is None else "",
        fix=fix,
    )


_Scope = tuple[str, tuple[syntax.Statement, ...], tuple[syntax.Parameter, ...]]


def _scopes(module: Module) -> Iterator[_Scope]:
    for name, definition in module.definitions.items():
        yield name, definition.body.statements, definition.parameters
    yield "", module.loose, ()


def _called(statements: Iterable[syntax.Statement]) -> set[str]:
    """Names of what steps call."""
    steps = (part for part in _parts(statements) if isinstance(part, syntax.Step))
    return {step.head.name for step in steps if isinstance(step.head, syntax.Name)}


def _parts(nodes: Iterable[syntax.Syntax]) -> Iterator[syntax.Syntax]:
    """Everything written within, but names that only name; in the order of the text."""
    stack = list(nodes)[::-1]
    while stack:
        node = stack.pop()
        yield node
        below: list[syntax.Syntax] = []
        kind: Any = type(node)
        for name in _children(kind):
            value = getattr(node, name)
            if isinstance(value, tuple):
                below += value
            elif value is not None and not (name == "head" and isinstance(value, syntax.Name)):
                below.append(value)
        stack.extend(below[::-1])


@cache
def _children(kind: Any) -> tuple[str, ...]:
    """Fields of a kind of node that hold nodes: found by their types, so that a new kind needs no line here."""
    names = []
    for one in fields(kind):
        holds = "InstanceOf" in str(one.type) and "Span" not in str(one.type)
        if holds and not any(issubclass(kind, owner) and one.name == name for owner, name in NAMING):
            names.append(one.name)
    return tuple(names)
