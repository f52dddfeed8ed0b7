"""Errors of the network: no complete response came."""

from __future__ import annotations

from enum import StrEnum

from opus_async.error_codes import ErrorCode, NextAction
from opus_async.errors.base import OpusError


class Obstacle(StrEnum):
    """What kept a request from being answered: it tells whether other requests would fail as well."""

    NETWORK = "network"
    """No connection, a broken one, no answer in time."""
    CERTIFICATE = "certificate"
    """The host's certificate is not trusted, or it speaks no TLS."""
    PROXY = "proxy"
    """The proxy refuses."""
    CLOSED = "closed"
    """The client or its session is closed, or belongs to another event loop."""
    REDIRECT = "redirect"
    """The response is a redirect that is not followed."""
    TOO_LARGE = "too large"
    """The response is larger than the limit."""
    REQUEST = "request"
    """The request cannot be sent as it is: its URL or a header is malformed."""
    SHORTAGE = "shortage"
    """This machine has no open files, memory or threads left for it."""


class TransportError(OpusError):
    """No complete response came: a refused or broken connection, a time-out.

    Attributes:
        obstacle: What kept the request from being answered.
        storage: Whether the request went to file storage, to a URL of one file alone.
        request_sent: Whether the server may have seen the request. False only when no byte of it can
            have left: then repeating it is safe whatever it does.
        retryable: Whether the same request may go better a moment later. False for what only a person can
            mend: a certificate that is not trusted, a redirect to another host, a closed client.
        finding: What happened, as a clause: the message without method, URL and fix; empty where only the
            message tells.
        fix: What a person can do about it, as a clause; empty for nothing.
        attempt: Which attempt failed, from 1.
        method: The HTTP method.
        url: The URL without its query.
    """

    error_code = ErrorCode.TRANSPORT
    usual_action = NextAction.CHECK_CONNECTION

    def __init__(
        self,
        message: str,
        *,
        request_sent: bool,
        retryable: bool = True,
        obstacle: Obstacle = Obstacle.NETWORK,
        finding: str = "",
        fix: str = "",
        attempt: int = 1,
        method: str = "",
        url: str = "",
        job_id: str | None = None,
        stage: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, stage=stage)
        self.obstacle = obstacle
        self.finding = finding
        self.fix = fix
        self.storage = False
        self.request_sent = request_sent
        self.retryable = retryable
        self.attempt = attempt
        self.method = method
        self.url = url


class StoreUnavailable(TransportError):
    """The store in which a document lies gave no good answer: the store failed, and not the platform.

    Nothing of the document is wrong as far as is known, and no job was started for it.

    Attributes:
        document: Its URL, without what gives access.
        store: Its store: ``s3://bucket``, ``https://host``.
        seconds: For how long it was asked.
        others_read: Whether the store gave good answers about other documents meanwhile.
        answered: Whether it has ever given any: if not, its name in the URL may be wrong.
    """

    error_code = ErrorCode.STORE_UNAVAILABLE
    usual_action = NextAction.TRY_LATER

    def __init__(
        self,
        message: str,
        *,
        document: str,
        store: str,
        seconds: float = 0.0,
        others_read: bool = False,
        answered: bool = True,
        request_sent: bool = False,
        retryable: bool = True,
        obstacle: Obstacle = Obstacle.NETWORK,
    ) -> None:
        super().__init__(
            message, request_sent=request_sent, retryable=retryable, obstacle=obstacle, url=document
        )
        self.document = document
        self.store = store
        self.seconds = seconds
        self.others_read = others_read
        self.answered = answered
        self.is_final = True

    @property
    def may_be_of_document(self) -> bool:
        """Whether the URL of the document may be to blame, and not its store alone."""
        return self.others_read or not self.answered


class HostDown(TransportError):
    """A host gave no good response for so long that requests to it fail at once.

    Attributes:
        host: The name of the host.
        seconds: For how long it gave no good response.
        answered: Whether it had answered this client before.
    """

    error_code = ErrorCode.HOST_DOWN

    def __init__(
        self,
        message: str,
        *,
        host: str,
        seconds: float,
        request_sent: bool,
        answered: bool = True,
        method: str = "",
        url: str = "",
    ) -> None:
        super().__init__(message, request_sent=request_sent, retryable=False, method=method, url=url)
        self.host = host
        self.seconds = seconds
        self.answered = answered
