"""What a figure was measured on, and how busy others kept it meanwhile."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from archdsl.bench.subjects import version_of

PACKAGES = ("archdsl", "torch", "triton", "onnx", "onnxscript", "onnxruntime", "openvino")
TELLING = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "asimd", "bf16", "sve")


def machine() -> dict[str, Any]:
    """CPU, memory, system and versions; what can't be found out is left out."""
    cpu = _cpuinfo()
    found: dict[str, Any] = {
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "features": [flag for flag in TELLING if flag in cpu.get("flags", cpu.get("Features", "")).split()],
        "cpus": usable_cpus(),
        "memory_gib": _memory_gib(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: version_of(package) for package in PACKAGES if version_of(package)},
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def usable_cpus() -> int:
    """Logical ones that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def cores() -> int:
    """Physical ones among them: a second thread on a core makes a convolution no faster."""
    try:
        mine = os.sched_getaffinity(0)
        siblings = {
            Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text() for cpu in mine
        }
        return max(len(siblings), 1)
    except (AttributeError, OSError):
        return usable_cpus()


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


class Clock:
    """How much of the machine's time went to other processes than ours. Linux; elsewhere it is not known."""

    def __init__(self, ours: Iterable[int]) -> None:
        self.ours = tuple(ours)
        self.start = self._now()

    def others(self) -> float | None:
        """The share of all CPUs' time since the start."""
        now = self._now()
        if now is None or self.start is None:
            return None
        busy, own, whole = (b - a for a, b in zip(self.start, now, strict=True))
        return min(max(busy - own, 0) / whole, 1.0) if whole else None

    def _now(self) -> tuple[int, int, int] | None:
        """Ticks: busy on all CPUs, ours among them, and all that there were."""
        try:
            ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return None
        idle = ticks[3] + ticks[4]
        return sum(ticks) - idle, sum(map(_ticks_of, (os.getpid(), *self.ours))), sum(ticks)


def _ticks_of(pid: int) -> int:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(after_name[11]) + int(after_name[12])
    except (OSError, ValueError, IndexError):
        return 0
