"""Networks as ONNX and PT2 files. The file is compared with the module before anyone gets it.

What is compared is the file's own bytes, read back and run. How large a difference may be is measured against how much
the output changes from image to image: agreement in what all images have in common would show nothing.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from archdsl.balance import balance, images
from archdsl.diagnostics import ArchError, refusal
from archdsl.live import build, need_torch
from archdsl.network import Network
from archdsl.ops.base import written
from archdsl.symbolic import known

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archdsl.weights.report import Report

FORMATS = ("onnx", "pt2")
NEEDS = {"onnx": ("onnx", "onnxscript"), "pt2": ()}
LARGEST = 2**31 - 2**22
"""Bytes that one protobuf message can hold, with room for what is not weights."""

SEES = 30
"""How many times torch's own error the output must change from image to image, for a comparison to mean anything."""

Outputs = dict[str, "Tensor"]
Run = Callable[["Tensor"], Outputs]


class Exported(NamedTuple):
    """A checked file, and what is to be said of it. weights: how they were loaded, if any were."""

    data: bytes
    says: tuple[str, ...]
    weights: Report | None


class Agreement(NamedTuple):
    """Errors against float64, as shares of how much the output changes from image to image."""

    error: float
    of_torch: float

    @property
    def sees(self) -> bool:
        return self.of_torch * SEES < 1

    @property
    def holds(self) -> bool:
        # Not `<=` of a NaN.
        return self.error <= max(10 * self.of_torch, 1e-5)


def export(network: Network, to: str, *, weights: str | None = None, batch: int | None = 1) -> Exported:
    """The network as a file of format `to`, compared with the module on random images.

    weights: a file for `archdsl.load_weights`; without one they are random. batch: images at once; None: any number.

    Raises ArchError: A401 where a package is missing, A409 where the network has no such form, A410 where the file does not
    give what the module gives, or could not be run; A6xx for the weights. ValueError for an input of open size.
    """
    need_torch()
    for package in NEEDS[to]:
        if find_spec(package) is None:
            raise refusal("A401", f"{package} is not installed, and --to {to} needs it", "pip install archdsl[export]")
    if not all(map(known, network.input)):
        raise ValueError(f"the input {written(network.input)} leaves sizes open")
    if to == "onnx" and 4 * int(network.params) > LARGEST:
        raise refusal("A409", "an ONNX file can hold 2 GiB, and the weights are more", "--to pt2 has no such limit")
    model, report = _model(network, weights)
    data, check, says = _made(network, model, to, batch)
    agreement = seen = _compared(network, model, check, batch)
    if not agreement.sees and weights is not None:  # as with weights that were never trained
        other, _ = _model(network, None)
        seen = _compared(network, other, _made(network, other, to, batch)[1], batch)
    for found in (agreement, seen):
        if not found.holds:
            raise refusal(
                "A410",
                f"the {to} file does not give what the module gives: it is off by {found.error:.1e} of the output's "
                f"change from image to image, torch by {found.of_torch:.1e}",
                _REPORT,
            )
    if not seen.sees:
        raise refusal("A410", "the output hardly depends on the image, so that no comparison can show anything", _REPORT)
    words = f"checked with {check.by}: error {seen.error:.1e}, torch's own {seen.of_torch:.1e}"
    also = () if agreement.sees else ("checked with random weights: with these the output hardly depends on the image",)
    return Exported(data, (says, words, *also), report)


def _model(network: Network, weights: str | None) -> tuple[nn.Module, Report | None]:
    import torch

    from archdsl.weights.load import load_weights

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = build(network).eval()
    if weights is not None:
        return model, load_weights(model, weights)
    balance(network, model)
    return model, None


# ---- the files ----


class _Check(NamedTuple):
    """How the file is run again, and with what."""

    run: Run
    by: str


def _made(network: Network, model: nn.Module, to: str, batch: int | None) -> tuple[bytes, _Check, str]:
    """The file, a way to run it, and what is in it."""
    # A size of 1 is taken as a constant, so that an open one is shown as 2.
    example = images(network, batch or 2, seed=0)
    if to == "onnx":
        data, opset = to_onnx(network, model, example, any_batch=batch is None)
        return data, _onnx_runner(data), f"ONNX opset {opset}, {_signature(network, batch)}"
    data = _to_pt2(network, model, example, batch is None)
    return data, _pt2_runner(network, data), f"PT2, {_signature(network, batch)}"


def _signature(network: Network, batch: int | None) -> str:
    many = "batch" if batch is None else str(batch)
    outputs = ", ".join(f"{o.name} {many}x{written(network.nodes[o.node].shape)}" for o in _outputs(network))
    return f"x {many}x{written(network.input)} -> {outputs}"


def _outputs(network: Network) -> list[Any]:
    return [output for output in network.outputs if not output.aux]


def _named(network: Network, given: Any) -> Outputs:
    names = [output.name for output in _outputs(network)]
    if isinstance(given, Mapping):
        return {name: given[name] for name in names}
    return {names[0]: given}


def to_onnx(network: Network, model: nn.Module, example: Tensor, any_batch: bool = False) -> tuple[bytes, int]:
    """The model as an ONNX file and the number of its opset, not yet compared with anything. Raises ArchError (A409)."""
    import torch

    program = _program(model, example, any_batch)
    names = [output.name for output in _outputs(network)]
    with _quiet(), _refusing("ONNX"):
        made = torch.onnx.export(program, input_names=["x"], output_names=names, dynamo=True, verbose=False)
        assert made is not None
        made.model.producer_name = "archdsl"
        made.model.producer_version = version("archdsl")
        made.model.metadata_props.update(_about(network))
        opset = made.model.opset_imports.get("", 0)
        data: bytes = made.model_proto.SerializeToString()
    return data, opset


def _to_pt2(network: Network, model: nn.Module, example: Tensor, any_batch: bool) -> bytes:
    import torch

    program = _program(model, example, any_batch)
    file = BytesIO()
    with _quiet(), _refusing("PT2"):
        torch.export.save(program, file, extra_files={_ABOUT: json.dumps(_about(network))})
    return file.getvalue()


def _program(model: nn.Module, example: Tensor, any_batch: bool) -> Any:
    import torch

    # By place: the argument is not called x where the network is one nn.Sequential.
    dynamic = ({0: torch.export.Dim("batch")},) if any_batch else None
    with _quiet(), _refusing("torch.export"), torch.no_grad():
        return torch.export.export(model, (example,), dynamic_shapes=dynamic)


_ABOUT = "archdsl.json"


def _about(network: Network) -> dict[str, str]:
    return {"archdsl.network": network.name, "archdsl.hash": network.hash}


def is_ours(path: str) -> bool:
    """Whether a file is one that `export` made."""
    try:
        with open(path, "rb") as file:
            if b"\x12\x07archdsl" in file.read(32):
                return True
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(f"/{_ABOUT}") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


# ---- the comparison ----


def _pt2_runner(network: Network, data: bytes) -> _Check:
    import torch

    with _quiet(), _refusing("torch.export.load", "A410"):
        module = torch.export.load(BytesIO(data)).module()
    return _Check(lambda given: _named(network, module(given)), f"torch {torch.__version__}")


def _onnx_runner(data: bytes) -> _Check:
    """A way to run the file: ONNX Runtime's, or where that is missing the slow one that comes with the package onnx."""
    import onnx

    with _refusing("onnx.checker", "A410"):
        onnx.checker.check_model(data)
    if find_spec("onnxruntime") is not None:
        session, by = _session(data)
        names, run = [output.name for output in session.get_outputs()], session.run
    else:
        from onnx.reference import ReferenceEvaluator

        by = f"the reference evaluator of onnx {onnx.__version__}"
        with _refusing(by, "A410"):
            evaluator = ReferenceEvaluator(onnx.load_from_string(data))
        names, run = list(evaluator.output_names), evaluator.run

    def outputs(given: Tensor) -> Outputs:
        import torch

        values: Sequence[Any] = run(None, {"x": given.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}

    return _Check(outputs, by)


def _session(data: bytes) -> tuple[Any, str]:
    """ONNX Runtime's, and its name. Its optimizer turns a few right files into ones that it then refuses itself, as where
    a pad wider than a pool's window stands before the pool: those it runs as they are."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    by = f"onnxruntime {onnxruntime.__version__}"
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]), by
    except Exception:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        with _refusing(by, "A410"):
            session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return session, f"{by} without its optimizations, with which it refuses the file"


def _compared(network: Network, model: nn.Module, check: _Check, batch: int | None) -> Agreement:
    """The largest error of any output, on several images."""
    import torch

    # Batches that the exporter was not shown.
    sizes = (1, 3) if batch is None else (batch, batch)
    given = [images(network, size, seed) for seed, size in enumerate(sizes, start=1)]
    with torch.no_grad():
        theirs = [_ran(check, each) for each in given]
        ours = [_named(network, model(each)) for each in given]
        model.double()
        truth = [_named(network, model(each.double())) for each in given]
        model.float()
    worst = [0.0, 0.0]
    for output in _outputs(network):
        name = output.name
        change = (truth[0][name][0] - truth[1][name][0]).abs().max()
        for index, found in enumerate((theirs, ours)):
            for value, true in zip(found, truth, strict=True):
                if name not in value or value[name].shape != true[name].shape:
                    raise refusal("A410", f"the output {name} of the file is missing or has another shape", _REPORT)
                error = ((value[name].double() - true[name]).abs().max() / change).item()
                # Neither what is not a number nor a change of nothing is agreement.
                worst[index] = max(worst[index], error) if error == error else float("inf")
    return Agreement(*worst)


def _ran(check: _Check, given: Tensor) -> Outputs:
    with _quiet(), _refusing(f"run by {check.by}", "A410"):
        return check.run(given)


# ---- what goes wrong ----

_REPORT = "nothing was written; please report the spec"


@contextmanager
def _refusing(what: str, code: str = "A409") -> Iterator[None]:
    """Whatever torch or a runtime raises, as one error that names it."""
    try:
        yield
    except ArchError:
        raise
    except Exception as error:
        if os.environ.get("ARCHDSL_DEBUG") == "1":
            raise
        cause = error.__cause__ or error
        words = " ".join(f"{type(cause).__name__}: {cause}".split())[:300]
        message = f"{what} refuses this network" if code == "A409" else f"the file could not be checked: {what}"
        hint = "a fixed --batch and a current torch may help" if code == "A409" else _REPORT
        raise refusal(code, message, hint, (words,)) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks that exporters make on themselves."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
