"""Where the engine's time goes on a CPU: each kind of layer beside what the machine's ceilings would let it take.

    python -m benchmarks.layers [NETWORK ...] [--backend NAME] [--batch N] [--dtype f32|bf16]

The ceilings are a matrix product and a copy, timed in the same run. No layer can be faster than its multiply-accumulates at the one
and its bytes at the other, except by Winograd's algorithm or where the bytes lie in a cache."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

import torch

import archdsl
from archdsl.bench.gpu import ceiling
from archdsl.bench.worker import CEILINGS
from archdsl.engine.report import Report
from benchmarks.cpu import NETWORKS

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class Ceilings(NamedTuple):
    """FLOP/s, bytes/s."""

    product: float
    copy: float


class Kind(NamedTuple):
    """Layers of one pattern: how many, their milliseconds, and the least that the ceilings allow."""

    pattern: str
    count: int
    ms: float
    least: float


def ceilings(dtype: torch.dtype) -> Ceilings:
    """Of this machine, with as many threads as torch has."""
    matrix, copied = CEILINGS["cpu"]
    call = ceiling("cpu", dtype, matrix, copied)
    with torch.inference_mode():
        return Ceilings(2 * matrix**3 / _seconds(lambda: call("matmul")), 2 * copied / _seconds(lambda: call("copy")))


def _seconds(call: Callable[[], object]) -> float:
    found = []
    for _ in range(12):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return median(found[2:])


def kinds(network: archdsl.Network, report: Report, batch: int, most: Ceilings) -> list[Kind]:
    """The report's rows by pattern, those first that take the longest beyond the least."""
    macs = {node.name: int(node.macs) for node in network.nodes}  # type: ignore[arg-type]
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    spent: set[str] = set()
    for row in report.rows:
        # A layer that takes several calls is counted with the first.
        flops = 2 * batch * sum(macs.get(name, 0) for name in row.layers if name not in spent)
        spent.update(row.layers)
        found[row.pattern].append((row.seconds, max(flops / most.product, row.bytes / most.copy)))
    made = [
        Kind(pattern, len(each), 1e3 * sum(s for s, _ in each), 1e3 * sum(least for _, least in each))
        for pattern, each in found.items()
    ]
    return sorted(made, key=lambda kind: kind.least - kind.ms)


def lines(title: str, report: Report, found: list[Kind], most: Ceilings) -> Iterator[str]:
    yield f"### {title}"
    yield ""
    yield f"{1e3 * report.whole:.2f} ms; product {most.product / 1e9:.0f} GFLOP/s, copy {most.copy / 1e9:.1f} GB/s"
    yield ""
    yield "| layers | how many | ms | least, ms | beyond it, ms |"
    yield "|---|---|---|---|---|"
    for kind in found:
        yield f"| {kind.pattern} | {kind.count} | {kind.ms:.2f} | {kind.least:.2f} | {kind.ms - kind.least:+.2f} |"
    summed = sum(kind.ms for kind in found)
    yield f"| between layers | | {1e3 * report.whole - summed:.2f} | | |"
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--backend", default=None)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    args = parser.parse_args()
    for name in args.networks:
        network = archdsl.load(name)
        dtype = DTYPES[args.dtype]
        example = torch.randn(args.batch, *network.input)
        engine = archdsl.optimize(archdsl.build(network).eval(), example, dtype=dtype, backend=args.backend)
        most = ceilings(dtype)
        time.sleep(0.1)  # torch's threads go to sleep
        report = engine.report(example, runs=20)
        title = f"{name}, {args.batch} x {args.dtype}, {engine.backend}"
        print("\n".join(lines(title, report, kinds(network, report, args.batch, most), most)), flush=True)


if __name__ == "__main__":
    main()
