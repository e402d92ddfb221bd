"""Whole specs, drawn as text together with what they mean.

Each drawn step is a pair: the text that the language reads, and a function on tensors that does directly what the
reference says of it, in torch's functional calls, with nothing of archdsl in between. Torch itself
says while drawing what fits; now and then a step that it refuses is kept, and then the whole text must be
refused.

A weight's values are decided by its role and shape alone (`fill`), so the drawn meaning and a module that archdsl
built can be given the same weights without a word about names.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch.nn import functional as F


@contextmanager
def one_thread() -> Iterator[None]:
    """Tensors of a few hundred numbers: on a busy machine more threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Refused(Exception):
    """What the language does not allow although torch might: shapes that would broadcast, a contract that is wrong."""


class TooLarge(Exception):
    """Not worth drawing."""


class Stream(NamedTuple):
    """A tensor, and the input pixels between two of its neighbours, which decides a shortcut's stride."""

    x: torch.Tensor
    jump: tuple[Fraction, Fraction]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape[1:])


def fill(role: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The values of every weight of that role and shape, in float64."""
    return _fill(role.rpartition(".")[2], tuple(shape)).clone()


@lru_cache(maxsize=4096)
def _fill(role: str, shape: tuple[int, ...]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(f"{role}{shape}".encode()))
    values = torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5
    if role == "running_var":
        return values + 1.0
    if len(shape) > 1:
        return values * (4 / max(1, values[0].numel()) ** 0.5)
    return values + 0.6 if role == "weight" else values


MOST_VALUES, MOST_LAYERS = 5000, 120


class World:
    """One run of a drawn network: where tensors live, and what was made on the way."""

    def __init__(self, zeros: bool = False) -> None:
        self.zeros = zeros  # while drawing, values don't matter
        self.params = self.buffers = self.layers = 0
        self.heads: dict[str, tuple[float, torch.Tensor]] = {}
        self.taps: dict[str, torch.Tensor] = {}

    def guard(self, x: torch.Tensor) -> None:
        """Networks that take long to run are not worth drawing."""
        if self.zeros and (x.numel() > MOST_VALUES or self.layers > MOST_LAYERS):
            raise TooLarge

    def weight(self, role: str, *shape: int) -> torch.Tensor:
        size = torch.Size(shape).numel()
        if role.startswith("running"):
            self.buffers += size
        else:
            self.params += size
        return torch.zeros(shape) if self.zeros else fill(role, shape)


class Env:
    """What a body can see."""

    def __init__(self, world: World, incoming: tuple[int, ...]) -> None:
        self.world, self.incoming = world, incoming
        self.variables: dict[str, int] = {}
        self.tensors: dict[str, Stream] = {}
        self.defaults: dict[str, dict[str, Any]] = {}
        self.top = False  # labels are taps
        self.arch = False  # heads and outputs may stand here
        self.depth = 0

    def copy(self, **changes: Any) -> Env:
        new = Env(self.world, self.incoming)
        new.variables, new.tensors = dict(self.variables), dict(self.tensors)
        new.defaults = {name: dict(values) for name, values in self.defaults.items()}
        new.top, new.arch, new.depth = self.top, self.arch, self.depth
        for name, value in changes.items():
            setattr(new, name, value)
        return new


class Expr(NamedTuple):
    """A compile-time number: its text, bare or in parentheses as a width needs it, and its value."""

    text: str
    value: Callable[[Env], int]

    def width(self) -> str:
        return self.text if self.text.isalnum() else f"({self.text})"


Run = Callable[..., Stream]


class Step(NamedTuple):
    """text; run(env, stream, after) -> stream, where `after(before)` is called after each copy (for `carry`)."""

    text: str
    run: Run


class Block(NamedTuple):
    """A drawn definition: parameters (name, default or None, tensor), and the body once it is drawn."""

    name: str
    parameters: tuple[tuple[str, int | None, bool], ...]
    body: list[Step]
    head: list[Step]


def run_all(steps: list[Step], env: Env, stream: Stream) -> Stream:
    for step in steps:
        env.world.guard(stream.x)
        stream = step.run(env, stream, None)
    return stream


# ---- what the layers mean ----


def image(stream: Stream) -> tuple[int, int, int]:
    if stream.x.dim() != 4:
        raise Refused("an image is wanted")
    _, channels, height, width = stream.x.shape
    return channels, height, width


def apply(x: torch.Tensor, *, world: World, kind: str | None, **options: Any) -> torch.Tensor:
    """A layer without a window."""
    if kind is None or kind in ("identity", "dropout", "droppath"):
        return x
    if kind == "bn":
        channels = x.shape[1]
        weight, bias = world.weight("weight", channels), world.weight("bias", channels)
        mean, var = world.weight("running_mean", channels), world.weight("running_var", channels)
        shape = (1, channels) + (1,) * (x.dim() - 2)
        mean, var, weight, bias = (v.view(shape) for v in (mean, var, weight, bias))
        return (x - mean) / torch.sqrt(var + options.get("eps", 1e-5)) * weight + bias
    if kind == "prelu":
        slope = world.weight("weight", x.shape[1]).view((1, -1) + (1,) * (x.dim() - 2))
        return torch.clamp(x, min=0) + slope * torch.clamp(x, max=0)
    functions = {
        "relu": lambda x: torch.clamp(x, min=0),
        "relu6": lambda x: torch.clamp(x, 0, 6),
        "sigmoid": lambda x: 1 / (1 + torch.exp(-x)),
        "tanh": torch.tanh,
        "silu": lambda x: x / (1 + torch.exp(-x)),
        "hswish": lambda x: x * torch.clamp(x + 3, 0, 6) / 6,
        "hsigmoid": lambda x: torch.clamp(x + 3, 0, 6) / 6,
        "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
        "softmax": lambda x: torch.softmax(x, 1),
    }
    return functions[kind](x)


def same_sides(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def window_jump(stream: Stream, stride: tuple[int, int]) -> tuple[Fraction, Fraction]:
    return stream.jump[0] * stride[0], stream.jump[1] * stride[1]


def core(stream: Stream, world: World, channels: int, given: dict[str, Any], depthwise: bool, bias: bool) -> Stream:
    """A bare convolution."""
    channels_in, height, width = image(stream)
    kernel, stride, dilation = given["kernel"], given["stride"], given["dilation"]
    groups = channels_in if depthwise else given["groups"]
    if channels_in % groups or channels % groups:
        raise Refused("groups")
    weight = world.weight("weight", channels, channels_in // groups, *kernel)
    beta = world.weight("bias", channels) if bias else None
    padding, x = given["padding"], stream.x
    if padding == "same":
        top, bottom = same_sides(height, kernel[0], stride, dilation)
        left, right = same_sides(width, kernel[1], stride, dilation)
        x, padding = F.pad(x, (left, right, top, bottom)), 0
    elif padding is None:
        padding = (dilation * (kernel[0] // 2), dilation * (kernel[1] // 2))
    x = F.conv2d(x, weight, beta, stride, padding, dilation, groups)
    return Stream(x, window_jump(stream, (stride, stride)))


def convolve(kind: str, env: Env, stream: Stream, channels: int | None, given: dict[str, Any]) -> Stream:
    """conv, dwconv, sepconv, upconv with the norm and activation that they carry."""
    world = env.world
    world.guard(stream.x)
    full = {"kernel": (1, 1), "stride": 1, "dilation": 1, "padding": None, "groups": 1, "bias": None, "norm": None}
    full |= {"act": None, "order": "post", "multiplier": 1}
    for source in ("conv", kind):
        full |= env.defaults.get(source, {})
    full |= given
    bias = full["bias"] if full["bias"] is not None else full["norm"] is None or full["order"] == "pre"

    def carried(stream: Stream) -> Stream:
        x = stream.x
        for name in (full["norm"], full["act"]):
            world.layers += name is not None
            x = apply(x, world=world, kind=name)
        return Stream(x, stream.jump)

    image(stream)
    if full["order"] == "pre":
        stream = carried(stream)
    world.layers += 1
    if kind == "upconv":
        channels_in, _, _ = image(stream)
        weight = world.weight("weight", channels_in, channels, *full["kernel"])
        beta = world.weight("bias", channels) if bias else None
        x = F.conv_transpose2d(stream.x, weight, beta, full["stride"], full["padding"] or 0)
        if min(x.shape[2:]) < 1:
            raise Refused("nothing left")
        stream = Stream(x, (stream.jump[0] / full["stride"], stream.jump[1] / full["stride"]))
    elif kind == "conv":
        stream = core(stream, world, channels, full, False, bias)
    else:
        width = image(stream)[0] * full["multiplier"]
        stream = core(stream, world, width, full, True, bias and kind == "dwconv")
        if kind == "sepconv":
            world.layers += 1
            point = full | {"kernel": (1, 1), "stride": 1, "dilation": 1, "padding": 0, "groups": 1}
            stream = core(stream, world, channels, point, False, bias)
    return stream if full["order"] == "pre" else carried(stream)


def pool(kind: str, env: Env, stream: Stream, kernel: int, stride: int, padding: Any, ceil: bool) -> Stream:
    _, height, width = image(stream)
    env.world.layers += 1
    x = stream.x
    if padding == "same":
        sides = (*same_sides(width, kernel, stride, 1), *same_sides(height, kernel, stride, 1))
        if kind == "maxpool":
            x = F.max_pool2d(F.pad(x, sides, value=-float("inf")), kernel, stride)
        else:
            inside = F.avg_pool2d(F.pad(torch.ones_like(x), sides), kernel, stride)
            x = F.avg_pool2d(F.pad(x, sides), kernel, stride) / inside
    elif kind == "maxpool":
        x = F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
    else:
        x = F.avg_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
    return Stream(x, window_jump(stream, (stride, stride)))


def equal(streams: list[Stream]) -> None:
    if len({s.shape for s in streams}) > 1:
        raise Refused("shapes differ")


def merge(kind: str, env: Env, streams: list[Stream]) -> Stream:
    env.world.layers += 1
    env.world.guard(streams[0].x)
    jump = (max(s.jump[0] for s in streams), max(s.jump[1] for s in streams))
    tensors = [s.x for s in streams]
    if kind == "concat":
        if len({t.dim() for t in tensors}) > 1:
            raise Refused("images and vectors")
        return Stream(torch.cat(tensors, 1), jump)
    if kind == "mul":
        if len({t.dim() for t in tensors}) > 1:
            raise Refused("images and vectors")
        product = tensors[0]
        for t in tensors[1:]:
            product = product * t
        return Stream(product, jump)
    equal(streams)
    if kind == "gate":
        h, t, x = tensors
        share = 1 / (1 + torch.exp(-t))
        return Stream(h * share + x * (1 - share), jump)
    if kind == "maximum":
        return Stream(torch.stack(tensors).amax(0), jump)
    total = tensors[0]
    for t in tensors[1:]:
        total = total + t
    return Stream(total / len(tensors) if kind == "mean" else total, jump)


def add_shortcut(env: Env, came: Stream, body: Stream, how: str, scale: float) -> Stream:
    """F(x) + x, with the shortcut that the reference describes."""
    world = env.world
    # Whether weights are needed must not depend on the image's size: a stride on one pixel changes no shape.
    agree = len(came.shape) == len(body.shape) and came.shape[0] == body.shape[0] and came.jump == body.jump
    if how == "match" and not (agree and came.shape == body.shape):
        return body
    if how != "projection" and agree and came.shape != body.shape or how == "identity" and not agree:
        raise Refused("a shortcut can't match")
    scaled = Stream(body.x * scale, body.jump)
    if how == "projection" or how in ("auto", "pad") and not agree:
        if came.x.dim() != 4 or body.x.dim() != 4:
            raise Refused("a vector can't be projected")
        strides = [after / before for after, before in zip(body.jump, came.jump, strict=True)]
        if any(s.denominator != 1 for s in strides):
            raise Refused("a shortcut can't enlarge")
        high, wide = (int(s) for s in strides)
        channels = body.shape[0]
        skip = came.x[:, :, ::high, ::wide]
        if how == "pad":
            if channels < came.shape[0]:
                raise Refused("channels can't be taken away")
            skip = F.pad(skip, (0, 0, 0, 0, 0, channels - came.shape[0]))
            world.layers += channels != came.shape[0]
        else:
            defaults = env.defaults.get("conv", {})
            norm = defaults.get("norm") if defaults.get("order") != "pre" else None
            bias = defaults.get("bias")
            weight = world.weight("weight", channels, came.shape[0], 1, 1)
            beta = world.weight("bias", channels) if (bias if bias is not None else norm is None) else None
            world.layers += 1 + (norm is not None)
            skip = apply(F.conv2d(skip, weight, beta), world=world, kind=norm)
        came = Stream(skip, body.jump)
    equal([scaled, came])
    return merge("add", env, [scaled, came])


# ---- drawing ----

ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "silu", "hswish", "hsigmoid", "gelu", "prelu")
LABELS = (
    *"a b c d e f g h u v w y z a1 y1 s1 mid stem skip c3 conv1 add1 relu1 block_1 shortcut main".split(),
    *"x i nn torch aux taps tensors outputs layer name range self super x_ Linear ConvBn list print".split(),
)
PARAMETERS = ("f", "k", "n", "width", "x", "i", "in_channels", "out_channels", "project", "stride", "lambda", "g")
BLOCKS = ("unit", "cell", "stage", "head", "part", "conv_bn", "linear", "lambda", "torch", "none", "tail", "i")


class Drawn(NamedTuple):
    """A spec. refused: what it means is that it has no meaning. counts: the constructs within."""

    text: str
    refused: bool
    counts: Counter[str]
    input: tuple[int, int, int]
    steps: list[Step]
    outputs: tuple[str, ...]

    def run(self, batch: int = 2) -> tuple[World, dict[str, torch.Tensor]]:
        """The drawn meaning itself: the outputs by name, and what was made on the way."""
        world = World()
        env = Env(world, self.input)
        env.top = env.arch = True
        shape = (batch, *self.input)
        x = fill("image", shape)
        out = run_all(self.steps, env, Stream(x, (Fraction(1), Fraction(1))))
        if self.outputs:
            return world, {name: env.tensors[name].x for name in self.outputs}
        return world, {"out": out.x}


class Drawing:
    """Draws one spec."""

    def __init__(self, source: random.Random, wild: float) -> None:
        self.r = source
        self.wild = wild  # how often a step that does not fit is kept
        self.counts: Counter[str] = Counter()
        self.blocks: list[Block] = []
        self.block_names: set[str] = set()
        self.refused = self.large = False
        self.labels: set[str] = set()
        self.names = 0
        self.left = 26  # steps

    # -- small draws --

    def chance(self, p: float) -> bool:
        return self.r.random() < p

    def pick(self, *options: Any) -> Any:
        return self.r.choice(options)

    def fresh(self, pool: tuple[str, ...], taken: set[str]) -> str:
        free = [name for name in pool if name not in taken]
        if not free:
            self.names += 1
            free = [f"{pool[0]}_{self.names}"]
        name = self.r.choice(free)
        taken.add(name)
        return name

    def number(self, env: Env, stream: Stream) -> Expr:
        """A width."""
        if "copy" in env.variables and self.chance(0.5):
            self.counts["copy"] += 1
            return self.numbered()
        names = [n for n, v in env.variables.items() if 1 <= v <= 16]
        if names and self.chance(0.6):
            name = self.r.choice(names)
            value = env.variables[name]
            forms: list[Expr] = [Expr(name, lambda e: e.variables[name])]
            if value <= 8:
                forms.append(Expr(f"2*{name}", lambda e: 2 * e.variables[name]))
                forms.append(Expr(f"{name} + 2", lambda e: e.variables[name] + 2))
            if value % 2 == 0:
                forms.append(Expr(f"{name} // 2", lambda e: max(0, e.variables[name] // 2)))
            return self.r.choice(forms)
        if self.chance(0.15):
            self.counts["in.c"] += 1
            if env.incoming[0] <= 12:
                return Expr("in.c", lambda e: e.incoming[0])
        value = self.pick(1, 2, 3, 4, 4, 6, 8, 8, 12)
        return Expr(str(value), lambda e: value)

    def numbered(self) -> Expr:
        """A number that differs from copy to copy of a repeat."""
        first = self.pick(1, 2, 4)
        return self.pick(
            Expr(f"copy + {first}", lambda e: e.variables["copy"] + first),
            Expr(f"{first}*(copy + 1)", lambda e: first * (e.variables["copy"] + 1)),
            Expr(f"max({first}, 4 - copy)", lambda e: max(first, 4 - e.variables["copy"])),
        )

    # -- layers --

    def convolution(self, env: Env, stream: Stream) -> Step:
        kind = self.pick("conv", "conv", "conv", "conv", "conv", "dwconv", "sepconv", "upconv")
        self.counts[kind] += 1
        tall = self.pick(1, 1, 2, 3, 3, 3, 5)
        wide = tall if self.chance(0.85) else self.pick(1, 2, 3)
        width = self.number(env, stream) if kind != "dwconv" else None
        given: dict[str, Any] = {"kernel": (tall, wide)}
        arguments: list[str] = []

        def argue(chance: float, name: str, *options: Any) -> None:
            if self.chance(chance):
                given[name] = self.r.choice(options)
                word = str(given[name]).lower() if given[name] is not None else "none"
                arguments.append(f"{self.pick('p', name) if name == 'padding' else name}={word}")
                self.counts[name] += 1

        stride = self.stride(env, 0.25 if kind != "upconv" else 0.8)
        argue(0.2, "padding", *((0, 1) if kind == "upconv" else (0, 1, 2, "same", "same")))
        if kind in ("conv", "dwconv", "sepconv"):
            argue(0.1, "dilation", 2)
        if kind == "conv":
            argue(0.15, "groups", 2, 2, 3, 4)
        if kind == "dwconv":
            argue(0.2, "multiplier", 2)
        argue(0.15, "act", None, *ACTIVATIONS)
        argue(0.15, "norm", None, "bn")
        argue(0.1, "bias", True, False)
        argue(0.06, "order", "pre", "post")
        if given.get("padding") is None:
            given.pop("padding", None)
        text = kind + (str(tall) if wide == tall else f"{tall}x{wide}")
        text += f"-{width.width()}" if width is not None else ""
        text += f"/{stride.width()}" if stride is not None else ""
        text += f"({', '.join(arguments)})" if arguments else ""

        def run(env: Env, stream: Stream, after: Any, first: int | None = None) -> Stream:
            step = first if first is not None else stride.value(env) if stride is not None else 1
            channels = width.value(env) if width is not None else None
            if step < 1 or channels is not None and channels < 1:
                raise Refused("below one")
            return convolve(kind, env, stream, channels, given | {"stride": step})

        return Step(text, run)

    def stride(self, env: Env, chance: float) -> Expr | None:
        if "s" in env.variables and self.chance(0.7):
            return Expr("s", lambda e: e.variables["s"])
        if self.chance(chance):
            value = self.pick(1, 2, 2, 2, 3)
            return Expr(str(value), lambda e: value)
        return None

    def pooling(self, env: Env, stream: Stream) -> Step:
        kind = self.pick("maxpool", "avgpool")
        self.counts[kind] += 1
        kernel = self.pick(2, 2, 3, 3, 4)
        bare = self.chance(0.2)
        kernel = 2 if bare else kernel
        stride = None if bare or self.chance(0.3) else self.pick(1, 1, 2)
        padding = None if self.chance(0.5) else self.pick(0, 1, 1, "same", 2)
        ceil = self.chance(0.3)
        self.counts["ceil"] += ceil
        arguments = ([f"p={padding}"] if padding is not None else []) + (["ceil=true"] if ceil else [])
        text = kind + ("" if bare else str(kernel)) + (f"/{stride}" if stride else "")
        text += f"({', '.join(arguments)})" if arguments else ""
        return Step(
            text, lambda env, s, after: pool(kind, env, s, kernel, stride or kernel, padding or 0, ceil)
        )

    def pointwise(self, env: Env, stream: Stream) -> Step:
        kind = self.pick(*ACTIVATIONS, "bn", "identity", "dropout", "softmax", "droppath", "lrn", "scale", "shuffle", "pad", "up", "bn1")
        self.counts["pointwise"] += 1

        def run(env: Env, s: Stream, after: Any) -> Stream:
            env.world.layers += 1
            if kind == "bn1":
                return Stream(apply(s.x, world=env.world, kind="bn", eps=0.001), s.jump)
            if kind == "scale":
                return Stream(s.x * 0.25, s.jump)
            if kind == "lrn":
                channels, _, _ = image(s)
                squares = F.pad(s.x * s.x, (0, 0, 0, 0, 1, 1))
                around = sum(squares[:, i : i + channels] for i in range(3))
                return Stream(s.x / (1 + 0.25 / 3 * around) ** 0.75, s.jump)
            if kind == "shuffle":
                channels, _, _ = image(s)
                if channels % 2:
                    raise Refused("odd")
                return Stream(s.x.unflatten(1, (2, channels // 2)).transpose(1, 2).flatten(1, 2), s.jump)
            if kind == "pad":
                image(s)
                return Stream(F.pad(s.x, (1, 1, 1, 1)), s.jump)
            if kind == "up":
                image(s)
                bigger = s.x.repeat_interleave(2, 2).repeat_interleave(2, 3)
                return Stream(bigger, (s.jump[0] / 2, s.jump[1] / 2))
            return Stream(apply(s.x, world=env.world, kind=kind), s.jump)

        texts = {
            "dropout": "dropout(0.25)",
            "droppath": "droppath(0.1)",
            "lrn": "lrn(3, alpha=0.25)",
            "scale": "scale(0.25)",
            "shuffle": "channelshuffle(2)",
            "pad": "pad(1)",
            "up": "upsample(2)",
            "bn1": "bn(eps=1e-3)",
        }
        return Step(texts.get(kind, kind), run)

    # -- brackets --

    def sequence(self, env: Env, stream: Stream, most: int, *, least: int = 1) -> tuple[list[Step], Stream | None]:
        """Some steps that fit one another; None once one that does not was kept."""
        steps: list[Step] = []
        for _ in range(self.r.randint(least, most)):
            step, result = self.step(env, stream)
            steps.append(step)
            if result is None:
                return steps, None
            stream = result
        return steps, stream

    def step(self, env: Env, stream: Stream) -> tuple[Step, Stream | None]:
        """A step that fits, or (now and then, once) one that does not."""
        self.left -= 1
        for _ in range(6):
            kept = Counter(self.counts)
            blocks, labels = len(self.blocks), set(self.labels)
            step, result = self.attempt(env, stream)
            if result is not None or self.refused:
                return step, result
            if self.chance(self.wild) and not self.large:
                self.refused = True
                self.counts["misfit"] += 1
                return step, None
            self.counts, self.labels = kept, labels
            del self.blocks[blocks:]
        return self.tried(Step("relu", lambda e, s, after: Stream(torch.clamp(s.x, min=0), s.jump)), env, stream)

    def tried(self, step: Step, env: Env, stream: Stream) -> tuple[Step, Stream | None]:
        before = env.copy()
        self.large = False
        world = env.world
        layers, taps, heads = world.layers, dict(world.taps), dict(world.heads)
        try:
            result = step.run(env, stream, None)
            world.guard(result.x)
        except (Refused, TooLarge, RuntimeError) as error:
            self.large = isinstance(error, TooLarge)
            env.variables, env.tensors, env.defaults = before.variables, before.tensors, before.defaults
            world.layers, world.taps, world.heads = layers, taps, heads
            return step, None
        return step, result

    def attempt(self, env: Env, stream: Stream) -> tuple[Step, Stream | None]:
        if self.refused:  # nothing after a misfit needs to fit
            return self.tried(self.pointwise(env, stream), env, stream)
        simple = [(self.convolution, 6), (self.pooling, 2), (self.pointwise, 2), (self.copies, 2), (self.start, 1)]
        brackets = [(self.merging, 3), (self.residual, 3), (self.group, 2), (self.call, 4), (self.library, 2)]
        if env.arch:
            brackets += [(self.carry, 4), (self.head, 1)]
        if env.variables:
            brackets += [(self.condition, 2), (self.let, 2)]
        choices = simple + (brackets if self.left > 0 and env.depth < 4 else [])
        draw = self.r.choice([d for d, weight in choices for _ in range(weight)])
        world = env.world
        taps, heads = dict(world.taps), dict(world.heads)
        step = draw(env, stream)
        world.taps, world.heads = taps, heads  # what ran while the step was drawn runs again as part of it
        if step is None:
            step = self.convolution(env, stream)
        tail = step.text.rpartition("}")[2]
        is_step = not step.text.startswith(("if ", "{"))  # a label would make the group a module
        if is_step and not self.refused and " as " not in tail and self.chance(0.22 if env.arch else 0.1):
            step = self.labelled(step, env)
        tried, result = self.tried(step, env, stream)
        if result is not None and is_step and env.top and "->" not in tail and self.chance(0.15):
            tried, result = self.contract(tried, result, env)
        return tried, result

    def labelled(self, step: Step, env: Env) -> Step:
        name = self.fresh(LABELS, self.labels)
        self.counts["label"] += 1

        def run(env: Env, s: Stream, after: Any) -> Stream:
            result = step.run(env, s, after)
            env.tensors[name] = result
            if env.top:
                env.world.taps[name] = result.x
            return result

        return Step(f"{step.text} as {name}", run)

    def contract(self, step: Step, result: Stream, env: Env) -> tuple[Step, Stream | None]:
        sizes = [str(size) for size in result.shape]
        if self.chance(0.2):
            sizes[self.r.randrange(len(sizes))] = "_"
        if self.chance(self.wild / 2) and not self.refused:
            self.refused = True
            self.counts["wrong contract"] += 1
            wrong = "x".join(str(int(size) + 1) if size != "_" else "7" for size in sizes)

            def run(env: Env, s: Stream, after: Any) -> Stream:
                raise Refused("contract")

            return Step(f"{step.text} -> {wrong}", run), None
        self.counts["contract"] += 1
        return Step(f"{step.text} -> {'x'.join(sizes)}", step.run), result

    def inner(self, env: Env) -> Env:
        """Within brackets: the same names, one level deeper."""
        env.depth += 1
        return env

    def body(self, env: Env, stream: Stream, most: int = 3) -> tuple[list[Step], Stream | None]:
        env.depth += 1
        arch, env.arch = env.arch, False
        steps, result = self.sequence(env, stream, most)
        env.arch = arch
        env.depth -= 1
        return steps, result

    def sandbox(self, env: Env) -> Env:
        """A copy to draw in: what is drawn runs again on the real one."""
        return env.copy()

    def start(self, env: Env, stream: Stream) -> Step | None:
        """`@name` as a step."""
        names = list(env.tensors)
        if not names:
            return None
        name = self.r.choice(names)
        self.counts["@start"] += 1
        return Step(f"@{name}", lambda e, s, after: e.tensors[name])

    def let(self, env: Env, stream: Stream) -> Step | None:
        if env.depth > 1:
            return None
        expr = self.number(env, stream)
        self.names += 1
        name = f"w{self.names}"
        self.counts["let"] += 1

        def run(e: Env, s: Stream, after: Any) -> Stream:
            e.variables[name] = expr.value(e)
            return s

        following = self.convolution(env, stream)
        return Step(
            f"let {name} = {expr.text}\n{following.text}",
            lambda e, s, after: following.run(e, run(e, s, None), None),
        )

    def condition(self, env: Env, stream: Stream) -> Step | None:
        name = self.r.choice(list(env.variables))
        edge = self.pick(1, 2, 4, 8)
        sign = self.pick("<", ">", "==", "!=", ">=")
        test = {
            "<": lambda v: v < edge,
            ">": lambda v: v > edge,
            "==": lambda v: v == edge,
            "!=": lambda v: v != edge,
            ">=": lambda v: v >= edge,
        }[sign]
        labels = set(self.labels)
        yes, no = (self.body(self.sandbox(env), stream, 2)[0] for _ in range(2))
        if self.refused:  # the misfit may stand in the arm that is not taken
            return None
        self.labels |= labels
        self.counts["if"] += 1
        text = f"if {name} {sign} {edge} {{ {join(yes)} }} else {{ {join(no)} }}"

        def run(e: Env, s: Stream, after: Any) -> Stream:  # no later step counts on a label that may not be made
            return run_all(yes if test(e.variables[name]) else no, e.copy(), s)

        return Step(text, run)

    def copies(self, env: Env, stream: Stream) -> Step | None:
        """A layer, xN."""
        inside = env.copy(variables={**env.variables, "copy": 0})
        one = self.convolution(inside, stream) if self.chance(0.7) else self.pointwise(env, stream)
        count = self.count(env)
        strided = one.text.startswith(("conv", "dwconv", "sepconv")) and self.chance(0.3)
        self.counts["xN/s" if strided else "xN"] += 1

        def run(e: Env, s: Stream, after: Any) -> Stream:
            outside = e
            for index in range(count.value(e)):
                before = s
                e = outside.copy(variables={**outside.variables, "copy": index})
                s = one.run(e, s, None, 2) if strided and index == 0 else one.run(e, s, None)
                if after is not None:
                    after(before)
            return s

        return Step(f"{one.text} {repeat(count)}{'/2' if strided else ''}", run)

    def count(self, env: Env) -> Expr:
        value = self.pick(1, 2, 2, 3, 4)
        names = [n for n, v in env.variables.items() if 2 <= v <= 4]
        if names and self.chance(0.5):
            name = self.r.choice(names)
            return Expr(f"{name} - 1", lambda e: e.variables[name] - 1)
        return Expr(str(value), lambda e: value)

    def group(self, env: Env, stream: Stream) -> Step | None:
        """`{ ... }`, alone, repeated or with a label: then its labels are its own."""
        form = self.pick("plain", "repeat", "labelled")
        own = form != "plain"
        inside = self.sandbox(env)
        inside.top = inside.top and not own
        if form == "repeat":
            inside.variables["copy"] = 0
        outer = set(self.labels)
        steps, _ = self.body(inside, stream)
        self.counts[f"group {form}"] += 1
        text = f"{{ {join(steps)} }}"
        if form == "plain":
            return Step(text, lambda e, s, after: run_all(steps, e, s))
        self.labels = outer
        count = self.count(env) if form == "repeat" else None
        name = self.fresh(LABELS, self.labels) if form == "labelled" else None

        def run(e: Env, s: Stream, after: Any) -> Stream:
            for index in range(count.value(e) if count is not None else 1):
                before = s
                numbered = {**e.variables, "copy": index} if count is not None else dict(e.variables)
                s = run_all(steps, e.copy(top=False, tensors=dict(e.tensors), variables=numbered), s)
                if after is not None and count is not None:
                    after(before)
            if name is not None:
                e.tensors[name] = s
                if e.top:
                    e.world.taps[name] = s.x
            return s

        return Step(f"{text} {repeat(count)}" if count is not None else f"{text} as {name}", run)

    def merging(self, env: Env, stream: Stream) -> Step | None:
        kind = self.pick("concat", "concat", "add", "mul", "mean", "maximum", "gate")
        count = 2 if kind == "gate" else self.pick(2, 2, 2, 3, 4)
        inside = self.sandbox(env)
        branches: list[list[Step]] = []
        shapes: list[tuple[int, ...]] = []
        for _ in range(count):
            fitting = None
            for _ in range(4):
                labels = set(self.labels)
                trial = inside.copy()
                steps, result = self.branch(trial, stream, kind, shapes)
                if result is None or self.refused:
                    fitting = (steps, result, trial)
                    break
                if not shapes or self.merges(kind, shapes[0], result.shape) or self.chance(self.wild / 2):
                    fitting = (steps, result, trial)
                    break
                self.labels = labels
            if fitting is None:
                return None
            steps, result, inside = fitting
            branches.append(steps)
            shapes.append(result.shape if result is not None else (0,))
        self.counts[kind] += 1
        self.counts["branches"] += count
        text = " | ".join(join(steps) for steps in branches)
        ratio = kind == "mean" and self.chance(0.3)

        def run(e: Env, s: Stream, after: Any) -> Stream:
            results = [run_all(steps, e, s) for steps in branches]
            return merge(kind, e, [*results, s] if kind == "gate" else results)

        return Step(f"{kind}{'(drop_path=0.2)' if ratio else ''} [ {text} ]", run)

    def branch(
        self, env: Env, stream: Stream, kind: str, shapes: list[tuple[int, ...]]
    ) -> tuple[list[Step], Stream | None]:
        """A branch; for merges that want equal shapes, one that is likely to keep them."""
        if kind == "mul" and shapes and stream.x.dim() == 4 and self.chance(0.5):
            channels = shapes[0][0]
            gap, squeeze = self.gap(), self.conv1(channels, "sigmoid")
            steps = [gap, squeeze]
            self.counts["squeeze"] += 1
        elif self.chance(0.2):
            steps = [Step("identity", lambda e, s, after: s)]
        elif self.chance(0.3) and env.tensors:
            return_to = self.start(env, stream)
            assert return_to is not None
            steps = [return_to]
            if shapes and len(shapes[0]) == 3 and self.chance(0.7):
                steps.append(self.conv1(shapes[0][0], None))
        elif shapes and len(shapes[0]) == 3 and len(stream.shape) == 3 and self.chance(0.6):
            stride = max(1, round(stream.shape[1] / max(1, shapes[0][1])))
            steps = [self.conv1(shapes[0][0] if kind != "concat" else self.pick(1, 2, 4), None, stride)]
        else:
            steps, result = self.body(env, stream)
            return steps, result
        result: Stream | None = stream
        for step in steps:
            assert result is not None
            _, result = self.tried(step, env, result)
            if result is None:
                return [Step("identity", lambda e, s, after: s)], stream
        return steps, result

    @staticmethod
    def merges(kind: str, first: tuple[int, ...], other: tuple[int, ...]) -> bool:
        if kind == "concat":
            return first[1:] == other[1:] and len(first) == len(other)
        if kind == "mul":
            return len(first) == len(other) and all(a == b or 1 in (a, b) for a, b in zip(first, other, strict=True))
        return first == other

    def conv1(self, channels: int, act: str | None, stride: int = 1) -> Step:
        kernel = self.pick(1, 3)
        text = f"conv{kernel}-{channels}{f'/{stride}' if stride > 1 else ''}(norm=none, act={act or 'none'}, order=post)"
        given = {"kernel": (kernel, kernel), "stride": stride, "norm": None, "act": act, "order": "post"}
        return Step(text, lambda e, s, after: convolve("conv", e, s, channels, given))

    def gap(self) -> Step:
        def run(e: Env, s: Stream, after: Any) -> Stream:
            image(s)
            e.world.layers += 1
            return Stream(s.x.mean((2, 3), keepdim=True), s.jump)

        return Step("gap", run)

    def residual(self, env: Env, stream: Stream) -> Step | None:
        how = self.pick("auto", "auto", "identity", "projection", "pad", "match")
        scale = self.pick(1.0, 1.0, 1.0, 0.25)
        path = self.chance(0.2)
        inside = self.sandbox(env)
        steps, result = self.body(inside, stream)
        if how in ("identity",) and result is not None and result.shape != stream.shape and len(stream.shape) == 3:
            back = self.conv1(stream.shape[0], None)
            if self.tried(back, inside, result)[1] is not None:
                steps.append(back)
        self.counts[f"residual {how}"] += 1
        arguments = ([f"shortcut={how}"] if how != "auto" else []) + ([f"scale={scale}"] if scale != 1 else [])
        rate = "0.1*copy" if "copy" in env.variables else self.pick("0.1", "0")
        arguments += [f"drop_path={rate}"] if path else []
        head = f"residual({', '.join(arguments)})" if arguments else "residual"

        def run(e: Env, s: Stream, after: Any) -> Stream:
            return add_shortcut(e, s, run_all(steps, e, s), how, scale)

        return Step(f"{head} {{ {join(steps)} }}", run)

    # -- the arch's own --

    def carry(self, env: Env, stream: Stream) -> Step | None:
        """`carry(p=@a) { ... }`: after each copy of each step, @p is what it read."""
        names = [n for n, s in env.tensors.items() if s.x.dim() == 4]
        if not names or stream.x.dim() != 4:
            return None
        seed = self.r.choice(names)
        name = self.fresh(("p", "before", "q"), {n for n in env.tensors if n in ("p", "before", "q")})
        width = self.pick(2, 4)
        steps: list[Step] = []
        for _ in range(self.r.randint(1, 3)):
            one, two = self.conv1(width, self.pick(None, "relu")), self.conv1(width, None)
            kind = self.pick("add", "concat", "maximum")
            text = f"{kind} [ {one.text} | @{name}; {two.text} ]"

            def cell(e: Env, s: Stream, one: Step = one, two: Step = two, kind: str = kind) -> Stream:
                return merge(kind, e, [one.run(e, s, None), two.run(e, e.tensors[name], None)])

            form = self.pick("once", "group xN", "block xN", "layer")
            if form == "once":
                steps.append(Step(text, lambda e, s, after, cell=cell: cell(e, s)))
            elif form == "layer":
                steps.append(self.conv1(width, None))
            else:
                count = self.pick(2, 3, 4)
                called = f"{{ {text} }} x{count}"
                if form == "block xN":
                    block_name = self.fresh(BLOCKS, self.block_names)
                    block = Block(block_name, (("p_", None, True),), [Step(text.replace(f"@{name}", "@p_"), None)], [])  # type: ignore[arg-type]
                    self.blocks.append(block)
                    called = f"{block_name}(@{name}) x{count}"
                self.counts["carry xN"] += 1

                def run(e: Env, s: Stream, after: Any, cell: Any = cell, count: int = count) -> Stream:
                    for _ in range(count):
                        before = s
                        s = cell(e, s)
                        after(before)
                    return s

                steps.append(Step(called, run))
        self.counts["carry"] += 1

        def run_carry(e: Env, s: Stream, after: Any) -> Stream:
            inside = e.copy(tensors={**e.tensors, name: e.tensors[seed]})

            def carried(before: Stream) -> None:
                inside.tensors[name] = before

            for step in steps:
                before = s
                s = step.run(inside, s, carried)
                if " x" not in step.text:
                    carried(before)
            return s

        return Step(f"carry({name}=@{seed}) {{ {join(steps)} }}", run_carry)

    def head(self, env: Env, stream: Stream) -> Step | None:
        """`aux(0.3) { ... } as a`"""
        if not env.top:
            return None
        inside = self.sandbox(env)
        inside.top = False
        steps, _ = self.body(inside, stream, 2)
        steps.append(Step("relu", lambda e, s, after: Stream(torch.clamp(s.x, min=0), s.jump)))
        name = self.fresh(LABELS, self.labels)
        self.counts["aux"] += 1

        def run(e: Env, s: Stream, after: Any) -> Stream:
            result = run_all(steps, e.copy(top=False), s)
            e.world.heads[name] = (0.3, result.x)  # an output, and nothing that a step could go on from
            return s

        return Step(f"aux(0.3) {{ {join(steps)} }} as {name}", run)

    # -- blocks --

    def call(self, env: Env, stream: Stream) -> Step | None:
        """A block of this text, often one that is there already, with other numbers."""
        old = [b for b in self.blocks if b.head is not None and b.head != []]
        if old and self.chance(0.6):
            block = self.r.choice(old)
            self.counts["second call"] += 1
        else:
            if env.depth > 2:
                return None
            block = self.define(env, stream)
            if block is None or self.refused:
                return None
        return self.called(block, env)

    def called(self, block: Block, env: Env) -> Step | None:
        values: dict[str, Expr] = {}
        tensors: dict[str, str] = {}
        shown: list[str] = []
        stride: int | None = None
        named = False
        copies = self.pick(None, None, 1, 2, 3)
        for name, default, tensor in block.parameters:
            if tensor:
                images = [n for n, s in env.tensors.items() if s.x.dim() == 4]
                if not images:
                    return None
                tensors[name] = self.r.choice(images)
                shown.append(f"{name}=@{tensors[name]}" if named else f"@{tensors[name]}")
            elif name == "s":
                stride = self.pick(None, 1, 2)
                named = True
            elif default is None or self.chance(0.5):
                value = self.pick(1, 2, 2, 3, 4, 4, 6, 8)
                values[name] = Expr(str(value), lambda e, value=value: value)
                if copies is not None and self.chance(0.3):
                    self.counts["copy"] += 1
                    values[name] = self.numbered()
                text = values[name].text
                shown.append(f"{name}={text}" if named else text)
            else:
                named = True
        spread = copies is not None and stride is not None and self.chance(0.6)
        text = block.name + (f"/{stride}" if stride is not None and not spread else "")
        text += f"({', '.join(shown)})" if shown else ""
        if copies is not None:
            text += f" x{copies}" + (f"/{stride}" if spread else "")
        self.counts["block"] += 1
        self.counts["block xN"] += copies is not None

        def once(e: Env, s: Stream, step: int | None) -> Stream:
            inside = Env(e.world, s.shape)
            inside.defaults = {name: dict(v) for name, v in e.defaults.items()}
            for name, default, tensor in block.parameters:
                if tensor:
                    inside.tensors[name] = e.tensors[tensors[name]]
                elif name == "s":
                    inside.variables[name] = step if step is not None else 1
                else:
                    inside.variables[name] = values[name].value(e) if name in values else default  # type: ignore[assignment]
            return run_all(block.body, inside, s)

        def run(e: Env, s: Stream, after: Any) -> Stream:
            outside = e
            for index in range(copies or 1):
                before = s
                if copies is not None:
                    e = outside.copy(variables={**outside.variables, "copy": index})
                s = once(e, s, stride if not spread or index == 0 else None)
                if after is not None and copies is not None:
                    after(before)
            return s

        return Step(text, run)

    def define(self, env: Env, stream: Stream) -> Block | None:
        name = self.fresh(BLOCKS, self.block_names)
        parameters: list[tuple[str, int | None, bool]] = []
        names: set[str] = set()
        inside = Env(env.world, stream.shape)
        inside.defaults = {key: dict(v) for key, v in env.defaults.items()}
        inside.depth = env.depth + 1
        for _ in range(self.r.randint(1, 2)):
            parameter = self.fresh(PARAMETERS, names)
            value = self.pick(2, 3, 4, 8)
            inside.variables[parameter] = value
            parameters.append((parameter, None, False))
        images = [s for s in env.tensors.values() if s.x.dim() == 4]
        if images and self.chance(0.35):
            parameter = self.fresh(("skip", "other", "x", "y", "nn"), names)
            inside.tensors[parameter] = self.r.choice(images)
            parameters.append((parameter, None, True))
            self.counts["@parameter"] += 1
        if self.chance(0.3):
            parameter = self.fresh(PARAMETERS, names)
            value = self.pick(1, 2, 4)
            inside.variables[parameter] = value
            parameters.append((parameter, value, False))
            self.counts["parameter default"] += 1
        if self.chance(0.4):
            inside.variables["s"] = self.pick(1, 2)
            parameters.append(("s", 1, False))
        outer, self.labels = self.labels, set(names)
        head: list[Step] = []
        if self.chance(0.15):
            step = self.default(inside)
            head.append(step)
            step.run(inside, stream, None)
        holder: list[Block] = []
        steps, result = self.sequence(inside, stream, 4)
        if result is not None and parameters[-1][0] != "s" and self.chance(0.15):
            steps.append(self.recursion(name, parameters, holder))
        self.labels = outer
        self.counts["define"] += 1
        block = Block(name, tuple(parameters), head + steps, [Step("", lambda e, s, after: s)])
        self.blocks.append(block)
        holder.append(block)
        return block

    def recursion(self, name: str, parameters: list[tuple[str, int | None, bool]], holder: list[Block]) -> Step:
        """`if n > 2 { f(n - 2) }`: the block within itself."""
        first = parameters[0][0]
        rest = [f"@{n}" if tensor else n for n, _, tensor in parameters[1:]]
        text = f"if {first} > 2 {{ {name}({', '.join([f'{first} - 2', *rest])}) }}"
        self.counts["recursion"] += 1
        def run(e: Env, s: Stream, after: Any) -> Stream:
            if e.variables[first] <= 2:
                return s
            block = holder[-1]
            inside = Env(e.world, s.shape)
            inside.defaults = {key: dict(v) for key, v in e.defaults.items()}
            for parameter, _, tensor in block.parameters:
                if tensor:
                    inside.tensors[parameter] = e.tensors[parameter]
                else:
                    inside.variables[parameter] = e.variables[parameter] - 2 * (parameter == first)
            return run_all(block.body, inside, s)

        return Step(text, run)

    def default(self, env: Env) -> Step:
        kind = self.pick("conv", "conv", "conv", "dwconv")
        given: dict[str, Any] = {}
        if self.chance(0.6):
            given["norm"] = self.pick("bn", "bn", None)
        if self.chance(0.7) or not given:
            given["act"] = self.pick(None, *ACTIVATIONS)
        if self.chance(0.2):
            given["order"] = self.pick("pre", "post")
        if self.chance(0.15):
            given["bias"] = self.pick(True, False)
        words = [f"{name}={'none' if value is None else str(value).lower()}" for name, value in given.items()]
        self.counts["default"] += 1

        def run(e: Env, s: Stream, after: Any) -> Stream:
            e.defaults[kind] = {**e.defaults.get(kind, {}), **given}
            return s

        return Step(f"default {kind}({', '.join(words)})", run)

    def library(self, env: Env, stream: Stream) -> Step | None:
        """A block of specs/lib, and what its paper says it is."""
        if stream.x.dim() != 4:
            return None
        channels = stream.shape[0]
        name = self.pick("basic", "bottleneck", "dense", "transition", "fire", "se", "separable", "inverted")
        f, s = self.pick(2, 4), self.pick(1, 1, 2)

        def conv(e: Env, x: Stream, k: int, c: int, s: int = 1, kind: str = "conv", **given: Any) -> Stream:
            return convolve(kind, e, x, c, {"kernel": (k, k), "stride": s, **given})

        def relu(x: Stream) -> Stream:
            return Stream(torch.clamp(x.x, min=0), x.jump)

        def basic(e: Env, x: Stream) -> Stream:
            return relu(add_shortcut(e, x, conv(e, conv(e, x, 3, f, s), 3, f, act=None), "auto", 1.0))

        def bottleneck(e: Env, x: Stream) -> Stream:
            body = conv(e, conv(e, conv(e, x, 1, f), 3, f, s), 1, 4 * f, act=None)
            return relu(add_shortcut(e, x, body, "auto", 1.0))

        def dense(e: Env, x: Stream) -> Stream:
            return merge("concat", e, [x, conv(e, conv(e, x, 1, 4 * f), 3, f)])

        def transition(e: Env, x: Stream) -> Stream:
            if x.shape[0] < 2:
                raise Refused("no channels")
            return pool("avgpool", e, conv(e, x, 1, x.shape[0] // 2), 2, 2, 0, False)

        def fire(e: Env, x: Stream) -> Stream:
            x = conv(e, x, 1, 2)
            return merge("concat", e, [conv(e, x, 1, f), conv(e, x, 3, f)])

        def se(e: Env, x: Stream) -> Stream:
            if x.shape[0] < 2:
                raise Refused("no channels")
            plain = {"norm": None, "bias": True, "order": "post"}
            small = self.gap().run(e, x, None)
            small = conv(e, small, 1, x.shape[0] // 2, act="relu", **plain)
            return merge("mul", e, [x, conv(e, small, 1, x.shape[0], act="sigmoid", **plain)])

        def separable(e: Env, x: Stream) -> Stream:
            return conv(e, conv(e, x, 3, None, s, "dwconv"), 1, f)  # type: ignore[arg-type]

        def inverted(e: Env, x: Stream) -> Stream:
            body = conv(e, x, 1, 2 * x.shape[0])
            body = conv(e, conv(e, body, 3, None, s, "dwconv"), 1, f, act=None)  # type: ignore[arg-type]
            return add_shortcut(e, x, body, "match", 1.0)

        texts = {
            "basic": (f"basic({f}, s={s})", basic),
            "bottleneck": (f"bottleneck/{s}({f})", bottleneck),
            "dense": (f"dense({f})", dense),
            "transition": ("transition(2)", transition),
            "fire": (f"fire(2, {f}, {f})", fire),
            "se": ("se(2)", se),
            "separable": (f"separable({f}, {s})", separable),
            "inverted": (f"inverted(2, {f}, {s})", inverted),
        }
        if channels > 12:
            return None
        self.counts["library"] += 1
        text, meaning = texts[name]
        copies = self.pick(1, 1, 2, 3)
        if copies == 1:
            return Step(text, lambda e, s, after: meaning(e, s))

        def run(e: Env, s: Stream, after: Any) -> Stream:
            for _ in range(copies):
                before = s
                s = meaning(e, s)
                if after is not None:
                    after(before)
            return s

        return Step(f"{text} x{copies}", run)

    def tail(self, env: Env, stream: Stream) -> list[Step]:
        """`gap; fc-10`, as most networks end."""
        steps = []
        if stream.x.dim() == 4 and self.chance(0.7):
            steps.append(self.gap())
        if self.chance(0.2):
            steps.append(Step("flatten", lambda e, s, after: Stream(s.x.flatten(1), s.jump)))
        width = self.pick(2, 3, 10)

        def fc(e: Env, s: Stream, after: Any) -> Stream:
            x = s.x.flatten(1)
            weight, bias = e.world.weight("weight", width, x.shape[1]), e.world.weight("bias", width)
            e.world.layers += 1
            return Stream(x @ weight.T + bias, s.jump)

        steps.append(Step(f"fc-{width}", fc))
        if self.chance(0.3):
            steps.append(Step("relu", lambda e, s, after: Stream(torch.clamp(s.x, min=0), s.jump)))
            steps.append(Step(f"fc-{width}", fc))
        self.counts["fc"] += 1
        return steps

    def network(self) -> Drawn:
        size = (self.pick(1, 2, 3, 3, 4), self.r.randint(3, 12), self.r.randint(3, 12))
        world = World(zeros=True)
        env = Env(world, size)
        env.top = env.arch = True
        x = torch.zeros((1, *size))
        stream: Stream | None = Stream(x, (Fraction(1), Fraction(1)))
        steps: list[Step] = [self.default(env) for _ in range(self.pick(0, 1, 1, 1, 2))]
        stream = run_all(steps, env, stream)
        start = len(steps)
        drawn, stream = self.sequence(env, stream, 7, least=2)
        steps += drawn
        outputs: tuple[str, ...] = ()
        if stream is not None:
            labels = [name for name in world.taps if name in env.tensors]
            if labels and self.chance(0.25):
                outputs = tuple(self.r.sample(labels, min(len(labels), self.r.randint(1, 3))))
                self.counts["output"] += 1
            elif self.chance(0.6):
                for step in self.tail(env, stream):
                    tried, result = self.tried(step, env, stream)
                    if result is not None:
                        steps.append(tried)
                        stream = result
        lines = [step.text for step in steps[:start]]
        lines.append(f"input {size[0]}x{size[1]}x{size[2]}")
        lines += [step.text for step in steps[start:]]
        if outputs:
            lines.append(f"output {', '.join('@' + name for name in outputs)}")
        blocks = "".join(written_block(block) for block in self.blocks)
        arch = "arch net {\n" + "".join(f"  {line}\n" for text in lines for line in text.split("\n")) + "}\n"
        if self.chance(0.3):
            blocks, arch = arch, blocks
        return Drawn(blocks + arch, self.refused, self.counts, size, steps, outputs)


def repeat(count: Expr) -> str:
    return f"x{count.text}" if count.text.isdigit() else f"x({count.text})"


def join(steps: list[Step]) -> str:
    return "; ".join(step.text.replace("\n", "; ") for step in steps)


def written_block(block: Block) -> str:
    parameters = [
        f"@{name}" if tensor else name if default is None else f"{name}={default}"
        for name, default, tensor in block.parameters
    ]
    body = "".join(f"  {line}\n" for step in block.body for line in step.text.split("\n"))
    return f"block {block.name}({', '.join(parameters)}) {{\n{body}}}\n"


def drawn_from(source: random.Random, wild: float = 0.06) -> Drawn:
    """A spec from a source of randomness."""
    return Drawing(source, wild).network()


def specs(wild: float = 0.06) -> st.SearchStrategy[Drawn]:
    """Whole specs."""
    return st.randoms(use_true_random=False).map(lambda source: drawn_from(source, wild))
