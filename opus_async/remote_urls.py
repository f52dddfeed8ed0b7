"""URLs of documents that lie in an object store or on a server: which texts are one, and how they are shown.

Pure: nothing is opened or looked up, and fsspec, which reads them, is not imported.
"""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path
from posixpath import basename, splitext
from typing import TypeAlias
from urllib.parse import unquote

from opus_async.lazy_dataclass import dataclass

# Patterns are texts: re compiles each when it is first looked for, and keeps it. Most programs need none.
_CHAIN = r"(?i)\s*([a-z][a-z0-9+.-]+)(?:::[a-z][a-z0-9+.-]+)*://"
"""``s3://`` or, of several libraries one behind the other, ``zip://a.pdf::s3://``. One letter is a drive."""
_LINK = r"(?i)::[a-z][a-z0-9+.-]+(?:::[a-z][a-z0-9+.-]+)*://"
"""What joins two libraries of a chain; a ``::`` without a scheme behind it is part of a name."""
_BEGIN = r"(?i)(?<![a-z0-9+.:-])(?=[a-z][a-z0-9+.-]+(?:::[a-z][a-z0-9+.-]+)*://)"
_END = r";\s"
_CLOSING = '"];, \t\r\n'
"""What follows a URL in a text of several, as a list with semicolons or as JSON."""
_MAGIC = r"[*?[]"
_VERSION = "?versionId="
"""What names one version of a document in S3."""
_WEB = frozenset({"http", "https"})
_LOCAL = frozenset({"file", "local"})
_CONTAINERS = frozenset({"abfs", "abfss", "wasb", "wasbs"})
"""Of Azure, where what stands before the ``@`` is the name of a container."""
_USER = (
    r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]+)://"
    r"([^/?#\s]*|[^/?#\s@:\[\]]+:(?![0-9]*(?:[/?#]|$))[^\s@]{0,500})@"
)
"""A user, also one whose password has a slash that should have been escaped; no port is a password."""
_GIVES_ACCESS = (
    r"(?i)[?&#;](?:[^=&#]{0,200}(?:sig|signature|token|secret|passw|credential|apikey|api_key|api-key|auth"
    r"|access_?key|rlkey|jwt|hmac|hdn)[^=&#]{0,200}"
    r"|key|pwd|policy|googleaccessid|awsaccesskeyid|x-(?:amz|goog|ms|oss)-[^=&#]*)="
)
"""Parameters of a query that give access to whoever has the URL."""


def scheme_of(text: str) -> str | None:
    """The scheme that a text begins with, in lower case; None for what is no URL, and for local files."""
    match = re.match(_CHAIN, text)
    scheme = match[1].lower() if match else None
    return None if scheme in _LOCAL else scheme


def is_web_url(text: str) -> bool:
    """Whether a text is an http(s) URL: it can name a document, or a file that the platform has already."""
    return scheme_of(text) in _WEB


def is_store_url(text: str) -> bool:
    """Whether a text names a document by a scheme like ``s3://``, ``gs://`` or ``az://``: all but http(s)."""
    scheme = scheme_of(text)
    return scheme is not None and scheme not in _WEB


def is_chain(url: str) -> bool:
    """Whether a URL goes through several libraries, like ``zip://a.pdf::s3://bucket/a.zip``."""
    return re.search(_LINK, url) is not None


def is_pattern(url: str) -> bool:
    """Whether a URL is a pattern of documents; never one of http(s), where a ``?`` begins a query."""
    return not is_web_url(url) and re.search(_MAGIC, url.partition(_VERSION)[0]) is not None


def carries_secret(url: str) -> bool:
    """Whether a URL gives access to whoever has it: by a password, or by a signature in its query."""
    return shown(url) != url


def shown(url: str) -> str:
    """The URL as it may be written down: without a password, and without a query that gives access."""
    clean = _without_user(url)
    if re.search(_GIVES_ACCESS, clean) is None and re.search(_GIVES_ACCESS, unquote(clean)) is None:
        return clean
    return re.split("[?&#;]" if re.search("[?&#;]", clean) else "%", clean, maxsplit=1)[0]


def without_secrets(text: str) -> str:
    """A text that may hold URLs, each as :func:`shown`: a cell can name several, or a file first."""
    return "".join(map(_shown_before_others, re.split(_BEGIN, text)))


def _shown_before_others(piece: str) -> str:
    """The URL that a piece of a text begins with as it may be written down, and what follows it."""
    url = re.split(_END, piece, maxsplit=1)[0].rstrip(_CLOSING)
    return f"{shown(url)}{piece[len(url) :]}"


def _without_user(url: str) -> str:
    """The URL without a password and its user; of http(s) without any user, who can be a token."""

    def without(match: re.Match[str]) -> str:
        scheme, user = match[1], match[2]
        secret = ":" in user or scheme.lower() in _WEB
        return match[0] if scheme.lower() in _CONTAINERS or not secret else f"{scheme}://"

    return re.sub(_USER, without, url)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A document that is read from where it lies, when it is sent.

    Its texts, ``str`` and ``repr``, are without what gives access.

    Attributes:
        url: For fsspec: ``s3://bucket/a.pdf``, ``gs://``, ``az://``, ``https://`` ... It can hold a secret.
        filename: Its name, where the URL has none or another is wanted: its ending tells the type.
    """

    url: str = field(repr=False)
    filename: str | None = None

    def __str__(self) -> str:
        return shown(self.url)

    def __repr__(self) -> str:
        return f"RemoteFile({shown(self.url)!r})"

    @property
    def name(self) -> str:
        """Its name without folders, query and signature; of a chain of libraries that of the first."""
        if self.filename is not None:
            return self.filename
        first = self.url
        if is_chain(first) and "://" in first.partition("::")[0]:
            first = first.strip().partition("::")[0]
        if is_web_url(first):
            return basename(unquote(basename(re.split(r"[?#]", first)[0])))  # a slash can be escaped
        return basename(first.partition(_VERSION)[0])

    @property
    def suffix(self) -> str:
        """The ending of its name, with the dot."""
        return splitext(self.name)[1]

    @property
    def holds_secret(self) -> bool:
        """Whether its URL gives access to whoever has it."""
        return carries_secret(self.url)


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """Where the documents of a manifest lie that names them by relative paths.

    Attributes:
        url: Without a slash at its end.
    """

    url: str

    def __str__(self) -> str:
        return shown(self.url)

    def __truediv__(self, path: str) -> RemoteFile:
        return RemoteFile(f"{self.url}/{path}")

    def holds(self, file: RemoteFile) -> bool:
        """Whether a document lies in it, by its URL alone."""
        below = file.url.removeprefix(f"{self.url}/")
        plain = re.sub(r"[\t\r\n]", "", unquote(below))  # as libraries read it
        return below != file.url and ".." not in plain.split("/")


Place: TypeAlias = Path | RemoteFolder
"""The folder that relative paths start at."""


def place_of(text: str) -> Place:
    """A folder from its path or URL."""
    return Path(text) if scheme_of(text) is None else RemoteFolder(text)
