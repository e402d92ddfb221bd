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
    if interpreted:
        _round_as_a_gpu_does()


def _round_as_a_gpu_does() -> None:
    """Triton's interpreter cuts off where a GPU rounds fp32 to the nearest bf16: then errors would be twice as large, and
    hide others. test_harness.py sees whether this still takes hold."""
    import numpy
    import torch
    import triton.language as tl
    from triton.runtime import interpreter

    convert = interpreter._convert_float

    def rounded(values: Any, given: Any, wanted: Any, mode: Any) -> Any:
        if (given, wanted) != (tl.float32, tl.bfloat16):
            return convert(values, given, wanted, mode)
        numbers = torch.from_numpy(numpy.array(values, dtype=numpy.float32))
        return numbers.to(torch.bfloat16).view(torch.uint16).numpy()

    interpreter._convert_float = rounded


def _call(module: str, name: str, arguments: dict[str, Any]) -> None:
    """Run a test with other random numbers each time; a failure says how they are had again."""
    import torch

    seed = int(os.environ.get("ARCHDSL_SEED", 0)) or int.from_bytes(os.urandom(3), "little") + 1
    torch.manual_seed(seed)
    test = getattr(importlib.import_module(module), name)
    try:
        test(**arguments)
    except BaseException as failure:
        if type(failure).__name__ == "Failed":  # pytest's own, which can't be sent to another process
            failure = AssertionError(str(failure))
        failure.add_note(f"ARCHDSL_SEED={seed} draws the same numbers again")
        raise failure
