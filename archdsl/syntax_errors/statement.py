"""What to leave out around an error, so that the rest of the text can be read."""

from __future__ import annotations

import re

_STRUCTURE = re.compile(r'"[^"\n]*"?|#[^\n]*|[()\[\]{};|\n]')
_OPENERS = {")": "(", "]": "[", "}": "{"}


def statement_around(text: str, offset: int) -> tuple[int, int]:
    """The stretch to leave out so that the rest still fits: the statement at fault, without a body of its own.

    The brackets of what is left out are balanced, if those of the whole text are.
    """
    starts = [0]  # for every open bracket, where the statement in it starts
    kinds = [""]
    depth_at_fault = None
    for match in _STRUCTURE.finditer(text):
        token, place = match.group(), match.start()
        if depth_at_fault is None and place >= offset:
            depth_at_fault = max(index for index, kind in enumerate(kinds) if kind != "(")
        if depth_at_fault is not None:
            start = starts[depth_at_fault]
            depth = len(kinds) - 1
            ends = (
                depth == depth_at_fault
                and (token in ";\n}]" or token in "{[" or token == "|" and kinds[depth] == "[")
                and token[0] not in '"#()'
            )
            if ends and text[start:place].strip():
                return start, place
            if ends and place > offset and token in ";\n}]|":
                return start, place
        if token in ("(", "[", "{"):
            starts.append(match.end())
            kinds.append(token)
        elif token in (")", "]", "}"):
            if kinds[-1] == _OPENERS[token]:
                starts.pop()
                kinds.pop()
            if token != ")":
                if depth_at_fault is not None and len(kinds) - 1 == depth_at_fault and place > offset:
                    return starts[-1], match.end()
                if len(kinds) - 1 < (depth_at_fault or 0):
                    return offset, min(offset + 1, len(text))
                starts[-1] = match.end()
        elif token in (";", "\n") and kinds[-1] != "(" or token == "|" and kinds[-1] == "[":
            starts[-1] = match.end()
    level = depth_at_fault if depth_at_fault is not None else 0
    return starts[min(level, len(starts) - 1)], len(text)
