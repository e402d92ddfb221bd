"""kernels/pointwise.py against its definition."""

from __future__ import annotations

import pytest
import sm90
import torch
from archdsl.kernels.pointwise import CONFIGS, pointwise, reference
from proof import Poisoned, doubled, drawn, fresh, placed

CASES = [
    ((2, 5, 3, 24), torch.bfloat16, ("scale", "shift", "residual"), "none", "relu"),
    ((1, 1, 1, 10), torch.bfloat16, ("shift",), "silu", "none"),
    ((3, 4, 5, 7), torch.float32, ("scale", "shift", "residual", "factor"), "relu6", "tanh"),
    ((2, 6, 6, 40), torch.float16, ("factor",), "none", "none"),
    ((2, 3, 3, 16), torch.float32, (), "none", "none"),
]


def arguments(shape: tuple[int, ...], dtype: torch.dtype, which: tuple[str, ...]) -> tuple[torch.Tensor, dict]:
    n, _, _, c = shape
    found = {
        "scale": torch.randn(c),
        "shift": torch.randn(c),
        "residual": drawn(*shape, dtype=dtype),
        "factor": drawn(n, 1, 1, c, dtype=dtype),
    }
    return drawn(*shape, dtype=dtype), {name: found[name] for name in which}


@pytest.mark.parametrize("config", [None, *(s.config for s in CONFIGS)], ids=str)
@pytest.mark.parametrize(("shape", "dtype", "which", "pre_act", "act"), CASES, ids=str)
def test_pointwise(shape, dtype, which, pre_act, act, config) -> None:
    fresh()
    x, more = arguments(shape, dtype, which)
    c = shape[3]
    y = Poisoned(*shape, dtype=dtype, wide=c + 9, at=5)
    there = {name: placed(v, wide=c + 3, at=1) if v.dim() == 4 else v for name, v in more.items()}
    pointwise(placed(x, wide=c + 4, at=3), **there, pre_act=pre_act, act=act, out=y.view, config=config)
    doubles = dict(zip(more, doubled(*more.values()), strict=True))
    y.check(reference(*doubled(x), **doubles, pre_act=pre_act, act=act))


def test_in_place() -> None:
    fresh()
    x, residual = drawn(2, 4, 4, 16), drawn(2, 4, 4, 16)
    y = Poisoned(2, 4, 4, 16)
    y.view.copy_(residual)
    pointwise(x, residual=y.view, act="relu", out=y.view)
    y.check(reference(x.double(), residual=residual.double(), act="relu"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"scale": torch.ones(5)}, "scale must be 4 fp32 numbers"),
        ({"residual": torch.zeros(1, 2, 2, 4)}, "residual must be"),
        ({"factor": torch.zeros(1, 2, 2, 4, dtype=torch.bfloat16)}, "factor must be"),
        ({"act": "sine"}, "no activation"),
    ],
)
def test_refused(more: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pointwise(torch.zeros(1, 2, 2, 4, dtype=torch.bfloat16), **more)


@pytest.mark.compiled
@pytest.mark.parametrize("shipped", CONFIGS, ids=lambda s: str(s.config))
def test_builds_for_sm_90(shipped) -> None:
    image, vector = sm90.empty(2, 56, 56, 64), sm90.empty(64, dtype=torch.float32)

    def start() -> None:
        pointwise(
            image, vector, vector, sm90.empty(2, 56, 56, 64), factor=sm90.empty(2, 1, 1, 64), pre_act="silu",
            act="relu", out=sm90.empty(2, 56, 56, 64), config=shipped.config,
        )  # fmt: skip

    sm90.check(shipped.claim, start)
