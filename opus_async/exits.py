"""Exit codes of commands and batches."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes; a contract."""

    OK = 0
    FAILED = 1
    """Some jobs failed, or it could not be done."""
    WRONG_USE = 2
    HALTED = 3
    NOT_ALLOWED = 4
    """Key, permission or configuration."""
    UNKNOWN = 5
    """An outcome is unknown and needs a decision."""
    SLO_FAILED = 6
    INVALID_LOAD = 7
    INTERRUPTED = 130


_ORDER = (
    Exit.INTERRUPTED,
    Exit.NOT_ALLOWED,
    Exit.WRONG_USE,
    Exit.HALTED,
    Exit.INVALID_LOAD,
    Exit.SLO_FAILED,
    Exit.UNKNOWN,
    Exit.FAILED,
)


def first_of(codes: Iterable[Exit]) -> Exit:
    """The exit code to use when several apply."""
    found = set(codes)
    return next((code for code in _ORDER if code in found), Exit.OK)
