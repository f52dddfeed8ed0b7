"""Makes the file system of a URL, and says what to install where its library is missing."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from opus_async.remote_urls import RemoteFile, is_chain, scheme_of, without_secrets

EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
    "wasb": "azure",
    "wasbs": "azure",
}
"""Scheme -> the extra of this package that brings its library."""
CLOSABLE = frozenset({"s3", "s3a", "gs", "gcs", "http", "https"})
"""Schemes whose libraries take an event loop of ours, and close their connections when told to."""


_LOGS = (logging.getLogger("fsspec"), logging.getLogger("fsspec.http"), logging.getLogger("fsspec.cached"))
"""Logs of the library that tell the URLs of requests."""


class MissingLibrary(Exception):
    """The library that reads a URL is not installed; the text says how to install it."""


class UnknownScheme(Exception):
    """No library reads such a URL."""


class Located(NamedTuple):
    """A file system and a path in it.

    Attributes:
        filesystem: Of fsspec.
        path: As the file system has it.
    """

    filesystem: Any
    path: str


def options_of(url: str) -> dict[str, Any]:
    """What a URL says of its file system beside its path: a host, a user. Part of its identity.

    Raises:
        MissingLibrary: The library is not installed.
        UnknownScheme: There is none for the scheme.
    """
    found: dict[str, Any] = _class_of(url)._get_kwargs_from_urls(url)  # noqa: SLF001 - how fsspec names it for its own parts
    return found


def opened(url: str, options: dict[str, Any]) -> Any:
    """A file system of our own, which nobody else has.

    Raises:
        MissingLibrary, UnknownScheme: As in :func:`options_of`.
    """
    return _class_of(url)(**options, skip_instance_cache=True)


def path_in(filesystem: Any, url: str) -> str:
    """The path of a URL in its file system."""
    path: str = filesystem._strip_protocol(url)  # noqa: SLF001 - as fsspec.core.url_to_fs does
    return path


def shared(url: str) -> Located:
    """The file system of a URL, or of a chain of several, as fsspec keeps it for the whole process.

    Raises:
        MissingLibrary, UnknownScheme: As in :func:`options_of`.
    """
    fsspec = _fsspec(url)
    if not is_chain(url):  # what fsspec takes for a chain is a name with two colons otherwise
        filesystem = _class_of(url)(**options_of(url))
        return Located(filesystem, path_in(filesystem, url))
    try:
        return Located(*fsspec.core.url_to_fs(url))
    except ImportError as error:
        raise MissingLibrary(_install(url, str(error))) from None
    except ValueError as error:
        raise _unknown(url, error) from None


def _class_of(url: str) -> Any:
    fsspec = _fsspec(url)
    try:
        return fsspec.get_filesystem_class(scheme_of(url))
    except ImportError as error:
        raise MissingLibrary(_install(url, str(error))) from None
    except ValueError as error:
        raise _unknown(url, error) from None


def _fsspec(url: str) -> Any:
    try:
        import fsspec  # noqa: PLC0415 - an optional library, and slow to import
        import fsspec.core  # noqa: PLC0415 - an optional library
    except ImportError:
        raise MissingLibrary(_install(url, "install fsspec: pip install fsspec")) from None
    for log in _LOGS:
        log.addFilter(_without_secrets)  # the same one again is not added
    return fsspec


def _without_secrets(record: logging.LogRecord) -> bool:
    """Take what may give access out of the library's own log, which a program may show."""
    record.msg, record.args = without_secrets(record.getMessage()), ()
    record.exc_info = record.exc_text = None  # the text of an error names the URL again
    return True


def _install(url: str, otherwise: str) -> str:
    extra = EXTRAS.get(scheme_of(url) or "")
    return f"install its library: pip install 'opus-async[{extra}]'" if extra else otherwise


def _unknown(url: str, error: ValueError) -> UnknownScheme:
    text = str(error)
    if "not known" not in text.lower():
        return UnknownScheme(text)
    return UnknownScheme(
        f"no library is known for {RemoteFile(url)}: s3://, gs://, az://, https:// and other schemes of "
        "fsspec can be read"
    )
