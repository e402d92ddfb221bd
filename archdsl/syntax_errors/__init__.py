"""What a syntax error means: the slip behind it, said in the author's words, with the edit that mends it.

The parser says only where a text stopped fitting and which terminals would have fitted. The slips are read from
the words around that place, each by a function of its own that knows one of them; the first that recognises its
slip speaks.
"""

from __future__ import annotations

from collections.abc import Callable

from archdsl.diagnostics import Diagnostic
from archdsl.source import Source
from archdsl.syntax_errors.arithmetic import bare_arithmetic
from archdsl.syntax_errors.characters import comment_of_another_language, foreign_character, string
from archdsl.syntax_errors.joined import (
    arrows,
    body_in_parentheses,
    grouped_by_other_brackets,
    listed,
    name_of_the_input,
    repeat_by_a_product,
    repeat_in_front,
    repeat_in_parentheses,
    steps_joined,
    tensors_in_arithmetic,
)
from archdsl.syntax_errors.keywords import body_after_a_colon, misspelt_keyword
from archdsl.syntax_errors.labels import label_elsewhere
from archdsl.syntax_errors.loose import loose_arguments
from archdsl.syntax_errors.numbers import bad_number, loose_number, loose_shape, shape_expected
from archdsl.syntax_errors.papers import row_of_a_table
from archdsl.syntax_errors.place import Place, error, place_at
from archdsl.syntax_errors.python import python
from archdsl.syntax_errors.repeats import dangling_repeat, glued_repeat, repeat_without_number
from archdsl.syntax_errors.statements import (
    equals,
    missing_body,
    missing_parameters,
    name_that_is_reserved,
    nothing_follows,
    orphan_else,
    second_comparison,
)
from archdsl.syntax_errors.steps import (
    branches_without_merge,
    comma_between_steps,
    goes_on_from_the_line_before,
    missing_comma,
    parts_out_of_order,
    two_steps,
)


def explain(source: Source, at: int, expected: frozenset[str]) -> Diagnostic:
    """What is wrong at an offset where the parser stopped."""
    place = place_at(source, at, expected)
    for slip in _SLIPS:
        found = slip(place)
        if found is not None:
            return found
    return anything(place)


_SLIPS: tuple[Callable[[Place], Diagnostic | None], ...] = (
    string,
    comment_of_another_language,
    misspelt_keyword,
    body_after_a_colon,
    row_of_a_table,
    body_in_parentheses,
    repeat_in_parentheses,
    loose_shape,
    name_of_the_input,
    label_elsewhere,
    arrows,
    foreign_character,
    dangling_repeat,
    glued_repeat,
    orphan_else,
    python,
    loose_arguments,
    equals,
    second_comparison,
    name_that_is_reserved,
    bare_arithmetic,
    repeat_in_front,
    repeat_by_a_product,
    grouped_by_other_brackets,
    listed,
    steps_joined,
    tensors_in_arithmetic,
    missing_parameters,
    missing_body,
    nothing_follows,
    repeat_without_number,
    loose_number,
    bad_number,
    comma_between_steps,
    branches_without_merge,
    goes_on_from_the_line_before,
    parts_out_of_order,
    two_steps,
    missing_comma,
    shape_expected,
)


def anything(place: Place) -> Diagnostic:
    if not place.text:
        end = place.span(max(place.index - 1, 0)).at_end()
        return error("A001", "the line ends before its statement does", end, "something is missing here",
                     "go on on the same line, or inside ( )")  # fmt: skip
    if place.index == place.first:
        hint = "a statement starts with a layer, a block, { or one of use, block, arch, default, let, if, input, output"
    elif place.in_parentheses():
        hint = "arguments are values or name=value, separated by commas"
    elif "NAME" in place.expected:
        hint = "a name or a value belongs here"
    else:
        hint = "the parts of a step come in this order: name-width/stride(args){body} xN as label -> shape"
    return error("A001", f"`{place.text}` does not fit here", place.span(), "not expected here", hint)
