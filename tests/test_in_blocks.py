"""Which convolutions of OpenVINO's have images in blocks of channels, and that they compute the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from test_engine import SMALL, close, small

import archdsl
from archdsl.engine import choices, in_blocks, machine, tuning
from archdsl.engine.winograd import HALVED

pytestmark = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512", reason="this CPU has no such kernels"
)

optimize = partial(archdsl.optimize, backend="openvino")

PLAIN = "input 3x32x32\nconv3-32/2; dwconv3; conv1-64\nresidual { conv1-32; conv3-64 }\nmaxpool; conv3-64; gap; fc-10"


def reasons(engine: archdsl.Engine) -> set[str]:
    """Of its convolutions."""
    return {row.why[0] for row in engine.report().rows if "Convolution" in row.runs[0]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """As on a CPU where they are faster; the graphs whose convolutions were asked for in blocks."""
    found: list[object] = []
    ask = in_blocks.ask
    monkeypatch.setattr(in_blocks, "pay", lambda dtype: dtype == torch.float32)
    monkeypatch.setattr(in_blocks, "ask", lambda model, core: (found.append(model), ask(model, core))[1])
    return found


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("batch", [1, 6])
def test_they_compute_the_same(asked: list[object], batch: int, channels_last: bool) -> None:
    model, _ = small(PLAIN)
    x = torch.randn(batch, 3, 32, 32)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    engine = optimize(model, x)
    assert close(engine(x), model(x))
    assert reasons(engine) == {in_blocks.WHY}


@pytest.mark.parametrize("odd", ["conv3-32(groups=4)", "conv1-4; conv1-32", "conv1-20"])
def test_all_of_a_network_or_none(asked: list[object], monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    """What has no kernel there is not compiled in vain."""
    monkeypatch.setattr(in_blocks, "are", lambda compiled: pytest.fail("it was compiled"))
    model, x = small(f"input 3x32x32\nconv3-32; {odd}; conv1-64; gap; fc-10")
    engine = optimize(model, x)
    assert asked and close(engine(x), model(x))
    assert reasons(engine) == {"as OpenVINO chose"}


SQUEEZED = "input 3x32x32\nconv3-32; mul [ {} | identity ]; conv1-64; gap; fc-10"


@pytest.mark.parametrize(
    "squeeze",
    [
        "gap; conv1-4; conv1-32",
        "gap; conv1-3(act=none); silu; conv1-5(bias=false, act=none); gelu; conv1-32; sigmoid",
        "gap; conv1-12(bias=false, act=none); concat [ conv1-16 | conv1-16(bias=false) ]; tanh",
    ],
)
def test_squeezed_images_are_filled_up(asked: list[object], squeeze: str) -> None:
    model, x = small(SQUEEZED.format(squeeze))
    engine = optimize(model, x)
    assert close(engine(x), model(x))
    assert reasons(engine) == {in_blocks.WHY}


@pytest.mark.parametrize(
    "squeeze",
    [
        "gap; conv1-4; softmax; conv1-32",
        "gap; conv1-4; residual { conv1-4 }; conv1-32",
        "gap; conv1-4; conv1-32(groups=4)",
        "gap; conv1-12(groups=4, bias=false, act=none); conv1-32",
        "gap; conv1-4; concat [ " + " | ".join(8 * ["identity"]) + " ]",
    ],
)
def test_not_what_others_read_too(asked: list[object], monkeypatch: pytest.MonkeyPatch, squeeze: str) -> None:
    monkeypatch.setattr(in_blocks, "are", lambda compiled: pytest.fail("it was compiled"))
    model, x = small(SQUEEZED.format(squeeze))
    engine = optimize(model, x)
    assert close(engine(x), model(x))
    assert reasons(engine) == {"as OpenVINO chose"}


def test_openvino_may_choose_otherwise(asked: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_blocks, "are", lambda compiled: False)
    model, x = small(PLAIN)
    engine = optimize(model, x)
    assert len(asked) == 1 and close(engine(x), model(x))
    assert reasons(engine) == {"as OpenVINO chose"}


def test_not_beside_half_of_the_multiplications(asked: list[object]) -> None:
    model, x = small("input 3x28x28\nconv3-128 x2; gap; fc-10")
    assert HALVED in reasons(optimize(model, x, room=2**30)) and not asked
    assert reasons(optimize(model, x, room=0)) == {in_blocks.WHY}


def test_not_in_bf16_and_not_without_convolutions(asked: list[object]) -> None:
    model, x = small(PLAIN)
    assert reasons(optimize(model, x, dtype=torch.bfloat16)) == {"as OpenVINO chose"}
    assert not asked
    model, x = small("input 16\nfc-32; relu; fc-10")
    assert close(optimize(model, x)(x), model(x))


def test_an_openvino_that_knows_no_such_list(asked: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_blocks, "_list", lambda core: None)
    model, x = small(PLAIN)
    engine = optimize(model, x)
    assert close(engine(x), model(x)) and reasons(engine) == {"as OpenVINO chose"}


def test_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """On any CPU that has them, and then without half of the multiplications; or not where they are the default."""
    model, x = small("input 3x28x28\nconv3-128 x2; gap; fc-10")
    for default in (False, True):
        monkeypatch.setattr(in_blocks, "pay", lambda dtype, default=default: default)
        for backend, wanted in (
            ("openvino/blocks", in_blocks.WHY), ("openvino/1/blocks", in_blocks.WHY), ("openvino/plain", "as OpenVINO chose")
        ):
            engine = optimize(model, x, backend=backend, room=2**30 if "blocks" in backend else 0)
            assert reasons(engine) == {wanted} and engine.layout == backend.rpartition("/")[2]
            assert close(engine(x), model(x))
        assert optimize(model, x, room=0).layout == ("blocks" if default else "plain")
        assert optimize(model, x, room=2**30).layout == "plain"


@pytest.mark.parametrize(
    ("text", "dtype", "said"),
    [
        ("conv3-20", torch.float32, "the images of this network can't lie in blocks"),
        ("conv3-32", torch.bfloat16, "only in float32 on a CPU with AVX-512 can images lie in blocks"),
    ],
)
def test_asked_for_and_not_to_be_had(text: str, dtype: torch.dtype, said: str) -> None:
    model, x = small(f"input 3x8x8\n{text}; gap; fc-10")
    with pytest.raises(archdsl.ArchError) as caught:
        optimize(model, x, dtype=dtype, backend="openvino/blocks")
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("A411", said)


def test_other_sizes_may_lie_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = small(PLAIN)
    engine = optimize(model, x, backend="openvino/blocks")
    monkeypatch.setattr(in_blocks, "are", lambda compiled: False)
    assert close(engine(x[:1]), model(x[:1])) and engine.layout == "blocks"


def test_tune_tries_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there are both; what is chosen is what the next engine has."""
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    monkeypatch.setattr(tuning, "TURN", 0.001)
    model, x = small(PLAIN)
    for default, other in (("plain", "blocks"), ("blocks", "plain")):
        monkeypatch.setattr(in_blocks, "pay", lambda dtype, default=default: default == "blocks")
        names = [each.name for each in tuning.tune(model, x[:1], rounds=1).candidates]
        assert sorted(names) == ["onednn", "openvino", f"openvino/{other}"]
    names = [each.name for each in tuning.tune(model, torch.randn(8, 3, 32, 32), rounds=1).candidates]
    assert [name for name in names if "plain" in name] == ["openvino/8/plain"]
    names = [each.name for each in tuning.tune(model, x[:1], dtype=torch.bfloat16, rounds=1).candidates]
    assert sorted(names) == ["onednn", "openvino"]
    engine = optimize(model, x, backend=None)
    choices.keep(engine.key, choices.Choice("openvino/plain", 1_000, 1e-7))
    assert (engine.layout, optimize(model, x, backend=None).layout) == ("blocks", "plain")


def test_where_they_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    for vendor, dtype, wanted in (
        ("GenuineIntel", torch.float32, True),
        ("GenuineIntel", torch.bfloat16, False),
        ("AuthenticAMD", torch.float32, False),
    ):
        machine.is_intel.cache_clear()
        monkeypatch.setattr(machine, "_told", {"vendor_id": vendor}.get)
        assert in_blocks.pay(dtype) == wanted
    machine.is_intel.cache_clear()


def test_a_network_of_all_kinds(asked: list[object]) -> None:
    model, x = small(SMALL)
    assert close(optimize(model, x)(x), model(x))
