"""``opus-async audit``: shows what a job did, node by node."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opus_async.cli.errors import Exit, print_error
from opus_async.cli.event_loop import drive
from opus_async.cli.job_progress import progress_for
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.platforms import opus as opus_entry
from opus_async.cli.platforms.opus import connect
from opus_async.cli.tables import columns, printable, terminal_width, wrapped
from opus_async.text import in_milliseconds

if TYPE_CHECKING:
    from opus_async.models import AuditLog, AuditNode, OutputValue

_EPILOG = """\
START counts from the first node's start. Nodes can overlap, so that the sum of TOOK is not what elapsed. Of a
node that still runs TOOK is the time until now. What each node was given and gave is in the JSON.

It works while the job runs, too. The exit code is 0 whenever there is an audit, of a failed job as well: what
failed is in the first line, and in 'failed_nodes' of the JSON.

Ask with the --api that the job was started with: v0 and v1 are not known to share their ids.

examples:
  opus-async audit 2514
  opus-async audit 2514 --api v1
  opus-async audit 2514 --json |
      jq '.nodes[] | select(.status == "FAILED") | {name, error, inputs}'
"""


@dataclass(frozen=True, kw_only=True)
class AuditOptions(ConnectionOptions):
    """Options of ``audit``.

    Attributes:
        job_id: The job's id.
        json: Whether to print JSON.
    """

    job_id: str
    json: bool


OPTIONS = AuditOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("job_id", type=opus_entry.job_id, metavar="JOB", help=opus_entry.JOB_ID)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, the answer in 'raw'")
    opus_entry.configure(parser)


def run(options: AuditOptions) -> int:
    """Show the audit of a job."""
    audit = drive(_get(options))
    if options.json:
        print(json.dumps(as_json(options.job_id, audit), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(options.job_id, audit)))
    return Exit.OK


async def _get(options: AuditOptions) -> AuditLog:
    """Fetch the audit; an empty one for a job that exists and has none yet."""
    from opus_async.errors import NotFound, OpusError
    from opus_async.models import AuditLog

    job_id = options.job_id
    async with connect(options, listeners=[progress_for(options)]) as opus:
        try:
            return await opus.jobs.audit(job_id)
        except NotFound as missing:
            try:  # v1 has no audit of a case that is there and has not run
                status = await opus.jobs.status(job_id)
            except OpusError:
                raise missing from None
            print_error(f"the platform has no audit of job {job_id} yet; its status is {status}")
            return AuditLog()


def as_json(job_id: str, audit: AuditLog) -> dict[str, Any]:
    """The audit as JSON; times are seconds since the epoch, durations seconds, to the millisecond."""
    return {
        "job_id": job_id,
        "started_at": _milliseconds(audit.started_at),
        "ended_at": _milliseconds(audit.ended_at),
        "elapsed": _milliseconds(audit.elapsed),
        "progress": audit.progress,
        "total_nodes": audit.total_nodes,
        "executed_count": audit.executed_count,
        "executed_nodes": list(audit.executed_nodes),
        "remaining_nodes": list(audit.remaining_nodes),
        "running_node": audit.running_node,
        "failed_nodes": list(audit.failed_nodes),
        "nodes": [_node_as_json(node) for node in audit.nodes],
        "trail": [
            {"timestamp": entry.timestamp, "actor": entry.actor, "action": entry.action}
            for entry in audit.trail
        ],
        "raw": audit.raw,
    }


def _node_as_json(node: AuditNode) -> dict[str, Any]:
    return {
        "name": node.name,
        "status": node.status,
        "started_at": _milliseconds(node.started_at),
        "ended_at": _milliseconds(node.ended_at),
        "seconds": _milliseconds(node.seconds),
        "error": node.error,
        "inputs": _values_as_json(node.inputs),
        "outputs": _values_as_json(node.outputs),
    }


def _milliseconds(seconds: float | None) -> float | None:
    """Seconds to the millisecond, as the platform gives them: further digits come from adding floats."""
    return None if seconds is None else round(seconds, 3)


def _values_as_json(values: Sequence[OutputValue]) -> list[dict[str, Any]]:
    return [
        {
            "variable_name": given.variable_name,
            "display_name": given.display_name,
            "type": given.type,
            "value": given.value,
        }
        for given in values
    ]


def _lines(job_id: str, audit: AuditLog) -> list[str]:
    width = terminal_width()
    lines = wrapped(printable(f"Job {job_id}: {', '.join(_facts(audit))}"), width)
    if audit.nodes:
        rows = [("NODE", "STATUS", "START", "TOOK", "ERROR")]
        rows += [_row(node, audit.started_at) for node in audit.nodes]
        lines += ["", columns(rows, width=width)]
    if audit.trail:
        trail = [("TIME", "ACTOR", "ACTION")]
        trail += [(entry.timestamp, entry.actor, entry.action) for entry in audit.trail]
        lines += ["", columns(trail, width=width)]
    return lines


def _facts(audit: AuditLog) -> Iterator[str]:
    """What the audit tells of the job as a whole, for the first line."""
    executed, total = audit.executed_count, audit.total_nodes
    failed = [node.name for node in audit.failures]
    if audit.running_node:
        yield f"at {audit.running_node}"
    elif failed:
        yield "failed"
    elif total and executed is not None and executed >= total:
        yield "finished"
    elif not (executed or audit.nodes or audit.trail):
        yield "no node has run" if executed == 0 else "no node is named"
    if audit.elapsed is not None:
        yield f"{in_milliseconds(audit.elapsed)} elapsed"
    if executed is not None:
        yield f"nodes executed: {executed}" if total is None else f"{executed} of {total} nodes executed"
    if audit.trail:
        yield f"entries in its trail: {len(audit.trail)}"
    if failed:
        yield f"failed nodes: {', '.join(failed)}"


def _row(node: AuditNode, began: float | None) -> tuple[str, str, str, str, str]:
    start = "" if node.started_at is None or began is None else f"+{in_milliseconds(node.started_at - began)}"
    took = "" if node.seconds is None else in_milliseconds(node.seconds)
    return node.name, node.status or "", start, took, node.error or ""
