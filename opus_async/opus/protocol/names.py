"""Which input a caller means: by exact variable name, exact display name, or display name in any case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from opus_async.models import InputField
from opus_async.opus.protocol.excerpts import excerpt


class Names:
    """The names by which the inputs of one workflow can be addressed.

    A display name is not promised to be unique; the variable name is. The first rule that matches anything
    decides: a display name written exactly beats one that differs only in case or surrounding space.
    """

    def __init__(self, inputs: Mapping[str, InputField]) -> None:
        self._inputs = inputs
        self._exact: dict[str, list[InputField]] = {}
        self._folded: dict[str, list[InputField]] = {}
        for field in inputs.values():
            self._exact.setdefault(field.display_name, []).append(field)
            self._folded.setdefault(_fold(field.display_name), []).append(field)

    def matches(self, name: Any) -> Sequence[InputField]:
        """The inputs that a name can mean: one, or none, or too many."""
        if not isinstance(name, str):
            return ()
        known = self._inputs.get(name)
        if known is not None:
            return (known,)
        return self._exact.get(name) or self._folded.get(_fold(name)) or ()

    def problem(self, name: Any, matches: Sequence[InputField]) -> str:
        """The sentence for a name that means no input, or more than one."""
        if not isinstance(name, str):
            return f"an input is named by a text, not by a value of type {type(name).__name__}"
        if not matches:
            return f"there is no input {quoted(name)}{self._suggestion(name)}"
        variables = " and ".join(quoted(match.variable_name) for match in matches)
        return (
            f"{quoted(name)} is the display name of {len(matches)} inputs: "
            f"name the one you mean by its variable, {variables}"
        )

    def _suggestion(self, name: str) -> str:
        """The closest name there is, or all of them when they are few."""
        spellings = {_fold(known): known for known in (*self._inputs, *self._exact)}
        close = get_close_matches(_fold(name), spellings, n=1, cutoff=0.6)
        if close:
            return f"; did you mean {quoted(spellings[close[0]])}?"
        if not self._exact:
            return ": the workflow takes none"
        return f"; it has {excerpt(', '.join(map(quoted, self._exact)), 200)}"


def label(field: InputField) -> str:
    """An input in a message: what a person sees, and the variable behind it."""
    if field.display_name == field.variable_name:
        return quoted(field.display_name)
    return f"{quoted(field.display_name)} ({excerpt(field.variable_name, 80)})"


def _fold(name: str) -> str:
    return name.strip().casefold()


def quoted(name: str) -> str:
    """A name in a message."""
    return f"'{excerpt(name, 80)}'"
