"""The values that users hold: frozen, plain, free of I/O.

What came over the wire is offered twice: normalised in named fields, and as it was in ``raw``. Nothing that
the platform sent is dropped because we did not know it.
"""

from __future__ import annotations

from opus_async.models.audit import NODE_FAILED, AuditEntry, AuditLog, AuditNode
from opus_async.models.files import DownloadedFile, UploadedFile
from opus_async.models.jobs import FinishedJob, JobDetail, JobRequest, Notice
from opus_async.models.results import JobResults, OutputValue
from opus_async.models.status import JobStatus
from opus_async.models.workflow import InputField, OutputField, Workflow

__all__ = [
    "NODE_FAILED",
    "AuditEntry",
    "AuditLog",
    "AuditNode",
    "DownloadedFile",
    "FinishedJob",
    "InputField",
    "JobDetail",
    "JobRequest",
    "JobResults",
    "JobStatus",
    "Notice",
    "OutputField",
    "OutputValue",
    "UploadedFile",
    "Workflow",
]
