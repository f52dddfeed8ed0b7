"""Jobs: what one is asked to do, what the platform keeps of it, and what an error tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from opus_async.models.audit import AuditLog
from opus_async.models.mappings import EMPTY
from opus_async.models.status import JobStatus
from opus_async.spelling import with_known_names
from opus_async.value import Value


class Notice(StrEnum):
    """Something about the outcome of a job that is no error, and that its reader should know."""

    OUTPUTS_NOT_TOLD = "outputs_not_told"
    """It completed, and the platform does not tell this user what it gave."""
    RUN_AGAIN_BY_PLATFORM = "run_again_by_platform"
    """The platform itself ran it more than once: the newest run tells the outcome, the audit's trail all."""


@with_known_names
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class JobRequest(Value):
    """One job to be run: a row of ``run_many``.

    Attributes:
        inputs: Display name or variable name -> value. File inputs take a path, ``(name, bytes)``, a binary
            file object, the upload of a web framework (an object with a ``filename`` and a sync or async
            ``read``), an :class:`UploadedFile`, the ``fileUrl`` of an earlier upload, or the URL of a
            document elsewhere (``s3://``, ``gs://``, ``az://``, ``https://``; or a
            :class:`~opus_async.remote_urls.RemoteFile`), which is sent from there.
        title: Shown in the Opus UI; a default is made when absent.
        description: Shown in the Opus UI; a default is made when absent.
        key: The caller's own name for the row, handed back in the outcome.
        timeout: Seconds from the start of this job until we stop waiting for it; see ``Timeouts.job``.
        version_id: Pins the workflow version by UUID.
        version_number: Pins it by number.
    """

    inputs: Mapping[str, Any]
    title: str | None = None
    description: str | None = None
    key: str | None = None
    timeout: float | None = None
    version_id: str | None = None
    version_number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class JobDetail(Value):
    """What the platform keeps of a job, in a search or in full; observed, not documented.

    Attributes:
        job_id: Its id.
        status: Its status.
        title: As it was initiated.
        workflow_id: Its workflow, where told.
        workflow_name: The name of its workflow, where told.
        workspace_id: Where it lives, where told.
        created_at: Seconds since the epoch, where told.
        finished_at: Seconds since the epoch, where told; None while it runs.
        builder_type: ``OPUS_V1`` or ``OPUS_V2``, where told.
        audit: Where it came along.
        raw: Everything as sent, inputs and outputs included.
    """

    job_id: str
    status: JobStatus
    title: str = ""
    workflow_id: str | None = None
    workflow_name: str | None = None
    workspace_id: str | None = None
    created_at: float | None = None
    finished_at: float | None = None
    builder_type: str | None = None
    audit: AuditLog | None = field(default=None, repr=False)
    raw: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False, compare=False)


class FinishedJob(Protocol):
    """What an error tells of the job that it is about; :class:`opus_async.JobOutcome` is one."""

    @property
    def job_id(self) -> str | None:
        """The platform's id of it; None when no job came to be."""

    @property
    def status(self) -> JobStatus | None:
        """Its terminal status."""

    @property
    def outputs(self) -> Mapping[str, Any]:
        """Display name -> value; empty unless COMPLETED."""

    @property
    def results(self) -> Any:
        """The results as the platform sent them."""

    @property
    def audit(self) -> AuditLog | None:
        """Its audit; None when it could not be had."""

    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds per stage, and ``total``."""

    @property
    def index(self) -> int:
        """The position of the row in its run, from 0."""

    @property
    def key(self) -> str | None:
        """The caller's own name for the row."""
