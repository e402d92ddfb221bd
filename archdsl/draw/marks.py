"""What a picture is made of, around an axis: the vertical line that a stream runs on, x = 0, and y = 0 at the top."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from archdsl.draw.metrics import text_width
from archdsl.draw.tree import Item

TEXT, SMALL = 12.0, 10.0
"""Sizes of the texts in boxes and beside edges, in pixels."""


@dataclass(frozen=True, slots=True)
class Rect:
    """role: "box", "frame", "header" ("footer" where the stream runs upwards), "merge" or "end"; item: what it shows; text: what it says in its middle."""

    x: float
    y: float
    width: float
    height: float
    role: str
    item: Item | None = None
    text: str = ""

    def moved(self, dx: float, dy: float) -> Rect:
        return replace(self, x=self.x + dx, y=self.y + dy)

    def flipped(self) -> Rect:
        role = {"header": "footer", "footer": "header"}.get(self.role, self.role)
        return replace(self, y=-self.y - self.height, role=role)


@dataclass(frozen=True, slots=True)
class Label:
    """A line of text beside an edge; y is its middle. role: "shape", "label" for the author's, "note" for others."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    role: str = "shape"

    def moved(self, dx: float, dy: float) -> Label:
        return replace(self, x=self.x + dx, y=self.y + dy)

    def flipped(self) -> Label:
        return replace(self, y=-self.y)

    @property
    def width(self) -> float:
        return text_width(self.text, SMALL)


@dataclass(frozen=True, slots=True)
class Edge:
    """A line of horizontal and vertical pieces. tensor: what flows."""

    points: tuple[tuple[float, float], ...]
    tensor: int
    arrow: bool = True

    def moved(self, dx: float, dy: float) -> Edge:
        return replace(self, points=tuple((x + dx, y + dy) for x, y in self.points))

    def flipped(self) -> Edge:
        return replace(self, points=tuple((x, -y) for x, y in self.points))


Mark = Rect | Label | Edge


@dataclass(slots=True)
class Placed:
    """Something that has its size. left, right: how far it reaches from its axis; ports: the x at which tensors enter
    at its top; taps: the y at which tensors can be taken from the axis; flip: it runs from bottom to top."""

    left: float
    right: float
    height: float
    ports: dict[int, float]
    marks: list[Mark] = field(default_factory=list)
    parts: list[tuple[float, float, Placed]] = field(default_factory=list)
    taps: dict[int, float] = field(default_factory=dict)
    flip: bool = False

    def all_marks(self, dx: float = 0.0, dy: float = 0.0) -> Iterator[Mark]:
        """Every mark at its place; what stands in front comes later."""
        inside = (mark for x, y, part in self.parts for mark in part.all_marks(x, y))
        for source in (self.marks, inside):
            for mark in source:
                yield mark.flipped().moved(dx, dy + self.height) if self.flip else mark.moved(dx, dy)
