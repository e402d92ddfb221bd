"""Results as a table."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from archdsl.bench.results import Case, Found, Results
from archdsl.bench.subjects import OURS
from archdsl.render import printable

HEADINGS = ("subject", "ms", "middle half", "x best peer", "x torch", "of matmul", "error", "x eager's", "ready in", "memory")


def to_text(results: Results) -> str:
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    machine = results.machine
    versions = ", ".join(f"{name} {number}" for name, number in machine.get("versions", {}).items())
    where = f"{machine.get('cpu', 'a CPU')}, {results.threads} of {machine.get('cpus', '?')} CPUs"
    yield f"{machine.get('gpu', where)}; {results.date[:10]}"
    yield versions
    for case in results.cases:
        yield ""
        images = "1 image" if case.shape[0] == 1 else f"{case.shape[0]} images"
        yield f"{printable(case.network)}, {images} {'x'.join(map(str, case.shape[1:]))}, {results.dtype}"
        yield ""
        yield from _table(case)
        yield from _beneath(case)
    yield ""
    for of_torch, whom in ((False, "the best correct peer"), (True, "the best that comes with torch")):
        mean = results.mean(of_torch)
        if mean is not None and len(results.cases) > 1:
            yield f"archdsl is {mean[0]:.2f} times as fast as {whom} (geometric mean), at least level in {mean[1]} of {mean[2]}"
    yield "what the columns mean: docs/bench.md"


def _table(case: Case) -> Iterator[str]:
    rows = [HEADINGS, *(_row(case, found) for found in case.subjects if found.counts)]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    wide[0] = max(wide[0], *(len(found.name) for found in case.subjects))
    for index, row in enumerate(rows):
        cells = [f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, wide, strict=True))]
        yield "  ".join(cells).rstrip()
        if index == 0:
            yield "─" * (sum(wide) + 2 * (len(wide) - 1))
    for found in case.subjects:
        if not found.counts:
            yield f"{found.name:<{wide[0]}}  {found.status}: {printable(found.says)}"


def _row(case: Case, found: Found) -> tuple[str, ...]:
    best, torch, share = case.ratio(found, case.best), case.ratio(found, case.best_of_torch), case.of_matmul(found)
    over = case.over_eager(found)
    return (
        found.name,
        _ms(found.ms),
        f"{_ms(found.spread[0])}–{_ms(found.spread[1])}",
        f"{best.value:.2f}" if best else "",
        f"{torch.value:.2f}" if torch else "",
        f"{share:.0%}" if share else "",
        f"{found.error:.1e}" if found.error is not None and isfinite(found.error) else "",
        f"{over:.2f}" if over is not None else "",
        f"{found.ready:.2f} s" if found.ready is not None else "",
        f"{found.memory / 2**20:,.0f} MiB" if found.memory is not None else "",
    )


def _ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def _beneath(case: Case) -> Iterator[str]:
    words = []
    if "matmul_flops" in case.ceilings:
        words.append(f"matmul {case.ceilings['matmul_flops'] / 1e9:,.0f} GFLOP/s")
    if "copy_bytes" in case.ceilings:
        words.append(f"copy {case.ceilings['copy_bytes'] / 1e9:.1f} GB/s")
    if case.onnx:
        words.append(f"ONNX file ({case.onnx}) in {case.onnx_seconds:.1f} s")
    if words:
        yield "; ".join(words)
    if case.others is not None and case.others >= 0.03:
        yield f"other processes took {case.others:.0%} of the CPUs meanwhile: the times are of a shared machine"
    if case.best is None and any(found.counts and found.name == OURS for found in case.subjects):
        yield "no correct peer to compare with"
