"""The engine on OpenVINO: as tests/test_engine.py has it for oneDNN, and what is asked of a choice of backends.

`ARCHDSL_EXAMPLES=2000 pytest tests/test_openvino.py` takes more of the drawn networks.
"""

from __future__ import annotations

import copy
import gc
import os
import resource
import weakref
from collections.abc import Iterator
from functools import partial
from itertools import product

import openvino
import pytest
import torch
from drawing import one_thread
from fusing import NETWORKS, Sample, around_a_norm, drawn
from hypothesis import given, settings
from test_engine import SMALL, by_name, close, error, in_bounds, model_of, small, tensors, wrong_in_threads
from torch import Tensor, nn

import archdsl
from archdsl.api import shipped_names
from archdsl.engine.openvino_graph import missing
from archdsl.engine.openvino_layers import LAYERS
from archdsl.ops import LAYERS as LANGUAGE
from archdsl.ops.base import Op
from archdsl.passes import fused

optimize = partial(archdsl.optimize, backend="openvino")

SEEDS = range(int(os.environ.get("ARCHDSL_EXAMPLES", "0")) or 60)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


@torch.no_grad()
def torchs_own(model: nn.Module, x: Tensor, wanted: dict[str, Tensor]) -> float:
    """The larger of two errors that are both torch's: where channels come last it adds up in another order."""
    last = torch.channels_last if x.dim() == 4 else torch.contiguous_format
    other = copy.deepcopy(model).to(memory_format=last)
    return max(error(model(x), wanted), error(other(x.contiguous(memory_format=last)), wanted))


class Errors:
    """Of the engine and of torch, in both dtypes, against float64 with the same float32 weights."""

    @torch.no_grad()
    def __init__(self, network: archdsl.Network, seed: int = 0, batch: int = 8) -> None:
        model = model_of(Sample(network, seed))
        torch.manual_seed(seed + 1)
        x = torch.randn(batch, *network.input)
        wanted = by_name(copy.deepcopy(model).double()(x.double()))
        self.mine = error(optimize(model, x)(x), wanted)
        self.torch = torchs_own(model, x, wanted)
        self.mine_bf16 = error(optimize(model, x, dtype=torch.bfloat16)(x), wanted)
        try:
            self.torch_bf16 = torchs_own(model.bfloat16(), x.bfloat16(), wanted)
        except NotImplementedError:  # local response normalization
            self.torch_bf16 = 4e-3


# ---- what comes out ----


def test_drawn_networks() -> None:
    """Every layer, in float32 and bf16, with weights of the same dtype; and together no worse than torch."""
    seen = 0
    ratios: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    for seed in SEEDS:
        found = drawn(seed)
        if found is None:
            continue
        text, sample = found
        seen += 1
        for dtype, most in ((torch.float32, 5e-6), (torch.bfloat16, 5e-2)):
            model = model_of(sample, dtype)
            x = sample.x.to(dtype)
            with torch.no_grad():
                wanted = by_name(copy.deepcopy(model).double()(x.double()))
                try:
                    torchs = torchs_own(model, x, wanted)
                except NotImplementedError:
                    torchs = most
            got = by_name(optimize(model, x)(x))
            assert {k: (v.shape, v.dtype) for k, v in got.items()} == {
                k: (v.shape, dtype) for k, v in wanted.items()
            }, text
            mine = error(got, wanted)
            assert mine <= max(most, 2 * torchs), f"seed {seed}, {dtype}: {mine} against {torchs}\n{text}"
            # Less than a third of a rounding says nothing.
            ratios[dtype].append((mine + 2e-8) / (torchs + 2e-8))
    assert seen > 0.6 * len(SEEDS)
    assert sorted(ratios[torch.float32])[seen * 9 // 10] <= 2
    assert sorted(ratios[torch.bfloat16])[seen * 9 // 10] <= 1.25


@pytest.mark.parametrize(
    "name", ["resnet18", "googlenet", "keras/efficientnet_b0", "mobilenet_v3_small", "shufflenet_v2_x0_5"]
)
def test_networks_of_the_zoo(name: str) -> None:
    """At most twice torch's own error in float32, and 1.25 times in bf16."""
    found = Errors(archdsl.load(name, input=NETWORKS[name]))
    assert found.mine <= 2 * found.torch
    assert found.mine_bf16 <= 1.25 * found.torch_bf16


@pytest.mark.nightly
@pytest.mark.parametrize("name", shipped_names())
def test_every_network_of_the_zoo(name: str) -> None:
    assert in_bounds(name, Errors)


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(around_a_norm())
def test_norms_of_whole_images_and_shuffled_pixels(drawn: tuple[str, int]) -> None:
    """On both backends and in both dtypes, and in any batch."""
    text, batch = drawn
    model = model_of(Sample(archdsl.loads(text)))
    torch.manual_seed(1)
    x = torch.randn(batch, *archdsl.network_of(model).input)  # type: ignore[union-attr]
    with torch.no_grad():
        wanted = by_name(copy.deepcopy(model).double()(x.double()))
        torchs = {
            torch.float32: max(torchs_own(model, x, wanted), 1e-6),
            torch.bfloat16: max(torchs_own(copy.deepcopy(model).bfloat16(), x.bfloat16(), wanted), 5e-3),
        }
    for backend, (dtype, own) in product(("onednn", "openvino"), torchs.items()):
        engine = archdsl.optimize(model, x, backend=backend, dtype=dtype)
        assert engine.backend == backend
        assert error(engine(x), wanted) <= 3 * own, (text, backend, dtype)
        assert error(engine(x[:1]), {k: v[:1] for k, v in wanted.items()}) <= 6 * own, (text, backend, dtype)


LACKING: frozenset[str] = frozenset()
"""Layers that have no counterpart yet: networks with one run on oneDNN."""


def test_all_layers_have_a_counterpart() -> None:
    assert {name for name, layer in LANGUAGE.items() if layer.expand is Op.expand} - set(LAYERS) == LACKING
    assert missing(fused(archdsl.load("mobilenet_v3_small"))) == []


def test_strides_of_padded_1x1_convolutions() -> None:
    """OpenVINO takes a stride to the convolutions before, which is right without padding only."""
    for text in (
        "conv1-4(p=1); relu; conv1-4/2(p=2)",
        "conv1-4/2(p=1); conv1-4(p=1); relu; conv1-4/2",
        "dwconv1(p=2, dilation=3); conv1-4(p=1, dilation=2); conv1-4/2",
    ):
        model, x = small(f"input 3x9x8\n{text}")
        assert close(optimize(model, x)(x), model(x))


@pytest.mark.parametrize("act", ["hswish", "silu", "gelu", "tanh", "scale(factor=-1)"])
def test_an_activation_after_a_max_pool(act: str) -> None:
    """OpenVINO computes it in the convolution before the pool, also where it falls and rises."""
    model, x = small(f"input 3x12x9\nconv3-8; maxpool; {act}")
    assert close(optimize(model, x)(x), model(x))


def test_parts_of_stated_widths() -> None:
    text = "conv3-7; concat [ split(2, (1, 2, _)) | split(0, (3, _)); conv3-4 | split(1, (5, 2)); relu ]"
    model, x = small(f"input 3x6x5\n{text}")
    for backend in ("openvino", "onednn"):
        engine = archdsl.optimize(model, x, backend=backend)
        assert engine.backend == backend and close(engine(x), model(x))


def test_several_outputs_keep_their_names() -> None:
    model, x = small("input 3x8x8\nconv3-4 as a\nrelu as b\nmaxpool; fc-2 as c\noutput @a, @b, @c")
    got = optimize(model, x)(x)
    assert isinstance(got, dict) and list(got) == ["a", "b", "c"]
    assert close(got, model(x))


def test_one_tensor_twice_as_outputs() -> None:
    model, x = small("input 3x8x8\nconv3-3 as a\nidentity as b\nconv3-4 as c\noutput @a, @b, @c")
    got = optimize(model, x)(x)
    assert close(got, model(x))
    got["a"].zero_()
    assert float(got["b"].abs().sum()) > 0


def test_the_image_as_an_output() -> None:
    """It is not for OpenVINO, which would write to it."""
    model, x = small("input 3x8x8\ndropout as a\nrelu as b\noutput @a, @b")
    engine = archdsl.optimize(model, x)
    assert engine.backend == "onednn"
    assert close(engine(x), model(x))


def test_the_image_is_not_written_over() -> None:
    for text in ("relu\nsilu\nresidual { relu }", "flatten; relu; fc-2", "add [ identity | relu ]", "upsample(1)"):
        model, x = small(f"input 3x8x8\n{text}")
        for mine in (x.clone(), x.contiguous(memory_format=torch.channels_last)):
            before = mine.clone()
            assert close(optimize(model, mine)(mine), model(x))
            assert torch.equal(mine, before)


def test_images_as_they_lie() -> None:
    """Channels last as an example or in a call, and parts of other tensors."""
    model, x = small()
    last = x.contiguous(memory_format=torch.channels_last)
    part = torch.randn(8, 5, 20, 12)[::2, 1:4, 2:18]
    for example in (x, last, part):
        for dtype in (torch.float32, torch.bfloat16):
            other = copy.deepcopy(model).to(dtype)
            engine = optimize(other, example.to(dtype))
            for image in (x, last, part):
                before = image.clone()
                got = engine(image.to(dtype))
                assert close(got, other(image.to(dtype)), 1e-5 if dtype == torch.float32 else 5e-2)
                assert torch.equal(image, before)


def test_results_outlive_the_next_call() -> None:
    model, x = small()
    engine = optimize(model, x)
    first = engine(x)
    kept = first.clone()
    engine(x + 1)
    assert torch.equal(first, kept)


def test_weights_are_those_of_the_time() -> None:
    model, x = small("input 3x16x12\nconv3-8; relu; ln; dwconv3; prelu; gap; fc-5")
    model = copy.deepcopy(model)
    engine = optimize(model, x)
    before = engine(x)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.zero_()
    assert torch.equal(engine(x), before)
    assert close(engine(x[:3]), before[:3])  # a plan that is made only now


def test_a_float32_model_in_bf16() -> None:
    model, x = small()
    got = optimize(model, x, dtype=torch.bfloat16)(x)
    assert got.dtype == torch.float32
    assert close(got, model(x), 5e-2)


def test_other_sizes() -> None:
    model = archdsl.build(
        archdsl.loads("input 3xHxW\nconv3-8/2(p=same, norm=bn); relu; maxpool; gap; fc-2")
    ).eval()
    engine = optimize(model, torch.randn(1, 3, 32, 24))
    for batch, *size in ((2, 32, 24), (1, 33, 47), (3, 16, 64), (1, 32, 24)):
        x = torch.randn(batch, 3, *size)
        assert close(engine(x), model(x))


# ---- calls ----


def test_several_threads() -> None:
    """Each gets its own result, also while plans are made."""
    model, x = small()
    engine = optimize(model, x)
    images = [torch.randn(1 + i % 3, *x.shape[1:]) for i in range(6)]
    wanted = [model(image).detach() for image in images]
    assert wrong_in_threads(engine, images, wanted, threads=12, turns=60) == []
    assert all(1 <= len(ready.free) <= 8 for ready in engine._plans.values())


@pytest.mark.parametrize("backend", ["openvino", "openvino/2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_images_wherever_they_lie(backend: str, dtype: torch.dtype) -> None:
    """OpenVINO is told of an image only when it lies elsewhere than the last."""
    model, x = small()
    example = x[:1].repeat(8, 1, 1, 1).to(dtype)
    engine = archdsl.optimize(model, example, dtype=torch.float32, backend=backend)
    assert (engine.slices is not None) == (backend != "openvino")
    first, second = (torch.randn_like(example) for _ in range(2))
    wider = torch.randn(9, *example.shape[1:], dtype=dtype)
    turned = torch.randn(8, *x.shape[:0:-1], dtype=dtype).permute(0, 3, 2, 1)
    negative = torch._neg_view(torch.randn_like(example))
    for image in (first, second, first, wider[1:], turned, wider[:8], negative, second):
        for _ in range(2):
            assert close(engine(image).float(), model(image.float()), 1e-4 if dtype == torch.float32 else 2e-2)
            image.add_(0.5)  # others in the same place
    for _ in range(5):  # each likely where the last one was
        image = torch.randn_like(example)
        assert close(engine(image).float(), model(image.float()), 1e-4 if dtype == torch.float32 else 2e-2)
    with torch.enable_grad():
        assert not engine(first.requires_grad_()).requires_grad


def test_an_image_is_not_kept() -> None:
    model, x = small()
    engine = optimize(model, x)
    engine(x)
    image = torch.randn_like(x)
    gone = weakref.ref(image.untyped_storage())
    engine(image)
    del image
    gc.collect()
    assert gone() is None


def test_calls_leave_nothing_behind() -> None:
    model, x = small("input 3x8x8\nconv3-8(norm=bn, act=relu); maxpool; conv1-8; gap; fc-3")
    engine = optimize(model, x)
    for _ in range(500):
        engine(x)
    before, peak = tensors(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10_000):
        engine(x)
    assert tensors() == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 4_000  # KiB


def test_sizes_that_go_leave_nothing_behind() -> None:
    model, x = small("input 3x8x8\nconv3-8(norm=bn, act=relu); maxpool; conv1-8; gap; fc-3")
    engine = optimize(model, x)
    for batch in range(1, 40):
        engine(x[:1].expand(batch, -1, -1, -1))
    before, peak = tensors(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for batch in range(40, 140):
        engine(x[:1].expand(batch, -1, -1, -1))
    assert abs(tensors() - before) <= 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 30_000


# ---- which backend ----


def test_who_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = small()
    engine = archdsl.optimize(model, x)
    assert (engine.backend, engine.why) == ("openvino", "the default where it is installed; not tuned")
    assert archdsl.optimize(model, x, backend="onednn").backend == "onednn"
    monkeypatch.setattr("archdsl.engine.openvino.is_there", lambda: False)
    engine = archdsl.optimize(model, x)
    assert (engine.backend, engine.why) == ("onednn", "openvino is not installed")
    with pytest.raises(archdsl.ArchError) as caught:
        optimize(model, x)
    assert caught.value.diagnostics[0].code == "A401"
    assert "archdsl[openvino]" in str(caught.value)


def test_a_layer_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(LAYERS, "gap")
    model, x = small()
    engine = archdsl.optimize(model, x)
    assert (engine.backend, engine.why) == ("onednn", "the backend openvino has no counterpart of gap")
    with pytest.raises(archdsl.ArchError, match="no counterpart of gap") as caught:
        optimize(model, x)
    assert caught.value.diagnostics[0].code == "A411"


def test_a_network_that_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("Exception from src/core:\nno such kernel")

    monkeypatch.setattr(openvino.Core, "compile_model", refuse)
    model, x = small()
    assert archdsl.optimize(model, x).backend == "onednn"
    with pytest.raises(archdsl.ArchError, match="no such kernel") as caught:
        optimize(model, x)
    assert caught.value.diagnostics[0].code == "A411"


def test_an_openvino_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "archdsl.engine.openvino_graph", None)
    model, x = small()
    assert archdsl.optimize(model, x).backend == "onednn"
    with pytest.raises(archdsl.ArchError, match="can't be loaded"):
        optimize(model, x)


def test_the_report() -> None:
    model, x = small(SMALL)
    report = optimize(model, x).report(runs=3)
    names = {name for row in report.rows for name in row.layers}
    assert {"conv1.conv", "fc1"} <= names
    assert all(row.seconds > 0 and row.bytes > 0 and row.why for row in report.rows)
    assert any("conv3 + relu" in row.pattern or "conv" in row.pattern for row in report.rows)
    text = str(report)
    assert "openvino: asked for" in text and "OpenVINO Convolution" in text
