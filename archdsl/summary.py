"""The table of a network: one row a step of the text, as the tables of papers have it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from archdsl.network import Network, Region
from archdsl.ops.base import Shape, written
from archdsl.render import printable, width
from archdsl.symbolic import Dim

WIDEST = 72
"""Cells of a step's title in the terminal table; the other formats have it whole."""


class Row(NamedTuple):
    """One region.

    macs        of what runs in evaluation; where `evaluated` is false, none of it does, and these are all.
    field       (height, width) of the input that one output position sees; None for a vector.
    """

    depth: int
    step: str
    label: str | None
    kind: str
    output: Shape
    params: Dim
    buffers: Dim
    macs: Dim
    field: tuple[Dim, Dim] | None
    evaluated: bool

    @property
    def title(self) -> str:
        return f"{self.step} as {self.label}" if self.label else self.step


def rows(network: Network, depth: int = 1) -> tuple[Row, ...]:
    """The regions of a network down to a depth; 1 is the steps of the arch itself."""
    return tuple(_rows(network, depth))


def _rows(network: Network, depth: int) -> Iterator[Row]:
    runs = set(network.evaluated)
    # Sums over the nodes before each that run in evaluation: a region's share is one subtraction.
    running = list(accumulate((i in runs for i in range(len(network.nodes))), initial=0))
    costing = (node.macs if i in runs else 0 for i, node in enumerate(network.nodes))
    spent: list[Dim] = list(accumulate(costing, initial=0))
    waiting = [(child, network.region.label, 1) for child in reversed(network.region.children)]
    while waiting:
        region, above, level = waiting.pop()
        node = network.nodes[region.output]
        params, buffers, macs = network.cost(region)
        # A step without nodes of its own, such as `@c3`, only passes a tensor on.
        evaluated = region.start == region.stop or running[region.stop] > running[region.start]
        if evaluated:
            macs = spent[region.stop] - spent[region.start]
        yield Row(
            depth=level,
            step=printable(" ".join(region.title.split())),
            # The copies of a labelled repeat have its label too, but it means their last one's output.
            label=region.label if region.label != above else None,
            kind=region.kind,
            output=node.shape,
            params=params,
            buffers=buffers,
            macs=macs,
            field=node.extent if len(node.shape) == 3 else None,
            evaluated=evaluated,
        )
        if level < depth:
            waiting.extend((child, region.label, level + 1) for child in reversed(region.children))


def regions(network: Network, depth: int) -> Iterator[Region]:
    """The region of each of the table's rows, in their order."""
    waiting = [(child, 1) for child in reversed(network.region.children)]
    while waiting:
        region, level = waiting.pop()
        yield region
        if level < depth:
            waiting.extend((child, level + 1) for child in reversed(region.children))


# ---- values as text ----


def size(value: Dim) -> str:
    """A count with thousands separators; a symbolic one as written."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def field_text(field: tuple[Dim, Dim] | None) -> str:
    """`212`, or `3x7` where height and width differ."""
    if field is None:
        return ""
    height, across = field
    return size(height) if height == across else written(field)


def bytes_text(count: Dim | None) -> str:
    """`24.5 MiB`"""
    if count is None:
        return "unknown"
    if not isinstance(count, int):
        return f"{count} bytes"
    return f"{count / 2**20:,.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


def _heads(region: Region) -> Iterator[Region]:
    """Auxiliary heads, in the order of the text."""
    waiting = [region]
    while waiting:
        found = waiting.pop()
        if found.kind == "aux":
            yield found
        else:
            waiting.extend(reversed(found.children))


def totals(network: Network) -> tuple[tuple[str, str], ...]:
    """What is said of the whole network below its table: (name, sentence) pairs."""
    image = network.last_image
    macs = size(network.macs)
    lines = [
        ("parameters", f"{size(network.params)} trainable"),
        ("buffers", f"{size(network.buffers)} not trained"),
        ("MACs", f"{macs} for one image in evaluation (FLOPs = 2 x MACs)"),
    ]
    memory = f"{bytes_text(network.activation_bytes)} for one float32 image"
    if network.peak_bytes is not None:
        memory += f", at most {bytes_text(network.peak_bytes)} at once"
    lines.append(("activations", memory))
    lines.append(("receptive field", f"{field_text(image.extent)} pixels, effective stride {image.stride}"))
    main = [output for output in network.outputs if not output.aux]
    if len(main) > 1:
        shown = (f"{output.name} {written(network.nodes[output.node].shape)}" for output in main)
        lines.append(("outputs", ", ".join(shown)))
    heads = list(_heads(network.region))
    aux = [output for output in network.outputs if output.aux]
    for index, output in enumerate(aux):
        sentence = f"{output.name} (weight {output.weight:g})"
        if len(heads) == len(aux):
            params, _, macs_of_head = network.cost(heads[index])
            sentence += f": {size(params)} of the parameters, {size(macs_of_head)} MACs"
        lines.append(("auxiliary head", f"{sentence}; training only, not in the MACs"))
    return tuple(lines)


# ---- tables ----

_HEADINGS = ("step", "output", "parameters", "MACs", "field")


def _cells(row: Row) -> tuple[str, ...]:
    macs = size(row.macs)
    return (
        row.title,
        written(row.output),
        size(row.params),
        macs if _runs(row) else f"({macs})",
        field_text(row.field),
    )


def _runs(row: Row) -> bool:
    """False where the total leaves the row's MACs out."""
    return row.evaluated or (isinstance(row.macs, int) and row.macs == 0)


def cut(text: str, cells: int) -> str:
    """What fits into so many cells of a terminal."""
    if width(text) <= cells:
        return text
    while width(text) > cells - 1:
        text = text[:-1]
    return text.rstrip() + "…"


def heading(network: Network) -> str:
    """`vgg16, input 3x224x224`"""
    return f"{network.name}, input {written(network.input)}"


def to_text(network: Network, depth: int = 1) -> str:
    """The table as a terminal shows it: numbers to the right, no colours, as wide as it needs to be."""
    table = rows(network, depth)
    body = []
    for row in table:
        step, *numbers = _cells(row)
        body.append((cut("  " * (row.depth - 1) + step, WIDEST), *numbers))
    total = ("total", "", size(network.params), size(network.macs), "")
    columns = [max(map(width, column)) for column in zip(_HEADINGS, *body, total, strict=True)]

    def line(cells: tuple[str, ...]) -> str:
        # Steps and sizes read from the left, numbers from the right.
        padded = [
            cell + " " * (wide - width(cell)) if i < 2 else cell.rjust(wide)
            for i, (cell, wide) in enumerate(zip(cells, columns, strict=True))
        ]
        return "  ".join(padded).rstrip()

    rule = "─" * (sum(columns) + 2 * (len(columns) - 1))
    out = [heading(network), "", line(_HEADINGS), rule, *map(line, body), rule, line(total), ""]
    if not all(map(_runs, table)):
        out[-1:] = ["(in parentheses: not run in evaluation, not part of the total)", ""]
    said = totals(network)
    names = max(len(name) for name, _ in said)
    out.extend(f"{name:<{names}}  {printable(sentence)}" for name, sentence in said)
    return "\n".join(out)


def to_markdown(network: Network, depth: int = 1) -> str:
    """The table for a README."""
    out = [
        f"**{network.name}**, input `{written(network.input)}`",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        "|:--|:--|--:|--:|--:|",
    ]
    for row in rows(network, depth):
        step, output, *numbers = _cells(row)
        # A pipe ends the cell even inside a code span, and a code span swallows blanks at its start.
        indent = "&emsp;" * (row.depth - 1)
        cells = (f"{indent}{_code(step)}", _code(output), *numbers)
        out.append(f"| {' | '.join(cells)} |")
    out.append(f"| **total** | | {size(network.params)} | {size(network.macs)} | |")
    out.append("")
    out.extend(f"- {name}: {sentence}" for name, sentence in totals(network))
    return "\n".join(out)


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}".replace("|", "\\|")


def plain(value: Dim | None) -> int | str | None:
    """A number for JSON; one with symbols as it is written."""
    return value if value is None or isinstance(value, int) else str(value)


def to_csv(network: Network, depth: int = 1) -> str:
    """The table for a spreadsheet: numbers without separators."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = ("depth", "step", "label", "kind", "output", "params", "buffers", "macs", "receptive_field")
    writer.writerow((*names, "evaluated"))
    for row in rows(network, depth):
        field = "x".join(map(str, row.field)) if row.field else ""
        costs = (row.params, row.buffers, row.macs)
        output = written(row.output)
        evaluated = "true" if row.evaluated else "false"
        writer.writerow((row.depth, row.step, row.label or "", row.kind, output, *costs, field, evaluated))
    return stream.getvalue().rstrip("\n")


def to_data(network: Network, depth: int = 1) -> dict[str, Any]:
    """The table and its totals as plain lists and dicts; symbolic sizes as text."""
    image = network.last_image
    return {
        "name": network.name,
        "input": [plain(side) for side in network.input],
        "params": plain(network.params),
        "buffers": plain(network.buffers),
        "macs": plain(network.macs),
        "activation_bytes": plain(network.activation_bytes),
        "peak_bytes": network.peak_bytes,
        "receptive_field": [plain(side) for side in image.extent],
        "stride": [str(side) for side in image.jump],
        "outputs": [
            {
                "name": output.name,
                "shape": [plain(side) for side in network.nodes[output.node].shape],
                "aux": output.aux,
                "weight": output.weight,
            }
            for output in network.outputs
        ],
        "rows": [
            {
                "depth": row.depth,
                "step": row.step,
                "label": row.label,
                "kind": row.kind,
                "output": [plain(side) for side in row.output],
                "params": plain(row.params),
                "buffers": plain(row.buffers),
                "macs": plain(row.macs),
                "receptive_field": row.field and [plain(side) for side in row.field],
                "evaluated": row.evaluated,
            }
            for row in rows(network, depth)
        ],
    }


def to_json(network: Network, depth: int = 1) -> str:
    return json.dumps(to_data(network, depth), indent=2)
