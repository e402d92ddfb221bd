"""Networks for the tests of the engine: drawn or shipped, with weights, an image and what the emitted module
makes of them."""

from __future__ import annotations

import random
from functools import cache

import torch
from drawing import drawn_from
from hypothesis import strategies as st

import archdsl
from archdsl.network import Network
from archdsl.passes.reference import run
from archdsl.passes.valid import complaints


class Sample:
    """A network, weights for it, an image, and what the emitted module makes of it."""

    def __init__(self, network: Network, seed: int = 0) -> None:
        self.network = network
        torch.manual_seed(seed)
        model = archdsl.build(network).double().eval()
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if not tensor.is_floating_point():
                    continue
                # Statistics far from 0 and 1, factors of both signs, sums that neither vanish nor explode.
                if name.endswith(("running_var", "variance")):
                    tensor.uniform_(0.3, 2.0)
                elif tensor.dim() > 1:
                    tensor.normal_(0, (1.5 / tensor[0].numel()) ** 0.5)
                else:
                    tensor.normal_(0.4, 0.6)
            self.x = torch.randn(2, *network.input, dtype=torch.float64)
            result = model(self.x)
        self.state = model.state_dict()
        self.outputs = result if isinstance(result, dict) else {network.main.name: result}

    def check(self, network: Network, what: str = "") -> None:
        """A rewritten network is valid and has the same outputs."""
        assert complaints(network) == [], what
        found = run(network, self.state, self.x)
        assert set(found) == set(self.outputs)
        for name, wanted in self.outputs.items():
            assert found[name].shape == wanted.shape, what
            scale = float(wanted.abs().max())
            error = float((found[name] - wanted).abs().max())
            assert error <= 1e-10 * max(scale, 1e-3), f"{name}: {error} of {scale}; {what}"


@cache
def drawn(seed: int) -> tuple[str, Sample] | None:
    """The text and sample of a seed; None where the spec is one that must be refused, or gives no numbers."""
    text = drawn_from(random.Random(seed)).text
    try:
        sample = Sample(archdsl.loads(text), seed)
    except archdsl.ArchError:
        return None
    if not all(torch.isfinite(tensor).all() for tensor in sample.outputs.values()):
        return None
    return text, sample


@st.composite
def around_a_norm(draw: st.DrawFn) -> tuple[str, int]:
    """A network with norms of the whole image, activations with arguments and shuffled pixels; and a batch."""
    channels, factor = draw(st.sampled_from([4, 8, 12])), draw(st.sampled_from([1, 2, 3]))
    groups = draw(st.sampled_from([g for g in (1, 2, 4) if g < channels]))
    affine = draw(st.sampled_from(["", "(affine=true)", "(eps=1e-2)"]))
    norms = [f"gn({groups})", f"gn({groups}, eps=1e-2)", f"instancenorm{affine}"]
    acts = ["mish", "elu", "elu(0.5)", "leakyrelu(0.2)", "relu"]
    height, width = (factor * draw(st.integers(2, 5)) for _ in "hw")
    steps = [f"input 3x{height}x{width}"]
    kernel = draw(st.sampled_from(["conv1", "conv3", "conv3"]))
    for norm, act in draw(st.lists(st.tuples(st.sampled_from(norms), st.sampled_from(acts)), min_size=1, max_size=3)):
        steps.append(f"{kernel}-{channels}(norm={norm}, act={act}, order={draw(st.sampled_from(['post', 'post', 'pre']))})")
        if steps[-1].endswith("pre)") and len(steps) == 2:
            steps[-1] = f"{kernel}-{channels}"
    steps += draw(st.sampled_from([[], ["residual { " + steps[-1] + " }"], ["maxpool"], ["concat [ mish | elu ]"]]))
    if "maxpool" not in steps:
        steps += [f"pixelunshuffle({factor})", "conv1-8", f"pixelshuffle({draw(st.sampled_from([1, 2]))})"]
    if draw(st.booleans()):
        steps += ["gap; fc-8", f"gn({draw(st.sampled_from([1, 2, 4]))})", draw(st.sampled_from(acts))]
    return "\n".join(steps), draw(st.sampled_from([1, 2, 5]))


NETWORKS = {
    "resnet18": "3x48x40",
    "resnet18_a": "3x48x40",
    "mobilenet_v2": "3x48x40",
    "mobilenet_v3_small": "3x48x40",
    "efficientnet_b0": "3x48x40",
    "keras/efficientnet_b0": "3x48x40",
    "shufflenet_v2_x0_5": "3x64x64",
    "googlenet": "3x80x96",
    "densenet_bc_cifar_k12_l100": "3x16x16",
    "preact_resnet164_cifar": "3x16x16",
    "fractalnet_cifar": "3x32x32",
    "highway_cifar": "3x16x16",
    "inception_resnet_v2": "3x75x80",
    "keras/resnet50_v2": "3x32x40",
    "keras/nasnet_mobile": "3x32x32",
    "se_resnet50": "3x32x40",
    "convnext_tiny": "3x32x40",
    "squeezenet1_1": "3x48x40",
    "regnet_y_400mf": "3x32x40",
    "xception": "3x64x72",
}
"""Shipped networks, and a small image that each of them takes."""
