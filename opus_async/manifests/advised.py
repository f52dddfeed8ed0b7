"""Sentences that end with what to do: tables show the two apart, everything else shows the sentence."""

from __future__ import annotations

from typing import Self


class Advised(str):
    """What is wrong and what to do about it, as one sentence.

    Args:
        what: What is wrong.
        fix: What to do about it.
        joint: What stands between the two.

    Attributes:
        what: As given.
        fix: As given.
        joint: As given.
    """

    __slots__ = ("fix", "joint", "what")
    what: str
    fix: str
    joint: str

    def __new__(cls, what: str, fix: str, joint: str = ": ") -> Self:
        """Join the two."""
        text = super().__new__(cls, f"{what}{joint}{fix}")
        text.what, text.fix, text.joint = what, fix, joint
        return text

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        """Pickle it by its parts."""
        return type(self), (self.what, self.fix, self.joint)


def placed(place: str, why: str) -> str:
    """Put the place in front of what is wrong there: ``column 'Total': ...``."""
    if isinstance(why, Advised):
        return Advised(f"{place}: {why.what}", why.fix, why.joint)
    return f"{place}: {why}"


def reason_of(error: ValueError) -> str:
    """The sentence that an error was made of, with its parts where they are told apart."""
    return next((part for part in error.args if isinstance(part, Advised)), str(error))


def what_of(text: str) -> str:
    """What is wrong, without what to do about it."""
    return text.what if isinstance(text, Advised) else text


def fix_of(text: str) -> str | None:
    """What to do about it; None where the text does not say it apart."""
    return text.fix if isinstance(text, Advised) else None
