"""Our module and an independent one, given the same weights and the same images, must say the same."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transplant import randomize, reached, relative_error, transplant

import archdsl

TOLERANCE = 1e-10
"""Relative, in float64: far above rounding, far below any difference in wiring."""


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return make().eval()


def images(*shape: int) -> Tensor:
    return torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def paired(
    network: archdsl.Network,
    make_peer: Callable[[], nn.Module],
    run_peer: Callable[[nn.Module, Tensor], Tensor | dict[str, Tensor]] = lambda model, x: model(x),
    calibration: tuple[int, ...] | None = None,
) -> tuple[nn.Module, nn.Module]:
    """Our module and the peer with the same random weights, both in float64 and in evaluation mode.

    Which weight is which, and how many MACs it costs, is found on the meta device, where nothing is computed.
    calibration: shape of the images that the weights are scaled with, the network's own unless stated.
    """
    shape = network.input
    ours, peer = on_meta(lambda: archdsl.build(network)), on_meta(make_peer)
    heads = any(output.aux for output in network.outputs)
    blank = torch.empty(2, *shape, device="meta")
    ours_order = reached(ours, lambda model: model(blank, aux=True) if heads else model(blank))
    peer_order = reached(peer, lambda model: run_peer(model, blank))
    if not heads:  # a head costs nothing in evaluation
        assert sum(owner.macs for owner in peer_order) == network.macs
    ours, peer = (model.to_empty(device="cpu").double() for model in (ours, peer))
    randomize(peer, lambda model: run_peer(model, images(*calibration or shape)[:1]))
    transplant(peer, ours, peer_order, ours_order)
    return ours, peer


def compare(ours: nn.Module, peer: nn.Module, *shapes: tuple[int, ...]) -> float:
    """The worst relative error of the main output over images of these shapes."""
    worst = 0.0
    for shape in shapes:
        x = images(*shape)
        with torch.no_grad():
            truth, value = peer(x), ours(x)
        worst = max(worst, relative_error(value, truth))
        assert (truth[0] - truth[1]).abs().max() > 1e-3, "both images give the same: the network sees nothing"
    return worst
