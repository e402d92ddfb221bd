"""Safetensors files: reading others', and writing ours with the network's hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from archdsl.weights.refusal import contradictory, missing_package, unusable
from archdsl.weights.slots import Entry, Source, group

HASH, NETWORK, CONTENTS = "archdsl.spec_hash", "archdsl.network", "archdsl.contents"
"""Metadata of the files that archdsl writes: the network's hash and name, and a digest of names and values."""


def from_file(path: str, title: str) -> Source:
    """A safetensors file. Its writers sort by name, so its order says nothing."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise missing_package("safetensors", "a .safetensors file") from None
    try:
        file: Any = safe_open(path, framework="pt")
        entries = [
            Entry(name, tuple(file.get_slice(name).get_shape()), partial(file.get_tensor, name)) for name in file.keys()
        ]
        metadata = dict(file.metadata() or {})
    except SafetensorError as error:
        raise unusable(f"{title} is no safetensors file: {str(error)[:120]}") from None
    if not entries:
        raise unusable(f"{title} holds no tensor")
    wanted = metadata.get(CONTENTS)
    if wanted is not None and wanted != digest({entry.name: entry.read() for entry in entries}):
        raise contradictory(
            f"{title} does not hold what archdsl wrote into it: tensors were changed, exchanged, added or taken out",
            f"if that was meant, write the file anew without the metadata {CONTENTS!r}",
        )
    slots, tracked = group(entries)
    return Source(title, slots, ordered=False, tracked=tracked, metadata=metadata)


def to_bytes(state: Mapping[str, Any], network_hash: str, name: str) -> bytes:
    """A state_dict as a safetensors file."""
    try:
        from safetensors.torch import save
    except ImportError:
        raise missing_package("safetensors", "a .safetensors file") from None
    # Tensors that share memory are written each by itself.
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    metadata = {"format": "pt", NETWORK: name, HASH: network_hash, CONTENTS: digest(tensors)}
    return save(tensors, metadata=metadata)


def digest(tensors: Mapping[str, Any]) -> str:
    """Of names, types, shapes and values."""
    import torch

    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        if tensor.numel():
            found.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return found.hexdigest()
