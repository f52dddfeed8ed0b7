"""What goes wrong around a batch: a clear message, the right exit code, and a resume that ends well."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_tools import (
    DOCUMENT,
    QUICK,
    TEXT,
    Notes,
    ask,
    content,
    documents,
    lines,
    sha256,
    states,
    texts,
    until,
)
from cable import Cable

from opus_async.batch import resume_batch, retry_batch, run_batch
from opus_async.batch.running import row_runner
from opus_async.errors import AuthenticationError, HostDown, ManifestError, PermissionDenied, QuotaExhausted
from opus_async.exits import Exit

OTHER_KEY = "_" + "0b" * 48


def cable_to(simulator) -> Cable:
    return Cable(simulator, host="localhost")


def at_work(directory: Path) -> bool:
    return (directory / "ledger.db").exists()


async def test_batch_run_stops_and_fails_no_row_if_key_is_refused_midway(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", map(str, range(200)))
    async with cable_to(simulator) as cable:
        running = asyncio.create_task(
            run_batch(
                connect(simulator, base_url=cable.base_url),
                manifest,
                workflow_id=TEXT,
                out=tmp_path / "out",
                max_in_flight=10,
            )
        )
        await until(lambda: len(simulator.world.jobs) > 20)
        cable.swap = (simulator.service_key.encode(), OTHER_KEY.encode())
        result = await asyncio.wait_for(running, 20)
        assert result.exit_code == Exit.NOT_ALLOWED
        assert result.ended_because == "the key was refused"
        assert isinstance(result.error, AuthenticationError)
        assert (result.counts.failed, result.counts.unknown) == (0, 0)
        assert result.counts.planned > 100
        cable.swap = None
        result = await resume_batch(connect(simulator, base_url=cable.base_url), tmp_path / "out")
    assert result.ok
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_batch_run_stops_and_fails_no_row_if_quota_is_exhausted(simulate, connect, tmp_path):
    simulator = await simulate(traits=frozenset({"quota_exhausted"}))
    manifest = texts(tmp_path / "m.csv", map(str, range(100)))
    result = await run_batch(
        connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", max_in_flight=5
    )
    assert (result.exit_code, result.ended_because) == (Exit.NOT_ALLOWED, "the quota is used up")
    assert isinstance(result.error, QuotaExhausted)
    assert result.counts.failed == 0
    assert simulator.state()["counters"]["requests"]["initiate"] <= 5  # those that were on their way


async def test_batch_run_without_permission_raises_before_creating_batch(simulate, connect, tmp_path):
    simulator = await simulate(traits=frozenset({"permission_denied"}))
    manifest = texts(tmp_path / "m.csv", ["a"])
    with pytest.raises(PermissionDenied):
        await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out")
    assert not at_work(tmp_path / "out")


async def test_batch_run_survives_temporary_outage_and_fails_no_row(simulate, connect, tmp_path, monkeypatch):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", map(str, range(60)))
    look_up = socket.getaddrinfo

    def gone(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with cable_to(simulator) as cable:
        client = connect(simulator, base_url=cable.base_url, retry=QUICK.model_copy(update={"outage": 60.0}))
        running = asyncio.create_task(
            run_batch(client, manifest, workflow_id=TEXT, out=tmp_path / "out", max_in_flight=6)
        )
        await until(lambda: len(simulator.world.jobs) > 10)
        monkeypatch.setattr(socket, "getaddrinfo", gone)
        await cable.pull()
        await asyncio.sleep(7)  # longer than any request is tried by itself
        assert not running.done()
        await cable.plug_in()
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        result = await asyncio.wait_for(running, 60)
    assert result.ok
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_batch_run_halts_on_lasting_outage_and_resume_completes(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", map(str, range(60)))
    async with cable_to(simulator) as cable:
        client = connect(simulator, base_url=cable.base_url, retry=QUICK.model_copy(update={"outage": 4.0}))
        running = asyncio.create_task(
            run_batch(client, manifest, workflow_id=TEXT, out=tmp_path / "out", max_in_flight=6)
        )
        await until(lambda: len(simulator.world.jobs) > 10)
        await cable.pull()
        result = await asyncio.wait_for(running, 60)
        assert result.exit_code == Exit.HALTED
        assert isinstance(result.error, HostDown)
        assert result.counts.failed == 0
        await cable.plug_in()
        result = await resume_batch(connect(simulator, base_url=cable.base_url), tmp_path / "out")
    assert result.ok
    assert simulator.state()["counters"]["executed_twice"] == []


async def test_batch_run_file_deleted_before_upload_fails_only_its_row(simulate, connect, tmp_path):
    simulator = await simulate(run_time=0.3)
    manifest = documents(tmp_path / "in", 12)
    running = asyncio.create_task(
        run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out", max_in_flight=2)
    )
    await until(lambda: at_work(tmp_path / "out") and len(simulator.world.jobs) >= 2)
    (tmp_path / "in" / "11.txt").unlink()
    result = await running
    assert (result.exit_code, result.counts.completed, result.counts.failed) == (Exit.FAILED, 11, 1)
    [failure] = lines(tmp_path / "out" / "failures.jsonl")
    assert failure["key"] == "K11"
    assert "there is no file" in failure["_opus"]["error"]
    assert "nothing was sent" in failure["_opus"]["error"]
    (tmp_path / "in" / "11.txt").write_bytes(content(11))
    assert (await retry_batch(connect(simulator), tmp_path / "out")).ok


@pytest.mark.parametrize("keys", [True, False])
async def test_batch_run_file_changed_before_upload_is_not_run_under_old_key(
    simulate, connect, tmp_path, keys
):
    simulator = await simulate(run_time=0.3)
    manifest = documents(tmp_path / "in", 6, keys=keys)
    running = asyncio.create_task(
        run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out", max_in_flight=2)
    )
    await until(lambda: at_work(tmp_path / "out") and len(simulator.world.jobs) >= 2)
    (tmp_path / "in" / "5.txt").write_bytes(b"something else")
    result = await running
    assert (result.counts.completed, result.counts.failed) == (5, 1)
    [failure] = lines(tmp_path / "out" / "failures.jsonl")
    assert "has changed since the batch was planned" in failure["_opus"]["error"]
    assert (await retry_batch(connect(simulator), tmp_path / "out")).ok
    digests = {line["outputs"]["SHA-256"] for line in lines(tmp_path / "out" / "results.jsonl")}
    assert digests == {sha256(content(index)) for index in range(5)} | {sha256(b"something else")}
    assert len(simulator.world.jobs) == 6


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
async def test_batch_run_refuses_unreadable_file_before_sending(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = documents(tmp_path / "in", 3)
    (tmp_path / "in" / "1.txt").chmod(0)
    with pytest.raises(ManifestError, match=r"1\.txt.*permission denied"):
        await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")


async def test_batch_run_refuses_folder_in_place_of_file(simulate, connect, tmp_path):
    simulator = await simulate()
    manifest = documents(tmp_path / "in", 3)
    (tmp_path / "in" / "1.txt").unlink()
    (tmp_path / "in" / "1.txt").mkdir()
    with pytest.raises(ManifestError, match=r"1\.txt"):
        await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=tmp_path / "out")


async def test_batch_run_ignores_manifest_edits_until_resume(simulate, connect, tmp_path):
    simulator = await simulate(run_time=0.2)
    manifest = texts(tmp_path / "m.csv", map(str, range(12)))
    running = asyncio.create_task(
        run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", max_in_flight=3)
    )
    await until(lambda: at_work(tmp_path / "out") and len(simulator.world.jobs) >= 3)
    texts(manifest, ["new", *map(str, range(12))])
    result = await running
    assert (result.ok, result.counts.total) == (True, 12)
    result = await resume_batch(connect(simulator), tmp_path / "out")
    assert (result.ok, result.counts.total) == (True, 13)
    assert len(simulator.world.jobs) == 13


async def test_batch_resume_works_without_manifest_file(simulate, connect, tmp_path):
    simulator = await simulate(run_time=0.2)
    notes = Notes()
    manifest = texts(tmp_path / "m.csv", map(str, range(12)))
    running = asyncio.create_task(
        run_batch(
            connect(simulator),
            manifest,
            workflow_id=TEXT,
            out=tmp_path / "out",
            max_in_flight=3,
            watching=notes.watching,
        )
    )
    await until(lambda: at_work(tmp_path / "out") and len(simulator.world.jobs) >= 3)
    manifest.unlink()
    notes.control.interrupt()
    await running
    again = Notes()
    result = await resume_batch(connect(simulator), tmp_path / "out", watching=again.watching)
    assert result.ok
    assert again.said("The manifest cannot be read")


@pytest.mark.parametrize("jump", [-7200.0, 7200.0, 86400.0 * 400])
async def test_batch_run_timings_ignore_wall_clock_jump(simulate, connect, tmp_path, monkeypatch, jump):
    monkeypatch.setattr(row_runner, "PARKED_POLL_MIN", 0.2)
    simulator = await simulate(run_time=0.2, waiting_share=0.3, waiting_time=0.5, seed=2)
    manifest = texts(tmp_path / "m.csv", map(str, range(30)))
    running = asyncio.create_task(
        run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", max_in_flight=6)
    )
    await until(lambda: at_work(tmp_path / "out") and len(simulator.world.jobs) >= 10)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    result = await asyncio.wait_for(running, 60)
    assert result.ok
    spans = ask(tmp_path / "out", "SELECT ended_at - started_at FROM rows")
    assert all(0 <= span < 60 for (span,) in spans)
    texts(manifest, map(str, range(35)))
    assert (await resume_batch(connect(simulator), tmp_path / "out")).ok


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def grow(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=20m", str(place)], check=True)


async def test_batch_run_halts_on_full_disk_and_resume_completes(simulate, connect, tmp_path, small_disk):
    simulator = await simulate()
    manifest = texts(tmp_path / "m.csv", (f"{index} {'x' * 400}" for index in range(300)))
    result = await run_batch(
        connect(simulator), manifest, workflow_id=TEXT, out=small_disk / "out", max_in_flight=10
    )
    assert result.exit_code == Exit.HALTED
    assert result.ended_because == "the disk is full"
    assert 0 < len(simulator.world.jobs) < 300
    grow(small_disk)
    result = await resume_batch(connect(simulator), small_disk / "out")
    assert result.ok, states(small_disk / "out")
    assert ask(small_disk / "out", "PRAGMA integrity_check") == [("ok",)]
    assert len({line["key"] for line in lines(small_disk / "out" / "results.jsonl")}) == 300
    assert simulator.state()["counters"]["executed_twice"] == []
