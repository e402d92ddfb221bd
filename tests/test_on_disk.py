"""Weights that leave memory: what was written is read again, and nothing depends on there being a file."""

from __future__ import annotations

import errno
import gc
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import archdsl
from archdsl.engine import on_disk
from archdsl.engine.on_disk import CHUNK, LEAST, OnDisk

SMAPS = Path("/proc/self/smaps")

linux = pytest.mark.skipif(not SMAPS.exists(), reason="needs /proc")


def held() -> int:
    """Bytes of deleted files that lie in memory and that this process could read without asking."""
    found, inside = 0, False
    for line in SMAPS.read_text().splitlines():
        if line[0] in "0123456789abcdef":
            inside = line.endswith("(deleted)")
        elif inside and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


TENSORS = {
    "small": torch.randn(7),
    "large": torch.randn(CHUNK // 4 + 1000, generator=torch.Generator().manual_seed(0)),
    "double": torch.randn(64, 100, dtype=torch.float64),
    "half": torch.randn(100, 100).bfloat16(),
    "turned": torch.randn(64, 100, 3).permute(2, 0, 1),
    "part": torch.randn(64, 300)[:, 100:200],
    "number": torch.tensor(1.5),
    "empty": torch.zeros(0, 5),
}


@linux
@pytest.mark.parametrize("name", TENSORS)
def test_what_was_written_is_read_again(name: str) -> None:
    disk, tensor = OnDisk(), TENSORS[name].clone(memory_format=torch.preserve_format)
    others = [disk.copy(torch.full((5000,), float(i))) for i in range(3)]
    array = disk.copy(tensor)
    others.append(disk.copy(torch.full((5000,), 3.0)))
    wanted = tensor.float().numpy().copy()
    tensor.zero_()  # it is a copy
    assert array.dtype == np.float32 and array.shape == wanted.shape
    for _ in range(2):
        np.testing.assert_array_equal(array, wanted)
        assert all((other == i).all() for i, other in enumerate(others))
        disk.let_go()


@linux
def test_what_is_let_go_is_not_in_memory() -> None:
    before, disk = held(), OnDisk()
    arrays = [disk.copy(torch.full((CHUNK // 8,), float(i))) for i in range(5)]  # in several chunks
    assert len(disk.maps) > 1
    assert [array.sum() for array in arrays] == [i * CHUNK // 8 for i in range(5)]
    assert held() - before >= 5 * CHUNK // 2
    disk.let_go()
    assert held() == before
    assert arrays[4][-1] == 4
    assert before < held() < before + CHUNK  # that page, and those around it
    del disk
    gc.collect()
    assert arrays[3][0] == 3  # arrays keep what they lie in


@linux
def test_what_is_read_once_never_lies_there_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "EVERY", 0.001)
    disk, threads = OnDisk(), threading.active_count()
    with disk.passing():  # nothing yet
        before, array = held(), disk.copy(torch.full((CHUNK // 8,), 3.0))
    with disk.passing():
        assert array.sum() == 3 * CHUNK // 8
        limit = time.monotonic() + 10
        while held() > before and time.monotonic() < limit:
            time.sleep(0.001)
        assert held() == before
        with pytest.raises(ZeroDivisionError), disk.passing():
            raise ZeroDivisionError
        assert array.sum() == 3 * CHUNK // 8
    assert held() == before and threading.active_count() == threads


def test_small_ones_are_as_any_others() -> None:
    disk = OnDisk()
    disk.copy(torch.zeros(LEAST // 4 - 1))
    assert not disk.maps


@linux
@pytest.mark.parametrize("what", ["no folder", "full", "full later"])
def test_without_room_for_a_file(what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    disk, tensor = OnDisk(), torch.arange(100_000.0)
    first = disk.copy(tensor) if what == "full later" else None
    if what == "no folder":
        monkeypatch.setattr(on_disk.tempfile, "TemporaryFile", _refused)
    else:
        monkeypatch.setattr(on_disk.os, "pwrite", _refused)
    array = disk.copy(tensor)
    tensor.zero_()
    assert len(disk.maps) == (what != "no folder") and array[-1] == 99_999
    if first is not None:
        assert first[-1] == 99_999
    disk.let_go()
    assert array[-1] == 99_999


def _refused(*args: object, **more: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@linux
def test_where_the_file_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def mapped(folder: str) -> bool:
        return any(f" {folder}/" in line and line.endswith("(deleted)") for line in SMAPS.read_text().splitlines())

    monkeypatch.delenv("TMPDIR", raising=False)
    one = OnDisk()
    one.copy(torch.zeros(LEAST))
    assert mapped("/var/tmp")
    del one
    gc.collect()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(on_disk.tempfile, "tempdir", None)
    two = OnDisk()
    two.copy(torch.zeros(LEAST))
    assert mapped(str(tmp_path)) and not os.listdir(tmp_path)  # nobody else can open it
    assert two.maps


@linux
def test_an_engine_has_let_its_weights_go() -> None:
    pytest.importorskip("openvino")
    network = archdsl.loads("arch small { input 16xHxW; conv3-128; bn; relu; conv3-128; maxpool2; gap; fc-1000 }")
    model = archdsl.build(network).eval()
    before = held()
    engine = archdsl.optimize(model, torch.randn(1, 16, 24, 24), backend="openvino")
    assert engine._backend.weights.disk.maps  # type: ignore[attr-defined]
    for batch, side in ((1, 24), (3, 24), (2, 40)):  # the last two are compiled from the file
        x = torch.randn(batch, 16, side, side)
        with torch.no_grad():
            torch.testing.assert_close(engine(x), model(x), rtol=1e-3, atol=1e-4)
        engine.report(x, runs=1)
        assert held() == before
