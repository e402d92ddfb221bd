"""What the merges share: inputs that must agree, and how to say that they don't."""

from __future__ import annotations

from archdsl.ops.base import Shape, ShapeError, written


def refuse(
    verb: str, inputs: tuple[Shape, ...], branch: int, why: str, hint: str, to: int = 0, after: str = ""
) -> ShapeError:
    """The error for an input, by index, that does not go with the one at `to`."""
    message = f"branches {to + 1} and {branch + 1} can't be {verb}: "
    message += f"{written(inputs[to])} and {written(inputs[branch])} {why}"
    return ShapeError(message, code="A202", hint=hint, branch=branch, after=after)


def difference(one: Shape, two: Shape) -> str:
    """What two shapes differ in: `differ in height and width`."""
    if len(one) != len(two):
        return "are an image and a vector" if len(one) == 3 else "are a vector and an image"
    names = ("channels", "height", "width") if len(one) == 3 else ("length",)
    return "differ in " + " and ".join(n for n, a, b in zip(names, one, two, strict=True) if a != b)


def agreed(verb: str, inputs: tuple[Shape, ...]) -> Shape:
    """The one shape that all inputs have. Raises ShapeError."""
    for branch, shape in enumerate(inputs):
        if shape != inputs[0]:
            why = difference(inputs[0], shape)
            hint, after = _way_out(inputs[0], shape, branch)
            raise refuse(verb, inputs, branch, why, hint, after=after)
    return inputs[0]


def _way_out(one: Shape, two: Shape, branch: int) -> tuple[str, str]:
    """What would do, and the step at the end of the branch at fault that does it, if one does."""
    if len(one) != len(two):
        return "end the branch that is an image with `gap; flatten`", ""
    if len(one) == 1:
        return f"end branch {branch + 1} with `fc-{one[0]}`", f"fc-{one[0]}"
    if one[1:] == two[1:]:
        return f"end branch {branch + 1} with `conv1-{one[0]}`, or use concat", f"conv1-{one[0]}"
    return "give both branches the same stride and padding", ""
