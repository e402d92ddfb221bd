"""The engine's passes: each changes what it is for, stays valid, ends at once, and keeps every output in
float64.

`ARCHDSL_EXAMPLES=2000 pytest tests/test_passes.py` takes more of the drawn networks, and others every time.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pytest
from drawing import one_thread
from fusing import NETWORKS, Sample, drawn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import archdsl
from archdsl.ops.base import Shape
from archdsl.passes import PASSES, Accepts, Pass, fused, named
from archdsl.passes._kernel import CONVOLUTIONS, POOLS, Kernel, Other, Placed
from archdsl.passes.valid import complaints
from archdsl.plan import plan

EXAMPLES = int(os.environ.get("ARCHDSL_EXAMPLES", "0"))
SEEDS = range(EXAMPLES or 200)
PROFILE = settings(
    max_examples=EXAMPLES or 60,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


def samples() -> Iterator[tuple[int, str, Sample]]:
    for seed in SEEDS:
        found = drawn(seed)
        if found is not None:
            yield seed, *found


# ---- on drawn networks ----


def test_the_reference_is_the_module() -> None:
    """Before any pass: what the passes are held to is what `archdsl.build` computes."""
    count = 0
    for seed, text, sample in samples():
        sample.check(sample.network, f"seed {seed}\n{text}")
        count += 1
    assert count > 0.6 * len(SEEDS)


@pytest.mark.parametrize("each", PASSES, ids=lambda each: each.name)
def test_alone(each: Pass) -> None:
    """Valid, equal, and a second time nothing is left to do."""
    for seed, text, sample in samples():
        after = each.run(sample.network)
        assert each.run(after) is after, f"seed {seed}\n{text}"
        if after is not sample.network:
            sample.check(after, f"seed {seed}\n{text}")


def test_all_in_order() -> None:
    """And enough of everything is drawn: every pass finds something to do."""
    found: Counter[str] = Counter()
    for seed, text, sample in samples():
        network = sample.network
        for each in PASSES:
            after = each.run(network)
            assert each.run(after) is after, f"{each.name}: seed {seed}\n{text}"
            found[each.name] += after is not network
            network = after
        sample.check(network, f"seed {seed}\n{text}")
    rare = {"pads", "pooled"}  # their own samples have them
    assert not [each.name for each in PASSES if found[each.name] < 5 and each.name not in rare], found


def test_in_any_order() -> None:
    """Twice as many passes as there are, drawn; after each the network is valid, and the outputs are kept."""
    for seed, text, sample in samples():
        order = random.Random(seed).choices(PASSES, k=2 * len(PASSES))
        network = sample.network
        for each in order:
            network = each.run(network)
            assert complaints(network) == [], f"{[p.name for p in order]}: seed {seed}\n{text}"
        sample.check(network, f"{[p.name for p in order]}: seed {seed}\n{text}")


@PROFILE
@given(st.integers(0, 10**6), st.lists(st.sampled_from(PASSES), max_size=12))
def test_whatever_is_drawn(seed: int, order: list[Pass]) -> None:
    """The same for any network and any order: hypothesis shrinks the order that breaks it."""
    found = drawn(seed)
    if found is None:
        return
    text, sample = found
    network = sample.network
    for each in order:
        network = each.run(network)
    sample.check(network, text)


def test_no_pass_costs_kernels_or_bytes() -> None:
    """In their order no pass makes a plan dearer, but for `pads` and `concats`, which spare one and may copy
    one."""
    for seed, text, sample in samples():
        network = sample.network
        before = plan(network).count(4)
        for each in PASSES:
            network = each.run(network)
            after = plan(network).count(4)
            assert after.kernels <= before.kernels, f"{each.name}: seed {seed}\n{text}"
            assert after.moved - after.weights <= before.moved - before.weights, (
                f"{each.name}: seed {seed}\n{text}"
            )
            before = after


# ---- each on its own sample ----

SAMPLES = {
    "remove": "identity; dropout; relu; { gap; gap; flatten; fc-5; dropout(0.5); flatten; fc-3 }; "
    "residual(drop_path=0.5) { identity }",
    "pads": "pad(1); pad(2); conv3-4/2(p=0); pad((0, 1, 0, 1)); dwconv3/2(p=0)",
    "fold": "normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)); bn; conv3-6(norm=bn); scale(0.3); "
    "dwconv3(norm=bn(gamma=false)); "
    "upconv2-4/2(groups=2, norm=bn(beta=false)); layerscale(0.5); gap; fc-7; bn",
    "activations": "conv3-6(act=prelu); maxpool; relu; bn; silu; lrn; tanh",
    "residuals": "conv3-3 as a; add [ conv1-3; relu; relu6 | @a; relu ]; "
    "mean [ conv1-3 | conv3-3 | identity ]; gate [ conv3-3 | conv3-3 ]; bn; mul [ sigmoid | conv3-3 ]",
    "projections": "residual(shortcut=projection) { conv3-8/2(norm=bn); relu; conv3-8 }; relu; "
    "residual(shortcut=pad) { conv3-12/2 }",
    "prologues": "conv3-4 as a; maxpool; bn; relu; conv1-6; maxpool; relu; conv3-4; maxpool; "
    "mul [ identity | gap; conv1-4(act=sigmoid) ]; conv1-5",
    "siblings": "concat [ conv1-3(act=relu) | conv1-4(norm=bn) "
    "| conv1-5(act=relu, bias=false); conv3-2 | conv1-2/1 ]",
    "pools": "conv3-4; maxpool3/2; concat [ conv1-3 | conv3-5(act=relu) ]; avgpool; conv3-4; gap",
    "squeezes": "gap; conv1-2(act=relu); conv1-3(act=sigmoid); fc-4; relu; fc-5",
    "depthwise": "dwconv3(norm=bn, act=relu6); conv1-6; relu; sepconv3-5; residual { dwconv3; conv1-5 }",
    "pooled": "concat [ maxpool3/1(p=1); conv1-4 | avgpool3/1(p=1); conv1-2(act=relu) ]; avgpool1/2; conv1-3",
    "chains": "conv3-6; relu; conv1-9; residual { conv3-5; bn; tanh; conv1-9 }",
    "concats": "concat [ identity | conv3-2 ]; concat [ conv1-3 | conv1-3; concat [ identity | relu ] ]; "
    "gap; flatten; concat [ fc-3 | fc-4 ]",
    "extras": "conv3-4 as a; mul [ @a | gap; conv1-4(act=sigmoid) ]; residual { bn; relu; conv3-4 }; "
    "add [ relu; conv3-4 | relu; conv3-4 | identity ]",
}
"""Small networks that a pass must change, by its name."""

NEEDS = {
    "projections": ("fold", "residuals"),
    "squeezes": ("activations",),
    "chains": ("fold", "activations"),
}
"""Passes without which another finds nothing."""


def sample_of(text: str) -> Sample:
    return Sample(archdsl.loads(text, input="3x12x10"))


@pytest.mark.parametrize("each", PASSES, ids=lambda each: each.name)
def test_changes_its_sample(each: Pass) -> None:
    """A pass that does nothing fails here; so does one that keeps neither value nor bytes nor kernels."""
    sample = sample_of(SAMPLES[each.name])
    network = fused(sample.network, named(NEEDS.get(each.name, ())))
    after = each.run(network)
    assert after is not network
    sample.check(after)
    assert each.run(after) is after
    before, then = plan(network).count(), plan(after).count()
    if each.name == "remove":
        assert len(after.nodes) < len(network.nodes)
    else:
        assert (then.kernels, then.moved) < (before.kernels, before.moved)
        assert then.moved < before.moved


@pytest.mark.parametrize("each", PASSES, ids=lambda each: each.name)
def test_its_sample_after_the_others(each: Pass) -> None:
    sample = sample_of(SAMPLES[each.name])
    sample.check(fused(sample.network))
    sample.check(fused(fused(sample.network)))
    sample.check(fused(sample.network, [p for p in PASSES if p is not each]))


def test_every_pass_has_a_sample_and_a_docstring() -> None:
    import archdsl.passes

    assert list(SAMPLES) == sorted(SAMPLES, key=[p.name for p in PASSES].index)
    for each in PASSES:
        doc = getattr(archdsl.passes, each.name).__doc__
        assert "aves" in doc, f"{each.name} does not say what it saves"


def patterns(text: str, *names: str) -> list[str]:
    """What the kernels do, after these passes, or all."""
    network = fused(archdsl.loads(text, input="3x12x10"), named(names) if names else PASSES)
    return [launch.kernel.pattern for launch in plan(network).launches]


@pytest.mark.parametrize(
    ("text", "kernels"),
    [
        ("conv3-8/2(norm=bn, act=relu)", ["conv3 + relu"]),
        ("conv7-8/2(norm=bn, act=relu); maxpool3/2(p=1)", ["conv7 + relu + maxpool3"]),
        (
            "default conv(norm=bn, act=relu)\nbottleneck(4) x2",
            [
                "conv1 + relu",
                "conv3 + relu + conv1 + add(conv1) + relu",
                "conv1 + relu",
                "conv3 + relu + conv1 + add + relu",
            ],
        ),
        (
            "default conv(norm=bn, act=relu, order=pre, bias=false)\ndense(4) x2; transition(2)",
            [
                "identity",
                "bn + relu + conv1 + relu",
                "conv3",
                "bn + relu + conv1 + relu",
                "conv3",
                "bn + relu + conv1 + avgpool2",
            ],
        ),
        (
            "default conv(norm=bn, act=relu6)\ninverted(6, 3) x2",
            ["conv1 + relu6", "dwconv3 + relu6 + conv1 + add"] * 2,
        ),
        (
            "default conv(norm=bn, act=silu)\nconv3-16; mbconv(4, 16)",
            [
                "conv3 + silu",
                "conv1 + silu",
                "dwconv3 + silu => all | gap",
                "conv1 + silu + conv1 + sigmoid",
                "mul + conv1 + add",
            ],
        ),
        (
            "default conv(act=relu)\nconv1-8; inception(4, 3, 5, 2, 3, 4); maxpool",
            [
                "conv1 + relu",
                "conv1 x3 + relu => 4: maxpool2 | 3 | 2",
                "conv3 + relu + maxpool2",
                "conv5 + relu + maxpool2",
                "maxpool3 + conv1 + relu + maxpool2",
            ],
        ),
        (
            "conv3-4; default conv(norm=bn, act=relu, order=pre, bias=false)\npreact(4) x2",
            [
                "conv3 => all | bn + relu",
                "conv3 + relu",
                "conv3 + add => all | bn + relu",
                "conv3 + relu",
                "conv3 + add",
            ],
        ),
        ("conv3-8; gap; dropout; flatten; fc-5; softmax", ["conv3 + gap", "fc", "softmax"]),
    ],
)
def test_the_kernels_of_published_blocks(text: str, kernels: list[str]) -> None:
    assert sorted(patterns(text)) == sorted(kernels)


REFUSED = {
    "fold: a convolution that is read without its norm": (
        "conv3-4 as a; bn; add [ identity | @a ]",
        "fold",
        ["conv3", "bn", "add"],
    ),
    "fold: an activation stands between": ("conv3-4(act=relu); bn", "fold", ["conv3", "relu", "bn"]),
    "fold: a norm of the image's own statistics": (
        "conv3-4; gn(2); instancenorm(affine=true); dwconv3; ln",
        "fold",
        ["conv3", "gn", "instancenorm", "dwconv3", "ln"],
    ),
    "prologues: a norm of the image's own statistics": (
        "maxpool; gn(1); conv1-4",
        "prologues",
        ["maxpool2", "gn", "conv1"],
    ),
    "activations: a norm of the image's own statistics": (
        "conv3-4; gn(2); conv3-4; instancenorm",
        "activations",
        ["conv3", "gn", "conv3", "instancenorm"],
    ),
    "activations: the tensor before is read too": (
        "conv3-4 as a; relu; add [ identity | @a ]",
        "activations",
        ["conv3", "relu", "add"],
    ),
    "residuals: a branch that is stretched": (
        "mul [ identity | gap; conv1-3 ]",
        "residuals",
        ["gap", "conv1", "mul"],
    ),
    "prologues: a norm before padding": (
        "maxpool; bn; relu; conv3-4",
        "prologues",
        ["maxpool2", "bn", "relu + conv3"],
    ),
    "prologues: an activation that is not 0 at 0": (
        "maxpool; sigmoid; conv3-4",
        "prologues",
        ["maxpool2", "sigmoid", "conv3"],
    ),
    "prologues: a reader that can't take it": (
        "maxpool; bn; add [ conv1-3 | conv3-3 ]",
        "prologues",
        ["maxpool2", "bn", "conv1", "conv3", "add"],
    ),
    "prologues: a 1x1 of groups": (
        "maxpool; bn; conv1-3(groups=3)",
        "prologues",
        ["maxpool2", "bn", "conv1"],
    ),
    "siblings: other strides and groups": (
        "concat [ conv3-4/2 | conv3-6; maxpool | conv3-3/2(groups=3) ]",
        "siblings",
        ["conv3", "conv3", "maxpool2", "conv3", "concat"],
    ),
    "pools: the tensor before is read too": (
        "conv3-4; add [ maxpool3/1(p=1) | identity ]",
        "pools",
        ["conv3", "maxpool3", "add"],
    ),
    "pools: a second one": ("conv3-4; maxpool; maxpool", "pools", ["conv3 + maxpool2", "maxpool2"]),
    "squeezes: weights that are too many": ("gap; fc-4096; fc-4096", "squeezes", ["gap", "fc", "fc"]),
    "depthwise: a stride after it": ("dwconv3; conv1-8/2", "depthwise", ["dwconv3", "conv1"]),
    "depthwise: read elsewhere": (
        "dwconv3; add [ conv1-3 | identity ]",
        "depthwise",
        ["dwconv3", "conv1", "add"],
    ),
    "depthwise: another convolution": ("conv3-136; conv1-3", "depthwise", ["conv3", "conv1"]),
    "pooled: another size": ("maxpool3/2; conv1-3", "pooled", ["maxpool3", "conv1"]),
    "chains: too wide to hold": ("conv3-136; conv1-3", "chains", ["conv3", "conv1"]),
    "chains: not a 1x1": ("conv3-8; conv3-3", "chains", ["conv3", "conv3"]),
    "pads: the border is not 0": ("pad(1, value=2); conv3-4(p=0)", "pads", ["pad", "conv3"]),
    "pads: read elsewhere": ("pad(1); concat [ conv3-4 | identity ]", "pads", ["pad", "conv3", "concat"]),
    "concats: more than one copy": (
        "concat [ identity | identity | conv3-2 ]",
        "concats",
        ["conv3", "concat"],
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_leaves_alone_what_it_must(why: str) -> None:
    text, name, kernels = REFUSED[why]
    assert patterns(text, "remove", name) == kernels


def test_a_tensor_of_two_concats_is_copied_for_the_second() -> None:
    text = "conv3-4 as a; conv3-3 as b; concat [ @a | @b ] as c; conv3-5; concat [ identity | @b ]; gap; "
    text += "add [ conv1-7 | @c; gap ]"
    sample = sample_of(text)
    after = fused(sample.network, named(["remove", "concats"]))
    sample.check(after)
    copies = [node for node in after.nodes if isinstance(node.op, Kernel)]
    assert [node.kind for node in after.nodes].count("placed") == 2
    assert len(copies) == 1
    # `extras` lets the kernel that makes the tensor write it twice.
    sample.check(fused(after, named(["extras"])))
    assert plan(fused(after, named(["extras"]))).count().kernels == plan(after).count().kernels - 1


def test_two_copies_of_a_tensor_stay_two() -> None:
    """`extras` does equal work once, but a copy is wanted where it is."""
    text = "conv3-4 as a; conv3-3 as b; concat [ @a | @b ]; conv3-5 as c; concat [ @c | @b ]; conv3-6 as d; "
    text += "concat [ @d | @b ]; gap"
    sample = sample_of(text)
    after = fused(sample.network)
    sample.check(after)
    (twice,) = (node.op for node in after.nodes if isinstance(node.op, Kernel) and not node.op.simple)
    assert twice.pattern.endswith("=> all | identity | identity")


def test_a_projection_waits_for_sums_only() -> None:
    """What is added after an activation can't be summed with the convolution."""
    assert patterns("conv3-3; residual(shortcut=projection) { conv3-8; relu }") == [
        "conv3",
        "conv1",
        "conv3 + relu + add",
    ]


# ---- what a backend can do ----


def few(kernel: Kernel, inputs: Sequence[Shape]) -> bool:
    """One tensor, at most a layer and its activation, and nothing read at more than 100 channels."""
    return kernel.simple and len(kernel.trunk) <= 2 and all(shape[0] <= 100 for shape in inputs)


def unpooled(kernel: Kernel, _inputs: Sequence[Shape]) -> bool:
    """Anything without a pool."""
    return not kernel.has(POOLS)


def sums(kernel: Kernel, _inputs: Sequence[Shape]) -> bool:
    """Several tensors, but no side, no second convolution, and no more operands than one."""
    kinds = [stage.kind for stage in kernel.stages]
    operands = sum(len(stage.operands) for stage in kernel.stages)
    return operands <= 1 and sum(kind in CONVOLUTIONS for kind in kinds) <= 1


@pytest.mark.parametrize("accepts", [few, sums, unpooled])
def test_no_kernel_is_made_that_a_backend_lacks(accepts: Accepts) -> None:
    """In order and in any order; what is refused stays as it was, and the outputs stay."""
    made = 0
    small = [(0, text, sample_of(text)) for text in SAMPLES.values()]
    for seed, text, sample in (*small, *islice(samples(), len(SEEDS) // 3)):
        order = random.Random(seed).choices(PASSES, k=2 * len(PASSES))
        for passes in (PASSES, order):
            network = fused(sample.network, passes, accepts)
            for node in network.nodes:
                if isinstance(node.op, Kernel) and (len(list(node.op.stages)) > 1 or not node.op.simple):
                    made += 1
                    assert accepts(node.op, [network.nodes[i].shape for i in node.inputs]), text
            sample.check(network, f"{[p.name for p in passes]}: seed {seed}\n{text}")
    assert made > 60


def test_a_backend_without_fused_kernels_still_folds() -> None:
    network = fused(archdsl.load("resnet50"), PASSES, lambda _kernel, _inputs: False)
    kinds = Counter(node.op.pattern if isinstance(node.op, Kernel) else node.kind for node in network.nodes)
    convs = {kind: n for kind, n in kinds.items() if kind.startswith("conv")}
    assert convs == {"conv7": 1, "conv3": 16, "conv1": 36}
    assert (kinds["bn"], kinds["relu"], kinds["add"]) == (0, 49, 16)


def test_side_heads_and_labels_are_left_out() -> None:
    network = archdsl.loads(
        "conv3-4 as a; aux(0.3) { gap; fc-7 } as side; conv3-5 as b; gap; fc-2", input="3x8x8"
    )
    after = named(["remove"])[0].run(network)
    assert [output.name for output in after.outputs] == ["out"]
    assert not after.taps and not after.region.children
    assert after.macs == network.macs
    Sample(network).check(after)


def test_several_outputs_are_kept() -> None:
    text = "input 3x8x8; conv3-4(act=relu) as a; conv3-4(act=relu) as b; concat [ @a | @b ]; conv1-3 as c; "
    text += "output @a, @b, @c"
    sample = Sample(archdsl.loads(f"arch n {{ {text} }}"))
    after = fused(sample.network)
    sample.check(after)
    assert [output.name for output in after.outputs] == ["a", "b", "c"]


def test_parameters_and_macs_stand_for_the_same_layers() -> None:
    """Fused nodes count the weights of the layers they stand for, as the state_dict has them."""
    for name in ("resnet18", "densenet121", "googlenet_bn", "efficientnet_b0", "mobilenet_v2"):
        network = named(["remove"])[0].run(archdsl.load(name))
        network = named(["remove"])[0].run(network)
        needed = [network.nodes[i] for i in network.evaluated]
        after = fused(network)
        assert sum(node.params for node in after.nodes) == sum(node.params for node in needed)
        assert sum(node.buffers for node in after.nodes) == sum(node.buffers for node in needed)
        assert after.macs == network.macs


def test_an_open_size_stays_open() -> None:
    network = archdsl.loads(
        "arch n { input 3xHxW; conv3-8(norm=bn, act=relu); maxpool; residual { conv3-8 }; gap; fc-3 }"
    )
    after = fused(network)
    assert complaints(after) == []
    assert [node.op.pattern for node in after.nodes if isinstance(node.op, Kernel)] == [
        "conv3 + relu + maxpool2",
        "conv3 + add + gap",
    ]
    with pytest.raises(ValueError, match="leaves the size of its input open"):
        plan(after)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(LookupError, match="no pass is called 'folds'; there are remove, "):
        named(["fold", "folds"])
    assert [p.name for p in named(["fold", "remove"])] == ["remove", "fold"]


# ---- networks ----


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_networks_keep_their_outputs(name: str) -> None:
    sample = Sample(archdsl.load(name, input=NETWORKS[name]))
    sample.check(fused(sample.network))


# ---- the checks can fail ----


def test_a_wrong_rewrite_would_be_found() -> None:
    """Values: a norm that is lost. Validity: a way, a place and an operand that are not there."""
    sample = sample_of("conv3-4(norm=bn); relu; concat [ conv1-2 | conv1-3 ]")
    after = fused(sample.network)
    from dataclasses import replace as changed

    def without_norm(node: Any) -> Any:
        if not isinstance(node.op, Kernel):
            return node
        trunk = tuple(
            changed(s, sources=tuple(changed(one, folded=()) for one in s.sources)) for s in node.op.trunk
        )
        return changed(node, op=Kernel(trunk=trunk, ways=node.op.ways))

    with pytest.raises((AssertionError, RuntimeError)):
        sample.check(changed(after, nodes=tuple(map(without_norm, after.nodes))))
    other = next(i for i, node in enumerate(after.nodes) if isinstance(node.op, Other))
    nodes = list(after.nodes)
    nodes[other] = changed(nodes[other], op=Other(index=5, shape=nodes[other].shape))
    assert complaints(changed(after, nodes=tuple(nodes))) == [
        f"node {other} (conv3) is a way that its kernel does not have"
    ]
    placed = next(i for i, node in enumerate(after.nodes) if isinstance(node.op, Placed))
    nodes = list(after.nodes)
    nodes[placed] = changed(nodes[placed], inputs=(nodes[placed].inputs[0],) * 2)
    assert len(complaints(changed(after, nodes=tuple(nodes)))) >= 2
    nodes = list(after.nodes)
    nodes[1] = changed(nodes[1], inputs=(2,))
    assert complaints(changed(after, nodes=tuple(nodes)))[0].endswith("reads what is not there yet")
