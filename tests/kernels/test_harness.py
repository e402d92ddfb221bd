"""The checks of kernels can fail: each is shown something wrong."""

from __future__ import annotations

import os

import layers
import pytest
import sm90
import torch
import triton
import triton.language as tl
from archdsl.kernels import _reference
from archdsl.kernels._common import ACTIVATIONS, INTERPRETED, activate
from archdsl.kernels._launch import Claim, Config, box_for, image, launch, wide
from proof import Poisoned, close, doubled, drawn, placed


@triton.jit
def _copy(x, y, N, BLOCK: tl.constexpr, SHIFT: tl.constexpr, MORE: tl.constexpr, ACT: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i + SHIFT, mask=i < N, other=0.0).to(tl.float32)
    tl.store(y + i, activate(value, ACT).to(y.dtype.element_ty), mask=i < N + MORE)


def copy(x, y, shift=0, more=0, act="none"):
    n = x.numel()
    launch(
        _copy,
        (triton.cdiv(n, 64),),
        Config(64, 1, 1, 4, 1),
        x,
        x,
        y,
        n,
        BLOCK=64,
        SHIFT=shift,
        MORE=more,
        ACT=act,
    )


def test_a_right_kernel_passes() -> None:
    x = drawn(2, 5, 3, 7)
    y = Poisoned(2, 5, 3, 7)
    copy(placed(x), y.view)
    y.check(*doubled(x))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shift": 1}, "NaN"),
        ({"more": 1}, "outside the output"),
        ({"more": -1}, "NaN"),
        ({"act": "relu"}, "of the truth"),
    ],
    ids=lambda v: str(v),
)
def test_a_wrong_kernel_fails(wrong: dict, said: str) -> None:
    x = drawn(2, 5, 3, 7)
    y = Poisoned(2, 5, 3, 7)
    copy(placed(x), y.view, **wrong)
    with pytest.raises(AssertionError, match=said):
        y.check(*doubled(x))


def test_one_wrong_number_of_many_fails() -> None:
    truth = torch.randn(64, 64, dtype=torch.float64)
    result = truth.to(torch.bfloat16)
    own = truth.to(torch.bfloat16)
    close(result, truth, own)
    result[3, 5] += 0.5
    with pytest.raises(AssertionError, match=r"worst at \[3, 5\]"):
        close(result, truth, own)


def test_the_error_may_be_twice_the_reference_s_own() -> None:
    truth = torch.randn(64, 64, dtype=torch.float64)
    own = truth.to(torch.bfloat16)
    close(truth + 1.9 * (own.double() - truth), truth, own)
    with pytest.raises(AssertionError, match="of the truth"):
        close(truth + 2.1 * (own.double() - truth), truth, own)


def test_the_interpreter_rounds_as_a_gpu_does() -> None:
    x = drawn(4, 4, 4, 64, dtype=torch.float32)
    x[0, 0, 0, :4] = torch.tensor([3.4e38, -3.4e38, 1e-40, 0.0])
    y = torch.empty(4, 4, 4, 64, dtype=torch.bfloat16)
    copy(x, y)
    assert torch.equal(y, x.to(torch.bfloat16))


def test_neighbours_of_a_slice_are_watched() -> None:
    y = Poisoned(1, 2, 2, 8, wide=16, at=8)
    y.view.fill_(1.0)
    y.check(torch.ones(1, 2, 2, 8, dtype=torch.float64))
    y.buffer[256] = 1.0  # a channel before the slice
    with pytest.raises(AssertionError, match="1 numbers outside"):
        y.check(torch.ones(1, 2, 2, 8, dtype=torch.float64))


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_activations(act: str) -> None:
    x = drawn(1, 4, 4, 40, dtype=torch.float32, size=4.0)
    y = Poisoned(1, 4, 4, 40, dtype=torch.float32)
    copy(x, y.view, act=act)
    truth = _reference.ACTIVATIONS[act](x.double())
    y.check(truth, _reference.ACTIVATIONS[act](x))
    assert tuple(_reference.ACTIVATIONS) == ACTIVATIONS


def test_processes_differ() -> None:
    assert os.environ["TRITON_INTERPRET"] == "1" and INTERPRETED.value


@pytest.mark.compiled
def test_processes_differ_compiled() -> None:
    assert "TRITON_INTERPRET" not in os.environ and not INTERPRETED.value


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (Claim(tma=False, tensor_cores=False, shared=0, ctas=16), None),
        (Claim(tma=True, tensor_cores=False, shared=0, ctas=16), "tma"),
        (Claim(tma=False, tensor_cores=True, shared=0, ctas=16), "tensor cores"),
        (Claim(tma=False, tensor_cores=False, shared=0, ctas=17), "fewer than 17"),
    ],
)
def test_claims_are_checked(claim: Claim, said: str | None) -> None:
    def start() -> None:
        copy(sm90.empty(4, 4, 4, 4), sm90.empty(4, 4, 4, 4), act="gelu")

    if said is None:
        sm90.check(claim, start)
        return
    with pytest.raises(AssertionError, match=said):
        sm90.check(claim, start)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("kernel", "form", "has"),
    [
        ("conv", "tma", {"HGMMA", "UTMALDG"}),
        ("conv", "pointer", {"HGMMA", "LDGSTS"}),
        ("squeeze", "", {"HMMA"}),
        ("conv", "spills", {"LDL", "STL", "HGMMA", "UTMALDG"}),
    ],
)
def test_instructions_are_counted_as_the_disassembler_does(kernel: str, form: str, has: set[str]) -> None:
    how = {"form": form} if form else {}
    if form == "spills":
        how = {"form": "tma", "config": Config(128, 256, 64, 4, 3)}
    (made,) = sm90.build(lambda: layers.layers(kernel, "", 0)[0](torch.bfloat16, **how))
    counts = sm90.instructions(made.cubin)
    assert counts == sm90.disassembled(made.cubin)
    assert has <= {name for name, count in counts.items() if count}
    assert (made.spills > 0) == (made.stack > 0) == (form == "spills")


@pytest.mark.compiled
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_no_kernel_is_started_where_none_runs(device: str) -> None:
    x = torch.empty(1, 2, 2, 8, device=device)
    with pytest.raises(ValueError, match="run on a CUDA GPU"):
        copy(x, x)


@pytest.mark.parametrize(
    ("shape", "strides", "pitch"),
    [
        ((2, 5, 3, 8), None, 8),
        ((2, 1, 1, 8), None, 8),
        ((1, 1, 1, 8), (99, 7, 3, 1), 8),  # as PyTorch may leave the strides of dimensions of size 1
        ((2, 3, 1, 8), (72, 24, 5, 1), 24),
        ((3, 1, 1, 8), (16, 1, 1, 1), 16),
        ((2, 5, 3, 8), (240, 48, 16, 1), 16),
    ],
)
def test_pitch(shape: tuple[int, ...], strides: tuple[int, ...] | None, pitch: int) -> None:
    x = torch.zeros(4096)[: torch.Size(shape).numel()].view(shape) if strides is None else torch.zeros(4096).as_strided(
        shape, strides
    )  # fmt: skip
    assert image(x, "x").pitch == pitch


@pytest.mark.parametrize("strides", [(240, 48, 16, 2), (240, 47, 16, 1), (241, 48, 16, 1), (60, 12, 4, 1)])
def test_other_layouts_are_refused(strides: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="x must be a slice of channels"):
        image(torch.zeros(4096).as_strided((2, 5, 3, 8), strides), "x")


@pytest.mark.parametrize(
    ("size", "bm", "box"),
    [
        ((128, 56, 56), 128, (2, 8, 8)),
        ((1, 112, 112), 128, (1, 8, 16)),
        ((1, 1, 1), 64, (1, 8, 8)),
        ((128, 7, 7), 128, (128, 1, 1)),
    ],
)
def test_boxes(size: tuple[int, int, int], bm: int, box: tuple[int, int, int]) -> None:
    assert box_for(*size, bm) == box


def test_offsets_past_int32() -> None:
    assert wide(torch.empty(669, 224, 224, 64, dtype=torch.int8, device="meta"))
    assert not wide(torch.empty(660, 224, 224, 64, dtype=torch.int8, device="meta"), None)
