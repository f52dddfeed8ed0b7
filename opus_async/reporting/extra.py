"""The extra ``report``: pages are made with Jinja, which a process that makes none need not have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from opus_async.errors import ConfigurationError

_OF_THE_EXTRA = frozenset({"jinja2", "markupsafe"})


@contextmanager
def needed_for(what: str) -> Iterator[None]:
    """Import what makes pages inside of a block; Jinja itself is imported before it.

    Args:
        what: What the pages are needed for, as people know it: a file or an option.

    Raises:
        ConfigurationError: The extra is not installed.
    """
    try:
        import_module("jinja2")
        yield
    except ModuleNotFoundError as error:
        if error.name not in _OF_THE_EXTRA:
            raise
        raise ConfigurationError(f"{what} takes pip install 'opus-async[report]'") from None
