"""Proxies: who refuses is named, settings are told as they are used, and no password is shown."""

from __future__ import annotations

import subprocess
import sys

import pytest
from certificates import certificate, needs_openssl
from command_line import WRONG_KEY, environment
from proxies import answer, proxy
from yarl import URL

from opus_async.errors import ConfigurationError
from opus_async.transport.proxies import Proxies, shown

PASSWORD = "geheim"
WANTS = answer("407 Proxy Authentication Required", b"login", head='Proxy-Authenticate: Basic realm="x"')
COMMANDS = {
    "run": ("run", "T3xtOnlyWorkfl0w", "--input", "Text=a"),
    "workflow show": ("workflow", "show", "T3xtOnlyWorkfl0w"),
    "wait": ("wait", "2514"),
    "batch run": ("batch", "run", "a.csv", "--workflow", "T3xtOnlyWorkfl0w", "--out", "b"),
    "doctor": ("doctor",),
}


def through(address, scheme, login=""):
    return {
        "OPUS_SERVICE_KEY": WRONG_KEY,
        "OPUS_BASE_URL": f"{scheme}://opus.invalid",
        f"{scheme}_proxy": f"http://{login}{address}",
    }


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", COMMANDS)
def test_proxy_that_wants_a_password_is_named_by_every_command(opus, tmp_path, name, scheme):
    (tmp_path / "a.csv").write_text("Text\na\n")
    with proxy(WANTS) as (address, heads):
        said = opus(*COMMANDS[name], env=through(address, scheme))
    told = said.out + said.err
    assert said.code == 4
    assert f"the proxy http://{address} wants a user name and a password in {scheme.upper()}_PROXY" in told
    assert "HTTP 407" in told
    assert f"http://USER:PASSWORD@{address}" in told
    assert "vendor" not in told
    assert heads
    assert not any(WRONG_KEY.encode() in head for head in heads if head.startswith(b"CONNECT"))
    assert not (tmp_path / "b" / "failures.jsonl").exists()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_refuses_a_password_is_named_and_the_password_is_not(opus, scheme):
    with proxy(WANTS) as (address, _):
        for words in (COMMANDS["run"], COMMANDS["doctor"], (*COMMANDS["run"], "--debug")):
            said = opus(*words, env=through(address, scheme, f"me:{PASSWORD}@"))
            told = said.out + said.err
            assert said.code == 4
            assert f"the proxy http://{address} refuses the user name and password in" in told
            assert PASSWORD not in told
            assert "me:" not in told


def test_doctor_tells_what_a_proxy_does_and_the_fix_apart(opus):
    with proxy(WANTS) as (address, _):
        checks = opus("doctor", "--json", env=through(address, "http")).json["checks"]
    (found,) = (check for check in checks if check["name"] == "way through")
    assert found["finding"].startswith(f"the proxy http://{address} wants a user name and a password")
    assert found["fix"].startswith(f"write them as http://USER:PASSWORD@{address}, ")
    assert ";" not in found["finding"] + found["fix"]


@pytest.mark.parametrize("status", ["403 Forbidden", "503 Service Unavailable", "200 OK"])
def test_page_that_a_proxy_may_have_written_names_the_proxy(opus, status):
    with proxy(answer(status)) as (address, _):
        said = opus(*COMMANDS["workflow show"], env=through(address, "http"))
    assert said.code in {1, 4}
    assert f"requests to this host go through http://{address}" in said.err


def test_proxy_that_refuses_the_tunnel_is_named_with_the_host(opus):
    with proxy(answer("403 Forbidden")) as (address, _):
        env = through(address, "https")
        said, checked = opus(*COMMANDS["run"], env=env), opus("doctor", env=env)
    for told in (said.err, checked.out):
        assert f"the proxy refused the tunnel to opus.invalid (http://{address}, HTTP 403)" in told.replace(
            "\n", " "
        )
    assert (said.code, checked.code) == (4, 4)


@needs_openssl
def test_proxy_that_inspects_tls_is_named_by_its_certificate(opus, tmp_path):
    context = certificate(tmp_path, "DNS:opus.invalid")
    with proxy(answer("200 OK"), inspecting=context) as (address, _):
        env = through(address, "https")
        said, checked = opus(*COMMANDS["run"], env=env), opus("doctor", "--json", env=env)
        trusting = subprocess.run(
            [sys.executable, "-m", "opus_async", *COMMANDS["run"]],
            env=environment(**env, SSL_CERT_FILE=str(tmp_path / "cert.pem")),
            capture_output=True,
            text=True,
            check=False,
        )
    assert said.code == 4
    assert f"probably the proxy http://{address} inspects TLS" in said.err
    assert "SSL_CERT_FILE" in said.err
    (found,) = (check for check in checked.json["checks"] if check["name"] == "certificate")
    assert found["state"] == "bad"
    assert "inspects TLS" in found["finding"] + found["fix"]
    assert "certificate" not in trusting.stderr  # the advice works: what is wrong now is another thing
    assert f"go through http://{address}" in trusting.stderr


# What the environment says


def _proxy_check(opus, env):
    said = opus(
        "doctor",
        "--json",
        env={"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": "https://opus.invalid", **env},
    )
    (found,) = (check for check in said.json["checks"] if check["name"] == "proxy")
    assert PASSWORD not in said.out
    return found


def test_doctor_says_that_all_proxy_is_ignored_and_names_https_proxy(opus):
    for kind in ("http", "socks5"):
        found = _proxy_check(opus, {"ALL_PROXY": f"{kind}://me:{PASSWORD}@proxy.invalid:1080"})
        assert found["state"] == "risk"
        assert f"ALL_PROXY ({kind}://proxy.invalid:1080) is ignored" in found["finding"]
        assert "HTTPS_PROXY" in found["fix"]


def test_doctor_says_which_proxy_is_used_and_which_is_not(opus):
    both = {"HTTPS_PROXY": f"me:{PASSWORD}@a.invalid:1", "HTTP_PROXY": "http://b.invalid:2"}
    found = _proxy_check(opus, {**both, "ALL_PROXY": "http://c.invalid:3"})
    assert (found["state"], "requests to opus.invalid go through http://a.invalid:1 (HTTPS_PROXY)") == (
        "good",
        found["finding"].partition(";")[0],
    )
    only_http = _proxy_check(opus, {"HTTP_PROXY": "http://b.invalid:2"})
    assert only_http["finding"] == "none is used for opus.invalid; HTTP_PROXY is http://b.invalid:2"


def test_doctor_says_that_no_proxy_exempts_the_host(opus):
    found = _proxy_check(opus, {"HTTPS_PROXY": "http://a.invalid:1", "NO_PROXY": ".invalid"})
    assert found["finding"].startswith("none is used for opus.invalid: it is exempt")


@pytest.mark.parametrize(
    "given",
    [
        "http://me:gehe/im@p.invalid:1",
        "http://me:gehe#im@p.invalid:1",
        "me:geheim@p.invalid:1",
        "http://me:ge@heim@p:1",
    ],
)
def test_proxy_is_shown_without_login_whatever_the_password_holds(given):
    for part in ("me", "geh", "gehe", "im@", "@"):
        assert part not in shown(given).replace("p.invalid", "p")


@pytest.mark.parametrize(
    "given", ["http://me:gehe/im@p.invalid:1", "http://me:1:2:3@", "http://", "http://p.invalid:x"]
)
def test_proxy_that_is_no_url_is_named_by_its_variable_without_its_text(given):
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY is no URL of a proxy") as caught:
        Proxies({"https": given}, bypass=lambda _: False).for_url(URL("https://opus.invalid/"))
    assert "gehe" not in str(caught.value)
