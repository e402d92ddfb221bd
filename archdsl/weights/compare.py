"""Whether a module that gave its weights computes what the network does: layers without weights, of which a state_dict
says nothing, may differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.network import Network
from archdsl.symbolic import known

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST = 50_000_000_000
"""MACs above which nobody waits for it."""

ALLOWED, ALLOWED_LOW = 1e-3, 0.05
"""What another order of summation may make of an output, as a share of its length, and in narrower types than float32."""


class Apart(NamedTuple):
    """How far two outputs are apart, as a share of their length, and what another order of summation may make of it."""

    share: float
    allowed: float

    @property
    def same(self) -> bool:
        return self.share <= self.allowed


def apart(model: nn.Module, source: nn.Module, network: Network) -> Apart | None:
    """How far the outputs of the two are apart for a random image; None where they can't be compared: the source does not
    take the image, or gives something else than one tensor of that shape, or what is no number."""
    import torch

    if not all(map(known, network.input)) or not known(network.macs) or network.macs > MOST:
        return None
    image = torch.rand(1, *map(int, network.input), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), _evaluating(model), _evaluating(source):
        try:
            ours, theirs = _output(model, image), _output(source, image)
        except Exception:  # whatever a stranger's forward raises
            return None
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return None
    share = float((ours - theirs).norm() / theirs.norm().clamp_min(1e-30))
    return Apart(share, max(map(_allowed, (model, source)))) if isfinite(share) else None


def _allowed(model: nn.Module) -> float:
    import torch

    wide = next(model.parameters()).dtype in (torch.float32, torch.float64)
    return ALLOWED if wide else ALLOWED_LOW


def _output(model: nn.Module, image: Tensor) -> Tensor | None:
    import torch

    first = next(model.parameters())
    found: Any = model(image.to(first.device, first.dtype))
    return found.double().cpu() if isinstance(found, torch.Tensor) else None


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation, and afterwards every part as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
