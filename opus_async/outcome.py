"""The outcome of one job, as every way of running one returns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from opus_async.error_codes import NextAction, NextStep, no_hint
from opus_async.errors import JobFailed, OpusError
from opus_async.html_card import card
from opus_async.json_text import parsed
from opus_async.models import AuditLog, JobStatus, Notice
from opus_async.models.mappings import EMPTY
from opus_async.plain_json import plain
from opus_async.text import duration
from opus_async.value import Value


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class JobOutcome(Value):
    """How one job ended.

    Attributes:
        job_id: None when no job came to be.
        status: The terminal status; WAITING for a job that is paused and not waited for any more; None when
            neither is known (then ``error`` tells why).
        outputs: Display name -> value; empty unless COMPLETED.
        results: The results as the platform sent them.
        error: What went wrong; None when ``ok``.
        audit: The audit, fetched on failure; None when it could not be had.
        timings: Seconds per stage, by the platform's stage names (of Opus: ``schema``, ``upload``,
            ``initiate``, ``execute``, ``watch``, ``results``), and ``total``. Time in queues of this client
            is in none of the stages: ``client_wait`` until the job got one of ``Limits.max_in_flight``
            slots, ``request_wait`` while its requests waited for their turn (``api_concurrency``, a rate, the
            pause after a 429, an outage), and the poll that saw the end since it was due. ``total`` is all of
            them together.
        index: The position of the row in its run, from 0; 0 for a single ``run``.
        key: The caller's own name for the row.
        notices: What is no error and should be known: outputs that the platform does not tell, say.
        detect_lag: How many seconds late its end was noticed at most; None where that has no bound.
    """

    job_id: str | None
    status: JobStatus | None
    outputs: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    results: Any = field(default=None, repr=False)
    error: OpusError | None = None
    audit: AuditLog | None = field(default=None, repr=False)
    timings: Mapping[str, float] = field(default_factory=lambda: EMPTY, repr=False)
    index: int = 0
    key: str | None = None
    notices: tuple[Notice, ...] = ()
    detect_lag: float | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the job completed and its results are here."""
        return self.error is None and self.status == JobStatus.COMPLETED

    @property
    def parsed_outputs(self) -> dict[str, Any]:
        """Like ``outputs``; of a text that holds a JSON object or array, what it holds."""
        return {name: parsed(value) for name, value in self.outputs.items()}

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values, for a database, a queue or a log.

        Returns:
            ``job_id``, ``status`` (a text), ``ok``, ``outputs``, ``results``, ``error``, ``audit``,
            ``timings``, ``index``, ``key``, and ``notices`` where there are some. ``error`` is None or as
            :meth:`OpusError.to_dict` gives it, without secrets; the answer that the audit was read from is
            left out. Results are as the platform sent them. ``json.dumps`` takes it as it is, and
            ``json.loads`` gives the same again: dates, paths and the like are texts in it, a number that is
            not finite is None.
        """
        told = {"notices": [str(notice) for notice in self.notices]} if self.notices else {}
        return {
            **told,
            "job_id": self.job_id,
            "status": None if self.status is None else str(self.status),
            "ok": self.ok,
            "outputs": plain(self.outputs),
            "results": plain(self.results),
            "error": None if self.error is None else self.error.to_dict(),
            "audit": plain(self.audit),
            "timings": plain(self.timings),
            "index": self.index,
            "key": self.key,
        }

    def _repr_html_(self) -> str:
        """Status, outputs and error as a table, for notebooks."""
        lines: list[tuple[object, object]] = [("status", self.status or "no status is known")]
        if self.key is not None:
            lines.append(("key", self.key))
        if "total" in self.timings:
            lines.append(("time", duration(self.timings["total"])))
        if self.error is not None:
            lines.append(("error", self.error.to_dict()["message"]))
        lines += self.outputs.items()
        return card("No job" if self.job_id is None else f"Job {self.job_id}", lines)

    def raise_for_status(self) -> Self:
        """Raise what went wrong (:class:`JobFailed` for a job that ended badly); itself when ``ok``."""
        if self.error is not None:
            raise self.error
        if not self.ok:
            raise JobFailed(
                f"The job ended as {self.status}, not COMPLETED", outcome=self, job_id=self.job_id
            )
        return self


def failure_of(
    status: JobStatus,
    audit: AuditLog | None,
    job_id: str | None,
    stage: str,
    hint: Callable[[NextStep], str] = no_hint,
) -> JobFailed:
    """The error of a job that ended otherwise than completed; names the failed nodes, where the audit tells.

    Args:
        status: Its terminal status.
        audit: Its audit; None where it could not be had.
        job_id: The job.
        stage: The stage in which this is found out.
        hint: How its audit is read, told where the audit is missing.
    """
    nodes = audit.failed_nodes if audit else ()
    reasons = {node.name: node.error for node in audit.nodes if node.error} if audit else {}
    if nodes:
        named = "; ".join(f"{name} ({reasons[name]})" if name in reasons else name for name in nodes)
        why = f"failed nodes: {named}"
    elif audit:
        why = "the audit names no failed node"
    else:
        why = "its audit could not be read"
    error = JobFailed(f"The job ended as {status}: {why}", failed_nodes=nodes, job_id=job_id, stage=stage)
    if audit is None:
        error.hint = hint(NextStep(NextAction.READ_AUDIT, job_id))
    return error
