"""The results of a finished job."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from opus_async.json_text import parsed
from opus_async.value import Value


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class OutputValue(Value):
    """One output variable of a finished job.

    Attributes:
        variable_name: The key on the wire.
        display_name: What a person sees; the variable name where the platform gives none.
        type: As sent; None where the answer had bare values.
        value: As sent.
    """

    variable_name: str
    display_name: str
    value: Any
    type: str | None = None

    @property
    def parsed(self) -> Any:
        """The value; of a text that holds a JSON object or array, what it holds."""
        return parsed(self.value)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class JobResults(Value):
    """The outputs of a completed job.

    Attributes:
        values: Every output variable, in the order sent.
        raw: The whole answer, as sent.
    """

    values: tuple[OutputValue, ...] = ()
    raw: Any = field(default=None, repr=False)

    @property
    def outputs(self) -> dict[str, Any]:
        """Display name -> value. A display name used twice is followed by its variable in brackets."""
        named: dict[str, Any] = {}
        for output in self.values:
            named[free_name(output.display_name, output.variable_name, named)] = output.value
        return named

    @property
    def parsed_outputs(self) -> dict[str, Any]:
        """Like ``outputs``; of a text that holds a JSON object or array, what it holds."""
        return {name: parsed(value) for name, value in self.outputs.items()}


def free_name(display_name: str, variable_name: str, taken: Container[str]) -> str:
    """The display name of an output, or, where that is taken, one with the variable in brackets."""
    name, number = display_name, 1
    while name in taken:
        number += 1
        again = "" if number == 2 else f" {number}"  # noqa: PLR2004 - the second needs no number
        name = f"{display_name} ({variable_name}{again})"
    return name
