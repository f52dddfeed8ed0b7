"""Checks of settings that more than one part has; each raises ValueError with what there is instead."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HIGHEST_PORT = 65535


def check_loopback(host: str) -> None:
    """Refuse an address that another machine could reach."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"the simulator serves this machine only: {host!r} is not a loopback address")


def check_names(what: str, given: set[str] | frozenset[str], known: Iterable[str]) -> None:
    """Refuse a name that is not known."""
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"unknown {what} {unknown[0]!r}: choose from {', '.join(known)}")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside of its range, and what is no number."""
    if not is_number(value):
        raise ValueError(f"{name} must be a number, not {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low} and {high}, not {value}")


def check_port(name: str, port: int) -> None:
    """Refuse what cannot be a port."""
    check_range(name, port, 0, HIGHEST_PORT)


def is_number(value: object) -> bool:
    """Whether a value is a number, which a truth value is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
