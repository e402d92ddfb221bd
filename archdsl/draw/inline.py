"""A network in a notebook: its picture and its table, with no script, for pages that are not ours."""

from __future__ import annotations

from html import escape

from archdsl.diagnostics import ArchError
from archdsl.draw.picture import picture
from archdsl.draw.scene import scene
from archdsl.draw.svg import to_svg
from archdsl.network import Network
from archdsl.ops.base import written
from archdsl.summary import field_text, heading, rows, size, totals

MOST_ROWS = 1000


def to_fragment(network: Network) -> str:
    """The picture, opened as far as it stays readable, above the table of steps, which is closed. Raises nothing."""
    try:
        # Arrow heads are found by their id, and a page may show several networks.
        drawn = to_svg(picture(scene(network)), arrow=f"archdsl-{network.hash[:12]}")
    except ArchError as error:
        drawn = f"<p>{escape(error.diagnostics[0].message)}</p>"
    return (
        f'<div class="archdsl"><div style="max-height:640px;overflow:auto">{drawn}</div>\n'
        f"<details><summary>{escape(heading(network))}: {size(network.params)} parameters, {size(network.macs)} MACs</summary>\n"
        f"{_table(network)}</details></div>"
    )


def _table(network: Network) -> str:
    told = rows(network)
    lines = []
    for row in told[:MOST_ROWS]:
        macs = size(row.macs) if row.evaluated else f"({size(row.macs)})"
        cells = (written(row.output), size(row.params), macs, field_text(row.field))
        step = f'<td style="text-align:left"><code>{escape(row.title)}</code>'
        lines.append(f"<tr>{step}{''.join(f'<td>{escape(cell)}' for cell in cells)}</tr>\n")
    if len(told) > MOST_ROWS:
        lines.append(f"<tr><td>{len(told) - MOST_ROWS:,} more</tr>\n")
    said = "".join(f"<li>{escape(name)}: {escape(sentence)}</li>" for name, sentence in totals(network))
    return f"<table><tr><th>step<th>output<th>parameters<th>MACs<th>field</tr>\n{''.join(lines)}</table><ul>{said}</ul>"
