"""Finds the input that a name means: by variable name, display name, or display name in any case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from opus_async.models import InputField
from opus_async.spelling import closest


class InputNames:
    """The names by which the inputs of one workflow can be addressed.

    A display name is not promised to be unique; the variable name is. The first rule that matches anything
    decides: a display name written exactly beats one that differs only in case or surrounding space.

    Args:
        inputs: Variable name -> field, in the schema's order.
    """

    def __init__(self, inputs: Mapping[str, InputField]) -> None:
        self._inputs = inputs

    @cached_property
    def _exact(self) -> Mapping[str, Sequence[InputField]]:  # made when a name is no variable name
        return self._grouped(str)

    @cached_property
    def _folded(self) -> Mapping[str, Sequence[InputField]]:
        return self._grouped(folded)

    def _grouped(self, spelled: Callable[[str], str]) -> Mapping[str, Sequence[InputField]]:
        grouped: dict[str, list[InputField]] = {}
        for field in self._inputs.values():
            grouped.setdefault(spelled(field.display_name), []).append(field)
        return grouped

    @property
    def display_names(self) -> Sequence[str]:
        """All of them, each once, in the schema's order."""
        return tuple(self._exact)

    def matches(self, name: Any) -> Sequence[InputField]:
        """The inputs that a name can mean: one, none, or several."""
        if not isinstance(name, str):
            return ()
        return self.exactly(name) or self._folded.get(folded(name)) or ()

    def exactly(self, name: str) -> Sequence[InputField]:
        """The inputs with exactly this variable name or display name."""
        known = self._inputs.get(name)
        if known is not None:
            return (known,)
        return self._exact.get(name) or ()

    def closest(self, name: str) -> str | None:
        """The variable or display name that was most likely meant; None when none is like it."""
        return closest(name, (*self._inputs, *self._exact))


def folded(name: str) -> str:
    """A name without its case, with single spaces and none around it, for comparisons."""
    return on_one_line(name).casefold()


def on_one_line(name: str) -> str:
    """A name with one space wherever there are spaces, tabs or line breaks, and none around it.

    So it can be typed again: a line break in the header of a spreadsheet cannot be seen in a message.
    """
    return " ".join(name.split())
