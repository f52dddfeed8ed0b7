"""``.env`` of the current directory: for the command line only, and only names that are ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, MutableMapping
from pathlib import Path

from opus_async.cli.errors import WrongUse

_LINE = re.compile(
    r"""\s*(?:export\s+)?
        (?P<name>(?:OPUS|OPERATIVUS)_[A-Z0-9_]+)\s*=\s*
        (?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>.*?))
        \s*(?:(?<=\s)\#.*)?""",
    re.VERBOSE,
)


def load(path: Path = Path(".env"), environ: MutableMapping[str, str] = os.environ) -> tuple[str, ...]:
    """Add what ``.env`` sets to the environment, which wins; returns the names that were added.

    Raises:
        WrongUse: The file is there and cannot be read.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    added = [(name, value) for name, value in settings(lines) if name not in environ]
    environ.update(added)
    return tuple(dict(added))


def settings(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The settings in lines like ``export OPUS_SERVICE_KEY="..."  # comment``."""
    for line in lines:
        if match := _LINE.fullmatch(line):
            value = next(filter(None, match.group("double", "single", "bare")), "")
            yield match["name"], value
