"""Convolutions of OpenVINO's whose images lie in blocks of 16 channels, in place of those with channels last.

On Intel CPUs with AVX-512 its older kernels, which want blocks, take 0.83 to 1.0 times as long in float32 with one image: 0.83
for SqueezeNet, 0.87 to 0.97 for MobileNets, RegNetX and Xception, 0.98 for EfficientNet-B0 (with 16 images 0.94), ResNet-152
and DenseNet-121. In bf16 both take as long; on an AMD CPU nobody measured. It holds only where all convolutions are such: with
some of either kind images are laid out anew between them, which takes more than is gained (ResNet-50, half of the
multiplications in 4 of 53, the rest in blocks: level; ResNet-18: 3.4 times as long), and a convolution in groups falls back to
a reference.

OpenVINO chooses by a list of kernels that a node may carry. Python can't make such a list, but can hand on one that
OpenVINO has read from a text.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from archdsl.engine.machine import is_intel

WHY = "its kernels for images in blocks of channels"

BLOCK = 16
"""Channels of a block: of float32 as many as a register holds. Half of them leave half of it empty, and are still taken."""

LIST = "primitives_priority_0"

TEXT = """<net name="list" version="11"><layers>
<layer id="0" name="x" type="Parameter" version="opset1">
<data shape="1" element_type="f32" PrimitivesPriority="cpu:jit_avx512_1x1,cpu:jit_avx512_dw,cpu:jit_avx512"/>
<output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
<layer id="1" name="y" type="Result" version="opset1">
<input><port id="0" precision="FP32"><dim>1</dim></port></input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges></net>"""


def can(dtype: torch.dtype) -> bool:
    """Whether there are such convolutions here."""
    return dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() == "AVX512"


def pay(dtype: torch.dtype) -> bool:
    """Whether they are known to be faster here, if all are such; elsewhere `tune` finds out."""
    return can(dtype) and is_intel()


def ask(model: Any, core: Any) -> bool:
    """Let all convolutions of a graph be such. False where not all can, there are none, or this OpenVINO can't be asked."""
    from archdsl.engine.filled import fill

    nodes = [node for node in model.get_ops() if node.get_type_name() in ("Convolution", "GroupConvolution")]
    fill(nodes, BLOCK // 2)
    model.validate_nodes_and_infer_types()
    found = _list(core) if all(map(_has, nodes)) else None
    if found is None:
        return False
    for node in nodes:
        node.set_rt_info(found, LIST)
    return bool(nodes)


def _has(node: Any) -> bool:
    """Whether there is a kernel: what is compiled in vain takes memory all the same."""
    *groups, wide, deep, _, _ = node.get_input_shape(1)
    if groups:
        return wide == deep == 1 or wide % BLOCK == deep % BLOCK == 0
    return wide % (BLOCK // 2) == 0 and (deep % (BLOCK // 2) == 0 or deep == 3)


def are(compiled: Any) -> bool:
    """Whether they came out so, all of them."""
    for node in compiled.get_runtime_model().get_ops():
        about = {name: value.astype(str) for name, value in node.get_rt_info().items()}
        if about.get("layerType") == "Convolution":
            kernel, lies = about.get("primitiveType", ""), about.get("outputLayouts", "")
            if not (kernel.startswith("jit_avx512") and lies.endswith("16b")):
                return False
    return True


@cache
def _list(core: Any) -> Any:
    import openvino

    try:
        model = core.read_model(TEXT.encode(), openvino.Tensor(openvino.Type.u8, [1]))
    except RuntimeError:  # another version
        return None
    about = (dict(node.get_rt_info()) for node in model.get_ops())
    return next((each[LIST] for each in about if LIST in each), None)
