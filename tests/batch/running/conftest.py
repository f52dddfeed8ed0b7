"""Fixtures of every test of a batch that runs."""

from __future__ import annotations

from platforms import platform_class

__all__ = ["platform_class"]
