"""Weights in a file of the engine's own, which leave memory when nobody reads them.

OpenVINO packs the constants of a graph in an order of its own, and keeps both. What lies in a file can go from memory
once it is packed: should another size be compiled, it is read again.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import torch

LEAST = 2**14
"""Bytes of a tensor that is worth it."""

CHUNK = 2**24
"""Bytes of the file that are mapped at once; a larger tensor gets as many as it needs."""

EVERY = 0.05
"""Seconds after which what was read is let go."""

_ALIGNED = 64
_WRITTEN = 2**16
"""Bytes that are written at once: for more, Linux looks for large pages, which a virtual machine may not have at hand yet (1.2 s
in place of 0.3 for 640 MiB)."""


class OnDisk:
    """Memory that a file stands behind, which nobody else can open and which is gone with the last array in it.

    It is made where TMPDIR says, or in /var/tmp, where files do not lie in memory. Without room for it, or off Linux,
    arrays are as any others.
    """

    def __init__(self) -> None:
        self.maps: list[mmap.mmap] = []
        self._file: IO[bytes] | None = None
        self._size = self._left = 0
        self._works = hasattr(mmap, "MADV_DONTNEED")

    def copy(self, value: torch.Tensor) -> Any:
        """An array with what a tensor holds, in float32."""
        plain = value.to(torch.float32).contiguous()
        if self._works and plain.nbytes >= LEAST:
            try:
                return self._written(plain.numpy())
            except OSError:  # no folder for it, or a disk that is full
                self._works = False
        return plain.clone().numpy() if plain.data_ptr() == value.data_ptr() else plain.numpy()

    def let_go(self) -> None:
        """Take everything from memory; what is read again comes back."""
        for each in self.maps:
            each.madvise(mmap.MADV_DONTNEED)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """While somebody reads it all, once, let it go again and again: it is never there as a whole."""
        if not self.maps:
            yield
            return
        done = threading.Event()

        def often() -> None:
            while not done.wait(EVERY):
                self.let_go()

        other = threading.Thread(target=often, daemon=True)
        other.start()
        try:
            yield
        finally:
            done.set()
            other.join()
            self.let_go()

    def _written(self, array: Any) -> Any:
        """Through the file and not through its pages in memory: each would be asked for by itself, and a disk that is full
        would end the process."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=None if "TMPDIR" in os.environ else "/var/tmp")
        file = self._file.fileno()
        if array.nbytes > self._left:
            more = max(CHUNK, -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE)
            os.truncate(file, self._size + more)
            self.maps.append(mmap.mmap(file, more, offset=self._size))
            self._size, self._left = self._size + more, more
        rest, at = memoryview(array).cast("B"), self._size - self._left
        while rest:
            done = os.pwrite(file, rest[:_WRITTEN], at)
            rest, at = rest[done:], at + done
        whole = self.maps[-1]
        found = np.frombuffer(whole, np.float32, array.size, len(whole) - self._left).reshape(array.shape)
        self._left -= min(self._left, -(-array.nbytes // _ALIGNED) * _ALIGNED)
        return found
