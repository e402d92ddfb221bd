"""Processes that compile candidates and compare them with the definition, so that one that ends its process, or
the GPU's state, or never ends, costs no more than itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.engine.gpu.problem import Problem

Pair = tuple["Problem", str]
"""A problem, and the label of one of its candidates."""
Answer = tuple[Pair, float, str]
"""The error, and "" or what is wrong."""
ENDED = "ended its process"
LONGEST = 90.0
"""Seconds that a candidate may take."""
IMPORTS = 150.0
"""Seconds more for the first one of a process, which imports torch in them, as all others do at the same time."""
SILENT = "did not end"


def is_harmful(says: str) -> bool:
    """Whether what was said means that nobody may run a candidate again."""
    from archdsl.engine.gpu.tune import is_fatal

    return says in (ENDED, SILENT) or is_fatal(says)


class Worker:
    """A process, and what it is at work on. since: the time of its last answer."""

    def __init__(self, device: str) -> None:
        self.pipe, theirs = get_context("spawn").Pipe()
        self.process = get_context("spawn").Process(target=_serve, args=(device, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.share: list[Pair] = []
        self.since: float | None = None

    def begin(self, share: list[Pair]) -> None:
        self.share = share
        self.since = time.monotonic() + (IMPORTS if self.since is None else 0.0)
        try:
            self.pipe.send(share)
        except OSError:
            pass  # it has ended: so says its answer

    def answer(self, ready: bool) -> tuple[float, str] | None:
        """Of the first pair of its share, if there is one."""
        if ready:
            try:
                found: tuple[float, str] = self.pipe.recv()
                return found
            except (EOFError, OSError):
                return float("inf"), ENDED
        assert self.since is not None
        return (float("inf"), SILENT) if time.monotonic() - self.since > LONGEST else None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Workers:
    """count: of processes, which are started when there is work for them; 0: this one compares. Close them."""

    def __init__(self, count: int, device: str) -> None:
        self.count, self.device = count, device
        self.idle: list[Worker] = []

    def compared(self, pairs: list[Pair], over: Callable[[], bool]) -> Iterator[Answer]:
        """Pairs with their answers, as they come, until all are there or it is over."""
        if not self.count:
            for pair in pairs:
                if over():
                    return
                yield (pair, *_compare(pair, self.device))
            return
        waiting, busy = _shares(pairs), list[Worker]()
        try:
            while (waiting or busy) and not over():
                while waiting and len(busy) < self.count:
                    busy.append(self.idle.pop() if self.idle else Worker(self.device))
                    busy[-1].begin(waiting.pop(0))
                ready = wait([worker.pipe for worker in busy], timeout=0.2)
                for worker in list(busy):
                    answer = worker.answer(worker.pipe in ready)
                    if answer is None:
                        continue
                    pair = worker.share.pop(0)
                    worker.since = time.monotonic()
                    if is_harmful(answer[1]):  # what followed there would not be true
                        busy.remove(worker)
                        worker.end()
                        waiting += [worker.share] if worker.share else []
                    elif not worker.share:
                        busy.remove(worker)
                        self.idle.append(worker)
                    yield (pair, *answer)
        finally:
            for worker in busy:
                worker.end()

    def close(self) -> None:
        for worker in self.idle:
            worker.end()
        self.idle.clear()


def _shares(pairs: list[Pair]) -> list[list[Pair]]:
    """Pairs of one problem together: they are compared on the same tensors."""
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair[0].key, []).append(pair)
    return list(found.values())


def _serve(device: str, pipe: Any) -> None:
    while True:
        try:
            share = pipe.recv()
        except EOFError:
            return
        kept: list[Any] = []
        for pair in share:
            pipe.send(_compare(pair, device, kept))
        kept.clear()
        if device == "cuda":
            import torch

            torch.cuda.empty_cache()


def _compare(pair: Pair, device: str, kept: list[Any] | None = None) -> tuple[float, str]:
    """kept: the problem's tensors, if they are there and nobody who was wrong has written to them."""
    from archdsl.bench.gpu import device_of
    from archdsl.engine.gpu import hand, tune
    from archdsl.engine.gpu.choose import Choice

    problem, label = pair
    candidate = next(c for c in hand.candidates(None, problem) if c.label == label)
    kept = [] if kept is None else kept
    try:
        if not kept:
            kept.append(tune.Bench(problem, device_of(device), sets=1))
        error, says = kept[0].wrong(Choice(problem, candidate, "compared", 0.0, False))
    except RuntimeError as failed:  # no memory for them, beside the other processes
        error, says = float("inf"), tune.said(failed)
    if says:
        kept.clear()
    return error, says
