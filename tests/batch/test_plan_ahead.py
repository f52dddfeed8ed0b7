"""Rows that name no files are planned while they are checked; where that fails, they are read again."""

from __future__ import annotations

import json
import os
import sqlite3

import pytest
from batch_tools import TEXT

from opus_async.batch import BatchObserver, run_batch
from opus_async.batch.planning import plan
from opus_async.batch.planning.plan import PlanAhead
from opus_async.errors import ManifestError
from opus_async.layout import LEDGER
from opus_async.manifests.readers.csv_file import DelimitedManifest
from opus_async.manifests.readers.jsonl_file import JsonLinesManifest
from opus_async.testing import quick_polls

PLAN = "SELECT position, location, key, digest, cells FROM rows JOIN cells ON row = rows.id ORDER BY rows.id"
FAILED = {"_opus": {"status": "FAILED", "ordered": False}}
MANIFESTS = {
    "m.csv": ("Text,Other\n" + "".join(f"text {row % 7},x\n" for row in range(9)), 1),
    "keys.csv": ("key,Text\nk1,a\nk1,a\nk2,ä\n", 1),
    "bad.csv": ("Text\na\nb,c\nd\n", 2),
    "blank.csv": ("Text,Other\na,x\n,y\n", 2),
    "twice.csv": ("key,Text\nk1,a\nk1,b\n", 2),
    "m.jsonl": ('{"Text": "a"}\n{"Text": "b", "Other": 1.5, "title": "T"}\n', 1),
    "failures.jsonl": (json.dumps({"Text": "a"}) + "\n" + json.dumps({"Text": "b", **FAILED}) + "\n", 2),
}


@pytest.fixture(autouse=True)
def _quickly():
    with quick_polls(0.01):
        yield


@pytest.fixture(params=[2, plan.CHUNK])
def _chunk(request, monkeypatch):
    monkeypatch.setattr(plan, "CHUNK", request.param)


@pytest.fixture
async def client(simulate, connect):
    return connect(await simulate())


@pytest.fixture
def readings(monkeypatch):
    """The manifests that were read, each as often as it was."""
    found = []
    for kind in (DelimitedManifest, JsonLinesManifest):

        def records(self, read=kind.records):
            found.append(self.path.name)
            return read(self)

        monkeypatch.setattr(kind, "records", records)
    return found


async def planned(client, manifest, out):
    await run_batch(client, manifest, workflow_id=TEXT, out=out, skip_invalid=True)
    connection = sqlite3.connect(out / LEDGER)
    try:
        return connection.execute(PLAN).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("name", MANIFESTS)
@pytest.mark.usefixtures("_chunk")
async def test_rows_planned_ahead_are_those_of_second_reading(client, tmp_path, monkeypatch, readings, name):
    content, times = MANIFESTS[name]
    (tmp_path / name).write_text(content)
    ahead = await planned(client, tmp_path / name, tmp_path / "ahead")
    assert readings == [name] * times

    async def give_up(self, *_):
        await self._give_up()

    monkeypatch.setattr(PlanAhead, "add", give_up)
    assert await planned(client, tmp_path / name, tmp_path / "again") == ahead
    assert readings == [name] * (times + 2)


async def test_manifest_changed_after_check_is_refused_though_planned_ahead(client, tmp_path):
    manifest = tmp_path / "m.csv"
    manifest.write_text("Text\na\nb\n")

    def changed(what, rows):
        if (what, rows) == ("checked", 2):
            os.utime(manifest, ns=(1, 1))

    with pytest.raises(ManifestError, match="was changed while it was in use"):
        await run_batch(
            client,
            manifest,
            workflow_id=TEXT,
            out=tmp_path / "out",
            watching=BatchObserver(planning=changed),
        )
    assert not (tmp_path / "out").exists()


async def test_keys_that_ledger_refuses_ahead_are_told_after_check(client, tmp_path):
    manifest = tmp_path / "m.csv"
    manifest.write_text("key,Text\na,1\na,1\na~2,2\na~2,2\n")
    told = []
    with pytest.raises(ManifestError, match="keys of the manifest are not unique"):
        await run_batch(
            client,
            manifest,
            workflow_id=TEXT,
            out=tmp_path / "out",
            watching=BatchObserver(planning=lambda *done: told.append(done)),
        )
    assert told[-1] == ("checked", 4)
    assert not (tmp_path / "out").exists()
