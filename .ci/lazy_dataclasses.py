"""For mkdocstrings: classes by ``dataclass`` of :mod:`opus_async.lazy_dataclass` are shown as dataclasses."""

from __future__ import annotations

from typing import Any

import griffe


class LazyDataclasses(griffe.Extension):
    """Reads every import of our decorator as one of the standard library's, which type checkers see, too."""

    def on_alias_instance(self, *, alias: griffe.Alias, **_: Any) -> None:
        """Read one."""
        if alias.target_path == "opus_async.lazy_dataclass.dataclass":
            alias.target_path = "dataclasses.dataclass"
