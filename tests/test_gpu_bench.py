"""`python -m benchmarks.gpu` from end to end on a CPU, at toy size, and what it does with kernels that fail,
stops and goes on. No time is asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import misbehaving
import pytest

import archdsl
from archdsl.bench.subjects import OURS, SUBJECTS, hindrance, peers
from archdsl.engine.gpu import hand, tune
from archdsl.engine.gpu.book import Book
from archdsl.engine.gpu.choose import Chooser

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import gpu, gpu_record, gpu_steps, gpu_workers
from benchmarks.gpu_workers import ENDED, SILENT, Workers

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


def settings(**more: Any) -> gpu_record.Settings:
    given: dict[str, Any] = {
        "networks": {"toy": archdsl.loads(gpu_record.TOY)}, "batch": 2, "dtype": "bf16", "until": float("inf"),
        "dry": True, "again": False, "workers": 0, "peers": ("eager",), "rounds": 1,
    }  # fmt: skip
    return gpu_record.Settings(**(given | more))


LOST = "AcceleratorError: CUDA error: illegal address"
LABELS = ["right", "crash", "right", LOST, "wrong", "crash", "hang", "right", "crash", "hang"]


def pairs(labels: list[str]) -> list[gpu_workers.Pair]:
    """Two of a problem, whatever that is."""
    return [(SimpleNamespace(key=str(i // 2)), label) for i, label in enumerate(labels)]  # type: ignore[misc]


def test_a_kernel_that_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or does not answer: it is at fault, and those after it are compared all the same; processes go on with what
    comes next."""
    monkeypatch.setattr(gpu_workers, "_serve", misbehaving.serve)
    monkeypatch.setattr(gpu_workers, "LONGEST", 1.0)
    monkeypatch.setattr(gpu_workers, "IMPORTS", 10.0)
    assert all(map(gpu_workers.is_harmful, (ENDED, SILENT, LOST)))
    assert not any(map(gpu_workers.is_harmful, ("", "wrong", "OutOfMemoryError: CUDA out of memory")))
    workers = Workers(3, "dry")
    try:
        found = list(workers.compared(pairs(["right"] * 6), lambda: False))
        assert len(found) == 6 and not any(says for *_, says in found)
        kept = [worker.process.pid for worker in workers.idle]
        said = sorted((label, says) for (_, label), _, says in workers.compared(pairs(LABELS), lambda: False))
        wanted = {"right": "", "crash": ENDED, "hang": SILENT}
        assert said == sorted((label, wanted.get(label, label)) for label in LABELS)
        assert set(kept) & {worker.process.pid for worker in workers.idle} or len(kept) == 3
    finally:
        workers.close()
    assert not workers.idle


def test_without_time_nothing_is_begun() -> None:
    for count in (0, 1):
        assert list(Workers(count, "dry").compared(pairs(["right"]), lambda: True)) == []


class Now:
    """A run that may begin so many things."""

    def __init__(self, left: int) -> None:
        self.count = left

    def over(self) -> bool:
        self.count -= 1
        return self.count < 0


def toy_chooser() -> Chooser:
    return Chooser(lambda problem: hand.candidates(frozenset({"cudnn", "torch"}), problem), Book("here"))


def test_layers_go_on_where_time_was_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is kept at once, and not measured again; with another kernel, or --again, it is."""
    measured = 0

    def launch(*_: Any) -> dict[str, Any]:
        nonlocal measured
        measured += 1
        kept = json.loads(record.path.read_text()) if record.path.is_file() else {"launches": {}}
        assert len(kept["launches"]) == min(measured - 1, 6)
        return {"us": 2.0, "library_us": 3.0, "floor_us": 1.0}

    monkeypatch.setattr(gpu_steps, "_launch", launch)
    record = gpu_record.Record(tmp_path / "found.json", {"machine": "here"})

    def run(left: int, again: bool = False) -> int:
        before, asked = measured, settings(again=again)
        with monkeypatch.context() as patch:
            patch.setattr(gpu_record.Settings, "over", lambda self: now.over())
            now = Now(left)
            gpu_steps.layers(asked, record, toy_chooser())
        return measured - before

    assert run(2) == 2 and "toy: layers are left for the next run" in capsys.readouterr().out
    other = gpu_record.Record(tmp_path / "other" / "found.json", {"machine": "here"}, record.path)
    assert other.value == record.value
    record = gpu_record.Record(record.path, {"machine": "here"})
    assert run(100) == 4 and run(100) == 0 and len(record.step("layers")["toy"]) == 6
    next(iter(record.step("launches").values()))["runs"] = "another"
    assert run(100) == 1 and run(100, again=True) == 6


def test_tuning_is_kept_problem_by_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few are compared, then timed, then the next few; what does harm is not run here, and never again."""
    chooser, saved, order = toy_chooser(), [], list[str]()
    record = gpu_record.Record(tmp_path / "found.json", {"machine": "here"})
    monkeypatch.setattr(gpu_steps, "AT_ONCE", 3)
    monkeypatch.setattr(tune, "asks", lambda candidate: candidate is not None and candidate.name == "addmm")

    class Fakes:
        def compared(self, pairs: list[gpu_workers.Pair], over: Any) -> Any:
            order.extend("compare" for _ in pairs)
            return [(pair, float("inf"), ENDED) for pair in pairs]

    def fake_tune(problem: Any, chooser: Chooser, *_: Any, **__: Any) -> list[tune.Timed]:
        order.append("time")
        labels = [choice.how for choice in tune.some_of(problem, chooser, 8)]
        assert "cudnn:addmm" not in labels
        chooser.put(problem, labels[0], 1e-6, 1e-3)
        return [tune.Timed(labels[0], 1e-3, 1e-6, 0.0, LOST if len(order) > 20 else "")]

    monkeypatch.setattr(tune, "tune", fake_tune)
    with pytest.raises(gpu_steps.Stopped, match="illegal address"):
        gpu_steps.tuned(settings(), record, chooser, Fakes(), lambda: saved.append(1))  # type: ignore[arg-type]
    words = " ".join(order)
    assert "compare time" in words and "time compare" in words
    assert len(saved) == order.count("time") - 1 > 10
    assert "cudnn:addmm" in gpu_steps.never(record)
    assert json.loads(record.path.read_text())["kernels"]["cudnn:addmm"]["says"] == ENDED


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
