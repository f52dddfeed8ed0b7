"""Measure the speed of a batch's ledger, in wall time and in CPU time of this process.

python benchmarks/ledger.py [--rows 100000] [--in-flight 500] [--directory DIR]

It does all that a batch of so many rows asks of its ledger, and nothing else: planning, every step of every
row (begun, shell, order, accepted, two statuses, end with a line of results), and opening it again at the
end. Rates depend on the disk: every acknowledged step is on it. ``cpu`` is the CPU time of the process; the
part ``loop`` is spent in the event loop, the rest in the writer's thread, most of it without the
interpreter's lock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.ports import IN_PROCESS
from opus_async.batch.rows import NewRow, Row, RowResult, RowState

CHUNK = 256
SHARD = 128
TIMINGS = {"upload": 0.1, "initiate": 0.2, "execute": 0.12, "watch": 2.0, "results": 0.1, "total": 2.6}
OUTPUTS = {"Verdict": "approved", "Amount": 1234.5, "Reasons": ["complete", "signed", "within the limit"]}


@contextmanager
def timed(what: str, rows: int) -> Iterator[None]:
    """Print how long the block took."""
    wall, cpu, loop = time.perf_counter(), time.process_time(), time.thread_time()
    yield
    wall, cpu, loop = time.perf_counter() - wall, time.process_time() - cpu, time.thread_time() - loop
    each = 1e6 / rows
    print(
        f"{what:34} {wall:7.2f} s   {rows / wall:9,.0f} rows/s   "
        f"cpu {cpu * each:6.1f} us/row (loop {loop * each:.1f})"
    )


def memory() -> float:
    """The peak memory of this process, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def manifest(start: int, end: int) -> list[NewRow]:
    """Make rows with three columns."""
    return [
        NewRow(
            index=index,
            key=f"{index:064x}",
            digest=f"{index:064x}",
            cells={"Document": f"documents/{index}.pdf", "Amount": str(index), "Title": f"Invoice {index}"},
        )
        for index in range(start, end)
    ]


async def plan(ledger: SqliteLedger, rows: int) -> None:
    await ledger.begin_plan()
    for start in range(0, rows, CHUNK):
        await ledger.plan(manifest(start, min(rows, start + CHUNK)))
    await ledger.end_plan()
    await ledger.confirm_plan()


async def run(ledger: SqliteLedger, in_flight: int) -> None:
    """Take every row through all its steps, ``in_flight`` at once."""
    shard: list[Row] = []
    lease = await ledger.queue.grant(IN_PROCESS)

    async def worker() -> None:
        while True:
            if not shard:
                shard.extend(await ledger.queue.lease(SHARD, lease))
            if not shard:
                return
            await one(ledger, shard.pop())

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(worker())


async def one(ledger: SqliteLedger, row: Row) -> None:
    job = f"job-{row.index:08d}"
    await ledger.journal.begun(row.held)
    await ledger.journal.job_created(row.held, job, "v0")
    await ledger.journal.start_intent(row.held, job, "v0")
    await ledger.journal.start_accepted(row.held)
    await ledger.journal.status_seen(row.held, "IN_PROGRESS")
    await ledger.journal.status_seen(row.held, "COMPLETED")
    line = {"index": row.index, "key": row.key, "job_id": job, "status": "COMPLETED", "outputs": OUTPUTS}
    await ledger.journal.finished(
        row.held,
        RowResult(
            state=RowState.COMPLETED,
            status="COMPLETED",
            stage="results",
            remote_id=job,
            timings=TIMINGS,
            line=json.dumps(line | {"timings": TIMINGS}).encode() + b"\n",
        ),
    )


async def acknowledge(ledger: SqliteLedger, rows: Sequence[Row], times: int) -> None:
    """Record transitions of all rows at once, one awaited after the other for each row."""

    async def worker(row: Row) -> None:
        for _ in range(times):
            await ledger.journal.start_intent(row.held, f"job-{row.index}", "v0")

    async with asyncio.TaskGroup() as group:
        for row in rows:
            group.create_task(worker(row))


async def measure(directory: Path, rows: int, in_flight: int) -> None:
    with timed("plan, and bring to the disk", rows):
        ledger = await SqliteLedger.create(directory / "batch", {"fingerprint": {}})
        await plan(ledger, rows)
        await ledger.publish()
    await ledger.begin_session({})
    with timed(f"all steps of a row, {in_flight} in flight", rows):
        await run(ledger, in_flight)
    with timed("close", rows):
        await ledger.close()
    with timed("open again, find nothing left", rows):
        ledger = await SqliteLedger.open(directory / "batch")
        await ledger.begin_session({})
        assert not await ledger.queue.lease(SHARD, await ledger.queue.grant(IN_PROCESS))
        assert ledger.counts().completed == rows
        await ledger.end_session(ended_because="done", exit_code=0, stray_shells=0, uploads_saved=0)
    with timed("plan the same manifest again", rows):
        await plan(ledger, rows)
    await ledger.close()

    ledger = await SqliteLedger.create(directory / "transitions", {})
    await plan(ledger, in_flight)
    await ledger.publish()
    await ledger.begin_session({})
    taken = await ledger.queue.lease(in_flight, await ledger.queue.grant(IN_PROCESS))
    with timed(f"acknowledged steps, {in_flight} at once", in_flight * 100):
        await acknowledge(ledger, taken, 100)
    await ledger.close()
    print(f"memory at most: {memory():.0f} MB")


def main() -> None:
    """Print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--in-flight", type=int, default=500)
    parser.add_argument(
        "--directory", type=Path, help="on the disk to be measured; default: a temporary folder"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        asyncio.run(measure(Path(directory), arguments.rows, arguments.in_flight))


if __name__ == "__main__":
    main()
