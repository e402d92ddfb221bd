"""The engine on a CPU beside what could be run instead: the networks, batches and dtypes whose results are kept.

    python -m benchmarks.cpu run [NETWORK[@BATCH-DTYPE] ...]
                                       tunes and measures; writes benchmarks/results/CPU-batch*.json and .svg (an hour for all)
    python -m benchmarks.cpu memory [NETWORK[@BATCH-DTYPE] ...]
                                       measures the memory of the engine and of eager once more, in five processes each
    python -m benchmarks.cpu           prints the kept results as the tables of benchmarks/results/README.md

Each CPU has results of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import exp, log
from pathlib import Path

import archdsl
from archdsl.bench.machine import machine
from archdsl.bench.measure import Settings, weigh
from archdsl.bench.plot import to_svg
from archdsl.bench.read import from_json
from archdsl.bench.results import Case, Found, Results
from archdsl.bench.subjects import SUBJECTS

NETWORKS = (
    "vgg16 resnet50 resnet152 googlenet_bn densenet121 mobilenet_v2 efficientnet_b0 inception_v3"
).split()
CASES = (("1", "f32", "8"), ("1", "bf16", "8"), ("16", "f32", "4"), ("16", "bf16", "4"))
"""Batch, dtype and rounds."""
OTHERS = "archdsl-onednn,eager,torchscript,compile,onnxruntime,openvino"
WEIGHED, PROCESSES = ("archdsl-onednn", "eager"), 5
"""What memory is compared with, and in how many processes of each it is measured."""
RESULTS = Path(__file__).parent / "results"


def chosen(cases: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    """(network, batch, dtype, rounds) of those that are named; all where none is."""
    for batch, dtype, rounds in CASES:
        for network in NETWORKS:
            if not cases or {network, f"{network}@{batch}-{dtype}"} & set(cases):
                yield network, batch, dtype, rounds


def kept(batch: str, dtype: str, cpu: str) -> Path:
    return RESULTS / f"{slug(cpu)}-batch{batch}-{dtype}.json"


def slug(cpu: str) -> str:
    """A CPU's name in that of a file.

    >>> slug("Intel(R) Xeon(R) Processor"), slug("AMD EPYC")
    ('intel-xeon', 'amd-epyc')
    """
    return "-".join(re.sub(r"\(\w+\)|processor|cpu|@.*", " ", cpu.lower()).split())


def cpus() -> list[str]:
    """Those that results are kept of."""
    return sorted({from_json(path.read_text(encoding="utf-8")).machine["cpu"] for path in RESULTS.glob("*-batch*.json")})


def measure(cases: Sequence[str]) -> None:
    """A network at a time, kept as soon as it is measured."""
    RESULTS.mkdir(exist_ok=True)
    for network, batch, dtype, rounds in chosen(cases):
        how = [network, "--batch", batch, "--dtype", dtype]
        subprocess.run([sys.executable, "-m", "archdsl", "tune", *how], check=True)
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "made.json"
            command = ["bench", *how, "--rounds", rounds, "--against", OTHERS, "-o", str(made)]
            subprocess.run([sys.executable, "-m", "archdsl", *command], check=True)
            found = from_json(made.read_text(encoding="utf-8"))
            keep(found, kept(batch, dtype, found.machine["cpu"]))


def memory(cases: Sequence[str]) -> None:
    """Put what several processes take in the place of what one took. What was measured stays as it is."""
    for network, batch, dtype, _ in chosen(cases):
        path = kept(batch, dtype, machine()["cpu"])
        before = from_json(path.read_text(encoding="utf-8"))
        settings = Settings(batch=int(batch), dtype=dtype, threads=before.threads, against=WEIGHED)
        held = weigh(archdsl.load(network), settings, PROCESSES)
        after = tuple(_weighed(case, held) if case.network == network else case for case in before.cases)
        path.write_text(replace(before, cases=after).to_json(), encoding="utf-8")
        print(network, batch, dtype, {name: [each >> 20 for each in bytes] for name, bytes in held.items()}, flush=True)


def _weighed(case: Case, held: Mapping[str, tuple[int, ...]]) -> Case:
    return replace(case, subjects=tuple(replace(each, held=held.get(each.name, each.held)) for each in case.subjects))


def keep(made: Results, path: Path) -> None:
    """Put these networks in the place of what is kept of them, in the order of NETWORKS; and the plot beside the file."""
    cases = {case.network: case for case in made.cases}
    if path.exists():
        before = from_json(path.read_text(encoding="utf-8"))
        if before.machine == made.machine and before.threads == made.threads:
            cases = {case.network: case for case in before.cases} | cases
    found = replace(made, cases=tuple(sorted(cases.values(), key=lambda case: NETWORKS.index(case.network))))
    path.write_text(found.to_json(), encoding="utf-8")
    path.with_suffix(".svg").write_text(to_svg(found), encoding="utf-8")


def table(cpu: str) -> Iterator[str]:
    """Of what was measured on a CPU: a row a network and case, and the geometric means. Ratios are of medians: above 1 ours is faster, with torch alone
    (`onednn`, where it was measured) and as it is chosen."""
    of_torch: list[float] = []
    of_all: list[float] = []
    yield "| network | batch | dtype | ours, ms | `onednn`, ms | × best of torch | × best of all | ready in, s | memory, × eager (`onednn`) | error, × eager (`onednn`) |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for batch, dtype, _ in CASES:
        path = kept(batch, dtype, cpu)
        if not path.exists():
            continue
        for case in from_json(path.read_text(encoding="utf-8")).cases:
            found = {each.name: each for each in case.subjects if each.counts}
            ours, alone = found["archdsl"], found.get("archdsl-onednn")
            torch_best = _fastest(each for each in found.values() if SUBJECTS[each.name].of_torch)
            best = _fastest(each for each in found.values() if not SUBJECTS[each.name].ours)
            of_torch.append(torch_best.ms / (alone or ours).ms)
            of_all.append(best.ms / ours.ms)
            both = [each for each in (ours, alone) if each]
            held = _both((each.memory or 0) / (found["eager"].memory or 1) for each in both)
            errors = _both(case.over_eager(each) or 0.0 for each in both)
            yield (
                f"| {case.network} | {batch} | {dtype} | {ours.ms:.2f} | {f'{alone.ms:.2f}' if alone else '-'}"
                f" | {of_torch[-1]:.2f} ({torch_best.name}) | {of_all[-1]:.2f} ({best.name}) | {ours.ready:.2f} | {held} | {errors} |"
            )
    if of_all:
        torchs, all_ = (exp(sum(map(log, ratios)) / len(ratios)) for ratios in (of_torch, of_all))
        yield f"| geometric mean | | | | | {torchs:.2f} | {all_:.2f} | | | |"


def _both(values: Iterable[float]) -> str:
    """The engine's as it is chosen, and `onednn`'s."""
    return " ".join(f"({value:.2f})" if index else f"{value:.2f}" for index, value in enumerate(values))


def _fastest(subjects: Iterable[Found]) -> Found:
    """By medians."""
    return min(subjects, key=lambda found: found.ms)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        measure(sys.argv[2:])
    if sys.argv[1:2] == ["memory"]:
        memory(sys.argv[2:])
    for cpu in cpus():
        print("", cpu, "", *table(cpu), sep="\n")
