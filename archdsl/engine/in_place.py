"""Calls that may write where they read: an activation, a sum, the residual of a convolution. That is where
nobody reads the tensor afterwards, it is no part or second name of the image or of an output, and nothing
else shares its memory in another shape."""

from __future__ import annotations

from archdsl.engine.calls import Memory, Program, Value


def in_place(program: Program) -> None:
    """Rewrite the program's calls."""
    calls = program.calls
    memory = Memory(program)
    image = memory.root(program.image)
    made = {call.out for call in calls}
    # Other parts of a tensor that grows are written by others.
    growing = {memory.root(call.out) for call in calls if call.name == "aten::empty.memory_format"}
    for number, call in enumerate(calls):
        if call.into is None:
            continue
        name, index = call.into
        value = call.args[index]
        if not isinstance(value, Value) or value not in made:
            continue
        root = memory.root(value)
        if root is image or root in growing or memory.last_read(value) != number:
            continue
        if sum(memory.root(v) is root for v in call.values) > 1:
            continue  # it is read in another place as well
        call.name, call.writes = name, 0
        call.args = (value, *(arg for i, arg in enumerate(call.args) if i != index))
        memory.join(call.out, value)
