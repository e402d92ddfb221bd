"""What the page shows of a text: findings, the table, the drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archdsl import api
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.draw.html import drawings, table
from archdsl.network import Network
from archdsl.render import printable, to_data
from archdsl.source import Source

MOST_FINDINGS = 50


@dataclass(frozen=True)
class Spec:
    """What is edited: the text as it was, the file that it is of, and how it is loaded. path: None for standard input."""

    source: Source
    path: Path | None = None
    root: Path | None = None
    arch: str | None = None
    input: tuple[int, ...] | None = None
    params: dict[str, Any] = field(default_factory=dict)


def answer(spec: Spec, text: str) -> dict[str, Any]:
    """The findings of a text in the place of the spec's and, where it checks, its table and drawings as HTML."""
    source = Source(spec.source.name, text)
    checked = api.check(
        source, path=spec.path, root=spec.root, arch=spec.arch, input=spec.input, params=spec.params or None
    )
    found = list(checked.diagnostics)
    network = _shown(checked.networks, Path(source.name).stem)
    told: dict[str, Any] = {}
    if network is not None:
        try:
            depth, drawn = drawings(network)
            told = {
                "title": printable(network.name),
                "depth": depth,
                "depths": [level for level, _ in drawn],
                "table": table(network, depth),
                "drawings": "".join(html for _, html in drawn),
            }
        except ArchError as error:
            found.extend(error.diagnostics)
    return {**told, "findings": _findings(found, source)}


def _shown(networks: tuple[Network, ...], stem: str) -> Network | None:
    """Of several, the one that is called as its file is, else the first."""
    named = [network for network in networks if network.name == stem]
    return next(iter([*named, *networks]), None)


def _findings(found: list[Diagnostic], source: Source) -> list[dict[str, Any]]:
    """As `archdsl check --format json` has them. Places in other files are told, not marked."""
    data = to_data(found[:MOST_FINDINGS])
    for diagnostic, told in zip(found, data, strict=False):
        told["here"] = diagnostic.span is not None and diagnostic.span.source is source
        if diagnostic.fix is not None and diagnostic.fix.span.source is not source:
            told["fix"] = None
    return data
