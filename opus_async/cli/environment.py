"""Reads ``.env`` of the current folder, or the file that ``--env-file`` names; for the command line only.

Only the names of the platform at hand are taken: a proxy, say, is not. The environment wins, name by name.

A folder can come from somebody else, with a ``.env`` in it. Such a file may not send a secret to another host
that it does not hold itself; a file that a person names may. ``${NAME}`` is not replaced: a value could send
any variable of the environment away.
"""

from __future__ import annotations

import io
import logging
import os
import stat
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from opus_async.cli.errors import WrongUse
from opus_async.cli.tables import printable
from opus_async.cli.target import PlatformEntry
from opus_async.errors import ConfigurationError

ENV_FILE = Path(".env")
MOST_BYTES = 1024 * 1024
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""Byte-order marks of UTF-16, which the ``>`` of Windows PowerShell writes."""
_FLAG = "--env-file"
_SAVE_AS_UTF_8 = "it is not in UTF-8: save it as UTF-8"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of reading the file.

    Attributes:
        path: Of the file.
        names: Names that were added to the environment.
        unread: Why it could not be read; None where it could, or where there is none.
    """

    path: Path
    names: tuple[str, ...] = ()
    unread: str | None = None


class EnvironmentFile:
    """The environment file of a command. It is read once, as a pipe gives nothing a second time.

    Args:
        named: The file of ``--env-file``; None for ``.env`` of the current folder, if there is one.
        environ: The environment that is added to.
    """

    def __init__(self, named: Path | None, environ: MutableMapping[str, str] = os.environ) -> None:
        self._named = named
        self._environ = environ
        self._content: bytes | None = None
        self._loaded: dict[str, Loaded] = {}

    def load(self, entry: PlatformEntry[Any]) -> Loaded:
        """Add the settings of a platform to the environment, but for those that are set there.

        Raises:
            WrongUse: A named file cannot be read; or ``.env`` cannot, and nothing gives access without it.
            ConfigurationError: ``.env`` names a host, and the secret that would go there is not its own.
        """
        if entry.name not in self._loaded:
            self._loaded[entry.name] = self._load(entry)
        return self._loaded[entry.name]

    def _load(self, entry: PlatformEntry[Any]) -> Loaded:
        path, environ = ENV_FILE if self._named is None else self._named, self._environ
        try:
            if self._content is None:
                self._content = _content(path, named=self._named is not None)
            found = _settings(self._content, entry.variables.names)
        except FileNotFoundError:
            if self._named is None:
                return Loaded(path)
            raise WrongUse(f"{_FLAG}: there is no file {path}") from None
        except (OSError, ValueError) as error:
            reason = str(getattr(error, "strerror", None) or error)
            if self._named is None and any(environ.get(name, "").strip() for name in entry.variables.secrets):
                return Loaded(path, unread=reason)
            raise WrongUse(f"{path} cannot be read: {reason}") from None
        added = {name: value for name, value in found.items() if name not in environ}
        if self._named is None:
            _refuse_foreign_host(path, entry, found, added, environ)
        environ.update(added)
        return Loaded(path, tuple(added))


def _refuse_foreign_host(
    path: Path,
    entry: PlatformEntry[Any],
    found: Mapping[str, str],
    added: Mapping[str, str],
    environ: Mapping[str, str],
) -> None:
    """Refuse a ``.env`` that sends a secret to another host, unless the file holds that secret itself.

    Raises:
        ConfigurationError: It does. A secret in the file counts only if it is the one that is used: the
            environment's wins.
    """
    strange = {
        name: what
        for name, what in entry.variables.secrets.items()
        if (secret := environ.get(name, "").strip()) and found.get(name, "").strip() != secret
    }
    if not strange:
        return
    secret, what = next(iter(strange.items()))
    for name in entry.variables.destinations:
        place = added.get(name, "").strip()
        if place and place.rstrip("/") != entry.default_base_url():
            raise ConfigurationError(
                f"{path} in this folder sets {name} to {_host(place)}, and the {what} comes from the "
                f"environment: it is not sent where a file says that may be anybody's; nothing was sent. If "
                f"the file is yours, say {_FLAG} {path}, or put {secret} into it, too"
            )


def _host(place: str) -> str:
    """The host of a URL, to be shown: the path can be a secret."""
    try:
        host = urlsplit(place).hostname
    except ValueError:
        host = None
    return printable(host or "something that is no URL")[:100]


def _settings(content: bytes, names: Sequence[str]) -> dict[str, str]:
    """The settings with these names in the content of the file.

    Raises:
        ValueError: It is no such file; the text completes "cannot be read: ...".
    """
    text, known = _decoded(content)
    try:
        from dotenv import dotenv_values
    except ImportError:
        raise ValueError("that takes pip install 'opus-async[cli]'") from None
    log = logging.getLogger("dotenv")  # it logs lines that it cannot read, which may hold secrets
    log.addHandler(logging.NullHandler())
    log.propagate = False
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    found = {name: value for name in names if (value := values.get(name)) is not None}
    if not known and not all(value.isascii() for value in found.values()):
        raise ValueError(_SAVE_AS_UTF_8)
    return found


def _content(path: Path, *, named: bool) -> bytes:
    """The content of the file. A pipe is read if a person has named it, and otherwise not waited for."""
    waiting = 0 if named else getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | waiting)) as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.path.samestat(os.fstat(file.fileno()), os.stat(os.devnull)):  # noqa: PTH116 - one more of them
            return b""
        if not stat.S_ISREG(mode) and not (named and stat.S_ISFIFO(mode)):
            raise ValueError("it is no file")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
    return content


def _decoded(content: bytes) -> tuple[str, bool]:
    """The text of the file, and whether its letters beyond ASCII are known.

    Raises:
        ValueError: It is no text.
    """
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    known = True
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-16":
            raise ValueError(_SAVE_AS_UTF_8) from None
        text, known = content.decode("latin-1"), False  # a letter in a comment does no harm
    if "\0" in text:
        raise ValueError("it holds a NUL character, so it is no text: save it as UTF-8")
    return text, known
