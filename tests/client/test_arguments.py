"""Arguments of the wrong kind are refused before anything is sent: which, what was given, and what fits."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import pytest
from client_tools import KEY, TEXT

from opus_async import (
    CallbackReceiver,
    ConfigurationError,
    InvalidInputs,
    JobRequest,
    Limits,
    OpusClient,
    OpusError,
    RetryPolicy,
    Timeouts,
    Workflow,
)
from opus_async.input_problems import ProblemCode

UUID_TEXT = "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f"
SIGNED = "https://bucket.example.com/a.pdf?X-Amz-Signature=0123456789abcdef"


async def result_of(use):
    """What a call on a client gives that can reach nothing."""
    async with OpusClient(KEY, base_url="https://opus.invalid") as opus:
        given = use(opus)
        if inspect.isawaitable(given):
            return await given
        return [each async for each in given]


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (
            lambda o: o.run_many(TEXT, [], max_in_flight="3"),
            "max_in_flight='3'): give a whole number of 1 or more; did you mean 3?",
        ),
        (
            lambda o: o.run_many(TEXT, [], max_in_flight=1.5),
            "max_in_flight=1.5): give a whole number of 1 or more",
        ),
        (lambda o: o.run_many(TEXT, [], max_in_flight=True), "max_in_flight=True): give a whole number"),
        (
            lambda o: o.run_many(TEXT, [], max_in_flight=float("nan")),
            "max_in_flight=nan): give a whole number",
        ),
        (
            lambda o: o.run_many(TEXT, [], max_in_flight=0),
            "max_in_flight=0): give a whole number of 1 or more",
        ),
        (lambda o: o.run_many(TEXT, [], progress="no"), "progress='no'): give True or False"),
        (lambda o: o.run_many(TEXT, 5), "rows=5): give an iterable of mappings or JobRequests"),
        (lambda o: o.run_many(TEXT, None), "rows=None): give an iterable"),
        (lambda o: o.run_many(TEXT, "rows.csv"), "rows='rows.csv'): give an iterable"),
        (lambda o: o.run_many(TEXT, Path("rows.csv")), "a file of rows is for run_batch"),
        (lambda o: o.run_many(TEXT, {"Text": "private"}), "rows is of type dict): give an iterable"),
        (lambda o: o.run_many(TEXT, JobRequest({})), "rows is of type JobRequest): give an iterable"),
        (
            lambda o: o.run_many(TEXT, [], callback=5),
            "callback is of type int): give a URL as text, or a CallbackReceiver",
        ),
        (lambda o: o.run_many(TEXT), "OpusClient.run_many(...) needs rows"),
        (lambda o: o.run(), "OpusClient.run(...) needs workflow_id, inputs"),
        (
            lambda o: o.run(TEXT, {}, "Title"),
            "1 more without a name than workflow_id, inputs: give it by name, like title=...",
        ),
        (
            lambda o: o.jobs.outcome("2514", timout=5),
            "Jobs.outcome(...) has no 'timout': did you mean 'timeout'?",
        ),
        (
            lambda o: o.jobs.search(pagesize=5),
            "Jobs.search(...) has no 'pagesize': did you mean 'page_size'?",
        ),
        (
            lambda o: o.workflows.get(TEXT, verison=5),
            "Workflows.get(...) has no 'verison': did you mean 'version'?",
        ),
        (
            lambda o: o.files.upload(b"x", file_name="a.txt"),
            "Files.upload(...) has no 'file_name': did you mean 'filename'?",
        ),
    ],
)
async def test_argument_of_client_is_refused_as_setting(use, said):
    with pytest.raises(ConfigurationError) as caught:
        await result_of(use)
    assert said in str(caught.value)
    assert "private" not in str(caught.value)


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (
            lambda o: o.run(5, {}),
            "workflow_id=5: give the 16 characters or the UUID of a workflow, or the link of its page",
        ),
        (lambda o: o.run(UUID(UUID_TEXT), {}), f"did you mean '{UUID_TEXT}'?"),
        (lambda o: o.run(Workflow(workflow_id=TEXT), {}), f"or the link of its page; did you mean '{TEXT}'?"),
        (lambda o: o.run_many(5, []), "workflow_id=5: give"),
        (lambda o: o.lifecycle(5), "workflow_id=5: give"),
        (lambda o: o.workflows.get(5), "workflow_id=5: give"),
        (lambda o: o.workflows.get(TEXT, version="3"), "version='3': give a whole number; did you mean 3?"),
        (lambda o: o.run(TEXT, ["private"]), "inputs is of type list: give a mapping of name to value"),
        (lambda o: o.run(TEXT, "private"), "inputs is of type str: give a mapping"),
        (
            lambda o: o.run(TEXT, {}, timeout="5"),
            "timeout='5': give a number of seconds above 0; did you mean 5?",
        ),
        (lambda o: o.run(TEXT, {}, timeout=timedelta(minutes=5)), "did you mean 300?"),
        (lambda o: o.run(TEXT, {}, timeout=Decimal("1.5")), "did you mean 1.5?"),
        (lambda o: o.run(TEXT, {}, title=5), "title=5: give text; did you mean '5'?"),
        (
            lambda o: o.run(TEXT, {}, version_number="3"),
            "version_number='3': give a whole number; did you mean 3?",
        ),
        (
            lambda o: o.jobs.wait("2514", timeout="5"),
            "timeout='5': give a number of seconds above 0; did you mean 5?",
        ),
        (lambda o: o.jobs.wait("2514", timeout=0), "timeout=0: give a number of seconds above 0"),
        (
            lambda o: o.jobs.wait("2514", timeout=float("nan")),
            "timeout=nan: give a number of seconds above 0",
        ),
        (lambda o: o.jobs.outcome("2514", timeout="x"), "timeout='x': give a number of seconds above 0"),
        (
            lambda o: o.jobs.wait_many("2514"),
            "job_ids='2514': give a list of job ids; did you mean ['2514']?",
        ),
        (lambda o: o.jobs.wait_many(5), "job_ids=5: give a list of job ids"),
        (lambda o: o.jobs.initiate(TEXT, title=5), "title=5: give text"),
        (lambda o: o.jobs.initiate(TEXT, source="API"), "'agent', 'opus-ai', 'web-app'; did you mean 'api'?"),
        (lambda o: o.jobs.execute("2514", [1]), "inputs is of type list: give a mapping"),
        (lambda o: o.jobs.execute("2514", {}, callback_url=5), "callback_url is of type int: give text"),
        (lambda o: o.jobs.execute("2514", {}, workflow=TEXT), f"workflow='{TEXT}': give Workflow(...)"),
        (lambda o: o.jobs.execute("2514", {}, workspaces=["a"]), "workspaces is of type list: give text"),
        (lambda o: o.jobs.search(status=5), "status=5: give one status or a list of them"),
        (
            lambda o: o.jobs.search(page_size="5"),
            "page_size='5': give a whole number of 1 or more; did you mean 5?",
        ),
        (lambda o: o.jobs.search(start_date=5), "start_date=5: give a date, a datetime, or ISO 8601 text"),
        (lambda o: o.files.upload(5), "source=5: give a path, bytes, or a binary file object"),
        (
            lambda o: o.files.upload(b"x", filename="a.txt", access_scope="Workspace"),
            "did you mean 'workspace'?",
        ),
        (lambda o: o.files.upload(b"x", filename="a.txt", on_progress=5), "on_progress=5: give a function"),
        (lambda o: o.files.upload(b"x", filename="a.txt", digest="no"), "digest='no': give True or False"),
        (
            lambda o: o.files.upload_many("a.pdf"),
            "sources='a.pdf': give a list of files; did you mean ['a.pdf']?",
        ),
        (lambda o: o.files.upload_many(b"private"), "sources is of type bytes: give a list of files"),
        (lambda o: o.files.download(SIGNED, 5), "destination=5: give a path"),
        (lambda o: o.files.download_many(SIGNED, "x"), "urls is of type str: give a list of URLs"),
        (lambda o: o.files.urls_of(5), "outcome=5: give JobOutcome(...)"),
        (lambda o: o.listening(5), "listener=5: give a function"),
        (lambda o: o.jobs.wait("2514", timeout=SIGNED), "timeout='https://"),
    ],
)
async def test_argument_of_job_is_refused_as_input_before_anything_is_sent(use, said):
    with pytest.raises(InvalidInputs) as caught:
        await result_of(use)
    assert said in str(caught.value)
    assert {problem.code for problem in caught.value.problems} == {ProblemCode.BAD_ARGUMENT}
    assert "private" not in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"service_key": 5}, "OpusClient(service_key is of type int): give text"),
        ({"service_key": KEY.encode()}, "OpusClient(service_key is of type bytes): give text"),
        ({"base_url": Path("https://x")}, "OpusClient(base_url is of type PosixPath): give text"),
        ({"api": "V0"}, "OpusClient(api='V0'): give one of 'v0', 'v1', 'auto'; did you mean 'v0'?"),
        ({"limits": {"max_in_flight": 3}}, "OpusClient(limits is of type dict): give Limits(...)"),
        ({"timeouts": 5}, "OpusClient(timeouts=5): give Timeouts(...)"),
        ({"retry": Limits()}, "OpusClient(retry is of type Limits): give RetryPolicy(...)"),
        ({"callback": 5}, "OpusClient(callback is of type int): give a URL as text, or a CallbackReceiver"),
        ({"session": "x"}, "OpusClient(session='x'): give an aiohttp.ClientSession"),
        ({"listeners": 5}, "OpusClient(listeners=5): give a list of functions"),
        ({"listeners": None}, "OpusClient(listeners=None): give a list of functions"),
        ({"listeners": "abc"}, "OpusClient(listeners='abc'): give a list of functions"),
        ({"listeners": [5]}, "OpusClient(listeners is of type list): give a list of functions"),
    ],
)
def test_argument_of_constructor_is_refused(given, said):
    with pytest.raises(ConfigurationError) as caught:
        OpusClient(**{"service_key": KEY, **given})
    assert str(caught.value) == said
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Limits(max_in_flight="3"),
            "Limits(max_in_flight='3'): give a whole number of 1 or more; did you mean 3?",
        ),
        (lambda: Limits(max_in_flight=True), "Limits(max_in_flight=True): give a whole number of 1 or more"),
        (lambda: Limits(max_in_flight=2.0), "Limits(max_in_flight=2.0): give a whole number of 1 or more"),
        (lambda: Limits(max_in_flight=None), "Limits(max_in_flight=None): give a whole number of 1 or more"),
        (lambda: Limits(api_rate="40/s"), "Limits(api_rate='40/s'): give a number above 0"),
        (lambda: Limits(api_rate=float("inf")), "Limits(api_rate=inf): give a number above 0"),
        (lambda: Limits(detect_lag=20), "Limits(detect_lag=20): give a number above 0 and up to 10"),
        (
            lambda: Limits(api_concurrency=[3]),
            "Limits(api_concurrency is of type list): give a whole number of 1 or more",
        ),
        (lambda: Limits(5), "Limits takes its settings by name, like Limits(max_in_flight=...)"),
        (
            lambda: Timeouts(job="60"),
            "Timeouts(job='60'): give a number of seconds above 0; did you mean 60?",
        ),
        (lambda: Timeouts(connect=0), "Timeouts(connect=0): give a number of seconds above 0"),
        (
            lambda: RetryPolicy(on_ambiguous=5),
            "RetryPolicy(on_ambiguous=5): give one of 'resend', 'resend_once', 'stop'",
        ),
        (
            lambda: RetryPolicy(execute_grace=-1),
            "RetryPolicy(execute_grace=-1): give a number of seconds, 0 or more",
        ),
        (lambda: CallbackReceiver(5), "CallbackReceiver(public_url is of type int): give text"),
        (
            lambda: CallbackReceiver(publicurl="x"),
            "CallbackReceiver(...) has no 'publicurl': did you mean 'public_url'?",
        ),
        (
            lambda: CallbackReceiver(rate="x"),
            "CallbackReceiver(rate='x'): give a number of calls a second, 1 or more",
        ),
        (
            lambda: CallbackReceiver(secret=12345678901234567890),
            "CallbackReceiver(secret is of type int): give text or bytes",
        ),
    ],
)
def test_argument_of_settings_is_refused(make, said):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert str(caught.value) == said


def test_argument_of_settings_may_be_a_number_of_another_library():
    numpy = pytest.importorskip("numpy")
    limits = Limits(max_in_flight=numpy.int64(7), api_rate=numpy.float32(2.5), detect_lag=Fraction(1, 4))
    assert limits == Limits(max_in_flight=7, api_rate=2.5, detect_lag=0.25)
    assert {type(value) for value in (limits.max_in_flight, limits.api_rate)} == {int, float}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: JobRequest({}, titel="x"), "JobRequest(...) has no 'titel': did you mean 'title'?"),
        (JobRequest, "JobRequest(...) needs inputs"),
        (
            lambda: JobRequest({}, *"abcdefgh"),
            "JobRequest(...) was given 2 more without a name than inputs, ",
        ),
    ],
)
def test_argument_of_request_is_answered_with_the_nearest_name(make, said):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value).startswith(said)


def test_argument_check_leaves_requests_as_they_were():
    request = JobRequest({"a": 1}, "title", key="k")
    assert pickle.loads(pickle.dumps(request)) == request
    assert replace(request, title="other").title == "other"
    assert list(inspect.signature(JobRequest).parameters)[:2] == ["inputs", "title"]


async def test_argument_of_generator_of_rows_is_not_consumed_by_the_check():
    async with OpusClient(KEY, base_url="http://127.0.0.1:9", retry=RetryPolicy(attempts=1)) as opus:
        taken = []
        stream = opus.run_many(TEXT, (taken.append(n) or {"Text": "x"} for n in range(3)))
        assert taken == []
        with pytest.raises(OpusError):
            await asyncio.wait_for(anext(stream), 10)
