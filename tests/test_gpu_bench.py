"""`python -m benchmarks.gpu` from end to end on a CPU, at toy size, and what it does with kernels that fail,
stops and goes on. No time is asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.bench.subjects import OURS, SUBJECTS, hindrance, peers

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import gpu

ROOT = Path(__file__).resolve().parent.parent


def dry(results: Path, *more: str) -> tuple[str, dict[str, Any]]:
    """In a bare checkout's way: nothing but PYTHONPATH."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.gpu",
        "--dry-run",
        "--results",
        str(results),
        *more,
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = results.glob("gpu-*.json")
    return done.stdout, json.loads(path.read_text())


@pytest.mark.slow
def test_a_dry_run(tmp_path: Path) -> None:
    """All steps, and again, when nothing is left to do."""
    said, found = dry(tmp_path, "--peers", "eager")
    assert {"ceilings", "kernels", "layers", "networks", "machine", "date"} <= found.keys()
    assert found["ceilings"]["copy_bytes"] > 0 and found["ceilings"]["matmul_flops"] > 0
    wrong = {label: each for label, each in found["kernels"].items() if each["says"]}
    assert len(found["kernels"]) > 10 and not wrong
    book = [json.loads(line) for line in (tmp_path / "tuned.jsonl").read_text().splitlines()]
    assert len(book) == len({line["problem"] for line in book}) > 10
    assert all(line["machine"] == found["machine"] and line["us"] > 0 for line in book)
    rows = found["layers"]["toy"]
    assert sum(row["times"] for row in rows) == 6
    assert all(row["why"] == "measured" and row["us"] > 0 and row["library_us"] > 0 for row in rows)
    (case,) = found["networks"]["toy"]["networks"]
    by_name = {subject["name"]: subject for subject in case["subjects"]}
    assert list(by_name) == [OURS, "eager"] and case["best_peer"] == "eager"
    assert all(subject["status"] == "measured" for subject in by_name.values()), by_name
    said, again = dry(tmp_path, "--peers", "eager")
    assert "0 of 0 problems timed" in said and "toy: round" not in said
    assert again["layers"] == found["layers"] and again["networks"] == found["networks"]
    untouched = ROOT / "archdsl/engine/gpu/tuned.jsonl"
    assert "interpreted" not in untouched.read_text()


def settings(**more: Any) -> gpu.Settings:
    given: dict[str, Any] = {
        "networks": {"toy": archdsl.loads(gpu.TOY)}, "batch": 2, "dtype": "bf16", "until": float("inf"), "dry": True,
        "again": False, "workers": 1, "peers": ("eager",), "rounds": 1,
    }  # fmt: skip
    return gpu.Settings(**(given | more))


def serve_badly(share: list[gpu.Pair], device: str, pipe: Any) -> None:
    """Right, wrong, or the end of the process, as the label says."""
    for _, label in share:
        if label == "crash":
            os._exit(1)
        pipe.send((0.0, "") if label == "right" else (1.0, label))


def test_a_kernel_that_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is at fault, and those after it are compared all the same."""
    monkeypatch.setattr(gpu, "_serve", serve_badly)
    labels = ["right", "crash", "right", "CUDA error: illegal address", "wrong", "crash", "right", "crash"]
    for workers in (1, 3):
        found = gpu.compared([(None, label) for label in labels], settings(workers=workers))  # type: ignore[misc]
        said = sorted((label, says) for (_, label), _, says in found)
        assert said == sorted(
            (label, {"right": "", "crash": gpu.ENDED}.get(label, label)) for label in labels
        )


def test_without_time_nothing_is_begun() -> None:
    assert list(gpu.compared([(None, "right")], settings(until=0.0))) == []  # type: ignore[list-item]
    assert list(gpu.compared([(None, "right")], settings(until=0.0, workers=0))) == []  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--do", "tunes"], "no step is called 'tunes'"), ([], "torch finds no CUDA GPU here"), (["--only", "resnet5"], "resnet5")],
)  # fmt: skip
def test_wrong_commands(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if not arguments and __import__("torch").cuda.is_available():
        pytest.skip("there is a GPU")
    try:
        code = gpu.main([*arguments, "--results", str(tmp_path)])
    except SystemExit as exit:
        code = exit.code  # type: ignore[assignment]
    assert code == 2 and said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_peers_of_a_device() -> None:
    assert peers("cuda") == peers("dry") == ("eager", "compile", "graph", "max-autotune")
    assert peers("cpu") == ("eager", "channels_last", "torchscript", "compile", "onnxruntime", "openvino")
    assert hindrance(SUBJECTS["openvino"], "f32", "cuda") == ("unavailable", "does not run on a GPU")
    assert hindrance(SUBJECTS["graph"], "f32", "cpu") == ("unavailable", "does not run on a CPU")
    assert hindrance(SUBJECTS[OURS], "bf16", "cuda") is None
