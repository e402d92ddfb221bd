"""The layers: their examples, two-sided agreement with torch, and the numbers that their helpers give."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import ceil, prod
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl.ops import LAYERS, _register
from archdsl.ops.base import Function, Lowering, Module, Op, Shape, ShapeError, Weight, written
from archdsl.symbolic import Dim, known, substitute, symbol

WORDS = {"true": True, "false": False, "none": None}
EXAMPLES = [(name, line) for name in sorted(LAYERS) for line in LAYERS[name].examples]


# ---- a small reader of example lines, apart from the compiler's own ----


def read_op(head: str) -> Op:
    """`conv1x7-64/2(p=same, act=relu)`: enough of a step to write one layer."""
    match = re.fullmatch(r"([a-z_]+)(\d+)?(?:x(\d+))?(?:-(\d+))?(?:/(\d+))?(?:\((.*)\))?", head)
    assert match, head
    name, high, wide, channels, stride, text = match.groups()
    if high and name + high in LAYERS:
        name, high = name + high, None
    cls = LAYERS[name]
    given: dict[str, Any] = {}
    if high:
        given["kernel"] = (int(high), int(wide or high))
    if channels:
        given["channels"] = int(channels)
    if stride:
        given["stride"] = int(stride)
    call = ast.parse(f"f({text or ''})", mode="eval").body
    assert isinstance(call, ast.Call)
    named = [*zip(cls.positional, call.args, strict=False), *((k.arg, k.value) for k in call.keywords)]
    for key, value in named:
        field = cls.short.get(str(key), str(key))
        given[field] = LAYERS[value.id]() if field in cls.layers and value.id != "none" else read_value(value)
    return cls(**given)


def read_value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return WORDS.get(node.id, node.id)
    if isinstance(node, ast.Tuple):
        return tuple(map(read_value, node.elts))
    return ast.literal_eval(node)


def read_shape(text: str) -> Shape:
    symbols = {name: symbol(name) for name in "CHW"}
    return tuple(eval(size, {}, symbols) for size in re.findall(r"\([^)]*\)|\d+|[A-Z]", text))


def sizes_after(op: Op, *inputs: Shape) -> Shape:
    """Through all that the op stands for."""
    for part in op.expand():
        inputs = (part.infer(*inputs),)
    return inputs[0]


@pytest.mark.parametrize(("name", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_example(name: str, line: str) -> None:
    head, shapes, result = re.fullmatch(r"(.*?): (.*) -> (.*)", line).groups()  # type: ignore[union-attr]
    op = read_op(head)
    assert op.syntax == name
    inputs = tuple(map(read_shape, shapes.split(", ")))
    if result == "error":
        with pytest.raises(ShapeError) as caught:
            sizes_after(op, *inputs)
        assert caught.value.hint
        assert caught.value.argument is None or caught.value.argument in type(op.expand()[0]).model_fields
    else:
        assert sizes_after(op, *inputs) == read_shape(result)
        assert written(sizes_after(op, *inputs)).replace(" ", "") == result.replace(" ", "")


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 100
    for name, cls in LAYERS.items():
        assert any(not line.endswith("error") for line in cls.examples), name


# ---- registration ----


class Good(Op):
    """A layer that has all it needs."""

    syntax: ClassVar = "good"
    examples: ClassVar = ("good: 10 -> 10",)

    def infer(self, x: Shape) -> Shape:
        return x

    def lower(self, x: Shape) -> Lowering:
        return Function("{0}")


def test_registration_takes_a_good_layer_once() -> None:
    registry: dict[str, type[Op]] = {}
    _register(Good, registry)
    assert registry == {"good": Good}
    with pytest.raises(TypeError, match="two layers are called 'good'"):
        _register(Good, registry)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"__doc__": None}, "no docstring"),
        ({"examples": ()}, "no examples"),
        ({"infer": Op.infer}, "neither infer nor expand"),
        ({"lower": Op.lower}, "neither lower nor expand"),
        ({"shape": lambda self, x: x}, "shape: not a method that a layer has"),
        ({"syntax": "Good"}, "must be lower-case"),
        ({"syntax": "g2ood"}, "digits only at the end"),
        ({"positional": ("size",)}, "names 'size'"),
        ({"short": {"p": "padding"}}, "names 'padding'"),
        ({"layers": ("act",)}, "names 'act'"),
        ({"fills": "activation"}, "fills 'activation'"),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else part,
)
def test_registration_refuses(change: dict[str, Any], message: str) -> None:
    bad = type("Bad", (Good,), {"__module__": __name__, "__doc__": "Bad on purpose.", **change})
    with pytest.raises(TypeError, match=message):
        _register(bad, {})


def test_a_name_with_digits_has_no_kernel() -> None:
    class Ambiguous(Good):
        """Would `good66` be a good6 of kernel 6?"""

        syntax: ClassVar = "good6"
        kernel: int = 1

    with pytest.raises(TypeError, match="ends in a digit"):
        _register(Ambiguous, {})


def test_no_torch() -> None:
    code = "import sys, archdsl.ops{}; print('torch' in sys.modules)"
    for extra, expected in (("", "False"), (", torch", "True")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(extra)], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


# ---- arguments ----


class Word(str):
    """What the elaborator makes of a bare word."""


def test_layers_are_values_under_strict() -> None:
    conv, bn, relu, relu6 = (LAYERS[name] for name in ("conv", "bn", "relu", "relu6"))
    op = conv(channels=8, kernel=3, norm=bn(eps=1e-3), act=relu6())
    assert op.norm == bn(eps=1e-3)
    assert op.expand() == (conv(channels=8, kernel=3, bias=False), bn(eps=1e-3), relu6())
    assert op.model_dump()["norm"] == bn(eps=1e-3).model_dump() != {}
    pre = conv(channels=8, kernel=3, norm=bn(), act=relu(), order=Word("pre"))
    assert pre.expand() == (bn(), relu(), conv(channels=8, kernel=3, bias=True))
    # a carried layer may itself stand for several
    assert len(conv(channels=8, kernel=3, act=LAYERS["fc"](channels=2, act=relu())).expand()) == 3
    for wrong in (3, {}, {"eps": 1e-3}, "relu", relu, LAYERS["add"](), LAYERS["gate"]()):
        with pytest.raises(ValidationError):
            conv(channels=8, kernel=3, act=wrong)


@pytest.mark.parametrize("name", ["conv", "dwconv", "sepconv", "upconv"])
def test_the_bias_is_on_unless_a_norm_follows(name: str) -> None:
    def has_bias(**arguments: Any) -> bool:
        width = {"channels": 8} if name != "dwconv" else {}
        parts = LAYERS[name](**width, kernel=3, **arguments).expand()
        return [part.bias for part in parts if hasattr(part, "bias")][-1]

    bn = LAYERS["bn"]()
    assert has_bias() and has_bias(act=LAYERS["relu"]()) and has_bias(norm=bn, order="pre")
    assert not has_bias(norm=bn) and not has_bias(bias=False)
    assert has_bias(norm=bn, bias=True)


def test_sepconv() -> None:
    sepconv, dwconv, conv, bn, relu = (LAYERS[name] for name in ("sepconv", "dwconv", "conv", "bn", "relu"))
    depthwise, pointwise = dwconv(kernel=5, stride=2, bias=False), conv(channels=8, kernel=1, bias=False)
    both = {"channels": 8, "kernel": 5, "stride": 2, "norm": bn(), "act": relu()}
    assert sepconv(**both).expand() == (depthwise, pointwise, bn(), relu())
    assert sepconv(**both, between=True).expand() == (depthwise, bn(), relu(), pointwise, bn(), relu())
    parts = sepconv(**both, order="pre").expand()
    assert [part.syntax for part in parts] == ["bn", "relu", "dwconv", "conv"]
    # Keras's SeparableConv2D has its only bias at the end
    assert [part.bias for part in sepconv(channels=8, kernel=3).expand()] == [False, True]


def test_equal_paddings_are_equal_ops() -> None:
    conv, maxpool, avgpool, upconv = (LAYERS[name] for name in ("conv", "maxpool", "avgpool", "upconv"))
    spelled: list[Any] = [None, 1, (1, 1), (1, 1, 1, 1), "same", Word("same")]
    assert len({conv(channels=8, kernel=3, padding=p) for p in spelled} | {conv(channels=8, kernel=3)}) == 1
    assert conv(channels=8, kernel=3, padding="valid") == conv(channels=8, kernel=3, padding=0)
    assert conv(channels=8, kernel=(1, 7)).padding == (0, 0, 3, 3)
    assert conv(channels=8, kernel=3, dilation=2).padding == (2, 2, 2, 2)
    assert conv(channels=8, kernel=1, stride=2, padding="same").padding == (0, 0, 0, 0)
    assert conv(channels=8, kernel=3, stride=2, padding="same").padding == "same"
    assert conv(channels=8, kernel=2, padding="same").padding == "same"
    assert type(conv(channels=8, kernel=2, padding=Word("same")).padding) is str
    assert maxpool() == maxpool(kernel=2, stride=2) and maxpool(kernel=3).stride == (3, 3)
    assert maxpool(kernel=3, stride=1, padding="same") == maxpool(kernel=3, stride=1, padding=1)
    # `same` leaves the padding out of a mean, so it is not what the same number written means
    same = avgpool(kernel=3, stride=1, padding="same")
    assert same == avgpool(kernel=3, stride=1, padding=1, include_pad=False)
    assert same != avgpool(kernel=3, stride=1, padding=1)
    assert avgpool(kernel=3, stride=1, padding="same", include_pad=True) == avgpool(
        kernel=3, stride=1, padding=1
    )
    assert avgpool(include_pad=False) == avgpool()
    assert upconv(channels=8, kernel=2, stride=2, padding="same") == upconv(channels=8, kernel=2, stride=2)
    assert upconv(channels=8, kernel=3, stride=2, padding="same").padding == (0, 1, 0, 1)


@pytest.mark.parametrize(
    "padding", [-1, (1, 2, 3), "sam", True, 1.0, (1, True), 2**31, (0, -1), "1", ((0, 1), (0, 1))]
)
def test_a_bad_padding_is_one_sentence(padding: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        LAYERS["conv"](channels=8, kernel=3, padding=padding)
    (error,) = caught.value.errors()
    assert error["loc"] == ("padding",) and "a padding is" in error["msg"]


def test_a_bad_kernel_is_the_only_error() -> None:
    for name in ("conv", "maxpool", "avgpool"):
        width = {"channels": 8} if name == "conv" else {}
        with pytest.raises(ValidationError) as caught:
            LAYERS[name](**width, kernel=0)
        assert {error["loc"][0] for error in caught.value.errors()} == {"kernel"}


# ---- drawn arguments ----


def limits(metadata: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in metadata:
        if isinstance(item, FieldInfo):
            found |= limits(item.metadata)
        found |= {key: getattr(item, key) for key in ("gt", "ge", "lt", "le") if hasattr(item, key)}
    return found


def inside(value: float, limits: dict[str, float]) -> bool:
    low = value > limits.get("gt", -(10**12)) and value >= limits.get("ge", -(10**12))
    return low and value < limits.get("lt", 10**12) and value <= limits.get("le", 10**12)


NUMBERS = [0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8, 12, 16, 33, 64]
REALS = [0.0, 1e-5, 1e-3, 0.1, 0.17, 0.25, 0.5, 0.75, 0.999, 1.0, 2.0, -1.0, 3]


def values_of(annotation: Any, metadata: Any = ()) -> st.SearchStrategy[Any]:
    """Values of a field's type, small and nasty."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values_of(arguments[0], (*metadata, *arguments[1:]))
    if origin in (Union, UnionType):
        return st.one_of(*(values_of(a, metadata) for a in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), min_size=1, max_size=4).map(tuple)
    if origin is tuple:
        items = values_of(arguments[0])
        return (
            st.one_of(items, st.tuples(*map(values_of, arguments)))
            if len(arguments) == 2
            else st.tuples(*map(values_of, arguments))
        )
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.sampled_from([n for n in NUMBERS if inside(n, limits(metadata))])
    if annotation is float:
        return st.sampled_from([n for n in REALS if inside(n, limits(metadata))])
    if annotation is type(None):
        return st.none()
    if annotation is Op:
        return st.sampled_from([LAYERS["relu"](), LAYERS["bn"](), LAYERS["prelu"](), LAYERS["dropout"]()])
    raise TypeError(f"the tests can't draw {annotation}")


SMALL = st.sampled_from([0, 0, 1, 1, 2, 3, 5])
PADDINGS = st.one_of(
    st.sampled_from(["same", "valid"]), SMALL, st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL, SMALL, SMALL)
)
"""The spellings of a padding, which its field's type does not show."""
LIKELY = {
    "groups": st.sampled_from([2, 2, 3, 4]),
    "channels": st.sampled_from([12, 24]),
    "output_padding": st.just(0),
}
"""Values that go together more often than chance has it."""


@st.composite
def ops(draw: st.DrawFn, name: str) -> Op:
    """A layer with drawn arguments, some left out."""
    cls = LAYERS[name]
    while True:
        given: dict[str, Any] = {}
        for field, info in cls.model_fields.items():
            if info.is_required() or draw(st.booleans()):
                values = values_of(info.annotation, info.metadata)
                given[field] = draw(
                    PADDINGS if field == "padding" else st.one_of(values, LIKELY.get(field, values))
                )
        try:
            return cls(**given)
        except ValidationError as error:
            # the types say nearly all: what they don't is refused with a sentence
            assert {item["type"] for item in error.errors()} == {"value_error"}


CHANNELS = st.sampled_from([1, 2, 3, 4, 6, 8, 12, 12, 16])
LENGTHS = st.one_of(st.integers(1, 9), st.integers(1, 32))
IMAGES = st.tuples(CHANNELS, LENGTHS, LENGTHS)
SHAPES = st.one_of(IMAGES, IMAGES, IMAGES, IMAGES, st.tuples(CHANNELS))


@st.composite
def inputs_of(draw: st.DrawFn, cls: type[Op]) -> tuple[Shape, ...]:
    first = draw(SHAPES)
    count = draw(st.integers(2, 4)) if cls.arity is None else cls.arity
    shapes = [first]
    for _ in range(count - 1):
        change = draw(st.sampled_from(["", "", "", "", "some", "all"]))
        other = tuple(draw(st.sampled_from([size, size, 1, 5])) for size in first)
        shapes.append({"": first, "some": other, "all": draw(SHAPES)}[change])
    return tuple(shapes)


# ---- torch's own opinion ----


def module_of(lowering: Module) -> nn.Module:
    space: dict[str, Any] = {"torch": torch, "nn": nn}
    if lowering.helper:
        exec(lowering.helper, space)
    return eval(lowering.target, space)(*lowering.args, **lowering.kwargs)


def function_of(lowering: Function, count: int) -> Callable[..., torch.Tensor]:
    names = [f"x{i}" for i in range(count)]
    text = lowering.text(names)
    return eval(f"lambda {', '.join(names)}: {text}", {"torch": torch})


def runnable(op: Op, *inputs: Shape) -> Callable[..., torch.Tensor]:
    lowering = op.lower(*inputs)
    return module_of(lowering) if isinstance(lowering, Module) else function_of(lowering, len(inputs))


def torch_says(op: Op, inputs: tuple[Shape, ...], device: str) -> tuple[Shape | None, Any]:
    """The output's shape with a batch of 2, or None where torch refuses; and the module."""
    run = None
    try:
        with torch.device(device):
            run = runnable(op, *inputs)
            outputs = [run(*(torch.zeros(2, *shape) for shape in inputs))]
            if isinstance(run, nn.Module):
                outputs.append(run.eval()(*(torch.zeros(2, *shape) for shape in inputs)))
    except (RuntimeError, ValueError, IndexError):
        return None, run
    (shape,) = {tuple(output.shape) for output in outputs}
    return shape, run


def weights_in(run: Any) -> dict[str, Weight]:
    if not isinstance(run, nn.Module):
        return {}
    state = run.state_dict().keys()
    found = {n: Weight(n, tuple(p.shape)) for n, p in run.named_parameters()}
    found |= {n: Weight(n, tuple(b.shape), trainable=False) for n, b in run.named_buffers()}
    assert found.keys() == state
    found.pop("num_batches_tracked", None)
    return found


def on_purpose(op: Op, inputs: tuple[Shape, ...], error: ShapeError, theirs: Shape) -> str:
    """Why a layer refuses what torch takes, or ''."""
    if 0 in theirs:
        return "torch gives an image with no rows or no columns"
    if op.syntax in ("add", "mean", "maximum", "gate"):
        return "torch stretches sizes of 1, and so sums what an author did not mean to: only `mul` does"
    if op.syntax == "mul" and len({len(shape) for shape in inputs}) > 1:
        return "torch would line a vector up with an image's rows"
    if op.syntax in ("pad", "crop", "gap", "adaptiveavgpool", "adaptivemaxpool") and len(inputs[0]) == 1:
        return "torch would take the batch for a side of the image"
    if op.syntax in ("normalize", "scale"):
        return "torch would stretch one channel to as many as there are means or factors"
    if op.syntax == "gn" and error.code == "A204":
        return "torch refuses a group of one number only of a single image, and leaves nothing of it in a batch"
    if op.syntax == "split" and isinstance(op.parts, int):
        return "torch.chunk gives parts of different sizes"
    if op.syntax in ("maxpool", "avgpool") and error.argument in ("padding", "ceil"):
        uneven = op.padding[0] != op.padding[1] or op.padding[2] != op.padding[3]
        return "torch has no pool with uneven padding; its rule for an even one is kept" if uneven else ""
    return ""


CPU_ONLY = {"maxpool", "upconv"}
"""torch's meta kernels do not check output_padding, nor a dilated pool's padding; those of the CPU do."""

NEVER_REFUSE = {name for name, cls in LAYERS.items() if not any("error" in e for e in cls.examples)} | {"fc"}
"""Layers that take whatever has numbers for sizes."""


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_agrees_with_torch(name: str) -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=200, derandomize=True, database=None, deadline=None)
    @given(ops(name), inputs_of(LAYERS[name]))
    def agree(op: Op, inputs: tuple[Shape, ...]) -> None:
        for part in op.expand():
            assert part.expand() == (part,)
            error = None
            try:
                ours = part.infer(*inputs)
            except ShapeError as refusal:
                ours, error = None, refusal
            try:
                theirs, run = torch_says(part, inputs, "cpu" if name in CPU_ONLY else "meta")
            except ShapeError:  # there is no module that would do it
                theirs, run = None, None
            if error is not None:
                assert theirs is None or on_purpose(part, inputs, error, theirs), (
                    part,
                    inputs,
                    str(error),
                    theirs,
                )
                counts["refused"] += 1
                return
            assert ours is not None
            assert theirs == (2, *ours), (part, inputs)
            owned = part.weights(*inputs)
            assert {weight.name: weight for weight in owned} == weights_in(run)
            assert len({weight.name for weight in owned}) == len(owned)
            inputs = (ours,)
        counts["fit"] += 1

    agree()
    assert counts["fit"] >= 10, counts
    assert (counts["refused"] >= 5) == (name not in NEVER_REFUSE), counts


def test_every_layer_is_drawn() -> None:
    """One for each file, named as it: a layer that is not found is not tested."""
    files = {path.stem for path in Path(archdsl.ops.__path__[0]).glob("[!_]*.py")}
    assert files - {"base"} == set(LAYERS)
    assert len(files) > 40


@pytest.mark.parametrize("name", sorted(set(LAYERS) - {"fc", "adaptiveavgpool", "adaptivemaxpool"}))
def test_symbols_agree_with_numbers(name: str) -> None:
    """Inferred on H and W and then given numbers: what the numbers give at once."""
    counts: Counter[str] = Counter()
    H, W = symbol("H"), symbol("W")

    @settings(max_examples=100, derandomize=True, database=None, deadline=None)
    @given(ops(name), st.integers(1, 3), CHANNELS, LENGTHS, LENGTHS)
    def agree(op: Op, count: int, channels: int, height: int, width: int) -> None:
        count = count + 1 if op.arity is None else op.arity or 1
        at = {"H": height, "W": width}
        try:
            numbers = sizes_after(op, *[(channels, height, width)] * count)
        except ShapeError as error:
            # with the sizes unknown, only what no size could mend is refused
            if error.argument not in ("kernel", None) and error.code != "A202":
                try:
                    sizes_after(op, *[(channels, H, W)] * count)
                except ShapeError as same_error:
                    assert same_error.argument == error.argument
            counts["refused"] += 1
            return
        symbols = sizes_after(op, *[(channels, H, W)] * count)
        assert tuple(substitute(size, at) for size in symbols) == numbers
        assert all(known(size) for size in numbers)
        for part in op.expand()[:1]:
            there = [(channels, H, W)] * count, [(channels, height, width)] * count
            macs = [part.macs(part.infer(*shapes), *shapes) for shapes in there]
            assert substitute(macs[0], at) == macs[1]
            extents = [part.window(*shapes).extent for shapes in there]
            assert tuple(substitute(size, at) for size in extents[0]) == extents[1]
            assert str(part.lower(*there[0])) == str(part.lower(*there[1]))  # nothing built depends on H or W
        counts["fit"] += 1

    agree()
    assert counts["fit"] >= 10, counts


@pytest.mark.parametrize("name", ["conv", "dwconv", "upconv", "fc"])
def test_macs_are_half_of_torchs_flops(name: str) -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=100, derandomize=True, database=None, deadline=None)
    @given(ops(name), IMAGES)
    def agree(op: Op, shape: Shape) -> None:
        for part in op.expand():
            try:
                output = part.infer(shape)
            except ShapeError:
                return
            with torch.device("meta"):
                run = runnable(part, shape)
                if part.syntax == "bn":
                    run.eval()  # while training it refuses a single value
                with FlopCounterMode(display=False) as counter:
                    run(torch.zeros(1, *shape))
            assert part.macs(output, shape) == counter.get_total_flops() // 2
            counts["counted"] += part.syntax == name
            counts["grouped"] += getattr(part, "groups", 1) > 1
            shape = output

    agree()
    assert counts["counted"] >= 10, counts
    assert counts["grouped"] >= 3 or "groups" not in LAYERS[name].model_fields, counts


def test_only_these_have_macs() -> None:
    counted = {name for name, cls in LAYERS.items() if cls.macs is not Op.macs}
    assert counted == {"conv", "dwconv", "upconv", "fc"}


# ---- numbers ----


def built(head: str, *inputs: Shape) -> Any:
    run = runnable(read_op(head), *inputs)
    return run.double() if isinstance(run, nn.Module) else run


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def same_before(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's documented formula: the padding before, and how many outputs there are."""
    outputs = ceil(Fraction(size, stride))
    total = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, outputs


def cells(
    size: int, kernel: int, stride: int, dilation: int, before: int, outputs: int
) -> list[list[tuple[int, int]]]:
    """For each output, the (tap, place) pairs that lie inside the image."""
    taps = [[(k, o * stride - before + k * dilation) for k in range(kernel)] for o in range(outputs)]
    return [[(k, place) for k, place in row if 0 <= place < size] for row in taps]


def by_hand(x: torch.Tensor, rows: Any, columns: Any, value: Callable[[Any], Any]) -> torch.Tensor:
    """value(((ky, kx, x[:, :, i, j]), ...)) for each output position."""
    lines = []
    for row in rows:
        line = [
            value([(ky, kx, x[:, :, i, j]) for (ky, i), (kx, j) in product(row, column)])
            for column in columns
        ]
        lines.append(torch.stack(line, dim=-1))
    return torch.stack(lines, dim=-2)


def conv_value(weight: torch.Tensor, bias: torch.Tensor) -> Callable[[Any], torch.Tensor]:
    return lambda window: sum(v @ weight[:, :, ky, kx].T for ky, kx, v in window) + bias


def max_value(window: Any) -> torch.Tensor:
    return torch.stack([v for _, _, v in window]).max(0).values


def mean_value(window: Any) -> torch.Tensor:
    return torch.stack([v for _, _, v in window]).mean(0)


@pytest.mark.parametrize("size", [(7, 7), (8, 8), (9, 4), (1, 5), (2, 11)])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 2, 1), (2, 1, 1), (5, 3, 1), (3, 4, 1), (2, 2, 1), (3, 2, 2)]
)
def test_same_is_tensorflows(size: tuple[int, int], kernel: int, stride: int, dilation: int) -> None:
    x = random(2, 3, *size)
    sides = [same_before(length, kernel, stride, dilation) for length in size]
    rows, columns = (
        cells(length, kernel, stride, dilation, *side) for length, side in zip(size, sides, strict=True)
    )
    conv = built(f"conv{kernel}-4/{stride}(p=same, dilation={dilation})", (3, *size))
    assert type(conv).__name__ == "SameConv2d"
    assert_close(conv(x), by_hand(x, rows, columns, conv_value(conv.weight, conv.bias)))
    if all(row for row in (*rows, *columns)):
        pool = built(f"maxpool{kernel}/{stride}(p=same, dilation={dilation})", (3, *size))
        assert_close(pool(x), by_hand(x, rows, columns, max_value))
    if dilation == 1:
        pool = built(f"avgpool{kernel}/{stride}(p=same)", (3, *size))
        assert_close(pool(x), by_hand(x, rows, columns, mean_value))
        whole = built(f"avgpool{kernel}/{stride}(p=same, include_pad=true)", (3, *size))
        total = by_hand(x, rows, columns, lambda window: sum(v for _, _, v in window) / kernel**2)
        assert_close(whole(x), total)


def test_a_dilated_pool_is_padded_by_up_to_half_of_its_window() -> None:
    """Which torch's own layer refuses: it looks at the kernel alone."""
    x = random(2, 3, 9, 8)
    rows, columns = (cells(length, 3, 1, 2, 2, length) for length in (9, 8))
    pool = built("maxpool3/1(p=2, dilation=2)", (3, 9, 8))
    assert_close(pool(x), by_hand(x, rows, columns, max_value))
    with pytest.raises(archdsl.ArchError, match="half of a window of 3"):
        archdsl.loads("maxpool3/2(p=2, dilation=2, ceil=true)", input="3x9x8")


def assert_close(one: torch.Tensor, two: torch.Tensor) -> None:
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)
    assert two.abs().max() > 0


def test_static_same_is_tensorflows_too() -> None:
    """Stride 1 and odd windows need no helper; their values must be the same rule's."""
    x = random(2, 3, 6, 9)
    rows, columns = (cells(n, 3, 1, 1, *same_before(n, 3, 1, 1)) for n in (6, 9))
    for head, value in (("avgpool3/1(p=same)", mean_value), ("maxpool3/1(p=same)", max_value)):
        pool = built(head, (3, 6, 9))
        assert type(pool) in (nn.AvgPool2d, nn.MaxPool2d)
        assert_close(pool(x), by_hand(x, rows, columns, value))


def test_uneven_padding() -> None:
    x = random(2, 3, 6, 8)
    rows, columns = cells(6, 3, 2, 1, 0, 3), cells(8, 3, 2, 1, 1, 4)
    conv = built("conv3-4/2(p=(0, 1, 1, 0))", (3, 6, 8))
    assert type(conv).__name__ == "PaddedConv2d"
    assert_close(conv(x), by_hand(x, rows, columns, conv_value(conv.weight, conv.bias)))
    heads = {
        "maxpool3/2(p=(0, 1, 1, 0))": max_value,
        "avgpool3/2(p=(0, 1, 1, 0), include_pad=false)": mean_value,
    }
    heads["avgpool3/2(p=(0, 1, 1, 0))"] = lambda window: sum(v for _, _, v in window) / 9
    for head, value in heads.items():
        assert_close(built(head, (3, 6, 8))(x), by_hand(x, rows, columns, value))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (4, 2), (5, 2), (2, 2), (4, 3), (3, 1)])
def test_upconv_same_is_the_gradient_of_same(kernel: int, stride: int) -> None:
    x = random(2, 3, 4, 5)
    op = read_op(f"upconv{kernel}-4/{stride}(p=same)")
    assert op.infer((3, 4, 5)) == (4, 4 * stride, 5 * stride)
    run = module_of(op.lower((3, 4, 5))).double()  # type: ignore[arg-type]
    expected = run.bias.view(1, 4, 1, 1).repeat(2, 1, 4 * stride, 5 * stride)
    tops = [same_before(n * stride, kernel, stride, 1)[0] for n in (4, 5)]
    for i, j, ky, kx in product(range(4), range(5), range(kernel), range(kernel)):
        to = i * stride + ky - tops[0], j * stride + kx - tops[1]
        if 0 <= to[0] < 4 * stride and 0 <= to[1] < 5 * stride:
            expected[:, :, to[0], to[1]] += x[:, :, i, j] @ run.weight[:, :, ky, kx]
    assert_close(run(x), expected)


def test_depthwise_output_channels() -> None:
    """Output channel i reads input channel i // multiplier."""
    run = built("dwconv1(multiplier=2, bias=false)", (3, 1, 1))
    x = random(1, 3, 1, 1)
    assert_close(run(x).flatten(), x.flatten().repeat_interleave(2) * run.weight.flatten())


def test_droppath() -> None:
    torch.manual_seed(0)
    run = built("droppath(0.25)", (2, 3, 3))
    x = torch.ones(20_000, 2, 3, 3, dtype=torch.float64)
    y = run(x)
    samples = y.flatten(1)
    assert (samples == samples[:, :1]).all(), "a sample is kept or dropped whole"
    assert set(samples[:, 0].tolist()) == {0.0, 1 / 0.75}
    assert abs(y.mean() - 1) < 0.02
    assert run(random(4, 7)).shape == (4, 7)
    assert run.eval()(x) is x
    zero = built("droppath(0)", (2, 3, 3))
    assert_close(zero(random(2, 3, 3, 3)), random(2, 3, 3, 3))


def test_mean_drop_path_keeps_one() -> None:
    torch.manual_seed(0)
    shape = (2, 3, 3)
    run = built("mean(drop_path=0.5)", shape, shape, shape)
    paths = [torch.full((20_000, *shape), value, dtype=torch.float64) for value in (1.0, 10.0, 100.0)]
    kept = run(*paths).flatten(1)
    assert (kept == kept[:, :1]).all(), "per sample"
    subsets = {1, 10, 100, 5.5, 50.5, 55, 37}
    seen = Counter(round(value, 9) for value in kept[:, 0].tolist())
    assert seen.keys() == subsets
    # each path alone: 1/8, and a third of the 1/8 that lost all
    for value in (1, 10, 100):
        assert abs(seen[value] / 20_000 - (1 / 8 + 1 / 24)) < 0.02
    assert abs(seen[37] / 20_000 - 1 / 8) < 0.02
    assert_close(run.eval()(*paths), torch.full((20_000, *shape), 37.0, dtype=torch.float64))
    plain = built("mean", shape, shape, shape)
    assert_close(plain(*paths), sum(paths) / 3)


def test_gate() -> None:
    h, t, x = random(2, 3, 4, 4), random(2, 3, 4, 4) * 2, random(2, 3, 4, 4) + 1
    gate = torch.sigmoid(t)
    assert_close(built("gate", *[(3, 4, 4)] * 3)(h, t, x), h * gate + x * (1 - gate))


def test_merges() -> None:
    a, b, c = random(2, 3, 4, 4), random(2, 3, 4, 4) - 1, random(2, 3, 4, 4) * 3
    shapes = [(3, 4, 4)] * 3
    assert_close(built("add", *shapes)(a, b, c), a + b + c)
    assert_close(built("mul", *shapes)(a, b, c), a * b * c)
    assert_close(built("maximum", *shapes)(a, b, c), torch.stack([a, b, c]).max(0).values)
    assert_close(built("concat", *shapes)(a, b, c), torch.cat([a, b, c], dim=1))


def test_normalize() -> None:
    run = built("normalize((0.5, 0.25, 0), (0.5, 0.25, 2))", (3, 4, 4))
    x = random(2, 3, 4, 4)
    expected = torch.stack([(x[:, 0] - 0.5) / 0.5, (x[:, 1] - 0.25) / 0.25, x[:, 2] / 2], dim=1)
    assert_close(run(x), expected)
    assert sum(b.numel() for b in run.buffers()) == 7, (
        "what EfficientNet's count in Keras has more than torch's"
    )
    one = built("normalize(0.5, 0.25)", (4,))
    assert_close(one(random(2, 4)), (random(2, 4) - 0.5) / 0.25)


def test_channelshuffle() -> None:
    y = built("channelshuffle(2)", (6, 1, 1))(torch.arange(6.0).view(1, 6, 1, 1))
    assert y.flatten().tolist() == [0, 3, 1, 4, 2, 5]
    groups, channels = 2, 6
    assert y.flatten().tolist() == [i % groups * (channels // groups) + i // groups for i in range(channels)]


def test_split() -> None:
    x = random(2, 6, 3, 3)
    parts = [built(f"split({part}, 3)", (6, 3, 3))(x) for part in range(3)]
    assert_close(parts[1], x[:, 2:4])
    assert_close(torch.cat(parts, dim=1), x)
    assert_close(built("split(1, 2)", (6,))(x[:, :, 0, 0]), x[:, 3:, 0, 0])
    with pytest.raises(ValidationError, match="counted from 0, so the last of 2 is 1"):
        LAYERS["split"](part=2, parts=2)
    with pytest.raises(ShapeError) as caught:
        read_op("split(1, 4)").infer((6, 3, 3))
    assert caught.value.hint == "3 parts would do" and caught.value.notes == ("6 = 1*4 + 2",)


@pytest.mark.parametrize("widths", ["(1, 2, 3)", "(_, 2, 3)", "(1, _, 3)", "(1, 2, _)"])
def test_split_of_stated_widths(widths: str) -> None:
    x = random(2, 6, 3, 3)
    parts = [built(f"split({part}, {widths})", (6, 3, 3))(x) for part in range(3)]
    assert [part.shape[1] for part in parts] == [1, 2, 3]
    assert_close(torch.cat(parts, dim=1), x)
    assert_close(built(f"split(2, {widths})", (6,))(x[:, :, 0, 0]), x[:, 3:, 0, 0])


@pytest.mark.parametrize(
    ("op", "channels", "code", "instead"),
    [
        ("split(0, (16, 32))", 64, "A205", "(16, 48)"),
        ("split(1, (16, 64))", 64, "A205", "(16, 48)"),
        ("split(1, (64, 16))", 64, "A205", ""),
        ("split(0, (64, _))", 64, "A205", ""),
        ("split(0, (16, 32))", symbol("C"), "A206", "(16, _)"),
        ("split(16, 48)", 64, "A205", ""),
    ],
)
def test_split_that_does_not_add_up(op: str, channels: Dim, code: str, instead: str) -> None:
    with pytest.raises(ShapeError) as caught:
        read_op(op).infer((channels, 3, 3))
    assert (caught.value.code, caught.value.instead) == (code, instead) and caught.value.hint
    if op == "split(16, 48)":  # as torch.split has it
        assert "`split(0, (16, 48))` and `split(1, (16, 48))`" in caught.value.hint


def test_the_rest_of_channels_that_are_not_known() -> None:
    assert read_op("split(1, (16, _))").infer((symbol("C"), 3, 3)) == (symbol("C") - 16, 3, 3)
    with pytest.raises(ValidationError, match="only one part can be the rest"):
        LAYERS["split"](part=0, parts=("_", 2, "_"))
    for wrong in (0, "_", (3,), (2, 0), (2, 1.5), (2, True)):
        with pytest.raises(ValidationError, match="a number of equal parts, 2, or the channels of each"):
            LAYERS["split"](part=0, parts=wrong)


def test_layer_norm_is_over_the_channels_of_each_position() -> None:
    x = random(2, 5, 3, 4) * 3 + 1
    run = built("ln(eps=1e-2)", (5, 3, 4))
    with torch.no_grad():
        run.weight.copy_(random(5))
        run.bias.copy_(random(5) - 1)
    mean, variance = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
    weight, bias = (parameter.view(-1, 1, 1) for parameter in (run.weight, run.bias))
    assert_close(run(x), (x - mean) / (variance + 1e-2).sqrt() * weight + bias)
    vector = built("ln(eps=1e-2)", (5,))
    vector.load_state_dict(run.state_dict())
    assert_close(vector(x[:, :, 1, 2]), run(x)[:, :, 1, 2])


SIDES = st.integers(1, 7)


def numbers(*shape: int, seed: int) -> torch.Tensor:
    """Far from mean 0 and deviation 1."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 3 + 2


def by_channel(run: nn.Module, dims: int) -> list[torch.Tensor]:
    """Weight and bias, with values that differ from channel to channel, as they go with a tensor of so many dimensions."""
    found = []
    with torch.no_grad():
        for seed, parameter in enumerate(run.parameters()):
            parameter.copy_(numbers(parameter.numel(), seed=seed))
            found.append(parameter.view(1, -1, *[1] * (dims - 2)))
    return found


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(st.sampled_from([1, 2, 3, 8]), st.integers(1, 4), st.sampled_from([(), (1, 1), (1, 5), (4, 3)]), st.integers(0, 99))
def test_group_norm_is_over_all_of_a_group_of_one_sample(groups: int, each: int, sides: Shape, seed: int) -> None:
    shape = (groups * each, *sides)
    if each * prod(sides) == 1:
        with pytest.raises(ShapeError, match="each group is one number here"):
            read_op(f"gn({groups})").infer(shape)
        return
    run, x = built(f"gn({groups}, eps=1e-2)", shape), numbers(3, *shape, seed=seed)
    weight, bias = by_channel(run, x.dim())
    parts = x.reshape(3, groups, -1)
    mean, variance = parts.mean(2, keepdim=True), parts.var(2, unbiased=False, keepdim=True)
    expected = ((parts - mean) / (variance + 1e-2).sqrt()).reshape(x.shape) * weight + bias
    assert_close(run(x), expected)
    assert_close(run.eval()(x), expected)
    assert_close(run(x[1:2]), expected[1:2])  # whatever else is in the batch


def test_a_norm_has_32_groups_unless_told_otherwise() -> None:
    assert read_op("gn") == read_op("gn(32)") and read_op("gn").lower((64, 7, 7)) == read_op("gn(32)").lower((64, 7, 7))
    for channels, told in ((48, "groups=24 would do"), (16, "groups=8 would do"), (7, "groups=1 would do"), (1, "groups=1 would do")):
        with pytest.raises(ShapeError) as caught:
            read_op("gn").infer((channels, 8, 8))
        assert caught.value.hint == told
        assert caught.value.notes == (f"{channels} = {channels // 32}*32 + {channels % 32}", "gn has 32 groups unless told otherwise")
        with pytest.raises(ShapeError) as caught:
            read_op("gn(32)").infer((channels, 8, 8))
        assert len(caught.value.notes) == 1
    with pytest.raises(ShapeError) as caught:
        read_op("gn(5)").infer((12, 8, 8))
    assert caught.value.hint == "groups=4 or groups=6 would do"


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(st.integers(1, 6), st.sampled_from([(1, 5), (4, 3), (7, 1), (2, 2)]), st.booleans(), st.integers(0, 99))
def test_instance_norm_is_over_each_channel_of_one_sample(channels: int, sides: Shape, affine: bool, seed: int) -> None:
    shape = (channels, *sides)
    run, x = built(f"instancenorm(eps=1e-2, affine={str(affine).lower()})", shape), numbers(3, *shape, seed=seed)
    weight, bias = by_channel(run, 4) or (torch.ones(1), torch.zeros(1))
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    expected = (x - mean) / (variance + 1e-2).sqrt() * weight + bias
    assert_close(run(x), expected)
    assert_close(run.eval()(x[1:2]), expected[1:2])


@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(st.sampled_from([0.1, 0.5, 1.0, 3.0]), st.sampled_from([(5,), (3, 4, 2)]), st.integers(0, 99))
def test_elu_and_mish(alpha: float, shape: Shape, seed: int) -> None:
    x = numbers(2, *shape, seed=seed) - 2
    assert_close(built(f"elu({alpha})", shape)(x), torch.where(x > 0, x, alpha * (x.exp() - 1)))
    assert_close(built("elu", shape)(x), torch.where(x > 0, x, x.exp() - 1))
    assert_close(built("mish", shape)(x), x * torch.tanh(torch.log(1 + x.exp())))


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), SIDES, SIDES)
def test_pixels_are_shuffled_row_by_row(factor: int, channels: int, height: int, width: int) -> None:
    large = torch.arange(2.0 * channels * height * factor * width * factor).view(2, channels, height * factor, width * factor)
    small = torch.empty(2, channels * factor**2, height, width)
    for c, i, j in product(range(channels), range(factor), range(factor)):
        small[:, (c * factor + i) * factor + j] = large[:, c, i::factor, j::factor]
    assert torch.equal(built(f"pixelshuffle({factor})", tuple(small.shape[1:]))(small), large)
    assert torch.equal(built(f"pixelunshuffle({factor})", tuple(large.shape[1:]))(large), small)


def test_pixels_of_an_open_size() -> None:
    """What is known not to fit is refused, and no more."""
    H = symbol("H")
    assert read_op("pixelunshuffle(2)").infer((3, 4 * H, H)) == (12, 2 * H, H // 2)
    with pytest.raises(ShapeError, match="does not fall into squares of 2x2") as caught:
        read_op("pixelunshuffle(2)").infer((3, 4 * H + 1, H))
    assert caught.value.before == "pad((0, 1, 0, 0))"
    assert caught.value.notes == ("height: 4*H + 1 = 2*H*2 + 1",)
    with pytest.raises(ShapeError) as caught:
        read_op("pixelshuffle(3)").infer((4, H, H))
    assert caught.value.incoming == 36 and caught.value.hint == "36 channels would give 4"


def test_scale() -> None:
    x = torch.rand(2, 3, 4, 4)
    by_channel = built("scale((0.5, 2, -1))", (3, 4, 4))(x)
    assert torch.equal(by_channel, torch.stack([x[:, 0] * 0.5, x[:, 1] * 2, -x[:, 2]], dim=1))
    assert torch.equal(built("scale(0.5)", (3, 4, 4))(x), x * 0.5)


def test_layerscale() -> None:
    run = built("layerscale(0.25)", (3, 4, 4))
    x = random(2, 3, 4, 4)
    assert_close(run(x), x / 4)
    with torch.no_grad():
        run.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert_close(run(x), torch.stack([x[:, 0], 2 * x[:, 1], 3 * x[:, 2]], dim=1))
    assert_close(run(x[:, :, 0, 0]), run(x)[:, :, 0, 0])


def test_pad() -> None:
    x = random(2, 3, 2, 2)
    y = built("pad((1, 0, 0, 2), channels=5)", (3, 2, 2))(x)
    assert y.shape == (2, 5, 3, 4)
    assert_close(y[:, :3, 1:, :2], x)
    assert (y != 0).sum() == x.numel()
    y = built("pad(1, value=-1.5)", (3, 2, 2))(x)
    assert (y[:, :, 0] == -1.5).all() and (y[:, :, :, -1] == -1.5).all()
    assert_close(y[:, :, 1:-1, 1:-1], x)
    same = built("pad(channels=3)", (3, 2, 2))(x)
    assert_close(same, x)


def test_batch_norm_without_gamma_or_beta() -> None:
    for (gamma, beta), shape in product([(False, True), (True, False), (False, False)], [(3, 5, 5), (3,)]):
        text = f"bn(gamma={str(gamma).lower()}, beta={str(beta).lower()}, eps=1e-2, momentum=0.3)"
        run, reference = built(text, shape), built("bn(eps=1e-2, momentum=0.3)", shape)
        with torch.no_grad():
            reference.weight.fill_(2.0 if gamma else 1.0)
            reference.bias.fill_(-3.0 if beta else 0.0)
            for name, value in run.named_parameters():
                value.fill_({"weight": 2.0, "bias": -3.0}[name])
        x = random(4, *shape) * 5 + 2
        assert_close(run(x), reference(x))
        assert_close(run.eval()(x), reference.eval()(x))
        run.reset_parameters()
        assert all((p == (1.0 if n == "weight" else 0.0)).all() for n, p in run.named_parameters())
        assert_close(run.running_var, torch.ones(3, dtype=torch.float64))


def test_lrn_divides_alpha_as_its_docstring_says() -> None:
    x = random(1, 5, 1, 1)
    y = built("lrn(5, alpha=5e-4, k=2)", (5, 1, 1))(x)
    # the paper's b at the middle channel, with its n=5, alpha=1e-4, beta=0.75, k=2
    assert_close(y[0, 2, 0, 0], x[0, 2, 0, 0] / (2 + 1e-4 * (x**2).sum()) ** 0.75)


def test_fc_flattens() -> None:
    run = built("fc-4", (3, 2, 2))
    x = random(5, 3, 2, 2)
    assert_close(run(x), x.reshape(5, 12) @ run.weight.T + run.bias)
    assert list(run.state_dict()) == ["weight", "bias"]
    assert run(random(5, 12)).shape == (5, 4)


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        ("conv3-2", (1, 9, 9)),
        ("conv1x5-2", (1, 9, 9)),
        ("conv3-2(dilation=2)", (1, 11, 11)),
        ("dwconv5/2(p=same)", (2, 12, 12)),
        ("conv3-2/2(p=(0, 1, 0, 1))", (1, 9, 9)),
        ("avgpool3/2(p=1)", (1, 9, 9)),
        ("upconv2-2/2", (1, 6, 6)),
        ("upconv4-2/2(p=1)", (1, 6, 6)),
        ("upconv5-2/2(p=2)", (1, 8, 8)),
        ("upconv3-2(dilation=2)", (1, 9, 9)),
        ("gap", (2, 5, 6)),
        ("adaptiveavgpool(size=(2, 3))", (1, 8, 9)),
        ("crop((1, 0, 1, 2))", (1, 8, 9)),
        ("crop(size=(5, 4))", (1, 8, 8)),
        ("fc-3", (2, 5, 6)),
        ("flatten", (1, 1, 1)),
        ("relu", (2, 5, 6)),
        ("upsample(2)", (1, 5, 5)),
        ("upsample(3, bilinear)", (1, 5, 5)),
        ("pixelshuffle(2)", (4, 5, 6)),
        ("pixelunshuffle(2)", (1, 8, 10)),
        ("pixelunshuffle(3)", (2, 12, 15)),
    ],
)
def test_window_is_what_a_gradient_reaches(head: str, shape: Shape) -> None:
    """The largest box of inputs that one output position depends on; and how far it moves per output."""
    op = read_op(head)
    run = built(head, shape)
    if isinstance(run, nn.Module):
        for parameter in run.parameters():
            nn.init.constant_(parameter, 0.5)
    x = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
    y = run(x)
    y = y.view(1, -1, *y.shape[2:]) if y.dim() == 4 else y.view(1, -1, 1, 1)
    reach = [0, 0]
    ends: dict[int, dict[int, int]] = {0: {}, 1: {}}
    for i, j in product(range(y.shape[2]), range(y.shape[3])):
        (gradient,) = torch.autograd.grad(y[0, :, i, j].sum(), x, retain_graph=True)
        for axis, place in enumerate((i, j)):
            seen = gradient.abs().sum(dim=(0, 1, 3 - axis)).nonzero().flatten().tolist()
            if seen:
                reach[axis] = max(reach[axis], seen[-1] - seen[0] + 1)
                ends[axis][place] = seen[-1]
    window = op.window(shape)
    assert tuple(reach) == window.extent
    for axis in (0, 1):
        places = sorted(ends[axis])
        if len(places) > 4 and window.extent[axis] < shape[1 + axis]:
            first, last = places[1], places[-2]
            moved = ends[axis][last] - ends[axis][first]
            assert abs(moved - (last - first) * window.stride[axis]) <= max(window.extent[axis], 2)


# ---- what is emitted ----


def all_helpers() -> dict[str, str]:
    found: dict[str, str] = {}
    heads = [line.split(": ")[0] for _, line in EXAMPLES]
    heads += [
        "avgpool3/2(p=same)",
        "avgpool3/2(p=(0, 1, 1, 0))",
        "maxpool3/2(p=(0, 1, 1, 0))",
        "bn(beta=false)",
    ]
    heads += ["upconv3-8/2(p=same)"]
    for head in heads:
        for part in read_op(head).expand():
            for shape in ((12, 32, 32), (12,)):
                count = part.arity or 2
                try:
                    part.infer(*[shape] * count)
                except ShapeError:
                    continue
                lowering = part.lower(*[shape] * count)
                if isinstance(lowering, Module) and lowering.helper:
                    assert found.setdefault(lowering.target, lowering.helper) == lowering.helper
    return found


def test_helpers_are_clean_source() -> None:
    ruff = pytest.importorskip("ruff").find_ruff_bin()
    helpers = all_helpers()
    assert len(helpers) >= 12
    for target, helper in helpers.items():
        assert helper.startswith(f"class {target}(nn."), target
        tree = ast.parse(helper)
        assert ast.get_docstring(tree.body[0]) and len(tree.body) == 1  # type: ignore[arg-type]
        text = "import torch\nfrom torch import nn\n\n\n" + helper
        for command in (["format", "--check"], ["check", "--select", "E,F,W,B,UP,SIM", "--ignore", "F401"]):
            done = subprocess.run(
                [ruff, *command, "--isolated", "--line-length", "110", "-"],
                input=text,
                text=True,
                capture_output=True,
            )
            assert done.returncode == 0, f"{target}\n{done.stdout}{done.stderr}"


def test_lowering_is_written_as_torch_writes_it() -> None:
    def shown(head: str, *inputs: Shape) -> tuple[Any, ...]:
        return tuple(read_op(head).expand()[0].lower(*inputs))[:3]

    x = (3, 32, 32)
    assert shown("conv3-64", x) == ("torch.nn.Conv2d", (3, 64, 3), {"padding": 1})
    assert shown("conv1x7-64(norm=bn)", x) == (
        "torch.nn.Conv2d",
        (3, 64, (1, 7)),
        {"padding": (0, 3), "bias": False},
    )
    assert shown("conv3-64/2(p=0)", x) == ("torch.nn.Conv2d", (3, 64, 3), {"stride": 2})
    assert shown("dwconv3(p=0)", x) == ("torch.nn.Conv2d", (3, 3, 3), {"groups": 3})
    assert shown("maxpool", x) == ("torch.nn.MaxPool2d", (2,), {})
    assert shown("maxpool3/2(p=1)", x) == ("torch.nn.MaxPool2d", (3,), {"stride": 2, "padding": 1})
    assert shown("bn", x) == ("torch.nn.BatchNorm2d", (3,), {})
    assert shown("bn(eps=1e-3)", (10,)) == ("torch.nn.BatchNorm1d", (10,), {"eps": 1e-3})
    assert shown("fc-10", x) == ("Linear", (3072, 10), {})
    assert shown("pad((0, 1, 2, 3))", x) == ("torch.nn.ZeroPad2d", ((2, 3, 0, 1),), {})


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_only_plain_values_are_lowered(name: str) -> None:
    """What an emitter prints with repr must read back as itself."""

    @settings(max_examples=50, derandomize=True, database=None, deadline=None)
    @given(ops(name), inputs_of(LAYERS[name]))
    def plain(op: Op, inputs: tuple[Shape, ...]) -> None:
        for part in op.expand():
            try:
                output = part.infer(*inputs)
            except ShapeError:
                return
            lowering = part.lower(*inputs)
            if isinstance(lowering, Module):
                for value in (*lowering.args, *lowering.kwargs.values()):
                    assert ast.literal_eval(repr(value)) == value
            inputs = (output,)

    plain()


# ---- what a refusal says ----


@pytest.mark.parametrize(
    ("head", "inputs", "code", "argument", "message", "notes"),
    [
        ("conv7-8(p=0)", ["3x5x5"], "A201", "kernel", "a 7x7 window does not fit in 5x5",
         ["height and width: (5 + 2*0 - 7) // 1 + 1 = -1"]),
        ("conv3-8/2(p=(0, 1, 0, 0), dilation=3)", ["3x9x4"], "A201", "kernel",
         "a 3x3 window with dilation 3 does not fit in 9x4 with padding (0, 1, 0, 0)",
         ["width: (4 + 2*0 - (3*(3 - 1) + 1)) // 2 + 1 = -1"]),
        ("maxpool9/2(ceil=true)", ["3x9x1"], "A201", "kernel", "a 9x9 window does not fit in 9x1",
         ["width: ceil((1 + 2*0 - 9) / 2) + 1 = -3"]),
        ("avgpool7", ["512x6x7"], "A201", "kernel", "a 7x7 window does not fit in 6x7",
         ["height: (6 + 2*0 - 7) // 7 + 1 = 0"]),
        ("maxpool2(p=2)", ["3x9x9"], "A201", "padding",
         "a padding of 2 is more than half of a window of 2: it could see nothing else",
         ["height: 2 > 2 // 2 = 1"]),
        ("conv3-64(groups=3)", ["64x8x8"], "A205", "groups", "groups=3 does not divide the 64 input channels",
         ["64 = 21*3 + 1"]),
        ("conv3-64(groups=3)", ["6x8x8"], "A205", "groups", "groups=3 does not divide the 64 output channels",
         ["64 = 21*3 + 1"]),
        ("channelshuffle(4)", ["6x8x8"], "A205", "groups", "groups=4 does not divide the 6 input channels",
         ["6 = 1*4 + 2"]),
        ("fc-10", ["512xHxW"], "A206", None, "fc needs an input of a known size, not 512xHxW", []),
        ("conv3-8", ["10"], "A204", None,
         "conv takes an image (channels x height x width), and a vector of 10 comes in", []),
        ("upconv2-8(p=3)", ["3x4x4"], "A201", "padding",
         "a padding of 6 in all leaves nothing of the output's height",
         ["height: (4 - 1)*1 + 2 - 3 - 3 + 0 = -1"]),
        ("concat", ["64x32x32", "8x32x32", "64x16x16"], "A202", None,
         "branches 1 and 3 can't be concatenated: 64x32x32 and 64x16x16 differ in height and width", []),
        ("add", ["64x32x32", "32x32x32"], "A202", None,
         "branches 1 and 2 can't be added: 64x32x32 and 32x32x32 differ in channels", []),
        ("mul", ["64x1x1", "64x8x8", "16x1x1"], "A202", None,
         "branches 1 and 3 can't be multiplied: 64x1x1 and 16x1x1 differ in channels", []),
        ("mul", ["64x1x1", "1x8x8", "1x4x8"], "A202", None,
         "branches 2 and 3 can't be multiplied: 1x8x8 and 1x4x8 differ in height", []),
        ("mean", ["10", "12"], "A202", None,
         "branches 1 and 2 can't be averaged: 10 and 12 differ in length", []),
        ("maximum", ["4x(2*H)xW", "4xHxW"], "A202", None,
         "branches 1 and 2 can't be compared: 4x(2*H)xW and 4xHxW differ in height", []),
        ("add", ["64x1x1", "64"], "A202", None,
         "branches 1 and 2 can't be added: 64x1x1 and 64 are an image and a vector", []),
    ],
)  # fmt: skip
def test_refusal(
    head: str, inputs: list[str], code: str, argument: str | None, message: str, notes: list[str]
) -> None:
    with pytest.raises(ShapeError) as caught:
        read_op(head).infer(*map(read_shape, inputs))
    error = caught.value
    assert (error.code, error.argument, error.message, list(error.notes)) == (code, argument, message, notes)
    assert error.hint
    assert error.branch == (len(inputs) - 1 if code == "A202" else None)


def test_hints_name_groups_that_divide() -> None:
    with pytest.raises(ShapeError) as caught:
        read_op("conv3-64(groups=3)").infer((48, 8, 8))
    assert caught.value.hint == "groups=2 or groups=4 would do"
    with pytest.raises(ShapeError) as caught:
        read_op("conv3-7(groups=5)").infer((3, 8, 8))
    assert caught.value.hint == "groups=1 would do"


def test_parameters_of_a_known_layer() -> None:
    """VGG's first fc, which alone has three quarters of the network's parameters."""
    weights = read_op("fc-4096").weights((512, 7, 7))
    assert sum(prod(weight.shape) for weight in weights) == 102_764_544


def test_every_combinator_has_its_steps() -> None:
    """They are found by name: one that is missing would fail within somebody's check."""
    from archdsl.combinators import COMBINATORS
    from archdsl.elaborate.steps import Steps

    found = {name.removeprefix("do_") for name in dir(Steps) if name.startswith("do_")}
    assert found == set(COMBINATORS) == {combinator.name for combinator in COMBINATORS.values()}


@pytest.mark.parametrize(
    ("value", "width"),
    [("round8(33 * 0.75)", 24), ("round4(18)", 20), ("round4(5)", 8), ("round16(3)", 16), ("round1(2.5)", 3), ("round32(100.5)", 96)],
)
def test_multiples_of_a_number(value: str, width: int) -> None:
    """timm's make_divisible(x, d): the nearest multiple, at least one, not under 90 % of x."""
    assert archdsl.loads(f"input 3x8x8; conv1-({value})").shape == (width, 8, 8)
