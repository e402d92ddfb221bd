"""Figures that papers and lectures print of the shipped networks, and whether a network has them.

`specs/published.toml` holds them as they are printed; each is compared at the precision of the print. One that
is known to be wrong, or to differ from what the network has, says so: it is reported, and not held against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod
from typing import Any, NamedTuple

from archdsl.elaborate.whole import matches_figure
from archdsl.network import BYTES, Network, Node
from archdsl.resources import specs_root
from archdsl.symbolic import Dim

FILE_SHARE = Fraction(1, 10)
"""How much larger than its numbers a file of weights may be: it has their names too."""


class Printed(NamedTuple):
    """A figure as it stands in print.

    layer       what it is a figure of, by the module's name (`conv1.0`; several: `conv2+conv3`); "" is all.
    where       the paper and its table, the lectures.
    wrong       why it is wrong in print, if it is.
    differs     what the network has instead, or what the figure counts.
    cut         its last digit was cut off, not rounded.
    digits      how many of its digits are meant, if not all: of a round number.
    k           what its K is: 1000, or 1024.
    to          of a ratio: the network that has so many times as many parameters.
    """

    network: str
    layer: str
    quantity: str
    text: str
    where: str
    wrong: str = ""
    differs: str = ""
    cut: bool = False
    digits: int = 0
    k: int = 1000
    to: str = ""


class Figure(NamedTuple):
    """A published figure beside what the network has.

    how         it is to be read, where it is not simply rounded.
    wrong       why it is wrong in print. differs: what is known of a difference that is no mistake.
    """

    quantity: str
    layer: str
    printed: str
    where: str
    computed: Dim | Fraction | str
    met: bool
    how: str = ""
    wrong: str = ""
    differs: str = ""


# ---- what is printed ----

_PARTS = frozenset({"printed", "cut", "digits", "k", "to", "wrong", "differs"})


def published() -> dict[str, tuple[Printed, ...]]:
    """Network to its figures, in the order of the file."""
    return read(_text())


def lectures() -> dict[str, str]:
    """The lectures by the numbers that figures call them by."""
    return dict(_parsed(_text())["lectures"])


def _text() -> str:
    return (specs_root() / "published.toml").read_text(encoding="utf-8")


def _parsed(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)


def read(text: str) -> dict[str, tuple[Printed, ...]]:
    """The figures of a text like `published.toml`. Raises ValueError that says what is wrong with it."""
    data = _parsed(text)
    lectures: dict[str, str] = data.pop("lectures", {})
    found: dict[str, list[Printed]] = {}
    for source in data.pop("source", ()):
        where = _where(source, lectures)
        for quantity, table in source.items():
            if quantity not in QUANTITIES:
                raise ValueError(f"{where}: {quantity!r} is not a quantity: {', '.join(QUANTITIES)}")
            for key, value in table.items():
                network, _, layer = key.partition(" ")
                said = value if isinstance(value, dict) else {"printed": value}
                wrong = said.keys() - _PARTS or {"printed"} - said.keys()
                if wrong:
                    raise ValueError(f"{where}: {key}: {', '.join(sorted(wrong))}")
                printed = Printed(network, layer, quantity, said.pop("printed"), where, **said)
                if quantity != "input":
                    _number(printed)
                found.setdefault(network, []).append(printed)
    if data:
        raise ValueError(f"not part of the form: {', '.join(data)}")
    return {network: tuple(figures) for network, figures in found.items()}


def _where(source: dict[str, Any], lectures: dict[str, str]) -> str:
    """The paper of a source, and the numbers of the lectures that repeat it."""
    numbers = [str(number) for number in source.pop("lectures", ())]
    unknown = [number for number in numbers if number not in lectures]
    if unknown:
        raise ValueError(f"no lecture {unknown[0]}")
    names = f"lecture{'s'[: len(numbers) != 1]} {', '.join(numbers)}" if numbers else ""
    return "; ".join(part for part in (source.pop("where", ""), names) if part)


# ---- what a network has ----


def compare(printed: Printed, network: Network, other: Network | None = None) -> Figure:
    """A printed figure beside the network's. other: the network `to`, of a ratio."""
    layers = layers_of(network, printed.layer)
    computed = QUANTITIES[printed.quantity](network, layers)
    if other is not None:
        computed = Fraction(_trunk(other, None), _trunk(network, None))  # type: ignore[arg-type]
    met = agrees(printed, computed)
    return Figure(
        printed.quantity,
        printed.layer,
        printed.text,
        printed.where,
        computed,
        met,
        how=_how(printed),
        wrong=printed.wrong,
        differs=printed.differs,
    )


def agrees(printed: Printed, computed: Dim | Fraction | str) -> bool:
    """Whether a network's figure is the printed one, at the precision of the print."""
    if isinstance(computed, str):
        return computed == printed.text
    if not isinstance(computed, (int, Fraction)):
        return False  # it depends on the size of the image
    number, unit, step = _number(printed)
    if printed.quantity == "size":
        return abs(computed - number) * 2 <= step or computed <= number <= computed * (1 + FILE_SHARE)
    if printed.cut:
        return computed // step * step == number
    if isinstance(computed, int) and not printed.digits and unit in _SUFFIXES:
        # As the language compares `expect(macs=4.09G)`.
        return matches_figure(computed, int(number), _digits(printed.text) + _SUFFIXES[unit])
    return abs(computed - number) * 2 <= step


_SUFFIXES = {1: "", 10**3: "K", 10**6: "M", 10**9: "G"}
_POWERS = {"": 0, "k": 1, "K": 1, "thousand": 1, "M": 2, "million": 2, "G": 3, "B": 3, "billion": 3}
_TEXT = re.compile(
    r"(?P<number>\d[\d,]*(\.\d+)?)(×10\^(?P<ten>\d+)| ?(?P<power>thousand|million|billion|[kKMGB])?)"
    r"( ?(B|x|FLOPs|MACs|parameters))?"
)


def _number(printed: Printed) -> tuple[Fraction, int, Fraction]:
    """A printed number, its unit, and what its last digit stands for. Raises ValueError if it is no number."""
    found = _TEXT.fullmatch(printed.text)
    if found is None:
        raise ValueError(f"{printed.network}: {printed.text!r} is not a figure")
    k = 1024 if printed.quantity == "size" else printed.k
    unit = 10 ** int(found["ten"]) if found["ten"] else k ** _POWERS[found["power"] or ""]
    number = Fraction(_digits(printed.text)) * unit
    step = Fraction(unit, 10 ** len(_digits(printed.text).partition(".")[2]))
    if printed.digits:
        step = Fraction(10 ** (len(str(int(number))) - printed.digits))
    return number, unit, step


def _digits(text: str) -> str:
    """`4,253` as 4253, and `3.8 GFLOPs` as 3.8."""
    return "".join(re.findall(r"[\d.]", text.partition("×")[0]))


def _how(printed: Printed) -> str:
    """How a figure is to be read, where it is not simply rounded."""
    parts = ["cut off"] if printed.cut else []
    if printed.digits:
        parts.append(f"to {printed.digits} digit{'s'[: printed.digits != 1]}")
    if printed.k != 1000:
        parts.append(f"K = {printed.k}")
    return ", ".join(parts)


# ---- quantities ----

Chosen = Sequence[Node] | None
"""The layers that a figure is about; None: all of them."""


def layers_of(network: Network, names: str) -> Chosen:
    """The layers under module names. Raises LookupError where there is none."""
    if not names:
        return None
    found: list[Node] = []
    for name in names.split("+"):
        below = [node for node in network.nodes if node.name == name or node.name.startswith(f"{name}.")]
        if not below:
            raise LookupError(f"{network.name} has no layer {name!r}")
        found.extend(below)
    return found


def _running(network: Network) -> list[Node]:
    return [network.nodes[index] for index in network.evaluated]


def _params(network: Network, layers: Chosen) -> Dim:
    return sum(node.params for node in (network.nodes if layers is None else layers))


def _trunk(network: Network, layers: Chosen) -> Dim:
    return sum(node.params for node in _running(network))


def _weights(network: Network, layers: Chosen) -> Dim:
    return _params(network, layers) - sum(
        prod(weight.shape)
        for node in (network.nodes if layers is None else layers)
        if node.inputs
        for weight in node.op.weights(*(network.nodes[index].shape for index in node.inputs))
        if weight.trainable and weight.name.rpartition(".")[2] == "bias"
    )


def _macs(network: Network, layers: Chosen) -> Dim:
    return network.macs if layers is None else sum(node.macs for node in layers)


def _activations(network: Network, layers: Chosen) -> Dim:
    if layers is not None:
        return prod(layers[-1].shape)
    return network.activation_bytes // BYTES


def _weighted(network: Network) -> list[Node]:
    """Convolutions and fully connected layers: what multiplies by weights of its own."""
    return [node for node in _running(network) if node.macs != 0]


def _depth(network: Network, layers: Chosen) -> int:
    """Convolutions and fully connected layers on the longest way from the input to the output."""
    longest = [0] * len(network.nodes)
    for index in network.evaluated:
        node = network.nodes[index]
        before = max((longest[source] for source in node.inputs), default=0)
        longest[index] = before + (node.macs != 0)
    return longest[network.main.node]


QUANTITIES: dict[str, Callable[[Network, Chosen], Dim | Fraction | str]] = {
    "params": _params,
    "trunk": _trunk,
    "weights": _weights,
    "buffers": lambda network, layers: network.buffers,
    "total": lambda network, layers: network.params + network.buffers,
    "macs": _macs,
    "flops": lambda network, layers: 2 * _macs(network, layers),
    "activations": _activations,
    "neurons": lambda network, layers: sum(prod(node.shape) for node in _weighted(network)),
    "size": lambda network, layers: BYTES * (network.params + network.buffers),
    "depth": _depth,
    "convs": lambda network, layers: sum(len(node.shape) == 3 for node in _weighted(network)),
    "fcs": lambda network, layers: sum(node.kind == "fc" for node in _weighted(network)),
    "input": lambda network, layers: "x".join(map(str, network.input)),
    "ratio": lambda network, layers: "unknown",  # of one network alone
}
"""What can be printed of a network:

params          trainable parameters, side heads included
trunk, weights  without the side heads; without the biases
buffers, total  statistics of norms; parameters and buffers
size            bytes of a file of both, in float32
macs, flops     multiply-accumulates; two for each
activations     elements of everything computed for one image, or of what a layer gives
neurons         elements of what convolutions and fully connected layers give
depth           convolutions and fully connected layers on the longest way
convs, fcs      how many there are of each
input           shape of the image
ratio           how many times as many parameters another network has
"""

WORDS = {
    "params": "parameters",
    "trunk": "parameters without side heads",
    "total": "parameters and buffers",
    "macs": "MACs",
    "flops": "FLOPs",
    "size": "file size",
    "convs": "convolutions",
    "fcs": "fully connected layers",
    "ratio": "times fewer parameters",
}
"""Quantities in words, where their own names are not."""
