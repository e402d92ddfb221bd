"""A batch in slices: how it is cut, that the result is that of the whole batch, and what its threads do to others."""

from __future__ import annotations

import copy
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_engine import close, small, tensors, wrong_in_threads

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.engine import choices, lanes, machine, slices, tuning
from archdsl.engine.choices import Choice
from archdsl.engine.slices import Slices, sizes, sliced

BACKENDS = ("onednn", "openvino")


@pytest.fixture(scope="module", autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


# ---- how a batch is cut ----


@given(batch=st.integers(1, 200), threads=st.integers(1, 40))
def test_sizes(batch: int, threads: int) -> None:
    """Every thread gets as many slices of one size, and all images are in one."""
    found = sizes(batch, threads)
    assert found == sorted(found, reverse=True)
    for size in found:
        assert batch // size >= 2 and batch % size == 0 and (batch // size) % threads == 0
    if batch > 1:
        assert bool(found) == (batch % threads == 0)


def cut(network: archdsl.Network, batch: int, threads: int = 2, most: int | None = None, dtype: str = "f32") -> int | None:
    found = sliced(network, dtype, batch, threads, most)
    return None if found is None else found.images


def test_slices_fit_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """MobileNetV2 has 5.8 MiB of tensors alive at once in an image."""
    network = archdsl.load("mobilenet_v2")
    for cache, f32, bf16 in ((16, 2, 4), (8, 1, 2), (4, None, 1), (400, 4, 4)):
        monkeypatch.setattr(slices, "cache_of", lambda threads, cache=cache: cache << 20)
        assert (cut(network, 16), cut(network, 16, dtype="bf16")) == (f32, bf16)


def test_each_thread_has_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "cache_of", lambda threads: 400 << 20)
    network = archdsl.load("mobilenet_v2")
    assert [cut(network, batch) for batch in (4, 8, 12, 16, 24, 32, 64)] == [2, 4, 3, 4, 6, 8, 16]
    assert [cut(network, 64, threads=1), cut(network, 128, threads=1)] == [None, 64]


def test_what_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "cache_of", lambda threads: 16 << 20)
    network = archdsl.load("mobilenet_v2")
    assert [cut(network, batch) for batch in (1, 2, 3, 4, 6, 7)] == [None, 1, None, 2, 1, None]
    assert [cut(network, 16, threads) for threads in (1, 4, 16, 32)] == [2, 2, 1, None]
    assert cut(network, 2, threads=1) is None  # fits as it is
    assert cut(archdsl.load("lenet5"), 16) is None  # too little to do
    assert cut(archdsl.load("alexnet"), 16) is None  # more weights than tensors
    assert cut(archdsl.load("vgg16"), 16) is None  # an image is too large


def test_slices_that_are_asked_for() -> None:
    network = archdsl.load("lenet5")
    assert [cut(network, 16, most=most) for most in (1, 3, 4, 15, 16, 99)] == [1, 2, 4, 8, None, None]
    assert [cut(network, 16, 1, most) for most in (1, 8, 16)] == [1, 8, None]
    assert cut(network, 7, most=1) is None


@pytest.mark.parametrize("sharing, threads, mine", [("0-1", 2, 16), ("0-1", 1, 32), ("0,4,8-9", 8, 8), ("5", 3, 32)])
def test_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sharing: str, threads: int, mine: int) -> None:
    """As Linux tells of it: the last level, and who shares it."""
    levels = (("1", "48K", "0"), ("3", "32768K", sharing), ("2", "1024K", "0"))
    for number, texts in enumerate(levels):
        (tmp_path / f"index{number}").mkdir()
        for name, text in zip(("level", "size", "shared_cpu_list"), texts, strict=True):
            (tmp_path / f"index{number}" / name).write_text(text + "\n")
    (tmp_path / "index7").mkdir()
    monkeypatch.setattr(machine, "CACHES", tmp_path)
    assert machine.cache_of.__wrapped__(threads) == mine << 20


def test_a_cache_that_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "CACHES", tmp_path)
    assert machine.cache_of.__wrapped__(2) == machine.SOME


# ---- what comes out ----


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_what_the_whole_batch_gives(backend: str) -> None:
    """Several outputs, small and large; all layouts; both dtypes; batches that are cut and some that are not."""
    model, _ = small("input 3x96x80\nconv3-8(norm=bn, act=relu) as a\nmaxpool; conv1-8 as b; gap; fc-5 as c\noutput @a, @b, @c")
    x = torch.randn(12, 3, 96, 80)
    for dtype, most in ((torch.float32, 1e-5), (torch.bfloat16, 5e-2)):
        for example in (x, x.contiguous(memory_format=torch.channels_last)):
            engine = archdsl.optimize(model, example, dtype=dtype, backend=f"{backend}/2")
            assert engine.slices == Slices(2, 6, 2)
            for batch in (12, 8, 3, 1):
                for image in (x[:batch], x.contiguous(memory_format=torch.channels_last)[:batch], x.flip(0)[-batch:]):
                    before = image.clone()
                    got = engine(image)
                    assert isinstance(got, dict) and {k: v.shape[0] for k, v in got.items()} == dict.fromkeys("abc", batch)
                    assert close(got, model(image), most)
                    assert torch.equal(image, before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_norm_of_whole_images_sees_its_own_image_only(backend: str) -> None:
    text = "conv3-8(norm=gn(2), act=mish); pixelunshuffle; conv1-8(norm=instancenorm); elu; pixelshuffle; conv3-8; gap; fc-8; gn(2)"
    model, _ = small(f"input 3x32x24\n{text}")
    x = torch.randn(12, 3, 32, 24) * torch.arange(1.0, 13).view(-1, 1, 1, 1) + torch.arange(12.0).view(-1, 1, 1, 1)
    engine = archdsl.optimize(model, x, backend=f"{backend}/2")
    assert engine.slices == Slices(2, 6, 2)
    assert close(engine(x), torch.cat([model(image[None]) for image in x]), 1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_images_of_any_mode(backend: str) -> None:
    """Modes hold for a thread: what is sliced in others was made in the caller's."""
    model, x = small()
    engine = archdsl.optimize(model, x, backend=f"{backend}/1")
    with torch.inference_mode():
        image = x + 0
        assert close(engine(image), model(image))
    image = x.clone().requires_grad_()
    got = engine(image)
    assert not got.requires_grad and close(got, model(image).detach())


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_outlive_the_next_call(backend: str) -> None:
    model, x = small()
    engine = archdsl.optimize(model, x, backend=f"{backend}/1")
    assert engine.slices is not None
    first = engine(x)
    kept = first.clone()
    engine(x + 1)
    assert torch.equal(first, kept)


@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_from_several_threads(backend: str) -> None:
    """More at once than there are lanes, and than requests are kept for."""
    model, x = small()
    engine = archdsl.optimize(model, x, backend=f"{backend}/1")
    images = [torch.randn(2 + 2 * (i % 2), *x.shape[1:]) for i in range(6)]
    wanted = [model(image).detach() for image in images]
    assert wrong_in_threads(engine, images, wanted, threads=12, turns=40) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_calls_leave_nothing_behind(backend: str) -> None:
    model, x = small()
    engine = archdsl.optimize(model, x, backend=f"{backend}/1")
    for _ in range(300):
        engine(x)
    before, peak = tensors(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3000):
        engine(x)
    assert tensors() == before
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 6_000  # KiB


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_report(backend: str) -> None:
    model, x = small()
    whole, cut = (archdsl.optimize(model, x, backend=f"{backend}/{most}").report(runs=2) for most in (4, 1))
    assert "slices" not in str(whole)
    assert "4 slices of 1, 2 at once with a thread each" in str(cut)
    if backend == "onednn":  # which has the same kernels for both
        assert len(cut.rows) == len(whole.rows)
        assert sum(row.bytes for row in cut.rows) > sum(row.bytes for row in whole.rows)  # of weights


# ---- its threads ----


def test_each_thread_computes_alone() -> None:
    assert set(lanes.side_by_side(2, lambda _: (torch.get_num_threads(), torch.is_grad_enabled()), range(9))) == {(1, False)}
    seen = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert (torch.get_num_threads(), *seen) == (2, 2)


def test_results_come_in_order() -> None:
    assert lanes.side_by_side(2, lambda job: job * job, range(50)) == [job * job for job in range(50)]
    assert lanes.side_by_side(2, lambda job: job, []) == []


def test_what_fails_is_said_when_nothing_runs_any_more() -> None:
    running: list[int] = []

    def work(job: int) -> int:
        running.append(job)
        if job == 1:
            raise ValueError("no")
        running.remove(job)
        return job

    with pytest.raises(ValueError, match="no"):
        lanes.side_by_side(2, work, range(6))
    assert running == [1]
    assert lanes.side_by_side(2, lambda job: job, range(3)) == [0, 1, 2]


def test_a_child_has_threads_of_its_own() -> None:
    code = (
        "import os, torch, warnings; from archdsl.engine.lanes import side_by_side\n"
        "warnings.simplefilter('ignore')\n"
        "print(side_by_side(2, lambda job: job, range(4)), flush=True)\n"
        "if os.fork() == 0:\n"
        "    print(side_by_side(2, lambda job: job, range(5)), flush=True); os._exit(0)\n"
        "os.wait()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "[0, 1, 2, 3]\n[0, 1, 2, 3, 4]\n"


# ---- asked for, and measured ----


@pytest.mark.parametrize("asked", ["onednn/", "onednn/0", "onednn/-1", "onednn/two", "onednn/²", "onednn/9999999999", "onednn/4/8", "onednn/blocks", "openvino/blocks/4"])
def test_names_that_say_no_number(asked: str) -> None:
    model, x = small()
    with pytest.raises(ArchError, match="no number of images") as caught:
        archdsl.optimize(model, x, backend=asked)
    assert caught.value.diagnostics[0].code == "A411"


def test_what_was_measured_is_cut_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    monkeypatch.setattr(tuning, "TURN", 0.001)
    monkeypatch.setattr(tuning, "REST", 0.0)
    model, x = small()
    tuned = tuning.tune(model, x, rounds=2)
    cuts = {each.name for each in tuned.candidates if each.name.count("/") == 1}
    assert cuts == {f"{b}/{most}" for b in BACKENDS for most in (4, 2, 1)}
    assert tuned.key is not None
    choices.keep(tuned.key, Choice("onednn/1", 1000, 1e-7))
    engine = archdsl.optimize(copy.deepcopy(model), x)
    assert (engine.backend, engine.slices) == ("onednn", Slices(1, 4, 2))
    assert close(engine(x), model(x))
