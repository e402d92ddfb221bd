"""What `archdsl weights` does between reading its arguments and writing its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archdsl.network import Network
from archdsl.weights.report import Report

MARKER = r'.{0,8}\{"__metadata__":\{[^}]*"archdsl\.spec_hash"'
"""How a safetensors file of ours begins, as a regular expression over its first bytes as text."""


class Converted(NamedTuple):
    """The report, and the network's state_dict as a safetensors file."""

    report: Report
    data: bytes


def convert(network: Network, path: str, skip: Sequence[str], keep: Sequence[str], write: bool) -> Converted:
    """Load a file's weights into the network. write: whether `data` is wanted. Raises ArchError, OSError."""
    from archdsl import live
    from archdsl.weights.load import load_weights
    from archdsl.weights.safetensors_file import to_bytes

    live.need_torch()
    model = live.build(network)
    report = load_weights(model, path, skip=skip, keep=keep)
    return Converted(report, to_bytes(model.state_dict(), network.hash, network.name) if write else b"")
