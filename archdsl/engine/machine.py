"""What a measurement of a network holds for: the network, how it is run, the CPU, the versions, and our own source."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from archdsl.engine.backend import Given
from archdsl.engine.choices import Key

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
"""Where Linux tells of them."""

SOME = 2**22
"""Bytes of cache that are reckoned with where the system does not say."""


def key_of(given: Given) -> Key:
    """Of one network at one size, for `choices`."""
    example = given.example
    return {
        "network": given.network.hash,
        "shape": list(example.shape),
        "dtype": _word(given.dtype),
        "images": _word(example.dtype),
        "channels_last": int(example.dim() == 4 and not example.is_contiguous()),
        "threads": torch.get_num_threads(),
        "cpu": _cpu(),
        "archdsl": _version("archdsl"),
        "torch": torch.__version__,
        "openvino": _version("openvino"),
        "source": _source(),
    }


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@cache
def _cpu() -> str:
    """Its name, and the widest vectors that torch may use: containers and virtual machines hide either."""
    name = _told("model name") or platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


@cache
def is_intel() -> bool:
    """Whether Linux says so."""
    return _told("vendor_id") == "GenuineIntel"


def _told(name: str) -> str:
    """What Linux tells of the first CPU, or ""."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


@cache
def cache_of(threads: int) -> int:
    """Bytes of the last cache that each of so many threads has for itself, at least."""
    found = (0, SOME, 1)
    for index in CACHES.glob("index*"):
        try:
            level, size, sharing = ((index / name).read_text().strip() for name in ("level", "size", "shared_cpu_list"))
            bytes_ = int(size.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(size[-1:], 0)
            found = max(found, (int(level), bytes_, sum(map(_many, sharing.split(",")))))
        except (OSError, ValueError):
            pass
    _, bytes_, sharing_cpus = found
    return bytes_ // min(threads, sharing_cpus)


def _many(cpus: str) -> int:
    """Of `0-3` four, of `7` one."""
    first, _, last = cpus.partition("-")
    return int(last or first) - int(first) + 1


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _source() -> str:
    """A digest of what makes networks ready: another engine is measured anew."""
    digest = hashlib.sha256()
    for folder in ("engine", "passes"):
        for path in sorted((Path(__file__).parent.parent / folder).glob("*.py")):
            digest.update(f"{folder}/{path.name}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
