"""opus_async: run Opus workflow jobs, hundreds to tens of thousands at once, from one asyncio process.

The public names and nothing else. They are loaded when first used, so that ``import opus_async`` costs
nothing in a program that may never need the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opus_async._lazy import lazy_names

if TYPE_CHECKING:
    from opus_async.config import Limits, RetryPolicy, Timeouts
    from opus_async.error_codes import ErrorCode, NextAction, NextStep
    from opus_async.errors import (
        AmbiguousExecution,
        APIError,
        AuthenticationError,
        ConfigurationError,
        DeadlineExceeded,
        DownloadError,
        HostDown,
        InvalidInputs,
        JobFailed,
        JobPaused,
        LedgerBusy,
        LedgerDoubtful,
        LedgerError,
        LoadRefused,
        ManifestError,
        MixedUpAnswer,
        NotFound,
        OpusError,
        PermissionDenied,
        ProtocolError,
        QuotaExhausted,
        RateLimited,
        ServerError,
        TransportError,
        UploadError,
        ValidationFailed,
        WorkflowChanged,
    )
    from opus_async.events import (
        Event,
        FailureClass,
        HostState,
        HostTroubled,
        JobStageChanged,
        JobStatusSeen,
        Listener,
        RequestKind,
        RequestRetried,
        RequestSent,
        RequestUnanswered,
        SchemaWarning,
        UploadProgress,
    )
    from opus_async.input_problems import InputProblem, ProblemCode
    from opus_async.jobs.stream import JobStream, Stream
    from opus_async.models import (
        AuditEntry,
        AuditLog,
        AuditNode,
        DownloadedFile,
        InputField,
        JobDetail,
        JobRequest,
        JobResults,
        JobStatus,
        Notice,
        OutputField,
        OutputValue,
        UploadedFile,
        Workflow,
    )
    from opus_async.opus.callbacks import CallbackCounts, CallbackReceiver
    from opus_async.opus.client import OpusClient
    from opus_async.opus.job_search import JobSearch
    from opus_async.outcome import JobOutcome
    from opus_async.remote_urls import RemoteFile

__version__ = "0.1.0"

_HOMES = {
    "opus_async.config": ("Limits", "RetryPolicy", "Timeouts"),
    "opus_async.error_codes": ("ErrorCode", "NextAction", "NextStep"),
    "opus_async.errors": (
        "APIError",
        "AmbiguousExecution",
        "AuthenticationError",
        "ConfigurationError",
        "DeadlineExceeded",
        "DownloadError",
        "HostDown",
        "InvalidInputs",
        "JobFailed",
        "JobPaused",
        "LedgerBusy",
        "LedgerDoubtful",
        "LedgerError",
        "LoadRefused",
        "ManifestError",
        "MixedUpAnswer",
        "NotFound",
        "OpusError",
        "PermissionDenied",
        "ProtocolError",
        "QuotaExhausted",
        "RateLimited",
        "ServerError",
        "TransportError",
        "UploadError",
        "ValidationFailed",
        "WorkflowChanged",
    ),
    "opus_async.events": (
        "Event",
        "FailureClass",
        "HostState",
        "HostTroubled",
        "JobStageChanged",
        "JobStatusSeen",
        "Listener",
        "RequestKind",
        "RequestRetried",
        "RequestSent",
        "RequestUnanswered",
        "SchemaWarning",
        "UploadProgress",
    ),
    "opus_async.models": (
        "AuditEntry",
        "AuditLog",
        "AuditNode",
        "DownloadedFile",
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
    ),
    "opus_async.outcome": ("JobOutcome",),
    "opus_async.remote_urls": ("RemoteFile",),
    "opus_async.opus.callbacks": ("CallbackCounts", "CallbackReceiver"),
    "opus_async.opus.client": ("OpusClient",),
    "opus_async.opus.job_search": ("JobSearch",),
    "opus_async.input_problems": ("InputProblem", "ProblemCode"),
    "opus_async.jobs.stream": ("JobStream", "Stream"),
}

__all__ = [
    "APIError",
    "AmbiguousExecution",
    "AuditEntry",
    "AuditLog",
    "AuditNode",
    "AuthenticationError",
    "CallbackCounts",
    "CallbackReceiver",
    "ConfigurationError",
    "DeadlineExceeded",
    "DownloadError",
    "DownloadedFile",
    "ErrorCode",
    "Event",
    "FailureClass",
    "HostDown",
    "HostState",
    "HostTroubled",
    "InputField",
    "InputProblem",
    "InvalidInputs",
    "JobDetail",
    "JobFailed",
    "JobOutcome",
    "JobPaused",
    "JobRequest",
    "JobResults",
    "JobSearch",
    "JobStageChanged",
    "JobStatus",
    "JobStatusSeen",
    "JobStream",
    "LedgerBusy",
    "LedgerDoubtful",
    "LedgerError",
    "Limits",
    "Listener",
    "LoadRefused",
    "ManifestError",
    "MixedUpAnswer",
    "NextAction",
    "NextStep",
    "NotFound",
    "Notice",
    "OpusClient",
    "OpusError",
    "OutputField",
    "OutputValue",
    "PermissionDenied",
    "ProblemCode",
    "ProtocolError",
    "QuotaExhausted",
    "RateLimited",
    "RemoteFile",
    "RequestKind",
    "RequestRetried",
    "RequestSent",
    "RequestUnanswered",
    "RetryPolicy",
    "SchemaWarning",
    "ServerError",
    "Stream",
    "Timeouts",
    "TransportError",
    "UploadError",
    "UploadProgress",
    "UploadedFile",
    "ValidationFailed",
    "Workflow",
    "WorkflowChanged",
    "__version__",
]


if not TYPE_CHECKING:  # a type checker must see that a misspelt name is none
    __getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
