"""URLs of documents: what of them may be written down, and which document each means."""

from __future__ import annotations

import socket
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from opus_async.errors import ManifestError, TransportError
from opus_async.manifests import open_manifest
from opus_async.manifests.binding.remote_globs import RemoteGlobs
from opus_async.remote_urls import (
    RemoteFile,
    RemoteFolder,
    carries_query,
    carries_secret,
    folder_of,
    is_chain,
    shown,
    without_secrets,
)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://h/my%20a.pdf?sig=SECRET", "https://h/my%20a.pdf"),
        ("https://h/a.pdf?%53ignature=SECRET", "https://h/a.pdf"),
        ("https://h/a.pdf?X-Amz%2DSignature=SECRET", "https://h/a.pdf"),
        ("https://h/a.pdf?rlkey=SECRET&dl=1", "https://h/a.pdf"),
        ("https://h/a.pdf?hdnea=exp=1~hmac=SECRET", "https://h/a.pdf"),
        ("https://h/a.pdf?access_key=SECRET", "https://h/a.pdf"),
        ("s3://KEY:SEC/RET@bucket/a.pdf", "s3://bucket/a.pdf"),
        ("ftp://user:SEC#RET@h/a.pdf", "ftp://h/a.pdf"),
    ],
)
def test_secret_of_a_url_is_found_however_it_is_written(url, told):
    assert carries_secret(url)
    assert shown(url) == told
    assert "SEC" not in repr(RemoteFile(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://h:8080/a@b.pdf",
        "s3://bucket/2026-01-01T10:00@a.pdf",
        "https://h/50%25.pdf",
        "abfs://container@account.dfs.core.windows.net/a.pdf",
        "s3://bucket/a.pdf?versionId=x",
    ],
)
def test_url_without_a_secret_is_shown_as_it_is(url):
    assert shown(url) == url
    assert RemoteFile(url).kept_name == url
    assert not carries_secret(url)
    assert not carries_query(url)


QUERIES = [
    "?code=5ecre7==",
    "?e=1700000000&h=5ecre7",
    "?sv=2024-11-04&sr=b&sig=5ecre7%3D",
    "?Expires=1&Key-Pair-Id=K&Signature=5ecre7",
    "?Policy=5ecre7",
    "?X-Goog-Algorithm=GOOG4&X-Goog-Signature=5ecre7",
    "?hdnea=exp=1~acl=/*~hmac=5ecre7",
    "?token=5ecre7",
    "?5ecre7",
    "?a=b;c=5ecre7",
    "?back=https://x/y?z=5ecre7&d=5ecre7",
    "#access=5ecre7",
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "url",
    ["https://h/a.pdf", "http://h/a.pdf", "HTTPS://h/a.pdf", "simplecache::https://h/a.pdf"],
)
def test_query_of_a_web_server_is_shown_nowhere_whatever_its_names_are(url, query):
    assert carries_query(url + query)
    assert shown(url + query) == url
    file = RemoteFile(url + query)
    assert "5ecre7" not in f"{file} {file!r} {file.kept_name} {file.name}"
    assert without_secrets(f"b.pdf; {url}{query}") == f"b.pdf; {url}"
    assert "5ecre7" not in without_secrets(f'["{url}{query}", "c.pdf"]')


def test_query_inside_of_a_chain_is_not_shown_and_the_rest_is():
    url = "zip://in/a.pdf::https://h/a.zip?code=5ecre7::simplecache::s3://bucket/x?y"
    assert shown(url) == "zip://in/a.pdf::https://h/a.zip::simplecache::s3://bucket/x?y"


def test_documents_whose_queries_differ_are_kept_apart():
    names = {RemoteFile(f"https://h/download?id={number}").kept_name for number in range(3)}
    assert len(names) == 3
    assert all(name.startswith("https://h/download ") and "id=" not in name for name in names)


@pytest.mark.parametrize(
    ("manifest", "folder"),
    [
        ("s3://bucket/in/m.csv", "s3://bucket/in"),
        ("https://h/in/m.csv?sheet=1", "https://h/in"),
        ("simplecache::s3://bucket/in/m.csv", "simplecache::s3://bucket/in"),
        ("zip://m.csv::s3://bucket/a.zip", "zip://m.csv::s3://bucket/a.zip"),
        ("zip://in/m.csv::simplecache::s3://bucket/a.zip", "zip://in/m.csv::simplecache::s3://bucket/a.zip"),
    ],
)
def test_folder_of_a_manifest_is_that_in_which_it_lies_unless_that_is_a_file(manifest, folder):
    assert folder_of(manifest) == RemoteFolder(folder)
    assert folder_of(manifest).is_inside_file is manifest.startswith("zip:")


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ("a.pdf; https://h/b.pdf?sig=SECRET", "a.pdf; https://h/b.pdf"),
        ("https://h/a.pdf?sig=SECRET; s3://b/c.pdf; d.pdf", "https://h/a.pdf; s3://b/c.pdf; d.pdf"),
        ("https://h/a.pdf?sig=SECRET;s3://b/c.pdf", "https://h/a.pdf;s3://b/c.pdf"),
        ('["a.pdf", "https://h/b.pdf?sig=SECRET"]', '["a.pdf", "https://h/b.pdf"]'),
        ("see https://u:SECRET@h/a.pdf", "see https://h/a.pdf"),
        ("https://h/a.pdf?from=https://x/y&sig=SECRET", "https://h/a.pdf"),
        ("a; b.pdf", "a; b.pdf"),
        ("", ""),
    ],
)
def test_cell_of_several_urls_loses_their_secrets_and_nothing_else(cell, kept):
    assert without_secrets(cell) == kept


def test_two_colons_in_a_name_make_no_chain():
    assert not is_chain("s3://bucket/a::b.pdf")
    assert is_chain("zip://a.pdf::s3://bucket/a.zip")
    assert is_chain("simplecache::s3://bucket/a.pdf")
    assert RemoteFile("https://h/a.pdf::b.pdf").name == "a.pdf::b.pdf"
    assert RemoteFile("zip://in/a.pdf::s3://bucket/a.zip").name == "a.pdf"


def test_escaped_slash_leads_to_no_folder():
    assert RemoteFile("https://h/in/..%2F..%2Fa.csv").name == "a.csv"


class _Answers(BaseHTTPRequestHandler):
    """A server whose documents are their own paths; of a part it gives at most ``most`` bytes."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args, most, **more):
        self.most = most
        super().__init__(*args, **more)

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self):
        begin, _, end = self.headers["Range"].removeprefix("bytes=").partition("-")
        part = self.path.encode()[int(begin) : int(end) + 1][: self.most]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{int(begin) + len(part) - 1}/{len(self.path)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)


@pytest.fixture
def serve(monkeypatch):
    pytest.importorskip("fsspec", reason="pip install fsspec")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def begin(most):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answers, most=most))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield begin
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def test_document_with_two_colons_in_its_name_is_not_taken_for_another(serve, tmp_path):
    from opus_async.remote.copying import copy_to

    copy_to(RemoteFile(f"{serve(1000)}/a.csv::b.csv"), tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "/a.csv::b.csv"


def test_manifest_of_which_a_part_is_missing_is_refused(serve, tmp_path):
    from opus_async.remote.copying import copy_to

    with pytest.raises(ManifestError, match="5 bytes where 9 were asked for"):
        copy_to(RemoteFile(f"{serve(5)}/rows.csv"), tmp_path / "copy")


async def test_pattern_in_a_store_out_of_reach_is_no_problem_of_its_row(serve):
    serve(1)  # only for its check that fsspec is there
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    globs = RemoteGlobs()
    with pytest.raises(TransportError, match="cannot be reached"):
        await globs.look_up([f"ftp://127.0.0.1:{port}/in/*.pdf"])
    with pytest.raises(TransportError, match="cannot be reached"):  # nothing was remembered
        globs.expand(f"ftp://127.0.0.1:{port}/in/*.pdf")


@pytest.mark.parametrize(
    "way", ["in/simplecache::s3://other/x", "../x", "a/../../x", "%2e%2e/x", ".%2E/x", "..%2Fx", ".\t./x"]
)
def test_folder_holds_no_document_to_which_a_way_out_leads(way):
    folder = RemoteFolder("https://h/in")
    assert not folder.holds(folder / way)
    assert folder.holds(folder / "a..b/50%.pdf")


@pytest.mark.parametrize(
    "text",
    [
        "a" * 50_000,
        "https://h/" + "a" * 50_000,
        '; "' * 20_000,
        "https://" * 10_000,
        "::https://" * 10_000,
        "; https://h/a" * 5_000,
    ],
)
def test_long_text_is_looked_through_quickly(text):
    began = time.thread_time()
    assert without_secrets(text) == text
    assert time.thread_time() - began < 1


def test_documents_lie_beside_a_manifest_whose_folder_has_a_question_mark():
    fsspec = pytest.importorskip("fsspec", reason="pip install fsspec")
    fsspec.filesystem("memory").pipe("/b/paid?/m.csv", b"Document\na.pdf\n")
    assert open_manifest("memory://b/paid?/m.csv").base == RemoteFolder("memory://b/paid?")
    fsspec.filesystem("memory").rm("/b", recursive=True)
