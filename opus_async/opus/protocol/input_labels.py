"""The names of inputs in messages, and problems that name an input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opus_async.input_names import InputNames
from opus_async.input_problems import InputProblem, ProblemCode, Unfit
from opus_async.models import InputField
from opus_async.text import quoted as in_quotes
from opus_async.wire.excerpts import excerpt


def name_problem(known: InputNames, name: Any, matches: Sequence[InputField]) -> InputProblem:
    """Make the problem of a name that means no input, or more than one."""
    if not isinstance(name, str):
        return InputProblem(
            f"an input is named by a text, not by a value of type {type(name).__name__}",
            code=ProblemCode.UNKNOWN_INPUT,
        )
    if not matches:
        return InputProblem(
            f"there is no input {quoted(name)}{_suggestion(known, name)}", code=ProblemCode.UNKNOWN_INPUT
        )
    variables = " and ".join(quoted(match.variable_name) for match in matches)
    return InputProblem(
        f"{quoted(name)} is the display name of {len(matches)} inputs: "
        f"name the one you mean by its variable, {variables}",
        code=ProblemCode.AMBIGUOUS_INPUT,
    )


def input_problem(field: InputField, unfit: Unfit) -> InputProblem:
    """Make the problem of what was given for an input."""
    return unfit.problem(subject=label(field), input=field.variable_name, display_name=field.display_name)


def label(field: InputField) -> str:
    """The name of an input for messages: its display name, and the variable behind it."""
    if field.display_name == field.variable_name:
        return quoted(field.display_name)
    return f"{quoted(field.display_name)} ({excerpt(field.variable_name, 80)})"


def quoted(name: str) -> str:
    """A name in quotes for messages: short, printable, without secrets."""
    return in_quotes(excerpt(name, 80))


def _suggestion(known: InputNames, name: str) -> str:
    """The closest name there is, or all of them when they are few."""
    close = known.closest(name)
    if close is not None:
        return f"; did you mean {quoted(close)}?"
    if not known.display_names:
        return ": the workflow takes none"
    return f"; it has {excerpt(', '.join(map(quoted, known.display_names)), 200)}"
