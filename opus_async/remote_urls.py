"""URLs of documents that lie in an object store or on a server: which texts are one, and how they are shown.

Pure: nothing is opened or looked up, and fsspec, which reads them, is not imported.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from posixpath import basename, splitext
from typing import TypeAlias
from urllib.parse import unquote

ALLOW_QUERIES = "--allow-queries"
"""The option that lets URLs of a batch have a query."""
# Patterns are texts: re compiles each when it is first looked for, and keeps it. Most programs need none.
_CHAIN = r"(?i)\s*([a-z][a-z0-9+.-]+)(?:::[a-z][a-z0-9+.-]+)*://"
"""``s3://`` or, of several libraries one behind the other, ``zip://a.pdf::s3://``. One letter is a drive."""
_LINK = r"(?i)::[a-z][a-z0-9+.-]+(?:::[a-z][a-z0-9+.-]+)*://"
"""What joins two libraries of a chain; a ``::`` without a scheme behind it is part of a name."""
_WEB_LINK = r"(?i)(?:\A\s*|::)https?://"
"""A document on a web server, by itself or in a chain."""
_QUERY = "[?#]"
_STORE_ENDS = "[/?#]"
_BEGIN = r"(?i)(?<![a-z0-9+.:-])(?=[a-z][a-z0-9+.-]+(?:::[a-z][a-z0-9+.-]+)*://)"
_END = r";\s"
_CLOSING = '"];, \t\r\n'
"""What follows a URL in a text of several, as a list with semicolons or as JSON."""
_BEFORE = "\"'[;, \t\r\n"
"""What stands before the next one."""
_DIGEST = 16
"""Characters of a digest that stands for what of a URL is not shown."""
_MAGIC = r"[*?[]"
_VERSION = "?versionId="
"""What names one version of a document in S3."""
_WEB = frozenset({"http", "https"})
_LOCAL = frozenset({"file", "local"})
_CONTAINERS = frozenset({"abfs", "abfss", "wasb", "wasbs"})
"""Of Azure, where what stands before the ``@`` is the name of a container."""
_SAME_STORE = {
    scheme: schemes
    for schemes in (("s3", "s3a"), ("gs", "gcs"), ("az", "abfs", "abfss"))
    for scheme in schemes
}
"""Scheme -> those that lead to the same document, itself included."""
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
"""Parameters that give access to whoever has the URL, by the names that are known for it.

Those of http(s) have any name, so none of their queries is shown, and none is kept unless a person allows it:
see :func:`carries_query`. The names tell what is refused even then, and what of stores, in whose documents'
names a ``?`` is a letter like others.
"""


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


def store_of(url: str) -> str:
    """What names the store of a document: ``s3://bucket``, ``https://host``; of a chain, that at its end."""
    scheme, _, rest = _without_user(_links(url)[-1].removeprefix("::")).strip().rpartition("://")
    return f"{scheme.lower()}://{re.split(_STORE_ENDS, rest, maxsplit=1)[0]}"


def is_chain(url: str) -> bool:
    """Whether a URL goes through several libraries, like ``zip://a.pdf::s3://bucket/a.zip``."""
    return re.search(_LINK, url) is not None


def _links(url: str) -> list[str]:
    """What each library of a chain is given; one piece for a URL that is no chain."""
    starts = [match.start() for match in re.finditer(_LINK, url)]
    return [url[begin:end] for begin, end in pairwise([0, *starts, len(url)])]


def is_pattern(url: str) -> bool:
    """Whether a URL is a pattern of documents; never one of http(s), where a ``?`` begins a query."""
    return re.search(_WEB_LINK, url) is None and re.search(_MAGIC, url.partition(_VERSION)[0]) is not None


def names_no_document(url: str) -> bool:
    """Whether a URL names a folder, or of an object store a bucket alone."""
    return url.endswith("/") or (scheme_of(url) in _SAME_STORE and store_of(url) == url)


def spellings(url: str) -> list[str]:
    """A URL, and the same document by each scheme that means its store, as ``s3a://`` does ``s3://``."""
    rest = url.strip().partition("://")[2]
    return [url, *(f"{scheme}://{rest}" for scheme in _SAME_STORE.get(scheme_of(url) or "", ()))]


def carries_secret(url: str) -> bool:
    """Whether a URL is known to give access to whoever has it: by a password, or by a signature."""
    return _without_user(url) != url or _names_secret(url)


def carries_query(url: str) -> bool:
    """Whether an http(s) URL has a query or a fragment: under whatever name, it may give access."""
    return _without_web_query(url) != url


def shown(url: str) -> str:
    """The URL as it may be written down: without a password, and without a query that may give access."""
    clean = _without_web_query(_without_user(url))
    if not _names_secret(clean):
        return clean
    return re.split("[?&#;]" if re.search("[?&#;]", clean) else "%", clean, maxsplit=1)[0]


def kept(url: str) -> str:
    """The URL as it may be kept where a person allows queries: without what is known to give access."""
    return shown(url) if carries_secret(url) else url


def without_secrets(text: str, *, write: Callable[[str], str] = shown) -> str:
    """A text that may hold URLs, each without its secrets: a cell can name several, or a file first.

    Args:
        text: The text.
        write: From a URL to what may be written down of it: :func:`shown` or :func:`kept`.
    """
    pieces = ((_url_of(piece), piece) for piece in _pieces(text))
    return "".join(f"{write(url)}{piece[len(url) :]}" for url, piece in pieces)


def _pieces(text: str) -> Iterator[str]:
    """The text, cut where URLs begin; one inside of a query is a part of that."""
    piece = ""
    for more in re.split(_BEGIN, text):
        if piece and not (piece[-1] not in _BEFORE and carries_query(_url_of(piece))):
            yield piece
            piece = ""
        piece += more
    yield piece


def _url_of(piece: str) -> str:
    """The URL that a piece of a text begins with."""
    return re.split(_END, piece, maxsplit=1)[0].rstrip(_CLOSING)


def _names_secret(url: str) -> bool:
    return re.search(_GIVES_ACCESS, url) is not None or re.search(_GIVES_ACCESS, unquote(url)) is not None


def _without_web_query(url: str) -> str:
    """The URL without what follows a ``?`` or ``#`` of a document on a web server, up to the next link."""
    web = re.search(_WEB_LINK, url)
    query = None if web is None else re.compile(_QUERY).search(url, web.end())
    if query is None:
        return url
    following = re.compile(_LINK).search(url, query.end())
    return url[: query.start()] + ("" if following is None else _without_web_query(url[following.start() :]))


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

    Its texts, ``str`` and ``repr``, are without what gives access, or may: a password, the query of a web
    server.

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
        """Its name without folders, query and signature; of a chain that of the first library with one."""
        if self.filename is not None:
            return self.filename
        first = next(link for link in _links(self.url) if "://" in link or link == self.url)
        if re.match(_WEB_LINK, first):
            return basename(unquote(basename(re.split(r"[?#]", first)[0])))  # a slash can be escaped
        return basename(first.partition(_VERSION)[0])

    @property
    def suffix(self) -> str:
        """The ending of its name, with the dot."""
        return splitext(self.name)[1]

    @property
    def kept_name(self) -> str:
        """What is kept in the place of its URL: the URL, or what is shown of it with a digest of the rest."""
        told = shown(self.url)
        if told == self.url:
            return told
        return f"{told} {hashlib.sha256(self.url.encode(errors='surrogatepass')).hexdigest()[:_DIGEST]}"


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """Where the documents of a manifest lie that names them by relative paths.

    Attributes:
        url: Without a slash at its end. Where the manifest lies inside of another file, that of the manifest:
            nothing can be named beside it.
    """

    url: str

    def __str__(self) -> str:
        return shown(self.url)

    def __truediv__(self, path: str) -> RemoteFile:
        return RemoteFile(f"{self.url}/{path}")

    @property
    def is_inside_file(self) -> bool:
        """Whether it is inside of another file, like ``zip://m.csv::s3://bucket/a.zip``; a cache is none."""
        return any("://" in link for link in _links(self.url)[:-1])

    def holds(self, file: RemoteFile) -> bool:
        """Whether a document lies in it, by its URL alone."""
        below = file.url.removeprefix(f"{self.url}/")
        plain = re.sub(r"[\t\r\n]", "", unquote(below))  # as libraries read it
        return below != file.url and ".." not in plain.split("/") and not is_chain(below)


Place: TypeAlias = Path | RemoteFolder
"""The folder that relative paths start at."""


def folder_of(url: str) -> RemoteFolder:
    """The folder that relative paths in a manifest start at, by the URL of the manifest."""
    if RemoteFolder(url).is_inside_file:
        return RemoteFolder(url)
    query = "?" if re.search(_WEB_LINK, url) else _VERSION  # in a store a name can have a question mark
    return RemoteFolder(url.partition(query)[0].rpartition("/")[0])


def kept_name(file: Path | RemoteFile) -> str:
    """What is kept in the place of a file or a document: its path, or :attr:`RemoteFile.kept_name`."""
    return file.kept_name if isinstance(file, RemoteFile) else str(file)


def place_of(text: str) -> Place:
    """A folder from its path or URL."""
    return Path(text) if scheme_of(text) is None else RemoteFolder(text)
