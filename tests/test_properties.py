"""Drawn specs (`drawing.py`): what is accepted, what is inferred, what is printed and what it computes, against torch.

`ARCHDSL_EXAMPLES=2000 pytest tests/test_properties.py` draws more of them, and others every time.
"""

from __future__ import annotations

import ast
import hashlib
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from drawing import Drawn, Refused, drawn_from, fill, one_thread, specs
from hypothesis import HealthCheck, Phase, given, settings
from torch import nn

import archdsl
from archdsl.network import Network
from archdsl.ops.base import Function, Module

EXAMPLES = int(os.environ.get("ARCHDSL_EXAMPLES", "0"))
PROFILE = settings(
    max_examples=EXAMPLES or 150,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)

SEEDS = range(600)
"""Most properties run over one list of specs, drawn once: seeds name them in a failure's message."""

RANDOM = frozenset({"dropout", "droppath", "mean"})
"""Kinds that draw random numbers while training."""


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


def loaded(text: str) -> Network | None:
    """The network, or None where it is refused; anything but ArchError goes through."""
    try:
        return archdsl.loads(text)
    except archdsl.ArchError as error:
        assert any(d.severity == "error" for d in error.diagnostics)
        return None


def meaning(drawn: Drawn) -> tuple[Any, dict[str, torch.Tensor]] | None:
    try:
        return drawn.run()
    except (Refused, RuntimeError):
        return None


def weighted(model: nn.Module) -> nn.Module:
    """The model in float64, every weight decided by its role and shape, as the drawn meaning has it."""
    model.double()
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(fill(name, tuple(tensor.shape)))
    return model


def asked(network: Network) -> bool:
    """Whether there are labelled tensors that do not leave by themselves, under their own names."""
    return not set(network.taps) <= {(o.name, o.node) for o in network.outputs}


def outputs_of(network: Network, result: Any) -> dict[str, torch.Tensor]:
    return result if isinstance(result, dict) else {network.main.name: result}


@pytest.fixture(scope="module")
def drawings() -> list[tuple[int, Drawn, Network | None]]:
    found = []
    for seed in SEEDS:
        drawn = drawn_from(random.Random(seed))
        found.append((seed, drawn, loaded(drawn.text)))
    return found


@pytest.fixture(scope="module")
def accepted(drawings: list[tuple[int, Drawn, Network | None]]) -> list[tuple[int, Drawn, Network]]:
    return [(seed, drawn, network) for seed, drawn, network in drawings if network is not None]


# ---- what is accepted ----


def test_enough_of_everything_is_drawn(drawings):
    counts = sum((drawn.counts for _, drawn, _ in drawings), Counter())
    share = sum(network is not None for *_, network in drawings) / len(drawings)
    assert 0.6 < share < 0.95
    often = """conv dwconv sepconv upconv maxpool avgpool pointwise padding dilation groups act norm bias order ceil
    concat add mul mean maximum gate squeeze label contract default define block library @start @parameter let if
    recursion aux output carry multiplier fc in.c xN misfit""".split()
    forms = ["carry xN", "xN/s", "block xN", "second call", "parameter default", "wrong contract"]
    forms += [f"group {form}" for form in ("plain", "repeat", "labelled")]
    forms += [f"residual {how}" for how in ("auto", "identity", "projection", "pad", "match")]
    few = {name: counts[name] for name in often + forms if counts[name] < 10}
    assert not few


def test_accepted_exactly_where_torch_can_run_it(drawings):
    """Both ways: a checker that refuses everything, or nothing, fails here."""
    for seed, drawn, network in drawings:
        assert (network is not None) == (meaning(drawn) is not None), f"seed {seed}\n{drawn.text}"


# ---- what is inferred ----


def noting(name: str, calls: dict[str, list[tuple[int, ...]]]) -> Any:
    """A hook that notes the shape that a module gives, each time it is called."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            calls.setdefault(name, []).append(tuple(output.shape[1:]))

    return hook


def test_counts_and_shapes_are_the_meaning_s(accepted):
    for seed, drawn, network in accepted:
        world, outputs = drawn.run()
        where = f"seed {seed}\n{drawn.text}"
        assert (network.params, network.buffers) == (world.params, world.buffers), where
        mains = [o for o in network.outputs if not o.aux]
        assert {o.name: network.nodes[o.node].shape for o in mains} == {
            name: tuple(x.shape[1:]) for name, x in outputs.items()
        }, where
        heads = {o.name: (o.weight, network.nodes[o.node].shape) for o in network.outputs if o.aux}
        assert heads == {name: (w, tuple(x.shape[1:])) for name, (w, x) in world.heads.items()}, where


@pytest.mark.parametrize("training", [True, False])
def test_every_shape_and_count_is_torch_s(accepted, training):
    """On the meta device, with a hook on every module: a node's name is its module's path."""
    seen_nodes = 0
    for seed, drawn, network in accepted[:220]:
        where = f"seed {seed}\n{drawn.text}"
        with torch.device("meta"):
            model = archdsl.build(network).train(training)
        params = sum(p.numel() for p in model.parameters())
        buffers = sum(b.numel() for n, b in model.named_buffers() if not n.endswith("num_batches_tracked"))
        assert (network.params, network.buffers) == (params, buffers), where
        paths = dict(model.named_modules())
        calls: dict[str, list[tuple[int, ...]]] = {}
        for name, module in paths.items():
            module.register_forward_hook(noting(name, calls))
        result = model(torch.empty(2, *network.input, device="meta"))
        for output in network.outputs:
            if training or not output.aux:
                given = outputs_of(network, result)[output.name]
                assert tuple(given.shape) == (2, *network.nodes[output.node].shape), where
        for node in network.layers:
            if node.params or node.buffers:
                assert node.name in paths, f"{node.name}: {where}"
                own = sum(p.numel() for p in paths[node.name].parameters())
                assert own == node.params, f"{node.name}: {where}"
            if node.name in calls:
                seen_nodes += 1
                assert calls[node.name] == [node.shape], f"{node.name}: {where}"
    assert seen_nodes > 1500


# ---- what is printed ----


def evaluate(network: Network, model: nn.Module, x: torch.Tensor, training: bool) -> list[torch.Tensor]:
    """Every node's value, from the flat nodes alone: what `op.lower` says, with the weights that the built model has
    under the node's name."""
    state = model.state_dict()
    values: list[torch.Tensor] = [x]
    for node in network.layers:
        inputs = [values[i] for i in node.inputs]
        lowering = node.op.lower(*(network.nodes[i].shape for i in node.inputs))
        if isinstance(lowering, Function):
            names = [f"v[{i}]" for i in range(len(inputs))]
            text = lowering.template.replace("{*}", ", ".join(names)).format(*names)
            values.append(eval(text, {"torch": torch, "v": inputs}))
            continue
        module = made(lowering).double().train(training)
        own = module.state_dict()
        module.load_state_dict({key: state[f"{node.name}.{key}"] for key in own})
        values.append(module(*inputs))
    return values


def made(lowering: Module) -> nn.Module:
    space: dict[str, Any] = {"torch": torch, "nn": nn}
    if lowering.helper is not None:
        exec(lowering.helper, space)
    return eval(lowering.target, space)(*lowering.args, **lowering.kwargs)


def close(one: torch.Tensor, two: torch.Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one, two, rtol=1e-9, atol=1e-11, equal_nan=True)


def test_the_module_computes_what_the_text_means(accepted):
    """Text, straight to torch's functional calls, against the module: outputs, heads and taps, in float64."""
    alive = 0
    for seed, drawn, network in accepted:
        where = f"seed {seed}\n{drawn.text}"
        world, outputs = drawn.run()
        model = weighted(archdsl.build(network)).eval()
        x = fill("image", (2, *drawn.input))
        options: dict[str, Any] = {}
        if world.heads:
            options["aux"] = True
        taps = [name for name, _ in network.taps]
        if asked(network):
            options["taps"] = taps
        assert set(taps) <= set(world.taps), where
        with torch.no_grad():
            result = outputs_of(network, model(x, **options))
        wanted = outputs | {name: tensor for name, (_, tensor) in world.heads.items()}
        wanted |= {name: world.taps[name] for name in taps}
        assert set(result) == set(wanted), where
        for name, tensor in wanted.items():
            assert close(result[name], tensor), f"{name}: {where}"
        alive += float(outputs[network.main.name].std()) > 1e-6
    assert alive > 0.9 * len(accepted)


@pytest.mark.parametrize("training", [True, False])
def test_the_module_computes_what_the_flat_nodes_do(accepted, training):
    """Wiring, variables used again, loops, inlining and shared classes: each node by itself against the module.

    Weights are random here, so two layers of one shape can't be taken for one another."""
    compared = 0
    for seed, drawn, network in accepted[:250]:
        if training and any(node.kind in RANDOM for node in network.nodes):
            continue
        where = f"seed {seed}\n{drawn.text}"
        torch.manual_seed(seed)
        model = archdsl.build(network).double()
        with torch.no_grad():
            for tensor in [*model.parameters(), *model.buffers()]:
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand_like(tensor) * 0.5 + 0.1 - 0.3 * (tensor.dim() > 1))
        model.train(training)
        options: dict[str, Any] = {}
        if any(o.aux for o in network.outputs):
            options["aux"] = True
        if asked(network):
            options["taps"] = [name for name, _ in network.taps]
        x = fill("image", (3, *drawn.input))
        with torch.no_grad():
            values = evaluate(network, model, x, training)
            result = outputs_of(network, model(x, **options))
        wanted = {o.name: o.node for o in network.outputs} | dict(network.taps)
        for name, index in wanted.items():
            compared += 1
            assert close(result[name], values[index]), f"{name}: {where}"
    assert compared > 150


def test_the_text_is_always_the_same(accepted, tmp_path):
    """Twice in this process, and in another one whose sets and dicts hash otherwise."""
    some = accepted[:40]
    for index, (_, drawn, network) in enumerate(some):
        text = archdsl.emit(network)
        assert text == archdsl.emit(archdsl.loads(drawn.text))
        (tmp_path / f"{index}.arch").write_text(drawn.text)
    digest = hashlib.sha256("".join(archdsl.emit(network) for *_, network in some).encode()).hexdigest()
    program = (
        "import archdsl, hashlib, pathlib, sys\n"
        "texts = [(pathlib.Path(sys.argv[1]) / f'{i}.arch').read_text() for i in range(int(sys.argv[2]))]\n"
        "text = ''.join(archdsl.emit(archdsl.loads(t)) for t in texts)\n"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    root = str(Path(archdsl.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(len(some))],
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest


def test_the_text_is_clean(accepted, tmp_path):
    """ruff's default rules; no import but torch; every class is used, and lines keep to the width."""
    for index, (seed, drawn, network) in enumerate(accepted[:80]):
        text = archdsl.emit(network)
        (tmp_path / f"net{index}.py").write_text(text)
        tree = ast.parse(text)
        where = f"seed {seed}\n{drawn.text}\n{text}"
        imported = {
            name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        }
        assert imported == {"torch"}, where
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        assert len(classes) == len(set(classes)), where
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert set(classes[:-1]) <= names, where
        assert classes[-1] == "Net" or classes[-1].startswith("Net"), where
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_instances_that_differ_in_numbers_share_a_class(accepted):
    """The classes that stand for a block of the text are no more than the forms that its instances have."""
    shared = 0
    for seed, drawn, network in accepted:
        text = archdsl.emit(network)
        forms: dict[str, set[Any]] = {}
        count: Counter[str] = Counter()
        for region in regions(network.region):
            if region.kind == "block" and region.start != region.stop:
                forms.setdefault(region.block, set()).add(form(network, region))
                count[region.block] += 1
        for block, distinct in forms.items():
            printed = len(re.findall(rf'"""`{block}` of ', text))
            assert printed <= len(distinct), f"`{block}`: {printed} > {len(distinct)}\nseed {seed}\n{drawn.text}\n{text}"
            shared += printed < count[block]
    assert shared > 30


def regions(region: Any) -> Any:
    yield region
    for child in region.children:
        yield from regions(child)


def form(network: Network, region: Any) -> Any:
    """What tells an instance from another apart from numbers: kinds, names, wiring, which arguments are stated."""
    prefix = len(region_path(network, region))
    index = {node: -1 - i for i, node in enumerate(region.inputs)}
    found = []
    for i in range(region.start, region.stop):
        node = network.nodes[i]
        lowering = node.op.lower(*(network.nodes[j].shape for j in node.inputs))
        wired = tuple(index.get(j, j - region.start) for j in node.inputs)
        if isinstance(lowering, Function):
            what: Any = lowering.template
        else:
            words = {k: v for k, v in lowering.kwargs.items() if isinstance(v, (bool, str))}
            stated = tuple(k for k in lowering.kwargs if k not in words)
            what = (lowering.target, len(lowering.args), str(words), stated)
        found.append((node.name[prefix:], what, wired))
    leaves = index.get(region.output, region.output - region.start)
    return tuple(found), leaves, len(region.inputs), alike(network, region)


def alike(network: Network, region: Any) -> Any:
    """Of each repeat within, which copies equal the one before: they are printed as a loop."""
    found = []
    for child in regions(region):
        if child.kind == "repeat":
            copies = [
                [network.nodes[i].op.lower(*(network.nodes[j].shape for j in network.nodes[i].inputs)) for i in range(c.start, c.stop)]
                for c in child.children
            ]
            found.append(tuple(one == two for one, two in pairwise(copies)))
    return tuple(found)


def region_path(network: Network, region: Any) -> str:
    """The module path that the region's nodes share."""
    first, *rest = (network.nodes[i].name.split(".")[:-1] for i in range(region.start, region.stop))
    while any(path[: len(first)] != first for path in rest):
        first = first[:-1]
    return ".".join(first)


# ---- anything that can be drawn ----


@PROFILE
@given(specs(wild=0.15))
def test_whatever_is_drawn(drawn):
    """All of the above for one spec: hypothesis shrinks what breaks it."""
    network = loaded(drawn.text)
    meant = meaning(drawn)
    assert (network is not None) == (meant is not None)
    if network is None or meant is None:
        return
    world, outputs = meant
    assert (network.params, network.buffers) == (world.params, world.buffers)
    model = weighted(archdsl.build(network)).eval()
    with torch.no_grad():
        result = outputs_of(network, model(fill("image", (2, *drawn.input))))
    assert set(result) == set(outputs)
    assert all(close(result[name], tensor) for name, tensor in outputs.items())


WERE_WRONG = {
    "copies that each start elsewhere": "arch n { input 4x8x8; relu as a; { @a; maxpool } x2 }",
    "copies within a head that start elsewhere": "arch n { input 4x8x8; relu as a; aux(1) { { residual { @a } } x2; relu }; gap }",
    "a skip in some copies": "arch n { input 4x5x3; dwconv3/2; inverted(2, 4, 2) x3 }",
    "a skip in some copies of copies": "block b(g) { inverted(2, 4, 2) x2 }\narch n { input 4x3x6; b(1) x3; identity }",
    "a class used by one instance only": "block head(f, s=1) { residual(shortcut=pad, scale=0.25) { conv3-1/s; conv1-4 } }\n"
    "arch n { input 1x7x11; residual { { head(2) x3/2 } x2 } }",
    "a residual of an older tensor": "arch n { input 1x7x10; gelu as v; tanh; residual { @v } }",
    "a residual of a parameter": "arch n { input 4x5x7; relu as w; t(@w) x2 }\nblock t(@skip) { residual { @skip } }",
    "a block that gives back what it was passed": "block t(@skip) { sigmoid; @skip }\n"
    "arch n { input 3x5x11; residual { { bn } as s; basic(4, s=1) }; t(@s) x1 }",
    "a copy that gives back what is older": "arch n { input 1x6x6; concat [ { relu } as a; relu | { pad; @a } x1 ] }",
    "a block that computes what nobody reads": "block c(@y) { conv3-4 }\nblock h(k, @x) { relu x(k - 1); @x }\n"
    "arch n { input 3x8x9; avgpool as l; c(@l); h(4, @l) x1; bottleneck(4) }",
    "a loop that reads what its variable could overwrite": "block h(@x) { residual(shortcut=match) { conv1-4 }; { @x; relu; maxpool } x3 }\n"
    "arch n { input 3x9x7; lrn as b; h(@b) }",
    "a sum that is read twice": "arch n { input 3x3x12; concat [ relu; residual { silu; conv3-4/2; relu }; "
    "residual { gelu } | conv3-4/2 ] }",
    "two labels of one tensor": "arch n { input 4x8x8; conv3-4 as a; @a as b; relu }",
    "labels that become one variable": "arch n { input 4x8x8; conv3-4 as taps; conv3-4 as taps_; add [ @taps | @taps_ ]; relu }",
    "a parameter named as a class": "block b(ConvBn, Linear) { conv3-ConvBn(norm=bn); fc-Linear; fc-(2*Linear) }\n"
    "arch n { input 4x8x8; concat [ b(3, 4) | b(5, 6) ] }",
    "a parameter named _": "block s(_, f) { conv3-8; conv3-f/_ x3 }\narch n { input 8x18x18; s(1, 4); s(2, 5); s(1, 6) }",
    "parameters with two underscores": "block b(f, __s=1, __class__=2) { conv3-f/__s; conv3-__class__ }\n"
    "arch n { input 4x8x8; b(3); b(5, 2, 4) }",
    "a first copy that differs in some instances": "block b(f) { conv3-f x4 }\narch n { input 4x8x8; b(4); b(6); b(6) }",
    "a carry that begins with its own stream": "arch n { input 4x8x8; relu as a; carry(p=@a) { { add [ conv3-4 | @p ] } x3; relu } }",
    "a carry whose last tensor is read": "arch n { input 4x8x8; relu as a; tanh; "
    "carry(p=@a) { { add [ conv3-4 | @p ] } x3; concat [ identity | @p ] }; concat [ identity | @a ] }",
}
"""Small specs that a version of the compiler printed wrongly."""


@pytest.mark.parametrize("name", WERE_WRONG)
def test_what_was_wrong_once(name):
    network = archdsl.loads(WERE_WRONG[name])
    torch.manual_seed(1)
    model = archdsl.build(network).double()
    taps = [label for label, _ in network.taps]
    options: dict[str, Any] = {"taps": taps} if taps else {}
    if any(output.aux for output in network.outputs):
        options["aux"] = True
    x = torch.randn(3, *network.input, dtype=torch.float64)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.1 - 0.5 * (tensor.dim() > 1))
        for training in (True, False):
            model.train(training)
            values = evaluate(network, model, x, training)
            result = outputs_of(network, model(x, **options))
            wanted = {o.name: o.node for o in network.outputs} | dict(network.taps)
            assert set(result) == set(wanted)
            for key, index in wanted.items():
                assert close(result[key], values[index]), f"{key}\n{archdsl.emit(network)}"
