"""The scope of an error: does it concern one row, or would every row meet it?

An error that every row would meet ends the run at once. Where one row alone may have met it, that is found
out: by asking the platform what every row asks, and where that tells nothing, by what becomes of other rows.

================================================  =====================================  ==================
error                                             at                                     scope
================================================  =====================================  ==================
``LedgerError``, a full disk                      anywhere                               every row's
``ConfigurationError``                            anywhere                               every row's
certificate, proxy, a closed client               on the way to the platform             every row's
``HostDown``                                      the platform; storage that answered    every row's
``QuotaExhausted``                                before the job is ordered              every row's
``AuthenticationError``, ``RateLimited``          anywhere                               asked; others tell
a redirect, ``QuotaExhausted``                    a job that was ordered                 asked
a redirect                                        before the job is ordered              asked; others tell
``PermissionDenied``, ``NotFound``                the schema                             asked
``PermissionDenied``                              before the job is ordered              others tell
``StoreUnavailable``, which others can read       anywhere                               the row's
``StoreUnavailable``, documents that are denied   before the job is ordered              others tell
storage: no connection, certificate, proxy        before the job is ordered, a download  others tell
a response too large, or not understood           anywhere                               the row's
any other refusal, a broken connection            anywhere                               the row's
================================================  =====================================  ==================

A shortage of this machine is neither: it is waited for (:mod:`opus_async.transport.shortage`).
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable

from opus_async.errors import (
    AuthenticationError,
    ConfigurationError,
    DownloadError,
    HostDown,
    InvalidInputs,
    LedgerError,
    NotFound,
    Obstacle,
    OpusError,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    StoreUnavailable,
    TransportError,
    UploadError,
)
from opus_async.jobs.shared_errors import store_in
from opus_async.platform import Stages

__all__ = ["Inquiry", "Scope", "scope_of"]

_NOBODY_PASSES = frozenset({Obstacle.CERTIFICATE, Obstacle.PROXY, Obstacle.CLOSED})
_ASKED_LATELY = 1.0
"""Seconds for which the result of an inquiry holds: a thousand rows may want to know at once."""


class Scope(enum.Enum):
    """The rows that an error concerns."""

    ROW = "the row's"
    EVERY_ROW = "every row's"
    ASK = "every row's if the platform refuses what every row asks"
    OTHERS_TELL = "every row's if no other row gets past that stage"
    ASK_AND_OTHERS_TELL = "every row's if either is so"


def scope_of(error: OpusError, stages: Stages) -> Scope:  # noqa: C901, PLR0911 - a table
    """The scope of an error, by its class and its stage."""
    begun = error.stage not in {stages.bind, stages.prepare, stages.create, stages.start}
    match error:
        case _ if error.shortage:
            return Scope.ROW
        case LedgerError() | ConfigurationError() | DownloadError(disk_full=True):
            return Scope.EVERY_ROW
        case AuthenticationError() | RateLimited():
            return Scope.ASK if begun else Scope.ASK_AND_OTHERS_TELL
        case QuotaExhausted():
            return Scope.ASK if begun else Scope.EVERY_ROW
        case PermissionDenied() | NotFound() if error.stage == stages.bind:
            return Scope.ASK  # of a version that this row alone may want
        case PermissionDenied():
            return Scope.ROW if begun else Scope.OTHERS_TELL
        case StoreUnavailable(others_read=True):
            return Scope.ROW
        case StoreUnavailable() | InvalidInputs() | UploadError() if store_in(error) is not None:
            return Scope.ROW if begun else Scope.OTHERS_TELL
        case TransportError(storage=True):
            return _on_the_way_to_storage(error)
        case HostDown():
            return Scope.EVERY_ROW
        case TransportError(obstacle=Obstacle.REDIRECT):
            return Scope.ASK if begun else Scope.ASK_AND_OTHERS_TELL
        case TransportError(retryable=False) if error.obstacle in _NOBODY_PASSES:
            return Scope.EVERY_ROW
    return Scope.ROW


def _on_the_way_to_storage(error: TransportError) -> Scope:
    """The scope of an error of storage: a presigned URL is one file's alone, and so may its host be."""
    if error.obstacle is Obstacle.CLOSED or (isinstance(error, HostDown) and error.answered):
        return Scope.EVERY_ROW
    unreachable = isinstance(error, HostDown) or not error.request_sent
    return Scope.OTHERS_TELL if unreachable and error.obstacle is not Obstacle.REQUEST else Scope.ROW


class Inquiry:
    """Asks the platform what every row asks; all that want to know at the same time share one request.

    Args:
        ask: Raises an OpusError when every row would fail.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._refusal: OpusError | None = None

    async def refusal(self) -> OpusError | None:
        """Why every row would fail; None when they would not."""
        loop = asyncio.get_running_loop()
        wanted_at = loop.time()
        async with self._asking:
            if self._asked_at < wanted_at - _ASKED_LATELY:
                try:
                    await self._ask()
                except OpusError as error:
                    self._refusal = error
                else:
                    self._refusal = None
                self._asked_at = loop.time()
        return self._refusal
