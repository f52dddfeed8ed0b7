"""Errors of many libraries -> what is wrong with a document, or with its store, and what to do about it."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Collection, Iterator, Sequence

from opus_async.errors import ConfigurationError, Obstacle, OpusError, StoreUnavailable
from opus_async.gaps import gapped, literal
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.redaction import mask_signatures
from opus_async.remote.libraries import MissingLibrary, UnknownScheme
from opus_async.remote_urls import RemoteFile, is_web_url, scheme_of, shown, store_of
from opus_async.transport.shortage import advice, out_of

_MOST_WORDS = 200
"""Characters of a library's own words that are quoted."""
_STATUSES = range(100, 600)
_DENIED = frozenset({401, 403})
_GONE = frozenset({404, 410})
_CONDITION, _BAD_REQUEST = 412, 400
_ASKED_TO_WAIT = frozenset({408, 425, 429})
_SERVER_ERRORS, _NOT_IMPLEMENTED = range(500, 600), 501
_PASSING_CODES = frozenset(
    {
        "InternalError",
        "OperationTimedOut",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServerBusy",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
    }
)
"""Codes of S3 and Azure, of which some come with a status that says something else."""
_NO_CONNECTION = frozenset(
    {
        "ClientConnectorError",
        "ClientProxyConnectionError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "EndpointConnectionError",
        "ProxyConnectionError",
        "ServiceRequestError",
    }
)
_BROKEN = frozenset(
    {
        "ChecksumError",
        "ChunkedEncodingError",
        "ClientOSError",
        "ClientPayloadError",
        "ConnectionClosedError",
        "ConnectionError",
        "EOFError",
        "FSTimeoutError",
        "HTTPClientError",
        "HttpProcessingError",
        "IncompleteRead",
        "IncompleteReadError",
        "NoAnswer",
        "ProxyError",
        "ReadTimeout",
        "ResponseStreamingError",
        "ServerDisconnectedError",
        "ServerTimeoutError",
        "ServiceResponseError",
        "SSHException",
        "TimeoutError",
        "TransportError",
        "error_temp",
    }
)
"""Classes of ours, aiohttp, botocore, requests, google-auth, Azure, ftplib and paramiko, by their names."""
_MISLED = frozenset({"RedirectClientError", "TooManyRedirects"})
"""Classes of aiohttp for a redirect that cannot be followed."""
_DENIED_CODES = frozenset(
    {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestTimeTooSkewed", "RequestExpired"}
)
"""Codes of S3 for credentials that are not taken, of which some come with the status 400."""
_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "TokenRetrievalError",
        "CredentialRetrievalError",
        "DefaultCredentialsError",
        "RefreshError",
        "CredentialUnavailableError",
        "ProfileNotFound",
    }
)
_WHOSE = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of this machine",
    "s3a": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of this machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or 'gcloud auth application-default login'",
    "gcs": "GOOGLE_APPLICATION_CREDENTIALS, or 'gcloud auth application-default login'",
    "az": "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with a key or token",
    "abfs": "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with a key or token",
}
"""Where a library finds credentials by itself."""
_NO_SUCH_NAME = "check the name, capital letters included"
_NO_PATTERN = f"{_NO_SUCH_NAME}; a web server has no patterns: name the folder, with a slash at its end"


class NoAnswer(Exception):
    """A store gave no answer in time.

    Args:
        seconds: For how long it was waited for.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s")


def refused(file: RemoteFile, error: BaseException, *, to: str = "read") -> Unfit:
    """What is wrong with a document that could not be looked up or read.

    Args:
        file: The document.
        error: What its library raised; of an Unfit it is that.
        to: What could not be done, as a participle: ``read`` or ``written``.
    """
    if isinstance(error, Unfit):
        return error
    what, fix = _reason(file, error, to)
    code = ProblemCode.FILE_DENIED if _is_denied(list(_chain(error))) else ProblemCode.NO_FILE
    if isinstance(error, UnknownScheme):
        code = ProblemCode.NOT_SUPPORTED
    return Unfit(f"{{}} {literal(what)}", repr(str(file)), code=code, fix=fix, file=str(file))


def obstacle(file: RemoteFile, error: Exception) -> OpusError | None:
    """What keeps a document from being looked up or read, and says nothing of the document itself.

    Returns:
        A ConfigurationError where something is missing on this machine, an error with a ``shortage`` where
        this machine has run out of something, a StoreUnavailable for what is the store's; None for what is
        wrong with this document.
    """
    if isinstance(error, StoreUnavailable):
        return error
    told = gapped("{}", refused(file, error))
    if isinstance(error, MissingLibrary) or _lacks_credentials(list(_chain(error))):
        return ConfigurationError(told)
    if (short := out_of(error)) is not None:
        lacking = OpusError(told)
        lacking.shortage = short
        return lacking
    if _is_untrusted(list(_chain(error))):
        return StoreUnavailable(
            told,
            document=str(file),
            store=store_of(file.url),
            retryable=False,
            obstacle=Obstacle.CERTIFICATE,
        )
    return unavailable(file, error) if is_passing(error) else None


def is_passing(error: BaseException) -> bool:
    """Whether an error says nothing of a document and may not come again: a busy store, a broken network."""
    causes = list(_chain(error))
    if out_of(error) is not None or _lacks_credentials(causes) or _is_untrusted(causes):
        return False
    if any(_code(cause) in _PASSING_CODES for cause in causes):
        return True
    status = _first_status(causes)
    if status is not None:
        return status in _ASKED_TO_WAIT or (status in _SERVER_ERRORS and status != _NOT_IMPLEMENTED)
    return _cut_off(causes) or any(_is_named(cause, _BROKEN) for cause in causes)


def is_condition_refused(error: BaseException) -> bool:
    """Whether a store says that a document has not the version that was asked for."""
    return _first_status(list(_chain(error))) == _CONDITION


def has_no_reason(error: BaseException) -> bool:
    """Whether S3 said 400 to a HEAD, which has no body: mostly that credentials have expired."""
    causes = list(_chain(error))
    return _first_status(causes) == _BAD_REQUEST and {None, str(_BAD_REQUEST)} >= set(map(_code, causes))


def is_denied(error: BaseException) -> bool:
    """Whether a store says that a document may not be read."""
    return _is_denied(list(_chain(error)))


def no_connection(error: BaseException) -> bool:
    """Whether there was not even a connection: no document can be to blame for that."""
    return _cut_off(list(_chain(error)))


def has_answered(error: BaseException) -> bool:
    """Whether an error is the answer of a store that is up."""
    causes = list(_chain(error))
    kinds = (FileNotFoundError, PermissionError, IsADirectoryError)
    return _first_status(causes) is not None or any(isinstance(cause, kinds) for cause in causes)


def finding(file: RemoteFile, error: BaseException) -> str:
    """What was seen of a store that gave no good answer, in a few words."""
    causes = list(_chain(error))
    status = _first_status(causes)
    if any(_is_named(cause, {"PayloadEncodingError"}) for cause in causes):
        return "its answer ended too early"
    if any(_is_named(cause, {"HttpProcessingError"}) for cause in causes):
        return "its answer is not HTTP"  # what it is instead may hold anything
    if status is None:
        return _words(file, error if isinstance(error, NoAnswer) else causes[-1])
    code = next(filter(None, map(_code, causes)), None)
    return f"HTTP {status} {code}" if code and not code.isdigit() else f"HTTP {status}"


def unavailable(
    file: RemoteFile,
    error: BaseException,
    *,
    attempts: int = 1,
    seconds: float = 0.0,
    others_read: bool = False,
    answered: bool = True,
) -> StoreUnavailable:
    """The error for a document whose store gave no good answer.

    Args:
        file: The document.
        error: What its library raised at the last attempt.
        attempts: How often it was asked.
        seconds: Over how long.
        others_read: Whether it gave good answers about other documents meanwhile.
        answered: Whether it has ever given any.
    """
    what = "cannot be reached" if no_connection(error) else "cannot be read now"
    store = store_of(file.url)
    others = ", which gives others out" if others_read else ""
    tries = f"after {attempts} attempts over {seconds:.1f} s" if attempts > 1 else "at once"
    return StoreUnavailable(
        gapped(
            f"{{}} {what}: its store, {literal(store)}{others}, fails ({{}}), and not the platform; given up "
            "{}. Check the store and the way to it, then try again",
            repr(str(file)),
            finding(file, error),
            tries,
        ),
        document=str(file),
        store=store,
        seconds=seconds,
        others_read=others_read,
        answered=answered,
        request_sent=not no_connection(error),
    )


def _reason(file: RemoteFile, error: BaseException, to: str) -> tuple[str, str]:  # noqa: C901, PLR0911 - a table
    """What is wrong, and what to do."""
    scheme = scheme_of(file.url) or ""
    if isinstance(error, MissingLibrary | UnknownScheme):
        return f"cannot be {to}", str(error)
    shortage = out_of(error)
    if shortage is not None:
        return f"cannot be {to} (no more {shortage})", advice(shortage)
    causes = list(_chain(error))
    if _lacks_credentials(causes):
        return f"cannot be {to} without credentials", f"its library looks for {_places(scheme)}"
    status = _first_status(causes)
    if _is_denied(causes):
        if is_web_url(file.url):
            return f"may not be {to}", "check its permissions; a URL with a signature may have expired"
        return (
            f"may not be {to}",
            f"check its permissions, and whose credentials are used ({_places(scheme)})",
        )
    if _is_untrusted(causes):
        return (
            f"lies on a host whose certificate is not trusted ({_words(file, causes[-1])})",
            "name the certificate of its authority in SSL_CERT_FILE",
        )
    if is_passing(error):
        what = f"cannot be {'reached' if _cut_off(causes) else to}"
        return f"{what} ({finding(file, error)})", "check the network, the host and its region"
    if isinstance(error, IsADirectoryError):
        return "is a folder", "name a file in it"
    if any(_is_named(cause, _MISLED) for cause in causes):
        what = "its server redirects without end, or to what is no web address"
        return f"cannot be {to} ({what})", "check the URL in a browser"
    if status in _GONE or any(isinstance(cause, FileNotFoundError) for cause in causes):
        if any("bucket" in str(cause).lower() and "not exist" in str(cause).lower() for cause in causes):
            return "lies in a bucket that does not exist", "check its name, and the region or endpoint"
        if status is not None and status not in _GONE:
            return f"cannot be {to} (HTTP {status})", "check the URL"
        return "does not exist", _NO_PATTERN if "*" in file.url and is_web_url(file.url) else _NO_SUCH_NAME
    said = _words(file, error) if status is None else finding(file, error)
    return f"cannot be {to} ({said})", "check the URL and its permissions"


def _lacks_credentials(causes: Sequence[BaseException]) -> bool:
    return any(type(cause).__name__ in _CREDENTIALS for cause in causes)


def _places(scheme: str) -> str:
    return _WHOSE.get(scheme, "what its documentation names")


def _is_denied(causes: Sequence[BaseException]) -> bool:
    return (
        _first_status(causes) in _DENIED
        or any(_code(cause) in _DENIED_CODES for cause in causes)
        or any(isinstance(cause, PermissionError) for cause in causes)
    )


def _is_untrusted(causes: Sequence[BaseException]) -> bool:
    return any(
        isinstance(cause, ssl.SSLCertVerificationError)
        or type(cause).__name__ == "ClientConnectorCertificateError"
        for cause in causes
    )


def _cut_off(causes: Sequence[BaseException]) -> bool:
    """Whether no connection came to be."""
    return any(
        isinstance(cause, ConnectionRefusedError | socket.gaierror)
        or _is_named(cause, _NO_CONNECTION)
        or (isinstance(cause, OSError) and cause.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH})
        for cause in causes
    )


def _is_named(error: BaseException, names: Collection[str]) -> bool:
    """Whether it is of a class of one of these names, which is not imported for that."""
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _words(file: RemoteFile, error: BaseException) -> str:
    """A library's own words, on one line and without what gives access."""
    own = " ".join((str(error) or type(error).__name__).replace(file.url, shown(file.url)).split())
    return mask_signatures(own)[:_MOST_WORDS]


def _first_status(causes: Sequence[BaseException]) -> int | None:
    return next(filter(None, map(_status, causes)), None)


def _status(error: BaseException) -> int | None:
    """The HTTP status in an error, where its library keeps it: aiohttp, botocore, gcsfs or Azure's."""
    if error.__cause__ is not None and _is_named(error.__cause__, {"HttpProcessingError"}):
        return None  # aiohttp's own 400, for an answer that it does not understand
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        names = ("code",) if type(error).__name__ == "HttpError" else ("status", "status_code")
        status = next((value for name in names if isinstance(value := getattr(error, name, None), int)), None)
    return status if isinstance(status, int) and status in _STATUSES else None


def _code(error: BaseException) -> str | None:
    """The code of an error that S3 or Azure gave."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    code = code or getattr(error, "error_code", None)
    return str(code) if code else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
