"""Words from elsewhere, and what they are called here: PyTorch's, Keras's and the papers' names of layers and
arguments, whole calls as they stand in Python, and names that no label may have.

Only text: what exists in the language is the registry's business, so whoever looks a word up checks that it does.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence

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
    "localresponsenorm": "lrn",
    "localresponsenormalization": "lrn",
    "swish": "silu",
    "hardswish": "hswish",
    "hardsigmoid": "hsigmoid",
    "logistic": "sigmoid",
    "rectifier": "relu",
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
    "separable": "sepconv",
    "separableconv": "sepconv",
    "deconv": "upconv",
    "convtranspose": "upconv",
    "convtransposed": "upconv",
    "transposedconv": "upconv",
    "chunk": "split",
    "slice": "split",
    "cat": "concat",
    "concatenate": "concat",
    "sum": "add",
    "multiply": "mul",
    "average": "mean",
    "zeropad": "pad",
    "zeropadding": "pad",
    "shuffle": "channelshuffle",
    "pixelshuffle": "upsample",
    "skip": "identity",
    "noop": "identity",
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
    "for": "a repeat after a step, as in `conv3-64 x3`",
    "repeat": "a repeat after a step, as in `conv3-64 x3`",
    "return": "`output @label`, or nothing: the last step is the output",
    "def": "`block name(k) { ... }`",
    "class": "`arch name { ... }`",
    "import": '`use "path.arch"`',
    "include": '`use "path.arch"`',
}
"""Layers and more, in lower case and without `2d` and `_`. A value with a blank is advice, not a name."""

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
    "scale_factor": ("scale",),
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
    "cardinality": ("g",),
    "num_classes": ("classes",),
}
"""Arguments elsewhere, and what they may be called here; the first that the layer has is meant."""

PYTHON_VALUES = {
    "True": "true",
    "False": "false",
    "None": "none",
    "TRUE": "true",
    "FALSE": "false",
    "null": "none",
}
"""Constants as other languages write them."""

VALUE_WORDS = {"linear": "none", "no": "none", "yes": "true", "off": "false", "on": "true"}


def layer_word(name: str) -> str | None:
    """What a layer that is called so elsewhere is called here, or advice."""
    plain = re.sub(r"[123]d(?=$|transpose)|_|layer$", "", name.lower().removeprefix("nn."))
    return LAYER_WORDS.get(plain) or LAYER_WORDS.get(re.sub(r"\d+(x\d+)?$", "", plain))


def argument_word(name: str, known: Sequence[str]) -> str | None:
    """Which of the known arguments one means that is called so elsewhere."""
    return next((here for here in ARGUMENT_WORDS.get(name.lower(), ()) if here in known), None)


# ---- whole calls ----

_PLAIN = {
    "batchnorm": "bn",
    "batchnormalization": "bn",
    "bn": "bn",
    "relu": "relu",
    "relu6": "relu6",
    "silu": "silu",
    "gelu": "gelu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "hardswish": "hswish",
    "hardsigmoid": "hsigmoid",
    "softmax": "softmax",
    "logsoftmax": "softmax",
    "flatten": "flatten",
    "identity": "identity",
    "globalaveragepooling": "gap",
    "gap": "gap",
}
"""Calls whose arguments say nothing here: BatchNorm2d(64), ReLU(inplace=True)."""


def as_step(name: str, positional: Sequence[str], named: Mapping[str, str]) -> str | None:
    """A call as PyTorch or Keras has it, as a step of the language; None where that is not clear.

    >>> as_step("Conv2d", ["3", "64"], {"kernel_size": "3", "stride": "2", "padding": "1"})
    'conv3-64/2'
    >>> as_step("MaxPool2d", ["2", "2"], {}), as_step("Linear", ["512", "10"], {}), as_step("BatchNorm2d", ["64"], {})
    ('maxpool2', 'fc-10', 'bn')
    """
    kind = re.sub(r"2d(?=$|transpose)|_", "", name.lower())
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in ("conv", "convtranspose"):
        return _convolution(name, kind, positional, named)
    if kind in ("linear", "dense", "fc"):
        units = _first(named, "out_features", "units", "channels") or (positional[-1] if positional else None)
        act = "".join(f"({one})" for one in _activation(named))
        return f"fc-{units}{act}" if _simple(units) else None
    if kind in ("maxpool", "avgpool", "maxpooling", "averagepooling"):
        return _pool("maxpool" if kind.startswith("max") else "avgpool", positional, named)
    if kind == "adaptiveavgpool":
        return (
            "gap" if re.sub(r"[\s()]", "", ",".join([*positional, *named.values()])) in ("1", "1,1") else None
        )
    if kind == "dropout":
        rate = _first(named, "p", "rate", "ratio") or (positional[0] if positional else None)
        if len(positional) > 1:
            return None
        return f"dropout({rate})" if rate is None or re.fullmatch(r"[\w.]+", rate) else None
    return None


def python_call(text: str) -> str | None:
    """A call within a line of Python, `self.conv1 = nn.Conv2d(3, 64, 3)`, as a step; None where that is not clear."""
    found = re.search(r"(?:nn|layers|F|torch)\.([A-Za-z_]\w*)\((.*)\)[\s,]*(?:#.*)?$", text)
    if found is None:
        return None
    positional, named = [], {}
    for part in re.split(r",\s*(?![^()]*\))", found[2]):
        key, equals, value = part.partition("=")
        if equals:
            named[key.strip()] = value.strip()
        elif key.strip():
            positional.append(key.strip())
    return as_step(found[1], positional, named)


def _convolution(name: str, kind: str, positional: Sequence[str], named: Mapping[str, str]) -> str | None:
    given = list(positional)
    width = _first(named, "out_channels", "filters", "channels")
    kernel = _first(named, "kernel_size", "kernel", "k")
    torch_like = len(given) > 2 or (len(given) == 2 and kernel is not None) or "in_channels" in named or "2d" in name
    if torch_like and given and "in_channels" not in named:
        given.pop(0)
    if width is None and given:
        width = given.pop(0)
    if kernel is None and given:
        kernel = given.pop(0)
    stride = _first(named, "stride", "strides") or (given.pop(0) if given else None)
    padding = _first(named, "padding", "pad", "p") or (given.pop(0) if given else None)
    kernel, stride = _window(kernel), _window(stride)
    if given or not _simple(width) or kernel is None:
        return None
    step = f"{'conv' if kind == 'conv' else 'upconv'}{kernel}-{width}"
    if stride not in (None, "1"):
        step += f"/{stride}"
    arguments = []
    elsewhere = name not in ("conv", "upconv")
    if padding is not None:
        padding = padding.strip("'\"").lower()
    elif elsewhere and kind == "conv" and kernel != "1":
        padding = "0"
    half = str(int(kernel) // 2) if kernel.isdigit() else None
    if (
        padding is not None
        and padding != half
        and kind == "conv"
        or padding not in (None, "0")
        and kind != "conv"
    ):
        arguments.append(f"p={padding}")
    for here, *there in (("groups",), ("dilation", "dilation_rate")):
        value = _first(named, here, *there)
        if value is not None and value != "1":
            arguments.append(f"{here}={value}")
    bias = PYTHON_VALUES.get(_first(named, "bias", "use_bias") or "")
    if bias == "false":
        arguments.append("bias=false")
    arguments += _activation(named)
    if not all(re.fullmatch(r"\w+=\w+", argument) for argument in arguments):
        return None
    return step + (f"({', '.join(arguments)})" if arguments else "")


def _activation(named: Mapping[str, str]) -> list[str]:
    """`act=relu` of Keras's activation='relu'."""
    word = named.get("activation", "").strip("'\"").lower().replace("_", "")
    if not word or word in ("linear", "none"):
        return []
    return [f"act={LAYER_WORDS.get(word, word)}"]


def _pool(here: str, positional: Sequence[str], named: Mapping[str, str]) -> str | None:
    given = list(positional)
    kernel = _window(
        _first(named, "kernel_size", "pool_size", "kernel", "k") or (given.pop(0) if given else None)
    )
    stride = _window(_first(named, "stride", "strides") or (given.pop(0) if given else None))
    padding = _first(named, "padding", "p") or (given.pop(0) if given else None)
    if kernel is None or given:
        return None
    step = f"{here}{kernel}"
    if stride is not None and stride != kernel:
        step += f"/{stride}"
    arguments = []
    if padding not in (None, "0"):
        arguments.append(f"p={padding.strip(chr(39) + chr(34)).lower()}")  # type: ignore[union-attr]
    if PYTHON_VALUES.get(named.get("ceil_mode", "")) == "true":
        arguments.append("ceil=true")
    if not all(re.fullmatch(r"\w+=\w+", argument) for argument in arguments):
        return None
    return step + (f"({', '.join(arguments)})" if arguments else "")


def _first(named: Mapping[str, str], *names: str) -> str | None:
    return next((named[name] for name in names if name in named), None)


def _simple(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"[A-Za-z_]\w*|[0-9][0-9_]*", text) is not None


def _window(text: str | None) -> str | None:
    """`3`, or `(3, 3)` and `(1, 7)` as kernel digits."""
    if text is None or text.isdigit():
        return text
    pair = re.fullmatch(r"[(\[]\s*(\d+)\s*,\s*(\d+)\s*[)\]]", text)
    if pair is None:
        return None
    return pair[1] if pair[1] == pair[2] else f"{pair[1]}x{pair[2]}"


# ---- labels ----

MODULE_ATTRIBUTES = frozenset(
    "add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extra_repr "
    "float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia "
    "named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer "
    "register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook "
    "register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter "
    "register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule "
    "share_memory state_dict to to_empty train training type xpu zero_grad append extend insert pop items keys "
    "values".split()
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
