"""Who is measured, what each needs, and what it can't do."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

OURS = "archdsl"
CEILING = "ceiling"
"""Measured beside the subjects and none of them: one matrix product, and one copy."""

EXTRA = "pip install archdsl[bench]"
DTYPES = ("f32", "bf16")
DEVICES = ("cpu", "cuda")


class Subject(NamedTuple):
    """packages: what must be installed. onnx: whether it reads the network's ONNX file, for which an exporter is needed.
    devices: where it runs; on a GPU the module is in channels_last. backend: of an engine of ours, the one that is
    asked for."""

    name: str
    packages: tuple[str, ...]
    says: str
    onnx: bool = False
    dtypes: tuple[str, ...] = DTYPES
    devices: tuple[str, ...] = ("cpu",)
    backend: str | None = None

    @property
    def ours(self) -> bool:
        """Whether it is an engine of ours, which is nobody's peer."""
        return self.name == OURS or self.backend is not None

    @property
    def of_torch(self) -> bool:
        """Whether whoever has torch has it too."""
        return self.packages == ("torch",) and not self.ours


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject(OURS, ("torch",), "archdsl.optimize(model, example)", devices=DEVICES),
        *(
            Subject(f"{OURS}-{name}", packages, f"the same with backend={name!r}", backend=name)
            for name, packages in (("onednn", ("torch",)), ("openvino", ("torch", "openvino")))
        ),
        Subject("eager", ("torch",), "the module as it is", devices=DEVICES),
        Subject("channels_last", ("torch",), "the module and the image in channels_last"),
        Subject("torchscript", ("torch",), "jit.trace, freeze, optimize_for_inference"),
        Subject("compile", ("torch",), "torch.compile; on a CPU with freezing", devices=DEVICES),
        Subject("graph", ("torch",), "the module in a CUDA graph", devices=("cuda",)),
        Subject("max-autotune", ("torch",), "torch.compile, max-autotune, with freezing", devices=("cuda",)),
        Subject("onnxruntime", ("onnxruntime",), "the ONNX file, all optimizations", onnx=True, dtypes=("f32",)),
        Subject("openvino", ("openvino",), "the ONNX file, latency hint", onnx=True),
    )
}
PEERS = tuple(name for name, subject in SUBJECTS.items() if not subject.ours)
BACKENDS = tuple(name for name, subject in SUBJECTS.items() if subject.backend)
"""Each backend of the engine, beside the engine that chooses."""


def peers(device: str) -> tuple[str, ...]:
    """Of a device."""
    return tuple(name for name in PEERS if kind(device) in SUBJECTS[name].devices)


def all_others(device: str = "cpu") -> tuple[str, ...]:
    """Who is measured beside the engine unless it is said: its backends, if there is a choice, and all peers."""
    return (*BACKENDS, *peers(device)) if device == "cpu" and find_spec("openvino") else peers(device)


def kind(device: str) -> str:
    """"cpu" or "cuda", which "dry" plays."""
    return "cpu" if device == "cpu" else "cuda"


def hindrance(subject: Subject, dtype: str, device: str = "cpu") -> tuple[str, str] | None:
    """Why a subject can't be measured: ("missing" or "unavailable", a sentence)."""
    if kind(device) not in subject.devices:
        return "unavailable", f"does not run on {'a CPU' if device == 'cpu' else 'a GPU'}"
    if dtype not in subject.dtypes:
        return "unavailable", f"computes no {dtype} on a CPU"
    wanted = (*subject.packages, "onnx", "onnxscript") if subject.onnx else subject.packages
    for package in wanted:
        if find_spec(package) is None:
            what = "not installed" if package in subject.packages else f"needs {package}, which is not installed"
            return "missing", f"{what}: {'pip install torch' if package == 'torch' else EXTRA}"
    if subject.ours and not engine_exists():
        return "missing", "this archdsl has no engine"
    return None


def engine_exists() -> bool:
    """Whether `archdsl.optimize` does, without loading it: it loads torch."""
    return "optimize" in dir(import_module("archdsl"))


def version_of(package: str) -> str | None:
    """Of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
