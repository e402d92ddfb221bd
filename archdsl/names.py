"""What the names of a text stand for, decided before any shape is known.

`resolve` says what one step's head means; `checks.py` walks a whole file with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from archdsl import syntax
from archdsl.combinators import COMBINATORS
from archdsl.diagnostics import Diagnostic, Fix, did_you_mean
from archdsl.modules import Module, library_names
from archdsl.ops import LAYERS
from archdsl.ops.base import Op, ShapeError
from archdsl.source import Span
from archdsl.values import COPY
from archdsl.words import BLOCK_WORDS, absent, layer_word, plain_name

_HEAD = re.compile(r"([A-Za-z_]+?)(\d+(?:x\d+)?)$")


class Target(NamedTuple):
    """What a step's head stands for."""

    kind: Literal["layer", "merge", "block", "combinator", "group", "tensor"]
    layer: type[Op] | None = None
    kernel: tuple[int, int] | None = None
    kernel_span: Span | None = None
    definition: syntax.Definition | None = None
    module: Module | None = None
    combinator: Any = None

    @property
    def has_width(self) -> bool:
        """Whether `-64` can follow the head."""
        return self.kind == "layer" and self.layer is not None and "channels" in self.layer.model_fields

    @property
    def has_stride(self) -> bool:
        """Whether `/2` can follow the head."""
        if self.kind == "block" and self.definition is not None:
            return any(p.name.name == "s" for p in self.definition.parameters)
        return self.kind == "layer" and self.layer is not None and "stride" in self.layer.model_fields

    @property
    def elsewhere(self) -> str | None:
        """The layer that a block of the library could be taken for: `fc` for `dense`."""
        if self.definition is None or self.module is None or not self.module.is_library:
            return None
        return BLOCK_WORDS.get(self.definition.name.name)

    @property
    def arguments(self) -> list[str]:
        """Names that arguments may have."""
        if self.layer is not None:
            return list(argument_names(self.layer))
        if self.definition is not None:
            return [p.name.name for p in self.definition.parameters]
        return list(self.combinator.options.model_fields) if self.combinator is not None else []

    @property
    def unnamed(self) -> Sequence[str]:
        """What arguments without a name fill, in order."""
        if self.layer is not None:
            return self.layer.positional
        if self.definition is not None:
            return self.arguments
        return self.combinator.positional if self.combinator is not None else ()


def resolve(head: syntax.Name | syntax.Reference | None, module: Module) -> Target | Diagnostic:
    """What a head stands for: a block by its exact name, then a layer with kernel digits, then the library."""
    if head is None:
        return Target("group")
    if isinstance(head, syntax.Reference):
        return Target("tensor")
    name = head.name
    found = module.find(name)
    if found is not None:
        return Target("block", definition=found[0], module=found[1])
    if name in COMBINATORS:
        return Target("combinator", combinator=COMBINATORS[name])
    layer = LAYERS.get(name)
    if layer is not None:
        return Target("merge" if takes_branches(layer) else "layer", layer)
    split = _HEAD.match(name)
    if split and (split[1] in LAYERS or split[1] in COMBINATORS):
        return _with_kernel(head, split[1], split[2])
    block = module.files.library_block(name)
    if block is not None:
        return Target("block", definition=block[0], module=block[1])
    return _unknown(head, split[1] if split else name, split[2] if split else "", module)


def _with_kernel(head: syntax.Name, name: str, digits: str) -> Target | Diagnostic:
    layer = LAYERS.get(name)
    span = Span(head.span.source, head.span.start + len(name), head.span.stop)
    if layer is None or "kernel" not in layer.model_fields:
        return Diagnostic(
            code="A111",
            message=f"`{name}` has no kernel, so no digits can follow its name",
            span=span,
            label="no window to size",
            fix=_digits_moved(span, name, digits, layer),
        )
    if len(digits) > 10 * 2 + 1:
        return Diagnostic(
            code="A307",
            message="this number is too large",
            span=span,
            hint="write a kernel such as conv3 or conv1x7",
        )
    height, _, width = digits.partition("x")
    kernel = (int(height), int(width or height))
    return Target("layer", layer, kernel, span)


def _digits_moved(span: Span, name: str, digits: str, layer: type[Op] | None) -> Fix:
    """`fc1000` is `fc-1000`, `upsample2` is `upsample(2)`; digits that say nothing go."""
    text = ""
    if span.source.text[span.stop : span.stop + 1] not in ("-", "(") and layer is not None and digits.isdigit():
        text = f"-{digits}" if "channels" in layer.model_fields else said_in_parentheses(layer, digits)
    return Fix(span, text, f"write `{name}{text}`")


def said_in_parentheses(layer: type[Op], number: str) -> str:
    """A number as a layer's argument, `(2)`; "" where it can't be one."""
    if not layer.positional:
        return ""
    try:
        layer(**{layer.positional[0]: int(number)})
    except (ValueError, ShapeError):  # pydantic's are ValueErrors, and Python's where the digits are thousands
        return ""
    return f"({number})"


def is_a_layer(text: str) -> bool:
    """Whether a text is the head of a layer's step: `maxpool`, `conv3`."""
    return text in LAYERS or re.sub(r"[0-9]+(x[0-9]+)?$", "", text) in LAYERS


def takes_branches(layer: type[Op]) -> bool:
    """Whether a layer is written over branches, `add [ a | b ]`."""
    return layer.arity != 1


def _unknown(head: syntax.Name, stem: str, digits: str, module: Module) -> Diagnostic:
    """No layer or block of that name: what may be meant."""
    windowed = [name for name, layer in LAYERS.items() if "kernel" in layer.model_fields]
    # A library file, while it is typed at, may not define its block.
    library = [name for name in library_names() if name != head.name]
    known = [*LAYERS, *COMBINATORS, *module.definitions, *module.imported, *library]
    near = layer_word(head.name) or (layer_word(stem) if digits else None)
    if near in windowed and digits and not re.search(r"[123]d", head.name.lower()):
        near = f"{near}{digits}"
    if near is None and digits and not stem.endswith("_"):
        near = did_you_mean(stem, windowed)
        near = near + digits if near else None
    parted = _parted(head, module)
    if parted is not None:
        return _misspelt(head, parted)
    nearest = absent(head.name)
    if near is None and nearest is not None:
        return _misspelt(head, None, nearest)
    follows = head.span.source.text[head.span.stop : head.span.stop + 100]
    foreign = near is not None and " " not in near or plain_name(head.name) in LAYERS and head.name.lower() not in LAYERS
    numbered = re.search(r"\d", re.sub(r"[123]d", "", head.name.lower())) is not None
    near = near or did_you_mean(head.name, known)
    if near is not None and numbered and not foreign and not re.search(r"\d", near):
        return _misspelt(head, None, f"did you mean `{near}`?")  # the digits said something that it does not say
    layer = LAYERS.get(near or "")
    if layer is not None and takes_branches(layer) and follows[:1] == "(":
        return _misspelt(head, None, f"write `{near} [ a | b ]`")
    width = re.match(r"\(\s*([1-9][0-9_]*)\s*\)", follows)
    if near == "fc" and width:
        span = Span(head.span.source, head.span.start, head.span.stop + width.end())
        text = f"fc-{width[1]}"
        return replace(_misspelt(head, None, f"write `{text}`"), fix=Fix(span, text, f"write `{text}`"))
    if foreign and re.match(r"\(\s*[^\s)]", follows):
        return _misspelt(head, None, f"did you mean `{near}`? its arguments are others")
    return _misspelt(head, near)


def _misspelt(head: syntax.Name, near: str | None, hint: str = "`archdsl layers` lists what there is") -> Diagnostic:
    fix = None
    message, label = f"there is no layer or block called `{head.name}`", "not a layer, not a block"
    if near is not None and " " in near:
        hint = f"write {near}"
    elif near is not None:
        hint = f"write `{near}`" if near == head.name.lower() else f"did you mean `{near}`?"
        fix = Fix(head.span, near, hint)
        if near == head.name.lower():
            message, label = (
                f"`{head.name}` is written `{near}`: names of layers are lower case",
                "in lower case",
            )
    return Diagnostic(code="A101", message=message, span=head.span, label=label, hint=hint, fix=fix)


_PARTS = re.compile(r"([a-z]+?)(\d+(?:x\d+)?)?(?:_(\d{2,}))?(?:s(\d))?")


def _parted(head: syntax.Name, module: Module) -> str | None:
    """`conv3_64`, `conv3x3x64` and `maxpool3s2`, whose parts have other marks here; `bottleneck64`, whose number is an argument."""
    found = _PARTS.fullmatch(head.name.lower())
    follows = head.span.source.text[head.span.stop : head.span.stop + 1]
    glued = re.fullmatch(r"([a-z]+)([0-9]+x[0-9]+)x([0-9]+)", head.name.lower())
    if glued and glued[1] == "conv" and follows not in ("-", "("):
        return f"conv{glued[2]}-{glued[3]}"
    if found is None:
        return None
    name, kernel, width, stride = found.groups()
    layer = LAYERS.get(name)
    if layer is not None and (width or stride):
        fields = {"kernel": kernel, "channels": width, "stride": stride}
        if any(part and field not in layer.model_fields for field, part in fields.items()):
            return None
        if width and kernel is None and "kernel" in layer.model_fields:
            return None
        if follows == "-" if width else follows == "/":
            return None
        return f"{name}{kernel or ''}{f'-{width}' if width else ''}{f'/{stride}' if stride else ''}"
    block = None if width or stride or follows in ("(", "-") else module.find(name) or module.files.library_block(name)
    if block is None or not (kernel or "").isdigit():
        return None
    needed = [p.tensor for p in block[0].parameters if p.default is None]
    return f"{name}({kernel})" if needed == [False] else None


def argument_names(layer: type[Op]) -> dict[str, str]:
    """How a layer's arguments may be called, each with its field."""
    return {**{name: name for name in layer.model_fields}, **layer.short}


def fits(step: syntax.Step, target: Target) -> bool:
    """Whether a step has just the parts that its head takes; `checks.py` has told where it does not."""
    strides = step.stride is not None or (step.repeat is not None and step.repeat.stride is not None)
    if step.width is not None and not target.has_width or strides and not target.has_stride:
        return False
    if target.kind == "merge":
        if not isinstance(step.body, syntax.Branches):
            return False
        exact = branches_of(target)
        count = len(step.body.branches)
        if count != exact if exact is not None else count < 2:
            return False
    elif target.kind in ("group", "combinator"):
        if not isinstance(step.body, syntax.Sequence):
            return False
    elif step.body is not None:
        return False
    if target.combinator is not None and target.combinator.binds_tensors:
        return True
    given = step.arguments or ()
    if sum(argument.name is None for argument in given) > len(target.unnamed):
        return False
    known = target.arguments
    return all(argument.name is None or argument.name.name in known for argument in given)


def branches_of(target: Target) -> int | None:
    """How many branches a merge takes; None for two or more."""
    assert target.layer is not None
    return target.layer.arity - 1 if target.layer.arity is not None else None


def free_names(expr: syntax.Expr) -> list[str]:
    """Names in an expression, in order; functions and argument names are none."""
    return [name.name for name in names_in(expr)]


def names_in(expr: syntax.Expr) -> list[syntax.Name]:
    """The same, each with its place."""
    if isinstance(expr, syntax.Name):
        return [expr]
    return [name for part in parts_of(expr) for name in names_in(part)]


def counted(step: syntax.Step) -> frozenset[str]:
    """What a step's arguments say of the copies of the whole network: `copy.all`, `copy.total`."""
    values = [argument.value for argument in step.arguments or ()]
    return frozenset(f"{COPY}.{member.member.name}" for value in values for member in members_of_copy(value))


def members_of_copy(expr: syntax.Expr) -> list[syntax.Member]:
    if isinstance(expr, syntax.Member):
        return [expr] if expr.base.name == COPY else []
    return [member for part in parts_of(expr) for member in members_of_copy(part)]


def parts_of(expr: syntax.Expr) -> tuple[syntax.Expr, ...]:
    """The expressions that one is made of."""
    if isinstance(expr, syntax.Unary):
        return (expr.operand,)
    if isinstance(expr, syntax.Chain):
        return tuple(expr.operands)
    if isinstance(expr, syntax.CallExpr):
        return tuple(argument.value for argument in expr.arguments)
    return tuple(expr.items) if isinstance(expr, syntax.TupleExpr) else ()


def match_parameters(
    definition: syntax.Definition, given: tuple[syntax.Argument, ...]
) -> dict[str, syntax.Argument]:
    """Arguments by the parameter each fills; bare ones in order. What matches nothing is left out."""
    order = [p.name.name for p in definition.parameters]
    taken: dict[str, syntax.Argument] = {}
    position = 0
    for argument in given:
        if argument.name is None:
            if position < len(order):
                taken.setdefault(order[position], argument)
            position += 1
        elif argument.name.name in order:
            taken.setdefault(argument.name.name, argument)
    return taken


def signature(definition: syntax.Definition) -> str:
    """A definition's first line, as its author would call it: `bottleneck(f, s=1)`."""
    parts = []
    for parameter in definition.parameters:
        text = ("@" if parameter.tensor else "") + parameter.name.name
        parts.append(f"{text}={parameter.default.span.text}" if parameter.default is not None else text)
    return f"{definition.name.name}({', '.join(parts)})"


def described(definition: syntax.Definition) -> str:
    """What the comment above a definition says of its parameters, `f: width; s: stride`; "" if nothing."""
    if not definition.parameters:
        return ""
    source, line, first = definition.span.source, definition.span.line, definition.parameters[0].name.name
    lines: list[str] = []
    while (line := line - 1) > 0 and source.line(line).lstrip().startswith("#"):
        lines.insert(0, source.line(line).lstrip("# ").rstrip())
        if lines[0].startswith((f"{first}:", f"{first}, ")):
            return " ".join(lines).rstrip(".")
    return ""
