"""Fixtures of every test of batches."""

from __future__ import annotations

from simulated import _quick, connect, simulate

__all__ = ["_quick", "connect", "simulate"]
