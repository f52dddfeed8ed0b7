"""Batches whose documents, manifest and export lie in an S3 store: with servers that are not ours."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from batch_tools import DOCUMENT, ask, content, lines, sha256, states
from killed_batch import KilledBatch
from store_fixtures import BUCKET, server, store

from opus_async.batch import RowsRefused, resume_batch, retry_batch, run_batch
from opus_async.batch.outputs.export import export
from opus_async.errors import ConfigurationError, ManifestError
from opus_async.exits import Exit
from opus_async.remote_urls import RemoteFile
from opus_async.simulator import SimulatorConfig, SimulatorProcess

__all__ = ["server", "store"]

pytest.importorskip("s3fs", reason="pip install 'opus-async[s3]'")

SUPPORT = Path(__file__).parents[1] / "support"


def put_documents(store, folder, number):
    for index in range(number):
        store.put(BUCKET, f"{folder}/{index}.txt", content(index))


def manifest(path, cells):
    rows = "".join(f"K{index},{cell}\n" for index, cell in enumerate(cells))
    path.write_text(f"key,Document\n{rows}")
    return path


def digests(directory):
    return {line["key"]: line["outputs"]["SHA-256"] for line in lines(directory / "results.jsonl")}


async def test_rows_name_documents_by_their_urls(store, simulate, connect, tmp_path):
    put_documents(store, "named", 6)
    rows = manifest(tmp_path / "m.csv", [f"s3://{BUCKET}/named/{index}.txt" for index in range(6)])
    result = await run_batch(
        connect(await simulate()), rows, workflow_id=DOCUMENT, out=tmp_path / "out", allow_outside=True
    )
    assert result.ok
    assert digests(tmp_path / "out") == {f"K{index}": sha256(content(index)) for index in range(6)}


async def test_documents_outside_of_the_manifests_folder_need_leave(store, simulate, connect, tmp_path):
    put_documents(store, "outside", 1)
    rows = manifest(tmp_path / "m.csv", [f"s3://{BUCKET}/outside/0.txt"])
    simulator = await simulate()
    with pytest.raises(RowsRefused, match="outside of the manifest's folder: --allow-outside"):
        await run_batch(connect(simulator), rows, workflow_id=DOCUMENT, out=tmp_path / "out")
    assert simulator.state()["counters"]["requests"].get("initiate", 0) == 0


async def test_manifest_in_a_store_names_documents_beside_it(store, simulate, connect, tmp_path):
    put_documents(store, "beside/in", 4)
    table = "key,Document\n" + "".join(f"K{index},in/{index}.txt\n" for index in range(4))
    store.put(BUCKET, "beside/m.csv", table.encode())
    result = await run_batch(
        connect(await simulate()), f"s3://{BUCKET}/beside/m.csv", workflow_id=DOCUMENT, out=tmp_path / "out"
    )
    assert result.ok
    assert digests(tmp_path / "out") == {f"K{index}": sha256(content(index)) for index in range(4)}


async def test_manifest_in_a_store_may_not_lead_out_of_its_folder(store, simulate, connect, tmp_path):
    put_documents(store, "other", 1)
    table = f"Document\n../other/0.txt\ns3://{BUCKET}/other/0.txt\n/etc/hosts.txt\n"
    store.put(BUCKET, "inside/m.csv", table.encode())
    with pytest.raises(RowsRefused, match="3 of 3 rows cannot be run") as caught:
        await run_batch(
            connect(await simulate()),
            f"s3://{BUCKET}/inside/m.csv",
            workflow_id=DOCUMENT,
            out=tmp_path / "out",
        )
    assert [error.message.split(" lies ")[1] for error in caught.value.validation.errors] == [
        "outside of the manifest's folder"
    ] * 3


@pytest.mark.parametrize("where", ["folder/", "folder", "folder/*.txt", "**/[0-3].txt"])
async def test_folder_or_pattern_is_a_job_for_each_document(store, simulate, connect, tmp_path, where):
    home = {"folder/": "a", "folder": "b", "folder/*.txt": "c"}.get(where, "d")
    put_documents(store, f"{home}/folder", 4)
    if where.startswith("folder"):
        put_documents(store, f"{home}/folder/deeper", 2)
    store.put(BUCKET, f"{home}/folder/.hidden.txt", b"hidden")
    result = await run_batch(
        connect(await simulate()),
        f"s3://{BUCKET}/{home}/{where}",
        workflow_id=DOCUMENT,
        out=tmp_path / "out",
    )
    assert result.ok
    assert sorted(digests(tmp_path / "out").values()) == sorted(sha256(content(index)) for index in range(4))


async def test_pattern_in_a_cell_means_the_documents_that_match(store, simulate, connect, tmp_path):
    for name in ("page 10.txt", "page 2.txt", "other.txt"):
        store.put(BUCKET, f"cells/{name}", name.encode())
    rows = tmp_path / "m.jsonl"
    rows.write_text(json.dumps({"Files": f"s3://{BUCKET}/cells/page *.txt"}) + "\n")
    client = connect(await simulate())
    await run_batch(client, rows, workflow_id="P0stmanC0llecti0", out=tmp_path / "out", allow_outside=True)
    [line] = lines(tmp_path / "out" / "results.jsonl")
    assert line["outputs"]["Files SHA-256"] == [sha256(b"page 2.txt"), sha256(b"page 10.txt")]


async def test_name_like_a_pattern_means_itself(store, simulate, connect, tmp_path):
    for name in ("scan[1].txt", "scan1.txt"):
        store.put(BUCKET, f"odd/{name}", name.encode())
    rows = manifest(tmp_path / "m.csv", [f"s3://{BUCKET}/odd/scan[1].txt"])
    client = connect(await simulate())
    await run_batch(client, rows, workflow_id=DOCUMENT, out=tmp_path / "out", allow_outside=True)
    assert digests(tmp_path / "out") == {"K0": sha256(b"scan[1].txt")}


async def test_what_is_missing_is_told_by_row_before_anything_is_sent(store, simulate, connect, tmp_path):
    put_documents(store, "some", 2)
    cells = [f"s3://{BUCKET}/some/{index}.txt" for index in range(4)] + ["s3://no-such-bucket/a.txt"]
    simulator = await simulate()
    with pytest.raises(RowsRefused, match="3 of 5 rows") as caught:
        await run_batch(
            connect(simulator),
            manifest(tmp_path / "m.csv", cells),
            workflow_id=DOCUMENT,
            out=tmp_path / "out",
            allow_outside=True,
        )
    told = [(error.where, error.key, error.file) for error in caught.value.validation.errors]
    assert told == [("line 4", "K2", cells[2]), ("line 5", "K3", cells[3]), ("line 6", "K4", cells[4])]
    assert caught.value.validation.estimate.bytes == sum(len(content(index)) for index in range(2))
    assert simulator.state()["counters"]["requests"].get("presign", 0) == 0


SECRETS = {
    "https://documents.example/a.txt?X-Amz-Signature=5ecre7&X-Amz-Date=1": "a password or a signature",
    "https://me:5ecre7@documents.example/a.txt": "a password or a signature",
    "ftp://me:5ecre7@documents.example/a.txt": "a password or a signature",
    "https://documents.example/a.txt?code=5ecre7": "a query",
    "https://documents.example/a.txt?e=1700000000&h=5ecre7": "a query",
    "http://127.0.0.1:1/media/a.txt?t=5ecre7": "a query",
    "simplecache::https://documents.example/a.txt?k=5ecre7": "a query",
    "https://documents.example/a.txt#5ecre7": "a query",
}


@pytest.mark.parametrize(("url", "what"), SECRETS.items())
async def test_url_that_may_give_access_is_refused_and_never_kept(simulate, connect, tmp_path, url, what):
    good = tmp_path / "good.txt"
    good.write_bytes(content(1))
    rows = manifest(tmp_path / "m.csv", [url, "good.txt"])
    client = connect(await simulate())
    with pytest.raises(RowsRefused, match=f"has a URL with {what}") as caught:
        await run_batch(client, rows, workflow_id=DOCUMENT, out=tmp_path / "out", allow_outside=True)
    assert "5ecre7" not in str(caught.value)
    assert "5ecre7" not in json.dumps([error.as_json() for error in caught.value.validation.errors])
    result = await run_batch(
        client, rows, workflow_id=DOCUMENT, out=tmp_path / "out", allow_outside=True, skip_invalid=True
    )
    assert (result.counts.completed, result.counts.failed) == (1, 1)
    for path in (tmp_path / "out").iterdir():
        assert b"5ecre7" not in path.read_bytes(), path.name
    with pytest.raises(
        ManifestError, match=f"was given with {what}.*where a manifest lies is kept"
    ) as refused:
        await run_batch(client, url, workflow_id=DOCUMENT, out=tmp_path / "other")
    assert "5ecre7" not in str(refused.value)
    with pytest.raises(ManifestError, match=f"has a URL with {what}") as refused:
        await run_batch(
            client,
            manifest(tmp_path / "none.csv", [""]),
            workflow_id=DOCUMENT,
            out=tmp_path / "other",
            constants={"Document": url},
        )
    assert "5ecre7" not in str(refused.value)


async def test_credentials_are_in_nothing_that_is_kept(store, simulate, connect, tmp_path, monkeypatch):
    put_documents(store, "quiet", 2)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "5ecre7" * 8)
    cells = [f"s3://{BUCKET}/quiet/{index}.txt" for index in range(2)]
    await run_batch(
        connect(await simulate()),
        manifest(tmp_path / "m.csv", cells),
        workflow_id=DOCUMENT,
        out=tmp_path / "out",
        allow_outside=True,
    )
    for path in (tmp_path / "out").iterdir():
        assert b"5ecre7" not in path.read_bytes(), path.name


async def begun(store, client, home, folder, number, *, limit):
    """A batch of which some rows have run."""
    put_documents(store, folder, number)
    cells = [f"s3://{BUCKET}/{folder}/{index}.txt" for index in range(number)]
    rows = manifest(home / "m.csv", cells)
    await run_batch(client, rows, workflow_id=DOCUMENT, out=home / "out", allow_outside=True, limit=limit)
    return home / "out"


async def test_document_changed_since_it_was_planned_is_noticed_on_resume(store, simulate, connect, tmp_path):
    client = connect(await simulate())
    directory = await begun(store, client, tmp_path, "changed", 4, limit=2)
    assert states(directory) == {"completed": 2, "planned": 2}
    changed = b"x" * len(content(3))
    await asyncio.to_thread(store.put, BUCKET, "changed/3.txt", changed)
    result = await resume_batch(client, directory)
    assert (result.counts.completed, result.counts.failed) == (3, 1)
    [failure] = lines(directory / "failures.jsonl")
    assert "has changed since the batch was planned" in failure["_opus"]["error"]
    assert failure["Document"] == f"s3://{BUCKET}/changed/3.txt"
    again = await retry_batch(client, directory)
    assert again.ok
    assert digests(directory)["K3"] == sha256(changed)


async def test_document_touched_but_the_same_runs(store, simulate, connect, tmp_path):
    client = connect(await simulate())
    directory = await begun(store, client, tmp_path, "touched", 2, limit=1)
    await asyncio.to_thread(store.put, BUCKET, "touched/1.txt", content(1))
    assert (await resume_batch(client, directory)).ok


async def test_document_gone_since_it_was_planned_fails_its_row(store, simulate, connect, tmp_path):
    client = connect(await simulate())
    directory = await begun(store, client, tmp_path, "lost", 3, limit=1)
    await asyncio.to_thread(store.delete, BUCKET, "lost/2.txt")
    result = await resume_batch(client, directory)
    assert (result.counts.completed, result.counts.failed) == (2, 1)
    assert "lost/2.txt' does not exist" in lines(directory / "failures.jsonl")[0]["_opus"]["error"]


@pytest.mark.parametrize("trouble", ["credentials", "store"])
async def test_trouble_that_every_row_would_meet_ends_the_session_and_fails_none(  # noqa: PLR0917 - fixtures and a case
    store, simulate, connect, tmp_path, monkeypatch, trouble
):
    simulator = await simulate()
    client = connect(simulator)
    directory = await begun(store, client, tmp_path, f"trouble-{trouble}", 6, limit=1)
    await client.close()
    with monkeypatch.context() as changed, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen: no other test can get this port meanwhile
        changed.setattr("s3fs.S3FileSystem.retries", 1)
        if trouble == "store":
            changed.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        else:
            changed.delenv("AWS_ACCESS_KEY_ID")
            changed.delenv("AWS_SECRET_ACCESS_KEY")
        client = connect(simulator)
        result = await resume_batch(client, directory)
        await client.close()
    assert result.exit_code == Exit.NOT_ALLOWED
    assert states(directory) == {"completed": 1, "planned": 5}
    assert (await resume_batch(connect(simulator), directory)).ok


async def test_export_does_not_replace_what_its_batch_is_made_of(store, simulate, connect, tmp_path):
    put_documents(store, "made-of", 2)
    table = b"key,Document\nK0,0.txt\nK1,1.txt\n"
    store.put(BUCKET, "made-of/m.csv", table)
    where = f"s3://{BUCKET}/made-of"
    client = connect(await simulate())
    await run_batch(client, f"{where}/m.csv", workflow_id=DOCUMENT, out=tmp_path / "out", limit=1)

    def exported(url):
        return asyncio.to_thread(export, tmp_path / "out", "csv", RemoteFile(url))

    for url in (f"{where}/m.csv", f"{where}/0.txt", f"{where}/1.txt", f"s3a://{BUCKET}/made-of/m.csv"):
        with pytest.raises(ConfigurationError, match="is a document that a batch is made of"):
            await exported(url)
    for url in (f"{where}/", f"s3://{BUCKET}"):
        with pytest.raises(ConfigurationError, match="names a folder or a bucket: name a file in it"):
            await exported(url)
    assert store.get(BUCKET, "made-of/m.csv") == table
    assert store.get(BUCKET, "made-of/0.txt") == content(0)
    assert await exported(f"{where}/out.csv") == 2
    assert store.get(BUCKET, "made-of/out.csv").startswith(b"\xef\xbb\xbfindex,key")


async def test_folder_that_has_grown_is_taken_up_by_resume(store, simulate, connect, tmp_path):
    put_documents(store, "grows", 2)
    simulator = await simulate()
    client = connect(simulator)
    where = f"s3://{BUCKET}/grows/"
    await run_batch(client, where, workflow_id=DOCUMENT, out=tmp_path / "out")
    await asyncio.to_thread(put_documents, store, "grows", 3)
    result = await resume_batch(client, tmp_path / "out")
    assert (result.ok, result.counts.completed) == (True, 3)
    assert simulator.state()["counters"]["jobs"] == 3


async def test_failures_of_a_manifest_elsewhere_run_as_a_new_batch(store, simulate, connect, tmp_path):
    put_documents(store, "failed", 2)
    table = "key,Document\nK0,0.txt\nK1,1.txt\n"
    store.put(BUCKET, "failed/m.csv", table.encode())
    client = connect(await simulate())
    await run_batch(
        client, f"s3://{BUCKET}/failed/m.csv", workflow_id=DOCUMENT, out=tmp_path / "out", limit=1
    )
    await asyncio.to_thread(store.put, BUCKET, "failed/1.txt", b"another")
    await resume_batch(client, tmp_path / "out")
    [failure] = lines(tmp_path / "out" / "failures.jsonl")
    assert failure["Document"] == f"s3://{BUCKET}/failed/1.txt"
    result = await run_batch(
        client,
        tmp_path / "out" / "failures.jsonl",
        workflow_id=DOCUMENT,
        out=tmp_path / "again",
        allow_outside=True,
    )
    assert result.ok


async def test_documents_are_planned_without_being_read(store, simulate, connect, tmp_path):
    client = connect(await simulate())
    directory = await begun(store, client, tmp_path, "unread", 3, limit=1)
    signatures = ask(directory, "SELECT path, size, sha256 FROM files ORDER BY path")
    assert [(path, size) for path, size, _ in signatures] == [
        (f"s3://{BUCKET}/unread/{index}.txt", len(content(index))) for index in range(3)
    ]
    assert all(digest != sha256(content(index)) for index, (*_, digest) in enumerate(signatures))


async def test_signatures_of_an_earlier_release_are_understood(store, simulate, connect, tmp_path):
    """It kept a digest of URL, size and version alone."""
    client = connect(await simulate())
    directory = await begun(store, client, tmp_path, "older", 3, limit=1)
    with closing(sqlite3.connect(directory / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE files SET mtime_ns = 0, inode = 0")
    assert (await resume_batch(client, directory)).ok


async def test_batch_killed_again_and_again_completes_each_document_once(store, tmp_path):
    rows = 24
    put_documents(store, "killed", rows)
    table = "key,Document\n" + "".join(f"K{index},{index}.txt\n" for index in range(rows))
    store.put(BUCKET, "killed/m.csv", table.encode())
    config = SimulatorConfig(seed=4, queue_time="0-0.3", run_time="0.2-1.5", faults="hostile")
    with SimulatorProcess(config) as simulator:
        batch = KilledBatch(
            SUPPORT / "batch_process.py",
            f"s3://{BUCKET}/killed/m.csv",
            tmp_path / "out",
            DOCUMENT,
            {
                "OPUS_SERVICE_KEY": simulator.service_key,
                "OPUS_BASE_URL": simulator.base_url,
                **store.environment,
            },
            max_in_flight=4,
        )
        await batch.kill_again_and_again(3, random.Random(4))
        counters = simulator.state()["counters"]
    assert counters["executed_twice"] == []
    found = batch.assert_whole({f"K{index}" for index in range(rows)})
    assert {line["key"]: line["outputs"]["SHA-256"] for line in found} == {
        f"K{index}": sha256(content(index)) for index in range(rows)
    }
    stored = (batch.directory / "ledger.db").read_bytes()
    assert store.key.encode() not in stored
