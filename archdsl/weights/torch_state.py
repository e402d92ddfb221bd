"""torch's ways to keep weights: a state_dict, a module, and a .pt file of either."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from archdsl.network import Network
from archdsl.symbolic import known
from archdsl.weights.refusal import unusable
from archdsl.weights.slots import Entry, Source, group

NESTED = ("state_dict", "model_state_dict", "model", "module", "ema_state_dict", "params", "net")
"""Under which names training programs keep a state_dict beside an optimizer's."""


def from_mapping(state: Mapping[Any, Any], title: str, *, ordered: bool = True) -> Source:
    """A state_dict, or what holds one beside other things."""
    import torch

    state, notes = _inner(state, title, torch)
    entries = []
    for name, value in state.items():
        if not isinstance(name, str):
            raise unusable(f"{title}: a state_dict's names are texts, and one is {name!r}"[:200])
        if isinstance(value, torch.Tensor):
            tensor = value
        elif type(value).__module__ == "numpy" and type(value).__name__ == "ndarray":
            tensor = torch.from_numpy(value.copy())
        else:
            raise unusable(f"{title}: {name!r} is a {type(value).__name__}, not a tensor"[:200])
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise unusable(f"{title}: {name!r} is a sparse or quantized tensor")
        if tensor.is_meta:
            raise unusable(f"{title}: {name!r} is on the meta device and has no values")
        entries.append(Entry(name, tuple(tensor.shape), partial(_itself, tensor)))
    slots, tracked = group(entries)
    return Source(title, slots, ordered and _in_blocks(state), tracked=tracked, notes=notes)


def _in_blocks(names: Iterable[str]) -> bool:
    """Whether the tensors of each module stand together, as torch writes them. Otherwise the order is another's."""
    left: set[str] = set()
    open_: list[str] = []
    for name in names:
        around = [name[:end] for end, letter in enumerate(name) if letter == "."]
        left.update(prefix for prefix in open_ if prefix not in around)
        if left.intersection(around):
            return False
        open_ = around
    return True


def _itself(tensor: Any) -> Any:
    return tensor.detach()


def _inner(state: Mapping[Any, Any], title: str, torch: Any) -> tuple[Mapping[Any, Any], tuple[str, ...]]:
    if state and all(isinstance(value, torch.Tensor) for value in state.values()):
        return state, ()
    for key in NESTED:
        inner = state.get(key)
        if isinstance(inner, Mapping) and inner and all(isinstance(v, torch.Tensor) for v in inner.values()):
            others = [name for name in state if name != key]
            return inner, (f"taken from {key!r} of the file, beside {', '.join(map(str, others[:5]))}",) if others else ()
    if not state:
        raise unusable(f"{title} holds no tensor")
    return state, ()


def from_file(path: str, title: str) -> Source:
    """A .pt or .pth file, read with `weights_only`: no code in it is run."""
    import torch

    try:
        with warnings.catch_warnings():  # about pickles of other protocols
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a short file OSError too
        first = str(error).strip().split("\n")[0]
        if "weights_only" in str(error) or "Unsupported" in first:
            hint = "save its state_dict: torch.save(model.state_dict(), path)"
            raise unusable(f"{title} holds Python objects beside tensors, and none is run", hint) from None
        hint = "it may have been cut short: compare its size with the original's"
        raise unusable(f"{title} is no file that torch can read ({type(error).__name__})", hint) from None
    if not isinstance(state, Mapping):
        raise unusable(f"{title} holds a {type(state).__name__}, not a state_dict")
    return from_mapping(state, title)


def from_module(module: Any, network: Network | None) -> Source:
    """A live module, and how it is wired if it can be run on the network's images."""
    from archdsl.weights.torch_trace import graph_of

    found = from_mapping(module.state_dict(), f"the {type(module).__name__}")
    if network is None or not all(known(side) for side in network.input):
        return found
    return replace(found, graph=graph_of(module, found.slots, [int(side) for side in network.input]))
