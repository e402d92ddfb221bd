"""One subject in a process of its own: `python -m archdsl.bench.worker FOLDER SUBJECT DTYPE THREADS DEVICE`.

It does what it is told, a JSON object a line, and answers with one; between two orders it is stopped by who leads, so that
none of its threads can be in the way of another subject.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import sys
import time
from array import array
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from archdsl import malloc
from archdsl.bench import stage
from archdsl.bench.subjects import SUBJECTS

Call = Callable[[Any], Any]


class Job(NamedTuple):
    folder: Path
    subject: str
    dtype: str
    threads: int
    device: str = "cpu"


class Loaded(NamedTuple):
    """A subject before its preparation: what prepares it, how it takes images, and its outputs as numbers."""

    prepare: Callable[[], Call]
    image: Callable[[str], Any]
    numbers: Callable[[Any], list[array[float]]]


# ---- the subjects ----


def _torch(job: Job) -> Loaded:
    """Everything that starts from the module."""
    import torch

    from archdsl.live import build

    about = stage.stage_in(job.folder)
    low = getattr(torch, stage.TORCH_DTYPES[job.dtype])
    model = build(stage.network_in(job.folder)).eval()
    model.load_state_dict(torch.load(job.folder / "state.pt", weights_only=True))
    ours = SUBJECTS[job.subject].ours
    last = job.subject == "channels_last" or job.device != "cpu" and not ours
    layout = torch.channels_last if last and len(about.shape) == 4 else torch.contiguous_format
    device = torch.device("cuda" if job.device == "cuda" else "cpu")
    model = model.to(device)
    if not ours:  # the engine chooses what it keeps
        model = model.to(dtype=low)
        if layout is torch.channels_last:
            model = model.to(memory_format=layout)
    torch.autograd.grad_mode.set_grad_enabled(False)
    if job.subject in ("eager", "channels_last", "torchscript", "graph"):
        torch.inference_mode().__enter__()
    for parameter in model.parameters():
        parameter.requires_grad_(False)

    def image(name: str) -> Any:
        data = bytearray((job.folder / f"{name}.f32").read_bytes())
        found = torch.frombuffer(data, dtype=torch.float32).reshape(about.shape).to(device, copy=True)
        if not ours:
            found = found.to(low)
        return found.contiguous(memory_format=layout)

    def prepare() -> Call:
        if job.device != "cpu":
            return gpu().prepare(job.subject, model, image("a"), low)
        if ours:
            return _engine(model, image("a"), low, SUBJECTS[job.subject].backend)
        return _PREPARE[job.subject](model, image("a"), low)

    def numbers(outputs: Any) -> list[array[float]]:
        values = [outputs[name] for name in about.outputs] if isinstance(outputs, dict) else [outputs]
        return [array("d", value.double().flatten().tolist()) for value in values]

    return Loaded(prepare, image, numbers)


def _engine(model: Any, example: Any, low: Any, backend: str | None) -> Call:
    optimize: Any = import_module("archdsl").optimize
    engine: Call = optimize(model, example, dtype=low, backend=backend)
    return engine


def _eager(model: Any, example: Any, low: Any) -> Call:
    return model  # type: ignore[no-any-return]


def _torchscript(model: Any, example: Any, low: Any) -> Call:
    import torch

    traced = torch.jit.trace(model, example, strict=False, check_trace=False)
    return torch.jit.optimize_for_inference(torch.jit.freeze(traced))  # type: ignore[no-any-return]


def _compile(model: Any, example: Any, low: Any) -> Call:
    import torch
    import torch._inductor.config as inductor

    inductor.freezing = True
    return torch.compile(model)  # type: ignore[no-any-return]


_PREPARE: dict[str, Callable[[Any, Any, Any], Call]] = {
    "eager": _eager,
    "channels_last": _eager,
    "torchscript": _torchscript,
    "compile": _compile,
}


def _onnxruntime(job: Job) -> Loaded:
    import numpy
    import onnxruntime

    about = stage.stage_in(job.folder)

    def prepare() -> Call:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        session = onnxruntime.InferenceSession(job.folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        names, run = [output.name for output in session.get_outputs()], session.run
        assert sorted(names) == sorted(about.outputs)
        return lambda given: run(about.outputs, given)

    def image(name: str) -> Any:
        return {"x": numpy.fromfile(job.folder / f"{name}.f32", numpy.float32).reshape(about.shape)}

    return Loaded(prepare, image, _numpy_numbers)


def _openvino(job: Job) -> Loaded:
    import numpy
    import openvino

    about = stage.stage_in(job.folder)

    def prepare() -> Call:
        # Left to itself it computes in bf16 wherever the CPU has it, also what was asked for in f32.
        settings = {
            "INFERENCE_PRECISION_HINT": job.dtype,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": job.threads,
        }
        compiled = openvino.Core().compile_model(job.folder / "model.onnx", "CPU", settings)
        infer = compiled.create_infer_request().infer
        return lambda given: infer(given, share_inputs=True, share_outputs=True)

    def image(name: str) -> Any:
        return {"x": numpy.fromfile(job.folder / f"{name}.f32", numpy.float32).reshape(about.shape)}

    def numbers(outputs: Any) -> list[array[float]]:
        return _numpy_numbers([outputs[name] for name in about.outputs])

    return Loaded(prepare, image, numbers)


def _numpy_numbers(outputs: Any) -> list[array[float]]:
    return [array("d", value.astype("float64").ravel().tolist()) for value in outputs]


def _ceiling(job: Job) -> Loaded:
    """No subject: what the machine gives to one matrix product, and to one copy that no cache holds."""
    import torch

    torch.inference_mode().__enter__()
    call = gpu().ceiling(job.device, getattr(torch, stage.TORCH_DTYPES[job.dtype]), *CEILINGS[job.device])
    return Loaded(lambda: call, lambda name: "matmul" if name == "a" else name, lambda _: [])


CEILINGS = {"cpu": (1536, 2**27), "cuda": (8192, 2**31), "dry": (64, 2**16)}
"""By device the side of the matrices, and the bytes of a copy, which no cache holds."""


def gpu() -> Any:
    """What a GPU needs; it loads torch."""
    return import_module("archdsl.bench.gpu")


_LOAD: dict[str, Callable[[Job], Loaded]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "ceiling": _ceiling,
}


# ---- memory, on Linux; elsewhere it is not known ----


def _memory(field: str) -> int | None:
    """Bytes that /proc says this process holds (VmRSS), or held at most (VmHWM)."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _settle() -> None:
    """Give back what is not needed, and let the highest use be counted from here."""
    gc.collect()
    malloc.trim()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def _end_with_parent() -> None:
    """A worker is stopped most of the time: it could not see that nobody is left."""
    try:
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    except (AttributeError, OSError, TypeError):
        pass


def _always(image: Any) -> Callable[[], Any]:
    return lambda: image


# ---- orders ----


class Worker:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.loaded: Loaded | None = None
        self.call: Call | None = None

    def load(self, seed: int = 0) -> dict[str, Any]:
        """Imports what the subject needs, and brings weights and images to memory: what is done before any of it counts.
        seed: of a few blocks of memory that lie in between, as in any program that does more: what malloc makes of a
        network depends on them."""
        sizes = random.Random(seed)
        self.between = [bytes(sizes.randrange(2**15)) for _ in range(32)][::2] if seed else []
        if self.job.subject in _LOAD:
            self.loaded = _LOAD[self.job.subject](self.job)
        else:
            import torch

            torch.set_num_threads(self.job.threads)
            self.loaded = _torch(self.job)
        self.image = self.loaded.image("a")
        return {}

    def baseline(self) -> dict[str, Any]:
        """What the libraries alone hold, once a small network has come and gone: half of what they load is loaded when
        something runs."""
        small = Worker(self.job._replace(folder=self.job.folder / stage.SMALL))
        small.load()
        small.prepare()
        del small
        _settle()
        return {"bytes": _memory("VmRSS")}

    def prepare(self) -> dict[str, Any]:
        """To the first answer."""
        assert self.loaded is not None
        _settle()
        start = time.perf_counter()
        self.call = self.loaded.prepare()
        self.call(self.image)
        self._done()
        seconds = time.perf_counter() - start
        for _ in range(2):  # some settle only after they have seen a few
            self.call(self.image)
        peak = self._held("VmHWM")
        # Whoever needs the module still holds it.
        self.loaded = self.loaded._replace(prepare=lambda: self.call)  # type: ignore[arg-type, return-value]
        _settle()
        return {"seconds": seconds, "bytes": peak, "backend": getattr(self.call, "backend", None)}

    def answer(self, image: str, to: str) -> dict[str, Any]:
        """Write the outputs for an image as files."""
        assert self.loaded is not None and self.call is not None
        outputs = self.loaded.numbers(self.call(self.image if image == "a" else self.loaded.image(image)))
        for index, values in enumerate(outputs):
            Path(f"{to}.{index}").write_bytes(values.tobytes())
        return {"outputs": len(outputs)}

    def time(self, seconds: float, image: str = "a") -> dict[str, Any]:
        """Nanoseconds of calls that take about so long together, after some that are not counted: what ran before in
        another process has taken the caches."""
        assert self.loaded is not None and self.call is not None
        call, clock, done = self.call, time.perf_counter_ns, self._done
        chosen = self.image if image == "a" else self.loaded.image(image)
        given = (gpu().in_turn if self.job.device != "cpu" else _always)(chosen)
        until = clock() + int(seconds * 0.3e9)
        call(given())
        while clock() < until:
            call(given())
            done()
        found: list[int] = []
        left = int(seconds * 1e9)
        gc.disable()
        while left > 0:
            x = given()
            start = clock()
            call(x)
            done()
            found.append(clock() - start)
            left -= found[-1]
        gc.enable()
        return {"ns": found}

    def memory(self) -> dict[str, Any]:
        return {"bytes": self._held("VmHWM")}

    def settle(self) -> dict[str, Any]:
        _settle()
        if self.job.device == "cuda":
            gpu().settle()
        return {}

    def _done(self) -> None:
        if self.job.device == "cuda":
            gpu().done(self.job.device)

    def _held(self, field: str) -> int | None:
        """Of the GPU's memory, or of the process's."""
        return gpu().memory() if self.job.device == "cuda" else _memory(field)


def serve(worker: Any, orders: TextIO, replies: TextIO) -> None:
    for line in orders:
        order = json.loads(line)
        try:
            reply = {"ok": True, **getattr(worker, order.pop("do"))(**order)}
        except Exception as error:
            if os.environ.get("ARCHDSL_DEBUG") == "1":
                import traceback

                traceback.print_exc()
            reply = {"ok": False, "error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main(arguments: list[str]) -> None:
    import warnings

    _end_with_parent()
    # What a library prints must not be taken for a reply.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    folder, subject, dtype, threads, device = arguments
    if subject == "stage":
        import torch

        torch.set_num_threads(int(threads))
        serve(_Stage(Path(folder), dtype, device), sys.stdin, replies)
        return
    serve(Worker(Job(Path(folder), subject, dtype, int(threads), device)), sys.stdin, replies)


class _Stage(NamedTuple):
    folder: Path
    dtype: str
    device: str

    def make(self, batch: int, onnx: bool) -> dict[str, Any]:
        if self.device == "cpu":
            stage.make_small(self.folder, self.dtype, onnx)
        stage.make(self.folder, batch, self.dtype, onnx, self.device)
        return {}


if __name__ == "__main__":
    main(sys.argv[1:])
