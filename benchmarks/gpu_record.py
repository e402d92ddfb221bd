"""What a run of `python -m benchmarks.gpu` is asked for, and the file that keeps what it found."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from archdsl.network import Network

NETWORKS = (
    "resnet50",
    "mobilenet_v2",
    "densenet121",
    "vgg16",
    "googlenet_bn",
    "efficientnet_b0",
    "resnet152",
)
TOY = """arch toy(classes=5) {
  input 3x16x16
  conv3-16; relu
  residual(shortcut=projection) { conv1-8; relu; conv3-8; relu; conv1-32 }; relu
  dwconv3; relu6; conv1-16; relu
  gap; fc-classes
}
"""
SPARE = 5.0
"""Seconds before the end in which nothing is begun any more."""


class Settings(NamedTuple):
    """until: the time, by time.monotonic(), after which nothing is begun. peers: of `networks`."""

    networks: dict[str, Network]
    batch: int
    dtype: str
    until: float
    dry: bool
    again: bool
    workers: int
    peers: tuple[str, ...]
    rounds: int

    @property
    def device(self) -> str:
        return "dry" if self.dry else "cuda"

    @property
    def tried(self) -> int:
        """Candidates of a problem."""
        return 2 if self.dry else 8

    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()

    def over(self) -> bool:
        return self.left() < SPARE


class Record:
    """What was measured, in a file that is replaced by each `save`. before: what it begins with where there is no
    such file."""

    def __init__(self, path: Path, about: dict[str, Any], before: Path | None = None) -> None:
        self.path = path
        known = next((file for file in (path, before) if file is not None and file.is_file()), None)
        self.value: dict[str, Any] = json.loads(known.read_text()) if known is not None else {}
        self.value |= about
        self.saved = time.monotonic()

    def step(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.value.setdefault(name, {})
        return found

    def save(self, every: float = 0.0) -> None:
        """every: seconds since the last time before which it is put off."""
        if time.monotonic() - self.saved < every:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.value, indent=1) + "\n")
        new.replace(self.path)
        self.saved = time.monotonic()


def say(words: str) -> None:
    print(words, flush=True)
