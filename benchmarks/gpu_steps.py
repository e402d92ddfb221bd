"""The steps of `python -m benchmarks.gpu`. Each keeps what it has found as it goes, and leaves the rest for the next
run when time is up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.gpu_record import Record, Settings, say
from benchmarks.gpu_workers import Workers, is_harmful

if TYPE_CHECKING:
    from archdsl.engine.gpu.choose import Chooser
    from archdsl.engine.gpu.problem import Problem
    from archdsl.network import Network

FEW = 8
"""Images that configurations are compared with in `kernels`."""
AT_ONCE = 96
"""Candidates that are compared before those that are right are timed."""


class Stopped(Exception):
    """The GPU can't be used any more by this process."""


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


def kernels(settings: Settings, record: Record, chooser: Chooser, workers: Workers) -> None:
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
    waiting = [
        (problem, label)
        for label, problem in smallest.items()
        if settings.again or found.get(label, {}).get("source") != _source(label, record)
    ]
    for (problem, label), error, says in workers.compared(waiting, settings.over):
        told = {"problem": problem.key, "error": error if error < float("inf") else None, "says": says}
        found[label] = told | {"source": _source(label, record)}
        record.save(every=10)
        if says:
            say(f"{label}: {says}")
    here = [found[label] for label in smallest if label in found]
    wrong = sum(bool(each["says"]) for each in here)
    left = len(smallest) - len(here)
    say(f"{len(here)} configurations compared, {wrong} wrong or refused, {left} left")


def never(record: Record) -> set[str]:
    """Labels of what took a process, or the GPU's state, with it: nobody runs them again."""
    found = {label: each for label, each in record.step("kernels").items() if is_harmful(each["says"])}
    return {label for label, each in found.items() if each["source"] == _source(label, record)}


def _source(label: str, record: Record) -> str:
    """What holds of a candidate holds for its kernel as it is, and for this machine."""
    from archdsl.engine.gpu.book import source_of

    return f"{source_of([label.split(':')[1]])}, {record.value['machine']}"


def tuned(
    settings: Settings, record: Record, chooser: Chooser, workers: Workers, save: Callable[[], None]
) -> None:
    """A few problems at a time: their candidates are first compared in several processes, which compiles them;
    then those that are right are timed here, while the processes wait."""
    from archdsl.engine.gpu import tune

    for name, network in settings.networks.items():
        every = tune.problems_with_parts(problems(network, settings.batch, settings.dtype), chooser)
        waiting = [p for p in every if settings.again or not chooser.measured(p)]
        done = 0
        for some in _several(waiting, settings, chooser):
            pairs = [(problem, label) for problem, labels in some for label in labels]
            answered = 0
            for (problem, label), _, says in workers.compared(pairs, settings.over):
                answered += 1
                if says and "OutOfMemory" not in says:  # which is the other processes' fault
                    chooser.rule_out(problem, label)
                if is_harmful(says):
                    _harmful(record, problem, label, says)
            if answered < len(pairs):
                break
            done += _timed([problem for problem, _ in some], settings, record, chooser, save)
        say(f"{name}: {done} of {len(waiting)} problems timed; {len(every) - len(waiting)} were known")


def _several(
    waiting: list[Problem], settings: Settings, chooser: Chooser
) -> Iterator[list[tuple[Problem, list[str]]]]:
    """Problems with the labels of those of their candidates that have to be compared, about AT_ONCE at once."""
    from archdsl.engine.gpu import tune

    some: list[tuple[Problem, list[str]]] = []
    for problem in waiting:
        choices = tune.some_of(problem, chooser, settings.tried)
        some.append((problem, [choice.how for choice in choices if tune.asks(choice.candidate)]))
        if sum(len(labels) for _, labels in some) >= AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _timed(
    some: list[Problem], settings: Settings, record: Record, chooser: Chooser, save: Callable[[], None]
) -> int:
    """Problems that there was time for. Raises Stopped where the GPU is lost."""
    import torch

    from archdsl.bench.gpu import device_of
    from archdsl.engine.gpu import tune

    device = device_of(settings.device)
    for done, problem in enumerate(some):
        if settings.over():
            return done
        found = tune.tune(problem, chooser, device, tried=settings.tried, may=lambda: not settings.over())
        say(f"{problem.key}\n    {tune.summary(found)}")
        for timed in found:
            if is_harmful(timed.says):
                _harmful(record, problem, timed.label, timed.says)
                raise Stopped(f"{timed.label}: {timed.says}")
        save()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return len(some)


def _harmful(record: Record, problem: Problem, label: str, says: str) -> None:
    """Of a candidate; of a division it is not known which part it was."""
    if ":" in label:
        told = {"problem": problem.key, "error": None, "says": says, "source": _source(label, record)}
        record.step("kernels")[label] = told
        record.save()


def layers(settings: Settings, record: Record, chooser: Chooser) -> None:
    """Each launch as the engine runs it, and as a library and one kernel after it do."""
    from archdsl.engine.gpu import hand
    from archdsl.engine.gpu.book import Book
    from archdsl.engine.gpu.choose import Chooser

    found, launches = record.step("layers"), record.step("launches")
    library = Chooser(partial(hand.candidates, frozenset({"cudnn", "torch"})), Book("library"))
    fresh: set[str] = set()
    for name, network in settings.networks.items():
        counted: dict[str, int] = {}
        for problem in problems(network, settings.batch, settings.dtype):
            key = problem.key
            counted[key] = counted.get(key, 0) + 1
            asked = {"runs": chooser.choose(problem).label, "source": chooser.source(problem)}
            asked["machine"] = record.value["machine"]
            anew, known = settings.again and key not in fresh, launches.get(key, {})
            if not anew and all(known.get(what) == said for what, said in asked.items()):
                continue
            if settings.over():
                break
            launches[key] = asked | _launch(problem, chooser, library, settings, record.step("ceilings"))
            fresh.add(key)
            record.save()
        else:
            found[name] = [{"problem": key, "times": n} | launches[key] for key, n in counted.items()]
            record.save()
            say(_layers_line(name, found[name]))
            continue
        say(f"{name}: layers are left for the next run")


def _launch(
    problem: Problem, chooser: Chooser, library: Chooser, settings: Settings, top: dict[str, Any]
) -> dict[str, Any]:
    """What is known of a launch. Raises Stopped where the GPU is lost."""
    import torch

    from archdsl.bench.gpu import device_of
    from archdsl.engine.gpu import tune

    device = device_of(settings.device)
    choice = chooser.choose(problem)
    ours = tune.measured(tune.Bench(problem, device, sets=tune.SETS if device.type == "cuda" else 1), choice)
    if tune.is_fatal(ours.says):
        raise Stopped(f"{ours.label}: {ours.says}")
    theirs = tune.tune(problem, library, device, tried=settings.tried)[0]
    floor = max(problem.bytes / top["copy_bytes"], problem.flops / top["matmul_flops"]) if top else 0.0
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return {
        "why": choice.why,
        "us": ours.seconds and 1e6 * ours.seconds,
        "spread": ours.spread,
        "library_us": theirs.seconds and 1e6 * theirs.seconds,
        "library": theirs.label,
        "floor_us": 1e6 * floor,
        "error": ours.error if ours.error < float("inf") else None,
        "says": ours.says,
    }


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


def problems(network: Network, batch: int, dtype: str) -> list[Problem]:
    """Of all launches, in order."""
    from archdsl.engine.gpu import hand
    from archdsl.engine.gpu.passes import for_gpu
    from archdsl.engine.gpu.problem import problem_of
    from archdsl.plan import plan

    planned = plan(for_gpu(network, partial(hand.has, None), dtype), dtype)
    return [problem_of(launch, batch, dtype) for launch in planned.launches]
