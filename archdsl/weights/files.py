"""Which reader a file is for: told by how it begins, not by its name."""

from __future__ import annotations

import os

from archdsl.source import open_file
from archdsl.weights.refusal import unusable
from archdsl.weights.slots import Source


def from_path(path: str | os.PathLike[str]) -> Source:
    """The weights in a file. Raises OSError where it can't be opened, ArchError (A601) where it holds none."""
    path = os.fspath(path)
    title = os.path.basename(path) or path
    with open_file(path) as file:
        start = file.read(16)
    if start[:8] == b"\x89HDF\r\n\x1a\n":
        from archdsl.weights import keras_file

        return keras_file.from_file(path, title)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000:
        from archdsl.weights import safetensors_file

        return safetensors_file.from_file(path, title)
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
        from archdsl.weights import torch_state

        if path.endswith(".keras"):
            raise unusable(f"{title} holds a whole Keras model", "hand over keras.models.load_model(...) itself")
        return torch_state.from_file(path, title)
    raise unusable(f"{title} is no .pt, .safetensors or .h5 file" if start else f"{title} is empty")
