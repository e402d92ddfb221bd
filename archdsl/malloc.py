"""What glibc's malloc does with large blocks, which torch asks for and frees with every layer."""

from __future__ import annotations

import ctypes
import os

SWITCH = "ARCHDSL_MALLOC"
"""Environment variable: `default` leaves malloc as it is."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_MOST = 2**31 - 1  # mallopt takes an int
_kept = 32 * 2**20  # to here malloc adapts by itself


def keep(largest: int) -> bool:
    """Let malloc keep blocks of up to so many bytes for the next call, in place of giving them back; whether it does.

    From 32 MiB on it maps each block anew, and Linux clears all its pages when they are first written, which in a batch
    of 16 images took up to two fifths of a network's time. The setting is the process's, is only ever raised, and
    serves the main thread: blocks of other threads are mapped anew from 64 MiB on. Up to four times `largest` stay
    with the process until it ends, or until malloc_trim(3). Without effect where malloc is not glibc's.
    """
    global _kept
    largest = min(largest + 2**20, _MOST)  # a block has a head, and oneDNN rounds up
    if os.environ.get(SWITCH) == "default" or largest <= _kept:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # no glibc
        return False
    if not mallopt(_MMAP_THRESHOLD, largest):  # some versions take no more than 32 MiB
        return False
    mallopt(_TRIM_THRESHOLD, min(4 * largest, _MOST))
    _kept = largest
    return True


def trim() -> None:
    """Give back what is free between blocks in use: of large blocks that came and went, as much as of those in use."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, TypeError, AttributeError):  # no glibc
        pass
