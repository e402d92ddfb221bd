"""The picture of a network as its text is now, for an editor that shows it beside the text."""

from __future__ import annotations

from typing import Any

from archdsl.diagnostics import ArchError
from archdsl.draw.picture import picture
from archdsl.draw.scene import scene
from archdsl.draw.svg import to_svg
from archdsl.lsp.analysis import Analysis


def diagram(analysis: Analysis, arch: str | None) -> dict[str, Any]:
    """The answer to `archdsl/diagram`, {"textDocument": {"uri"}, "arch": name or null}, a request of archdsl's own.

    {"name", "svg", "problem"}: the picture of an arch, or of the first where None is named; else, with no svg, one line
    that says why there is none.
    """
    networks = analysis.checked.networks
    network = next((n for n in networks if arch is None or n.name == arch), None)
    if network is None:
        return {"name": arch, "svg": None, "problem": _problem(analysis, arch)}
    try:
        return {"name": network.name, "svg": to_svg(picture(scene(network, None))), "problem": None}
    except ArchError as error:
        return {"name": network.name, "svg": None, "problem": error.diagnostics[0].message}


def _problem(analysis: Analysis, arch: str | None) -> str:
    for found in analysis.diagnostics:
        if found.severity == "error":
            span = found.span
            if span is None:
                return found.message
            file = "" if span.source is analysis.source else f"{span.source.name}, "
            return f"{file}line {span.line}: {found.message}"
    return f"there is no arch `{arch}` any more" if arch is not None else "this text defines no network"
