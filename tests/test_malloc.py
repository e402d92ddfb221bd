"""The engine's large tensors stay with the process between calls."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from archdsl import malloc

FAULTS = """
import resource, torch, archdsl
torch.set_num_threads(1)
network = archdsl.loads("conv1-3; conv1-3; conv1-3", input="3x1024x1024")
x = torch.zeros(4, 3, 1024, 1024)
engine = archdsl.optimize(archdsl.build(network).eval(), x, backend="BACKEND")
for _ in range(12):
    engine(x)
seen = []
for _ in range(7):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    engine(x)
    seen.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(seen)[3])
"""


def faults(monkeypatch: pytest.MonkeyPatch, setting: str, backend: str) -> int:
    monkeypatch.setenv(malloc.SWITCH, setting)
    run = subprocess.run([sys.executable, "-c", FAULTS.replace("BACKEND", backend)], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
@pytest.mark.parametrize("backend", ["onednn", "openvino"])
def test_pages_of_large_tensors_are_not_cleared_anew(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """48 MiB a layer: 12,000 pages, where they are not huge.

    The median of seven calls after twelve: a tensor takes up to seven to find its place (one process in six needs more
    than three), and later a small block that comes to lie in a hole sends it elsewhere, once.
    """
    assert faults(monkeypatch, "default", backend) > 10 * faults(monkeypatch, "", backend)


FREE = """
import re, torch, archdsl
from pathlib import Path
from archdsl import malloc

def held():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

torch.set_num_threads(1)
network = archdsl.loads("conv3-1024; bn; conv3-1024; bn; conv3-1024; bn", input="512x4x4")
model = archdsl.build(network).eval()
engine = archdsl.optimize(model, torch.zeros(1, 512, 4, 4), backend="BACKEND")
engine(torch.zeros(2, 512, 4, 4))
before = held()
malloc.trim()
print(before - held())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc", reason="another malloc")
@pytest.mark.parametrize("backend", ["onednn", "openvino"])
def test_what_preparation_needed_is_given_back(backend: str) -> None:
    """Weights of 90 MiB pass through float64 and other layouts on their way."""
    run = subprocess.run([sys.executable, "-c", FREE.replace("BACKEND", backend)], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 8  # MiB


def test_small_tensors_change_nothing() -> None:
    """Below 32 MiB malloc adapts by itself, and setting its thresholds would end that."""
    assert not malloc.keep(10 * 2**20)
