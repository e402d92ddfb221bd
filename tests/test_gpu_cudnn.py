"""cuDNN's graphs as one more way to run a convolution: what is asked of the package, on a stand-in for it that
computes with torch; and that the package itself, where it is installed, takes what it is asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from drawing import one_thread
from driving import complaints, made
from fusing import Sample
from test_gpu_choice import CPU, problems

import archdsl
from archdsl.engine.gpu import book, cudnn_side, hand, tune
from archdsl.engine.gpu.book import Book
from archdsl.engine.gpu.choose import EXPECTED, Chooser
from archdsl.engine.gpu.problem import Problem
from archdsl.passes import PASSES, fused

TYPES = SimpleNamespace(FLOAT=torch.float32, BFLOAT16=torch.bfloat16, HALF=torch.float16)


class NotSupported(Exception):
    pass


class End:
    """A tensor of a graph, and how it is computed of those that are given."""

    def __init__(self, compute: Callable[[dict[Any, Any]], torch.Tensor] | None = None, **said: Any) -> None:
        self.said, self.compute = said, compute
        self.is_output = False

    def value(self, given: dict[Any, Any]) -> torch.Tensor:
        if self.compute is not None:
            return self.compute(given)
        x = given[self]
        assert (list(x.shape), list(x.stride()), x.dtype) == tuple(
            self.said[k] for k in ("dim", "stride", "type")
        )
        return x.float()

    def set_output(self, is_output: bool) -> End:
        self.is_output = is_output
        return self

    def _told(self, name: str, what: Any) -> End:
        self.said[name] = what
        return self

    def set_data_type(self, kind: Any) -> End:
        return self._told("type", kind)

    def set_dim(self, dim: list[int]) -> End:
        return self._told("dim", dim)

    def set_stride(self, stride: list[int]) -> End:
        return self._told("stride", stride)


class Graph:
    """In the order that the package wants to be called in."""

    def __init__(
        self,
        cudnn: Any,
        *,
        io_data_type: Any,
        intermediate_data_type: Any,
        compute_data_type: Any,
        handle: Any,
    ):
        assert (intermediate_data_type, compute_data_type) == (torch.float32, torch.float32)
        assert handle == "handle"
        self.cudnn, self.io, self.state, self.ops = cudnn, io_data_type, "new", list[str]()
        self.ends: list[End] = []
        self.built: set[int] = set()
        cudnn.graphs.append(self)

    def tensor(self, *, name: str, dim: list[int], stride: list[int], data_type: Any) -> End:
        return End(dim=dim, stride=stride, type=data_type, name=name)

    def _op(self, name: str, compute: Callable[[dict[Any, Any]], torch.Tensor]) -> End:
        self.ops.append(name)
        self.ends.append(End(compute))
        return self.ends[-1]

    def conv_fprop(
        self, *, image: End, weight: End, pre_padding: Any, post_padding: Any, stride: Any, dilation: Any
    ) -> End:
        (top, left), (bottom, right) = pre_padding, post_padding

        def compute(given: dict[Any, Any]) -> torch.Tensor:
            x = torch.nn.functional.pad(image.value(given), (left, right, top, bottom))
            return torch.conv2d(x, weight.value(given), None, stride, 0, dilation)

        return self._op("conv", compute)

    def bias(self, *, input: End, bias: End) -> End:
        return self._op("bias", lambda given: input.value(given) + bias.value(given))

    def add(self, *, a: End, b: End) -> End:
        return self._op("add", lambda given: a.value(given) + b.value(given))

    def relu(self, *, input: End, lower_clip: float = 0.0, upper_clip: float = float("inf")) -> End:
        assert (lower_clip, upper_clip) in ((0.0, 6.0), (0.0, float("inf")))
        return self._op("relu", lambda given: input.value(given).clamp(lower_clip, upper_clip))

    def swish(self, *, input: End) -> End:
        return self._op("swish", lambda given: torch.nn.functional.silu(input.value(given)))

    def gelu(self, *, input: End) -> End:
        return self._op("gelu", lambda given: torch.nn.functional.gelu(input.value(given)))

    def sigmoid(self, *, input: End) -> End:
        return self._op("sigmoid", lambda given: input.value(given).sigmoid())

    def tanh(self, *, input: End) -> End:
        return self._op("tanh", lambda given: input.value(given).tanh())

    def _step(self, before: str, after: str) -> None:
        assert self.state == before
        self.state = after

    def validate(self) -> None:
        self._step("new", "valid")
        assert [end.is_output for end in self.ends] == [False] * (len(self.ends) - 1) + [True]

    def build_operation_graph(self) -> None:
        self._step("valid", "operations")
        if self.cudnn.refuses:
            raise NotSupported("no engine")

    def create_execution_plans(self, modes: list[Any]) -> None:
        assert modes == ["A", "FALLBACK"]
        self._step("operations", "planned")

    def get_execution_plan_count(self) -> int:
        assert self.state == "planned"
        return self.cudnn.plans  # type: ignore[no-any-return]

    def build_plan_at_index(self, index: int) -> None:
        if index in self.cudnn.bad:
            raise NotSupported(f"plan {index}")
        self.built.add(index)

    def get_workspace_size_plan_at_index(self, index: int) -> int:
        assert index in self.built
        return self.cudnn.workspace  # type: ignore[no-any-return]

    def execute_plan_at_index(
        self, given: dict[Any, Any], workspace: torch.Tensor, index: int, *, handle: Any
    ) -> None:
        assert index in self.built and handle == "handle"
        assert workspace.dtype == torch.uint8 and workspace.numel() >= self.cudnn.workspace
        workspace.fill_(255)
        last = self.ends[-1]
        out = given[last]
        assert (list(out.shape), list(out.stride()), out.dtype) == tuple(
            last.said[k] for k in ("dim", "stride", "type")
        )
        value = last.value(given) * self.cudnn.gain
        out.copy_(value)


class Cudnn(SimpleNamespace):
    """The package: refuses, wrong, few plans, or right."""

    def __init__(self, **how: Any) -> None:
        told = {"plans": 8, "bad": set(), "workspace": 0, "refuses": False, "gain": 1.0} | how
        super().__init__(
            __version__="1.28.0", graphs=[], data_type=TYPES, cudnnGraphNotSupportedError=NotSupported,
            heur_mode=SimpleNamespace(A="A", FALLBACK="FALLBACK"), create_handle=lambda: "handle",
            backend_version=lambda: 92800, **told,
        )  # fmt: skip

    def pygraph(self, **told: Any) -> Graph:
        return Graph(self, **told)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Cudnn]]:
    def install(**how: Any) -> Cudnn:
        found = Cudnn(**how)
        monkeypatch.setattr(cudnn_side, "frontend", lambda: found)
        cudnn_side._handle.cache_clear()
        return found

    yield install
    cudnn_side._handle.cache_clear()


def chooser(known: Book | None = None) -> Chooser:
    wanted = frozenset({"cudnn", "torch"})
    there = cudnn_side.package()
    return Chooser(lambda problem: hand.candidates(wanted, problem), known or Book("here", package=there))


# ---- what is asked of the package ----

BEFORE = "conv3-8; concat [ identity | conv1-8 ]; conv1-8; relu; "
"""Which no kernel takes together with what follows."""
FORMS = {
    "conv3-16; relu": ["conv", "bias", "relu"],
    "conv3-16(bias=false)": ["conv"],
    "conv3-16/2; relu6": ["conv", "bias", "relu"],
    "conv5-24(p=1, dilation=2); silu": ["conv", "bias", "swish"],
    "conv3x1-7; gelu": ["conv", "bias", "gelu"],
    "conv1-16; sigmoid": ["conv", "bias", "sigmoid"],
    "conv2-16/2(p=same); tanh": ["conv", "bias", "tanh"],
    "residual { conv3-8; relu }": ["conv", "bias", "relu", "add"],
    "residual { conv1-8 }; relu": ["conv", "bias", "add", "relu"],
}


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_a_graph_says_the_layer(text: str, dtype: str, installed: Callable[..., Cudnn]) -> None:
    """By what the stand-in computes of it, all plans, with the residual in a place of its own and in the
    output's."""
    fake = installed(workspace=1000)
    problem = problems(BEFORE + text, "3x9x7", dtype=dtype)[-1]
    found = cudnn_side.graphs(problem)
    assert [c.label for c in found] == ["cudnn:graph", "cudnn:graph:plan 1", "cudnn:graph:plan 2"]
    assert sorted(found, key=lambda c: c.seconds) == list(found)
    assert all(c.package == "cudnn-frontend 1.28.0, cudnn 92800" and c.launches == 1 for c in found)
    bench = tune.Bench(problem, CPU, sets=1)
    choose = Chooser(lambda _: found, Book("here"))
    for candidate in found:
        choose.put(problem, candidate.label, 1e-6, 0.0)
        error, says = bench.wrong(choose.choose(problem))
        assert not says and error > 0
    assert all(
        graph.ops == FORMS[text] and graph.io == bench.sets[0].outputs[0].dtype for graph in fake.graphs
    )
    assert len(fake.graphs) == 1  # for all plans, in place and not


def test_slices_are_read_and_written_in_place(installed: Callable[..., Cudnn]) -> None:
    """The strides of a concat's parts, and of images with a fourth channel of zeros, are told."""
    fake = installed()
    first, second, *_ = found = problems("conv3-8; concat [ conv3-16; relu | conv1-16; conv3-8 ]", "3x8x8")
    assert second.out.row == 24 and first.inputs[0].row == 4
    for problem in found[:2]:
        bench = tune.Bench(problem, CPU, sets=1)
        choose = Chooser(cudnn_side.graphs, Book("here"))
        assert bench.wrong(choose.choose(problem))[1] == ""
    stem, branch = fake.graphs
    assert stem.ends[-1].said["stride"] == [8 * 8 * 8, 1, 8 * 8, 8]
    assert branch.ends[-1].said["stride"] == [8 * 8 * 24, 1, 8 * 24, 24]


def test_a_network_runs_on_graphs(installed: Callable[..., Cudnn]) -> None:
    """On one arena, sums in their residuals' places; equal layers share a graph."""
    fake = installed()
    text = "conv3-8; relu; residual { conv3-8; relu; conv3-8 }; relu; conv3-16/2; relu; conv1-8; gap; fc-5"
    sample = Sample(archdsl.loads(text, input="3x12x12"))
    program = made(
        fused(sample.network, [each for each in PASSES if each.name != "fold"]), sample, "bf16", chooser()
    )
    assert complaints(program, sample) == []
    hows = [leaf.how for each in program.launches for leaf in each.choice.leaves]
    assert hows.count("cudnn:graph") >= 4 > len(hows) - hows.count("cudnn:graph")
    convolutions = {
        leaf.problem.key for r in program.launches for leaf in r.choice.leaves if leaf.how == "cudnn:graph"
    }
    assert len(fake.graphs) == len(convolutions)


def test_what_no_graph_is_made_for(installed: Callable[..., Cudnn]) -> None:
    """Groups, float32, other layers, several of them, activations that cuDNN has not, slices off 16 bytes."""
    installed()
    assert cudnn_side.graphs(problems("conv3-8; conv3-8; relu")[1])
    for text in (
        "conv3-8(groups=2)", "dwconv3", "maxpool2", "fc-10", "conv3-8; hswish", "conv3-8; relu; maxpool2",
        "concat [ conv3-4 | conv3-8 ]",
    ):  # fmt: skip
        for problem in problems("conv3-8; " + text)[1:]:
            assert cudnn_side.graphs(problem) == (), problem.key
    assert cudnn_side.graphs(problems("conv3-8; conv3-8; relu", dtype="f32")[1]) == ()


# ---- what it refuses ----


def refusals(problem: Problem) -> dict[str, str]:
    return {t.label: t.says for t in tune.tune(problem, chooser(), CPU) if t.says}


def test_the_engine_does_without_a_graph_that_is_not_supported(installed: Callable[..., Cudnn]) -> None:
    installed()
    problem = problems("conv3-8; conv3-8; relu")[1]
    assert chooser().choose(problem).how == "cudnn:graph"  # should be the fastest
    for how, said in (
        ({"refuses": True}, "NotSupported: no engine"),
        ({"gain": 1.5}, "error 5.0e-01 is more than"),
        ({"plans": 0}, "cuDNN has 0 plans for this, none is number 0"),
        ({"workspace": 2**30}, "takes 1073741824 bytes"),
    ):
        installed(**how)
        found = {label: says for label, says in refusals(problem).items() if label.startswith("cudnn:graph")}
        assert len(found) == 3 and said in found["cudnn:graph"]
        choose = chooser()
        tune.prove([problem], choose, CPU)
        assert choose.choose(problem).how == "cudnn:conv + pointwise", how
    installed(bad={0})
    choose = chooser()
    tune.prove([problem], choose, CPU)
    assert choose.choose(problem).how == "cudnn:graph:plan 1"
    installed(plans=1)
    assert set(refusals(problem)) == {"cudnn:graph:plan 1", "cudnn:graph:plan 2"}


def test_a_graph_that_fails_in_the_residual_s_place_is_wrong(
    installed: Callable[..., Cudnn], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a plan may let the sum take it."""
    installed()

    def first_clears(self: Graph, given: dict[Any, Any], *rest: Any, **more: Any) -> None:
        kept = {end: x.clone() if end is not self.ends[-1] else x for end, x in given.items()}
        given[self.ends[-1]].zero_()
        inside = {end for end, x in given.items() if x.data_ptr() == given[self.ends[-1]].data_ptr()}
        run(self, {end: given[end] if end in inside else x for end, x in kept.items()}, *rest, **more)

    run = Graph.execute_plan_at_index
    monkeypatch.setattr(Graph, "execute_plan_at_index", first_clears)
    alone, added = problems("conv3-8; relu; residual { conv3-8 }; relu")
    assert refusals(alone) == {}
    assert {label for label, says in refusals(added).items() if "is more than" in says} == {
        "cudnn:graph", "cudnn:graph:plan 1", "cudnn:graph:plan 2",
    }  # fmt: skip


# ---- what is remembered ----


def test_a_measurement_says_which_package_was_there(
    installed: Callable[..., Cudnn], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """With the package its graph runs; without it, or with another version, the fastest of the others, and the
    tuner asks again only where there is more to ask."""
    installed()
    problem = problems("conv3-8; conv3-8; relu")[1]
    choose = chooser()
    times = iter([1e-6, 2e-6, 3e-6, 4e-6, 5e-6, 6e-6])
    monkeypatch.setattr(tune.Bench, "seconds", lambda self, choice: (next(times), 0.0))
    found = tune.tune(problem, choose, CPU, tried=4)
    assert found[0].label == "cudnn:graph" and choose.measured(problem)
    plain = next(t for t in found if not t.package)
    book.save(choose.book, tmp_path / "gpu.jsonl")

    def known(package: str) -> Chooser:
        return chooser(book.load("here", [tmp_path / "gpu.jsonl"], package))

    again = known(cudnn_side.package())
    assert (again.choose(problem).how, again.choose(problem).measured) == ("cudnn:graph", True)
    assert again.choose(problem).seconds == 1e-6 and again.measured(problem)
    newer = known("cudnn-frontend 2.0.0, cudnn 92800")
    assert newer.choose(problem).how == plain.label and not newer.measured(problem)
    monkeypatch.setattr(cudnn_side, "frontend", lambda: None)
    without = known("")
    assert (without.choose(problem).how, without.choose(problem).seconds) == (plain.label, plain.seconds)
    assert without.choose(problem).measured and without.measured(problem)
    assert cudnn_side.graphs(problem) == () and chooser().choose(problem).why == EXPECTED


# ---- the package itself ----


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    """Where there is no GPU, not even the package is."""
    code = (
        "import sys, torch, archdsl, archdsl.engine.gpu.backend\n"
        "from archdsl.engine.gpu import cudnn_side\n"
        "print('cudnn' in sys.modules, torch.cuda.is_initialized())\n"
        "torch.cuda.is_available = lambda: False\n"
        "print(repr(cudnn_side.package()), 'cudnn' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.split("\n")[:2] == ["False False", "'' False"]


@pytest.mark.parametrize("broken", ["ImportError", "RuntimeError", "no graphs"])
def test_a_package_that_does_not_work_is_not_there(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Any:
        if broken == "ImportError":
            raise ImportError(name)
        if broken == "no graphs":
            return SimpleNamespace(backend_version=lambda: 1)

        def fails() -> int:
            raise RuntimeError("libcudnn.so.9 is not there")

        return SimpleNamespace(backend_version=fails)

    monkeypatch.setattr(cudnn_side, "import_module", find)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert cudnn_side.frontend.__wrapped__() is None


@pytest.mark.parametrize("text", FORMS)
def test_the_package_takes_what_it_is_asked(text: str) -> None:
    """As far as it goes without a GPU: every name and argument; cuDNN's own checks where its library is."""
    cudnn: Any = pytest.importorskip("cudnn")
    assert issubclass(cudnn.cudnnGraphNotSupportedError, Exception)
    assert {"A", "FALLBACK"} <= set(dir(cudnn.heur_mode))
    assert callable(cudnn.set_stream) and callable(cudnn.create_handle) and callable(cudnn.backend_version)
    later = ("build_operation_graph", "create_execution_plans", "get_execution_plan_count", "build_plan_at_index",
             "get_workspace_size_plan_at_index", "execute_plan_at_index")  # fmt: skip
    assert all(callable(getattr(cudnn.pygraph, name)) for name in later)
    problem = problems(BEFORE + text, "3x9x7")[-1]
    form = cudnn_side.form_of(problem)
    assert form is not None
    tensors = cudnn_side._tensors(form, tune.Bench(problem, CPU, sets=1).sets[0])
    handle = cudnn.Handle(1, 0, 0) if hasattr(cudnn, "Handle") else 1
    graph, ends = cudnn_side.graph_of(cudnn, handle, form, tensors)
    assert [end is None for end in ends] == [x is None for x in tensors]
    try:
        graph.validate()
    except RuntimeError as error:
        assert "cudnnGetVersion" in str(error)  # the package found no library
