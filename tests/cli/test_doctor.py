"""The doctor: what it sees, what it says, and that it shows no secret."""

from __future__ import annotations

import resource
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from certificates import certificate, needs_openssl
from command_line import WRONG_KEY, ago, at, leading_to, serving
from simulator_thread import SimulatorThread

from opus_async.cli.checks import State
from opus_async.cli.doctor import certificate_check, local_checks
from opus_async.config import Limits
from opus_async.simulator import SimulatorConfig
from opus_async.simulator.builtin import BUILTIN


def states(said):
    return {check["name"]: check["state"] for check in said.json["checks"]}


def check(said, name):
    (found,) = (check for check in said.json["checks"] if check["name"] == name)
    return found


def test_doctor_reports_ready_if_all_checks_pass(opus, to):
    said = opus("doctor", env=to)
    assert said.code == 0
    assert "Ready." in said.out
    assert "✗" not in said.out
    assert not said.err


def test_doctor_json_passes_with_existing_workflow(opus, to):
    said = opus("doctor", "--json", "--workflow", "D0cumentWorkfl0w", env=to)
    assert said.code == 0
    assert said.json["ok"] is True
    assert set(states(said).values()) == {"good", "skipped"}  # no certificate: plain http
    assert "Document check" in said.json["checks"][-1]["finding"]


def test_doctor_exits_4_without_key_and_skips_live_call(opus, to):
    said = opus("doctor", "--json", env={"OPUS_BASE_URL": to["OPUS_BASE_URL"]})
    assert said.code == 4
    assert states(said)["service key"] == "bad"
    assert states(said)["live call"] == "skipped"
    assert states(said)["clock"] == "good"


def test_doctor_explains_key_without_underscore(opus, to):
    key = to["OPUS_SERVICE_KEY"][1:]
    said = opus("doctor", "--json", env={**to, "OPUS_SERVICE_KEY": key})
    assert said.code == 4
    assert (states(said)["service key"], states(said)["live call"]) == ("risk", "bad")
    assert "underscore" in said.out
    assert key not in said.out + said.err


def test_doctor_reports_unknown_workflow(opus, to):
    said = opus("doctor", "--json", "--workflow", "nope", env=to)
    assert said.code == 4
    found = check(said, "live call")
    assert (
        found["finding"] == "the key works, but workflow nope is unknown to it (HTTP 404: Workflow not found)"
    )
    assert "organization" in found["fix"]


def test_doctor_reports_refused_connection(opus):
    env = {"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": "http://127.0.0.1:1"}
    said = opus("doctor", "--json", env=env)
    assert said.code == 4
    assert states(said)["connection"] == "bad"
    assert states(said)["live call"] == "skipped"


@pytest.mark.parametrize("url", ["ftp://x", "https://user:pass@example.test", "https://host:port"])
def test_doctor_reports_invalid_base_url(opus, url):
    said = opus("doctor", "--json", env={"OPUS_SERVICE_KEY": WRONG_KEY, "OPUS_BASE_URL": url})
    assert said.code == 4
    assert states(said)["base URL"] == "bad"
    assert states(said)["name"] == "skipped"
    assert "pass@" not in said.out


def test_doctor_shows_proxy_without_password(opus, to):
    env = {**to, "HTTPS_PROXY": "http://user:geheim@proxy.test:3128"}
    said = opus("doctor", "--json", env=env)
    assert "proxy.test:3128" in said.out
    assert "geheim" not in said.out


def test_doctor_lists_env_file_names_without_values(opus, to, tmp_path):
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in to.items()))
    said = opus("doctor")
    assert said.code == 0
    assert "sets OPUS_SERVICE_KEY, OPUS_BASE_URL" in said.out
    assert to["OPUS_SERVICE_KEY"][1:] not in said.out


@pytest.mark.parametrize(
    ("hard", "state"),
    [(4096, State.GOOD), (resource.RLIM_INFINITY, State.GOOD), (100, State.RISK), (20, State.BAD)],
)
def test_doctor_rates_open_file_limit(monkeypatch, hard, state):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (20, hard))
    check = local_checks.file_limit(Limits())
    assert check.state is state
    assert state is State.GOOD or "ulimit -n" in check.fix


def through(simulator, *kept):
    """What the simulator answers to a request of which only these headers are passed on."""
    direct = build_opener(ProxyHandler({}))

    def answer(request):
        headers = {name: request.headers[name] for name in kept if request.headers[name]}
        try:
            with direct.open(Request(simulator.base_url + request.path, headers=headers)) as got:
                return got.status, got.read()
        except HTTPError as refused:
            with refused:
                return refused.code, refused.read()

    return answer


def test_doctor_reports_wrong_clock(opus):
    with serving(lambda _: (404, b""), Date=ago(1)) as port:
        said = opus("doctor", "--json", env=at(port))
    assert said.code == 4
    assert check(said, "clock")["state"] == "bad"
    assert "ahead of" in check(said, "clock")["finding"]
    assert "NTP" in check(said, "clock")["fix"]


@needs_openssl
def test_doctor_reports_untrusted_and_soon_expiring_certificate(opus, tmp_path):
    context = certificate(tmp_path, "DNS:localhost,IP:127.0.0.1")
    with serving(lambda _: (404, b""), context=context) as port:
        untrusted = opus("doctor", "--json", env=at(port, "https"))
        trust = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        trusted = opus("doctor", "--json", env=at(port, "https") | trust)
    found = check(untrusted, "certificate")
    until = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m}"
    assert untrusted.code == 4
    assert found["state"] == "bad"
    assert "not trusted" in found["finding"]
    assert until in found["finding"]
    assert "SSL_CERT_FILE" in found["fix"]
    assert check(trusted, "certificate")["state"] == "risk"
    assert "only until" in check(trusted, "certificate")["finding"]


@needs_openssl
def test_doctor_reports_certificate_of_another_host(opus, tmp_path):
    context = certificate(tmp_path, "DNS:elsewhere.test")
    with serving(lambda _: (404, b""), context=context) as port:
        trust = {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        said = opus("doctor", "--json", env=at(port, "https") | trust)
    assert said.code == 4
    assert check(said, "certificate")["state"] == "bad"
    assert "names another host" in check(said, "certificate")["fix"]


def test_doctor_reports_failed_tls_handshake(opus):
    with serving(lambda _: (404, b"")) as port:
        said = opus("doctor", "--json", env=at(port, "https"))
    assert said.code == 4
    assert check(said, "certificate")["state"] == "bad"
    assert "TLS handshake failed" in check(said, "certificate")["finding"]
    assert "scheme and port" in check(said, "certificate")["fix"]
    assert states(said)["live call"] == "skipped"


def test_doctor_reports_unresolvable_host_name(opus):
    said = opus("doctor", "--json", env=at(443, "https", "no-such-host.invalid"))
    assert said.code == 4
    assert check(said, "name")["state"] == "bad"
    assert "no-such-host.invalid cannot be resolved" in check(said, "name")["finding"]
    assert "spelling of OPUS_BASE_URL" in check(said, "name")["fix"]
    assert states(said)["connection"] == states(said)["generation"] == "skipped"


# Which generation answers


@pytest.fixture
def simulated():
    """``simulated(trait, ...)`` or ``simulated(generations="v1")``: a simulator of the test's own."""
    with ExitStack() as started:

        def start(*traits, **config):
            process = SimulatorThread(SimulatorConfig(traits=frozenset(traits), **config))
            return started.enter_context(process)

        yield start


@pytest.mark.parametrize(
    ("served", "api", "finding"),
    [
        ("both", {}, "v0 answers, v1 answers; used: v0"),
        ("both", {"OPUS_API": "v1"}, "v0 answers, v1 answers; used: v1"),
        ("both", {"OPUS_API": "auto"}, "v0 answers, v1 answers; used: v0 (auto)"),
        ("v0", {}, "v0 answers, v1 does not answer; used: v0"),
        ("v1", {"OPUS_API": " V1 "}, "v0 does not answer, v1 answers; used: v1"),
        ("v1", {"OPUS_API": "auto"}, "v0 does not answer, v1 answers; used: v1 (auto)"),
    ],
)
def test_doctor_reports_which_generations_answer_and_which_is_used(opus, simulated, served, api, finding):
    env = leading_to(simulated(generations=served)) | api
    said = opus("doctor", "--json", "--workflow", "D0cumentWorkfl0w", env=env)
    assert said.code == 0
    assert check(said, "generation")["finding"] == finding
    assert "Document check" in check(said, "live call")["finding"]
    assert api.get("OPUS_API", "v0").strip().lower() in check(said, "API")["finding"]


def test_doctor_api_option_overrides_environment(opus, to):
    said = opus("doctor", "--json", "--api", "v1", env={**to, "OPUS_API": "v9"})
    assert said.code == 0
    assert check(said, "API")["finding"] == "v1 (--api)"
    assert check(said, "generation")["finding"].endswith("used: v1")


@pytest.mark.parametrize(("served", "wanted"), [("v1", "v0"), ("v0", "v1")])
def test_doctor_reports_if_only_the_other_generation_answers(opus, simulated, served, wanted):
    said = opus("doctor", "--json", env=leading_to(simulated(generations=served)) | {"OPUS_API": wanted})
    assert said.code == 4
    found = check(said, "generation")
    assert found["state"] == "bad"
    assert found["finding"] == f"{wanted} does not answer at this base URL; {served} answers"
    assert f"set OPUS_API={served}" in found["fix"]
    assert states(said)["live call"] == "skipped"


def test_doctor_reports_unknown_generation(opus, to):
    said = opus("doctor", "--json", env={**to, "OPUS_API": "v9"})
    assert said.code == 4
    assert "OPUS_API='v9'" in check(said, "API")["finding"]
    assert (states(said)["generation"], states(said)["live call"]) == ("skipped", "skipped")


def test_doctor_reports_invalid_callback_url_without_its_secret(opus, to):
    env = {**to, "OPUS_BASE_URL": "http://127.0.0.1:1"}
    refused = opus("doctor", "--json", env={**env, "OPUS_CALLBACK_URL": "ftp://hook.test/s3cret"})
    taken = opus("doctor", "--json", env={**env, "OPUS_CALLBACK_URL": "https://hook.test/s3cret"})
    assert check(refused, "callback URL")["state"] == "bad"
    assert check(taken, "callback URL")["finding"] == "at hook.test"
    assert "s3cret" not in refused.out + taken.out


# What a refused call means


def test_doctor_reports_wrong_or_expired_key(opus, to):
    said = opus("doctor", "--json", env={**to, "OPUS_SERVICE_KEY": WRONG_KEY})
    assert said.code == 4
    found = check(said, "live call")
    assert found["finding"] == "the key is refused (HTTP 401: Invalid or expired API key)"
    assert "make a new one" in found["fix"]
    assert check(said, "generation")["state"] == "skipped"


def test_doctor_reports_key_of_wrong_length(opus, to):
    said = opus("doctor", "--json", env={**to, "OPUS_SERVICE_KEY": to["OPUS_SERVICE_KEY"][:-2]})
    assert said.code == 4
    assert "has 95 characters" in check(said, "live call")["fix"]


def test_doctor_reports_proxy_that_removes_key_header(opus, to, simulator):
    with serving(through(simulator)) as port:
        said = opus("doctor", "--json", env=at(port) | {"OPUS_SERVICE_KEY": to["OPUS_SERVICE_KEY"]})
    assert said.code == 4
    found = check(said, "live call")
    assert found["finding"] == "the key was sent and did not arrive (HTTP 401: API key is required)"
    assert "removes the header x-service-key" in found["fix"]


def test_doctor_reports_base_url_of_web_app(opus, simulated):
    said = opus("doctor", "--json", env=leading_to(simulated("browser_only")))
    assert said.code == 4
    found = check(said, "generation")
    assert "for browsers only (HTTP 401: No auth cookie provided)" in found["finding"]
    assert "the key is not the problem" in found["fix"]


@pytest.mark.parametrize("api", ["v0", "v1"])
def test_doctor_names_missing_permission(opus, simulated, api):
    said = opus("doctor", "--json", env=leading_to(simulated("permission_denied")) | {"OPUS_API": api})
    assert said.code == 4
    found = check(said, "live call")
    assert found["finding"].startswith("the key works, but its user may not read workflows (HTTP 403: ")
    assert 'lacks the permission "Workflow: Full"' in found["finding"]
    assert "ask an administrator" in found["fix"]


def test_doctor_reports_firewall_that_refuses_everything(opus):
    with serving(lambda _: (403, b"<html><title>403 Forbidden</title></html>")) as port:
        said = opus("doctor", "--json", env=at(port))
    assert said.code == 4
    assert check(said, "live call")["finding"] == "every call is refused (HTTP 403: 403 Forbidden)"
    assert "firewall" in check(said, "live call")["fix"]


@pytest.mark.parametrize("workflow", [(), ("--workflow", "D0cumentWorkfl0w")])
@pytest.mark.parametrize("path", ["/api/v1", "/wrong/"])
def test_doctor_reports_base_url_with_extra_path(opus, to, path, workflow):
    env = {**to, "OPUS_BASE_URL": to["OPUS_BASE_URL"] + path}
    said = opus("doctor", "--json", *workflow, env=env)
    assert said.code == 4
    found = check(said, "generation")
    assert found["state"] == "bad"
    assert f"which has a path: {path.rstrip('/')}" in found["finding"]
    assert found["fix"] == f"give the host alone: OPUS_BASE_URL={to['OPUS_BASE_URL']}"


def test_doctor_reports_host_that_is_not_the_api(opus):
    with serving(lambda _: (404, b"<html><h1>Not Found</h1></html>")) as port:
        said = opus("doctor", "--json", env=at(port))
    assert said.code == 4
    assert "there is no such path (HTTP 404: Not Found)" in check(said, "generation")["finding"]
    assert "correct OPUS_BASE_URL" in check(said, "generation")["fix"]


def test_doctor_reports_login_page_or_captive_portal(opus, simulated):
    said = opus("doctor", "--json", env=leading_to(simulated("html_gateway")))
    assert said.code == 4
    assert "a page comes that says 'Sign in'" in check(said, "generation")["finding"]
    assert "log-in page or captive portal" in check(said, "generation")["fix"]


@pytest.mark.parametrize("status", [502, 503])
def test_doctor_reports_gateway_error_with_request_id(opus, status):
    page = b"<html><head><title>Bad day</title></head></html>"
    with serving(lambda _: (status, page), **{"X-Request-Id": "r-17"}) as port:
        said = opus("doctor", "--json", env=at(port))
    assert said.code == 4
    found = check(said, "live call")
    assert (
        found["finding"] == f"a gateway answers, and the platform behind it does not (HTTP {status}: Bad day)"
    )
    assert "try again in a few minutes" in found["fix"]
    assert "r-17" in found["fix"]


def test_doctor_does_not_follow_redirect_to_another_host(opus):
    with serving(lambda _: (308, b""), Location="https://login.example.test/?next=1") as port:
        said = opus("doctor", "--json", env=at(port))
    assert said.code == 4
    found = check(said, "live call")
    assert "was redirected to https://login.example.test, where nothing is sent" in found["finding"]
    assert "set OPUS_BASE_URL to it" in found["fix"]


def test_doctor_ignores_redirect_of_front_page(opus, to, simulator):
    pass_on = through(simulator, "x-service-key")

    def answer(request):
        return (308, b"") if request.path == "/" else pass_on(request)

    with serving(answer, Location="https://www.example.test/") as port:
        said = opus("doctor", "--json", env=at(port) | {"OPUS_SERVICE_KEY": to["OPUS_SERVICE_KEY"]})
    assert said.code == 0
    assert states(said)["clock"] == "skipped"
    assert states(said)["live call"] == "good"


def test_doctor_exits_0_if_platform_answers_429(opus):
    body = b'{"statusCode": 429, "message": "Too many requests", "metadata": {"retryAfterSeconds": 0}}'
    with serving(lambda _: (429, body)) as port:
        said = opus("doctor", "--json", env=at(port))
    assert said.code == 0
    assert check(said, "live call")["state"] == "risk"
    assert "the key works, the platform is only busy (HTTP 429" in check(said, "live call")["finding"]


def test_doctor_reports_answer_without_workflow_schema(opus):
    nothing = (404, b'{"statusCode": 404, "message": "Cannot GET /"}')

    def answer(request):
        return nothing if request.path.endswith("nowhere") else (200, b'{"status": "ok"}')

    with serving(answer) as port:
        said = opus("doctor", "--json", env=at(port))
    assert said.code == 4
    assert "without a schema" in check(said, "live call")["finding"]
    assert "check OPUS_BASE_URL" in check(said, "live call")["fix"]


def test_doctor_reports_server_that_answers_everything_alike(opus):
    with serving(lambda _: (200, b'{"status": "ok"}')) as port:
        said = opus("doctor", "--json", env=at(port))
    assert said.code == 4
    assert check(said, "generation")["state"] == "bad"
    assert "neither v0 nor v1 answers at this base URL" in check(said, "generation")["finding"]


# One workflow


def test_doctor_reports_retired_workflow_details_and_suggests_uuid(opus, simulated):
    to = leading_to(simulated("schema_retired"))
    without = opus("doctor", "--json", env=to)
    by_id = opus("doctor", "--json", "--workflow", "D0cumentWorkfl0w", env=to)
    assert (without.code, by_id.code) == (0, 4)
    assert check(without, "live call")["state"] == "risk"
    for said in (without, by_id):
        assert "no longer supported" in check(said, "live call")["finding"]
        assert "use the UUID" in check(said, "live call")["fix"]


def test_doctor_finds_retired_workflow_details_by_uuid(opus, simulated):
    reference = BUILTIN[0].reference_entity_id
    said = opus("doctor", "--json", "--workflow", reference, env=leading_to(simulated("schema_retired")))
    assert said.code == 0


@pytest.mark.parametrize(
    ("times", "year"),
    [
        (b"\x30\x1e\x17\x0d250101000000Z\x17\x0d260203040506Z", 2026),
        (b"\x30\x1e\x17\x0d990101000000Z\x17\x0d490203040506Z", 2049),
        (b"\x30\x20\x17\x0d250101000000Z\x18\x0f20500203040506Z", 2050),
        (b"\x30\x1e\x17\x0d250101000000Z", None),
    ],
)
def test_doctor_reads_certificate_expiry_from_der_bytes(times, year):
    found = certificate_check.expiry(b"\x30\x82\x01\x01..." + times + b"...")
    assert found == (datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC) if year else None)
