"""Which backend is taken: what is timed, what is kept, and what a file that is old or broken does."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from drawing import one_thread
from test_engine import SMALL, small

import archdsl
from archdsl import cli
from archdsl.diagnostics import ArchError
from archdsl.engine import backends, choices, machine, tuning
from archdsl.engine.backend import refusal
from archdsl.engine.choices import Choice
from archdsl.engine.engine import Engine

KEY: choices.Key = {"network": "abc", "shape": [1, 3, 8, 8], "threads": 2, "openvino": None}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tuning, "TURN", 0.001)
    monkeypatch.setattr(tuning, "REST", 0.0)
    with one_thread():
        yield tmp_path / "cache" / choices.NAME


# ---- the file ----


def test_what_is_kept_is_found(cache: Path) -> None:
    assert choices.find(KEY) is None and not cache.exists()
    assert choices.keep(KEY, Choice("openvino", 1000, 1e-6)) == cache
    found = choices.find(dict(reversed(KEY.items())))
    assert found is not None and found[:3] == ("openvino", 1000, 1e-6)
    assert abs(found.made - time.time()) < 60
    choices.keep(KEY, Choice("onednn", 900, 2e-6))
    assert choices.find(KEY)[:2] == ("onednn", 900)  # type: ignore[index]
    assert len(cache.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "changed", [{"network": "abd"}, {"shape": [2, 3, 8, 8]}, {"threads": 1}, {"openvino": "2027.0"}, {"more": 1}]
)
def test_another_key_is_another_choice(changed: dict[str, Any]) -> None:
    choices.keep(KEY, Choice("openvino", 1000, 1e-6))
    assert choices.find({**KEY, **changed}) is None


GOOD = '{"schema": 1, "key": {"a": 1}, "choice": "x", "ns": 5, "error": 0.0, "made": 7}'


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "null",
        "[1]",
        '"text"',
        GOOD.replace('{"a": 1}', "3"),
        GOOD.replace('"x"', "3"),
        GOOD.replace("5", "-5"),
        GOOD.replace("5", "1" + 400 * "0"),
        GOOD.replace("5", '"5"'),
        GOOD.replace("5", "true"),
        GOOD.replace("0.0", "NaN"),
        GOOD.replace(', "made": 7', ""),
        GOOD[:40],
        "[" * 100_000,
    ],
)
def test_a_damaged_line_is_passed_over(line: str, cache: Path) -> None:
    choices.keep(KEY, Choice("openvino", 1000, 1e-6))
    cache.write_bytes(line.encode() + b"\n" + cache.read_bytes())
    with pytest.warns(UserWarning, match=r"choices\.jsonl: 1 of 2 lines can't be read"):
        assert choices.find(KEY).choice == "openvino"  # type: ignore[union-attr]
    choices.keep({"b": 2}, Choice("onednn", 1, 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choices.find(KEY) and choices.find({"b": 2})  # and it is gone


def test_files_that_are_no_such_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True)
    with pytest.warns(UserWarning, match="choices"):
        assert choices.find(KEY) is None
    cache.rmdir()
    os.mkfifo(cache)
    with pytest.warns(UserWarning, match="a pipe"):
        assert choices.find(KEY) is None
    cache.unlink()
    cache.write_bytes(os.urandom(5000))
    with pytest.warns(UserWarning, match="can't be read"):
        assert choices.find(KEY) is None
    monkeypatch.setattr(choices, "LARGEST", 100)
    with pytest.warns(UserWarning, match="larger than"):
        assert choices.find(KEY) is None
    cache.write_text(GOOD.replace('"schema": 1', '"schema": 2'))
    assert choices.find({"a": 1}) is None  # of another version, and no damage


def test_the_file_stays_small(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "MOST", 5)
    for number in range(9):
        choices.keep({"n": number}, Choice("onednn", 1, 0.0, made=100 + number))
    assert [n for n in range(9) if choices.find({"n": n})] == [4, 5, 6, 7, 8]


def test_it_is_written_whole_or_not_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choices.keep(KEY, Choice("openvino", 1000, 1e-6))
    before = cache.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError):
        choices.keep({"b": 2}, Choice("onednn", 1, 0.0))
    assert cache.read_bytes() == before
    assert sorted(path.suffix for path in cache.parent.iterdir()) == [".jsonl", ".lock"]


def test_processes_that_write_at_once() -> None:
    """None loses what another keeps."""
    code = (
        "import importlib.util as u, sys\n"  # the file alone: the package would load torch
        "spec = u.spec_from_file_location('choices', sys.argv[2]); choices = u.module_from_spec(spec)\n"
        "sys.modules['choices'] = choices; spec.loader.exec_module(choices)\n"
        "for n in range(20): choices.keep({'p': int(sys.argv[1]), 'n': n}, choices.Choice('onednn', 1, 0.0))"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(number), choices.__file__]) for number in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert all(choices.find({"p": p, "n": n}) for p in range(3) for n in range(20))


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", "off")
    assert choices.at() is None
    assert choices.find(KEY) is None and choices.keep(KEY, Choice("onednn", 1, 0.0)) is None
    monkeypatch.delenv("ARCHDSL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert choices.at() == tmp_path / "archdsl" / choices.NAME
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert choices.at() == tmp_path / "home" / ".cache" / "archdsl" / choices.NAME


# ---- what a measurement holds for ----


def test_the_key_has_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = small()

    def key(model: Any = model, x: torch.Tensor = x, **more: Any) -> choices.Key:
        return Engine(model, x, backend="onednn", **more).key

    keys = [
        key(),
        key(small(SMALL + "; relu")[0]),
        key(x=x[:1]),
        key(x=x.contiguous(memory_format=torch.channels_last)),
        key(dtype=torch.bfloat16),
        key(copy.deepcopy(model).bfloat16(), x.bfloat16()),
    ]
    torch.set_num_threads(2)
    keys.append(key())
    torch.set_num_threads(1)
    for name in ("_cpu", "_source"):
        with monkeypatch.context() as patch:
            patch.setattr(machine, name, lambda: "another")
            keys.append(key())
    for package in ("archdsl", "openvino"):
        with monkeypatch.context() as patch:
            patch.setattr(machine, "_version", lambda asked, package=package: "9" if asked == package else "1")
            keys.append(key())
    assert len({json.dumps(dict(each), sort_keys=True) for each in keys}) == len(keys)
    assert key() == keys[0]


# ---- who is taken ----


def test_the_fastest_of_those_that_are_right(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Slow, wrong and refusing ones, made of onednn."""
    real = backends.BACKENDS["onednn"]

    def slow(given: Any) -> Any:
        made = real(given)
        ready = made.ready
        monkeypatch.setattr(made, "ready", lambda *size: Around(ready(*size), 0.004))
        return made

    def wrong(given: Any) -> Any:
        made = real(given)
        ready = made.ready
        monkeypatch.setattr(made, "ready", lambda *size: Around(ready(*size), 0.0, 1.001))
        return made

    def refusing(given: Any) -> Any:
        raise refusal("not for this one", "")

    class Around:
        slices, layout = None, ""

        def __init__(self, inner: Any, seconds: float, factor: float = 1.0) -> None:
            self.inner, self.seconds, self.factor = inner, seconds, factor

        def warm(self, x: torch.Tensor) -> None:
            pass

        def run(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            time.sleep(self.seconds)
            return tuple(output * self.factor for output in self.inner.run(x))

    monkeypatch.setattr(backends, "BACKENDS", {"slow": slow, "wrong": wrong, "refusing": refusing, "onednn": real})
    model, x = small()
    tuned = tuning.tune(model, x[:1], rounds=2)
    assert [each.name for each in tuned.candidates[:2]] == ["onednn", "slow"]
    assert tuned.best is not None and tuned.best.name == "onednn"
    out = {each.name: each.wrong for each in tuned.candidates[2:]}
    assert out["refusing"] == "not for this one" and out["wrong"].startswith("error 1.0e-03 against float64")
    assert str(cache) == tuning.keep(tuned)
    table = tuning.to_text("small", tuned)
    assert table.count("\n") == 6 and "chosen" in table and "not for this one" in table


@pytest.mark.parametrize(("ns", "wrong", "best"), [(105, "", "usual"), (106, "", "fast"), (100, "off", "fast"), (None, "off", "fast")])
def test_what_runs_untuned_stays_if_it_is_level(ns: int | None, wrong: str, best: str) -> None:
    usual, fast = tuning.Candidate("usual", ns, 1e-7, wrong, untuned=True), tuning.Candidate("fast", 100, 1e-7)
    for order in ((usual, fast), (fast, usual)) if ns == 100 else ((fast, usual),):
        found = tuning.Tuned(order, 1e-7, {}).best
        assert found is not None and found.name == best
    assert tuning.Tuned((tuning.Candidate("one", wrong="off"),), 1e-7, {}).best is None


def test_what_would_run_untuned() -> None:
    model, x = small()
    for batch in (x[:1], x[:1].repeat(8, 1, 1, 1)):
        tuned = tuning.tune(model, batch, rounds=1)
        (usual,) = (each for each in tuned.candidates if each.untuned)
        engine = archdsl.optimize(model, batch)
        assert usual.name.partition("/")[0] == engine.backend
        assert "/" not in usual.name or int(usual.name.partition("/")[2]) == (engine.slices.images if engine.slices else 8)


def test_who_is_far_behind_is_timed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"fast": 0, "slow": 0, "close": 0}
    now = 0.0

    def engine(name: str, seconds: float) -> Any:
        def call(_: torch.Tensor) -> None:
            nonlocal now
            calls[name] += 1
            now += seconds

        return call

    monkeypatch.setattr(tuning, "time", SimpleNamespace(perf_counter=lambda: now, sleep=lambda _: None))
    engines = {"fast": engine("fast", 1.0), "slow": engine("slow", 2.0), "close": engine("close", 1.01)}
    found = tuning._times(engines, torch.zeros(1), 5)
    assert calls == {"fast": 10, "slow": 4, "close": 10}
    assert found == pytest.approx({"fast": 1.0, "slow": 2.0, "close": 1.01})


@pytest.mark.parametrize(("dtype", "share"), [("bf16", 0.5), ("bf16", 0.97), ("float32", None)])
def test_it_is_said_where_float32_is_faster(monkeypatch: pytest.MonkeyPatch, dtype: str, share: float | None) -> None:
    seen: list[list[torch.dtype]] = []

    def times(engines: dict[str, Engine], example: torch.Tensor, rounds: int) -> dict[str, float]:
        seen.append([engine.dtype for engine in engines.values()])
        seconds = {torch.bfloat16: 1.0, torch.float32: share or 1.0}
        return {name: seconds[engine.dtype] for name, engine in engines.items()}

    monkeypatch.setattr(tuning, "_times", times)
    model, x = small()
    tuned = tuning.tune(model, x[:1], dtype=torch.bfloat16 if dtype == "bf16" else None)
    assert tuned.float32 == share and len(seen) == (2 if share else 1)
    assert not share or seen[1] == [torch.bfloat16, torch.float32]
    said = tuning.to_text("small", tuned)
    assert ("float32 is faster on this CPU: 0.50 of the time" in said) == (share == 0.5)


def test_optimize_takes_what_was_measured() -> None:
    model, x = small()
    default = archdsl.optimize(model, x)
    assert default.backend == "openvino" and "not tuned" in default.why
    choices.keep(default.key, Choice("onednn", 1_500_000, 1e-7))
    engine = archdsl.optimize(model, x)
    assert (engine.backend, engine.why) == ("onednn", "the fastest when tuned, 1.50 ms")
    assert "onednn: the fastest when tuned" in str(engine.report(runs=1))
    assert archdsl.optimize(model, x[:1]).backend == "openvino"  # another size
    assert archdsl.optimize(model, x, backend="openvino").why == "asked for"


def test_a_choice_that_is_there_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = small()
    key = Engine(model, x, backend="onednn").key
    choices.keep(key, Choice("tensorrt", 1, 1e-7))
    assert archdsl.optimize(model, x).why.startswith("the default")
    choices.keep(key, Choice("openvino", 1, 1e-7))
    monkeypatch.setattr("archdsl.engine.openvino.is_there", lambda: False)
    assert archdsl.optimize(model, x).backend == "onednn"


def test_only_what_runs_there_is_tuned() -> None:
    assert "gpu" in backends.BACKENDS
    assert backends.backends_on(torch.device("cpu")) == ["onednn", "openvino"]
    assert backends.backends_on(torch.device("cuda")) == ["gpu"]


def test_models_that_no_engine_takes() -> None:
    model, x = small()
    with pytest.raises(ArchError) as caught:
        tuning.tune(copy.deepcopy(model).train(), x)
    assert caught.value.diagnostics[0].code == "A405"


# ---- the command ----


def test_the_command(capsys: pytest.CaptureFixture[str], cache: Path, tmp_path: Path) -> None:
    spec = tmp_path / "tiny.arch"
    spec.write_text("arch tiny { input 3x12x10; conv3-4(norm=bn, act=relu); gap; fc-3 }\n")
    assert cli.main(["tune", str(spec), "--batch", "2", "--dtype", "bf16", "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert "tiny, 2x3x12x10, bfloat16, 1 threads" in said and f"kept in {cache}" in said
    (line,) = map(json.loads, cache.read_text().splitlines())
    assert line["choice"] in said and line["key"]["shape"] == [2, 3, 12, 10]
    model = archdsl.build(archdsl.load(spec)).eval()
    assert "when tuned" in archdsl.optimize(model, torch.zeros(2, 3, 12, 10), dtype=torch.bfloat16).why


def test_the_command_where_nothing_can_be_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = tmp_path / "tiny.arch"
    spec.write_text("arch tiny { input 3x12x10; conv3-4; gap; fc-3 }\n")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "file"))
    assert cli.main(["tune", str(spec)]) == 0
    assert "not kept:" in capsys.readouterr().err
    cache = tmp_path / "cache" / choices.NAME
    cache.mkdir(parents=True)
    monkeypatch.setenv("ARCHDSL_CACHE", str(cache.parent))
    assert cli.main(["tune", str(spec)]) == 0
    assert f"not kept: {cache}: " in capsys.readouterr().err
    monkeypatch.setenv("ARCHDSL_CACHE", "off")
    assert cli.main(["tune", str(spec)]) == 0
    assert "not kept: ARCHDSL_CACHE is off" in capsys.readouterr().out
    spec.write_text("arch tiny { input 3xHxW; conv3-4; gap; fc-3 }\n")
    assert cli.main(["tune", str(spec)]) == 2
    assert "give --input" in capsys.readouterr().err
