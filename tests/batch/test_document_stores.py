"""Batches whose documents lie in a store that fails, or that gives the same bytes another version."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest
from batch_tools import DOCUMENT, content, lines, sha256, states
from web_stores import EXPIRED, REDIRECT, times, web_store

from opus_async import RetryPolicy
from opus_async.batch import RowsRefused, resume_batch, retry_batch, run_batch
from opus_async.batch.observer import BatchObserver
from opus_async.errors import ManifestError, StoreUnavailable
from opus_async.events import HostState, HostTroubled
from opus_async.exits import Exit
from opus_async.transport.dispatch import Only

pytest.importorskip("s3fs", reason="pip install 'opus-async[s3]'")

QUICK = RetryPolicy(attempts=3, base=0.01, cap=0.05, max_elapsed=10)


@pytest.fixture
def store(monkeypatch):
    with web_store() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
        yield running


def put_documents(store, number):
    for index in range(number):
        store.put(f"/docs/{index}.txt", content(index))


def manifest(home, number, *, keys=True):
    rows = [
        f"K{index},s3://docs/{index}.txt" if keys else f"s3://docs/{index}.txt" for index in range(number)
    ]
    path = home / "m.csv"
    path.write_text("\n".join(["key,Document" if keys else "Document", *rows, ""]))
    return path


async def begin(client, home, number, **options):
    rows = manifest(home, number, keys=options.pop("keys", True))
    return await run_batch(
        client, rows, workflow_id=DOCUMENT, out=home / "out", allow_outside=True, **options
    )


def digests(directory):
    return sorted(line["outputs"]["SHA-256"] for line in lines(directory / "results.jsonl"))


def jobs(simulator):
    return simulator.state()["counters"]["jobs"]


@pytest.mark.parametrize("act", [503, "drop"], ids=str)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_store_that_is_down_for_every_document_fails_no_row(  # noqa: PLR0917 - fixtures and a case
    store, simulate, connect, tmp_path, act, method
):
    put_documents(store, 40)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    await begin(client, tmp_path, 40, limit=1)
    store.asked.clear()
    store.act = lambda asked: act if asked.method == method else None
    result = await resume_batch(client, tmp_path / "out", settings={"max_in_flight": 4})
    assert states(tmp_path / "out") == {"completed": 1, "planned": 39}
    assert result.exit_code == Exit.NOT_ALLOWED
    assert result.ended_because == "the store gave no documents out"
    assert isinstance(result.error, StoreUnavailable)
    assert "its store, s3://docs, fails" in str(result.error)
    failed = sum(asked.method == method for asked in store.asked)
    assert failed < 39 * QUICK.attempts, "it is not asked for each row once it is known to be down"
    store.act = lambda _: None
    assert (await resume_batch(client, tmp_path / "out")).ok
    assert jobs(simulator) == 40


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_store_that_is_down_and_comes_back_is_told_as_an_event(
    store, simulate, connect, tmp_path, method
):
    put_documents(store, 8)
    client = connect(await simulate(), retry=QUICK.model_copy(update={"outage": 60}))
    await begin(client, tmp_path, 8, limit=1)
    told: list[HostTroubled] = []

    def listen(event):
        told.append(event)
        if event.state is HostState.DOWN:
            store.act = lambda _: None

    store.act = lambda asked: 503 if asked.method == method else None
    with client.listening(Only(listen, frozenset({HostTroubled}))):
        assert (await resume_batch(client, tmp_path / "out")).ok
    assert [event.state for event in told] == [HostState.DOWN, HostState.UP]
    assert {event.host for event in told} == {"s3://docs"}
    assert "503" in told[0].reason


async def test_store_that_is_down_leaves_the_rows_of_other_stores_alone(store, simulate, connect, tmp_path):
    """One document of the store is left: no other row of it can tell, and rows of another store do not."""
    put_documents(store, 8)
    store.put("/broken/a.txt", b"broken")
    rows = manifest(tmp_path, 8)
    rows.write_text(rows.read_text().replace("s3://docs/0.txt", "s3://broken/a.txt"))
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    store.act = lambda asked: 503 if asked.path == "/broken/a.txt" and asked.method == "GET" else None
    result = await run_batch(client, rows, workflow_id=DOCUMENT, out=tmp_path / "out", allow_outside=True)
    assert (result.counts.completed, result.counts.failed, result.counts.planned) == (7, 1, 0)
    store.act = lambda _: None
    again = await retry_batch(client, tmp_path / "out")
    assert (again.ok, jobs(simulator)) == (True, 8)


@pytest.mark.parametrize("act", [403, 500])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_last_rows_whose_documents_are_never_given_out_fail_in_the_end(  # noqa: PLR0917 - fixtures and a case
    store, simulate, connect, tmp_path, act, method
):
    put_documents(store, 6)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    await begin(client, tmp_path, 6, limit=2)
    bad = {f"/docs/{index}.txt" for index in range(2, 6)}
    store.act = lambda asked: act if asked.path in bad and asked.method == method else None
    result = await resume_batch(client, tmp_path / "out")
    assert (result.counts.completed, result.counts.failed, result.exit_code) == (2, 4, Exit.FAILED)
    for failure in lines(tmp_path / "out" / "failures.jsonl"):
        assert failure["Document"] in failure["_opus"]["error"]
        assert ("HTTP 500" if act == 500 else "may not be read") in failure["_opus"]["error"]
    assert jobs(simulator) == 2
    store.act = lambda _: None
    again = await retry_batch(client, tmp_path / "out")
    assert (again.ok, jobs(simulator)) == (True, 6)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_documents_that_are_broken_are_not_waited_for_as_a_store_is(
    store, simulate, connect, tmp_path, method
):
    put_documents(store, 10)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK.model_copy(update={"outage": 600}))
    await begin(client, tmp_path, 10, limit=2)
    bad = {f"/docs/{index}.txt" for index in range(2, 6)}
    store.act = lambda asked: 500 if asked.path in bad and asked.method == method else None
    async with asyncio.timeout(60):
        result = await resume_batch(client, tmp_path / "out")
    assert (result.counts.completed, result.counts.failed) == (6, 4)


async def test_first_rows_whose_documents_are_never_given_out_do_not_keep_the_others(
    store, simulate, connect, tmp_path
):
    put_documents(store, 8)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    bad = {f"/docs/{index}.txt" for index in range(3)}
    store.act = lambda asked: 500 if asked.path in bad and asked.method == "GET" else None
    result = await begin(client, tmp_path, 8, max_in_flight=1)
    assert (result.counts.completed, result.counts.failed) == (5, 3)
    assert jobs(simulator) == 5


async def test_documents_that_were_taken_away_when_they_were_done_tell_that_their_store_is_up(
    store, simulate, connect, tmp_path
):
    put_documents(store, 6)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    await begin(client, tmp_path, 6, limit=3)
    for index in range(3):
        del store.documents[f"/docs/{index}.txt"]
    bad = {f"/docs/{index}.txt" for index in range(3, 6)}
    store.act = lambda asked: 500 if asked.path in bad else None
    result = await resume_batch(client, tmp_path / "out")
    assert (result.counts.completed, result.counts.failed) == (3, 3)


@pytest.mark.parametrize("act", [403, 503])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_store_that_is_down_does_not_keep_rows_of_other_stores_behind_it(  # noqa: PLR0917 - fixtures and a case
    store, simulate, connect, tmp_path, act, method
):
    put_documents(store, 8)
    for index in range(8):
        store.put(f"/down/{index}.txt", content(index))
    places = [f"s3://{bucket}/{index}.txt" for bucket in ("down", "docs") for index in range(8)]
    rows = tmp_path / "m.csv"
    rows.write_text("\n".join(["Document", *places, ""]))
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    where = {"workflow_id": DOCUMENT, "out": tmp_path / "out", "allow_outside": True}
    await run_batch(client, rows, **where, max_in_flight=2, limit=1)
    store.act = lambda asked: act if asked.path.startswith("/down/") and asked.method == method else None
    result = await resume_batch(client, tmp_path / "out")
    assert states(tmp_path / "out") == {"completed": 9, "planned": 7}
    assert result.exit_code == Exit.NOT_ALLOWED
    assert "s3://down/" in str(result.error)
    store.act = lambda _: None
    assert (await resume_batch(client, tmp_path / "out")).ok
    assert jobs(simulator) == 16


async def test_document_that_its_store_does_not_give_out_fails_without_a_bill(
    store, simulate, connect, tmp_path
):
    put_documents(store, 6)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    store.act = lambda asked: 500 if asked.path == "/docs/2.txt" and asked.method == "GET" else None
    result = await begin(client, tmp_path, 6)
    assert (result.counts.completed, result.counts.failed) == (5, 1)
    [failure] = lines(tmp_path / "out" / "failures.jsonl")
    assert (failure["key"], failure["_opus"]["job_id"]) == ("K2", None)
    assert "its store, s3://docs" in failure["_opus"]["error"]
    assert jobs(simulator) == 5
    store.act = lambda _: None
    again = await retry_batch(client, tmp_path / "out")
    assert (again.ok, jobs(simulator)) == (True, 6)


async def test_outage_that_begins_while_documents_are_read_fails_no_row(store, simulate, connect, tmp_path):
    put_documents(store, 20)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK.model_copy(update={"outage": 1}))
    await begin(client, tmp_path, 20, limit=1)
    reads, all_asked = [], threading.Barrier(8)

    def act(asked):
        if asked.method != "GET":
            return None
        reads.append(asked)
        number = len(reads)
        if number <= 8:
            all_asked.wait(10)
        return 503 if number > 4 else None

    store.act = act
    result = await resume_batch(client, tmp_path / "out", settings={"max_in_flight": 8})
    assert states(tmp_path / "out") == {"completed": 5, "planned": 15}
    assert result.exit_code == Exit.NOT_ALLOWED
    store.act = lambda _: None
    assert (await resume_batch(client, tmp_path / "out")).ok
    assert jobs(simulator) == 20


async def test_last_row_of_a_store_that_is_down_waits_for_it(store, simulate, connect, tmp_path):
    put_documents(store, 4)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    await begin(client, tmp_path, 4, limit=3)
    store.act = lambda _: 503
    result = await resume_batch(client, tmp_path / "out")
    assert (states(tmp_path / "out"), result.exit_code) == ({"completed": 3, "planned": 1}, Exit.NOT_ALLOWED)
    store.act = lambda _: None
    assert (await resume_batch(client, tmp_path / "out")).ok
    assert jobs(simulator) == 4


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_credentials_that_expire_while_rows_are_at_work_fail_none(
    store, simulate, connect, tmp_path, method
):
    put_documents(store, 20)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    await begin(client, tmp_path, 20, limit=1)
    asked_before = []

    def act(asked):
        if asked.method == method:
            asked_before.append(asked)
        return EXPIRED if len(asked_before) > 5 and (method == "HEAD" or asked.method == "GET") else None

    store.act = act
    result = await resume_batch(client, tmp_path / "out", settings={"max_in_flight": 4})
    counts = states(tmp_path / "out")
    assert (set(counts), sum(counts.values())) == ({"completed", "planned"}, 20)
    assert counts["completed"] > 1
    assert result.exit_code == Exit.NOT_ALLOWED
    assert "may not be read; check its permissions" in str(result.error)
    store.act = lambda _: None
    assert (await resume_batch(client, tmp_path / "out")).ok
    assert jobs(simulator) == 20


async def test_credentials_that_expire_fail_no_row(store, simulate, connect, tmp_path):
    put_documents(store, 20)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    await begin(client, tmp_path, 20, limit=1)
    store.act = lambda _: 403
    result = await resume_batch(client, tmp_path / "out", settings={"max_in_flight": 4})
    assert states(tmp_path / "out") == {"completed": 1, "planned": 19}
    assert result.exit_code == Exit.NOT_ALLOWED
    assert "may not be read; check its permissions" in str(result.error)
    store.act = lambda asked: 403 if asked.path == "/docs/7.txt" else None
    result = await resume_batch(client, tmp_path / "out")
    assert (result.counts.completed, result.counts.failed) == (19, 1), "one that is denied alone is its row's"


async def test_store_that_fails_now_and_then_loses_no_row(store, simulate, connect, tmp_path):
    put_documents(store, 30)
    chance = random.Random(7)
    store.act = lambda _: 503 if chance.random() < 0.2 else None
    simulator = await simulate()
    result = await begin(connect(simulator, retry=QUICK.model_copy(update={"attempts": 10})), tmp_path, 30)
    assert result.ok
    assert digests(tmp_path / "out") == sorted(sha256(content(index)) for index in range(30))


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_outage_is_waited_for_as_a_host_of_the_platform_is(store, simulate, connect, tmp_path, method):
    put_documents(store, 10)
    simulator = await simulate()
    client = connect(simulator, retry=QUICK.model_copy(update={"outage": 60}))
    await begin(client, tmp_path, 10, limit=1)
    store.act = times(100, 503, method)  # more than the attempts of all rows at work
    result = await resume_batch(client, tmp_path / "out", settings={"max_in_flight": 4})
    assert (result.ok, jobs(simulator)) == (True, 10)


async def test_document_that_cannot_be_looked_up_is_a_problem_of_its_row(store, simulate, connect, tmp_path):
    put_documents(store, 5)
    store.act = lambda asked: 500 if asked.path == "/docs/3.txt" else None
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    with pytest.raises(RowsRefused, match="1 of 5 rows cannot be run") as caught:
        await begin(client, tmp_path, 5)
    [problem] = caught.value.validation.errors
    assert (problem.where, problem.file) == ("line 5", "s3://docs/3.txt")
    assert "which gives others out, fails (HTTP 500" in problem.message
    result = await begin(client, tmp_path, 5, skip_invalid=True)
    assert (result.counts.completed, result.counts.failed) == (4, 1)


@pytest.mark.parametrize("act", [500, f"{REDIRECT}http://127.0.0.1:1/a.txt"], ids=["broken", "led astray"])
async def test_last_documents_of_a_manifest_that_cannot_be_looked_up_do_not_keep_the_others(
    simulate, connect, tmp_path, act
):
    simulator = await simulate()
    client = connect(simulator, retry=QUICK.model_copy(update={"attempts": 6, "base": 0.05}))
    with web_store() as store:
        put_documents(store, 6)
        bad = {f"/docs/{index}.txt" for index in range(3, 6)}
        store.act = lambda asked: act if asked.path in bad else None
        rows = manifest(tmp_path, 6)
        rows.write_text(rows.read_text().replace("s3://docs", f"{store.url}/docs"))
        result = await run_batch(
            client, rows, workflow_id=DOCUMENT, out=tmp_path / "out", allow_outside=True, skip_invalid=True
        )
    assert (result.counts.completed, result.counts.failed) == (3, 3)


async def test_document_on_a_host_that_never_answers_is_a_problem_of_its_row(
    store, simulate, connect, tmp_path
):
    put_documents(store, 3)
    client = connect(await simulate(), retry=QUICK)
    rows = manifest(tmp_path, 3)
    rows.write_text(rows.read_text().replace("s3://docs/1.txt", "http://127.0.0.1:1/1.txt"))
    options = {"workflow_id": DOCUMENT, "out": tmp_path / "out", "allow_outside": True}
    with pytest.raises(RowsRefused, match="1 of 3 rows cannot be run") as caught:
        await run_batch(client, rows, **options)
    [problem] = caught.value.validation.errors
    assert (problem.where, problem.key, problem.file) == ("line 3", "K1", "http://127.0.0.1:1/1.txt")
    result = await run_batch(client, rows, skip_invalid=True, **options)
    assert (result.counts.completed, result.counts.failed) == (2, 1)


@pytest.mark.parametrize("scheme", ["http", "s3"])
async def test_manifest_that_changes_while_it_is_copied_is_told(store, simulate, connect, tmp_path, scheme):
    store.put("/docs/0.txt", content(0))
    store.put("/docs/m.csv", b"key,Document\n" + b"K0,0.txt\n" * 300_000)

    def act(asked):
        if asked.range and not asked.range.startswith("bytes=0-"):
            store.put("/docs/m.csv", b"key,Document\nK0,0.txt\n")

    store.act = act
    where = "s3://docs/m.csv" if scheme == "s3" else f"{store.url}/docs/m.csv"
    client = connect(await simulate())
    with pytest.raises(ManifestError, match="was changed while it was read: run the same command again"):
        await run_batch(client, where, workflow_id=DOCUMENT, out=tmp_path / "out")
    assert (await run_batch(client, where, workflow_id=DOCUMENT, out=tmp_path / "out")).ok


async def test_manifest_is_read_from_a_server_that_takes_no_condition(store, simulate, connect, tmp_path):
    store.put("/docs/0.txt", content(0))
    store.put("/docs/m.csv", b"key,Document\nK0,0.txt\n")
    store.act = lambda asked: 412 if asked.condition else None
    client = connect(await simulate())
    where = f"{store.url}/docs/m.csv"
    assert (await run_batch(client, where, workflow_id=DOCUMENT, out=tmp_path / "out")).ok


async def test_nothing_is_planned_of_a_store_that_is_down(store, simulate, connect, tmp_path):
    put_documents(store, 5)
    store.act = lambda _: 503
    simulator = await simulate()
    with pytest.raises(StoreUnavailable, match="its store, s3://docs, fails"):
        await begin(connect(simulator, retry=QUICK), tmp_path, 5)
    assert not (tmp_path / "out").exists()
    assert jobs(simulator) == 0


def rewrite(store, index, text=None):
    """Give a document another ETag, as an upload in other parts does; by default its bytes stay."""
    store.put(f"/docs/{index}.txt", content(index) if text is None else text, etag='"parts-2"')


async def test_same_bytes_under_another_etag_make_no_new_row(store, simulate, connect, tmp_path):
    put_documents(store, 4)
    simulator = await simulate()
    client = connect(simulator)
    assert (await begin(client, tmp_path, 3, keys=False)).ok
    rewrite(store, 1)
    manifest(tmp_path, 4, keys=False)  # a row more: it is planned anew
    result = await resume_batch(client, tmp_path / "out")
    assert (result.ok, result.counts.completed, jobs(simulator)) == (True, 4, 4)
    store.asked.clear()
    with (tmp_path / "m.csv").open("a") as more:
        more.write("s3://docs/0.txt\n")
    result = await resume_batch(client, tmp_path / "out")
    assert (result.counts.completed, jobs(simulator)) == (5, 5)
    assert store.reads("/docs/1.txt") == [], "what was found to be the same is not read again"


async def test_other_bytes_under_another_etag_are_asked_about(store, simulate, connect, tmp_path):
    put_documents(store, 4)
    simulator = await simulate()
    client = connect(simulator)
    assert (await begin(client, tmp_path, 3, keys=False)).ok
    rewrite(store, 1, b"x" * len(content(1)))
    manifest(tmp_path, 4, keys=False)
    with pytest.raises(ManifestError, match="documents elsewhere have another version") as caught:
        await resume_batch(client, tmp_path / "out")
    assert caught.value.next_step.action == "accept_second_bill"
    assert jobs(simulator) == 3
    result = await resume_batch(client, tmp_path / "out", accept_second_bill=True)
    assert (result.ok, jobs(simulator)) == (True, 5)


async def test_row_with_a_key_keeps_its_result_when_the_same_bytes_have_another_etag(
    store, simulate, connect, tmp_path
):
    put_documents(store, 4)
    simulator = await simulate()
    client = connect(simulator)
    assert (await begin(client, tmp_path, 3)).ok
    rewrite(store, 1)
    manifest(tmp_path, 4)
    result = await resume_batch(client, tmp_path / "out")
    assert (result.ok, jobs(simulator)) == (True, 4)


async def test_row_whose_job_failed_is_tried_again_with_the_same_bytes_under_another_etag(
    store, simulate, connect, tmp_path
):
    put_documents(store, 2)
    simulator = await simulate(fail_share=1.0)
    client = connect(simulator)
    result = await begin(client, tmp_path, 2, keys=False)
    assert result.counts.failed == 2
    rewrite(store, 1)
    again = await retry_batch(client, tmp_path / "out")
    assert again.counts.failed == 2
    assert "has changed" not in (tmp_path / "out" / "failures.jsonl").read_text()
    assert jobs(simulator) == 4, "each was made anew, once"


async def test_documents_whose_changes_may_not_show_are_told_once(store, simulate, connect, tmp_path):
    for index in range(3):
        store.put(f"/docs/{index}.txt", content(index), etag='W/"1"' if index else '"1"')
    told = []
    await begin(connect(await simulate()), tmp_path, 3, watching=BatchObserver(notice=told.append))
    [notice] = [text for text in told if "strong ETag" in text]
    assert notice.startswith("'s3://docs/1.txt' and 1 more: the server tells no version")


PATTERNS = ["s3://docs/*/*.txt", "s3://docs/in*/*.txt", "s3://docs/**/*.txt"]


@pytest.mark.parametrize("act", [403, 503])
@pytest.mark.parametrize("pattern", PATTERNS)
async def test_pattern_of_which_a_folder_cannot_be_listed_loses_no_row(  # noqa: PLR0917 - fixtures and a case
    store, simulate, connect, tmp_path, pattern, act
):
    for folder in ("in-1", "in-2"):
        store.put(f"/docs/{folder}/a.txt", folder.encode())
    simulator = await simulate()
    client = connect(simulator, retry=QUICK)
    refused = "" if "**" in pattern else "in-2/"  # all are listed at once where folders do not matter
    store.act = lambda asked: act if asked.listed == refused else None
    with pytest.raises(ManifestError, match="may not be read" if act == 403 else "its store, s3://docs,"):
        await run_batch(client, pattern, workflow_id=DOCUMENT, out=tmp_path / "out")
    store.act, fails = lambda _: None, store.act
    await run_batch(client, pattern, workflow_id=DOCUMENT, out=tmp_path / "out", limit=1)
    store.act, told = fails, []
    result = await resume_batch(client, tmp_path / "out", watching=BatchObserver(notice=told.append))
    assert any("going on with the rows planned" in text for text in told)
    assert (result.counts.completed, jobs(simulator)) == (2, 2)


@pytest.mark.parametrize(
    "where", ["s3://docs/in/", "s3://docs/in/*.txt", "s3://docs/i*/*.txt", "s3://docs/in/a*"]
)
async def test_document_with_the_name_of_a_folder_is_taken(store, simulate, connect, tmp_path, where):
    for path in ("a.txt", "a.txt/below.txt", "b.txt", "a-c.txt"):
        store.put(f"/docs/in/{path}", path.encode())
    result = await run_batch(connect(await simulate()), where, workflow_id=DOCUMENT, out=tmp_path / "out")
    expected = {"a.txt", "a-c.txt"} if where.endswith("a*") else {"a.txt", "a-c.txt", "b.txt"}
    assert result.ok
    assert digests(tmp_path / "out") == sorted(sha256(path.encode()) for path in expected)
