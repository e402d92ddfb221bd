"""The backend that runs on OpenVINO, if it is installed: our graph, with its kernels.

Batch norm, constant factors and paddings are folded by our passes, in float64, and large convolutions in float32 are
products with half of the multiplications (`winograd.py`). Which kernel runs what, and what is fused further, is OpenVINO's
choice; each size is compiled when it first comes.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.engine import in_blocks
from archdsl.engine.backend import WORDS, Given, refusal
from archdsl.engine.halved import halved
from archdsl.engine.openvino_calls import Graph, InSlices, Whole
from archdsl.engine.slices import sliced
from archdsl.network import Network
from archdsl.passes import fused, named

PASSES = named(("remove", "pads", "fold"))
"""All that OpenVINO does not do itself, or not in float64."""


def is_there() -> bool:
    """Whether it is installed, without loading it."""
    return find_spec("openvino") is not None


LAYOUTS = ("blocks", "plain")
"""Images between convolutions in blocks of channels (in_blocks.py), or as OpenVINO chooses."""

GAIN = 0.9
"""See `winograd.saving`: MatMul is nearly as fast as a convolution."""


class OpenVino:
    """See `Backend`. Raises ArchError where openvino is not installed (A401), or lacks a layer (A411)."""

    name = "openvino"

    def __init__(self, given: Given) -> None:
        if not is_there():
            raise _missing()
        try:
            from archdsl.engine.openvino_graph import Weights, missing
        except ImportError as error:  # an older one, or one for another machine
            raise refusal("openvino can't be loaded", "pip install --upgrade openvino", str(error)) from None

        lacking = missing(given.network)
        if lacking:
            raise refusal(
                f"the backend openvino has no counterpart of {', '.join(lacking)}", 'backend="onednn" has'
            )
        self.example, self.dtype = given.example.dtype, given.dtype
        self.channels_last = given.example.dim() == 4 and not given.example.is_contiguous()
        self.threads = torch.get_num_threads()
        self.fused = fused(given.network, PASSES)
        self.weights = Weights(given.state, at_once=given.dtype == torch.bfloat16)
        self.most, self.room, self.layout = given.most, given.room, given.layout
        if self.layout == "blocks" and not in_blocks.can(self.dtype):
            raise refusal("only in float32 on a CPU with AVX-512 can images lie in blocks", 'backend="openvino" runs it')

    def ready(self, network: Network, batch: int) -> Whole | InSlices:
        from archdsl.engine.openvino_graph import graph_of

        slices = sliced(network, WORDS[self.dtype], batch, self.threads, self.most)
        images, streams = (batch, 1) if slices is None else (slices.images, slices.lanes)
        few = self._halved(network, batch)
        blocks = in_blocks.pay(self.dtype) and not few if self.layout is None else self.layout == "blocks"
        graph = Graph(
            lambda: graph_of(
                network, self.weights, images, self.example, channels_last=self.channels_last, halved=few
            ),
            self.weights.disk,
            _settings(self.dtype, self.threads, streams),
            self.example,
            self.channels_last,
            blocks=blocks,
        )
        return Whole(graph) if slices is None else InSlices(graph, slices)

    def _halved(self, network: Network, batch: int) -> dict[str, int]:
        if self.dtype != torch.float32 or self.layout == "blocks":  # with both, images are laid out anew between them
            return {}
        return halved(network, batch, GAIN, even=False, room=self.room)

    def close(self) -> None:
        self.weights.close()


def _missing() -> ArchError:
    said = "openvino is not installed, and the backend of that name needs it"
    hint = "pip install archdsl[openvino]"
    return ArchError([Diagnostic(code="A401", message=said, span=None, hint=hint)])


def _settings(dtype: torch.dtype, threads: int, streams: int) -> dict[str, Any]:
    return {
        # Left to itself it computes in bf16 wherever the CPU has it, also what was asked for in float32.
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": streams,
        # What its compiler of small operations keeps of each is more than the weights between, and gains nothing here.
        "SNIPPETS_MODE": "DISABLE",
        "INFERENCE_NUM_THREADS": threads,
    }
