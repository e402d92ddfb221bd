"""Weights in the forms that kernels take, folded in float64, packed once and shared by all plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from archdsl.passes._kernel import AFFINE, CONVOLUTIONS, Stage, Step
from archdsl.passes.weights import State, weights_of


class Folded(Protocol):
    """Where weights come from: of a step `weight` and `bias`, or `scale` and `shift`, in float64."""

    def __call__(self, step: Step) -> dict[str, torch.Tensor]: ...


def of_model(state: State) -> Folded:
    """A model's own."""
    return lambda step: weights_of(step.stage, state)


def drawn(seed: int = 0) -> Folded:
    """Random ones, with which outputs are about as large as inputs: to check and to time kernels without a
    model."""

    def draw(step: Step) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        found = {}
        for weight in step.weights:
            shape = tuple(int(side) for side in weight.shape)  # type: ignore[arg-type]
            value = torch.randn(shape, generator=generator, dtype=torch.float64)
            if step.stage.kind in CONVOLUTIONS and weight.name == "weight":
                value *= (2.0 / max(value[0].numel(), 1)) ** 0.5
            elif weight.name in ("scale", "weight"):
                value = 1.0 + 0.2 * value
            else:
                value *= 0.2
            found[weight.name] = value
        return found

    return draw


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous()


class Weights:
    """What kernels compute with, in the engine's dtype and on its device. For one thread at a time.

    Stages of equal sources and size share one packed form, however they were cut.
    """

    def __init__(self, folded: Folded, dtype: torch.dtype, device: torch.device) -> None:
        self.folded, self.dtype, self.device = folded, dtype, device
        self.kept: dict[Any, Any] = {}

    def doubles(self, step: Step) -> dict[str, torch.Tensor]:
        """As folded; not kept."""
        return self.folded(step)

    def kept_as(self, form: str, steps: Sequence[Step], make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for these steps."""
        key = (form, *(_name(step) for step in steps))
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def weight(self, step: Step) -> torch.Tensor:
        """Of a convolution or fc: [K, R, S, C / groups], dense, channels of the input last."""
        return self.kept_as(
            "krsc", [step], lambda: self._low(channels_last_weight(step, self.folded(step)["weight"]))
        )

    def bias(self, step: Step) -> torch.Tensor | None:
        """Of a convolution: float32 numbers, one a channel; None where it has none."""

        def make() -> torch.Tensor | None:
            found = self.folded(step).get("bias")
            return None if found is None else self._single(found)

        return self.kept_as("bias", [step], make)

    def affine(self, steps: Sequence[Step]) -> tuple[torch.Tensor, torch.Tensor]:
        """(scale, shift) of affine stages one after another, float32, a number for each channel."""
        channels = int(steps[0].output[0])  # type: ignore[arg-type]

        def make() -> tuple[torch.Tensor, torch.Tensor]:
            scale = torch.ones(channels, dtype=torch.float64)
            shift = torch.zeros(channels, dtype=torch.float64)
            for step in steps:
                assert step.stage.kind in AFFINE
                found = self.folded(step)
                more = found["scale"].cpu().expand(channels)
                scale, shift = scale * more, shift * more + found["shift"].cpu().expand(channels)
            return self._single(scale), self._single(shift)

        return self.kept_as("affine", list(steps), make)

    def plain(self, step: Step) -> dict[str, torch.Tensor]:
        """As torch's own module has them, by name."""
        return self.kept_as(
            "plain", [step], lambda: {name: self._low(value) for name, value in self.folded(step).items()}
        )

    def _low(self, value: torch.Tensor) -> torch.Tensor:
        return _dense(value.to(device=self.device, dtype=self.dtype))

    def _single(self, value: torch.Tensor) -> torch.Tensor:
        return _dense(value.to(device=self.device, dtype=torch.float32))


def channels_last_weight(step: Step, weight: torch.Tensor) -> torch.Tensor:
    """torch's weight of a convolution as [K, R, S, C / groups]; an fc's as that of a convolution over its
    whole input."""
    if weight.dim() == 4:
        return weight.permute(0, 2, 3, 1)
    shape = step.inputs[step.stage.at]
    if len(shape) == 1:
        return weight[:, None, None, :]
    channels, height, width = (int(side) for side in shape)  # type: ignore[arg-type]
    return weight.view(-1, channels, height, width).permute(0, 2, 3, 1)


def _name(step: Step) -> Any:
    stage: Stage = step.stage
    sources = tuple((source.name, *(name for _, name in source.folded)) for source in stage.sources)
    return stage.kind, sources, tuple(step.inputs), tuple(step.output)
