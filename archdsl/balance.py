"""Random images and weights with which every layer matters: what comes out depends on the image, and nothing explodes.

Torch's initial weights are no test of a network that computes: after many layers their output hardly depends on the image,
and batch norm that has seen nothing does nothing. Images of noise are all alike to a network that pools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.network import Network

if TYPE_CHECKING:
    from torch import Tensor, nn


def images(network: Network, count: int, seed: int = 0) -> Tensor:
    """Random images of the network's input size, with large patches that differ from image to image."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    shape = tuple(map(int, network.input))
    fine = torch.randn(count, *shape, generator=generator)
    if len(shape) != 3:
        return fine
    patches = torch.randn(count, shape[0], 5, 5, generator=generator)
    return torch.nn.functional.interpolate(patches, shape[1:], mode="bilinear") + 0.5 * fine


ENOUGH = 64
"""Values of a channel that tell its deviation."""


def balance(network: Network, model: nn.Module, seed: int = 0) -> None:
    """Random weights, the same for the same seed, and batch norm statistics as training would leave them: those of a few
    random images. Convolutions and fcs with a bias are normalized in the same way. Leaves the model in evaluation.

    Most values then pass a ReLU, and some do not: with more nonlinearity rounding errors would grow from layer to layer as
    fast as the differences between images, and with less a wrong activation would not show.
    """
    import torch
    from torch.nn import BatchNorm2d, Conv2d, ConvTranspose2d, Linear

    generator = torch.Generator().manual_seed(seed)
    model.eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            leaf = name.rpartition(".")[2]
            if not tensor.is_floating_point():  # a count
                tensor.zero_()
            elif leaf in ("running_var", "variance"):  # of what does not run in evaluation
                tensor.uniform_(0.5, 2.0, generator=generator)
            elif leaf == "weight":
                tensor.uniform_(0.5, 1.0, generator=generator) if tensor.dim() == 1 else tensor.normal_(generator=generator)
            elif leaf == "bias":
                tensor.normal_(0.6, 0.3, generator=generator)
            else:
                tensor.normal_(0.0, 0.3, generator=generator)

    def statistics(values: Tensor, channels: int) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each channel."""
        rows = values.movedim(channels, 0).flatten(1)
        mean = rows.mean(1)
        centred = rows - mean[:, None]
        whole = centred.square().mean().sqrt()
        if rows.shape[1] < ENOUGH:
            return mean, whole.expand_as(mean).clamp(min=1e-6)
        return mean, centred.square().mean(1).sqrt().clamp(min=0.1 * float(whole) + 1e-6)

    def normalize(module: Any, _args: object, output: Tensor) -> Tensor:
        channels = -1 if isinstance(module, Linear) else 1
        if module.bias is None or output[:, :1].numel() < ENOUGH:
            # What a squeeze-and-excitation sees differs little from image to image, and must not be made to differ more.
            deviation = output.std().clamp(min=1e-6)
            module.weight.div_(deviation)
            if module.bias is not None:
                module.bias.div_(deviation)
            return output / deviation
        wide = [1] * output.dim()
        wide[channels] = -1
        # The random bias is what the channel's mean shall be.
        wanted = module.bias.clone()
        mean, deviation = statistics(output - wanted.view(wide), channels)
        module.bias.copy_(wanted - mean / deviation)
        out = 1 if isinstance(module, ConvTranspose2d) else 0
        groups = getattr(module, "groups", 1)
        if out == 0:
            module.weight.div_(deviation.view(-1, *[1] * (module.weight.dim() - 1)))
        else:
            module.weight.unflatten(0, (groups, -1)).div_(deviation.view(groups, 1, -1, 1, 1))
        return (output - wanted.view(wide) - mean.view(wide)) / deviation.view(wide) + wanted.view(wide)

    def observe(module: Any, args: tuple[Tensor]) -> None:
        mean, deviation = statistics(args[0], 1)
        names = ("running_mean", "running_var") if isinstance(module, BatchNorm2d) else ("mean", "variance")
        for name, value in zip(names, (mean, deviation.square()), strict=True):
            getattr(module, name).copy_(value)

    layers = list(model.modules())
    handles = [m.register_forward_hook(normalize) for m in layers if isinstance(m, Conv2d | ConvTranspose2d | Linear)]
    handles += [m.register_forward_pre_hook(observe) for m in layers if isinstance(m, BatchNorm2d) or "variance" in m._buffers]
    try:
        with torch.no_grad():
            model(images(network, 4, seed=seed + 1000))
    finally:
        for handle in handles:
            handle.remove()
