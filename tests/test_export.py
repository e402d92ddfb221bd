"""`archdsl export`: files that are right are written, and nothing else."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from missing import MISSING

import archdsl
from archdsl import export
from archdsl.balance import balance, images
from archdsl.diagnostics import ArchError

SPEC = """arch tiny(classes=5) {
  default conv(norm=bn, act=relu)
  input 3x12x10
  conv3-8 as c1
  residual { conv3-8; conv3-8(act=none) }
  concat [ conv1-4 | maxpool3/1(p=same) ] as c2
  gap; fc-classes
}
"""
NOT_RUN = f"{MISSING} (onnx or onnxscript); pip install archdsl[export]"


@pytest.fixture
def onnx() -> Any:
    """Without it a test is skipped, and the summary says so; under CI=true it fails."""
    if importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxscript"):
        return pytest.importorskip("onnx")
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(NOT_RUN, pytrace=False)
    pytest.skip(NOT_RUN)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(run: Run) -> Run:
    """`run("export", ...)` in a folder that holds tiny.arch alone."""
    Path("tiny.arch").write_text(SPEC)
    return run


def there() -> list[str]:
    return sorted(os.listdir())


def model_with_weights() -> torch.nn.Module:
    model = archdsl.build("tiny.arch")
    balance(archdsl.load("tiny.arch"), model, seed=4)
    return model


def agrees(model: torch.nn.Module, outputs: Callable[[torch.Tensor], torch.Tensor], batch: int) -> bool:
    given = torch.randn(batch, 3, 12, 10, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        return torch.allclose(outputs(given), model(given), rtol=1e-4, atol=1e-4)


def test_pt2_with_weights_for_any_batch(run: Run) -> None:
    model = model_with_weights()
    torch.save(model.state_dict(), "w.pt")
    code, out, err = run("export", "tiny.arch", "--to", "pt2", "--weights", "w.pt", "--batch", "dynamic")
    assert (code, err) == (0, "")
    assert "by name" in out and "wrote tiny.pt2 (" in out and "x batchx3x12x10 -> out batchx5" in out
    assert "checked with torch " in out
    assert there() == ["tiny.arch", "tiny.pt2", "w.pt"]
    loaded = torch.export.load("tiny.pt2").module()
    assert all(agrees(model, loaded, batch) for batch in (1, 2, 7))
    # A file of its own is replaced; one of anybody else's is not.
    assert export.is_ours("tiny.pt2") and not export.is_ours("w.pt")
    code, out, err = run("export", "tiny.arch", "--to", "pt2", "-o", "w.pt")
    assert code == 1 and "error[A403]: w.pt exists" in err and out == ""
    code, _, err = run("export", "tiny.arch", "--to", "pt2", "--weights", "w.pt", "-o", "w.pt", "--force")
    assert code == 2 and "it is the file of the weights" in err


def test_onnx(run: Run, onnx: Any) -> None:
    model = model_with_weights()
    torch.save(model.state_dict(), "w.pt")
    code, out, err = run("export", "tiny.arch", "--to", "onnx", "--weights", "w.pt", "-o", "net.onnx", "--batch", "3")
    assert (code, err) == (0, ""), out + err
    runner = "onnxruntime" if importlib.util.find_spec("onnxruntime") else "the reference evaluator of onnx"
    assert "x 3x3x12x10 -> out 3x5" in out and f"checked with {runner} " in out
    assert there() == ["net.onnx", "tiny.arch", "w.pt"] and export.is_ours("net.onnx")
    proto = onnx.load("net.onnx")
    assert proto.producer_name == "archdsl"
    assert {p.key: p.value for p in proto.metadata_props}["archdsl.hash"] == archdsl.load("tiny.arch").hash
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(proto)
    assert agrees(model, lambda x: torch.from_numpy(evaluator.run(None, {"x": x.numpy()})[0]), 3)


@pytest.mark.parametrize("kind", ["pt2", "onnx"])
def test_norms_of_images_and_shuffled_pixels(kind: str, run: Run, onnx: Any) -> None:
    text = "pixelunshuffle; conv3-12(norm=gn(3), act=mish); instancenorm(affine=true); elu(0.5); pixelshuffle; gap; fc-4; gn(2)"
    Path("norms.arch").write_text(f"arch norms {{\n input 3x12x10\n {text}\n}}\n")
    code, out, err = run("export", "norms.arch", "--to", kind, "--batch", "dynamic")
    assert (code, err) == (0, ""), out + err
    assert "checked with " in out


def test_onnx_without_onnxruntime_and_with_several_outputs(
    run: Run, onnx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxruntime" else True)
    code, out, err = run("export", "tiny.arch", "--to", "onnx", "-o", "f.onnx", "--features", "c2,c1", "--batch", "dynamic")
    assert (code, err) == (0, ""), out + err
    assert "checked with the reference evaluator of onnx " in out
    names = [output.name for output in onnx.load("f.onnx").graph.output]
    assert sorted(names) == ["c1", "c2"]
    assert all(f"{name} batchx" in out for name in names)


def test_a_network_of_one_sequence_for_any_batch() -> None:
    """Its forward is that of nn.Sequential, whose argument has another name."""
    made = export.export(archdsl.loads("arch line { input 3x6x6; conv3-4; relu; gap; fc-2 }"), "pt2", batch=None)
    assert made.says[0] == "PT2, x batchx3x6x6 -> out batchx2"


def test_a_file_that_only_the_optimizer_of_onnxruntime_spoils(onnx: Any) -> None:
    """It moves the pad into the pool, and then finds it too wide."""
    if not importlib.util.find_spec("onnxruntime"):
        pytest.skip(f"{MISSING} (onnxruntime); pip install archdsl[export]")
    network = archdsl.loads("arch p { input 3x6x6; conv3-4; pad((0, 1, 0, 1)); avgpool1/2; flatten; fc-2 }")
    assert export.export(network, "onnx").says[1].startswith("checked with onnxruntime ")


# ---- nothing is written that was not confirmed ----


def with_other_weights(model: torch.nn.Module) -> torch.nn.Module:
    last = list(model.parameters())[-1]
    with torch.no_grad():
        last[0] += 0.01
    return model


def test_a_file_that_differs_is_not_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    right = export._to_pt2

    def wrong(network: Any, model: torch.nn.Module, *more: Any) -> bytes:
        import copy

        return right(network, with_other_weights(copy.deepcopy(model)), *more)

    monkeypatch.setattr(export, "_to_pt2", wrong)
    code, out, err = run("export", "tiny.arch", "--to", "pt2")
    assert code == 1 and out == "" and there() == ["tiny.arch"]
    assert "error[A410]: the pt2 file does not give what the module gives" in err


def test_a_file_that_does_not_load_is_not_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_to_pt2", lambda *_: b"broken")
    code, out, err = run("export", "tiny.arch", "--to", "pt2")
    assert code == 1 and out == "" and there() == ["tiny.arch"]
    assert "error[A410]: the file could not be checked: torch.export.load" in err


def test_an_exporter_that_refuses(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Constraints violated")

    monkeypatch.setattr(torch.export, "export", refuse)
    code, out, err = run("export", "tiny.arch", "--to", "pt2")
    assert code == 1 and out == "" and there() == ["tiny.arch"]
    assert "error[A409]: torch.export refuses this network" in err and "Constraints violated" in err


def test_packages_that_are_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    code, out, err = run("export", "tiny.arch", "--to", "onnx")
    assert code == 1 and out == "" and there() == ["tiny.arch"]
    assert "error[A401]: onnx is not installed, and --to onnx needs it" in err and "pip install archdsl[export]" in err


def test_weights_of_another_network(run: Run) -> None:
    torch.save({"fc.weight": torch.zeros(2, 3)}, "w.pt")
    code, out, err = run("export", "tiny.arch", "--to", "pt2", "--weights", "w.pt")
    assert code == 1 and out == "" and "error[A602]" in err
    code, _, err = run("export", "tiny.arch", "--to", "pt2", "--weights", "none.pt")
    assert code == 2 and "can't read none.pt" in err
    assert there() == ["tiny.arch", "w.pt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "onx"], "argument --to can't be 'onx'; did you mean 'onnx'?"),
        ([], "the following arguments are required: --to"),
        (["--to", "pt2", "--batch", "any"], "'any' is not a batch"),
        (["--to", "pt2", "-o", "-"], "-o -: an export is written to a file"),
    ],
)
def test_wrong_commands(arguments: list[str], said: str, run: Run) -> None:
    code, _, err = run("export", "tiny.arch", *arguments)
    assert code == 2 and said in err


def test_an_input_of_open_size(run: Run) -> None:
    Path("open.arch").write_text("arch open { input 3xHxW; conv3-4; gap; fc-2 }\n")
    code, _, err = run("export", "open.arch", "--to", "pt2")
    assert code == 2 and "the input 3xHxW leaves sizes open: give --input" in err


def test_more_than_a_file_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    network = archdsl.loads("arch big { input 3x8x8; conv3-4; flatten; fc-3000000 }")
    monkeypatch.setattr(export, "find_spec", lambda name: True)
    with pytest.raises(ArchError) as caught:
        export.export(network, "onnx")
    assert "2 GiB" in str(caught.value)


# ---- the comparison sees what it must ----


def small() -> tuple[archdsl.Network, torch.nn.Module]:
    network = archdsl.loads(SPEC)
    model = archdsl.build(network)
    balance(network, model)
    return network, model


def test_a_comparison_that_shows_nothing_is_not_taken_for_one() -> None:
    """An output that all images share agrees with anything."""
    network, model = small()
    with torch.no_grad():
        model.fc1.weight.mul_(1e-9)
        model.fc1.bias.fill_(1.0)
    same = export._Check(lambda x: {"out": model(x).detach()}, "itself")
    assert not export._compared(network, model, same, 1).sees
    network, model = small()
    exact = export._compared(network, model, export._Check(lambda x: {"out": model(x).detach()}, "itself"), 1)
    assert exact.sees and exact.holds and exact.error == exact.of_torch


def test_untrained_weights_are_compared_with_others_too(monkeypatch: pytest.MonkeyPatch) -> None:
    network, model = small()
    with torch.no_grad():
        model.fc1.weight.mul_(1e-9)
        model.fc1.bias.fill_(1.0)
    given = export._model
    monkeypatch.setattr(
        export, "_model", lambda network, weights: given(network, None) if weights is None else (model, None)
    )
    made = export.export(network, "pt2", weights="w.pt")
    assert any("checked with random weights" in line for line in made.says)


@pytest.mark.parametrize("spoil", [lambda y: y * float("nan"), lambda y: y[:, :3], lambda y: y + 1e-3])
def test_what_is_no_agreement(spoil: Callable[[torch.Tensor], torch.Tensor]) -> None:
    network, model = small()
    check = export._Check(lambda x: {"out": spoil(model(x).detach())}, "a spoilt one")
    try:
        found = export._compared(network, model, check, None)
    except ArchError as error:
        assert "has another shape" in str(error)
    else:
        assert not found.holds


def test_balanced_weights_reach_the_output() -> None:
    """Twenty layers deep, what comes out is of the order of 1 and differs from image to image."""
    network = archdsl.loads("arch deep { input 3x16x16; conv3-8(norm=bn, act=relu) x20; gap; fc-10 }")
    model = archdsl.build(network)
    balance(network, model)
    with torch.no_grad():
        one, two = model(images(network, 2, seed=5))
    assert 0.1 < one.abs().max() < 100 and (one - two).abs().max() > 0.02 * one.abs().max()
