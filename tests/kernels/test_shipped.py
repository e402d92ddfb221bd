"""Every configuration that is shipped, compiled for sm_90 and taken apart: is it what it claims to be?"""

from __future__ import annotations

from pathlib import Path

import layers
import pytest
import sm90
import torch
from archdsl.kernels import table
from archdsl.kernels._launch import Claim

BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32

SHIPPED = [
    pytest.param(kernel, form, index, id="-".join(filter(None, (kernel, form, str(shipped.config)))))
    for kernel, by_form in table.TABLE.items()
    for form, found in by_form.items()
    for index, shipped in enumerate(found)
]


def told(form: str) -> dict[str, str]:
    return {"form": form} if form else {}


@pytest.mark.compiled
@pytest.mark.parametrize(("kernel", "form", "index"), SHIPPED)
def test_compiles_as_claimed(kernel: str, form: str, index: int) -> None:
    config, claim = table.TABLE[kernel][form][index]
    for layer in layers.layers(kernel, form, index):
        sm90.check(claim, lambda layer=layer: layer(BF16, config=config, **told(form)))


def test_nothing_is_left_out() -> None:
    """Every file of a kernel is in the table, and no configuration stands there twice."""
    here = Path(table.__file__).parent
    files = {path.stem for path in here.glob("*.py") if not path.stem.startswith("_")}
    forms = {"conv_tma", "conv_planes", "conv_pointer"}  # of conv, which has them in its table
    assert set(table.TABLE) == files - forms - {"table"}
    assert len(SHIPPED) >= 80
    for kernel, by_form in table.TABLE.items():
        for form, found in by_form.items():
            configs = [shipped.config for shipped in found]
            assert configs and len(set(configs)) == len(configs), (kernel, form)


ANY = Claim(tma=False, tensor_cores=False, shared=227 * 1024, ctas=1)
VECTOR = ("depthwise", "pool", "gap", "pointwise")
"""Those that multiply nothing on tensor cores."""
ROUNDED = ("gemm", "dual", "b2b", "siblings", "dw_pw", "conv_pool", "conv_gap", "pool_conv1")
"""Those that the engine has no fp32 multiplied by, which without tensor cores they refuse, or spill at."""


@pytest.mark.compiled
@pytest.mark.parametrize("kernel", [kernel for kernel in table.TABLE if kernel not in VECTOR])
def test_tf32_by_rule(kernel: str) -> None:
    """What the rules choose for fp32 on the tensor cores, a layer of each kernel."""
    form = next(iter(table.TABLE[kernel]))
    made = sm90.build(lambda: layers.layers(kernel, form, 0)[0](FP32, precision="tf32"))
    assert made[0].hgmma + made[0].mma > 0, made
    assert made[0].shared <= 227 * 1024 and made[0].stack == 0, made


@pytest.mark.compiled
@pytest.mark.parametrize("kernel", [kernel for kernel in table.TABLE if kernel not in (*VECTOR, *ROUNDED)])
def test_ieee_by_rule(kernel: str) -> None:
    """What the rules choose for fp32 as the engine computes it, without tensor cores."""
    for form in table.TABLE[kernel]:
        for layer in layers.layers(kernel, form, 0):
            (made,) = sm90.build(lambda layer=layer: layer(FP32))
            assert made.hgmma + made.mma == 0 and made.shared <= 227 * 1024 and made.ctas >= 1, made
            assert made.spills <= 2 and made.stack <= 8, made  # two of stem's, by Triton 3.6


@pytest.mark.compiled
@pytest.mark.parametrize(("kernel", "form", "index"), [p for p in SHIPPED if p.values[0] in VECTOR])
def test_vector_configurations_of_fp32(kernel: str, form: str, index: int) -> None:
    """Their tables are the engine's for fp32 too."""
    config, _ = table.TABLE[kernel][form][index]
    for layer in layers.layers(kernel, form, index):
        (made,) = sm90.build(lambda layer=layer: layer(FP32, config=config, **told(form)))
        # Two registers of depthwise's 25 taps with a gelu, which claims nothing of fp32.
        assert made.spills <= 2 and made.stack <= 8 and made.ctas >= 1 and made.shared <= 227 * 1024, made
