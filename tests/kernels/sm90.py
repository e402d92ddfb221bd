"""Does a kernel build for sm_90 (H100, H200) as it claims? Compiled and taken apart without a GPU.

A launcher is called as always, with tensors on the device "meta", which have shapes but no numbers; Triton compiles
what it launches for sm_90 instead of running it. So what is checked is what a GPU would be given.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
import triton
from archdsl.kernels import _launch
from archdsl.kernels._launch import Claim
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
SHARED = 228 * 1024
"""Bytes of a multiprocessor; a program gets at most 227 KiB, and each costs 1 KiB more."""


class Built(NamedTuple):
    """What the machine code of a kernel uses."""

    name: str
    warps: int
    shared: int
    registers: int
    stack: int
    spills: int
    hgmma: int
    mma: int
    tma_loads: int
    async_copies: int
    cubin: bytes

    def __repr__(self) -> str:
        return str({name: value for name, value in self._asdict().items() if name != "cubin"})

    @property
    def ctas(self) -> int:
        """Programs that fit on a multiprocessor."""
        by_registers = 65536 // (-(-self.registers // 8) * 8 * 32 * self.warps)
        return min(SHARED // (self.shared + 1024), by_registers, 2048 // (32 * self.warps), 32)


def empty(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """A tensor without numbers."""
    return torch.empty(shape, dtype=dtype, device="meta")


def check(claim: Claim, launch: Callable[[], Any]) -> Built:
    """AssertionError unless the one kernel that `launch` starts builds as claimed."""
    kernels = build(launch)
    assert len(kernels) == 1, f"{len(kernels)} kernels were started, not one"
    made = kernels[0]
    assert made.spills == 0 and made.stack == 0, f"spills registers: {made}"
    assert made.shared <= min(claim.shared, 227 * 1024), f"more shared memory than {claim.shared}: {made}"
    assert made.ctas >= claim.ctas, f"{made.ctas} programs a multiprocessor, fewer than {claim.ctas}: {made}"
    assert (made.tma_loads > 0) == claim.tma, f"tma is claimed to be {claim.tma}: {made}"
    assert (made.hgmma > 0) == claim.tensor_cores, (
        f"tensor cores are claimed to be {claim.tensor_cores}: {made}"
    )
    return made


def build(launch: Callable[[], Any]) -> list[Built]:
    """What `launch` would start on an H200, compiled."""
    made = []
    compile_and_run = JITFunction.run

    def compile_only(self: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        assert all(0 < size < 2**31 for size in grid), f"no GPU starts a grid of {grid}"
        kernel = compile_and_run(self, *arguments, grid=grid, warmup=True, **options)
        made.append(_taken_apart(kernel))
        return kernel

    driver = mock.Mock()
    driver.get_current_device.return_value = 0
    driver.get_current_stream.return_value = 0
    driver.get_current_target.return_value = GPUTarget("cuda", 90, 32)
    driver.get_active_torch_device.return_value = torch.device("meta")
    before = triton.runtime.driver._active
    triton.runtime.driver.set_active(driver)
    try:
        with (
            mock.patch.object(JITFunction, "run", compile_only),
            mock.patch.object(_launch, "RUNS_ON", "meta"),
        ):
            launch()
    finally:
        triton.runtime.driver._active = before
    return made


OPCODES = {
    "HGMMA": (0x9F0, 0xDF0),
    "HMMA": (0x23C,),
    "UTMALDG": (0x5B4,),
    "LDGSTS": (0xFAE,),
    "LDL": (0x983,),
    "STL": (0x387,),
}
"""Of sm_90's instructions, their lowest 12 bits: nvdisasm names them too, but takes half a second to start."""


def _taken_apart(kernel: Any) -> Built:
    cubin = kernel.asm["cubin"]
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        use = _said(TOOLS / "cuobjdump", "--dump-resource-usage", file.name)
    found = re.search(r"REG:(\d+) STACK:(\d+)", use)
    assert found, f"no use of registers in {use!r}"
    count = instructions(cubin)
    return Built(
        name=kernel.name,
        warps=kernel.metadata.num_warps,
        shared=kernel.metadata.shared,
        registers=int(found[1]),
        stack=int(found[2]),
        spills=count["LDL"] + count["STL"],
        hgmma=count["HGMMA"],
        mma=count["HMMA"],
        tma_loads=count["UTMALDG"],
        async_copies=count["LDGSTS"],
        cubin=cubin,
    )


def instructions(cubin: bytes) -> dict[str, int]:
    """How often each of OPCODES stands in a kernel's machine code: 16 bytes an instruction, in the ELF sections .text.*."""
    start, size, number, names = (
        *struct.unpack_from("<Q", cubin, 0x28),
        *struct.unpack_from("<HHH", cubin, 0x3A),
    )
    # Of a section: its name's place, then type and flags, address, offset, length.
    sections = [struct.unpack_from("<IIQQQQ", cubin, start + size * i) for i in range(number)]
    strings = sections[names][4]
    found: Counter[int] = Counter()
    for name, _, _, _, offset, length in sections:
        if cubin.startswith(b".text.", strings + name):
            words = struct.unpack_from(f"<{length // 8}Q", cubin, offset)
            found.update(word & 0xFFF for word in words[::2])
    assert found, "no machine code"
    return {name: sum(found[code] for code in codes) for name, codes in OPCODES.items()}


def disassembled(cubin: bytes) -> dict[str, int]:
    """The same by nvdisasm."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        code = _said(TOOLS / "nvdisasm", "-c", "-ndf", file.name)
    return {name: len(re.findall(rf"\b{name}\b", code)) for name in OPCODES}


def _said(*command: object) -> str:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout
