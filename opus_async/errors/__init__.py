"""The exceptions of opus_async.

::

    OpusError                        job_id and stage, where they are known
    ├── ConfigurationError           no key, an unusable base URL: nothing was sent
    ├── InvalidInputs                a caller's inputs do not fit the workflow: nothing was sent
    ├── WorkflowChanged              a workflow is not as its Python module says
    ├── APIError                     the platform refused a request, or failed to serve it
    │   ├── AuthenticationError      401: the key is missing, wrong or expired
    │   ├── PermissionDenied         403: the user behind the key may not do this
    │   ├── NotFound                 404: no such id, or not visible to this key
    │   ├── ValidationFailed         400, 413, 422: the request was understood and refused
    │   ├── RateLimited              429 for longer than it is worth waiting
    │   ├── QuotaExhausted           402: the plan's or the budget's limit is used up
    │   └── ServerError              5xx
    ├── ProtocolError                the response of the platform cannot be understood
    │   └── MixedUpAnswer            the response is about another job than was asked about
    ├── TransportError               no complete response came
    │   ├── HostDown                 a host gave no good response for too long
    │   └── StoreUnavailable         the store of a document gave no good answer
    ├── UploadError                  a file could not be sent, or storage refused it
    ├── DownloadError                a file could not be fetched or kept; nothing half is left behind
    ├── JobFailed                    the job reached a terminal status other than COMPLETED
    ├── JobPaused                    the job is paused for a person, and not waited for any more
    ├── DeadlineExceeded             we stopped waiting; the job goes on
    ├── AmbiguousExecution           it cannot be known whether the job was started
    ├── ManifestError                a manifest that cannot be run, or not on this batch directory
    ├── LoadRefused                  a load test, or a comparison of two, that is not begun: nothing was sent
    └── LedgerError                  the ledger of a batch cannot be read or written: no more jobs are started
        ├── LedgerBusy               another process works on this batch
        └── LedgerDoubtful           files beside the ledger contradict it: a person has to decide

Every message says what to do next. No message holds a secret: URLs come without their query.
"""

from __future__ import annotations

from opus_async.errors.base import OpusError, first_error, with_hint
from opus_async.errors.files import DownloadError, UploadError
from opus_async.errors.jobs import AmbiguousExecution, DeadlineExceeded, JobFailed, JobPaused
from opus_async.errors.ledger import LedgerBusy, LedgerDoubtful, LedgerError
from opus_async.errors.network import HostDown, Obstacle, StoreUnavailable, TransportError
from opus_async.errors.responses import (
    APIError,
    AuthenticationError,
    MixedUpAnswer,
    NotFound,
    PermissionDenied,
    ProtocolError,
    QuotaExhausted,
    RateLimited,
    ServerError,
    ValidationFailed,
)
from opus_async.errors.usage import (
    ConfigurationError,
    InvalidInputs,
    LoadRefused,
    ManifestError,
    WorkflowChanged,
)

__all__ = [
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
    "Obstacle",
    "OpusError",
    "PermissionDenied",
    "ProtocolError",
    "QuotaExhausted",
    "RateLimited",
    "ServerError",
    "StoreUnavailable",
    "TransportError",
    "UploadError",
    "ValidationFailed",
    "WorkflowChanged",
    "first_error",
    "with_hint",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # tracebacks and pickles name what users import
