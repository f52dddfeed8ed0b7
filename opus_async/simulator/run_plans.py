"""What a test says about one run; see ``scripts``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Outputs = dict[str, dict[str, Any]]
"""Variable name -> output, as results tell it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a script says about one run.

    Attributes:
        outputs: Variable name -> output, instead of what is computed; None to compute them.
        asks: Whether the outputs are asked for when the run has its inputs.
        failing_node: Index of the node that fails; None for none.
        error: The text of that failure, as the audit tells it.
        delay: Seconds of work in addition.
        pause: Seconds that it waits for a person; None as drawn.
    """

    outputs: Outputs | None = None
    asks: bool = False
    failing_node: int | None = None
    error: str = ""
    delay: float = 0.0
    pause: float | None = None


UNSAID = Plan()
"""What is said where nothing is."""
