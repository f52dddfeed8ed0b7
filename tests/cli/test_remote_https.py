"""Documents on an https server, which tells of them what servers tell: parts or none, a length or none."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from batch_command import DOCUMENT
from certificates import certificate, needs_openssl
from web_stores import web_store

pytest.importorskip("fsspec", reason="pip install fsspec")
pytestmark = needs_openssl

CONTENT = b"a line of text\n" * 400_000
ACCESS = "5ecre7-of-the-test"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        way = self.path.split("/")[1]
        if way == "denied" or (way == "signed" and f"X-Amz-Signature={ACCESS}" not in self.path):
            return self.send_error(403)
        if way == "downgraded" or (way == "downgraded-later" and self.headers.get("Range")):
            self.send_response(302)
            self.send_header("Location", self.server.plain)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if way == "gone":
            return self.send_error(404)
        if way == "nohead" and not body:
            return self.send_error(405)
        content = CONTENT
        wanted = self.headers.get("Range")
        if wanted and way != "plain":
            first, last = wanted.removeprefix("bytes=").split("-")
            content = CONTENT[int(first) : int(last) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(CONTENT)}")
        else:
            self.send_response(200)
        self.server.asked.append((self.command, self.path, wanted))
        changes = len(self.server.asked) if way == "changing" else 1
        self.send_header("ETag", f'"{changes}"')
        if way != "nolength":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
        return None


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    home = tmp_path_factory.mktemp("certificate")
    context = certificate(home, "DNS:localhost")
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.socket = context.wrap_socket(running.socket, server_side=True)
    running.asked = []
    running.trust = {"SSL_CERT_FILE": str(home / "cert.pem")}
    running.url = f"https://localhost:{running.server_address[1]}"
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    with web_store() as plain:
        plain.put("/a.txt", CONTENT, etag='"1"')
        running.plain = f"{plain.url}/a.txt"
        yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.mark.parametrize("way", ["ranges", "plain", "nohead", "signed"])
def test_document_on_a_server_is_sent(web, to, process, way):
    query = f"?X-Amz-Signature={ACCESS}" if way == "signed" else ""
    web.asked.clear()
    said = process(
        "run", DOCUMENT, "--file", f"Document={web.url}/{way}/a.txt{query}", env={**to, **web.trust}
    )
    assert said.code == 0, said.err
    assert said.json["SHA-256"] == hashlib.sha256(CONTENT).hexdigest()
    assert ACCESS not in said.out + said.err
    parts = [wanted for command, _, wanted in web.asked if command == "GET" and wanted]
    assert parts, "documents are read in parts"


@pytest.mark.parametrize(
    ("way", "message"),
    [
        (
            "denied",
            "/denied/a.txt' may not be read; check its permissions; a URL with a signature may have expired",
        ),
        ("gone", "/gone/a.txt' does not exist"),
        ("nolength", "does not tell its size"),
        ("downgraded", "redirects from https to http"),
        ("downgraded-later", "redirects from https to http"),
        ("changing", "a.txt changed where it lies"),
        ("signed", "/signed/a.txt' may not be read"),
    ],
)
def test_what_is_wrong_with_a_document_on_a_server_is_told(web, to, process, way, message):
    host = web.url.replace("//", f"//me:{ACCESS}@")
    url = f"{host}/{way}/a.txt?sig={ACCESS}"
    said = process("run", DOCUMENT, "--file", f"Document={url}", "--debug", env={**to, **web.trust})
    assert said.code != 0
    assert message in said.err
    assert ACCESS not in said.out + said.err


def test_rows_name_documents_on_a_server(web, to, process, tmp_path):
    (tmp_path / "m.csv").write_text(f"Document\n{web.url}/ranges/a.txt\n{web.url}/plain/b.txt\n")
    words = ("batch", "run", "m.csv", "--workflow", DOCUMENT, "--out", "b")
    refused = process(*words, env={**to, **web.trust})
    assert refused.code == 2
    assert "--allow-outside" in refused.err
    said = process(*words, "--allow-outside", env={**to, **web.trust})
    assert said.code == 0, said.err


def test_query_is_kept_where_it_is_allowed_and_is_still_told_nowhere(web, to, process, tmp_path):
    query = f"?id={ACCESS}"
    table = f"key,Document\nK0,{web.url}/plain/a.txt{query}\nK1,{web.url}/gone/b.txt{query}\n"
    (tmp_path / "m.csv").write_text(table)
    words = ("batch", "run", "m.csv", "--workflow", DOCUMENT, "--out", "b", "--allow-outside", "--debug")
    refused = process(*words, env={**to, **web.trust})
    assert refused.code == 2
    assert "--allow-queries" in refused.err
    said = process(*words, "--allow-queries", "--skip-invalid", env={**to, **web.trust})
    assert (said.code, "/gone/b.txt" in said.out + said.err) == (1, True)
    assert ACCESS not in refused.out + refused.err + said.out + said.err
    kept = {path.name for path in (tmp_path / "b").iterdir() if ACCESS.encode() in path.read_bytes()}
    assert kept == {"ledger.db", "failures.jsonl"}, "the rows themselves, to be run again"
    (tmp_path / "m.csv").write_text(table.replace("/gone/", "/ranges/"))
    again = process("batch", "retry", "b", "--debug", env={**to, **web.trust})
    assert again.code == 0, again.err
    assert ACCESS not in again.out + again.err


def test_certificate_that_nobody_trusts_is_told(web, to, process):
    said = process("run", DOCUMENT, "--file", f"Document={web.url}/ranges/a.txt", env=to)
    assert said.code == 4
    assert "whose certificate is not trusted" in said.err
