"""Code lenses: what a network comes to, above its `arch`."""

from __future__ import annotations

from lsprotocol import types

from archdsl.lsp.analysis import Analysis
from archdsl.lsp.hints import long, short
from archdsl.ops.base import written
from archdsl.symbolic import known

SHOW_DIAGRAM = "archdsl.showDiagram"


def lenses(analysis: Analysis, diagram: bool) -> list[types.CodeLens]:
    """A line above each arch that checks; above loose steps too. diagram: whether a click can show one."""
    found = []
    by_name = {network.name: network for network in analysis.checked.networks}
    archs = analysis.module.archs
    places = {arch.name.name: arch.span.start for arch in archs}
    if not archs and analysis.module.loose and len(by_name) == 1:
        places = {next(iter(by_name)): analysis.module.loose[0].span.start}
    for name, start in places.items():
        network = by_name.get(name)
        if network is None:
            continue
        parts = [
            f"{written(network.input)} → {written(network.shape)}",
            f"{long(network.params)} parameters",
            f"{short(network.macs)} MACs",
        ]
        if known(network.receptive_field):
            parts.append(f"receptive field {network.receptive_field}")
        command = types.Command(" · ".join(parts), "")  # an empty one does nothing, in every editor
        if diagram:
            command = types.Command(command.title, SHOW_DIAGRAM, arguments=[analysis.uri, name])
        found.append(types.CodeLens(analysis.lines.range(start, start), command))
    return found
