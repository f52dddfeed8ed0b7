"""Fixtures of every test of load tests."""

from __future__ import annotations

from virtual_load import virtual_clock

__all__ = ["virtual_clock"]
