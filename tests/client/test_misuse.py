"""A client in the wrong hands: another event loop, never closed, names that are misspelt."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import warnings

import pytest
from client_tools import TEXT

from opus_async import ConfigurationError, Limits, OpusClient, OpusError, RetryPolicy, Timeouts
from opus_async.clients.settings import from_environment
from opus_async.opus.settings import VARIABLES
from opus_async.simulator import SimulatorConfig, SimulatorProcess

KEY = "_" + "0a" * 48


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(SimulatorConfig(run_time=0)) as apart:
        yield apart


@pytest.mark.parametrize(
    "use",
    [
        lambda opus: opus.run(TEXT, {"Text": "x"}),
        lambda opus: opus.jobs.wait("2514"),
        lambda opus: opus.jobs.outcome("2514"),
        lambda opus: opus.files.upload(b"x", filename="a.txt"),
        lambda opus: opus.workflows.get(TEXT),
    ],
    ids=["run", "wait", "outcome", "upload", "workflow"],
)
def test_client_in_another_loop_is_refused_and_told_what_to_do(simulator, use):
    with asyncio.Runner() as first:
        opus = OpusClient(simulator.service_key, base_url=simulator.base_url)
        assert first.run(opus.run(TEXT, {"Text": "x"})).ok
        with pytest.raises(
            ConfigurationError, match=r"used in another event loop.*Make a client in this loop"
        ):
            asyncio.run(asyncio.wait_for(use(opus), 5))
        first.run(opus.close())


def test_client_of_a_loop_that_ended_is_refused():
    async def look():
        opus.lifecycle(TEXT)

    opus = OpusClient(KEY)
    asyncio.run(look())
    with pytest.raises(ConfigurationError, match="used in an event loop that has ended"):
        asyncio.run(opus.run(TEXT, {"Text": "x"}))


async def test_client_closed_in_another_loop_closes_its_connections(simulator):
    opus = OpusClient(simulator.service_key, base_url=simulator.base_url)
    await opus.workflows.get(TEXT)
    session = opus._network.http._session._session
    await asyncio.to_thread(lambda: asyncio.run(opus.close()))
    await asyncio.sleep(0)
    assert session.closed
    with pytest.raises(OpusError, match="closed"):
        await opus.workflows.get(TEXT)


FORGOTTEN = """
import asyncio, gc, sys
from opus_async import OpusClient

async def main():
    opus = OpusClient(sys.argv[1], base_url=sys.argv[2])
    await opus.workflows.get("T3xtOnlyWorkfl0w")
    return opus if sys.argv[3] == "kept" else None

kept = asyncio.run(main())
"""


@pytest.mark.parametrize("fate", ["dropped", "kept"])
def test_client_never_closed_is_told_once_in_our_words(simulator, fate):
    words = [sys.executable, "-c", FORGOTTEN, simulator.service_key, simulator.base_url, fate]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    (line,) = said.splitlines()
    assert line.startswith("A client was never closed")
    assert "async with OpusClient() as opus" in line


async def test_client_never_closed_is_a_resource_warning(simulator):
    opus = OpusClient(simulator.service_key, base_url=simulator.base_url)
    await opus.workflows.get(TEXT)
    forgotten = opus._network.http._session._forgotten
    with pytest.warns(ResourceWarning, match="never closed"):
        forgotten()
    await opus.close()


async def test_client_closed_or_never_used_says_nothing(simulator):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OpusClient(KEY)
        async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:
            await opus.workflows.get(TEXT)
        session = opus._network.http._session
        assert not session._forgotten.alive


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Limits(max_inflight=3), "Limits has no 'max_inflight': did you mean 'max_in_flight'?"),
        (lambda: Timeouts(conect=3), "Timeouts has no 'conect': did you mean 'connect'?"),
        (lambda: RetryPolicy(colour=3), "RetryPolicy has no 'colour'; it has attempts, max_elapsed, "),
        (lambda: Limits(max_in_flight=0), "Limits(max_in_flight=0): give a whole number of 1 or more"),
        (
            lambda: OpusClient(servicekey="x"),
            "OpusClient(...) has no 'servicekey': did you mean 'service_key'?",
        ),
        (lambda: OpusClient(KEY, baseurl="x"), "OpusClient(...) has no 'baseurl': did you mean 'base_url'?"),
        (
            lambda: OpusClient(KEY).run_many("w", [], max_inflight=3),
            "OpusClient.run_many(...) has no 'max_inflight': did you mean 'max_in_flight'?",
        ),
        (
            lambda: asyncio.run(OpusClient(KEY).run("w", {}, titel="x")),
            "OpusClient.run(...) has no 'titel': did you mean 'title'?",
        ),
    ],
)
def test_misspelt_setting_or_argument_is_answered_with_the_nearest_name(make, said):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert str(caught.value).startswith(said)


def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(ConfigurationError) as caught:
        Limits(max_inflight=3, api_rate=-1)
    assert "max_in_flight" in str(caught.value)
    assert "api_rate=-1" in str(caught.value)


def test_run_stays_a_coroutine_function_and_keeps_its_signature():
    assert inspect.iscoroutinefunction(OpusClient.run)
    assert "workflow_id" in inspect.signature(OpusClient.run).parameters


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("OPUS_SERVICEKEY", "OPUS_SERVICE_KEY"),
        ("opus_service_key", "OPUS_SERVICE_KEY"),
        ("OPUS_SERVICE_KEYS", "OPUS_SERVICE_KEY"),
        ("OPUS_BASEURL", "OPUS_BASE_URL"),
        ("OPUS_CALLBACKURL", "OPUS_CALLBACK_URL"),
    ],
)
def test_misspelt_variable_of_the_environment_is_answered_with_the_right_one(given, meant):
    with pytest.raises(ConfigurationError, match=f"The environment has {given}, .* did you mean {meant}"):
        from_environment(meant, {given: "secret-value"}, known=VARIABLES)
    assert from_environment(meant, {given: "x", meant: " right "}, known=VARIABLES) == "right"


def test_misspelt_base_url_in_the_environment_sends_no_key_elsewhere(monkeypatch):
    monkeypatch.setenv("OPUS_BASEURL", "https://staging.example.com")
    with pytest.raises(ConfigurationError, match="did you mean OPUS_BASE_URL"):
        OpusClient(KEY)
    OpusClient(KEY, base_url="https://staging.example.com")


@pytest.mark.parametrize("other", ["OPUS_API_KEY", "OPUS_SERVICE_KEY_STAGING", "OPUS_HOME", "BASE_URL"])
def test_variable_of_another_program_is_no_misspelling(other):
    for name in ("OPUS_SERVICE_KEY", "OPUS_BASE_URL", "OPUS_API", "OPUS_CALLBACK_URL"):
        assert from_environment(name, {other: "x"}, known=VARIABLES) == ""


def test_warning_about_a_key_points_to_the_line_that_made_the_client():
    with pytest.warns(UserWarning, match="may be refused") as caught:
        OpusClient("x" * 97)
    assert caught[0].filename == __file__
