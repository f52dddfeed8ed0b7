"""Tokens, logins and settings: one login for all tasks, and no secret anywhere."""

from __future__ import annotations

import asyncio
import logging

import pytest
from client_tools import until
from handmade_operativus import PASSWORD, TOKEN, USERNAME, WORKFLOW, Reply, problem

from opus_async import Limits
from opus_async.errors import AuthenticationError, ConfigurationError, PermissionDenied, ServerError
from opus_async.operativus import OperativusClient
from opus_async.operativus.auth import LOGIN_LIMIT
from opus_async.operativus.settings import (
    DEFAULT_BASE_URL,
    Login,
    Token,
    resolve_base_url,
    resolve_credentials,
)
from opus_async.transport.rates import TokenBucket


async def test_login_is_made_once_for_all_tasks(handmade, connect):
    server = await handmade()
    client = connect(server, username=USERNAME, password=PASSWORD)
    outcomes = await asyncio.gather(*(client.run(WORKFLOW, str(number)) for number in range(20)))
    assert all(outcome.ok for outcome in outcomes)
    assert server.counts["login"] == 1
    assert "authorization" not in server.of("login")[0].headers


async def test_token_is_renewed_once_for_all_tasks_when_it_expires(handmade, connect):
    server = await handmade(shows="RUNNING")
    client = connect(server, username=USERNAME, password=PASSWORD)
    runs = [asyncio.ensure_future(client.run(WORKFLOW, str(number), timeout=20)) for number in range(20)]
    await until(lambda: len(server.orders) == 20)
    server.tokens.clear()
    for row in server.rows:
        row["status"] = "COMPLETED"
    assert all(outcome.ok for outcome in await asyncio.gather(*runs))
    assert server.counts["login"] == 2
    assert not server.ordered_twice


async def test_wrong_password_is_tried_once_whoever_asks(handmade, connect):
    server = await handmade()
    client = connect(server, username=USERNAME, password="wrong-battery-staple")
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            await client.runs.find(WORKFLOW, "session")
        with pytest.raises(AuthenticationError):
            await client.run(WORKFLOW, "prices")
    assert server.counts == {"login": 1}


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_login_that_is_refused_in_other_words_is_not_repeated_either(handmade, connect, status):
    server = await handmade({"login": [problem(status, "Bad credentials")] * 9})
    client = connect(server, username=USERNAME, password=PASSWORD)
    for _ in range(3):
        with pytest.raises(AuthenticationError, match="Bad credentials"):
            await client.workflows.get(WORKFLOW)
    assert server.counts == {"login": 1}


async def test_login_that_fails_for_another_reason_is_tried_again(handmade, connect):
    server = await handmade({"login": [problem(500, "down")] * 2})
    client = connect(server, username=USERNAME, password=PASSWORD)
    assert (await client.run(WORKFLOW, "prices")).ok
    assert server.counts["login"] == 3
    server = await handmade({"login": [problem(500, "down")] * 99})
    client = connect(server, username=USERNAME, password=PASSWORD, retry={"attempts": 2})
    with pytest.raises(ServerError):
        await client.run(WORKFLOW, "prices")
    assert server.counts["run"] == 0


async def test_role_that_is_missing_is_told_in_words(simulate, connect):
    server = await simulate()
    user = server.accounts["user"]
    client = connect(server, username=user.username, password=user.password)
    with pytest.raises(PermissionDenied, match="lacks the role"):
        await client.workflows.create("Briefing")


async def test_secrets_are_in_no_error_log_or_repr(handmade, connect, caplog):
    caplog.set_level(logging.DEBUG)
    leak = f"you sent {TOKEN} and {PASSWORD}"
    server = await handmade({"workflow": [problem(404, leak)], "login": [problem(401, leak)]})
    client = connect(server)
    with pytest.raises(Exception, match="you sent") as caught:
        await client.workflows.get(WORKFLOW)
    login = connect(server, username=USERNAME, password=PASSWORD)
    with pytest.raises(AuthenticationError) as refused:
        await login.workflows.get(WORKFLOW)
    told = [repr(caught.value), str(caught.value), str(vars(caught.value)), repr(client), caplog.text]
    assert not any(TOKEN in text or TOKEN[:20] in text for text in told)
    told = [repr(refused.value), str(refused.value), str(vars(refused.value)), repr(login), caplog.text]
    assert not any(PASSWORD in text for text in told)
    assert repr(Token(TOKEN)) + repr(Login(USERNAME, PASSWORD)) == "Token()Login(username='operator')"


async def test_token_that_a_login_gave_is_masked_as_well(handmade, connect):
    server = await handmade()
    client = connect(server, username=USERNAME, password=PASSWORD)
    await client.workflows.get(WORKFLOW)
    (token,) = server.tokens - {TOKEN}
    server.script["workflow"] = [problem(404, f"you sent {token}")]
    with pytest.raises(Exception, match="you sent <token>"):
        await client.workflows.get(WORKFLOW)


async def test_login_answer_without_a_token_quotes_nothing(handmade, connect):
    server = await handmade({"login": [Reply(200, {"accessToken": TOKEN})] * 9})
    client = connect(server, username=USERNAME, password=PASSWORD, retry={"attempts": 1})
    with pytest.raises(Exception, match="without a usable token") as caught:
        await client.workflows.get(WORKFLOW)
    assert TOKEN not in str(vars(caught.value))


def test_logins_stay_within_what_a_server_takes_from_one_address():
    bucket, taken = TokenBucket(LOGIN_LIMIT.rate, burst=LOGIN_LIMIT.burst), []
    for tenth in range(6000):
        if bucket.take(tenth / 10):
            taken.append(tenth / 10)
    assert max(sum(at <= each < at + 60 for each in taken) for at in taken) <= 10


# Settings


def test_default_rate_keeps_a_client_below_the_limit_of_a_server():
    client = OperativusClient(token="t" * 20)
    assert OperativusClient(token="t" * 20, limits=Limits(max_in_flight=7)).limits == Limits(
        max_in_flight=7, api_rate=client.limits.api_rate
    )
    assert OperativusClient(token="t" * 20, limits=Limits(api_rate=200)).limits.api_rate == 200


def test_default_rate_lets_no_second_have_more_than_45_requests():
    bucket, sent = TokenBucket(OperativusClient(token="t" * 20).limits.api_rate), []
    for tick in range(3000):  # milliseconds, after a quiet time
        while bucket.take(10 + tick / 1000):
            sent.append(tick)
    assert max(sum(at <= each <= at + 1000 for each in sent) for at in sent) <= 45


async def test_requests_of_a_client_stay_below_the_limit_of_a_server(simulate, connect, briefing):
    server = await simulate(rate_limit=50)
    client = connect(server)
    workflow_id = await briefing(client, "writer_agent")
    outcomes = [outcome async for outcome in client.run_many(workflow_id, map(str, range(60)))]
    assert all(outcome.ok for outcome in outcomes)
    assert server.stats()["rate_limited"] == 0


def test_credentials_come_from_arguments_before_the_environment():
    environ = {"OPERATIVUS_TOKEN": "from-env", "OPERATIVUS_USERNAME": "u", "OPERATIVUS_PASSWORD": "p"}
    assert resolve_credentials(None, None, None, environ) == Token("from-env")
    assert resolve_credentials("given", None, None, environ) == Token("given")
    assert resolve_credentials("Bearer given ", None, None, environ) == Token("given")
    assert resolve_credentials(None, "me", "secret", environ) == Login("me", "secret")
    del environ["OPERATIVUS_TOKEN"]
    assert resolve_credentials(None, None, None, environ) == Login("u", "p")


@pytest.mark.parametrize(
    ("given", "environ", "words"),
    [
        ((None, None, None), {}, "set OPERATIVUS_TOKEN"),
        ((" ", None, None), {}, "set OPERATIVUS_TOKEN"),
        (("t", "u", "p"), {}, "not both"),
        ((None, "u", None), {}, "no password"),
        ((None, None, "p"), {}, "no user name"),
        ((None, None, None), {"OPERATIVUS_USERNAME": "u"}, "no password"),
        (("to ken", None, None), {}, "cannot stand in a header"),
        ((None, None, None), {"OPERATIVUS_TOKNE": "t"}, "did you mean OPERATIVUS_TOKEN"),
    ],
)
def test_credentials_that_cannot_be_used_are_refused(given, environ, words):
    with pytest.raises(ConfigurationError, match=words):
        resolve_credentials(*given, environ)


def test_base_url_comes_from_the_environment_or_is_the_local_server():
    assert resolve_base_url(None, {}) == DEFAULT_BASE_URL == "http://localhost:8080"
    assert resolve_base_url(None, {"OPERATIVUS_BASE_URL": "https://ops.example.com/"}) == (
        "https://ops.example.com"
    )
    with pytest.raises(ConfigurationError, match="http://localhost:8080"):
        resolve_base_url("ops.example.com", {})


def test_plain_http_to_another_host_is_warned_of():
    with pytest.warns(UserWarning, match="token will cross the network unencrypted to ops"):
        OperativusClient("http://ops.example.com", token="t" * 20)


def test_client_without_credentials_says_what_to_set():
    with pytest.raises(ConfigurationError, match=r"OPERATIVUS_TOKEN.*token=\.\.\."):
        OperativusClient()
