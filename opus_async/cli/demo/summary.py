"""The summary of a demo, as text and as JSON."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opus_async.cli.demo.documents import Document
from opus_async.cli.demo.findings import Findings
from opus_async.cli.demo.folder import DOCUMENTS
from opus_async.cli.demo.running import WORKFLOW
from opus_async.cli.program import NAME, command_line
from opus_async.cli.tables import columns, terminal_width
from opus_async.layout import REPORT, RESULTS
from opus_async.metrics.distribution import Distribution
from opus_async.metrics.event_counts import RetryCause
from opus_async.text import plural

_MEGA = 1_000_000


def described(documents: Sequence[Document]) -> str:
    """The number and size of documents: ``200 documents, 14.2 MB``."""
    size = sum(document.size for document in documents)
    return f"{len(documents)} {plural(len(documents), 'document', 'documents')}, {size / _MEGA:.1f} MB"


def as_json(findings: Findings) -> dict[str, Any]:
    """The summary as JSON."""
    return {
        "jobs": len(findings.documents),
        "completed": findings.completed,
        "failed": findings.failed,
        "digests_verified": findings.verified,
        "mismatches": findings.mismatches,
        "executed_twice": findings.executed_twice,
        "documents": dict(_types(findings)),
        "bytes": sum(document.size for document in findings.documents),
        "wall_seconds": round(findings.wall, 3),
        "jobs_per_second": round(_rate(findings), 2),
        "job_seconds_median": round(_job_seconds(findings).median, 3),
        "job_seconds_p95": round(_job_seconds(findings).high, 3),
        "stage_seconds_mean": {stage: round(spent, 4) for stage, spent in _stages(findings).items()},
        "requests": dict(findings.progress.requests),
        "retries": dict(_retries(findings)),
        "stray_shells": findings.stray_shells,
        "faults": findings.faults,
        "faults_injected": dict(_faults(findings)),
        "seed": findings.seed,
    }


def as_text(findings: Findings, out: Path) -> str:
    """The summary as text, with commands to run next."""
    rows = [(f"  {name}", value) for name, value in _rows(findings)]
    blocks = ["", columns(rows, width=terminal_width())]
    if findings.failures:
        blocks += ["", *(f"  failed: {text}" for text in findings.failures)]
    if findings.mismatches:
        blocks += ["", *(f"  MISMATCH {text}" for text in findings.mismatches)]
    return "\n".join([*blocks, "", *_next(findings, out)])


def _rows(findings: Findings) -> list[tuple[str, str]]:
    stages = ", ".join(f"{stage} {_short(spent)}" for stage, spent in _stages(findings).items())
    requests, spent = findings.progress.requests, _job_seconds(findings)
    rows = [
        ("jobs", f"{findings.completed} completed, {findings.failed} failed"),
        ("documents", f"{described(findings.documents)}: {_listed(_types(findings))}"),
        ("wall time", f"{findings.wall:.1f} s, {_rate(findings):.1f} jobs/s"),
        ("job time", f"median {spent.median:.2f} s, 95 % within {spent.high:.2f} s"),
        ("mean by stage", stages),
        ("requests", f"{requests.total():,}: {_listed(requests)}"),
        ("retries", _counted(_retries(findings))),
    ]
    if findings.faults != "none":
        rows.append((f"faults ({findings.faults})", _counted(_faults(findings), "injected")))
    if findings.stray_shells:
        rows.append(
            ("stray shells", f"{findings.stray_shells} at most, unbilled: jobs made and never started")
        )
    rows += [
        ("executed twice", f"{findings.executed_twice} (the simulator's own count)"),
        ("verified", f"{findings.verified} of {len(findings.documents)} digests, sizes and types match"),
    ]
    return rows


def _next(findings: Findings, out: Path) -> list[str]:
    some = shlex.quote(str(findings.documents[-1].path))
    other = "flaky" if findings.faults == "none" else "hostile"
    return [
        f"Results: {out / RESULTS}, one line per completed job",
        f"Report:  {out / REPORT}",
        f"Files:   {out / DOCUMENTS}",
        "",
        "Next:",
        f"  {command_line('batch', 'export', str(out), '--format', 'csv')}",
        f"  {command_line('demo', '--faults', other)}",
        f"  {command_line('simulate', '--', NAME, 'run', WORKFLOW)} \\",  # which finds the inner one itself
        f"      --file Document={some}",
        f"  {command_line('doctor')}",
    ]


def _types(findings: Findings) -> Counter[str]:
    return Counter(document.type.lower() for document in findings.documents)


def _faults(findings: Findings) -> Counter[str]:
    """Faults that the simulator has injected, by kind, over all operations."""
    kinds: Counter[str] = Counter()
    for name, number in findings.counters.get("faults", {}).items():
        kinds[name.partition(".")[2]] += number
    return kinds


def _stages(findings: Findings) -> dict[str, float]:
    jobs = max(findings.completed, 1)
    return {stage: spent / jobs for stage, spent in findings.stage_seconds.items()}


def _rate(findings: Findings) -> float:
    return findings.completed / findings.wall if findings.wall else 0.0


def _job_seconds(findings: Findings) -> Distribution:
    return Distribution.of(findings.job_seconds or [0.0])


def _retries(findings: Findings) -> Counter[str]:
    """Cause in words -> attempts that were followed by another."""
    return Counter({_cause(cause): number for cause, number in findings.progress.retries.items()})


def _cause(cause: RetryCause) -> str:
    if cause.status is None:
        return cause.failure.value
    code = f" {cause.code}" if cause.code else ""
    return f"{cause.failure.value}: HTTP {cause.status}{code}"


def _counted(numbers: Counter[str], what: str = "") -> str:
    if not numbers:
        return "0"
    total = f"{numbers.total():,} {what}".rstrip()
    return f"{total}: {_listed(numbers)}"


def _listed(numbers: Mapping[str, int]) -> str:
    ordered = sorted(numbers.items(), key=lambda item: -item[1])
    return ", ".join(f"{number:,} {name}" for name, number in ordered)


def _short(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
