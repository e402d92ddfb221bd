"""Inlay hints: the shape that each step gives, and on demand what it costs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsprotocol import types

from archdsl.lsp.analysis import Analysis, Step
from archdsl.ops.base import written
from archdsl.symbolic import Dim, known

_CLOSED = re.compile(r"[ \])}]*")
_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))


def hints(analysis: Analysis, start: int, stop: int, shapes: bool, costs: bool) -> list[types.InlayHint]:
    """A hint after each step that ends in [start, stop], with its shape, and its parameters and MACs where `costs`;
    the tooltip, which `resolve` makes, always has those. A group that closes behind a step of its line says nothing that
    the step has not said."""
    found = []
    said = ("", 0)
    for index, step in sorted(enumerate(analysis.steps), key=lambda pair: pair[1].span.stop):
        end = step.span.stop
        if not start <= end <= stop:
            continue
        label = " ".join(_parts(step, shapes, costs))
        again = label == said[0] and _CLOSED.fullmatch(analysis.text, said[1], end)
        said = (label or f"→ {written(step.placed.shapes[0])}", end)
        if label and not again:
            edit = None
            if wants_contract(step):
                place = analysis.lines.range(end, end)
                edit = [types.TextEdit(place, f" -> {written(step.placed.shapes[0])}")]
            found.append(
                types.InlayHint(
                    position=analysis.lines.position(end),
                    label=label,
                    kind=types.InlayHintKind.Type,
                    text_edits=edit,
                    padding_left=True,
                    data={"uri": analysis.uri, "version": analysis.version, "step": index},
                )
            )
    return found


def resolve(analysis: Analysis, hint: types.InlayHint) -> types.InlayHint:
    """The hint with its tooltip; as it is where the text has changed since."""
    data = hint.data if isinstance(hint.data, dict) else {}
    index = data.get("step")
    if (
        data.get("version") == analysis.version
        and isinstance(index, int)
        and 0 <= index < len(analysis.steps)
    ):
        text = "\n\n".join(costs_of(analysis.steps[index]))
        hint.tooltip = types.MarkupContent(types.MarkupKind.Markdown, text)
    return hint


def wants_contract(step: Step) -> bool:
    """Whether a step has one shape, which its author has not written down."""
    return step.placed.step.contract is None and len(step.placed.shapes) == 1


def _parts(step: Step, shapes: bool, costs: bool) -> Iterator[str]:
    if shapes and step.placed.step.contract is None:
        more = ", …" if len(step.placed.shapes) > 1 else ""
        yield f"→ {written(step.placed.shapes[0])}{more}"
    if costs:
        params, macs = totals_of(step)
        if params:
            yield f"{short(params)} params"
        if macs:
            yield f"{short(macs)} MACs"


def totals_of(step: Step) -> tuple[Dim, Dim]:
    """Parameters and MACs of a step, as it was first elaborated."""
    nodes = step.draft.nodes[step.placed.start : step.placed.stop]
    return sum(node.params for node in nodes), sum(node.macs for node in nodes)


def costs_of(step: Step) -> Iterator[str]:
    """What a step costs and sees, a paragraph each."""
    params, macs = totals_of(step)
    network = step.draft.network
    if network is not None:
        yield f"{long(params)} parameters{_share(params, network.params)}, {long(macs)} MACs{_share(macs, network.macs)}"
    else:
        yield f"{long(params)} parameters, {long(macs)} MACs"
    node = step.draft.nodes[step.placed.result]
    if len(node.shape) == 3:
        yield f"receptive field {node.receptive_field}, effective stride {node.stride}"
    if len(step.placed.shapes) > 1:
        shapes = ", ".join(written(shape) for shape in step.placed.shapes)
        yield f"the first of several copies or calls, which give {shapes}"


def _share(part: Dim, whole: Dim) -> str:
    if not (known(part) and known(whole)) or not whole:
        return ""
    share = 100 * part / whole
    return f" ({share:{'.0f' if share >= 10 else '.2g'}} % of the network)" if part else ""


def long(count: Dim) -> str:
    return f"{count:,}" if known(count) else str(count)


def short(count: Dim) -> str:
    """`1.94G`, with three digits; a symbolic count as it is.

    >>> short(1_936_392_192), short(38_720), short(640)
    ('1.94G', '38.7K', '640')
    """
    if not known(count):
        return str(count)
    for unit, letter in _UNITS:
        if count >= unit:
            return f"{count / unit:.3g}{letter}" if count < 999.5 * unit else f"{count / unit:.0f}{letter}"
    return str(count)
