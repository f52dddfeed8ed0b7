"""What limits a batch, as its display and its samples name it."""

from __future__ import annotations

from batch_tools import TEXT, texts

from opus_async.batch import BatchObserver, run_batch
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.metrics.bottleneck import BottleneckKind


async def test_rate_limit_of_platform_is_named_not_its_work(simulate, connect, tmp_path):
    """Jobs of a moment under 30 requests a second: they wait for us, and the platform has long done them."""
    simulator = await simulate(rate_limit=30, run_time="0.2-0.5")
    watching = BatchObserver()
    manifest = texts(tmp_path / "t.csv", map(str, range(90)))
    await run_batch(connect(simulator), manifest, workflow_id=TEXT, out=tmp_path / "out", watching=watching)
    with LedgerReader(tmp_path / "out") as ledger:
        found = [
            each.sample for each in ledger.samples() if each.sample.elapsed >= 1.5 and each.sample.in_flight
        ]
    named = {sample.bottleneck and sample.bottleneck.kind for sample in found}
    assert len(found) >= 4
    assert named == {BottleneckKind.PLATFORM_RATE}
