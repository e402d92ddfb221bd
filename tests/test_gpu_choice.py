"""Which kernel runs what on a GPU: what asks for the same work, how work is divided, what is remembered, and
that who is wrong is never chosen. No GPU, and no kernel of ours is run."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from drawing import one_thread
from fusing import Sample, drawn

import archdsl
from archdsl.engine.gpu import book, hand, tune
from archdsl.engine.gpu.book import Book, Entry
from archdsl.engine.gpu.candidate import Candidate, Given, Run
from archdsl.engine.gpu.choose import EXPECTED, CannotRun, Chooser
from archdsl.engine.gpu.passes import for_gpu
from archdsl.engine.gpu.problem import Problem, problem_of
from archdsl.network import Network
from archdsl.passes import fused
from archdsl.passes.reference import compute
from archdsl.plan import Launch, Plan, plan

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with one_thread():
        yield


def planned(text: str, image: str = "3x16x16", dtype: str = "bf16") -> Plan:
    return plan(fused(archdsl.loads(text, input=image)), dtype)


def problems(text: str, image: str = "3x16x16", batch: int = 2, dtype: str = "bf16") -> list[Problem]:
    return [problem_of(launch, batch, dtype) for launch in planned(text, image, dtype).launches]


# ---- what is asked ----


def test_equal_work_is_one_question() -> None:
    """Whatever the layers are called; not with another size, stride, activation, slice, batch or dtype."""
    zero, one, two, three = problems("conv3-3; relu; conv3-3; relu; conv3-3; relu; conv3-3/2; relu")
    assert one.key == two.key != three.key
    assert zero.key != one.key  # it reads the images, whose pixels have a fourth number
    _, placed, *_ = problems("conv3-8; concat [ conv3-16; relu | conv1-16; conv3-16 ]")
    _, alone = problems("conv3-8; conv3-16; relu")
    assert placed.kernel.pattern == alone.kernel.pattern and placed.key != alone.key
    assert placed.out.row == 32  # it is written into the concat
    texts = [
        "conv3-8; relu",
        "conv3-8; silu",
        "conv3-8",
        "conv3-8(bias=false); relu",
        "conv1-8; relu",
        "conv3-16; relu",
    ]
    keys = {problems(text)[0].key for text in texts}
    keys |= {problems(texts[0], *more)[0].key for more in (("3x8x8",), ("3x16x16", 4), ("3x16x16", 2, "f16"))}
    assert len(keys) == len(texts) + 3


def test_bytes_and_flops_are_the_plan_s() -> None:
    for name in ("resnet18", "googlenet_bn", "efficientnet_b0"):
        whole = plan(fused(archdsl.load(name)), "bf16")
        asked = [problem_of(launch, 4, "bf16") for launch in whole.launches]
        counts = whole.count(4)
        assert sum(problem.flops for problem in asked) == counts.flops
        constants = 4 * sum(launch.constants for launch in whole.launches)
        strided = sum(launch.read < sum(v.elements for v in launch.inputs) for launch in whole.launches)
        moved = sum(problem.bytes for problem in asked)
        assert moved == counts.moved - constants or strided and moved > counts.moved - constants


# ---- dividing it ----


def halves(problem: Problem) -> Iterator[tuple[str, Sequence[Problem]]]:
    for place in problem.seams():
        yield f"cut {place}", problem.cut(place)
    parts = problem.apart()
    if parts is not None:
        yield "apart", [part.problem for part in parts]


def in_parts(
    problem: Problem, how: str, parts: Sequence[Problem], sample: Sample, inputs: list[torch.Tensor]
) -> list[torch.Tensor]:
    if how == "apart":
        found: list[torch.Tensor] = []
        for part in problem.apart() or ():
            found += compute(
                part.problem.kernel, sample.state, inputs if part.reads is None else [found[part.reads]]
            )
        return found
    ours, theirs = problem.operands_of_cut(int(how.split()[1]))
    (middle,) = compute(parts[0].kernel, sample.state, [inputs[0], *(inputs[i] for i in ours)])
    return compute(parts[1].kernel, sample.state, [middle, *(inputs[i] for i in theirs)])


def test_parts_do_the_work_of_the_whole() -> None:
    """In float64, of every kernel that passes make of drawn networks, wherever it is divided; and the shapes
    that parts are asked with are those that come."""
    hows = 0
    for seed in range(80):
        found = drawn(seed)
        if found is None:
            continue
        text, sample = found
        for launch in plan(fused(sample.network)).launches:
            problem = problem_of(launch, 2, "f32")
            generator = torch.Generator().manual_seed(seed)
            inputs = [
                torch.randn(2, *spot.shape, generator=generator, dtype=torch.float64)
                for spot in problem.inputs
            ]
            with torch.no_grad():
                whole = compute(problem.kernel, sample.state, inputs)
                for how, parts in halves(problem):
                    divided = in_parts(problem, how, parts, sample, inputs)
                    for one, two in zip(whole, divided, strict=True):
                        assert torch.allclose(one, two, rtol=1e-10, atol=1e-10), (
                            f"{problem.key} {how}: {text}"
                        )
                    for part in parts:
                        ends = part.kernel.shapes(*(spot.shape for spot in part.inputs))
                        assert list(ends) == [spot.shape for spot in part.outputs]
                    hows += 1
    assert hows > 300


# ---- choosing ----


def fake(name: str, seconds: float, value: float = 0.0, backend: str = "triton") -> Candidate:
    """One that writes a number everywhere."""

    def make(given: Given) -> Run:
        return lambda: [out.fill_(value) for out in given.outputs] and None

    return Candidate(backend, name, "", seconds, 1, make)


SLOW, FAST = fake("conv", 2e-3), fake("gemm", 1e-3)
CONV = problems("conv3-8; relu; conv3-8; relu")[1]
POOLED = problems("conv3-8; relu; conv3-8; relu; maxpool2")[1]


def chooser(*candidates: Candidate, known: Book | None = None) -> Chooser:
    return Chooser(lambda problem: candidates, known or Book("here"))


def test_the_fastest_that_is_expected_unless_measured() -> None:
    choose = chooser(SLOW, FAST)
    assert (choose.choose(CONV).how, choose.choose(CONV).why) == ("triton:gemm", EXPECTED)
    assert not choose.choose(CONV).measured and not choose.measured(CONV)
    choose.put(CONV, "triton:conv", 5e-4, 1e-3)
    choice = choose.choose(CONV)
    assert (choice.how, choice.why, choice.seconds, choice.measured) == (
        "triton:conv",
        "measured",
        5e-4,
        True,
    )
    assert choose.measured(CONV)
    other = replace(CONV, batch=64)
    assert choose.choose(other).why == EXPECTED  # 32 times as many


def test_what_was_measured_with_about_as_many_images() -> None:
    choose = chooser(SLOW, FAST)
    choose.put(replace(CONV, batch=8), "triton:conv", 5e-4, 1e-3)
    choose.put(replace(CONV, batch=1), "triton:gemm", 5e-4, 1e-3)
    choice = choose.choose(replace(CONV, batch=4))
    assert (choice.how, choice.why, choice.measured) == ("triton:conv", "measured with 8 images", False)
    assert choose.choose(CONV).how == "triton:gemm"
    assert choose.choose(replace(CONV, batch=4, dtype="f16")).why == EXPECTED


def test_a_measurement_of_what_is_gone_is_not_used() -> None:
    choose = chooser(SLOW, FAST)
    choose.put(CONV, "triton:conv:128x64", 5e-4, 1e-3)
    assert choose.choose(CONV).how == "triton:gemm"


def test_two_kernels_where_one_is_slower() -> None:
    def candidates(problem: Problem) -> tuple[Candidate, ...]:
        return (fake("conv_pool", 9e-3),) if problem is POOLED else (FAST,)

    choose = Chooser(candidates, Book("here"))
    choice = choose.choose(POOLED)
    assert (choice.how, choice.label, choice.seconds) == ("cut 2", "triton:gemm | triton:gemm", 2e-3)
    assert choice.bytes > POOLED.bytes  # what lies between is written and read
    choose.put(POOLED, "triton:conv_pool", 1e-4, 1e-3)
    assert choose.choose(POOLED).how == "triton:conv_pool"
    choose.put(POOLED, "cut 1", 1e-5, 1e-3)
    assert [leaf.problem.kernel.pattern for leaf in choose.choose(POOLED).leaves] == [
        "conv3",
        "relu + maxpool2",
    ]
    choose.put(POOLED, "cut 7", 1e-5, 1e-3)
    assert choose.choose(POOLED).how == "cut 2"


def test_equal_problems_are_run_alike() -> None:
    one, two, _ = problems("conv3-3; relu; conv3-3; relu; conv3-3/2; relu")
    choose = chooser(SLOW, FAST)
    assert choose.choose(one).how == choose.choose(two).how
    assert choose.choose(two).problem is two


def test_what_is_refused_is_not_chosen_again() -> None:
    choose = chooser(SLOW, FAST)
    choose.refuse(choose.choose(CONV))
    assert choose.choose(CONV).how == "triton:conv"
    choose.refuse(choose.choose(CONV))
    assert choose.choose(CONV).how == "cut 1"
    with pytest.raises(CannotRun, match="nothing that runs"):
        chooser().choose(CONV)


# ---- who is wrong ----

TORCH = hand.candidates(frozenset({"torch"}), CONV)[0]


def test_the_tuner_drops_what_is_wrong() -> None:
    """A number that is off, one that is missing, a kernel that does not start: none is timed, the right one
    is kept."""

    def make(given: Given) -> Run:
        run = TORCH.make(given)

        def short() -> None:
            run()
            given.outputs[0][-1, -1, -1, -1] = float("nan")

        return short

    def refuses(given: Given) -> Run:
        raise ValueError("8 channels are too few")

    right = replace(TORCH, backend="triton", name="conv", seconds=1.0)
    missing, stuck = replace(right, name="gemm", make=make), replace(right, name="stem", make=refuses)
    choose = chooser(fake("pool", 1e-9), missing, stuck, right)
    found = {timed.label: timed for timed in tune.tune(CONV, choose, CPU)}
    assert found["triton:pool"].seconds is None and "error 1.0e+00 is more than" in found["triton:pool"].says
    assert found["triton:gemm"].seconds is None and "inf" in found["triton:gemm"].says
    assert found["triton:stem"].says == "ValueError: 8 channels are too few"
    assert found["triton:conv"].seconds is not None and 0 < found["triton:conv"].error < 4e-3
    entry = choose.book.entries[CONV.key]
    assert entry.label == "triton:conv" and choose.measured(CONV)


def test_nothing_that_is_not_measured_runs_unproven() -> None:
    """The fastest by the model is wrong, and the next one is taken; what is measured, and torch's own, is not
    asked."""
    right = replace(TORCH, backend="triton", name="conv", seconds=1.0)
    choose = chooser(fake("gemm", 1e-9), right)
    tune.prove([CONV, CONV], choose, CPU)
    assert choose.choose(CONV).how == "triton:conv"
    believed = chooser(fake("gemm", 1e-9), right)
    believed.put(CONV, "triton:gemm", 1e-9, 1e-3)
    tune.prove([CONV], believed, CPU)
    assert believed.choose(CONV).how == "triton:gemm"
    plain = chooser(fake("layers", 1e-9, backend="torch"))
    tune.prove([CONV], plain, CPU)
    assert plain.choose(CONV).how == "torch:layers"


def test_the_last_image_is_compared_too() -> None:
    def make(given: Given) -> Run:
        run = TORCH.make(given)

        def off() -> None:
            run()
            given.outputs[0][-1] *= 1.5

        return off

    many = replace(CONV, batch=40)
    wrong = replace(TORCH, backend="triton", name="conv", make=make)
    bench = tune.Bench(many, CPU, sets=1)
    assert bench.wrong(chooser(wrong).choose(many))[1] and not bench.wrong(chooser(TORCH).choose(many))[1]


# ---- the book ----


def test_a_book_is_kept_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tuned.jsonl"
    here, there = Book("here"), Book("there")
    here.put(CONV.key, Entry("triton:conv:64x64x32_4w_3s", 12.3456e-6, 0.00171, "abc"))
    there.put(CONV.key, Entry("cut 2", 3e-6, 0.0, ""))
    book.save(there, path)
    book.save(here, path)
    assert book.load("here", [path]).entries == {
        CONV.key: Entry("triton:conv:64x64x32_4w_3s", pytest.approx(12.346e-6), 0.00171, "abc")
    }
    assert book.load("there", [path]).entries[CONV.key].label == "cut 2"
    assert book.load("elsewhere", [path, tmp_path / "none"]).entries == {}
    lines = path.read_text().splitlines()
    assert lines == sorted(lines) and len(lines) == 2 and json.loads(lines[0])["us"] == 12.346
    later = tmp_path / "own.jsonl"
    here.put(CONV.key, Entry("triton:gemm", 1e-6, 0.0, "abc"))
    book.save(here, later)
    assert book.load("here", [path, later]).entries[CONV.key].label == "triton:gemm"


LINE = {"machine": "here", "problem": CONV.key, "run": "x", "source": "", "us": 1, "error": 0}


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "null", "{}", '{"machine": "here"}', "[" * 5000]
    + [json.dumps(LINE | more) for more in ({"problem": "conv"}, {"us": "?"}, {"error": None})],
)
def test_a_line_that_can_t_be_read_is_passed_over(line: str, tmp_path: Path) -> None:
    path = tmp_path / "tuned.jsonl"
    good = Book("here", {CONV.key: Entry("cut 2", 3e-6, 0.0, "")})
    book.save(good, path)
    path.write_text(line + "\n" + path.read_text())
    assert book.load("here", [path]).entries == good.entries


def test_a_measurement_is_of_the_kernels_as_they_were(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A comment may change, code may not, nor that of what is imported; another problem's kernels may."""
    files = {
        "a": '"""A."""\nfrom archdsl.kernels import c\nfrom archdsl.kernels._d import f\nX = 1\n',
        "b": "X = 2\n",
        "c": "def g():\n    'says'\n    return 3\n",
        "_d": "def f(): pass\n",
    }

    def digest(**changed: str) -> str:
        for name, text in (files | changed).items():
            (tmp_path / f"{name}.py").write_text(text)
        book._digest.cache_clear()
        return book.source_of(["a"])

    monkeypatch.setattr(book.resources, "files", lambda package: tmp_path)
    first = digest()
    assert first == digest(
        a="# new\n" + files["a"].replace("A.", "Another."), c=files["c"].replace("says", "tells")
    )
    assert first == digest(b="X = 3\n") == digest()
    changed = {digest(a=files["a"] + "Y = 2\n"), digest(c="def g():\n    return 4\n"), digest(_d="f = 1\n")}
    assert first not in changed and len(changed) == 3
    assert book.source_of(["b", "a"]) == book.source_of(["a", "b", "a"]) != book.source_of(["b"])
    book._digest.cache_clear()


def test_a_measurement_with_other_kernels_is_not_used() -> None:
    choose = chooser(SLOW, FAST)
    choose.put(CONV, "triton:conv", 5e-4, 1e-3)
    more = chooser(SLOW, FAST, fake("stem", 1.0), known=choose.book)
    assert more.choose(CONV).why == EXPECTED and not more.measured(CONV)


def test_a_user_s_own_book(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.delenv("ARCHDSL_CACHE", raising=False)
    assert book.own() == tmp_path / "x" / "archdsl" / "gpu.jsonl"
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    assert book.own() == tmp_path / "gpu.jsonl"
    mine = Book("here", {CONV.key: Entry("cut 2", 3e-6, 0.0, "")})
    book.save(mine, book.own())
    assert book.load("here").entries == mine.entries


# ---- the seven networks ----


def launches(name: str, backends: str) -> Iterator[tuple[Network, Launch, Problem]]:
    wanted = frozenset(backends.split())
    network = for_gpu(archdsl.load(name), lambda problem: hand.has(wanted, problem), "bf16")
    for launch in plan(network, "bf16").launches:
        yield network, launch, problem_of(launch, 128, "bf16")


BARS = {
    "vgg16": 16,
    "resnet50": 43,
    "googlenet_bn": 40,
    "densenet121": 123,
    "mobilenet_v2": 36,
    "efficientnet_b0": 82,
}


@pytest.mark.parametrize("name", BARS)
def test_one_kernel_of_ours_for_every_launch(name: str) -> None:
    """The passes make nothing that has to be divided for want of a kernel, and as few launches as is
    possible."""
    found = [problem for *_, problem in launches(name, "triton")]
    assert len(found) <= BARS[name]
    for problem in found:
        labels = [c.label for c in hand.candidates(frozenset({"triton"}), problem)]
        assert labels and labels[0].startswith("triton:"), problem.key
        assert len(labels) == len(set(labels))


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "googlenet_bn"])
def test_float32_runs_on_kernels_that_do_not_spill(name: str) -> None:
    """Those that tests/kernels/test_shipped.py compiles for it, by their own rules; fused as far as they go."""
    wanted = frozenset({"triton"})
    network = for_gpu(archdsl.load(name), lambda problem: hand.has(wanted, problem), "f32")
    names = {
        candidate.name
        for launch in plan(network, "f32").launches
        for candidate in hand.candidates(wanted, problem_of(launch, 8, "f32"))
    }
    assert "conv" in names
    assert names <= {"conv", "stem", "stem_pool", "bnrelu_conv1", "scaled_conv1", "squeeze"} | {
        "depthwise", "pool", "gap", "pointwise",
    }  # fmt: skip


def test_a_library_alone_can_run_them_too() -> None:
    """The peer that each launch is compared with: divided until a library has every part."""
    for name in ("resnet50", "efficientnet_b0"):
        choose = Chooser(
            lambda problem: hand.candidates(frozenset({"cudnn", "torch"}), problem), Book("none")
        )
        for *_, problem in launches(name, "triton"):
            assert all(leaf.how.startswith(("cudnn:", "torch:")) for leaf in choose.choose(problem).leaves)


def test_random_picks_have_labels_that_come_back() -> None:
    """What the book keeps of a candidate finds it again."""
    rng = random.Random(0)
    for *_, problem in launches("mobilenet_v2", "triton cudnn"):
        all_of_them = hand.candidates(None, problem)
        wanted = rng.choice(all_of_them)
        known = Chooser(lambda problem: hand.candidates(None, problem), Book("here"))
        known.put(problem, wanted.label, 1e-6, 0.0)
        assert known.choose(problem).label == wanted.label and known.choose(problem).measured
