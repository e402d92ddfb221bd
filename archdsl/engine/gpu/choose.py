"""Which candidate runs a problem: the one that was measured to be the fastest, else the one that was with
another number of images, else the one that should be by the model of `cost`. A problem may also be divided
between several kernels, where that is quicker than one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from archdsl.engine.gpu.book import APART, CUT, Book, Entry, source_of
from archdsl.engine.gpu.candidate import Candidate, Given, Run
from archdsl.engine.gpu.problem import Problem

DEEP = 4
"""Divisions within divisions."""
EXPECTED = "expected, not measured"


class CannotRun(ValueError):
    """No candidate of a problem is left."""


@dataclass(frozen=True)
class Choice:
    """How a problem is run: by a candidate; cut at `place` in two choices; or taken apart, a choice for each
    output. why: chosen, in a few words; seconds: what it took, or should take; measured: which of both."""

    problem: Problem
    candidate: Candidate | None
    why: str
    seconds: float
    measured: bool
    place: int = 0
    parts: tuple[Choice, ...] = ()

    @property
    def how(self) -> str:
        """As the book has it: a candidate's label, `cut 2`, `apart`."""
        if self.candidate is not None:
            return self.candidate.label
        return f"{CUT}{self.place}" if self.place else APART

    @property
    def leaves(self) -> tuple[Choice, ...]:
        """The kernels that are run, in order."""
        if self.candidate is not None:
            return (self,)
        return tuple(leaf for part in self.parts for leaf in part.leaves)

    @property
    def label(self) -> str:
        return " | ".join(leaf.candidate.label for leaf in self.leaves if leaf.candidate is not None)

    @property
    def launches(self) -> int:
        return sum(leaf.candidate.launches for leaf in self.leaves if leaf.candidate is not None)

    @property
    def package(self) -> str:
        """What it needs beside torch and Triton."""
        return next((c.package for leaf in self.leaves if (c := leaf.candidate) and c.package), "")

    @cached_property
    def bytes(self) -> int:
        """Moved by its kernels, what lies between them included."""
        return sum(leaf.problem.bytes for leaf in self.leaves)

    def make(self, given: Given) -> Run:
        """What runs it on these tensors. Raises ValueError where it can't."""
        if self.candidate is not None:
            return self.candidate.make(given)
        runs = self._cut(given) if self.place else self._apart(given)

        def run() -> None:
            for each in runs:
                each()

        return run

    def _cut(self, given: Given) -> list[Run]:
        first, second = self.parts
        spot = first.problem.out
        shape = (self.problem.batch, spot.height, spot.width, spot.channels)
        middle = given.scratch.take(shape, given.outputs[0].dtype)
        ours, theirs = self.problem.operands_of_cut(self.place)
        inputs = given.inputs
        one = first.make(given._replace(inputs=(inputs[0], *(inputs[i] for i in ours)), outputs=(middle,)))
        two = second.make(given._replace(inputs=(middle, *(inputs[i] for i in theirs))))
        return [one, two]

    def _apart(self, given: Given) -> list[Run]:
        parts = self.problem.apart()
        assert parts is not None
        runs = []
        for part, choice in zip(parts, self.parts, strict=True):
            inputs = given.inputs if part.reads is None else (given.outputs[part.reads],)
            runs.append(choice.make(given._replace(inputs=inputs, outputs=(given.outputs[part.writes],))))
        return runs


class Picked(NamedTuple):
    """How equal problems are run: see `Choice`. seconds: None where the parts say."""

    how: str
    why: str
    seconds: float | None
    measured: bool


class Chooser:
    """Chooses for all problems of an engine; equal problems get equal choices."""

    def __init__(self, candidates: Callable[[Problem], tuple[Candidate, ...]], book: Book) -> None:
        self.candidates, self.book = candidates, book
        self.picked: dict[tuple[str, int], Picked] = {}
        self.refused: set[tuple[str, str]] = set()

    def choose(self, problem: Problem, deep: int = DEEP) -> Choice:
        """Raises CannotRun where nothing is left that may run it."""
        key = problem.key, deep
        if key not in self.picked:
            self.picked[key] = self._pick(problem, deep)
        choice = self._as(problem, self.picked[key], deep)
        assert choice is not None
        return choice

    def refuse(self, choice: Choice) -> None:
        """A candidate was wrong: it is not chosen again."""
        self.rule_out(choice.problem, choice.how)

    def rule_out(self, problem: Problem, how: str) -> None:
        """A way to run a problem is not chosen, nor measured."""
        self.refused.add((problem.key, how))
        self.picked.clear()

    def may(self, problem: Problem, how: str) -> bool:
        return (problem.key, how) not in self.refused

    def put(
        self,
        problem: Problem,
        label: str,
        seconds: float,
        error: float,
        plain: tuple[str, float] | None = None,
    ) -> None:
        """Write what was measured into the book. plain: as an entry has it."""
        told = label, seconds, error, self.source(problem), self.book.package, plain
        self.book.put(problem.key, Entry(*told))
        self.picked.clear()  # what is divided may be run otherwise, too

    def measured(self, problem: Problem) -> bool:
        """Whether the book has the problem, measured with the packages that are there."""
        found = self.book.get(problem.key, self.source(problem))
        return found is not None and self.book.package in ("", found.package)

    def divisions(self, problem: Problem, deep: int = DEEP) -> list[Choice]:
        """The problem as several kernels: cut where a layer begins that is not element by element, or, where
        there is no such place, before the last stage; and taken apart."""
        seams = problem.seams()
        places = [place for place in seams if problem.cut_is_a_seam(place)] or list(seams[-1:])
        hows = (*(f"{CUT}{place}" for place in places), APART)
        found = [self._as(problem, Picked(how, EXPECTED, None, False), deep) for how in hows]
        return [choice for choice in found if choice is not None]

    def _pick(self, problem: Problem, deep: int) -> Picked:
        source = self.source(problem)
        entry = self.book.get(problem.key, source)
        if entry is not None:
            how, seconds = self.book.best(entry)
            picked = Picked(how, "measured", seconds, True)
            if self._as(problem, picked, deep) is not None:
                return picked
        near = self.book.near(problem.key, source)
        if near is not None:
            how, _ = self.book.best(near[1])
            picked = Picked(how, f"measured with {near[0]} images", None, False)
            if self.may(problem, picked.how) and self._as(problem, picked, deep) is not None:
                return picked
        choices = [
            Choice(problem, c, EXPECTED, c.seconds, False)
            for c in self.candidates(problem)
            if self.may(problem, c.label)
        ]
        choices += self.divisions(problem, deep)
        if not choices:
            raise CannotRun(f"nothing that runs `{problem.key}` is right")
        return Picked(min(choices, key=lambda choice: choice.seconds).how, EXPECTED, None, False)

    def _as(self, problem: Problem, picked: Picked, deep: int) -> Choice | None:
        """The choice to run a problem so; None where it can't be."""
        how, why, seconds, measured = picked
        for candidate in self.candidates(problem):
            if candidate.label == how:
                return Choice(problem, candidate, why, seconds or candidate.seconds, measured)
        place = int(how[len(CUT) :]) if how.startswith(CUT) and how[len(CUT) :].isdigit() else 0
        if not deep:
            return None
        if 0 < place < len(problem.trunk):
            problems: tuple[Problem, ...] = problem.cut(place)
        elif how == APART:
            problems = tuple(part.problem for part in problem.apart() or ())
        else:
            return None
        try:
            parts = tuple(self.choose(each, deep - 1) for each in problems)
        except CannotRun:
            return None
        total = seconds or sum(part.seconds for part in parts)
        return Choice(problem, None, why, total, measured, place, parts) if parts else None

    def source(self, problem: Problem) -> str:
        """A digest of all kernels that could run a problem."""
        return source_of(c.name for c in self.candidates(problem) if c.backend == "triton")
