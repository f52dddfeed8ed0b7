"""What a check found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

PATIENCE = 10.0
"""Seconds for each step."""


class State(Enum):
    """How a check ended."""

    GOOD = "good"
    RISK = "risk"
    BAD = "bad"
    SKIPPED = "skipped"

    @property
    def mark(self) -> str:
        """One character for the table."""
        return {"good": "✓", "risk": "!", "bad": "✗", "skipped": "-"}[self.value]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's table.

    Attributes:
        name: What was looked at.
        state: How it stands.
        finding: What was seen; never a secret.
        fix: What to do; empty when nothing has to be done.
    """

    name: str
    state: State
    finding: str
    fix: str = ""

    def as_json(self) -> dict[str, Any]:
        """The line for a machine."""
        return {"name": self.name, "state": self.state.value, "finding": self.finding, "fix": self.fix}


def good(name: str, finding: str) -> Check:
    """Nothing to do."""
    return Check(name, State.GOOD, finding)


def risk(name: str, finding: str, fix: str) -> Check:
    """It works, and may not always."""
    return Check(name, State.RISK, finding, fix)


def bad(name: str, finding: str, fix: str) -> Check:
    """It does not work."""
    return Check(name, State.BAD, finding, fix)


def skipped(name: str, because: str) -> Check:
    """It was not looked at."""
    return Check(name, State.SKIPPED, because)
