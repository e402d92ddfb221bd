"""Passes and plans as text: what `archdsl passes` and `archdsl compile --stop-after passes` print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archdsl.network import Network
from archdsl.ops.base import written
from archdsl.passes import PASSES, Pass
from archdsl.passes._kernel import AFFINE, Kernel, Other
from archdsl.plan import Counts, plan
from archdsl.render import printable, width


def passes_table(
    network: Network, batch: int = 1, dtype: str = "f32", passes: Iterable[Pass] = PASSES
) -> str:
    """One row a pass: how many nodes it changed, and the kernels and bytes of the plan before and after it.

    Raises ValueError where a size is a symbol.
    """
    before = plan(network, dtype).count(batch)
    first = before
    rows = [("pass", "nodes changed", "kernels", "", "MB moved", "")]
    for each in passes:
        after = each.run(network)
        counts = plan(after, dtype).count(batch) if after is not network else before
        rows.append((each.name, f"{changed(network, after):,}", *_change(before, counts)))
        network, before = after, counts
    rows.append(("all", "", *_change(first, before)))
    images = "1 image" if batch == 1 else f"{batch:,} images"
    planned = plan(network, dtype)
    arena, live = _mb(planned.bytes(batch)), _mb(batch * planned.live)
    read, wrote, weights = _mb(before.read), _mb(before.written), _mb(before.weights)
    lines = [
        f"{printable(network.name)}, {images}, {dtype}",
        "",
        *_aligned(rows),
        "",
        f"moved   {read} MB read, {wrote} written, {weights} of weights",
        f"arena   {arena} MB; live at once: at most {live} MB",
        f"FLOPs   {before.flops:,}",
    ]
    return "\n".join(lines)


def changed(before: Network, after: Network) -> int:
    """Nodes that are not there any more as they were."""
    left = {(node.name, id(node.op)) for node in after.nodes}
    return sum((node.name, id(node.op)) not in left for node in before.nodes)


def _change(one: Counts, two: Counts) -> tuple[str, str, str, str]:
    return f"{one.kernels:,}", f"{two.kernels:,}", _mb(one.moved), _mb(two.moved)


def _mb(count: int) -> str:
    return f"{count / 1e6:,.2f}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The rows in columns; an arrow between what was and what is."""
    wide = [max(width(row[k]) for row in rows[1:]) for k in range(6)]
    heads = rows[0]
    pair = wide[2] + wide[3] + 4, wide[4] + wide[5] + 4
    wide[0], wide[1] = max(wide[0], len(heads[0])), max(wide[1], len(heads[1]))
    heading = f"{heads[0]:<{wide[0]}}  {heads[1]:>{wide[1]}}  {heads[2]:>{pair[0]}}  {heads[4]:>{pair[1]}}"
    rule = "─" * len(heading)
    yield heading
    yield rule
    for index, row in enumerate(rows[1:]):
        if index == len(rows) - 2:
            yield rule
        kernels = f"{row[2]:>{wide[2]}} -> {row[3]:>{wide[3]}}"
        moved = f"{row[4]:>{wide[4]}} -> {row[5]:>{wide[5]}}"
        yield f"{row[0]:<{wide[0]}}  {row[1]:>{wide[1]}}  {kernels:>{pair[0]}}  {moved:>{pair[1]}}"


def listing(network: Network) -> str:
    """The flat network, a node a line: number, name, what it does, what it reads, what comes out. Below a
    kernel what was folded into its convolutions, and what it writes beside."""
    names = [f"%{index}" for index in range(len(network.nodes))]
    rows = []
    for index, node in enumerate(network.nodes):
        op = node.op
        text = (
            op.pattern
            if isinstance(op, Kernel)
            else f"way {op.index}"
            if isinstance(op, Other)
            else node.kind
        )
        reads = ", ".join(names[i] for i in node.inputs)
        rows.append((names[index], node.name, text, reads, written(node.shape)))
    wide = [max(width(row[k]) for row in rows) for k in range(5)]
    lines = [f"{network.name}: {len(network.nodes)} nodes"]
    for row, node in zip(rows, network.nodes, strict=True):
        cells = (f"{cell}{' ' * (size - width(cell))}" for cell, size in zip(row, wide, strict=True))
        lines.append("  ".join(cells).rstrip())
        if isinstance(node.op, Kernel):
            lines.extend(f"{' ' * (wide[0] + 4)}{words}" for words in _folded(node.op))
    lines.extend(f"output {o.name} = %{o.node}" for o in network.outputs)
    return "\n".join(printable(line) for line in lines)


def _folded(kernel: Kernel) -> Iterator[str]:
    """Where the weights come from, where that is more than one layer."""
    for stage in kernel.stages:
        for source in stage.sources:
            if stage.kind in AFFINE and not source.folded:
                continue
            parts = [source.name, *(name or op.syntax for op, name in source.folded)]
            if len(parts) > 1 or len(stage.sources) > 1:
                yield f"{stage.kind}: {' * '.join(parts)}"
