"""Which backend is the fastest for a network, and in which slices of a batch, by measurement. What is wrong is not timed."""

from __future__ import annotations

import copy
import time
from contextlib import suppress
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn

from archdsl.diagnostics import ArchError
from archdsl.engine import choices
from archdsl.engine.backends import DEFAULT, LAYOUTS, backends_on
from archdsl.engine.engine import Engine
from archdsl.engine.slices import sizes

TURN, REST = 0.1, 0.03
"""Seconds that a backend has in a round, and between two: threads of the one before spin on for a while."""

LEVEL = 1.05
"""Times the fastest that is as fast: so far lie two measurements of one engine apart from one minute to the next."""

BEHIND = 1.1
"""Times the fastest that is far behind, more than times differ from round to round."""


class Candidate(NamedTuple):
    """A backend, and how many images it runs together at most, as `optimize(backend=)` has it. ns: the median time of a
    call, None where it was not timed; error: its distance from float64, as a share of the outputs' length; wrong: why
    it is out, or ""; untuned: whether it would run if nothing were measured."""

    name: str
    ns: int | None = None
    error: float | None = None
    wrong: str = ""
    untuned: bool = False


class Tuned(NamedTuple):
    """candidates: all, the fastest first; eager: the error of the module itself, or None where torch can't compute it;
    float32: of a CPU's bf16, the time that the best one's backend takes in float32, as a share of its own; None if unknown."""

    candidates: tuple[Candidate, ...]
    eager: float | None
    key: choices.Key | None
    float32: float | None = None

    @property
    def best(self) -> Candidate | None:
        """Of those that are right the fastest; the one that would run untuned if that is hardly slower."""
        right = [each for each in self.candidates if not each.wrong]
        close = (each for each in right if each.untuned and (each.ns or 0) <= LEVEL * (right[0].ns or 0))
        return next(close, right[0] if right else None)


def tune(
    model: nn.Module, example: torch.Tensor, *, dtype: torch.dtype | None = None, rounds: int = 8
) -> Tuned:
    """Time every backend that gives what the model gives: with the whole batch at once, in the slices that it would be cut
    into untuned, and in such of half and of twice as many images; and as untuned but for another layout.

    model, example, dtype: as in `optimize`. An error in float32 over ten times the module's own and over 1e-5, or in
    bf16 over twice its own and over 1e-3, puts a backend out. Correctness is looked at for the first image.
    Raises ArchError where no engine at all can be made (A404 to A408).
    """
    engines: dict[str, Engine] = {}
    out: list[Candidate] = []
    own: dict[str, str] = {}
    for name in backends_on(example.device):
        try:
            ways = _ways(model, example, dtype, name)
            engines, own[name] = engines | ways, next(iter(ways))
        except ArchError as error:
            if error.diagnostics[0].code not in ("A401", "A411"):
                raise
            out.append(Candidate(name, wrong=error.diagnostics[0].message))
    with torch.no_grad():
        eager, errors = _errors(model, example, engines)
    seconds = _times({name: engines[name] for name, found in errors.items() if not found.wrong}, example, rounds)
    untuned = own.get(DEFAULT, next(iter(own.values()), ""))
    found = [
        candidate._replace(ns=round(seconds[name] * 1e9), untuned=name == untuned) if name in seconds else candidate
        for name, candidate in errors.items()
    ]
    order = sorted([*found, *out], key=lambda each: (each.ns is None, each.ns))
    tuned = Tuned(tuple(order), eager, next((engine.key for engine in engines.values()), None))
    best = engines.get(tuned.best.name) if tuned.best else None
    if best is None or best.dtype != torch.bfloat16 or example.device.type != "cpu":
        return tuned
    other = Engine(model, example, torch.float32, best.backend)
    shares = _times({"bf16": best, "float32": other}, example, min(rounds, 3))
    return tuned._replace(float32=shares["float32"] / shares["bf16"])


def keep(tuned: Tuned) -> str:
    """Let `optimize` know, and say where. Raises OSError where the file can't be written."""
    best = tuned.best
    if best is None or best.ns is None or best.error is None or tuned.key is None:
        return ""
    path = choices.keep(tuned.key, choices.Choice(best.name, best.ns, best.error))
    return "" if path is None else str(path)


def to_text(name: str, tuned: Tuned) -> str:
    """A table: who was timed, who was not, and why."""
    key = tuned.key or {}
    shape = "x".join(map(str, key.get("shape") or ()))  # type: ignore[arg-type]
    lines = [f"{name}, {shape}, {key.get('dtype')}, {key.get('threads')} threads, {key.get('cpu')}", ""]
    width = max(len(each.name) for each in tuned.candidates)
    lines.append(f"{'backend'.ljust(width)}  {'ms':>10}  {'error':>8}  x eager's")
    for each in tuned.candidates:
        ms = "-" if each.ns is None else f"{each.ns / 1e6:,.3f}"
        error = "-" if each.error is None else f"{each.error:.1e}"
        times = f"{each.error / tuned.eager:.2f}" if each.error is not None and tuned.eager else "-"
        said = each.wrong or ("chosen" if each is tuned.best else "")
        lines.append(f"{each.name.ljust(width)}  {ms:>10}  {error:>8}  {times:>9}  {said}".rstrip())
    if tuned.float32 is not None and tuned.float32 * LEVEL < 1:
        lines += ["", f"float32 is faster on this CPU: {tuned.float32:.2f} of the time; its weights take twice the memory"]
    return "\n".join(lines)


def _ways(
    model: nn.Module, example: torch.Tensor, dtype: torch.dtype | None, name: str
) -> dict[str, Engine]:
    """A backend with each way to cut the batch, by the name that asks for it; its own way first. Then what it would do by
    itself with each layout that it does not take by itself."""
    first = Engine(model, example, dtype, name)
    ways = _cuts(model, example, dtype, name, first)
    own = next(iter(ways))
    for layout in LAYOUTS.get(name, ()):
        if layout != first.layout:
            with suppress(ArchError):  # it can't
                ways[f"{own}/{layout}"] = Engine(model, example, dtype, f"{own}/{layout}")
    return ways


def _cuts(
    model: nn.Module, example: torch.Tensor, dtype: torch.dtype | None, name: str, first: Engine
) -> dict[str, Engine]:
    """As a whole, and in slices of about as many images as it would take by itself; that first."""
    batch = example.shape[0]
    possible = sizes(batch, torch.get_num_threads()) if example.device.type == "cpu" else []
    if not possible:
        return {name: first}
    own = batch if first.slices is None else first.slices.images
    near = possible.index(own) if own in possible else 0
    wanted = dict.fromkeys([own, batch, *possible[max(near - 1, 0) : near + 2]])
    return {
        f"{name}/{images}": first if images == own else Engine(model, example, dtype, f"{name}/{images}")
        for images in wanted
    }


def _errors(
    model: nn.Module, example: torch.Tensor, engines: dict[str, Engine]
) -> tuple[float | None, dict[str, Candidate]]:
    truth = copy.deepcopy(model).double()(example[:1].double())
    dtype = next((engine.dtype for engine in engines.values()), torch.float32)
    try:
        eager = _distance(copy.deepcopy(model).to(dtype)(example[:1].to(dtype)), truth)
    except NotImplementedError:  # not all layers are there in bf16
        eager = None
    times, least = (2, 1e-3) if dtype == torch.bfloat16 else (10, 1e-5)
    limit = max(least, times * (least if eager is None else eager))
    found = {}
    for name, engine in engines.items():
        error = _distance(engine(example), truth)
        wrong = "" if error <= limit else f"error {error:.1e} against float64, more than {limit:.1e}"
        found[name] = Candidate(name, error=error, wrong=wrong)
    return eager, found


def _distance(outputs: Any, truth: Any) -> float:
    """The largest of the outputs' errors, of the first image."""
    if isinstance(truth, torch.Tensor):
        outputs, truth = {"out": outputs}, {"out": truth}
    pairs = [(outputs[name][:1].double(), wanted) for name, wanted in truth.items()]
    errors = [float((got - wanted).norm() / (wanted.norm() + 1e-30)) for got, wanted in pairs]
    return max(error if error == error else float("inf") for error in errors)


def _times(engines: dict[str, Engine], example: torch.Tensor, rounds: int) -> dict[str, float]:
    """Median seconds of a call, in turns, so that a machine that gets slower does so for all. Who is far behind after two
    rounds is timed no more."""
    found: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds):
        fastest = min((min(seconds) for seconds in found.values() if seconds), default=0.0)
        for name, engine in engines.items():
            if number >= 2 and min(found[name]) > BEHIND * fastest:
                continue
            time.sleep(REST)
            engine(example)
            seconds: list[float] = []
            while sum(seconds) < TURN:
                start = time.perf_counter()
                engine(example)
                seconds.append(time.perf_counter() - start)
            found[name].append(median(seconds))
    return {name: median(seconds) for name, seconds in found.items()}
