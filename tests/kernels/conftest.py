"""Tests of this folder are interpreted (TRITON_INTERPRET=1), but those marked `compiled`, which compile for sm_90.

Either runs in a process of its own (apart.py), so arguments must be picklable: parameters, not fixtures with state.
"""

from __future__ import annotations

import apart
import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "compiled: compiles kernels for a GPU, without one")


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    interpreted = pyfuncitem.get_closest_marker("compiled") is None
    apart.run(pyfuncitem.module.__name__, pyfuncitem.originalname, arguments, interpreted)
    return True
