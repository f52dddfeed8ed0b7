"""How a batch keeps the way in which its cells are written."""

from __future__ import annotations

from datetime import date

import pytest
from batch_tools import DOCUMENT, TEXT, lines

from opus_async.batch import resume_batch, run_batch
from opus_async.errors import ManifestError


def sent(simulator) -> list[object]:
    """The values of all inputs of the jobs that were started."""
    return [value for job in simulator.world.jobs for value in job.inputs.values()]


async def test_batch_keeps_its_habits_and_refuses_others(simulate, connect, tmp_path):
    simulator = await simulate()
    (tmp_path / "a.txt").write_text("content")
    manifest = tmp_path / "m.csv"
    manifest.write_text("key;Document;Threshold\nr1;a.txt;0,5\n")
    out = tmp_path / "out"
    await run_batch(connect(simulator), manifest, workflow_id=DOCUMENT, out=out, decimal=",")
    assert 0.5 in sent(simulator)
    manifest.write_text("key;Document;Threshold\nr1;a.txt;0,5\nr2;a.txt;1.000\n")
    await resume_batch(connect(simulator), out)
    assert 1000 in sent(simulator)
    assert len(lines(out / "results.jsonl")) == 2
    with pytest.raises(ManifestError, match=r"decimal was ',', and is '\.' now"):
        await resume_batch(connect(simulator), out, order={"decimal": "."})


async def test_batch_refuses_a_habit_that_is_none(simulate, connect, tmp_path):
    with pytest.raises(ValueError, match="dates='dym' is none of"):
        await run_batch(connect(await simulate()), "m.csv", workflow_id=DOCUMENT, out=tmp_path, dates="dym")


async def test_batch_names_rows_by_a_parquet_column_of_dates(simulate, connect, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").table(
        {"key": [date(2025, 11, 9), date(2025, 11, 10)], "Text": ["a", "b"]}
    )
    parquet.write_table(table, tmp_path / "m.parquet")
    out = tmp_path / "out"
    result = await run_batch(connect(await simulate()), tmp_path / "m.parquet", workflow_id=TEXT, out=out)
    assert result.ok
    assert {line["key"] for line in lines(out / "results.jsonl")} == {"2025-11-09", "2025-11-10"}
