"""Signature help: what a layer or a block takes, with the argument that is being typed."""

from __future__ import annotations

from lsprotocol import types

from archdsl.lsp.analysis import Analysis
from archdsl.lsp.completion import arguments_of, definition_of
from archdsl.lsp.context import context_at
from archdsl.lsp.markup import Formats, words
from archdsl.names import described
from archdsl.ops import LAYERS
from archdsl.pages import stem_of, summary
from archdsl.values import function_called

TRIGGERS = ["(", ","]


def signature(analysis: Analysis, text: str, offset: int, formats: Formats) -> types.SignatureHelp | None:
    """The signature of the call around an offset of a text, which may be newer than its analysis."""
    call = context_at(text, offset).call
    if call is None:
        return None
    head = call.head
    arguments = list(arguments_of(analysis, head))
    if function_called(head):
        arguments = [("x", "a number")]
    if not arguments:
        return None
    parts = [name for name, _ in arguments]
    definition = definition_of(analysis, head)
    says = described(definition) if definition is not None else summary(stem_of(head))
    typed = call.given[-1].partition("=")
    active = _active([name.lstrip("@") for name in parts], head, call.given, typed)
    made = types.SignatureInformation(
        label=f"{head}({', '.join(parts)})",
        documentation=words(says, formats) if says else None,
        parameters=[types.ParameterInformation(name, detail) for name, detail in arguments],
        active_parameter=active,
    )
    return types.SignatureHelp([made], active_signature=0, active_parameter=active)


def _active(names: list[str], head: str, given: tuple[str, ...], typed: tuple[str, str, str]) -> int | None:
    """The number of the argument that is being typed: by its name, or by how many without one stand before it."""
    if typed[1]:
        name = typed[0].strip()
        layer = LAYERS.get(stem_of(head))
        name = layer.short.get(name, name) if layer is not None else name
        return names.index(name) if name in names else None
    layer = LAYERS.get(stem_of(head))
    order = list(layer.positional) if layer is not None else names
    place = sum("=" not in part for part in given[:-1])
    return names.index(order[place]) if place < len(order) and order[place] in names else None
