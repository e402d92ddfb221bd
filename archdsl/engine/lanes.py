"""Threads that run networks side by side, each computing alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import count
from threading import Barrier
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def side_by_side(lanes: int, work: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    """What `work` gives for each of the jobs, so many of which run at once, with a thread each and torch's operators in
    that thread alone. Raises what `work` raises, when none of them runs any more."""
    if lanes == 1:
        return [work(job) for job in jobs]
    next_of = count().__next__
    found: dict[int, Result] = {}

    def lane() -> None:
        with torch.no_grad():  # which holds for a thread
            while (number := next_of()) < len(jobs):
                found[number] = work(jobs[number])

    running = [_threads(lanes).submit(lane) for _ in range(min(lanes, len(jobs)))]
    wait(running)
    for each in running:
        each.result()
    return [found[number] for number in range(len(jobs))]


@cache
def _threads(lanes: int) -> ThreadPoolExecutor:
    """They wait between calls, and all engines share them."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(lanes, "archdsl", _compute_alone)
    everyone = Barrier(lanes)
    wait([pool.submit(everyone.wait) for _ in range(lanes)])
    torch.set_num_threads(before)  # for threads to come, whose number is set with each thread's own
    return pool


def _compute_alone() -> None:
    torch.get_num_threads()  # asked first, or a thread takes the number for threads to come when it computes first
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_threads.cache_clear)
