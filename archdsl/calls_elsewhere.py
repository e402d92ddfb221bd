"""Whole calls as they stand in Python, PyTorch's and Keras's, and the steps that they are here.

Only text, as in archdsl.words.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from archdsl.words import LAYER_WORDS, PYTHON_VALUES, layer_word, plain_name


class Translation(NamedTuple):
    """A step that says what a call from elsewhere does. layer: its name here; act: the activation that it states."""

    layer: str
    text: str
    act: str | None = None

    def is_known(self, layers: Container[str]) -> bool:
        """Whether its layer and its activation are among these."""
        return self.layer in layers and (self.act is None or self.act in layers)


class _Call(NamedTuple):
    """How a call from elsewhere is written here.

    here: the layer; order: what its unnamed arguments are called there; carried: those that say something here, and
    how; an empty name stands for an argument without one. What is neither carried nor idle leaves no translation.
    switches: as _SWITCHES has them, of this call.
    """

    here: str
    order: tuple[str, ...] = ()
    carried: Mapping[str, str] = {}
    switches: Mapping[str, tuple[str, ...]] = {}


_BN = _Call("bn", ("num_features", "eps", "momentum"), {"eps": "eps", "epsilon": "eps", "momentum": "momentum"})
_SHUFFLES = {"upscale_factor": "", "downscale_factor": ""}
_ACTIVATION = ("inplace",)
_CALLS = {
    "batchnorm": _BN,
    "batchnormalization": _BN,
    "bn": _BN,
    "groupnorm": _Call("gn", ("num_groups", "num_channels", "eps"), {"num_groups": "", "eps": "eps"}),
    "groupnormalization": _Call("gn", ("groups",), {"groups": "", "epsilon": "eps"}),
    "instancenorm": _Call(
        "instancenorm",
        ("num_features", "eps"),
        {"eps": "eps", "affine": "affine"},
        {"track_running_stats": ("false",)},
    ),
    "relu": _Call("relu", _ACTIVATION),
    "relu6": _Call("relu6", _ACTIVATION),
    "silu": _Call("silu", _ACTIVATION),
    "gelu": _Call("gelu"),
    "tanh": _Call("tanh"),
    "sigmoid": _Call("sigmoid"),
    "hardswish": _Call("hswish", _ACTIVATION),
    "hardsigmoid": _Call("hsigmoid", _ACTIVATION),
    "prelu": _Call("prelu", ("num_parameters",)),
    "leakyrelu": _Call("leakyrelu", ("negative_slope", "inplace"), {"negative_slope": "", "alpha": ""}),
    "elu": _Call("elu", ("alpha", "inplace"), {"alpha": ""}),
    "mish": _Call("mish", _ACTIVATION),
    "softmax": _Call("softmax", ("dim",)),
    "logsoftmax": _Call("softmax", ("dim",)),
    "flatten": _Call("flatten", ("start_dim", "end_dim")),
    "identity": _Call("identity"),
    "globalaveragepooling": _Call("gap"),
    "gap": _Call("gap"),
    "adaptiveavgpool": _Call("adaptiveavgpool", ("output_size",), {"output_size": ""}),
    "adaptivemaxpool": _Call("adaptivemaxpool", ("output_size",), {"output_size": ""}),
    "upsample": _Call("upsample", ("size", "scale_factor", "mode"), {"scale_factor": "", "mode": "mode"}),
    "upsampling": _Call("upsample", ("size",), {"size": "", "interpolation": "mode"}),
    "pixelshuffle": _Call("pixelshuffle", ("upscale_factor",), _SHUFFLES),
    "pixelunshuffle": _Call("pixelunshuffle", ("downscale_factor",), _SHUFFLES),
    "dropout": _Call("dropout", ("p",), {"p": "", "rate": "", "ratio": "", "keep_prob": ""}),
}
_IDLE = re.compile(
    r"num_features|num_channels|num_parameters|normalized_shape|in_channels|in_features|start_dim|end_dim|dim|axis|keepdims"
    r"|device|dtype|name|input_shape|data_format|trainable|\w+_(initializer|regularizer|constraint)"
)
"""Arguments that say nothing here: sizes that are inferred, and how weights are trained and stored."""
_SWITCHES = {
    "inplace": ("true", "false"),
    "affine": ("true",),
    "track_running_stats": ("true",),
    "center": ("true",),
    "align_corners": ("false",),
}
"""Arguments that say nothing here with these values."""
_OPTIONAL = frozenset({"elu", "gn"})
"""Layers whose argument without a name has the same default in PyTorch and in Keras."""
_OUT_OF_ONE = frozenset({"keep_prob"})
"""Shares of what stays, where the language states what goes."""

_TORCH_CONV = "in_channels out_channels kernel_size stride padding dilation groups bias".split()
_TORCH_UPCONV = "in_channels out_channels kernel_size stride padding output_padding groups bias dilation".split()
_KERAS_CONV = "filters kernel_size strides padding".split()
_OF_CONVOLUTIONS = frozenset(
    "out_channels filters channels kernel_size kernel k stride strides padding pad p groups dilation dilation_rate bias "
    "use_bias activation".split()
)
_OF_DEPTHWISE = frozenset(
    "filters kernel_size kernel k stride strides padding p depth_multiplier multiplier bias use_bias activation".split()
)
_OF_FULLY_CONNECTED = frozenset("out_features units channels bias use_bias activation".split())
_OF_POOLS = frozenset("kernel_size pool_size kernel k stride strides padding p ceil_mode".split())
"""Arguments that say something here, the frameworks' and the language's own."""
_LARGEST_KERNEL = 11


def as_step(name: str, positional: Sequence[str], named: Mapping[str, str]) -> Translation | None:
    """A call as PyTorch or Keras has it, as a step of the language; None where that is not clear.

    >>> as_step("Conv2d", ["3", "64"], {"kernel_size": "3", "stride": "2", "padding": "1"})
    Translation(layer='conv', text='conv3-64/2', act=None)
    >>> as_step("Dense", ["10"], {"activation": "'softmax'"})
    Translation(layer='fc', text='fc-10(act=softmax)', act='softmax')
    """
    kind = re.sub(r"2d(?=$|transpose)|_", "", name.lower())
    positional, named = [_bare(text) for text in positional], {key: _bare(text) for key, text in named.items()}
    if kind in ("conv", "convtranspose"):
        return _convolution(name, kind, positional, named)
    if kind in ("separableconv", "depthwiseconv"):
        return _depthwise(name, kind, positional, named)
    if kind in ("linear", "dense", "fc"):
        return _fully_connected(kind, positional, named)
    if kind in ("maxpool", "avgpool", "maxpooling", "averagepooling"):
        return _pool("maxpool" if kind.startswith("max") else "avgpool", positional, named)
    if kind == "activation":
        word = (positional or [named.get("activation", "")])[0]
        return _alone(layer_word(word) or plain_name(word)) if _simple(word) else None
    if kind in _CALLS:
        return _translated(name, _CALLS[kind], positional, named)
    return None


def _alone(layer: str) -> Translation:
    return Translation(layer, layer)


def _translated(name: str, call: _Call, positional: Sequence[str], named: Mapping[str, str]) -> Translation | None:
    given = _carried(call.carried, call.order, positional, named, call.switches)
    if given is None:
        return None
    bare, arguments = [], []
    for key, value in given.items():
        if key in _OUT_OF_ONE or key == "momentum" and name == "BatchNormalization":
            value = _out_of_one(value)
        value = _window(value) or PYTHON_VALUES.get(value, value)
        if not re.fullmatch(r"[\w.]+(e-?\d+)?|\d+x\d+", value):
            return None
        if call.carried[key]:
            arguments.append(f"{call.carried[key]}={value}")
        else:
            bare.append(f"({value.replace('x', ', ')})" if re.fullmatch(r"\d+x\d+", value) else value)
    if call.here == "adaptiveavgpool" and bare == ["1"]:
        return _alone("gap")
    if "" in call.carried.values() and not bare and call.here not in _OPTIONAL:
        return None
    said = ", ".join([*bare, *arguments])
    return Translation(call.here, f"{call.here}({said})") if said else _alone(call.here)


def _carried(
    known: Container[str],
    order: Sequence[str],
    positional: Sequence[str],
    named: Mapping[str, str],
    switches: Mapping[str, tuple[str, ...]] = {},
) -> dict[str, str] | None:
    """The known arguments of a call, by their names there; None where there are more than it takes, or where another
    says something. order: what the unnamed ones are called; switches: as `_Call` has them."""
    if len(positional) > len(order):
        return None
    given = {**dict(zip(order, positional, strict=False)), **named}
    if not all(key in known or _says_nothing(key, value, switches) for key, value in given.items()):
        return None
    return {key: value for key, value in given.items() if key in known}


def _says_nothing(key: str, value: str, switches: Mapping[str, tuple[str, ...]]) -> bool:
    if re.fullmatch(r"\d*\.\d+", value):  # no size and no name: it was meant as something else
        return False
    return _IDLE.fullmatch(key) is not None or value.lower() in switches.get(key, _SWITCHES.get(key, ()))


def _out_of_one(share: str) -> str:
    try:
        return str(1 - Decimal(share))
    except ArithmeticError:
        return f"1 - {share}"


def _bare(text: str) -> str:
    """A word without the quotes that it has elsewhere."""
    return text[1:-1].lower() if re.fullmatch(r"(['\"])\w+\1", text) else text


def python_call(text: str) -> Translation | None:
    """A call within a line of Python, `self.conv1 = nn.Conv2d(3, 64, 3)`, as a step; None where that is not clear."""
    found = called(text)
    if found is None or text[found.stop :].split("#")[0].strip(" ,;"):
        return None
    return joined_tensors(found) or as_step(found.name, *_arguments(found.inside))


class Called(NamedTuple):
    """A call within a line of Python. stop: just after its `)`."""

    name: str
    inside: str
    stop: int


def called(text: str) -> Called | None:
    """The call of a framework's layer in a line."""
    found = re.search(r"(?:nn|functional|layers|F|torch|tf|keras)\.([A-Za-z_]\w*)\(", text)
    if found is None:
        return None
    depth = 1
    for stop in range(found.end(), len(text)):
        depth += (text[stop] in "([") - (text[stop] in ")]")
        if not depth:
            return Called(found[1], text[found.end() : stop], stop + 1)
    return None


def joined_tensors(call: Called) -> Translation | None:
    """`torch.cat([a, b], dim=1)` as branches: `concat [ @a | @b ]`."""
    found = re.fullmatch(r"[\[(]\s*([A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)+)[\s,]*[\])](?:\s*,\s*(?:(?:dim|axis)\s*=\s*)?1)?", call.inside)
    here = layer_word(call.name) or call.name.lower()
    if found is None or here not in ("concat", "add", "mul", "mean", "maximum"):
        return None
    return Translation(here, f"{here} [ {' | '.join(f'@{name.strip()}' for name in found[1].split(','))} ]")


def _arguments(inside: str) -> tuple[list[str], dict[str, str]]:
    """The arguments of a call of Python, as text: those without a name and those with one."""
    positional, named = [], {}
    for part in re.split(r",\s*(?![^()\[\]]*[)\]])", inside):
        key, equals, value = part.partition("=")
        if equals:
            named[key.strip()] = value.strip()
        elif key.strip():
            positional.append(key.strip())
    return positional, named


def _convolution(name: str, kind: str, positional: Sequence[str], named: Mapping[str, str]) -> Translation | None:
    order = _order_of_convolution(name, positional, named)
    given = None if order is None else _carried(_OF_CONVOLUTIONS, order, positional, named)
    if given is None:
        return None
    width = _first(given, "out_channels", "filters", "channels")
    kernel = _window(_first(given, "kernel_size", "kernel", "k"))
    stride = _window(_first(given, "stride", "strides"))
    padding = _first(given, "padding", "pad", "p")
    if not _simple(width) or kernel is None:
        return None
    numbers = f"{kernel}-{width}" if stride in (None, "1") else f"{kernel}-{width}/{stride}"
    arguments = []
    elsewhere = name not in ("conv", "upconv")
    if padding is not None:
        padding = padding.lower()
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
        value = _first(given, here, *there)
        if value is not None and value != "1":
            arguments.append(f"{here}={value}")
    return _step("conv" if kind == "conv" else "upconv", numbers, [*arguments, *_no_bias(given)], _activation(given))


def _depthwise(name: str, kind: str, positional: Sequence[str], named: Mapping[str, str]) -> Translation | None:
    """Keras's SeparableConv2D and DepthwiseConv2D."""
    here = "sepconv" if kind.startswith("s") else "dwconv"
    given = _carried(_OF_DEPTHWISE, _KERAS_CONV[here == "dwconv" :], positional, named)
    if given is None:
        return None
    width, kernel = given.get("filters"), _window(_first(given, "kernel_size", "kernel", "k"))
    stride = _window(_first(given, "stride", "strides"))
    padding = _first(given, "padding", "p") or ("0" if "2D" in name else None)
    if kernel is None or (here == "sepconv") != _simple(width):
        return None
    numbers = kernel + (f"-{width}" if width else "") + (f"/{stride}" if stride not in (None, "1") else "")
    half = int(kernel) // 2 if kernel.isdigit() else None
    arguments = [f"p={padding.lower()}"] if padding not in (None, str(half)) else []
    times = _first(given, "depth_multiplier", "multiplier")
    arguments += [f"multiplier={times}"] if times not in (None, "1") else []
    return _step(here, numbers, [*arguments, *_no_bias(given)], _activation(given))


def _fully_connected(kind: str, positional: Sequence[str], named: Mapping[str, str]) -> Translation | None:
    keras = kind == "dense" or kind == "fc" and len(positional) < 2
    order = ("units", "activation", "use_bias") if keras else ("in_features", "out_features", "bias")
    given = _carried(_OF_FULLY_CONNECTED, order, positional, named)
    if given is None:
        return None
    units = _first(given, "out_features", "units", "channels")
    return _step("fc", f"-{units}", _no_bias(given), _activation(given)) if _simple(units) else None


def _no_bias(given: Mapping[str, str]) -> list[str]:
    return ["bias=false"] if _first(given, "bias", "use_bias") in ("False", "false") else []


def _order_of_convolution(name: str, positional: Sequence[str], named: Mapping[str, str]) -> list[str] | None:
    """What a convolution's unnamed arguments are. `conv` alone may follow either framework: a second number that is
    no kernel is a width after the channels that come in; where it may be both, it is not known."""
    torch = _TORCH_UPCONV if "transpose" in name.lower() else _TORCH_CONV
    if "2D" in name:
        return _KERAS_CONV
    if "2d" in name:
        return torch
    if "in_channels" in named:
        return torch[1:]
    if len(positional) < 2 or len(positional) == 2 and "kernel_size" not in named:
        return _KERAS_CONV
    first, second, third = [*positional, named.get("kernel_size", "")][:3]
    if "kernel_size" in named or not second.isdigit() or int(second) > _LARGEST_KERNEL:
        return torch
    if first.isdigit() and int(first) > int(second) and third.isdigit() and int(third) <= int(second) % 2 * int(second):
        return _KERAS_CONV
    return None


def _activation(given: Mapping[str, str]) -> str | None:
    """`relu` of Keras's activation='relu'."""
    word = given.get("activation", "").lower().replace("_", "")
    if not word or word in ("linear", "none"):
        return None
    return LAYER_WORDS.get(word, word)


def _pool(here: str, positional: Sequence[str], named: Mapping[str, str]) -> Translation | None:
    given = _carried(_OF_POOLS, ("kernel_size", "stride", "padding"), positional, named)
    if given is None:
        return None
    kernel = _window(_first(given, "kernel_size", "pool_size", "kernel", "k"))
    stride = _window(_first(given, "stride", "strides"))
    padding = _first(given, "padding", "p")
    if kernel is None:
        return None
    numbers = kernel if stride in (None, kernel) else f"{kernel}/{stride}"
    arguments = []
    if padding not in (None, "0"):
        arguments.append(f"p={padding.lower()}")  # type: ignore[union-attr]
    if PYTHON_VALUES.get(given.get("ceil_mode", "")) == "true":
        arguments.append("ceil=true")
    return _step(here, numbers, arguments)


def _step(layer: str, numbers: str, arguments: Sequence[str], act: str | None = None) -> Translation | None:
    """A layer with the numbers that stand before its arguments; None where the value of one is more than a word."""
    said = [*arguments, *([f"act={act}"] if act is not None else [])]
    if not all(re.fullmatch(r"\w+=\w+", argument) for argument in said):
        return None
    return Translation(layer, layer + numbers + (f"({', '.join(said)})" if said else ""), act)


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
