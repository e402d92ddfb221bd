"""The plan: networks run in its arena, with poison wherever nothing is live, and its own counts against
others'."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from math import prod

import pytest
import torch
from drawing import one_thread
from fusing import NETWORKS, Sample, drawn

import archdsl
from archdsl.network import Network
from archdsl.passes import PASSES, fused, named
from archdsl.passes._kernel import POINTWISE, Kernel
from archdsl.passes.reference import compute
from archdsl.plan import ALIGNMENT, DTYPES, IMAGE, Launch, Plan, View, plan

POISON = float("nan")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


class Arena:
    """A plan's memory for a batch. Every number that nothing live has written is poison."""

    def __init__(self, planned: Plan, images: torch.Tensor) -> None:
        self.planned, self.images, self.batch = planned, images, len(images)
        self.size = DTYPES[planned.dtype]
        assert planned.bytes(self.batch) % self.size == 0
        self.memory = torch.full((planned.bytes(self.batch) // self.size,), POISON, dtype=torch.float64)

    def piece(self, buffer: int) -> torch.Tensor:
        where = self.planned.buffers[buffer]
        assert where.offset % ALIGNMENT == 0 and where.size % ALIGNMENT == 0
        start, length = (self.batch * number // self.size for number in (where.offset, where.size))
        assert start + length <= len(self.memory)
        return self.memory[start : start + length]

    def at(self, view: View) -> torch.Tensor:
        """A tensor (N, C, H, W) that shares the memory of a view."""
        if view.buffer == IMAGE:
            images = self.images.reshape(self.batch, view.row, view.height, view.width)
            return images[:, view.channel : view.channel + view.channels]
        rows = self.batch * view.height * view.width * view.row
        piece = self.piece(view.buffer)
        assert rows <= len(piece) and 0 <= view.channel and view.channel + view.channels <= view.row
        whole = piece[:rows].view(self.batch, view.height, view.width, view.row)
        return whole[..., view.channel : view.channel + view.channels].permute(0, 3, 1, 2)

    def cells(self, view: View) -> set[int]:
        """Places in memory of a view."""
        if view.buffer == IMAGE:
            return set()
        marks = self.at(view)
        return set(
            (self._numbers().as_strided(marks.shape, marks.stride(), marks.storage_offset()))
            .flatten()
            .tolist()
        )

    def _numbers(self) -> torch.Tensor:
        return torch.arange(len(self.memory))


def simulate(planned: Plan, sample: Sample, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Run a plan launch by launch. What is read must have been written, and not written over."""
    with torch.no_grad():
        return run_launches(planned, sample, images)


def run_launches(planned: Plan, sample: Sample, images: torch.Tensor) -> dict[str, torch.Tensor]:
    network, arena = planned.network, Arena(planned, images)
    for number, launch in enumerate(planned.launches):
        node = network.nodes[launch.node]
        shapes = [network.nodes[i].shape for i in node.inputs]
        inputs = []
        for view, shape in zip(launch.inputs, shapes, strict=True):
            tensor = arena.at(view).clone()
            assert not tensor.isnan().any(), f"{launch.name} reads what is not there"
            inputs.append(tensor.reshape(len(images), *shape))
        check_in_place(arena, launch)
        results = compute(launch.kernel, sample.state, inputs)
        for view, result in zip(launch.outputs, results, strict=True):
            arena.at(view).copy_(result.reshape(len(images), view.channels, view.height, view.width))
        for index, buffer in enumerate(planned.buffers):
            if buffer.last == number:
                arena.piece(index).fill_(POISON)
    shapes_out = {o.name: network.nodes[o.node].shape for o in network.outputs}
    return {name: arena.at(view).reshape(len(images), *shapes_out[name]) for name, view in planned.outputs}


def check_in_place(arena: Arena, launch: Launch) -> None:
    """What a kernel writes lies apart from all that it reads, but for the input whose place the first output
    takes; and from that number on everything happens element by element."""
    written = [arena.cells(view) for view in launch.outputs]
    for one in range(len(written)):
        for two in range(one):
            assert not written[one] & written[two], launch.name
    for k, view in enumerate(launch.inputs):
        read = arena.cells(view)
        for way, cells in enumerate(written):
            if not read & cells:
                continue
            assert (k, way) == (launch.reuses, 0) and view == launch.outputs[0], launch.name
            assert launch.kernel.ways[0].plain
            entry = 0
            if k:
                entry = next(i for i, stage in enumerate(launch.kernel.trunk) if k in stage.operands)
                assert not launch.kernel.trunk[entry].side
            assert all(stage.kind in POINTWISE for stage in launch.kernel.trunk[entry:]), launch.name


def check(planned: Plan, sample: Sample, batch: int) -> None:
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, *sample.network.input, dtype=torch.float64, generator=generator)
    images[: len(sample.x)] = sample.x[:batch]
    found = simulate(planned, sample, images)
    same = min(batch, len(sample.x))
    assert set(found) == set(sample.outputs)
    for name, wanted in sample.outputs.items():
        scale = max(float(wanted.abs().max()), 1e-3)
        assert float((found[name][:same] - wanted[:same]).abs().max()) <= 1e-10 * scale


def rewritten(seed: int, network: Network) -> Iterator[Network]:
    yield network
    yield fused(network)
    yield fused(network, random.Random(seed).choices(PASSES, k=len(PASSES)))


def test_drawn_networks_run_in_their_arena() -> None:
    """Unfused, fused, and after passes in any order; each with a batch and a dtype of its own."""
    count = reused = placed = 0
    for seed in range(110):
        found = drawn(seed)
        if found is None:
            continue
        _, sample = found
        for turn, network in enumerate(rewritten(seed, sample.network)):
            planned = plan(network, ("f32", "bf16")[(seed + turn) % 2])
            check(planned, sample, 1 + (seed + turn) % 3)
            count += 1
            reused += sum(launch.reuses is not None for launch in planned.launches)
            placed += sum(view.row > view.channels for launch in planned.launches for view in launch.outputs)
    assert count > 150 and reused > 100 and placed > 30


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["shufflenet_v2_x0_5", "densenet_bc_cifar_k12_l100", "fractalnet_cifar", "keras/nasnet_mobile"]
)
def test_shipped_networks_run_in_their_arena(name: str) -> None:
    sample = Sample(archdsl.load(name, input=NETWORKS[name]))
    check(plan(fused(sample.network)), sample, 2)


def test_one_plan_serves_every_batch() -> None:
    """Bytes and counts grow with the batch, weights do not; offsets stay aligned whatever the numbers'
    size."""
    planned = plan(fused(archdsl.load("densenet121")), "f16")
    one, many = planned.count(1), planned.count(37)
    assert (many.kernels, many.weights) == (one.kernels, one.weights)
    assert (many.read, many.written, many.flops) == (37 * one.read, 37 * one.written, 37 * one.flops)
    assert planned.bytes(37) == 37 * planned.arena
    assert all(37 * buffer.offset % ALIGNMENT == 0 for buffer in planned.buffers)


@pytest.mark.parametrize(
    "name", ["vgg16", "resnet50", "googlenet_bn", "densenet121", "mobilenet_v2", "efficientnet_b0", "unet"]
)
def test_the_arena_is_no_larger_than_it_must_be(name: str) -> None:
    planned = plan(fused(archdsl.load(name)))
    assert planned.live <= planned.arena <= 1.1 * planned.live
    everything = sum(buffer.size for buffer in planned.buffers)
    assert planned.arena < 0.7 * everything


def test_counts_of_a_plan_by_hand() -> None:
    """A convolution with norm and ReLU, then a residual: every number that is moved, written out."""
    network = fused(
        archdsl.loads("conv3-8/2(norm=bn, act=relu); residual { conv1-8 }; gap; fc-5", input="3x8x8")
    )
    planned = plan(network, "bf16")
    assert [launch.kernel.pattern for launch in planned.launches] == [
        "conv3 + relu",
        "conv1 + add + gap",
        "fc",
    ]
    image, feature = 3 * 8 * 8, 8 * 4 * 4
    assert [(launch.read, launch.written) for launch in planned.launches] == [
        (image, feature),
        (2 * feature, 8),
        (8, 5),
    ]
    assert [(launch.weights, launch.constants) for launch in planned.launches] == [
        (8 * 27, 8),
        (64, 8),
        (40, 5),
    ]
    assert [launch.flops for launch in planned.launches] == [2 * 27 * feature, 2 * 8 * feature, 2 * 40]
    counts = planned.count(10)
    assert counts.read == 2 * 10 * (image + 2 * feature + 8)
    assert counts.weights == 2 * (8 * 27 + 64 + 40) + 4 * (8 + 8 + 5)
    assert counts.moved == counts.read + counts.written + counts.weights


def test_a_stride_that_leaves_positions_out_does_not_read_them() -> None:
    planned = plan(archdsl.loads("conv1-4/2; conv3-4/2; pad/2(channels=8)", input="3x9x8"))
    assert [launch.read for launch in planned.launches] == [3 * 5 * 4, 4 * 5 * 4, 4 * 2 * 1]


def test_flops_are_the_network_s() -> None:
    for name in ("resnet18", "googlenet_bn", "unet", "keras/mobilenet"):
        network = archdsl.load(name)
        assert plan(network).count().flops == plan(fused(network)).count().flops == network.flops


def test_a_plan_without_passes_has_a_kernel_a_layer() -> None:
    """Views, dropout, side heads and the flatten of single positions are none."""
    text = "conv3-8(norm=bn, act=relu); aux(0.3) { gap; fc-7 }; split(1, 2); dropout; "
    text += "concat [ identity | conv1-4 ]; gap; flatten; fc-4"
    planned = plan(archdsl.loads(text, input="3x8x8"))
    assert [planned.network.nodes[launch.node].kind for launch in planned.launches] == [
        "conv",
        "bn",
        "relu",
        "conv",
        "concat",
        "gap",
        "fc",
    ]


def test_a_residual_is_added_in_its_own_place() -> None:
    network = fused(
        archdsl.loads("conv3-8; { residual { conv3-8; relu; conv3-8 }; relu } x3; conv1-2", input="3x8x8")
    )
    planned = plan(network)
    assert [launch.reuses for launch in planned.launches] == [None, None, 1, None, 1, None, 1, None]
    assert len(planned.buffers) == 5  # the stream's, one of each body, the output's


def test_what_is_read_again_is_not_written_over() -> None:
    text = "conv3-8 as a; residual { conv3-8 } as b; add [ @a | conv3-8 ]; relu"
    planned = plan(fused(archdsl.loads(text, input="3x8x8")))
    by_name = {launch.name: launch.reuses for launch in planned.launches}
    assert list(by_name.values()) == [None, None, 1]


@pytest.mark.parametrize(
    "text",
    [
        "conv3-6; concat [ split(0, 2) | split(1, 2); conv3-3 ]; channelshuffle(2); split(2, 3); conv1-4",
        "conv3-6; split(1, 2); split(2, 3); conv3-4; flatten; fc-3",
        "conv3-7; concat [ split(2, (2, 1, _)) | split(0, (2, 5)); conv3-3 ]; split(1, (_, 3, 2)); conv1-4",
        "conv3-4; gap; flatten; concat [ identity | fc-3; relu ]; split(1, 7); fc-2",
        "conv3-4 as a; split(1, 2); relu; concat [ identity | @a ]; bn; relu; mul [ identity | gap ]",
        "concat [ conv1-4 | conv3-4 ] as a; concat [ @a | @a ]; residual { conv1-16 }; split(1, 2); gap",
        "conv3-8 as a; add [ @a | split(1, 2); conv1-8 ]; relu; residual { split(0, 2); conv1-8 }",
    ],
)
def test_parts_of_tensors_are_read_where_they_are(text: str) -> None:
    sample = Sample(archdsl.loads(text, input="3x8x6"))
    for network in (
        sample.network,
        fused(sample.network),
        fused(sample.network, named(["remove", "concats"])),
    ):
        for dtype in DTYPES:
            check(plan(network, dtype), sample, 3)


def test_what_a_projection_reads_is_not_written_over() -> None:
    """It needs all channels of a position for each."""
    text = "conv3-8; residual(shortcut=projection) { conv3-8; relu; conv3-8 }; conv3-2"
    sample = Sample(archdsl.loads(text, input="3x8x6"))
    planned = plan(fused(sample.network))
    assert any(launch.kernel.pattern == "conv3 + add(conv1)" for launch in planned.launches)
    assert all(launch.reuses is None for launch in planned.launches)
    check(planned, sample, 2)


def test_a_network_may_hand_its_image_on() -> None:
    network = archdsl.loads("arch n { input 3x8x8; identity as a; relu as b; output @a, @b }")
    sample = Sample(network)
    planned = plan(fused(network))
    assert dict(planned.outputs)["a"].buffer == IMAGE
    check(planned, sample, 2)


def test_what_can_t_be_planned_is_refused() -> None:
    with pytest.raises(ValueError, match="no dtype 'f8'; choose from f32, bf16, f16"):
        plan(archdsl.load("resnet18"), "f8")
    with pytest.raises(ValueError, match="leaves the size of its input open"):
        plan(archdsl.loads("arch n { input 3xHxW; conv3-8 }"))


# ---- the simulation can fail ----


def test_a_wrong_plan_would_be_found() -> None:
    """Buffers that lie on one another, a buffer that is given up too early, an input that is written over too
    early."""
    sample = Sample(
        archdsl.loads("conv3-8 as a; conv3-8; add [ identity | @a; conv1-8 ]; conv3-8", input="3x8x8")
    )
    good = plan(fused(sample.network))
    check(good, sample, 2)

    def fails(bad: Plan) -> None:
        with pytest.raises(AssertionError):
            check(bad, sample, 2)

    fails(replace(good, buffers=tuple(replace(b, offset=0) for b in good.buffers)))
    fails(replace(good, buffers=tuple(replace(b, last=b.first) for b in good.buffers)))
    launches = list(good.launches)
    target = next(
        i for i, launch in enumerate(launches) if len(launch.inputs) == 1 and launch.inputs[0].buffer >= 0
    )
    launches[target] = replace(launches[target], outputs=launches[target].inputs)
    fails(replace(good, launches=tuple(launches)))


def test_kernels_of_placed_concats_write_slices() -> None:
    network = fused(archdsl.loads("concat [ conv1-8 | conv3-16 ]; conv1-4", input="3x8x8"))
    planned = plan(network)
    first, second, third = planned.launches
    assert (first.outputs[0].channel, first.outputs[0].row) == (0, 24)
    assert (second.outputs[0].channel, second.outputs[0].row) == (8, 24)
    assert third.inputs[0] == View(first.outputs[0].buffer, 0, 24, 24, 8, 8)
    assert prod((24, 8, 8)) == third.inputs[0].elements


def test_named_subsets_plan_too() -> None:
    """A backend that lacks a kernel leaves its pass out."""
    network = archdsl.load("mobilenet_v2")
    without = [p.name for p in PASSES if p.name not in ("depthwise", "pools")]
    planned = plan(fused(network, named(without)))
    assert planned.count().kernels == 54
    assert all(isinstance(launch.kernel, Kernel) for launch in planned.launches)
