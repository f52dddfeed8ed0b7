"""A store on a real socket that does what a test wants: a web server, and S3 as far as s3fs asks it.

Each document has a content, an ETag or none, and a time of change; each request can be answered as a script
says.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

DROP = "drop"
"""Closes the connection without an answer."""
CUT = "cut"
"""Closes it in the middle of the content."""
HANG = "hang"
"""Never answers."""
ENDLESS = "endless"
"""Gives content until nobody takes it any more."""
GARBAGE = "garbage"
"""Answers with a line that is not HTTP."""
EXPIRED = "expired"
"""Refuses credentials as S3 does when they have expired: with 400, and a reason where there is a body."""
REDIRECT = "redirect to "
"""Followed by a URL: leads there."""
FIRST_BYTES = "first bytes"
"""Gives the first bytes of the document, whichever were asked for, and says so."""


class Asked(NamedTuple):
    """A request.

    Attributes:
        method: HEAD or GET.
        path: Without its query.
        range: Of bytes, as it was asked for; None for all.
        condition: Its If-Match; None for none.
        listed: What the names of documents are to begin with, of which a list is asked for as of S3; None for
            the content of a document.
    """

    method: str
    path: str
    range: str | None
    condition: str | None
    listed: str | None = None


@dataclass
class Document:
    """A document.

    Attributes:
        content: Its bytes.
        etag: With its quotes; None for none.
        modified: Seconds since the epoch.
    """

    content: bytes
    etag: str | None
    modified: float


@dataclass
class WebStore:
    """A running store.

    Attributes:
        url: Where it is, without a slash at its end.
        documents: Path -> document.
        asked: The requests so far.
        act: From a request to what is done: a status, one of the words above, or None for an answer.
        poured: Bytes that were given without end.
        told_size: What is told of every document's size, without its content; None for what it is.
    """

    url: str
    documents: dict[str, Document] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    act: Callable[[Asked], int | str | None] = lambda _: None
    ended: threading.Event = field(default_factory=threading.Event)
    poured: int = 0
    told_size: int | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What makes libraries of S3 use it, without repetitions of their own."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "FSSPEC_S3": '{"config_kwargs": {"s3": {"addressing_style": "path"}}}',
        }

    def put(self, path: str, content: bytes, *, etag: str | None = "", modified: float | None = None) -> None:
        """Put a document; its ETag is a digest of its content unless another one is given."""
        told = f'"{md5(content, usedforsecurity=False).hexdigest()}"' if etag == "" else etag
        self.documents[path] = Document(content, told, time.time() if modified is None else modified)

    def reads(self, path: str) -> list[Asked]:
        """The requests for content of a document."""
        return [asked for asked in self.asked if (asked.method, asked.path) == ("GET", path)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    store: WebStore

    def handle_error(self, *_: object) -> None:
        """A client that has gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        store, path = self.server.store, unquote(self.path.partition("?")[0])
        query = parse_qs(self.path.partition("?")[2], keep_blank_values=True)
        listed = query.get("prefix", [""])[0] if "list-type" in query else None
        asked = Asked(self.command, path, self.headers.get("Range"), self.headers.get("If-Match"), listed)
        store.asked.append(asked)
        act = store.act(asked)
        if act == HANG:
            store.ended.wait()
        if act in {HANG, DROP}:
            self.close_connection = True
            return
        if isinstance(act, str) and act.startswith((GARBAGE, EXPIRED, REDIRECT)):
            self._mislead(act)
            return
        found = store.documents.get(path)
        if isinstance(act, int):
            self._refuse(act)
        elif listed is not None:
            self._list(path, listed, query.get("delimiter", [""])[0])
        elif found is None:
            self._refuse(404)
        elif asked.condition not in {None, found.etag}:
            self._refuse(412)
        elif act == ENDLESS:
            self._pour(206 if asked.range else 200)
        elif act == FIRST_BYTES and asked.range:
            first, last = map(int, asked.range.removeprefix("bytes=").split("-"))
            self._give(found, asked._replace(range=f"bytes=0-{last - first}"), cut=False)
        else:
            self._give(found, asked, cut=act == CUT)

    def _mislead(self, act: str) -> None:
        if act == GARBAGE:
            self.close_connection = True
            self.wfile.write(b"\xff\xfe?k=5ecre7\r\n\r\n")
            return
        if act == EXPIRED:
            body = (
                b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
            )
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            return
        self.send_response(302)
        self.send_header("Location", act.removeprefix(REDIRECT))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _list(self, bucket: str, prefix: str, delimiter: str) -> None:
        folders, documents = set(), []
        for path, document in sorted(self.server.store.documents.items()):
            key = path.removeprefix(f"{bucket}/")
            if path == key or not key.startswith(prefix):
                continue
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end >= 0:
                folders.add(key[: end + 1])
            else:
                documents.append((key, document))
        told = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(document.content)}</Size>"
            f"<ETag>{escape(document.etag or '')}</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, document in documents
        ) + "".join(
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in sorted(folders)
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{told}</ListBucketResult>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _pour(self, status: int) -> None:
        self.close_connection = True
        self.send_response(status)
        self.end_headers()
        while not self.server.store.ended.is_set():
            self.wfile.write(b"x" * 65536)
            self.server.store.poured += 65536

    def _give(self, found: Document, asked: Asked, *, cut: bool) -> None:
        content, size = found.content, len(found.content)
        if asked.range is None:
            self.send_response(200)
        else:
            first, last = asked.range.removeprefix("bytes=").split("-")
            content = content[int(first) : int(last) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        if found.etag is not None:
            self.send_header("ETag", found.etag)
        self.send_header("Last-Modified", formatdate(found.modified, usegmt=True))
        told_size = self.server.store.told_size if asked.method == "HEAD" else None
        self.send_header("Content-Length", str(len(content) if told_size is None else told_size))
        self.end_headers()
        if asked.method == "HEAD":
            return
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = cut


@contextmanager
def web_store() -> Iterator[WebStore]:
    """Run a store on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.store = WebStore(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.store
    finally:
        server.store.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def times(number: int, act: int | str, method: str = "GET") -> Callable[[Asked], int | str | None]:
    """Do that with so many requests, and answer all others."""
    left = [number]

    def script(asked: Asked) -> int | str | None:
        if asked.method != method or not left[0]:
            return None
        left[0] -= 1
        return act

    return script
