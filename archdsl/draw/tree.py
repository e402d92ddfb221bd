"""What a picture is made of before anything has a place: boxes, frames, branches and outputs, in chains.

Tensors are named by the index of the node that makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archdsl.ops.base import Shape
from archdsl.symbolic import Dim


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something in a chain of steps.

    reads       tensors from outside that go in, in order; output: the tensor that flows on.
    start, stop the nodes of the network that it stands for, of all its copies.
    shape       of its output; costs: (parameters, MACs) of all copies.
    count       copies in sequence, of which the first is shown; stride: that of the first alone, where it has one.
    """

    title: str
    reads: tuple[int, ...]
    output: int
    start: int
    stop: int
    shape: Shape
    costs: tuple[Dim, Dim] = (0, 0)
    label: str | None = None
    count: int = 1
    stride: str = ""

    @property
    def text(self) -> str:
        """The title with its copies: `dense(32) ×6`, `basic(128) ×2/2`."""
        times = f"×{self.count}" if self.count > 1 else ""
        return f"{self.title} {times}{'/' + self.stride if times and self.stride else ''}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Box(Item):
    """A layer, or a block that is not opened. kind: what it is coloured by; layer: a layer's name in the language."""

    kind: str
    opens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Item):
    """An opened block or a group: a chain inside a border."""

    inner: Chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Item):
    """Branches side by side and the merge of them. title: the merge's symbol. main: the branch that stays on the line,
    while the others pass beside it, at its right, or where `mirrored` at its left."""

    branches: tuple[Chain, ...]
    main: int | None = None
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside(Item):
    """A head that reads the stream, which passes by."""

    inner: Chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit(Item):
    """An output of the network, where a step makes it. title: with its name; last: nothing reads the tensor after it, so that
    the output stands on the line; else beside it."""

    last: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps one after another. enters: the tensor before the first; leaves: the one that goes on after the last;
    turned: tensors that run on the other side than they would."""

    enters: int
    items: tuple[Item, ...]
    leaves: int
    turned: frozenset[int] = frozenset()

    @property
    def reads(self) -> tuple[int, ...]:
        """Tensors from outside, in order of their first use."""
        made: set[int] = set()
        found: dict[int, None] = {}
        start = min((item.start for item in self.items), default=None)
        for item in self.items:
            for tensor in item.reads:
                if tensor not in made and (start is None or tensor < start):
                    found[tensor] = None
            made.add(item.output)
        if self.leaves not in made and (start is None or self.leaves < start):
            found[self.leaves] = None
        return tuple(found)


def beside(item: Item | None) -> bool:
    """Whether the stream passes by an item, which takes no room on the line."""
    return isinstance(item, Aside) or isinstance(item, Exit) and not item.last


def items(chain: Chain) -> Iterator[Item]:
    """Every item of a chain and of what is inside, in order of the text."""
    waiting: list[Item] = list(reversed(chain.items))
    while waiting:
        item = waiting.pop()
        yield item
        inner: Iterable[Chain] = ()
        if isinstance(item, Frame | Aside):
            inner = (item.inner,)
        elif isinstance(item, Split):
            inner = item.branches
        waiting.extend(reversed([found for part in inner for found in part.items]))
