"""Hover: what a step is and does here: its page, the arithmetic of its shape, what it sees and what it costs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lsprotocol import types

from archdsl import syntax
from archdsl.elaborate.origins import arithmetic
from archdsl.lsp.analysis import Analysis, Step
from archdsl.lsp.completion import arguments_of, definition_of
from archdsl.lsp.hints import costs_of
from archdsl.lsp.markup import markdown
from archdsl.lsp.tree import innermost, path_at
from archdsl.names import described, signature
from archdsl.ops import LAYERS
from archdsl.ops.base import written
from archdsl.pages import stem_of
from archdsl.references import Binding
from archdsl.source import Span
from archdsl.values import function_called

_KEYWORDS = {
    "use": '`use "families/resnet.arch"`: the blocks and archs of another file, relative to this one.',
    "block": "`block f(k, s=1, @skip) { ... }`: steps that can be called by a name; `@skip` is a tensor.",
    "arch": "`arch net(classes=1000) { ... }`: a network.",
    "default": "`default conv(norm=bn, act=relu)`: what every layer of a kind carries from here on, in called blocks too.",
    "let": "`let w = round8(32*width)`: a compile-time value.",
    "if": "`if s > 1 { ... } else { ... }`: decided when compiling.",
    "else": "`if s > 1 { ... } else { ... }`: decided when compiling.",
    "input": "`input 3x224x224`: channels, height, width of what comes in; a name such as H leaves a size open.",
    "output": "`output @c3, @c4`: labelled tensors that leave the network.",
    "expect": "`expect(params=25_557_032, macs=4.09G)`: published figures that the network must meet.",
    "as": "`as c3`: a label, which becomes the module's name; `@c3` is the tensor.",
    "copy": "In a repeated step, the number of the copy, from 0. In a step's arguments, `copy.all` is its number among the"
    " copies of all steps that say so, and `copy.total` how many they are: `drop=0.2*copy.all/copy.total`.",
    "in": "`in.c`, `in.h`, `in.w`: the sizes that come into this block.",
}

def _function(name: str) -> str | None:
    if function_called(name) is None:
        return None
    divisor = name.removeprefix("round")
    if not divisor.isdigit():
        return "a function of numbers"
    return f"the nearest multiple of {divisor} that is not under 90 % of x: MobileNet's rule"



def hover(analysis: Analysis, offset: int) -> types.Hover | None:
    """What stands at an offset."""
    found = _at(analysis, offset)
    if found is None:
        return None
    span, text = found
    content = types.MarkupContent(types.MarkupKind.Markdown, text)
    return types.Hover(content, analysis.lines.range(span[0], span[1]))


def _at(analysis: Analysis, offset: int) -> tuple[tuple[int, int], str] | None:
    word = _word(analysis.text, offset)
    tree = analysis.module.tree
    if tree is None or any(c.span.start <= offset < c.span.stop for c in tree.comments):
        return None
    path = path_at(tree, offset)
    step = innermost(path, syntax.Step)
    if step is not None and step.head is not None and step.head.span.start <= offset <= step.head.span.stop:
        end = step.head.span.stop
        return (step.head.span.start, end), "\n\n".join(_step(analysis, step))
    default = innermost(path, syntax.Default)
    if default is not None and default.op.span.start <= offset <= default.op.span.stop:
        return (default.op.span.start, default.op.span.stop), markdown(default.op.name, analysis.buffers)
    argument = innermost(path, syntax.Argument)
    if (
        argument is not None
        and argument.name is not None
        and argument.name.span.start <= offset <= argument.name.span.stop
    ):
        return _argument(analysis, path, argument)
    use = innermost(path, syntax.Use)
    if use is not None and use.path_span.start <= offset <= use.path_span.stop:
        return (use.path_span.start, use.path_span.stop), _used(analysis, use)
    contract = innermost(path, syntax.ShapeLiteral)
    if contract is not None and step is not None and step.contract is contract:
        known = analysis.step_at(step.span.start)
        if known is not None:
            return (
                contract.span.start,
                contract.span.stop,
            ), f"this step gives {written(known.placed.shapes[0])}"
    binding = next((b for b in analysis.bindings if b.span.start <= offset <= b.span.stop), None)
    if binding is not None:
        return (binding.span.start, binding.span.stop), _name(analysis, binding)
    if word is not None:
        start, stop = word
        name = analysis.text[start:stop]
        says = _KEYWORDS.get(name) or (
            _function(name)
        )
        says = says or (markdown(name, analysis.buffers) if name in LAYERS else None)
        return ((start, stop), says) if says else None
    return None


def _word(text: str, offset: int) -> tuple[int, int] | None:
    start = stop = offset
    while start > 0 and re.match(r"\w", text[start - 1]):
        start -= 1
    while stop < len(text) and re.match(r"\w", text[stop]):
        stop += 1
    return (start, stop) if stop > start else None


def _step(analysis: Analysis, step: syntax.Step) -> Iterator[str]:
    """A paragraph each: the shape, how it came about, the costs, the page of the layer or block."""
    known = analysis.step_at(step.span.start)
    if isinstance(step.head, syntax.Reference):
        shape = f", **{written(known.placed.shapes[0])}**" if known is not None else ""
        yield f"the tensor labelled `{step.head.label}`{shape}"
        return
    if known is not None:
        draft, placed = known.draft, known.placed
        came = written(draft.nodes[placed.entered].shape) if placed.entered is not None else ""
        yield f"**{came} → {written(placed.shapes[0])}**" if came else f"**{written(placed.shapes[0])}**"
        how = list(dict.fromkeys(_arithmetic(known)))
        if how:
            yield "  \n".join(f"`{line}`" for line in how[:4])
        yield from costs_of(known)
    if step.head is not None:
        found = analysis.module.find(step.head.name)
        if found is not None:
            yield f"---\n\n`{signature(found[0])}`"
            if described(found[0]):
                yield described(found[0])
        else:
            yield f"---\n\n{markdown(step.head.name, analysis.buffers)}"


def _arithmetic(step: Step) -> Iterator[str]:
    """How each window of a step's own layers makes its size, where it changes it."""
    nodes = step.draft.nodes
    for index in range(step.placed.start, step.placed.stop):
        node = nodes[index]
        if node.span == step.span and node.inputs:
            text = arithmetic(nodes, index)
            if text:
                yield text


def _argument(
    analysis: Analysis, path: list[syntax.Syntax], argument: syntax.Argument
) -> tuple[tuple[int, int], str] | None:
    owner = innermost(
        path[: path.index(argument)], syntax.Step, syntax.Default, syntax.CallExpr, syntax.Expect
    )
    name = argument.name
    assert name is not None
    head = ""
    if isinstance(owner, syntax.Step) and isinstance(owner.head, syntax.Name):
        head = owner.head.name
    elif isinstance(owner, syntax.Default):
        head = owner.op.name
    elif isinstance(owner, syntax.CallExpr):
        head = owner.function.name
    elif isinstance(owner, syntax.Expect):
        return (name.span.start, name.span.stop), _figure(analysis, name.name)
    layer = LAYERS.get(stem_of(head))
    full = layer.short.get(name.name, name.name) if layer is not None else name.name
    for known, detail in arguments_of(analysis, head):
        if known.lstrip("@") == full:
            text = f"`{full}` of `{stem_of(head) if layer is not None else head}`: {detail}"
            definition = definition_of(analysis, head)
            if definition is not None and described(definition):
                text += f"\n\n{described(definition)}"
            return (name.span.start, name.span.stop), text
    return None


def _figure(analysis: Analysis, figure: str) -> str:
    values = [
        f"{network.name} has {getattr(network, figure):,}"
        for network in analysis.checked.networks
        if isinstance(getattr(network, figure, None), int)
    ]
    return f"the published figure `{figure}`" + (f"; {', '.join(values)}" if values else "")


def _used(analysis: Analysis, use: syntax.Use) -> str:
    if analysis.path is None:
        return f"`{use.path}`"
    path = (analysis.path.parent / use.path).resolve()
    module = next((m for m in analysis.module.everywhere() if m.path == path), None)
    if module is None:
        return f"`{use.path}`"
    return f"`{path}` defines {', '.join(f'`{name}`' for name in module.definitions) or 'nothing'}"


def _name(analysis: Analysis, binding: Binding) -> str:
    place: Span = binding.place
    line = " ".join(place.source.line(place.line).split())
    if binding.kind == "label":
        for step in analysis.steps:
            label = step.placed.step.label
            if label is not None and label.span == place:
                shape = written(step.placed.shapes[-1])
                return f"`@{place.text}`: a tensor of **{shape}**"
        return f"`@{place.text}`: a tensor"
    where = "" if place.source is analysis.source else f" in {place.source.name}"
    return f"`{place.text}`, given in line {place.line}{where}:\n\n```archdsl\n{line}\n```"
