"""Passes of the engine: functions from Network to Network that make fewer and larger kernels of its layers.

Each is a file with one `run`; every one is valid alone and in any order, and keeps what is computed in
evaluation. Side heads and labels of tensors inside do not outlive them. `PASSES` is the order that works
best; a backend that lacks a kernel leaves the pass out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from archdsl.headroom import collector_paused
from archdsl.network import Network
from archdsl.passes import (
    activations,
    chains,
    concats,
    depthwise,
    extras,
    fold,
    pads,
    pooled,
    pools,
    projections,
    prologues,
    remove,
    residuals,
    siblings,
    squeezes,
)
from archdsl.passes._draft import Accepts, everything


class Rewrite(Protocol):
    """What a pass does. accepts: which kernels it may make of several."""

    def __call__(self, network: Network, accepts: Accepts = everything) -> Network: ...


class Pass(NamedTuple):
    """A rewrite and the name it is asked for by."""

    name: str
    run: Rewrite


PASSES = tuple(
    Pass(module.__name__.rpartition(".")[2], module.run)
    for module in (
        remove,
        pads,
        fold,
        activations,
        residuals,
        projections,
        prologues,
        siblings,
        pools,
        squeezes,
        depthwise,
        pooled,
        chains,
        concats,
        extras,
    )
)
"""All of them, in order: what is only removed or folded first, and last what needs to know who is left."""


def fused(network: Network, passes: Iterable[Pass] = PASSES, accepts: Accepts = everything) -> Network:
    """The network after these passes. accepts: a backend's word on which kernels it has, asked with each
    kernel that would do what several did, and the shapes of its inputs. What it refuses stays as it was."""
    with collector_paused():
        for each in passes:
            network = each.run(network, accepts)
    return network


def named(names: Iterable[str]) -> tuple[Pass, ...]:
    """These passes, in the order of PASSES. Raises LookupError for a name that none has."""
    wanted = set(names)
    unknown = wanted - {each.name for each in PASSES}
    if unknown:
        raise LookupError(
            f"no pass is called {min(unknown)!r}; there are {', '.join(p.name for p in PASSES)}"
        )
    return tuple(each for each in PASSES if each.name in wanted)
