"""Many jobs: bounded, in the order of completion, and clean when ended early."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest
from fake_platform import FakePlatform, lifecycle_on
from hypothesis import given, settings
from hypothesis import strategies as st
from job_streams import stream_of
from virtual_time import run_virtual

from opus_async.errors import (
    AuthenticationError,
    InvalidInputs,
    NotFound,
    OpusError,
    PermissionDenied,
    ServerError,
)
from opus_async.jobs.stream import JobSource, JobStream
from opus_async.models import JobRequest, JobStatus


def numbered(count):
    return ({"n": n} for n in range(count))


async def cancelled_future():
    """Wait for what somebody else has cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def ticks(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


def test_stream_yields_one_outcome_per_row_with_index_and_key(platform_class):
    async def main():
        stream, watcher = stream_of(platform_class(), (JobRequest({"n": n}, key=f"k{n}") for n in range(57)))
        outcomes = [outcome async for outcome in stream]
        assert sorted(outcome.index for outcome in outcomes) == list(range(57))
        assert {(o.index, o.key, o.job_id) for o in outcomes} == {(n, f"k{n}", f"job-{n}") for n in range(57)}
        assert len(watcher) == 0

    run_virtual(main())


def test_stream_accepts_async_rows(platform_class):
    async def rows():
        for n in range(5):
            await asyncio.sleep(1)
            yield {"n": n}

    async def main():
        stream, _ = stream_of(platform_class(), rows())
        assert len([outcome async for outcome in stream]) == 5

    run_virtual(main())


def test_stream_of_no_rows_yields_nothing(platform_class):
    async def main():
        stream, _ = stream_of(platform_class(), [])
        assert [outcome async for outcome in stream] == []

    run_virtual(main())


def test_stream_takes_rows_only_as_outcomes_are_read(platform_class):
    async def main():
        taken = []

        def rows():
            for n in range(100):
                taken.append(n)
                yield {"n": n}

        stream, _ = stream_of(platform_class(), rows(), slots=7)
        async with stream:
            await asyncio.sleep(3600)
            assert len(taken) == 7
            await anext(stream)
            await ticks()
            assert len(taken) == 8

    run_virtual(main())


def test_stream_bad_row_yields_outcome_with_error(platform_class):
    async def main():
        platform = platform_class()
        platform.fail["bind"] = lambda inputs: InvalidInputs(["bad"]) if inputs["n"] == 3 else None
        platform.fail["create"] = lambda inputs: ServerError("down", status=502) if inputs["n"] == 5 else None
        stream, _ = stream_of(platform, numbered(8))
        outcomes = {outcome.index: outcome async for outcome in stream}
        assert len(outcomes) == 8
        assert isinstance(outcomes[3].error, InvalidInputs)
        assert outcomes[3].status is None
        assert outcomes[3].job_id is None
        assert isinstance(outcomes[5].error, ServerError)
        assert sum(outcome.ok for outcome in outcomes.values()) == 6

    run_virtual(main())


def test_stream_row_of_wrong_type_yields_outcome_with_error(platform_class):
    async def main():
        stream, _ = stream_of(platform_class(), [{"n": 0}, "not a row", {"n": 2}])
        outcomes = {outcome.index: outcome async for outcome in stream}
        assert isinstance(outcomes[1].error, InvalidInputs)
        assert outcomes[0].ok
        assert outcomes[2].ok

    run_virtual(main())


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("bad key", status=401),
        NotFound("no such workflow", status=404),
        ServerError("down", status=502),
    ],
)
def test_stream_raises_error_of_open_before_taking_rows(error, platform_class):
    async def main():
        platform = platform_class()
        platform.fail["open"] = lambda _: error
        rows = numbered(10)
        stream, _ = stream_of(platform, rows)
        with pytest.raises(type(error)) as caught:
            await anext(stream)
        assert caught.value.stage == "look"
        assert next(rows) == {"n": 0}
        with pytest.raises(type(error)):
            await anext(stream)

    run_virtual(main())


def test_stream_raises_401_midway_after_finished_outcomes(platform_class):
    async def main():
        platform = platform_class(step=0.1)
        refused = AuthenticationError("expired", status=401)
        platform.fail["create"] = lambda inputs: refused if inputs["n"] == 20 else None
        stream, watcher = stream_of(platform, numbered(1000), slots=5)
        good = []
        with pytest.raises(AuthenticationError):
            async for outcome in stream:
                good.append(outcome)
        assert good
        assert all(outcome.ok for outcome in good)
        assert stream.abandoned
        assert len(watcher) == 0

    run_virtual(main())


def test_stream_403_of_one_row_fails_only_that_row(platform_class):
    async def main():
        platform = platform_class()
        denied = PermissionDenied("not this file", status=403)
        platform.fail["create"] = lambda inputs: denied if inputs["n"] == 2 else None
        stream, _ = stream_of(platform, numbered(5))
        outcomes = [outcome async for outcome in stream]
        assert sum(outcome.ok for outcome in outcomes) == 4

    run_virtual(main())


def test_stream_raises_error_of_row_source_after_running_jobs_end(platform_class):
    async def main():
        def rows():
            yield from numbered(3)
            raise ZeroDivisionError("in the caller's rows")

        stream, _ = stream_of(platform_class(), rows())
        outcomes = []
        with pytest.raises(ZeroDivisionError):
            async for outcome in stream:
                outcomes.append(outcome)
        assert len(outcomes) == 3

    run_virtual(main())


def test_stream_raises_where_row_source_is_cancelled_by_itself(platform_class):
    async def main():
        async def rows():
            yield {"n": 0}
            await cancelled_future()

        stream, _ = stream_of(platform_class(), rows())
        outcomes = []
        with pytest.raises(OpusError, match="was cancelled: there may be more rows"):
            async for outcome in stream:
                outcomes.append(outcome)
        assert [outcome.ok for outcome in outcomes] == [True]

    run_virtual(main())


def test_stream_is_closed_by_its_own_rows():
    async def main():
        async def rows():
            yield {"n": 0}
            await stream.aclose()

        stream, watcher = stream_of(FakePlatform(), rows())
        assert [outcome async for outcome in stream] == []
        assert (stream.in_flight, len(watcher)) == (0, 0)

    run_virtual(main())


def test_stream_loses_no_row_where_what_it_awaits_is_cancelled_by_itself():
    class Odd(FakePlatform):
        async def collect(self, remote_id, status):
            if remote_id == "job-1":
                await cancelled_future()
            return await super().collect(remote_id, status)

    async def main():
        stream, _ = stream_of(Odd(), numbered(3), slots=1)
        errors = {outcome.index: outcome.error async for outcome in stream}
        assert (errors[0], errors[2]) == (None, None)
        assert "Unexpected CancelledError" in str(errors[1])
        assert errors[1].job_id == "job-1"

    run_virtual(main())


def test_stream_answer_that_is_cancelled_by_itself_is_an_error_of_its_row():
    class Pausing(FakePlatform):
        def can_resume(self, status):
            return True

        async def poll(self, workflow_id, remote_ids):
            return dict.fromkeys(remote_ids, JobStatus.WAITING)

    async def main():
        lifecycle, watcher = lifecycle_on(Pausing())
        rows = numbered(3)
        stream = JobStream(JobSource(Pausing(), lifecycle, on_paused=lambda _: cancelled_future()), rows, 2)
        errors = [str(outcome.error) async for outcome in stream]
        assert len(errors) == 3
        assert all("raised CancelledError" in error and "still waits" in error for error in errors)
        assert len(watcher) == 0

    run_virtual(main())


def test_stream_unexpected_exception_of_one_row_is_its_outcome(platform_class):
    async def main():
        platform = platform_class()
        platform.fail["create"] = lambda inputs: ZeroDivisionError("a bug") if inputs["n"] == 1 else None
        stream, _ = stream_of(platform, numbered(3))
        outcomes = {outcome.index: outcome async for outcome in stream}
        assert "ZeroDivisionError" in str(outcomes[1].error)
        assert outcomes[0].ok
        assert outcomes[2].ok

    run_virtual(main())


def test_stream_raises_unexpected_exception_of_open(platform_class):
    async def main():
        platform = platform_class()
        platform.fail["open"] = lambda _: ZeroDivisionError("a bug")
        stream, _ = stream_of(platform, numbered(3))
        with pytest.raises(ZeroDivisionError):
            await anext(stream)

    run_virtual(main())


def test_stream_close_closes_row_generators(platform_class):
    async def main():
        closed = []

        def rows():
            try:
                yield from numbered(100)
            finally:
                closed.append("rows")

        async def async_rows():
            try:
                for n in range(100):
                    yield {"n": n}
            finally:
                closed.append("async rows")

        for source in (rows(), async_rows()):
            stream, _ = stream_of(platform_class(), source, slots=3)
            await anext(stream)
            await stream.aclose()
        assert closed == ["rows", "async rows"]

    run_virtual(main())


def test_stream_aclose_stops_watching_and_lists_abandoned_jobs(platform_class):
    async def main():
        platform = platform_class(run_time=3600)
        stream, watcher = stream_of(platform, numbered(100), slots=10)
        async with stream:
            await asyncio.sleep(60)
            assert stream.in_flight == 10
        assert len(watcher) == 0
        assert sorted(stream.abandoned) == [f"job-{n}" for n in range(10)]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await stream.aclose()

    run_virtual(main())


def test_stream_left_by_break_without_context_manager_leaves_no_task(platform_class):
    async def main():
        async for _ in stream_of(platform_class(), numbered(100), slots=10)[0]:
            break
        gc.collect()
        await ticks()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


def test_stream_never_read_starts_nothing(platform_class):
    async def main():
        platform = platform_class()
        stream, _ = stream_of(platform, numbered(3))
        await ticks()
        assert platform.calls == []
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    run_virtual(main())


def test_stream_closed_by_client_raises_in_reader(platform_class):
    async def main():
        stream, _ = stream_of(platform_class(run_time=3600), numbered(100))
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(10)
        await stream.pool.close(OpusError("the client was closed"))
        with pytest.raises(OpusError, match="client was closed"):
            await reader

    run_virtual(main())


def test_stream_abandoned_before_first_step_ends_reader(platform_class):
    async def main():
        stream, _ = stream_of(platform_class(), numbered(10))
        stream.pool.start()
        stream.pool.abandon()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    run_virtual(main())


@given(
    rows=st.integers(0, 60),
    slots=st.integers(1, 20),
    bad=st.sets(st.integers(0, 60), max_size=10),
    reads=st.integers(0, 60),
)
@settings(max_examples=40, deadline=None)
def test_stream_bounds_slots_and_cleans_up_whenever_it_ends(rows, slots, bad, reads):
    async def main():
        platform = FakePlatform()
        platform.fail["prepare"] = lambda bound: ServerError("x", status=500) if bound["n"] in bad else None
        stream, watcher = stream_of(platform, numbered(rows), slots)
        seen = Counter()
        async with stream:
            for _ in range(min(reads, rows)):
                outcome = await anext(stream)
                seen[outcome.index] += 1
                assert outcome.ok == (outcome.index not in bad)
                assert stream.in_flight <= slots
        assert len(watcher) == 0
        assert all(count == 1 for count in seen.values())
        assert sum(seen.values()) == min(reads, rows)
        assert all(name != "start" or job in platform.starts for name, job in platform.calls)
        assert all(count == 1 for count in platform.starts.values())
        await asyncio.sleep(1)  # a poll that is on its way ends by itself

    run_virtual(main())


def test_stream_outcome_keeps_platforms_status_word(platform_class):
    async def main():
        platform = platform_class()
        platform.ends_as = JobStatus("FAILED", raw="stopped")
        stream, _ = stream_of(platform, numbered(1))
        outcome = await anext(stream)
        assert outcome.status.raw == "stopped"
        await stream.aclose()

    run_virtual(main())
