"""Every configuration that is shipped, by kernel and form: what a launcher may choose by rule, what is compiled and
checked for sm_90 without a GPU, and what a tuner measures on one. "" is the form of a kernel that has only one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from archdsl.kernels import (
    b2b,
    bnrelu_conv1,
    conv,
    conv_gap,
    conv_pool,
    depthwise,
    dual,
    dw_pw,
    gap,
    gemm,
    pointwise,
    pool,
    pool_conv1,
    scaled_conv1,
    siblings,
    squeeze,
    stem,
    stem_pool,
)
from archdsl.kernels._launch import Shipped

KERNELS: tuple[ModuleType, ...] = (
    conv,
    gemm,
    dual,
    b2b,
    bnrelu_conv1,
    scaled_conv1,
    siblings,
    depthwise,
    dw_pw,
    stem,
    stem_pool,
    conv_pool,
    conv_gap,
    pool_conv1,
    pool,
    gap,
    squeeze,
    pointwise,
)


def name_of(kernel: ModuleType) -> str:
    return kernel.__name__.rpartition(".")[2]


def forms(kernel: ModuleType) -> Mapping[str, Sequence[Shipped]]:
    """A kernel's configurations by form."""
    found = kernel.CONFIGS
    return found if isinstance(found, Mapping) else {"": found}


LAUNCHERS: dict[str, Callable[..., Any]] = {
    name_of(kernel): getattr(kernel, name_of(kernel)) for kernel in KERNELS
}
TABLE: dict[str, Mapping[str, Sequence[Shipped]]] = {name_of(kernel): forms(kernel) for kernel in KERNELS}
