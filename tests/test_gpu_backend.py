"""`archdsl.optimize` for a GPU as far as a CPU can tell: what the backend makes and keeps, and that nothing of it is
loaded before a GPU is asked for. torch's own operators run the launches here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from drawing import one_thread
from fusing import Sample
from test_engine import wrong_in_threads

import archdsl
from archdsl.engine.backend import Given
from archdsl.engine.gpu import book, tune
from archdsl.engine.gpu.backend import Gpu, known_book, machine_of
from archdsl.engine.gpu.choose import EXPECTED

CPU = torch.device("cpu")
TEXT = "conv3-8(norm=bn, act=relu); residual { conv3-8; relu; conv1-8 }; relu; gap; fc-5"


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def sample() -> Sample:
    return Sample(archdsl.loads(TEXT, input="3x12x12"))


def made(sample: Sample, came: torch.dtype = torch.float32, **more: object) -> Gpu:
    state = {
        name: value.float() if value.is_floating_point() else value for name, value in sample.state.items()
    }
    given = Given(sample.network, state, torch.float32, sample.x.to(came))
    return Gpu(given, backends=frozenset({"torch", "cudnn"}), **more)  # type: ignore[arg-type]


def test_outputs_are_copies_of_the_images_dtype(sample: Sample) -> None:
    backend = made(sample, torch.float16)
    ready = backend.ready(backend.fused, 2)
    (first,) = ready.run(sample.x.half())
    kept = first.clone()
    (second,) = ready.run(torch.zeros_like(sample.x, dtype=torch.float16))
    assert first.dtype == torch.float16 and torch.equal(first, kept) and not torch.equal(first, second)
    assert torch.allclose(first.double(), sample.outputs["out"], rtol=2e-2, atol=2e-2)


def test_weights_are_those_it_was_made_with(sample: Sample) -> None:
    """Also for sizes that come later."""
    given = Given(sample.network, sample.state, torch.float32, sample.x.float())
    backend = Gpu(given, backends=frozenset({"torch"}))
    wanted = backend.ready(backend.fused, 2).run(sample.x)[0]
    backend.weights.kept.clear()
    with torch.no_grad():
        for value in sample.state.values():
            value.zero_()
    assert torch.equal(backend.ready(backend.fused, 2).run(sample.x)[0], wanted)


def test_threads_take_turns(sample: Sample) -> None:
    backend = made(sample)
    ready = backend.ready(backend.fused, 2)
    images = [sample.x.float() * (1 + k) for k in range(6)]
    wanted = [ready.run(x)[0] for x in images]
    call = torch.no_grad()(lambda x: ready.run(x)[0])
    assert wrong_in_threads(call, images, wanted, threads=6, turns=30, same=torch.equal) == []


def test_rows_say_what_runs_and_why(sample: Sample) -> None:
    backend = made(sample)
    ready = backend.ready(backend.fused, 2)
    rows = ready.rows(sample.x, 1)
    assert [row.pattern for row in rows] == [each.launch.kernel.pattern for each in ready.program.launches]
    weighted = {node.name for node in sample.network.nodes if node.params}
    assert weighted and {layer for row in rows for layer in row.layers} >= weighted
    assert all(row.seconds > 0 and row.bytes > 0 and set(row.why) == {EXPECTED} for row in rows)
    assert all(run.startswith(("torch:", "cudnn:")) for row in rows for run in row.runs)


def test_tuning_is_kept(sample: Sample, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What one engine measures, the next one knows, unless it is told not to."""
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    first = made(sample)
    found = [each.problem for each in first.ready(first.fused, 2).program.launches]
    first._tune(found)
    lines = (tmp_path / "gpu.jsonl").read_text().splitlines()
    assert len(lines) == len({problem.key for problem in tune.problems_with_parts(found, first.chooser)})
    second = made(sample)
    assert all(each.choice.measured for each in second.ready(second.fused, 2).program.launches)
    monkeypatch.setenv("ARCHDSL_TUNE", "0")
    third = made(sample)
    assert not any(each.choice.measured for each in third.ready(third.fused, 2).program.launches)
    assert known_book(CPU).entries == {} and book.load(machine_of(CPU)).entries != {}


def test_a_gpu_is_asked_for_where_there_is_none(sample: Sample) -> None:
    model = archdsl.build(sample.network).eval()
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.optimize(model, sample.x.float(), backend="gpu")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == ("A411", "gpu does not run on cpu")
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.optimize(model, sample.x.half(), dtype=torch.float16)
    assert caught.value.diagnostics[0].code == "A407"


def test_a_cpu_loads_no_triton() -> None:
    code = (
        "import sys, torch, archdsl\n"
        "model = archdsl.build(archdsl.loads('conv3-4; gap; fc-2', input='3x8x8')).eval()\n"
        "archdsl.optimize(model, torch.randn(1, 3, 8, 8), backend='onednn')\n"
        "print([name for name in sys.modules if name == 'triton' or name.startswith(('archdsl.kernels', 'archdsl.engine.gpu'))])\n"
        "print(torch.cuda.is_initialized())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.split("\n")[:2] == ["[]", "False"], done.stdout


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_a_gpu(dtype: torch.dtype, sample: Sample) -> None:
    model = archdsl.build(sample.network)
    model.load_state_dict(sample.state)
    engine = archdsl.optimize(model.float().eval().cuda(), sample.x.float().cuda(), dtype=dtype)
    bound = {torch.float32: 1e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}[dtype]
    for n in (2, 1):
        found = engine(sample.x[:n].float().cuda())
        truth = sample.outputs["out"][:n]
        assert isinstance(found, torch.Tensor) and found.is_cuda
        assert float((found.double().cpu() - truth).norm() / truth.norm()) < bound
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        again = engine(sample.x.float().cuda())
    stream.synchronize()
    assert torch.equal(again, engine(sample.x.float().cuda()))  # type: ignore[arg-type]
    assert "triton" in str(engine.report(runs=3)) or "cudnn" in str(engine.report(runs=3))
