"""The doctor: what it sees, what it says, and that it shows no secret."""

from __future__ import annotations

import resource
import shutil
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from command_line import WRONG_KEY

from opus_async.cli.doctor import local, network
from opus_async.cli.doctor.checks import State
from opus_async.config import Limits

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate with openssl")


def states(said):
    return {check["name"]: check["state"] for check in said.json["checks"]}


def test_all_well(opus, to):
    said = opus("doctor", env=to)
    assert said.code == 0
    assert "Ready." in said.out
    assert "✗" not in said.out
    assert not said.err


def test_all_well_as_json_with_a_real_workflow(opus, to):
    said = opus("doctor", "--json", "--workflow", "D0cumentWorkfl0w", env=to)
    assert said.code == 0
    assert said.json["ok"] is True
    assert set(states(said).values()) == {"good", "skipped"}  # no certificate: plain http
    assert "Document check" in said.json["checks"][-1]["finding"]


def test_no_key(opus, to):
    said = opus("doctor", "--json", env={"OPUS_BASE_URL": to["OPUS_BASE_URL"]})
    assert said.code == 4
    assert states(said)["service key"] == "bad"
    assert states(said)["live call"] == "skipped"
    assert states(said)["clock"] == "good"


def test_a_key_without_its_underscore_is_refused_and_explained(opus, to):
    key = to["OPUS_SERVICE_KEY"][1:]
    said = opus("doctor", "--json", env={**to, "OPUS_SERVICE_KEY": key})
    assert said.code == 4
    assert (states(said)["service key"], states(said)["live call"]) == ("risk", "bad")
    assert "underscore" in said.out
    assert key not in said.out + said.err


def test_a_workflow_that_is_not_there(opus, to):
    said = opus("doctor", "--json", "--workflow", "nope", env=to)
    assert said.code == 4
    assert "the key works, but workflow nope" in said.out


def test_nothing_listens_there(opus):
    env = {"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": "http://127.0.0.1:1"}
    said = opus("doctor", "--json", env=env)
    assert said.code == 4
    assert states(said)["connection"] == "bad"
    assert states(said)["live call"] == "skipped"


@pytest.mark.parametrize("url", ["ftp://x", "https://user:pass@example.test", "https://host:port"])
def test_a_base_url_that_is_none(opus, url):
    said = opus("doctor", "--json", env={"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": url})
    assert said.code == 4
    assert states(said)["base URL"] == "bad"
    assert states(said)["name"] == "skipped"
    assert "pass@" not in said.out


def test_a_proxy_is_shown_without_its_password(opus, to):
    env = {**to, "HTTPS_PROXY": "http://user:geheim@proxy.test:3128"}
    said = opus("doctor", "--json", env=env)
    assert "proxy.test:3128" in said.out
    assert "geheim" not in said.out


def test_names_from_the_env_file_are_told_without_values(opus, to, tmp_path):
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in to.items()))
    said = opus("doctor")
    assert said.code == 0
    assert "sets OPUS_SERVICE_KEY, OPUS_BASE_URL" in said.out
    assert to["OPUS_SERVICE_KEY"][1:] not in said.out


def test_too_few_open_files(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 4096))
    check = local.open_files(Limits())
    assert check.state is State.BAD
    assert "ulimit -n" in check.fix


class _Late(BaseHTTPRequestHandler):
    """Answers with a Date that is an hour old."""

    def do_GET(self):
        self.send_response_only(404)
        self.send_header("Date", format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server of ours in a thread: ``server.socket`` can be wrapped before its ``port`` is used."""
    with HTTPServer(("127.0.0.1", 0), _Late) as running:
        yield running


def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    return thread


def closing_time(server, thread):
    server.shutdown()
    thread.join()


def test_a_clock_that_is_wrong(opus, server):
    thread = serving(server)
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        said = opus("doctor", "--json", env={"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": url})
    finally:
        closing_time(server, thread)
    assert said.code == 4
    (clock,) = (check for check in said.json["checks"] if check["name"] == "clock")
    assert clock["state"] == "bad"
    assert "ahead of" in clock["finding"]
    assert "NTP" in clock["fix"]


@needs_openssl
def test_a_certificate_that_nobody_trusts(opus, server, tmp_path):
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-keyout", "key.pem", "-out", "cert.pem", "-days", "7", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=30,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = serving(server)
    url = f"https://127.0.0.1:{server.server_port}"
    env = {"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": url}
    try:
        untrusted = opus("doctor", "--json", env=env)
        trusted = opus("doctor", "--json", env={**env, "SSL_CERT_FILE": str(tmp_path / "cert.pem")})
    finally:
        closing_time(server, thread)
    (check,) = (check for check in untrusted.json["checks"] if check["name"] == "certificate")
    until = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m}"
    assert check["state"] == "bad"
    assert "not trusted" in check["finding"]
    assert until in check["finding"]
    (check,) = (check for check in trusted.json["checks"] if check["name"] == "certificate")
    assert check["state"] == "risk"
    assert "only until" in check["finding"]


@pytest.mark.parametrize(
    ("times", "year"),
    [
        (b"\x30\x1e\x17\x0d250101000000Z\x17\x0d260203040506Z", 2026),
        (b"\x30\x1e\x17\x0d990101000000Z\x17\x0d490203040506Z", 2049),
        (b"\x30\x20\x17\x0d250101000000Z\x18\x0f20500203040506Z", 2050),
        (b"\x30\x1e\x17\x0d250101000000Z", None),
    ],
)
def test_the_end_of_a_certificate_is_read_from_its_bytes(times, year):
    found = network.expiry(b"\x30\x82\x01\x01..." + times + b"...")
    assert found == (datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC) if year else None)
