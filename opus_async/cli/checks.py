"""The result of a check of ``doctor``: what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

PATIENCE = 10.0
"""Seconds after which a step of a check is given up."""


class State(Enum):
    """How a check ended."""

    GOOD = "good"
    RISK = "risk"
    BAD = "bad"
    SKIPPED = "skipped"

    @property
    def mark(self) -> str:
        """The state as one character, for the table."""
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
        """The check as JSON."""
        return {"name": self.name, "state": self.state.value, "finding": self.finding, "fix": self.fix}

    def about(self, what: str) -> Check:
        """The same check, named as one of several such: ``Opus: connection``."""
        return replace(self, name=f"{what}: {self.name}")


class StepFailed(Exception):
    """A step failed, and those after it need not be taken.

    Attributes:
        check: What the step found.
    """

    def __init__(self, check: Check) -> None:
        super().__init__(check.finding)
        self.check = check


def good(name: str, finding: str) -> Check:
    """A check of something that works."""
    return Check(name, State.GOOD, finding)


def risk(name: str, finding: str, fix: str) -> Check:
    """A check of something that works, but may not always."""
    return Check(name, State.RISK, finding, fix)


def bad(name: str, finding: str, fix: str) -> Check:
    """A check of something that does not work."""
    return Check(name, State.BAD, finding, fix)


def skipped(name: str, because: str) -> Check:
    """A check that was not made."""
    return Check(name, State.SKIPPED, because)
