"""Whose trouble an error is: the table, and who is asked where it does not tell."""

from __future__ import annotations

import asyncio

import pytest
from fake_platform import STAGES, FakePlatform
from job_streams import stream_of
from virtual_time import run_virtual

from opus_async.errors import (
    AuthenticationError,
    ConfigurationError,
    DownloadError,
    HostDown,
    InvalidInputs,
    JobFailed,
    LedgerError,
    NotFound,
    Obstacle,
    OpusError,
    PermissionDenied,
    ProtocolError,
    QuotaExhausted,
    RateLimited,
    ServerError,
    StoreUnavailable,
    TransportError,
    UploadError,
    ValidationFailed,
)
from opus_async.input_problems import InputProblem, ProblemCode
from opus_async.jobs.error_scope import Inquiry, Scope, scope_of

BIND, PREPARE, CREATE, START = STAGES.bind, STAGES.prepare, STAGES.create, STAGES.start
WATCH, COLLECT = STAGES.watch, STAGES.collect


def refusal(kind, stage):
    return kind("no", status=400, stage=stage)


def down(*, answered=True, storage=False):
    error = HostDown("no", host="h", seconds=1, request_sent=False, answered=answered)
    error.storage = storage
    return error


def lost(obstacle, *, sent=False, storage=False, stage=CREATE):
    error = TransportError("no", request_sent=sent, retryable=False, obstacle=obstacle, stage=stage)
    error.storage = storage
    return error


def store_fails(stage, *, others_read=False):
    error = StoreUnavailable("no", document="s3://b/a.pdf", store="s3://b", others_read=others_read)
    return error.located(stage=stage)


def denied(stage, other=ProblemCode.FILE_DENIED):
    codes = (ProblemCode.FILE_DENIED, other)
    return InvalidInputs([InputProblem("no", code=code, file="s3://b/a.pdf") for code in codes], stage=stage)


def short():
    error = UploadError("no", filename="a")
    error.shortage = "open files"
    return error


@pytest.mark.parametrize(
    ("error", "scope"),
    [
        (LedgerError("no"), Scope.EVERY_ROW),
        (ConfigurationError("no"), Scope.EVERY_ROW),
        (DownloadError("no", destination="a", disk_full=True), Scope.EVERY_ROW),
        (DownloadError("no", destination="a"), Scope.ROW),
        (refusal(AuthenticationError, WATCH), Scope.ASK),
        (refusal(AuthenticationError, CREATE), Scope.ASK_AND_OTHERS_TELL),
        (refusal(RateLimited, COLLECT), Scope.ASK),
        (refusal(RateLimited, START), Scope.ASK_AND_OTHERS_TELL),
        (refusal(QuotaExhausted, START), Scope.EVERY_ROW),
        (refusal(QuotaExhausted, COLLECT), Scope.ASK),
        (refusal(PermissionDenied, BIND), Scope.ASK),
        (refusal(NotFound, BIND), Scope.ASK),
        (refusal(PermissionDenied, CREATE), Scope.OTHERS_TELL),
        (refusal(PermissionDenied, START), Scope.OTHERS_TELL),
        (refusal(PermissionDenied, WATCH), Scope.ROW),
        (refusal(PermissionDenied, "download"), Scope.ROW),
        (refusal(NotFound, START), Scope.ROW),
        (refusal(ValidationFailed, START), Scope.ROW),
        (refusal(ServerError, CREATE), Scope.ROW),
        (down(), Scope.EVERY_ROW),
        (down(storage=True), Scope.EVERY_ROW),
        (down(answered=False, storage=True), Scope.OTHERS_TELL),
        (lost(Obstacle.CERTIFICATE), Scope.EVERY_ROW),
        (lost(Obstacle.PROXY), Scope.EVERY_ROW),
        (lost(Obstacle.CLOSED), Scope.EVERY_ROW),
        (lost(Obstacle.CERTIFICATE, storage=True), Scope.OTHERS_TELL),
        (lost(Obstacle.NETWORK, storage=True), Scope.OTHERS_TELL),
        (lost(Obstacle.NETWORK, storage=True, sent=True), Scope.ROW),
        (lost(Obstacle.REQUEST, storage=True), Scope.ROW),
        (lost(Obstacle.REDIRECT, sent=True), Scope.ASK_AND_OTHERS_TELL),
        (lost(Obstacle.REDIRECT, sent=True, stage=COLLECT), Scope.ASK),
        (lost(Obstacle.TOO_LARGE, sent=True), Scope.ROW),
        (lost(Obstacle.REQUEST), Scope.ROW),
        (store_fails(BIND), Scope.OTHERS_TELL),
        (store_fails(PREPARE), Scope.OTHERS_TELL),
        (store_fails(PREPARE, others_read=True), Scope.ROW),
        (store_fails(WATCH), Scope.ROW),
        (denied(BIND), Scope.OTHERS_TELL),
        (denied(BIND, ProblemCode.NO_FILE), Scope.ROW),
        (TransportError("no", request_sent=True), Scope.ROW),
        (ProtocolError("no", stage=COLLECT), Scope.ROW),
        (InvalidInputs(["no"]), Scope.ROW),
        (JobFailed("no"), Scope.ROW),
        (OpusError("no"), Scope.ROW),
        (short(), Scope.ROW),
    ],
)
def test_error_scope_follows_from_error_and_stage(error, scope):
    assert scope_of(error, STAGES) is scope


def test_error_scope_inquiry_shares_one_answer_among_concurrent_callers():
    asked = []

    async def ask():
        asked.append(1)
        await asyncio.sleep(0.1)
        raise AuthenticationError("no", status=401)

    async def main():
        inquiry = Inquiry(ask)
        answers = await asyncio.gather(*(inquiry.refusal() for _ in range(100)))
        assert {type(answer) for answer in answers} == {AuthenticationError}
        assert len(asked) == 1
        await asyncio.sleep(5)
        await inquiry.refusal()
        assert len(asked) == 2

    run_virtual(main())


@pytest.mark.parametrize(
    ("at", "error"),
    [
        ("collect", lambda: refusal(AuthenticationError, None)),
        ("collect", lambda: lost(Obstacle.TOO_LARGE, sent=True, stage=None)),
        ("collect", lambda: lost(Obstacle.REDIRECT, sent=True, stage=None)),
        ("bind", lambda: refusal(NotFound, None)),
        ("start", lambda: refusal(PermissionDenied, None)),
    ],
)
def test_stream_continues_if_error_concerns_one_row(at, error):
    async def main():
        platform = FakePlatform()

        def only_the_third(what):
            job = what[0] if isinstance(what, tuple) else what
            number = job.get("n") if isinstance(job, dict) else int(job.partition("-")[2])
            return error() if number == 3 else None

        platform.fail[at] = only_the_third
        stream, _ = stream_of(platform, [{"n": number} for number in range(8)])
        outcomes = {outcome.index: outcome async for outcome in stream}
        assert sorted(outcomes) == list(range(8))
        assert not outcomes[3].ok
        assert sum(outcome.ok for outcome in outcomes.values()) == 7

    run_virtual(main())


@pytest.mark.parametrize(
    ("at", "error"),
    [
        ("create", lambda: refusal(AuthenticationError, None)),
        ("create", lambda: lost(Obstacle.CERTIFICATE, stage=None)),
        ("prepare", short),
    ],
)
def test_stream_raises_error_that_concerns_every_row(at, error):
    async def main():
        platform = FakePlatform()
        platform.fail[at] = lambda _: error()
        stream, _ = stream_of(platform, [{"n": number} for number in range(8)])
        with pytest.raises(type(error())):
            async for _ in stream:
                pass

    run_virtual(main())


def test_stream_raises_schema_refusal_confirmed_by_platform():
    async def main():
        platform = FakePlatform()
        platform.fail["bind"] = platform.fail["reopen"] = lambda _: refusal(PermissionDenied, None)
        stream, _ = stream_of(platform, [{"n": number} for number in range(8)])
        with pytest.raises(PermissionDenied):
            async for _ in stream:
                pass

    run_virtual(main())
