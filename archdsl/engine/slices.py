"""A batch in slices, each run by one thread from the first layer to the last.

Where all threads share every layer they wait for one another after each, and the tensors of a whole batch have left the
cache before the next layer reads them. A slice of few images stays there, and its thread waits for nobody. What that costs:
the weights are read for each slice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from archdsl.engine.backend import Ready
from archdsl.engine.lanes import side_by_side
from archdsl.engine.machine import cache_of
from archdsl.engine.report import Row
from archdsl.network import Network
from archdsl.plan import plan

LEAST = 300_000_000
"""FLOPs of a batch that take longer than other threads take to begin (0.1 ms)."""

SOME = 4
"""Images of a slice that are enough: rather than more, each thread has two slices, and waits less for a slower one."""


class Slices(NamedTuple):
    """images: of one slice; number: of slices; lanes: how many run at once, with a thread each."""

    images: int
    number: int
    lanes: int

    def __str__(self) -> str:
        return f"{self.number} slices of {self.images}, {self.lanes} at once with a thread each"

    @property
    def starts(self) -> range:
        """The first image of each."""
        return range(0, self.images * self.number, self.images)

    def rows(self, found: tuple[Row, ...]) -> tuple[Row, ...]:
        """Of a batch, from those of one slice: what a layer adds to the time of all."""
        turns = self.number / self.lanes
        return tuple(replace(row, seconds=row.seconds * turns, bytes=row.bytes * self.number) for row in found)


def sizes(batch: int, threads: int) -> list[int]:
    """How many images a slice can have, the most first: all threads get as many slices, and there are several."""
    return [size for size in range(batch // threads, 0, -1) if batch % (size * threads) == 0 and size < batch]


def sliced(network: Network, dtype: str, batch: int, threads: int, most: int | None = None) -> Slices | None:
    """How a batch is cut; None: not at all, and all threads share each layer.

    most: images of a slice; a batch of no more is not cut. Unless stated, as many as a thread's part of the cache has room
    for, if there are two slices for each thread or they are `SOME`; and small batches, and those of which more weights would be read than tensors between layers, stay whole.
    """
    if most is None:
        counted = plan(network, dtype)
        image = counted.count(1)
        room = cache_of(threads) // max(counted.live, 1)
        most = min(room, max(batch // (2 * threads), SOME))
        fewest = image.weights / max(image.read + image.written, 1)
        alone = threads == 1 and batch <= room  # in the cache as it is, and nobody to wait for
        whole = alone or image.flops * batch < LEAST
    else:
        fewest, whole = 0.0, batch <= most
    fitting = [size for size in sizes(batch, threads) if fewest <= size <= most]
    if whole or not fitting:
        return None
    return Slices(fitting[0], batch // fitting[0], threads)


class Sliced:
    """See `Ready`. each: what runs one slice."""

    layout = ""

    def __init__(self, each: Ready, slices: Slices) -> None:
        self.each, self.slices = each, slices

    def run(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        images = self.slices.images
        parts = side_by_side(
            self.slices.lanes, lambda start: self.each.run(x[start : start + images]), self.slices.starts
        )
        return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))

    def warm(self, x: torch.Tensor) -> None:
        """All slices are alike."""
        side_by_side(self.slices.lanes, self.each.warm, [x[: self.slices.images]])

    def rows(self, x: torch.Tensor, runs: int) -> tuple[Row, ...]:
        """Of one slice that runs alone: beside others each waits for memory a little longer."""
        first = x[: self.slices.images]
        (found,) = side_by_side(self.slices.lanes, lambda part: self.each.rows(part, runs), [first])
        return self.slices.rows(found)
