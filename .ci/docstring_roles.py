"""For mkdocstrings: roles in docstrings, such as :class:`Limits`, become links or code of Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

import opus_async

_ROLE = re.compile(r":(?:class|func|meth|mod|data|exc|attr):`~?([\w.]+)`")


def _written(role: re.Match[str]) -> str:
    name = role[1].rpartition(".")[2]
    return f"[`{name}`][opus_async.{name}]" if name in opus_async.__all__ else f"`{name}`"


class DocstringRoles(griffe.Extension):
    """Rewrites the docstrings of everything that is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(_written, obj.docstring.value)
