"""Tests of kernels run in processes of their own: whether Triton interprets or compiles is fixed when it is imported,
and must not be for the tests beside these. A process serves all tests of its kind that a worker of pytest runs.

Imports nothing that imports triton: it is what such a process imports first.
"""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

SECONDS = 600
"""For one test, to see it hang; far more than any takes."""


def run(module: str, name: str, arguments: Mapping[str, Any], interpreted: bool) -> None:
    """Call the function `name` of a test module there; what it raises is raised here."""
    _process(interpreted).submit(_call, module, name, dict(arguments)).result(timeout=SECONDS)


@cache
def _process(interpreted: bool) -> ProcessPoolExecutor:
    process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _prepare, (interpreted,))
    atexit.register(process.shutdown, wait=False, cancel_futures=True)
    return process


def _prepare(interpreted: bool) -> None:
    os.environ.pop("TRITON_INTERPRET", None)
    if interpreted:
        os.environ["TRITON_INTERPRET"] = "1"
    import torch

    torch.set_num_threads(1)


def _call(module: str, name: str, arguments: dict[str, Any]) -> None:
    test = getattr(importlib.import_module(module), name)
    test(**arguments)
