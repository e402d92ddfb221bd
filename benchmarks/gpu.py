"""Measures the engine on a GPU, tunes it, and compares it with what else could run its networks.

    python -m benchmarks.gpu [--only NETWORK,...] [--do STEP,...] [--batch 128] [--dtype bf16] [--minutes 9]

Steps, in order:

    ceilings   how fast a copy and a matrix product are here
    kernels    every configuration of every kernel that the networks could use, compared with the definition
    tune       every problem of the networks: what is right is timed, and the fastest goes into the book
    layers     every launch beside the best that a library and one kernel after it do
    networks   whole networks beside eager, a CUDA graph, torch.compile, max-autotune; who is wrong does not count

Results lie in benchmarks/results, a file for each GPU, batch and dtype, and the book in archdsl/engine/gpu.
What they hold already is not measured again unless --again; a step that no time is left for is left for the
next run. --dry-run goes through all of it on a CPU, with Triton's interpreter, on a toy: its figures mean
nothing and are written nowhere else than in --results."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from archdsl.engine.gpu.book import Book
    from archdsl.engine.gpu.choose import Chooser
    from archdsl.engine.gpu.problem import Problem
    from archdsl.network import Network

STEPS = ("ceilings", "kernels", "tune", "layers", "networks")
NETWORKS = (
    "resnet50",
    "mobilenet_v2",
    "densenet121",
    "vgg16",
    "googlenet_bn",
    "efficientnet_b0",
    "resnet152",
)
TOY = """arch toy(classes=5) {
  input 3x16x16
  conv3-16; relu
  residual(shortcut=projection) { conv1-8; relu; conv3-8; relu; conv1-32 }; relu
  dwconv3; relu6; conv1-16; relu
  gap; fc-classes
}
"""
FEW = 8
"""Images that configurations are compared with in `kernels`."""


class Settings(NamedTuple):
    """until: the time, by time.monotonic(), after which nothing is begun. peers: of `networks`."""

    networks: dict[str, Network]
    batch: int
    dtype: str
    until: float
    dry: bool
    again: bool
    workers: int
    peers: tuple[str, ...]
    rounds: int

    @property
    def device(self) -> str:
        return "dry" if self.dry else "cuda"

    @property
    def tried(self) -> int:
        """Candidates of a problem."""
        return 2 if self.dry else 8

    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()


class Record:
    """What was measured, in a file that is written after each piece of it."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path = path
        self.value: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        self.value |= about

    def step(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.value.setdefault(name, {})
        return found

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.value, indent=1) + "\n")
        new.replace(self.path)


def say(words: str) -> None:
    print(words, flush=True)


# ---- the steps ----


def ceilings(settings: Settings, record: Record) -> None:
    """Bytes/s of a copy, read and written, and FLOP/s of a product of random numbers."""
    import torch

    from archdsl.bench.gpu import ceiling, device_of
    from archdsl.bench.worker import CEILINGS
    from archdsl.engine.gpu.arena import TORCH_DTYPES
    from archdsl.engine.gpu.timing import seconds_of

    found = record.step("ceilings")
    if found and not settings.again:
        return
    device, (matrix, copied) = device_of(settings.device), CEILINGS[settings.device]
    call = ceiling(settings.device, TORCH_DTYPES[settings.dtype], matrix, copied)
    with torch.no_grad():
        found["copy_bytes"] = 2 * copied / seconds_of([lambda: call("copy")], device)[0]
        found["matmul_flops"] = 2 * matrix**3 / seconds_of([lambda: call("matmul")], device)[0]
    say(f"copy {found['copy_bytes'] / 1e9:,.0f} GB/s, matmul {found['matmul_flops'] / 1e12:,.1f} TFLOP/s")


def kernels(settings: Settings, record: Record, chooser: Chooser) -> None:
    """Each configuration on the smallest problem that it could run."""
    from archdsl.engine.gpu import tune

    smallest: dict[str, Problem] = {}
    for network in settings.networks.values():
        for problem in tune.problems_with_parts(
            problems(network, min(settings.batch, FEW), settings.dtype), chooser
        ):
            for candidate in chooser.candidates(problem):
                if candidate.backend != "triton":
                    continue
                other = smallest.get(candidate.label)
                if other is None or problem.bytes < other.bytes:
                    smallest[candidate.label] = problem
    found = record.step("kernels")
    waiting = [(p, label) for label, p in smallest.items() if settings.again or label not in found]
    for (problem, label), error, says in compared(waiting, settings):
        found[label] = {
            "problem": problem.key,
            "error": error if error < float("inf") else None,
            "says": says,
        }
        if says:
            say(f"{label}: {says}")
    wrong = sum(bool(each["says"]) for each in found.values())
    say(
        f"{len(found)} configurations compared, {wrong} wrong or refused, {len(set(smallest) - set(found))} left"
    )


def tuned(settings: Settings, chooser: Chooser, save: Any) -> None:
    """All candidates are first compared in several processes, which compiles them; those that are right are
    timed here."""
    from archdsl.bench.gpu import device_of
    from archdsl.engine.gpu import tune

    for name, network in settings.networks.items():
        every = tune.problems_with_parts(problems(network, settings.batch, settings.dtype), chooser)
        waiting = [p for p in every if settings.again or not chooser.measured(p)]
        pairs = [
            (problem, choice.how)
            for problem in waiting
            for choice in tune.some_of(problem, chooser, settings.tried)
            if choice.candidate is not None and choice.candidate.backend == "triton"
        ]
        compared_pairs = 0
        for (problem, label), _, says in compared(pairs, settings):
            compared_pairs += 1
            if says:
                chooser.refused.add((problem.key, label))
        done = 0
        for problem in waiting if compared_pairs == len(pairs) else ():
            if settings.left() < 5:
                break
            found = tune.tune(
                problem,
                chooser,
                device_of(settings.device),
                tried=settings.tried,
                may=lambda: settings.left() > 5,
            )
            say(f"{problem.key}\n    {tune.summary(found)}")
            save()
            done += 1
        say(f"{name}: {done} of {len(waiting)} problems timed; {len(every) - len(waiting)} were known")


def layers(settings: Settings, record: Record, chooser: Chooser) -> None:
    """Each launch as the engine runs it, and as a library and one kernel after it do."""
    import torch

    from archdsl.bench.gpu import device_of
    from archdsl.engine.gpu import hand, tune
    from archdsl.engine.gpu.book import Book
    from archdsl.engine.gpu.choose import Chooser

    device, found, top = device_of(settings.device), record.step("layers"), record.step("ceilings")
    library = Chooser(partial(hand.candidates, frozenset({"cudnn", "torch"})), Book("library"))
    rows: dict[str, dict[str, Any]] = {}
    for name, network in settings.networks.items():
        if name in found and not settings.again:
            continue
        counted: dict[str, int] = {}
        complete = True
        for problem in problems(network, settings.batch, settings.dtype):
            counted[problem.key] = counted.get(problem.key, 0) + 1
            if problem.key in rows:
                continue
            if settings.left() < 5:
                complete = False
                break
            choice, bench = chooser.choose(problem), tune.Bench(problem, device)
            error, says = bench.wrong(choice)
            theirs = tune.tune(problem, library, device)[0]
            floor = (
                max(problem.bytes / top["copy_bytes"], problem.flops / top["matmul_flops"]) if top else 0.0
            )
            rows[problem.key] = {
                "runs": choice.label,
                "why": choice.why,
                "us": None if says else 1e6 * bench.seconds(choice)[0],
                "library_us": theirs.seconds and 1e6 * theirs.seconds,
                "library": theirs.label,
                "floor_us": 1e6 * floor,
                "error": error,
                "says": says,
            }
            del bench
            if device.type == "cuda":
                torch.cuda.empty_cache()
        if complete:
            found[name] = [{"problem": key, "times": n} | rows[key] for key, n in counted.items()]
            record.save()
            say(_layers_line(name, found[name]))
        else:
            say(f"{name}: layers are left for the next run")


def _layers_line(name: str, rows: list[dict[str, Any]]) -> str:
    timed = [row for row in rows if row["us"] and row["library_us"]]
    ours, theirs = (sum(row[key] * row["times"] for row in timed) for key in ("us", "library_us"))
    faster = sum(row["us"] < row["library_us"] for row in timed)
    floor = sum(row["floor_us"] * row["times"] for row in timed)
    return (
        f"{name}: launch by launch {ours / 1e3:.3f} ms, a library and pointwise {theirs / 1e3:.3f} ms, floor "
        f"{floor / 1e3:.3f} ms; faster in {faster} of {len(timed)} problems, {len(rows) - len(timed)} not timed"
    )


def networks(settings: Settings, record: Record) -> None:
    """Each network beside its peers, in processes of their own."""
    from archdsl.bench.machine import machine
    from archdsl.bench.measure import Settings as Measured
    from archdsl.bench.measure import measure
    from archdsl.bench.pool import Failed
    from archdsl.bench.results import Results
    from archdsl.bench.text import to_text

    found = record.step("networks")
    for name, network in settings.networks.items():
        if name in found and not settings.again:
            continue
        if settings.left() < 30:
            say(f"{name}: left for the next run")
            continue
        # The interpreter cuts bf16 off where a GPU rounds.
        dtype = "f32" if settings.dry else settings.dtype
        measured = Measured(
            batch=settings.batch,
            dtype=dtype,
            device=settings.device,
            against=settings.peers,
            rounds=settings.rounds,
            turn=0.01 if settings.dry else 0.3,
            limit=max(settings.left(), 30.0),
            tell=say,
        )
        try:
            case = measure(network, measured)
        except Failed as error:
            say(f"{name}: {error}")
            continue
        results = Results(
            record.value["date"],
            machine() | {"gpu": record.value["gpu"]},
            dtype,
            measured.all_threads,
            (case,),
        )
        found[name] = json.loads(results.to_json())
        record.save()
        say(to_text(results))


# ---- what they share ----


def problems(network: Network, batch: int, dtype: str) -> list[Problem]:
    """Of all launches, in order."""
    from archdsl.engine.gpu import hand
    from archdsl.engine.gpu.passes import for_gpu
    from archdsl.engine.gpu.problem import problem_of
    from archdsl.plan import plan

    planned = plan(for_gpu(network, partial(hand.has, None), dtype), dtype)
    return [problem_of(launch, batch, dtype) for launch in planned.launches]


Pair = tuple["Problem", str]
ENDED = "ended its process"


def compared(pairs: list[Pair], settings: Settings) -> Iterator[tuple[Pair, float, str]]:
    """Candidates, by problem and label, with their error and what is wrong with them, as long as time is
    left. Several processes compile and compare; one that a kernel takes down is replaced, and the kernel is
    at fault."""
    if not settings.workers:
        for pair in pairs:
            if settings.left() < 5:
                return
            yield (pair, *_compare(pair, settings.device))
        return
    shares = [pairs[start :: settings.workers] for start in range(settings.workers)]
    running = [_started(share, settings.device) for share in shares if share]
    try:
        while running and settings.left() > 5:
            share, process, pipe = running.pop(0)
            try:
                answer = pipe.recv() if pipe.poll(0.02) else None
            except (EOFError, OSError):
                answer = float("inf"), ENDED
            if answer is None:
                running.append((share, process, pipe))
                continue
            yield (share.pop(0), *answer)
            if answer[1] == ENDED or "CUDA error" in answer[1]:  # what followed there would not be true
                process.kill()
                running += [_started(share, settings.device)] if share else []
            elif share:
                running.append((share, process, pipe))
    finally:
        for _, process, _ in running:
            process.kill()


def _started(share: list[Pair], device: str) -> tuple[list[Pair], Any, Any]:
    from multiprocessing import get_context

    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(share, device, theirs), daemon=True)
    process.start()
    theirs.close()
    return share, process, ours


def _serve(share: list[Pair], device: str, pipe: Any) -> None:
    for pair in share:
        pipe.send(_compare(pair, device))


def _compare(pair: Pair, device: str) -> tuple[float, str]:
    from archdsl.bench.gpu import device_of
    from archdsl.engine.gpu import hand, tune
    from archdsl.engine.gpu.choose import Choice

    problem, label = pair
    candidate = next(c for c in hand.candidates(None, problem) if c.label == label)
    bench = tune.Bench(problem, device_of(device), sets=1)
    return bench.wrong(Choice(problem, candidate, "compared", 0.0, False))


def run(settings: Settings, steps: tuple[str, ...], results: Path, book_path: Path) -> int:
    from archdsl.bench.command import gpu_name
    from archdsl.bench.gpu import device_of
    from archdsl.engine.gpu import book as books
    from archdsl.engine.gpu import hand
    from archdsl.engine.gpu.backend import machine_of
    from archdsl.engine.gpu.choose import Chooser

    about = {"gpu": "dry run"} | gpu_name(settings.device)
    machine = machine_of(device_of(settings.device))
    about |= {"machine": machine, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    word = "".join(c if c.isalnum() else "-" for c in about["gpu"].lower())
    record = Record(results / f"gpu-{word}-b{settings.batch}-{settings.dtype}.json", about)
    book: Book = books.load(machine, [book_path])
    chooser = Chooser(partial(hand.candidates, None), book)
    say(machine)
    for step in steps:
        before = time.monotonic()
        if settings.left() < 5:
            say(f"no time left for {step}")
            continue
        match step:
            case "ceilings":
                ceilings(settings, record)
            case "kernels":
                kernels(settings, record, chooser)
            case "tune":
                tuned(settings, chooser, lambda: books.save(book, book_path))
            case "layers":
                layers(settings, record, chooser)
            case "networks":
                networks(settings, record)
        record.save()
        say(f"{step}: {time.monotonic() - before:.0f} s")
    say(f"wrote {record.path} and {book_path}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default=",".join(NETWORKS), metavar="NETWORK,...")
    parser.add_argument("--do", default=",".join(STEPS), metavar="STEP,...")
    parser.add_argument("--batch", type=int, default=128, metavar="N")
    parser.add_argument("--dtype", choices=("bf16", "f32"), default="bf16")
    parser.add_argument(
        "--minutes", type=float, default=9.0, metavar="N", help="after which nothing is begun"
    )
    parser.add_argument("--peers", default="eager,graph,compile,max-autotune", metavar="PEER,...")
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument(
        "--workers", type=int, default=min(os.cpu_count() or 1, 8), metavar="N", help="that compile"
    )
    parser.add_argument("--results", type=Path, metavar="DIR")
    parser.add_argument("--book", type=Path, metavar="FILE")
    parser.add_argument("--again", action="store_true", help="measure what is known, too")
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args(arguments)
    steps = tuple(step for step in STEPS if step in args.do.split(","))
    for step in args.do.split(","):
        if step not in STEPS:
            parser.error(f"no step is called {step!r}; there are {', '.join(STEPS)}")
    if args.dry_run:
        os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
    import archdsl
    from archdsl.engine.gpu import book as books

    try:
        if args.dry_run:
            loaded = {"toy": archdsl.loads(TOY)}
        else:
            loaded = {name: archdsl.load(name) for name in args.only.split(",")}
        results = args.results or Path(
            tempfile.mkdtemp() if args.dry_run else Path(__file__).parent / "results"
        )
        settings = Settings(
            loaded,
            2 if args.dry_run else args.batch,
            args.dtype,
            time.monotonic() + 60 * args.minutes,
            args.dry_run,
            args.again,
            0 if args.dry_run else args.workers,
            tuple(args.peers.split(",")),
            1 if args.dry_run else args.rounds,
        )
        return run(
            settings,
            steps,
            results,
            args.book or (results / "tuned.jsonl" if args.dry_run else books.SHIPPED),
        )
    except (archdsl.ArchError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
