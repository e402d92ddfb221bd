"""Words from elsewhere, and what they are called here: PyTorch's, Keras's and the papers' names of layers and
arguments, and names that no label may have.

Only text: what exists in the language is the registry's business, so whoever looks a word up checks that it does.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence

BLOCK_WORDS = {"dense": "fc"}
"""Blocks of the library whose name is a layer's elsewhere: DenseNet's, and what Keras calls Dense."""

LAYER_WORDS = {
    "convolution": "conv",
    "convolutional": "conv",
    "linear": "fc",
    "dense": "fc",
    "fullyconnected": "fc",
    "affine": "fc",
    "batchnorm": "bn",
    "batchnormalization": "bn",
    "batchnormalisation": "bn",
    "layernorm": "ln",
    "layernormalization": "ln",
    "layernormalisation": "ln",
    "groupnorm": "gn",
    "groupnormalization": "gn",
    "groupnormalisation": "gn",
    "instancenormalization": "instancenorm",
    "instancenormalisation": "instancenorm",
    "localresponsenorm": "lrn",
    "localresponsenormalization": "lrn",
    "swish": "silu",
    "hardswish": "hswish",
    "hardsigmoid": "hsigmoid",
    "logistic": "sigmoid",
    "rectifier": "relu",
    "lrelu": "leakyrelu",
    "leaky": "leakyrelu",
    "globalavgpool": "gap",
    "globalaveragepooling": "gap",
    "globalaveragepool": "gap",
    "adaptiveavgpool": "gap",
    "averagepool": "avgpool",
    "averagepooling": "avgpool",
    "avgpooling": "avgpool",
    "meanpool": "avgpool",
    "maxpooling": "maxpool",
    "pool": "maxpool",
    "pooling": "maxpool",
    "depthwise": "dwconv",
    "depthwiseconv": "dwconv",
    "dw": "dwconv",
    "convdw": "dwconv",
    "pointwise": "conv1",
    "pointwiseconv": "conv1",
    "depthwiseseparable": "sepconv",
    "depthwiseseparableconv": "sepconv",
    "separable": "sepconv",
    "separableconv": "sepconv",
    "deconv": "upconv",
    "convtranspose": "upconv",
    "convtransposed": "upconv",
    "transposedconv": "upconv",
    "chunk": "split",
    "cat": "concat",
    "concatenate": "concat",
    "sum": "add",
    "multiply": "mul",
    "average": "mean",
    "zeropad": "pad",
    "zeropadding": "pad",
    "shuffle": "channelshuffle",
    "skip": "identity",
    "noop": "identity",
    "id": "identity",
    "depthtospace": "pixelshuffle",
    "subpixel": "pixelshuffle",
    "spacetodepth": "pixelunshuffle",
    "interpolate": "upsample",
    "upsampling": "upsample",
    "stochasticdepth": "droppath",
    "squeezeexcite": "se",
    "squeezeexcitation": "se",
    "resblock": "basic",
    "residualblock": "basic",
    "basicblock": "basic",
    "mbconvblock": "mbconv",
    "invertedresidual": "inverted",
    "shortcut": "residual",
    "res": "residual",
    "convnormact": "`conv3-64(norm=bn, act=relu)`",
    "convbnact": "`conv3-64(norm=bn, act=relu)`",
    "convbnrelu": "`conv3-64(norm=bn, act=relu)`",
    "classifierhead": "`gap; fc-classes`",
    "parallel": "`concat [ a | b ]`, or add, mul, mean or maximum",
    "branches": "`concat [ a | b ]`, or add, mul, mean or maximum",
    "sequential": "the layers alone, one after another: `conv3-64; relu`",
    "max": "`maxpool`, or `maximum [ a | b ]`",
    "activation": "the activation's own name, as in `relu`",
    "for": "a repeat after a step, as in `conv3-64 x3`",
    "repeat": "a repeat after a step, as in `conv3-64 x3`",
    "return": "`output @label`, or nothing: the last step is the output",
    "def": "`block name(k) { ... }`",
    "class": "`arch name { ... }`",
    "import": '`use "path.arch"`',
    "include": '`use "path.arch"`',
}
"""Layers and more, in lower case and without `2d` and `_`. A value with a blank is advice, not a name."""

ABSENT = {
    "rrelu": "the nearest are `leakyrelu`, and `prelu`, which learns its slope",
    "selu": "the nearest is `elu`",
    "celu": "the nearest is `elu`, which is the same where alpha is 1",
    "softplus": "the nearest are `relu` and `silu`",
    "slice": "the nearest is `split`: `split(0, (8, _))` is the first 8 channels",
    "unpool": "the nearest are `upsample` and `upconv`",
    "unpooling": "the nearest are `upsample` and `upconv`",
    "maxunpool": "the nearest are `upsample` and `upconv`",
    "attention": "the nearest is `se`, which weighs channels",
    "selfattention": "the nearest is `se`, which weighs channels",
    "multiheadattention": "the nearest is `se`, which weighs channels",
    "lstm": "`archdsl layers` lists what there is",
    "gru": "`archdsl layers` lists what there is",
    "embedding": "`archdsl layers` lists what there is",
}
"""Layers that the language does not have, written as in LAYER_WORDS, and what comes near: no word of it is meant."""

ARGUMENT_WORDS = {
    "kernel_size": ("kernel",),
    "pool_size": ("kernel",),
    "size": ("kernel", "scale"),
    "filter_size": ("kernel",),
    "ksize": ("kernel",),
    "out_channels": ("channels", "f", "c"),
    "out_features": ("channels",),
    "filters": ("channels", "f", "c"),
    "units": ("channels",),
    "width": ("channels", "f", "c"),
    "features": ("channels",),
    "strides": ("stride", "s"),
    "stride": ("s",),
    "s": ("stride",),
    "d": ("dilation",),
    "dilation_rate": ("dilation",),
    "pad": ("padding",),
    "activation": ("act",),
    "nonlinearity": ("act",),
    "normalization": ("norm",),
    "batch_norm": ("norm",),
    "bn": ("norm",),
    "use_bias": ("bias",),
    "ceil_mode": ("ceil",),
    "count_include_pad": ("include_pad",),
    "scale_factor": ("scale", "factor"),
    "upscale_factor": ("factor",),
    "downscale_factor": ("factor",),
    "block_size": ("factor",),
    "num_groups": ("groups",),
    "negative_slope": ("slope",),
    "p": ("ratio", "drop", "weight"),
    "rate": ("ratio", "drop"),
    "prob": ("ratio",),
    "dropout": ("drop", "drop_path"),
    "momentum_decay": ("momentum",),
    "epsilon": ("eps",),
    "drop_path_rate": ("drop_path",),
    "skip": ("shortcut",),
    "downsample": ("shortcut",),
    "parameters": ("params",),
    "flops": ("macs",),
    "expansion": ("t",),
    "expand_ratio": ("t",),
    "growth_rate": ("k",),
    "reduction": ("r",),
    "reduction_ratio": ("r",),
    "ratio": ("r",),
    "cardinality": ("g",),
    "num_classes": ("classes",),
}
"""Arguments elsewhere, and what they may be called here; the first that the layer has is meant."""

INFERRED = frozenset({"in_channels", "in_features", "num_features", "in_planes", "inplanes", "input_shape"})
"""Arguments elsewhere that say what comes in, which is known here."""

PYTHON_VALUES = {
    "True": "true",
    "False": "false",
    "None": "none",
    "TRUE": "true",
    "FALSE": "false",
    "null": "none",
}
"""Constants as other languages write them."""

FUNCTION_WORDS = {"int": "floor", "trunc": "floor", "rint": "round", "make_divisible": "round8"}

VALUE_WORDS = {"linear": "none", "no": "none", "yes": "true", "off": "false", "on": "true"}


def layer_word(name: str) -> str | None:
    """What a layer that is called so elsewhere is called here, or advice."""
    plain = plain_name(name)
    return LAYER_WORDS.get(plain) or LAYER_WORDS.get(re.sub(r"\d+(x\d+)?$", "", plain))


def absent(name: str) -> str | None:
    """What comes near to a layer that the language does not have."""
    return ABSENT.get(plain_name(name))


def plain_name(name: str) -> str:
    """A layer's name without what the frameworks put around it: `Conv2d` is conv."""
    return re.sub(r"[123]d(?=$|transpose)|_|layer$", "", name.lower().removeprefix("nn."))


def argument_word(name: str, known: Sequence[str]) -> str | None:
    """Which of the known arguments one means that is called so elsewhere."""
    return next((here for here in ARGUMENT_WORDS.get(name.lower(), ()) if here in known), None)


# ---- labels ----

MODULE_ATTRIBUTES = frozenset(
    "add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extra_repr "
    "float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia "
    "named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer "
    "register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook "
    "register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter "
    "register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule "
    "share_memory state_dict to to_empty train training type xpu zero_grad append extend insert pop items keys "
    "values T_destination".split()
)
"""Names that torch.nn.Module, Sequential and ModuleList use themselves; a test compares them with torch's."""


def refused_label(name: str) -> str | None:
    """Why a label can't become an attribute of the emitted module, or None."""
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "it is a word of Python"
    if name in MODULE_ATTRIBUTES:
        return "torch.nn.Module uses that name"
    if name.startswith("_"):
        return "it starts with an underscore"
    return None
