"""Which backend runs a network, and why that one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import torch

from archdsl.diagnostics import ArchError
from archdsl.engine import openvino
from archdsl.engine.backend import Backend, Given, Ready, refusal
from archdsl.engine.choices import Choice
from archdsl.engine.onednn import OneDnn
from archdsl.engine.openvino import OpenVino


def _gpu(given: Given) -> Backend:
    """What only a GPU needs, Triton and the kernels, is loaded only for one."""
    try:
        from archdsl.engine.gpu.backend import Gpu
    except ImportError as error:
        raise refusal(f"the engine on a GPU can't be loaded: {error}", "pip install triton") from None
    return Gpu(given)


BACKENDS: dict[str, Callable[[Given], Backend]] = {"onednn": OneDnn, "openvino": OpenVino, "gpu": _gpu}
"""By the name that `optimize(backend=)` has. Each raises ArchError (A401, A411) for what it can't run."""

LAYOUTS: dict[str, tuple[str, ...]] = {"openvino": openvino.LAYOUTS}
"""Of those that can be asked how images lie between layers, the words for that."""

DEFAULT = "openvino"
"""Where it is installed and has every layer; otherwise the first."""


def backends_on(device: torch.device) -> list[str]:
    """The names of those that run on a device."""
    return [name for name in BACKENDS if (name == "gpu") == (device.type == "cuda")]


class Made(NamedTuple):
    """A backend, why that one, and its first plan."""

    backend: Backend
    why: str
    first: Ready


def made(given: Given, asked: str, why: str) -> Made:
    """This backend, ready for the example. asked: its name, after which `/4` says that slices of a batch have at most four
    images, and a word of `LAYOUTS` how images lie between layers: `openvino/4/blocks`. Raises ArchError (A401, A411) where it
    can't be, or none is called so."""
    name, *words = asked.split("/")
    if name not in BACKENDS:
        raise refusal(f"no backend is called {name!r}", f"there are {', '.join(sorted(BACKENDS))}")
    if words and words[-1] in LAYOUTS.get(name, ()):
        given = given._replace(layout=words.pop())
    if words:
        most = "/".join(words)
        if not (most.isascii() and most.isdigit() and 0 < len(most) < 10 and int(most)):
            raise refusal(f"{asked!r} has no number of images after the /", f'"{name}/4" runs four together')
        given = given._replace(most=int(most))
    if name not in backends_on(given.example.device):
        where = given.example.device
        raise refusal(f"{name} does not run on {where}", "onednn and openvino run on a CPU, gpu on a CUDA GPU")
    backend = BACKENDS[name](given)
    first = backend.ready(backend.fused, given.example.shape[0])
    if given.layout not in (None, first.layout):  # of other sizes it may be another, rather than an error in a call
        raise refusal(f"the images of this network can't lie in {given.layout}", f'backend="{name}" runs it')
    backend.close()
    return Made(backend, why, first)


def chosen(given: Given, asked: str | None, tuned: Choice | None) -> Made:
    """The backend that was asked for, or measured the fastest, or the default: openvino if it is installed and has
    every layer, otherwise onednn."""
    if asked is not None:
        return made(given, asked, "asked for")
    if given.example.device.type == "cuda":
        return made(given, "gpu", "the images are on a GPU")
    if tuned is not None:
        with suppress(ArchError):  # the choice is of another time
            return made(given, tuned.choice, f"the fastest when tuned, {tuned.ns / 1e6:,.2f} ms")
    why = "openvino is not installed"
    if openvino.is_there():
        try:
            return made(given, DEFAULT, "the default where it is installed; not tuned")
        except ArchError as error:
            why = error.diagnostics[0].message
    return made(given, "onednn", why)
