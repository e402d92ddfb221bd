"""What all subjects of a run share: weights, two images, what comes of them in float64, and the ONNX file.

A folder holds it, so that no subject's process carries what made it:

    network.pickle  state.pt    the network and its weights, float32
    a.f32  b.f32                two batches of images; a is timed, b is asked for once more at the end
    a.0.f64  b.0.f64  ...       the truth, an output each
    model.onnx                  where a subject reads it
    stage.json                  names, shapes, errors of eager; see `Stage`
    small/                      the same of a small network, after which libraries hold what they hold
"""

from __future__ import annotations

import json
import pickle
import time
from array import array
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.network import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGES = ("a", "b")
SMALL = "small"
_SMALL = """
arch small {
  input 3x56x56
  conv3-128; bn; relu
  conv3-256; bn; relu
  maxpool2; dwconv3; bn; relu
  conv1-64; bn; relu
  gap; fc-10
}
"""
TORCH_DTYPES = {"f32": "float32", "bf16": "bfloat16"}


@dataclass(frozen=True)
class Stage:
    """What `stage.json` holds. eager: the largest and the root mean square error of the plain module in the dtype that is
    measured, run image by image, None where it can't be run in that; see `errors`. onnx: the opset, or why there is no file."""

    shape: tuple[int, ...]
    outputs: tuple[str, ...]
    eager: tuple[float, float] | None
    onnx: str = ""
    onnx_seconds: float = 0.0
    onnx_failed: str = ""


def put_network(folder: Path, network: Network) -> None:
    from archdsl.headroom import deep_recursion

    with deep_recursion():
        (folder / "network.pickle").write_bytes(pickle.dumps(network))


def network_in(folder: Path) -> Network:
    from archdsl.headroom import deep_recursion

    with deep_recursion():
        network: Network = pickle.loads((folder / "network.pickle").read_bytes())
    return network


def stage_in(folder: Path) -> Stage:
    found: dict[str, Any] = json.loads((folder / "stage.json").read_text())
    found |= {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    return Stage(**found)


def doubles(path: Path) -> array[float]:
    found = array("d")
    found.frombytes(path.read_bytes())
    return found


def errors(value: array[float], truth: array[float], other: array[float]) -> tuple[float, float]:
    """The largest and the root mean square difference, each as a share of how far the truths of two batches lie apart;
    infinite where the sizes differ or something is not a number."""
    if len(value) != len(truth):
        return float("inf"), float("inf")
    largest = total = change = changes = 0.0
    for v, t, o in zip(value, truth, other, strict=True):
        off, apart = abs(v - t), abs(t - o)
        if not off < float("inf"):
            return float("inf"), float("inf")
        largest, total = max(largest, off), total + off * off
        change, changes = max(change, apart), changes + apart * apart
    if not changes:
        return float("inf"), float("inf")
    return largest / change, (total / changes) ** 0.5


def make(folder: Path, batch: int, dtype: str, onnx: bool, device: str = "cpu") -> None:
    """Fill the folder, which holds the network already. device: where the truth is computed."""
    import torch

    from archdsl.balance import balance, images
    from archdsl.live import build

    network = network_in(folder)
    model = build(network)
    balance(network, model)
    torch.save(model.state_dict(), folder / "state.pt")
    names = tuple(output.name for output in network.outputs if not output.aux)
    given = {}
    for seed, name in enumerate(IMAGES):
        given[name] = images(network, batch, seed)
        (folder / f"{name}.f32").write_bytes(array("f", given[name].flatten().tolist()).tobytes())
    stage: dict[str, Any] = {"shape": tuple(given["a"].shape), "outputs": names}
    if onnx:
        stage |= _onnx(folder, network, model, given["a"])
    if device == "cuda":
        model, given = model.cuda(), {name: each.cuda() for name, each in given.items()}
    found = {name: _truth(model, each, names) for name, each in given.items()}
    for name, truths in found.items():
        for index, truth in enumerate(truths):
            (folder / f"{name}.{index}.f64").write_bytes(truth.tobytes())
    low = getattr(torch, TORCH_DTYPES[dtype])
    model = model.float().to(low)  # by way of float32, as everyone's weights
    try:
        theirs = {name: _ran(model, each.to(low), names) for name, each in given.items()}
        pairs = [
            errors(theirs[one][i], found[one][i], found[two][i])
            for one, two in (IMAGES, IMAGES[::-1])
            for i in range(len(names))
        ]
        stage["eager"] = tuple(map(max, zip(*pairs, strict=True)))
    except NotImplementedError:  # torch has some operations in float32 only
        stage["eager"] = None
    (folder / "stage.json").write_text(json.dumps(asdict(Stage(**stage))))


def make_small(folder: Path, dtype: str, onnx: bool) -> None:
    """The folder in the folder: a network that brings each library to load what it needs for any."""
    from archdsl.api import loads

    small = folder / SMALL
    small.mkdir()
    put_network(small, loads(_SMALL))
    make(small, 1, dtype, onnx)


def _onnx(folder: Path, network: Network, model: nn.Module, example: Tensor) -> dict[str, Any]:
    from archdsl.diagnostics import ArchError
    from archdsl.export import to_onnx

    start = time.perf_counter()
    try:
        data, opset = to_onnx(network, model, example)
    except ArchError as error:
        found = error.diagnostics[0]
        return {"onnx_failed": f"no ONNX file: {'; '.join((found.message, *found.notes))}"}
    (folder / "model.onnx").write_bytes(data)
    return {"onnx": f"opset {opset}", "onnx_seconds": time.perf_counter() - start}


def _truth(model: nn.Module, given: Tensor, names: tuple[str, ...]) -> list[array[float]]:
    return _ran(model.double(), given.double(), names)


def _ran(model: nn.Module, given: Tensor, names: tuple[str, ...]) -> list[array[float]]:
    """One image after another, or a few on a GPU, so that a large batch needs no more memory."""
    import torch

    found = [array("d") for _ in names]
    with torch.inference_mode():
        for image in given.split(16 if given.is_cuda else 1):
            outputs = model(image)
            values = [outputs[name] for name in names] if isinstance(outputs, dict) else [outputs]
            for into, value in zip(found, values, strict=True):
                into.extend(value.double().flatten().tolist())
    return found
