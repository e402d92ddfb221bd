"""A picture as mermaid text, which GitHub and many editors draw by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.draw.metrics import sizes
from archdsl.draw.scene import Scene
from archdsl.draw.svg import COLORS, INK
from archdsl.draw.tree import Aside, Box, Chain, Exit, Frame, Item, Split, items
from archdsl.headroom import deep_recursion

MARKER = r"%% archdsl draw"
"""How a diagram of ours begins."""


def to_mermaid(scene: Scene) -> str:
    """The same boxes, frames and edges as the drawing's, placed by whoever shows them."""
    with deep_recursion():
        return _Writer(scene).text()


class _Writer:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.lines: list[str] = []
        self.edges: list[str] = []
        self.kinds: dict[str, list[str]] = {}
        self.count = 0
        self.wanted = sorted({tensor for item in items(scene.chain) for tensor in item.reads})

    def text(self) -> str:
        network = self.scene.network
        self.lines.append(f'  n0(["input {_plain(sizes(network.input))}"])')
        made = self.chain(self.scene.chain, {0: "n0"}, "  ")
        if self.scene.end is not None:
            self.lines.append(f'  out(["{_plain(self.scene.end)}"])')
            self.edge(made, self.scene.chain.leaves, "out")
        classes = []
        for kind, names in sorted(self.kinds.items()):
            fill, stroke, _ = COLORS[kind]
            classes.append(f"  classDef {kind} fill:{fill},stroke:{stroke},color:{INK}")
            classes.append(f"  class {','.join(names)} {kind}")
        name = re.sub(r"[^\w.-]", " ", network.name)
        return "\n".join([f"%% archdsl draw: {name}", "flowchart TD", *self.lines, *self.edges, *classes, ""])

    def fresh(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def chain(self, chain: Chain, made: dict[int, str], indent: str) -> dict[int, str]:
        """Write a chain. made: which box each tensor comes from; given back with those of the chain."""
        made = dict(made)
        for item in chain.items:
            source = self.item(item, made, indent)
            if not isinstance(item, Aside | Exit):
                made.update(dict.fromkeys(self.inside(item), source))
                made[item.output] = source
        return made

    def inside(self, item: Item) -> Iterator[int]:
        """Tensors of an item that others may read: of copies that are not shown, say."""
        return (tensor for tensor in self.wanted if item.start <= tensor < item.stop)

    def item(self, item: Item, made: dict[int, str], indent: str) -> str:
        """Write an item; the box that its output comes from."""
        if isinstance(item, Box):
            name = self.fresh()
            self.lines.append(f'{indent}{name}["{_plain(item.text)}"]')
            self.kinds.setdefault(item.kind, []).append(name)
            for tensor in item.reads:
                self.edge(made, tensor, name)
            return name
        if isinstance(item, Exit):
            name = self.fresh()
            self.lines.append(f'{indent}{name}(["{_plain(item.text)}"])')
            self.edge(made, item.output, name)
            return name
        if isinstance(item, Split):
            ends = []
            for branch in item.branches:
                ends.append((branch.leaves, self.chain(branch, made, indent)))
                made = {**made, **ends[-1][1]}
            name = self.fresh()
            self.lines.append(f'{indent}{name}(("{_plain(item.title)}"))')
            for tensor, known in ends:
                self.edge(known, tensor, name)
            return name
        assert isinstance(item, Frame | Aside)
        name = self.fresh()
        self.lines.append(f'{indent}subgraph {name}["{_plain(item.text) or " "}"]')
        known = self.chain(item.inner, made, indent + "  ")
        self.lines.append(f"{indent}end")
        return known.get(item.inner.leaves, name)

    def edge(self, made: dict[int, str], tensor: int, target: str) -> None:
        source = made.get(tensor)
        if source is not None:
            shape = _plain(sizes(self.scene.network.nodes[tensor].shape))
            self.edges.append(f'  {source} -->|"{shape}"| {target}')


def _plain(text: str) -> str:
    """A text that can stand in mermaid's quotes: signs of its own and of HTML as entities."""
    return re.sub(r"[^\w \-.,()/×+=]", lambda found: f"#{ord(found[0])};", text)
