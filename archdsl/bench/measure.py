"""A run: correctness first, then the subjects in turn, round after round."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from archdsl.bench import stage
from archdsl.bench.machine import Clock, cores
from archdsl.bench.pool import Failed, Process, ending
from archdsl.bench.results import FAILED, MEASURED, WRONG, Case, Found, bound
from archdsl.bench.subjects import CEILING, OURS, SUBJECTS, hindrance, peers
from archdsl.network import Network
from archdsl.ops.base import written
from archdsl.symbolic import known

TURNS = 4
"""In which a process shows what it takes at most."""


@dataclass(frozen=True)
class Settings:
    """device: "cpu", "cuda", or "dry" (archdsl.bench.gpu). against: the peers. rounds: how often each has its turn; turn: for how many seconds; rest: seconds between two turns;
    limit: seconds after which a subject has failed. tell: where progress is told."""

    batch: int = 1
    dtype: str = "f32"
    threads: int = 0
    against: tuple[str, ...] = peers("cpu")
    device: str = "cpu"
    rounds: int = 10
    turn: float = 0.3
    rest: float = 0.05
    limit: float = 900.0
    tell: Callable[[str], None] = lambda _: None

    @property
    def all_threads(self) -> int:
        return self.threads or cores()


def measure(network: Network, settings: Settings) -> Case:
    """Measure a network. Raises ValueError where its input is of open size; Failed where it can't be run at all."""
    with tempfile.TemporaryDirectory(prefix="archdsl-bench-") as folder:
        return _Run(Path(folder), network, settings).case()


def weigh(network: Network, settings: Settings, times: int) -> dict[str, tuple[int, ...]]:
    """The bytes that a network takes in so many processes of each subject, which differ in what else is in their memory: malloc puts what a
    layer asks for where it finds room, and what torch alone takes differs by up to a fifth. Raises as `measure`."""
    with tempfile.TemporaryDirectory(prefix="archdsl-bench-") as folder:
        run = _Run(Path(folder), network, settings)
        run.begin()
        return {name: run.weighed(name, times) for name in run.alive()}


class _Run:
    """One network in its folder."""

    def __init__(self, folder: Path, network: Network, settings: Settings) -> None:
        self.folder, self.network, self.settings = folder, network, settings
        self.processes: dict[str, Process] = {}
        self.found: dict[str, Found] = {}

    def begin(self) -> None:
        """Find who can take part, and make what all share."""
        if not all(map(known, self.network.input)):
            raise ValueError(f"the input {written(self.network.input)} leaves sizes open: give --input")
        for name in (OURS, *self.settings.against):
            hindered = hindrance(SUBJECTS[name], self.settings.dtype, self.settings.device)
            self.found[name] = Found(name, *hindered) if hindered else Found(name, MEASURED)
        self.stage = self._staged()

    def case(self) -> Case:
        network = self.network
        self.begin()
        with ending(self.processes):
            for name in [name for name, found in self.found.items() if found.counts]:
                self._try(name, self._prepared)
            ceiling = self._ceiling_process()
            clock = Clock(process.pid for process in self.processes.values())
            speeds = self._timed(ceiling)
            others = clock.others()
            for name in self.alive():
                self._try(name, self._finished)
        return Case(
            network=network.name,
            hash=network.hash,
            shape=self.stage.shape,
            params=int(network.params),
            macs=int(network.macs),
            eager=self.stage.eager,
            subjects=tuple(self.found.values()),
            onnx=self.stage.onnx,
            onnx_seconds=self.stage.onnx_seconds,
            ceilings=speeds,
            others=others,
        )

    def _tell(self, words: str) -> None:
        self.settings.tell(f"{self.network.name}: {words}")

    def alive(self) -> list[str]:
        return [name for name, found in self.found.items() if found.counts]

    def weighed(self, name: str, times: int) -> tuple[int, ...]:
        """What the network takes in a subject's processes, one after another."""
        settings, held, libraries = self.settings, [], 0
        for number in range(times):
            self._tell(f"{name}, process {number + 1} of {times}")
            with self._process(name) as process:
                ask = partial(process.ask, limit=settings.limit)
                ask("load", seed=number + 1)
                backend = ask("prepare")["backend"]
                ask("settle")
                for _ in range(TURNS):
                    ask("time", seconds=settings.turn)
                held.append(ask("memory")["bytes"] or 0)
            libraries = libraries or self._libraries(name, backend) or 0
        return tuple(max(each - libraries, 0) for each in held)

    def _process(self, subject: str) -> Process:
        settings = self.settings
        return Process(self.folder, subject, settings.dtype, settings.all_threads, settings.device)

    def _staged(self) -> stage.Stage:
        self._tell("float64 and the ONNX file")
        stage.put_network(self.folder, self.network)
        reads = [name for name in self.alive() if SUBJECTS[name].onnx]
        with self._process("stage") as process:
            process.ask("make", 4 * self.settings.limit, batch=self.settings.batch, onnx=bool(reads))
        made = stage.stage_in(self.folder)
        if made.onnx_failed:
            for name in reads:
                self.found[name] = replace(self.found[name], status=FAILED, says=made.onnx_failed)
        return made

    def _try(self, name: str, what: Callable[[str], None]) -> None:
        """A subject that fails is named; the run goes on."""
        try:
            what(name)
        except Failed as error:
            self._out(name, FAILED, str(error))

    def _out(self, name: str, status: str, says: str) -> None:
        self._tell(f"{name}: {says}")
        self.found[name] = replace(self.found[name], status=status, says=says)
        if name in self.processes:
            self.processes.pop(name).end()

    def _ask(self, name: str, do: str, **more: object) -> dict[str, Any]:
        return self.processes[name].ask(do, self.settings.limit, **more)

    # ---- before, and after ----

    def _prepared(self, name: str) -> None:
        self._tell(name)
        self.processes[name] = self._process(name)
        self._ask(name, "load")
        prepared = self._ask(name, "prepare")
        libraries = self._libraries(name, prepared["backend"])
        self.found[name] = replace(
            self.found[name], libraries=libraries, ready=prepared["seconds"], preparing=prepared["bytes"]
        )
        self._judge(name, "a")
        if name in self.processes:
            self._ask(name, "settle")  # what the comparison took is not the subject's

    def _libraries(self, name: str, backend: str | None) -> int | None:
        """What its libraries hold, in a process of its own: what they load is part of the time to prepare.
        backend: that an engine of ours chose for this network; for a small one it might choose another."""
        if self.settings.device != "cpu":  # where memory is the GPU's
            return 0
        with self._process(f"{OURS}-{backend}" if backend else name) as process:
            found: int | None = process.ask("baseline", self.settings.limit)["bytes"]
        return found

    def _finished(self, name: str) -> None:
        """Memory, and whether it is still right: for images that it was neither prepared nor timed with."""
        self.found[name] = replace(self.found[name], running=self._ask(name, "memory")["bytes"])
        self._judge(name, "b")

    def _judge(self, name: str, image: str) -> None:
        """Compare with float64, and put out who is off by too much."""
        answer = self.folder / f"{name}.answer"
        count = self._ask(name, "answer", image=image, to=str(answer))["outputs"]
        other = next(i for i in stage.IMAGES if i != image)
        largest, rms = self.found[name].error or 0.0, self.found[name].rms or 0.0
        if count != len(self.stage.outputs):
            raise Failed(f"gives {count} outputs, not {len(self.stage.outputs)}")
        for index in range(count):
            value = stage.doubles(Path(f"{answer}.{index}"))
            truth, apart = (stage.doubles(self.folder / f"{i}.{index}.f64") for i in (image, other))
            errors = stage.errors(value, truth, apart)
            largest, rms = max(largest, errors[0]), max(rms, errors[1])
        self.found[name] = replace(self.found[name], error=largest, rms=rms)
        allowed = bound(self.settings.dtype, self.stage.eager)
        if not largest <= allowed:
            self._out(name, WRONG, f"error {largest:.1e} is more than {allowed:.1e}")

    # ---- the rounds ----

    def _ceiling_process(self) -> Process | None:
        process = self.processes[CEILING] = self._process(CEILING)
        try:
            process.ask("load", self.settings.limit)
            process.ask("prepare", self.settings.limit)
        except Failed:
            return None
        return process

    def _timed(self, ceiling: Process | None) -> dict[str, float]:
        settings = self.settings
        order = random.Random(0)
        times: dict[str, list[tuple[float, ...]]] = {name: [] for name in self.alive()}
        speeds: dict[str, list[float]] = {"matmul_flops": [], "copy_bytes": []}
        for number in range(settings.rounds):
            self._tell(f"round {number + 1} of {settings.rounds}")
            # Nobody always comes after the same one.
            names = self.alive()
            order.shuffle(names)
            for name in names:
                time.sleep(settings.rest)
                try:
                    took = self._ask(name, "time", seconds=settings.turn)["ns"]
                except Failed as error:
                    self._out(name, FAILED, str(error))
                    continue
                times[name].append(tuple(ns / 1e6 for ns in took))
            if ceiling is not None:
                self._ceilings(ceiling, speeds)
        for name in self.alive():
            self.found[name] = replace(self.found[name], rounds=tuple(times[name]))
        return {name: median(values) for name, values in speeds.items() if values}

    def _ceilings(self, process: Process, speeds: dict[str, list[float]]) -> None:
        from archdsl.bench.worker import CEILINGS

        matrix, copied = CEILINGS[self.settings.device]
        for name, image, amount in (("matmul_flops", "matmul", 2 * matrix**3), ("copy_bytes", "copy", 2 * copied)):
            time.sleep(self.settings.rest)
            try:
                took = process.ask("time", self.settings.limit, seconds=self.settings.turn / 2, image=image)["ns"]
            except Failed:
                return
            speeds[name].append(amount / median(took) * 1e9)
