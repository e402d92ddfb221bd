"""Kernels and bytes of seven networks against what was counted independently of this compiler."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

import archdsl
from archdsl.ops.base import Shape
from archdsl.passes import fused
from archdsl.passes._kernel import Kernel
from archdsl.plan import Plan, plan

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import counts


@cache
def planned(name: str) -> Plan:
    return counts.planned(archdsl.load(name))


@pytest.mark.parametrize("name", counts.NETWORKS)
def test_no_network_moves_more_than_the_bar(name: str) -> None:
    found, (kernels, megabytes) = counts.count(planned(name)), counts.NETWORKS[name].b2
    assert found.kernels <= kernels
    assert found.megabytes <= megabytes + 0.005  # the bar is rounded
    constants = 4e-6 * sum(launch.constants for launch in planned(name).launches)
    assert constants <= 1e-4 * megabytes


@pytest.mark.parametrize("name", counts.NETWORKS)
def test_the_entries_are_all_that_is_left(name: str) -> None:
    """Two programs that know nothing of one another count the same kernels and bytes for b3."""
    found, (kernels, megabytes) = counts.count(planned(name)), counts.NETWORKS[name].b3
    assert found.joined <= kernels
    assert found.joined_megabytes <= 1.001 * megabytes
    assert found.joined_megabytes > 0.93 * megabytes


def test_a_pass_that_is_left_out_is_seen() -> None:
    def narrow(kernel: Kernel, _inputs: Sequence[Shape]) -> bool:
        return kernel.pattern.count("conv") < 2

    found = counts.count(plan(fused(archdsl.load("resnet50"), accepts=narrow), counts.DTYPE))
    (kernels, megabytes), _ = counts.NETWORKS["resnet50"]
    assert found.kernels > kernels and found.megabytes > 1.02 * megabytes


def test_entries_by_hand() -> None:
    """One, of a tensor that the addition reads again; not what is strided, wide, pooled, or no 1x1."""
    text = (
        "conv3-8; relu; residual { conv1-8; relu; conv3-8; relu; conv1-8 }; conv1-16/2; conv3-16; maxpool; "
    )
    text += "conv1-520; conv3-8; conv1-520; gap; fc-5"
    found = counts.entries(plan(fused(archdsl.loads(text, input="3x8x8")), "bf16"))
    assert [(one.kernel.pattern, two.kernel.pattern) for one, two, _ in found] == [
        ("conv3 + relu", "conv1 + relu")
    ]
    assert [numbers for _, _, numbers in found] == [8 * 64]  # the residual's addition reads it too


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert counts.main(["mobilenet_v2", "--entries"]) == 0
    printed = capsys.readouterr().out
    assert "mobilenet_v2           36    36    2,310.3  100.0%        26    26" in printed
    assert "mobilenet_v2: 6 x dwconv3 + relu6 + conv1 + add  ->  conv1 + relu6" in printed
    with pytest.raises(SystemExit):
        counts.main(["lenet5"])
