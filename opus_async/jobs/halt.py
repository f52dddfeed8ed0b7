"""The halt policy: how many failures end a session early. The grammar is that of GNU parallel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self

_GRAMMAR = re.compile(r"(?P<when>now|soon),fail=(?P<number>\d+(\.\d+)?)(?P<percent>%?)")
LEAST_FAILURES = 3
"""Failures below which no share is judged: the first row of a batch is no sample."""
_ALL = 100


@dataclass(frozen=True, slots=True)
class Halt:
    """When to stop for failures.

    Attributes:
        when: ``soon`` admits no more rows and lets those in flight end; ``now`` leaves at once (their jobs
            go on remotely, and a resume collects them).
        failures: Rows that may end otherwise than completed in this session, this one included; None for
            no number.
        share: The same limit as a share of the rows that ended in this session, 0 to 1, once three failed.
    """

    when: Literal["now", "soon"] = "soon"
    failures: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``now,fail=1``, ``soon,fail=10%`` or ``never``.

        Raises:
            ValueError: It is none of these; the text says what would be one.
        """
        if text.strip() == "never":
            return cls()
        found = _GRAMMAR.fullmatch(text.replace(" ", ""))
        wanted = "use now,fail=N, soon,fail=N, either with N% for a share, or never"
        if found is None:
            raise ValueError(f"{text!r} is no halt policy: {wanted}")
        when: Literal["now", "soon"] = "now" if found["when"] == "now" else "soon"
        number = float(found["number"])
        if found["percent"]:
            if not 0 < number <= _ALL:
                raise ValueError(f"{text!r}: a share lies between 0% and 100%")
            return cls(when, share=number / _ALL)
        if number < 1 or not number.is_integer():
            raise ValueError(f"{text!r}: a number of failures is a whole number from 1; {wanted}")
        return cls(when, failures=int(number))

    def __str__(self) -> str:
        if self.failures is not None:
            return f"{self.when},fail={self.failures}"
        if self.share is not None:
            return f"{self.when},fail={self.share * _ALL:g}%"
        return "never"

    def reached(self, *, failed: int, ended: int) -> bool:
        """Whether the session is to stop.

        Args:
            failed: Rows of this session that ended otherwise than completed.
            ended: Rows of this session that ended.
        """
        if self.failures is not None:
            return failed >= self.failures
        if self.share is not None:
            return failed >= LEAST_FAILURES and failed >= self.share * ended
        return False
