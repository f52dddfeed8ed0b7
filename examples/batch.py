"""Run a durable batch: end it however you like and start it again, no row is lost or executed twice.

Run it without a key:

opus-async simulate -- python examples/batch.py [FOLDER]

Here the simulator ends with the program; against an Opus that stays, the second start goes on with the first.
"""

import asyncio
import csv
import signal
import sys
import tempfile
from pathlib import Path

from opus_async import OpusClient, RetryPolicy
from opus_async.batch import BatchObserver, BatchResult, ShutdownControl, resume_batch, run_batch

WORKFLOW = "D0cumentWorkfl0w"


def some_invoices(folder: Path) -> Path:
    """Make a manifest to try: a row for each job, with paths of files relative to the manifest."""
    manifest = folder / "invoices.csv"
    if not manifest.exists():
        (folder / "scans").mkdir(parents=True, exist_ok=True)
        with manifest.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["Number", "Scan"])
            for number in range(30):
                (folder / "scans" / f"{number}.txt").write_text(f"Invoice {number}\n" * (number + 1))
                rows.writerow([f"R-{number}", f"scans/{number}.txt"])
    return manifest


async def work(opus: OpusClient, manifest: Path, out: Path, watching: BatchObserver) -> BatchResult:
    """Run the batch, or resume it where it was begun before."""
    if (out / "ledger.db").exists():
        return await resume_batch(opus, out, watching=watching)
    return await run_batch(
        opus,
        manifest,
        workflow_id=WORKFLOW,
        out=out,
        key="Number",  # what names a row; else a digest of its content does
        columns={"Scan": "Document"},  # column -> input, where their names differ
        constants={"Threshold": 0.2},
        title="Invoice {Number}",
        max_in_flight=200,
        halt="soon,fail=20%",
        watching=watching,
    )


async def main(folder: Path) -> int:
    """Run it, and print what came of it; Ctrl-C drains, a second one leaves at once."""
    manifest, out = some_invoices(folder), folder / "invoices-batch"
    control = ShutdownControl()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, control.interrupt)
    watching = BatchObserver(control=control, notice=lambda text: print(text, file=sys.stderr))
    async with OpusClient(retry=RetryPolicy(outage=600)) as opus:
        result = await work(opus, manifest, out, watching)
    print(f"{result.ended_because}: {result.counts.completed} of {result.counts.total} rows completed")
    for line in result.results():  # streamed from results.jsonl
        print(line["key"], line["job_id"], line["outputs"]["Verdict"])
    print(f"report: {out / 'report.html'}")
    return result.exit_code


sys.exit(asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))))
