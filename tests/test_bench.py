"""`archdsl bench`: who is wrong does not count, who is missing is named, and what is computed from times is right.

No time is ever asserted.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from missing import MISSING as NOT_COMPARED

import archdsl
from archdsl.bench import measure, plot, pool, stage, subjects, worker
from archdsl.bench.machine import Clock, cores, machine, usable_cpus
from archdsl.bench.results import FAILED, MARKER, MEASURED, MISSING, WRONG, Case, Found, Ratio, Results, bound
from archdsl.bench.subjects import OURS, PEERS, SUBJECTS, hindrance
from archdsl.bench.text import to_text

SPEC = "arch tiny(classes=5) { default conv(norm=bn, act=relu); input 3x12x10; conv3-8; residual { conv3-8 }; gap; fc-classes }\n"

# ---- figures ----


def found(name: str, *rounds: tuple[float, ...], **more: Any) -> Found:
    figures = {"error": 2e-6, "rms": 1e-6, "ready": 0.5, "libraries": 10 << 20, "preparing": 40 << 20, "running": 30 << 20}
    return Found(name, MEASURED, rounds=rounds, **{**figures, **more})


def case(*subjects: Found, **more: Any) -> Case:
    about: dict[str, Any] = {
        "network": "tiny", "hash": "0", "shape": (2, 3, 12, 10), "params": 1000, "macs": 50_000_000, "eager": (1e-6, 1e-6)
    }  # fmt: skip
    return Case(**{**about, **more}, subjects=subjects)


def results(*cases: Case) -> Results:
    return Results("2026-01-02T03:04:05+00:00", {"cpu": "A & B <CPU>", "cpus": 4, "versions": {"torch": "2"}}, "f32", 2, cases)


# Both slow down threefold in the second round: the machine did, and the ratio does not see it.
SLOWED = case(
    found(OURS, (1.0, 1.0, 1.0), (3.0, 3.0, 3.0)),
    found("eager", (2.0, 2.0), (6.0, 6.0)),
    found("openvino", (1.5,), (4.5,)),
    Found("onnxruntime", WRONG, "error 1.0e-01 is more than 1.0e-05", error=0.1, rms=0.1),
    Found("compile", MISSING, "not installed: pip install x"),
    ceilings={"matmul_flops": 4e11, "copy_bytes": 2e10},
    others=0.25,
)


def test_ratios_are_of_rounds() -> None:
    ours, eager, openvino, wrong, _ = SLOWED.subjects
    assert SLOWED.best is openvino and SLOWED.best_of_torch is eager
    assert SLOWED.ratio(ours, openvino) == Ratio(1.5, 1.5, 1.5)
    assert SLOWED.ratio(openvino, openvino) == Ratio(1.0, 1.0, 1.0)
    assert SLOWED.ratio(eager, openvino) == Ratio(0.75, 0.75, 0.75)
    assert SLOWED.ratio(wrong, openvino) is None and SLOWED.ratio(ours, None) is None
    assert (ours.ms, ours.spread, ours.memory) == (2.0, (1.0, 3.0), 20 << 20)
    assert replace(ours, held=(9 << 20, 1 << 20, 2 << 20)).memory == 2 << 20
    # 2 FLOPs x 50 million MACs x 2 images in 2 ms.
    assert SLOWED.of_matmul(ours) == pytest.approx(2 * 50e6 * 2 / 2e-3 / 4e11)


def test_who_is_wrong_is_no_best_peer() -> None:
    fast = replace(SLOWED.subjects[3], rounds=((0.1,), (0.1,)))
    assert case(SLOWED.subjects[0], fast).best is None
    assert case(SLOWED.subjects[0], replace(fast, status=MEASURED)).best is not None


def test_the_best_peer_is_the_best_of_most_rounds() -> None:
    """Others kept the machine busy in two rounds of five, and happened to hit one peer harder."""
    steady = found("eager", (1.0,), (1.0,), (1.0,), (9.0,), (9.0,))
    slower = found("compile", (2.0, 2.0, 2.0), (2.0, 2.0, 2.0), (2.0, 2.0, 2.0), (3.0,), (3.0,))
    hit = case(steady, slower)
    assert hit.best is steady and hit.ratio(slower, steady) == Ratio(0.5, 0.5, 3.0)


def test_mean_over_networks() -> None:
    behind = case(found(OURS, (2.0,)), found("eager", (1.0,)))
    no_peer = case(found(OURS, (2.0,)))
    mean = results(SLOWED, behind, no_peer).mean()
    assert mean is not None and mean == (pytest.approx((1.5 * 0.5) ** 0.5), 1, 2)
    of_torch = results(SLOWED, behind).mean(of_torch=True)
    assert of_torch is not None and of_torch[0] == pytest.approx(1.0)
    assert results(no_peer).mean() is None


def test_what_is_sound() -> None:
    assert results(SLOWED).sound
    for status in (WRONG, FAILED):
        assert not results(case(Found(OURS, status), found("eager", (1.0,)))).sound
    assert results(case(Found(OURS, MISSING), found("eager", (1.0,)))).sound
    assert not results(case(Found(OURS, MISSING), Found("eager", WRONG))).sound


def test_bounds() -> None:
    assert bound("f32", (1e-7, 0.0)) == 1e-5 and bound("f32", (3e-6, 0.0)) == pytest.approx(3e-5)
    assert bound("bf16", (0.02, 0.0)) == 0.04 and bound("bf16", (9.0, 0.0)) < 1 and bound("bf16", None) < 0.5


def test_text() -> None:
    text = to_text(results(SLOWED))
    assert re.search(r"^archdsl +2\.00 +1\.00–3\.00 +1\.50 +2\.00 +25% +2\.0e-06 +1\.00 +0\.50 s +20 MiB$", text, re.M), text
    assert "tiny, 2 images 3x12x10, f32\n" in text and "A & B <CPU>, 2 of 4 CPUs; 2026-01-02\n" in text
    assert re.search(r"^onnxruntime +wrong: error 1\.0e-01 is more than 1\.0e-05$", text, re.M)
    assert re.search(r"^compile +missing: not installed: pip install x$", text, re.M)
    assert "other processes took 25% of the CPUs" in text and "geometric mean" not in text
    assert "archdsl is 1.50 times as fast as the best correct peer (geometric mean), at least level in 2 of 2" in to_text(
        results(SLOWED, SLOWED)
    )


def test_json() -> None:
    spoilt = case(found(OURS, (1.0,)), Found("eager", WRONG, "no", error=float("inf"), rms=float("nan")))
    text = results(SLOWED, spoilt).to_json()
    assert re.match(MARKER, text)
    value = json.loads(text, parse_constant=pytest.fail)  # neither NaN nor Infinity is JSON
    tiny = value["networks"][0]
    assert (tiny["batch"], tiny["input"], tiny["best_peer"], tiny["error_bound"]) == (2, [3, 12, 10], "openvino", 1e-5)
    ours = tiny["subjects"][0]
    assert ours["ms"]["median"] == 2.0 and ours["ratio_to_best_peer"]["median"] == 1.5
    assert ours["rounds_ms"] == [[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]] and ours["bytes"]["network"] == 20 << 20
    assert tiny["subjects"][3]["status"] == "wrong" and "ms" not in tiny["subjects"][3]


def test_plot() -> None:
    svg = plot.to_svg(results(SLOWED))
    assert re.match(plot.MARKER, svg)
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    bars = {bar.get("class"): float(bar.get("width", "")) for bar in root.iter(f"{space}rect") if bar.get("class")}
    assert bars.keys() == {OURS, "eager", "openvino"}
    assert bars[OURS] == pytest.approx(1.5 * bars["openvino"], abs=0.3)
    words = [text.text or "" for text in root.iter(f"{space}text")]
    assert "onnxruntime: wrong" in words and "compile: missing" in words and "archdsl 1.50" in words
    assert plot.COLORS.keys() == SUBJECTS.keys()
    ElementTree.fromstring(plot.to_svg(results(case(found(OURS, (1.0,))))))  # nothing to compare with


# ---- correctness ----


def test_errors() -> None:
    truth, other = array("d", [1.0, 2.0, 3.0]), array("d", [1.0, 2.0, 5.0])
    assert stage.errors(truth, truth, other) == (0.0, 0.0)
    assert stage.errors(array("d", [1.0, 2.0, 3.2]), truth, other) == (pytest.approx(0.1), pytest.approx(0.1))
    for bad in ([1.0, 2.0], [1.0, float("nan"), 3.0], [1.0, float("inf"), 3.0]):
        assert stage.errors(array("d", bad), truth, other)[0] == float("inf")
    # Where all images give the same, nothing can be seen.
    assert stage.errors(truth, truth, truth)[0] == float("inf")


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in f32."""
    folder = tmp_path_factory.mktemp("stage")
    stage.put_network(folder, archdsl.loads(SPEC))
    stage.make(folder, 3, "f32", False)
    return folder


def test_stage(staged: Path) -> None:
    import torch

    about = stage.stage_in(staged)
    assert about.shape == (3, 3, 12, 10) and about.outputs == ("out",) and about.eager is not None and 0 < about.eager[1] < about.eager[0] < 1e-5
    model = archdsl.build(stage.network_in(staged)).eval()
    model.load_state_dict(torch.load(staged / "state.pt"))
    statistics = {name: tensor for name, tensor in model.state_dict().items() if "running" in name}
    assert statistics and all(tensor.std() > 0.1 for tensor in statistics.values())
    given = torch.frombuffer(bytearray((staged / "b.f32").read_bytes()), dtype=torch.float32).reshape(about.shape)
    with torch.no_grad():
        truth = model.double()(given.double()).flatten().tolist()
    assert list(stage.doubles(staged / "b.0.f64")) == pytest.approx(truth, abs=1e-12)


class Pretender:
    """In place of a subject's process: answers with the truth, a little spoilt for one batch."""

    def __init__(self, folder: Path, off: dict[str, float]) -> None:
        self.folder, self.off, self.ended = folder, off, False

    def ask(self, do: str, limit: float, **more: Any) -> dict[str, Any]:
        assert do == "answer"
        values = stage.doubles(self.folder / f"{more['image']}.0.f64")
        values[1] += self.off[more["image"]]
        Path(f"{more['to']}.0").write_bytes(values.tobytes())
        return {"outputs": 1}

    def end(self) -> None:
        self.ended = True


@pytest.mark.parametrize(("a", "b", "status"), [(0.0, 1e-9, MEASURED), (1e-2, 0.0, WRONG), (0.0, 1e-2, WRONG)])
def test_who_is_off_is_put_out(a: float, b: float, status: str, staged: Path) -> None:
    run = measure._Run(staged, archdsl.loads(SPEC), measure.Settings())
    run.stage, run.found = stage.stage_in(staged), {"eager": Found("eager", MEASURED)}
    pretender = Pretender(staged, {"a": a, "b": b})
    run.processes = {"eager": pretender}  # type: ignore[dict-item]
    for image in stage.IMAGES:
        if "eager" in run.processes:
            run._judge("eager", image)
    assert run.found["eager"].status == status and pretender.ended == (status == WRONG)
    assert bool(run.found["eager"].says) == (status == WRONG)


# ---- processes ----


def test_memory_in_several_processes() -> None:
    wide = "arch wide { input 64x192x192; conv1-64; relu; gap; fc-5 }"
    settings = measure.Settings(threads=1, against=("eager",), turn=0.01)
    held = measure.weigh(archdsl.loads(wide), settings, 1)
    assert list(held) == [OURS, "eager"] and all(len(each) == 1 for each in held.values())
    assert min(held["eager"]) > 64 * 192 * 192 * 4  # what a layer writes, beside the image


@pytest.fixture
def process(tmp_path: Path) -> Iterator[pool.Process]:
    """One that was asked for nothing yet, and has not imported torch."""
    with pool.Process(tmp_path, "eager", "f32", 1) as made:
        yield made


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_process_runs_only_when_asked(process: pool.Process) -> None:
    for _ in range(2):
        assert process.ask("memory", 60)["bytes"] > 1 << 20
        deadline = time.monotonic() + 10
        while state(process.pid) != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state(process.pid) == "T"


def test_what_goes_wrong_in_a_process_is_told(process: pool.Process) -> None:
    with pytest.raises(pool.Failed, match=r"FileNotFoundError.*stage\.json"):
        process.ask("load", 60)
    process.ask("memory", 60)  # and it goes on
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(pool.Failed, match="its process was ended by SIGKILL"):
        process.ask("memory", 60)


def test_a_process_that_takes_too_long(tmp_path: Path) -> None:
    with pool.Process(tmp_path, "eager", "f32", 1) as process:
        with pytest.raises(pool.Failed, match="took more than 0 s to memory"):
            process.ask("memory", 0.001)
        assert process._process.poll() is not None


def test_a_process_that_ends_leaves_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_import_path", lambda: [str(tmp_path)])
    monkeypatch.setattr(sys, "executable", "/bin/ls")
    with pool.Process(tmp_path, "eager", "f32", 1) as process, pytest.raises(pool.Failed, match="ended with code"):
        process.ask("memory", 60)


def test_timing_in_a_worker() -> None:
    calls: list[str] = []
    made = worker.Worker(worker.Job(Path(), "none", "f32", 1))
    made.loaded = worker.Loaded(lambda: calls.append, lambda name: name, lambda _: [])
    made.call, made.image = calls.append, "a"
    took = made.time(0.005)["ns"]
    assert took and all(ns >= 0 for ns in took) and len(calls) > len(took) and set(calls) == {"a"}
    made.time(0.001, image="copy")
    assert calls[-1] == "copy"


# ---- the machine ----


def test_machine() -> None:
    about = machine()
    assert about["cpu"] and about["versions"]["torch"] and about["python"] and 1 <= cores() <= usable_cpus() == about["cpus"]
    others = Clock([os.getpid()]).others()
    assert others is None or 0 <= others <= 1


# ---- who can be measured ----


def test_hindrances(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hindrance(SUBJECTS["onnxruntime"], "bf16") == ("unavailable", "computes no bf16 on a CPU")
    assert hindrance(SUBJECTS["eager"], "bf16") is None
    monkeypatch.setattr(subjects, "find_spec", lambda name: None if name in ("openvino", "onnxscript") else True)
    assert hindrance(SUBJECTS["openvino"], "f32") == ("missing", "not installed: pip install archdsl[bench]")
    status, says = hindrance(SUBJECTS["onnxruntime"], "f32") or ("", "")
    assert status == "missing" and says.startswith("needs onnxscript, which is not installed")
    monkeypatch.setattr(subjects, "engine_exists", lambda: False)
    assert hindrance(SUBJECTS[OURS], "f32") == ("missing", "this archdsl has no engine")


def test_backends_of_the_engine_are_no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, onednn, other = found(OURS, (2.0,)), found("archdsl-onednn", (1.0,)), found("openvino", (3.0,))
    both = case(ours, onednn, other)
    assert both.best is other and both.best_of_torch is None and both.ours is ours
    assert results(case(ours, Found("archdsl-openvino", FAILED), other)).sound
    assert not results(case(ours, Found("archdsl-openvino", WRONG), other)).sound
    assert subjects.all_others() == (*subjects.BACKENDS, *subjects.peers("cpu"))
    monkeypatch.setattr(subjects, "find_spec", lambda name: None)
    assert subjects.all_others() == subjects.peers("cpu")


# ---- the command ----

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(run: Run) -> Run:
    """`run("bench", ...)` in a folder that holds tiny.arch alone."""
    Path("tiny.arch").write_text(SPEC)
    return run


def test_bench(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it but the compiler, on a network of no size."""
    monkeypatch.setattr(measure.Settings, "__init__", _short(measure.Settings.__init__))
    against = "archdsl-onednn,archdsl-openvino,torchscript,onnxruntime,openvino"
    code, out, err = run(
        "bench", "tiny.arch", "--threads", "1", "--rounds", "2", "--against", against, "-o", "r.json", "--plot", "r.svg"
    )
    assert code == 0 and err == "wrote r.json\nwrote r.svg\n", out + err
    assert re.search(r"^torchscript +[0-9.]+", out, re.M) and "tiny, 1 image 3x12x10, f32" in out
    value = json.loads(Path("r.json").read_text())
    (tiny,) = value["networks"]
    by_name = {subject["name"]: subject for subject in tiny["subjects"]}
    assert list(by_name) == [OURS, *against.split(",")]
    for name in by_name:
        hindered = hindrance(SUBJECTS[name], "f32")
        assert by_name[name]["status"] == (hindered[0] if hindered else "measured"), by_name[name]
        if not hindered:
            assert by_name[name]["error"] < 1e-5 and len(by_name[name]["rounds_ms"]) == 2
            assert by_name[name]["ready_s"] > 0
            assert not Path("/proc/self/clear_refs").exists() or by_name[name]["bytes"]["running"] > 10 << 20
    assert tiny["best_peer"] and tiny["ceilings"]["matmul_flops"] > 1e8 and tiny["ceilings"]["copy_bytes"] > 1e8
    assert value["threads"] == 1 and value["machine"]["versions"]["torch"] and value["date"].startswith("20")
    ElementTree.parse("r.svg")
    if not all(importlib.util.find_spec(name) for name in ("onnxruntime", "openvino", "onnxscript")):
        pytest.skip(f"{NOT_COMPARED} (onnxruntime, openvino or onnxscript); pip install archdsl[bench]")


def _short(init: Callable[..., None]) -> Callable[..., None]:
    return lambda self, **given: init(self, **{**given, "turn": 0.01, "rest": 0.0})


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["tiny.arch", "--device", "cuda"], 2, "--device cuda: torch finds no CUDA GPU here"),
        (["tiny.arch", "--against", "eager,opnvino"], 2, "no peer 'opnvino'; did you mean 'openvino'?"),
        (["tiny.arch", "--threads", "0"], 2, "'0' is not a number of threads"),
        (["tiny.arch", "--plot", "tiny.arch"], 2, "it is the spec itself"),
        (["tiny.arch", "-o", "mine.json"], 1, "error[A403]: mine.json exists, and archdsl did not write it"),
        (["open.arch"], 2, "the input 3xHxW leaves sizes open: give --input"),
        (["bad.arch"], 1, "error[A101]"),
    ],
)
def test_wrong_commands(arguments: list[str], code: int, said: str, run: Run) -> None:
    Path("mine.json").write_text('{"mine": 1}\n')
    Path("open.arch").write_text("arch open { input 3xHxW; conv3-4; gap; fc-2 }\n")
    Path("bad.arch").write_text("arch bad { input 3x8x8; cnv3-4 }\n")
    found, out, err = run("bench", *arguments)
    assert (found, out) == (code, "") and said in err
    assert Path("mine.json").read_text() == '{"mine": 1}\n'


def test_the_page_names_every_subject_and_column() -> None:
    from archdsl.bench.text import HEADINGS

    page = (Path(__file__).resolve().parent.parent / "docs/bench.md").read_text()
    for word in (*SUBJECTS, *HEADINGS):
        assert f"`{word}`" in page, word
    assert set(PEERS) < set(SUBJECTS)
