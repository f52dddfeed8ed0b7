"""``doctor`` on the second platform, and on both."""

from __future__ import annotations

import pytest
from command_line import serving
from operativus_command import workflow


def states(said):
    return {check["name"]: check["state"] for check in said.json["checks"]}


def check(said, name):
    return next(check for check in said.json["checks"] if check["name"] == name)


def test_doctor_checks_platform_that_is_set_up(opus, agents):
    said = opus("doctor", "--json", env=agents)
    assert said.code == 0, said.out
    assert set(states(said).values()) == {"good", "skipped"}  # no certificate: plain http
    assert check(said, "token")["finding"] == "is set"
    assert "the token works" in check(said, "live call")["finding"]
    assert agents["OPERATIVUS_TOKEN"] not in said.out + said.err


def test_doctor_checks_both_platforms_that_are_set_up(opus, agents, to):
    said = opus("doctor", "--json", env={**agents, **to})
    assert said.code == 0, said.out
    assert {"Opus: live call", "Operativus: live call", "Opus: proxy", "versions"} <= set(states(said))
    one = opus("doctor", "--json", "--platform", "opus", env={**agents, **to})
    assert not [name for name in states(one) if "Operativus" in name or ":" in name]


def test_doctor_checks_opus_if_nothing_is_set_up(opus):
    said = opus("doctor", "--json")
    assert said.code == 4
    assert states(said)["service key"] == "bad"


def test_doctor_of_operativus_without_anything_says_what_to_set(opus):
    said = opus("doctor", "--json", "--platform", "operativus")
    assert said.code == 4
    assert check(said, "token")["state"] == "bad"
    assert "OPERATIVUS_TOKEN" in check(said, "token")["finding"]
    assert check(said, "base URL")["finding"] == "http://localhost:8080 (default)"
    assert states(said)["live call"] == "skipped"


def test_doctor_of_operativus_reads_workflow(opus, agents):
    said = opus("doctor", "--json", "--workflow", workflow(agents), env=agents)
    assert check(said, "live call")["finding"].endswith("workflow 'Briefing', steps: 2")
    gone = opus("doctor", "--json", "--workflow", "nope", env=agents)
    assert gone.code == 4
    assert "workflow nope is unknown to it" in check(gone, "live call")["finding"]


def test_doctor_of_operativus_knows_log_in_from_token(opus, operativus_server):
    server = operativus_server.operativus
    env = {
        "OPERATIVUS_BASE_URL": server.base_url,
        "OPERATIVUS_USERNAME": server.username,
        "OPERATIVUS_PASSWORD": server.password,
    }
    said = opus("doctor", "--json", env=env)
    assert said.code == 0, said.out
    assert check(said, "token")["finding"] == f"none: user {server.username} logs in with a password"
    assert "the log-in works" in check(said, "live call")["finding"]
    wrong = opus("doctor", "--json", env={**env, "OPERATIVUS_PASSWORD": "not-this-one"})
    assert "user name or password is refused" in check(wrong, "live call")["finding"]
    assert "not-this-one" not in wrong.out + wrong.err


def test_doctor_of_operativus_explains_refused_token(opus, agents):
    said = opus("doctor", "--json", env={**agents, "OPERATIVUS_TOKEN": "stale-token"})
    assert said.code == 4
    assert "the token is refused (HTTP 401" in check(said, "live call")["finding"]
    assert "OPERATIVUS_PASSWORD" in check(said, "live call")["fix"]
    assert "stale-token" not in said.out + said.err


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, b"<html>log in</html>", "there is no API of Operativus at"),
        (404, b"", "there is no API of Operativus at"),
        (403, b"", "may not read workflows"),
        (429, b"", "only busy"),
        (503, b"", "the server failed"),
    ],
)
def test_doctor_of_operativus_explains_what_answers(opus, status, body, found):
    with serving(lambda _: (status, body)) as port:
        env = {"OPERATIVUS_BASE_URL": f"http://127.0.0.1:{port}", "OPERATIVUS_TOKEN": "t0ken"}
        said = opus("doctor", "--json", env=env)
    assert found in check(said, "live call")["finding"], said.out
    assert said.code == (0 if status == 429 else 4)


def test_doctor_of_operativus_refuses_generation(opus, agents):
    said = opus("doctor", "--platform", "operativus", "--api", "v1", env=agents)
    assert said.code == 2
    assert "--api: Operativus has one generation" in said.err
