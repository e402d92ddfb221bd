"""What `archdsl bench` does between reading its arguments and printing."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from archdsl.bench.machine import machine
from archdsl.bench.measure import Settings, measure
from archdsl.bench.plot import to_svg
from archdsl.bench.pool import Failed as Failed
from archdsl.bench.results import Results
from archdsl.bench.subjects import all_others
from archdsl.bench.text import to_text
from archdsl.live import need_torch
from archdsl.network import Network


class Made(NamedTuple):
    text: str
    json: str
    svg: str
    sound: bool


def run(networks: Iterable[Network], args: Namespace, tell: Callable[[str], None] | None) -> Made:
    """Measure the networks one after another. Raises ArchError (A401) without torch, ValueError, Failed."""
    need_torch()
    about = machine() | gpu_name(args.device)
    settings = Settings(
        device=args.device,
        batch=args.batch,
        dtype=args.dtype,
        threads=args.threads,
        against=all_others(args.device) if args.against is None else args.against,
        rounds=args.rounds,
        tell=tell or (lambda _: None),
    )
    date = datetime.now(UTC).isoformat(timespec="seconds")
    cases = tuple(measure(network, settings) for network in networks)
    found = Results(date, about, settings.dtype, settings.all_threads, cases)
    return Made(to_text(found) + "\n", found.to_json(), to_svg(found), found.sound)


def gpu_name(device: str) -> dict[str, str]:
    """{"gpu": its name} of a GPU. Raises ValueError where there is none."""
    if device != "cuda":
        return {}
    import torch

    if not torch.cuda.is_available():
        raise ValueError("--device cuda: torch finds no CUDA GPU here")
    return {"gpu": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
