"""Fixtures of every test of jobs."""

from __future__ import annotations

from platforms import platform_class

__all__ = ["platform_class"]
