"""`archdsl.load_weights`."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from archdsl.diagnostics import ArchError
from archdsl.live import need_torch, network_of, unwrapped
from archdsl.network import Network
from archdsl.weights import disagreement
from archdsl.weights import graph as wiring
from archdsl.weights.align import BLOCKS, STRUCTURE, Pair, Place, Undecided, Unfit, align
from archdsl.weights.network_side import graph as graph_of
from archdsl.weights.network_side import places as places_of
from archdsl.weights.refusal import contradictory, undecided, unequal, unusable
from archdsl.weights.report import Match, Report
from archdsl.weights.slots import COUNTER, Entry, Source, matches

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archdsl.weights.compare import Apart

WIRED_OTHERWISE = "it reads as wired otherwise than the network, and its output for a random image is the same"

Shapes = dict[str, tuple[int, ...]]
WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What torch and training programs put before every name."""


class Planned(NamedTuple):
    """One tensor of the model, and where its values come from."""

    ours: str
    entry: Entry
    evidence: tuple[str, ...]
    rows: tuple[int, ...] | None = None


def load_weights(
    model: nn.Module,
    source: object,
    *,
    skip: str | Iterable[str] = (),
    keep: str | Iterable[str] = (),
) -> Report:
    """Give a model the weights of another implementation of the same network.

    model: made by `archdsl.build`, or by the class of a file that archdsl wrote. source: a state_dict, a torch module, a
    Keras model, or the path of a `.pt`, `.safetensors`, `.weights.h5` or `.h5` file.
    skip: tensors of the source to leave out, keep: tensors of the model to leave as they are; names, of a tensor or of
    the module around it, or patterns with `*`.

    Returns a report of every tensor: what it was matched with, and on which evidence.
    Raises ArchError, and leaves the model as it was: A601 where the source can't be read, A602 with the first
    disagreement where the two are not the same network, A603 where more than one assignment is possible, A604 where
    the source contradicts itself. OSError where a file can't be opened.
    """
    need_torch()
    state = _state_of(model)
    network = network_of(model)
    read = _read(source, network)
    skip, keep = _patterns(skip), _patterns(keep)
    read, skipped = read.without(skip)
    kept = tuple(name for name in state if matches(name, keep))
    _used(skip, skipped, "skip", read.title)
    _used(keep, kept, "keep", "the model")
    wanted = {name: tuple(t.shape) for name, t in state.items() if name not in kept}
    otherwise: tuple[str, ...] = ()
    try:
        plan = _planned(wanted, network, read)
    except ArchError:
        found = None if skipped or kept else _by_outputs(model, source, network, wanted, read)
        if found is None:
            raise
        plan, otherwise = found, (WIRED_OTHERWISE,)
    values, notes = _values(plan, state)
    _copy(values, state)
    matched = tuple(
        Match(p.ours, p.entry.name, wanted[p.ours], p.evidence, _change(p)) for p in plan if _leaf(p.ours) != COUNTER
    )
    if not (skipped or kept or otherwise):
        notes += _said_apart(model, source, network)
    return Report(read.title, matched, skipped, kept, (*read.notes, *_origin(read, network), *otherwise, *notes))


def _said_apart(model: nn.Module, source: object, network: Network | None) -> tuple[str, ...]:
    found = _apart(model, source, network)
    if found is None or found.same:
        return ()
    return (
        f"for a random image the outputs differ by {found.share:.2g} of their length: it computes something else than the "
        "network in what has no weights, such as padding, stride, a pool, an activation or eps",
    )


def _apart(model: nn.Module, source: object, network: Network | None) -> Apart | None:
    """Of a module that can be run. A state_dict says nothing of what has no weights."""
    from torch import nn

    from archdsl.weights.compare import apart

    if network is None or not isinstance(source, nn.Module) or hasattr(source, "get_config"):
        return None
    return apart(model, source, network)


def _by_outputs(
    model: nn.Module, source: object, network: Network | None, wanted: Shapes, read: Source
) -> list[Planned] | None:
    """The tensors of a module that reads as wired otherwise, one that cuts channels in its own way, say, placed by names
    and order; None where the model, with them, does not give the same."""
    if read.graph is None:
        return None
    trial = copy.deepcopy(model)
    state = _state_of(trial)
    try:
        plan = _planned(wanted, network, replace(read, graph=None))
        _copy(_values(plan, state)[0], state)
    except ArchError:
        return None
    found = _apart(trial, source, network)
    return plan if found is not None and found.same else None


def _patterns(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _used(patterns: tuple[str, ...], names: tuple[str, ...], option: str, where: str) -> None:
    """A pattern that nothing fits is a slip."""
    for pattern in patterns:
        layers = {name.rpartition(".")[0] for name in names}
        if not any(matches(name, (pattern,)) for name in (*names, *layers)):
            raise unequal(f"{option}={pattern!r} fits no tensor of {where}")


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _state_of(model: nn.Module) -> dict[str, Tensor]:
    from torch import nn

    if not isinstance(model, nn.Module):
        raise TypeError(f"load_weights takes a torch module, not {type(model).__name__}")
    state: dict[str, Tensor] = unwrapped(model).state_dict()
    for name, tensor in state.items():
        if tensor.is_meta:
            raise unusable(f"the model is on the meta device: {name} has no memory", "model.to_empty(device='cpu') first")
    return state


def _read(source: object, network: Network | None) -> Source:
    """Whatever holds weights, as a Source."""
    from torch import nn

    from archdsl.weights import torch_state

    if isinstance(source, Source):
        return source
    if isinstance(source, (str, os.PathLike)):
        from archdsl.weights.files import from_path

        return from_path(source)
    if isinstance(source, nn.Module) and not hasattr(source, "get_config"):
        return torch_state.from_module(source, network)
    if isinstance(source, Mapping):
        return torch_state.from_mapping(source, "the state_dict")
    if hasattr(source, "layers") and hasattr(source, "get_config"):
        from archdsl.weights import keras_model

        return keras_model.from_model(source)
    raise TypeError(
        f"weights come from a state_dict, a module, a Keras model or a file, not from {type(source).__name__}"
    )


# ---- which is which ----


def _planned(wanted: Shapes, network: Network | None, read: Source) -> list[Planned]:
    theirs = {entry.name: entry for slot in read.slots for entry in slot.entries.values()}
    theirs |= {entry.name: entry for entry in read.tracked.values()}
    prefix = _wrapper(theirs)
    named = {name.removeprefix(prefix): entry for name, entry in theirs.items()}
    needed = {name: shape for name, shape in wanted.items() if _leaf(name) != COUNTER}
    given = {name: entry for name, entry in named.items() if _leaf(name) != COUNTER}
    if needed.keys() == given.keys() and all(given[n].shape == shape for n, shape in needed.items()):
        return [Planned(name, named[name], ("names",)) for name in wanted if name in named]
    ours = places_of(wanted, network)
    common = needed.keys() & given.keys()
    try:
        pairs = _paired(ours, network, read)
    except Unfit:
        if 2 * len(common) >= len(needed):
            raise disagreement.by_names(needed, given, read.title) from None
        raise disagreement.by_structure(ours, read) from None
    except Undecided as open_:
        refuse = contradictory if open_.contradiction else undecided
        raise refuse(f"{read.title}: {open_.message}", open_.hint) from None
    plan = _tensors(pairs, ours, read, wanted)
    for planned in plan:
        if prod(planned.entry.shape) != prod(wanted[planned.ours]):
            raise disagreement.by_names({planned.ours: wanted[planned.ours]}, {planned.ours: planned.entry}, read.title)
        same = named.get(planned.ours)
        if same is not None and same is not planned.entry and same.shape == wanted[planned.ours]:
            raise contradictory(
                f"{read.title}: by its place {planned.entry.name} is the network's {planned.ours}, which by name is "
                f"{same.name}",
                "rename the source's tensors, all or none as the network's",
            )
    return plan


def _wrapper(names: Iterable[str]) -> str:
    found = ""
    names = list(names)
    while names:
        prefix = next((w for w in WRAPPERS if all(name.startswith(found + w) for name in names)), None)
        if prefix is None:
            break
        found += prefix
    return found


def _paired(ours: list[Place], network: Network | None, read: Source) -> list[Pair]:
    mine = graph_of(ours, network) if network is not None and read.graph is not None else None
    if mine is None or read.graph is None:
        return _by_names_and_order(ours, read)
    signatures = [p.slot.signature for p in ours], [s.signature for s in read.slots]
    for fine in (True, False):
        colors = wiring.colors(mine, signatures[0], fine), wiring.colors(read.graph, signatures[1], fine)
        try:
            pairs = align(ours, read.slots, read.ordered, colors)
            break
        except Unfit:
            continue
    else:
        _by_names_and_order(ours, read)
        raise disagreement.by_wiring(ours, read, *colors)
    return [p._replace(evidence=tuple("graph" if e in (STRUCTURE, BLOCKS) else e for e in p.evidence)) for p in pairs]


def _by_names_and_order(ours: list[Place], read: Source) -> list[Pair]:
    try:
        return align(ours, read.slots, read.ordered)
    except (Unfit, Undecided) as open_:
        if not read.ordered or getattr(open_, "contradiction", False):
            raise
        try:  # the order may be none at all, and the names enough
            return align(ours, read.slots, False)
        except (Unfit, Undecided):
            raise open_ from None


def _tensors(pairs: list[Pair], ours: list[Place], read: Source, wanted: Shapes) -> list[Planned]:
    """The tensors of paired layers, in the order of the model's own."""
    found: dict[str, Planned] = {}
    for pair in pairs:
        mine, other = ours[pair.ours].slot, pair.theirs
        rows = mine.rows if other.channels_last else None
        for role, entry in mine.entries.items():
            found[entry.name] = Planned(
                entry.name, other.entries[role], pair.evidence, rows if role == "weight" else None
            )
        counter = f"{mine.name}.{COUNTER}" if mine.name else COUNTER
        if counter in wanted and other.name in read.tracked:
            found[counter] = Planned(counter, read.tracked[other.name], pair.evidence)
    return [found[name] for name in wanted if name in found]


# ---- values ----


def _change(planned: Planned) -> str:
    if planned.rows is not None:
        channels, height, width = planned.rows
        flat = f"columns from {height}x{width}x{channels} to {channels}x{height}x{width}"
        return f"{planned.entry.change}, {flat}" if planned.entry.change else flat
    return planned.entry.change


def _values(plan: list[Planned], state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Everything that will be copied, read and made ready before anything is."""
    import torch

    values: dict[str, Tensor] = {}
    rounded: dict[str, int] = {}
    strange: list[str] = []
    for planned in plan:
        target = state[planned.ours]
        value: Tensor = planned.entry.read()
        if tuple(value.shape) != planned.entry.shape:
            raise unusable(f"{planned.entry.name} is {tuple(value.shape)}, and was announced as {planned.entry.shape}")
        if value.is_complex() or (target.is_floating_point() and not value.is_floating_point()):
            raise unequal(
                f"{planned.ours} holds {_type(target)} in the network and {_type(value)} as {planned.entry.name}"
            )
        if planned.rows is not None:
            channels, height, width = planned.rows
            value = value.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        value = value.reshape(target.shape)
        if value.is_floating_point() and not torch.isfinite(value).all():
            strange.append(planned.entry.name)
        cast = value.to(device=target.device, dtype=target.dtype)
        if cast.dtype != value.dtype and not torch.equal(cast.to(value.device).to(value.dtype), value):
            words = f"from {_type(value)} to {_type(target)}"
            rounded[words] = rounded.get(words, 0) + 1
            if torch.isfinite(value).all() and not torch.isfinite(cast).all():
                raise unequal(f"{planned.entry.name} has values that {_type(target)}, the model's type, can't hold")
        values[planned.ours] = cast
    notes = [f"{count} tensors were rounded {words}" for words, count in rounded.items()]
    if strange:
        notes.append(f"{len(strange)} tensors have values that are not finite, the first {strange[0]}")
    return values, notes


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _copy(values: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """All or nothing: should one fail, those before it are put back."""
    import torch

    before: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        try:
            for name, value in values.items():
                before.append((state[name], state[name].clone()))
                state[name].copy_(value)
        except BaseException:
            for target, old in before:
                target.copy_(old)
            raise


def _origin(read: Source, network: Network | None) -> tuple[str, ...]:
    from archdsl.weights.safetensors_file import HASH, NETWORK

    wrote = read.metadata.get(HASH)
    if wrote is None or network is None or wrote == network.hash:
        return ()
    name = read.metadata.get(NETWORK, "another network")
    return (
        f"written for {name} with the hash {wrote[:12]}, and this is {network.name} with {network.hash[:12]}: "
        "the names and shapes are the same, what is computed with them may not be",
    )
