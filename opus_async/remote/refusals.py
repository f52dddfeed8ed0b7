"""Errors of many libraries -> what is wrong with a document, and what to do about it."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator, Sequence

from opus_async.errors import ConfigurationError, OpusError, TransportError
from opus_async.gaps import gapped, literal
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.redaction import mask_signatures
from opus_async.remote.libraries import MissingLibrary, UnknownScheme
from opus_async.remote_urls import RemoteFile, scheme_of, shown
from opus_async.transport.shortage import advice, out_of

_MOST_WORDS = 200
"""Characters of a library's own words that are quoted."""
_DENIED = frozenset({401, 403})
_GONE = frozenset({404, 410})
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
    code = ProblemCode.NOT_SUPPORTED if isinstance(error, UnknownScheme) else ProblemCode.NO_FILE
    return Unfit(f"{{}} {literal(what)}: {literal(fix)}", repr(str(file)), code=code, file=str(file))


def obstacle(file: RemoteFile, error: Exception) -> OpusError | None:
    """What keeps a document from being looked up and would keep others of its store from it as well.

    Returns:
        A ConfigurationError where something is missing on this machine, a TransportError where the store
        cannot be reached; None for what is wrong with this document.
    """
    causes = list(_chain(error))
    told = gapped("{}", refused(file, error).message)
    if isinstance(error, MissingLibrary) or _lacks_credentials(causes):
        return ConfigurationError(told)
    if out_of(error) is None and _unreachable(causes):
        unreachable = TransportError(told, request_sent=False, method="HEAD", url=str(file))
        unreachable.storage = True
        return unreachable
    return None


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
    status = next(filter(None, map(_status, causes)), None)
    if status in _DENIED or any(isinstance(cause, PermissionError) for cause in causes):
        return (
            f"may not be {to}",
            f"check its permissions, and whose credentials are used ({_places(scheme)})",
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return (
            f"lies on a host whose certificate is not trusted ({_words(file, causes[-1])})",
            "name the certificate of its authority in SSL_CERT_FILE",
        )
    if _unreachable(causes):
        return f"cannot be reached ({_words(file, causes[-1])})", "check the network, the host and its region"
    if isinstance(error, IsADirectoryError):
        return "is a folder", "name a file in it"
    if status in _GONE or any(isinstance(cause, FileNotFoundError) for cause in causes):
        if any("bucket" in str(cause).lower() and "not exist" in str(cause).lower() for cause in causes):
            return "lies in a bucket that does not exist", "check its name, and the region or endpoint"
        if status is not None and status not in _GONE:
            return f"cannot be {to} (HTTP {status})", "check the URL, and try again later"
        return "does not exist", "check the name, capital letters included"
    return f"cannot be {to} ({_words(file, error)})", "check the URL and its permissions"


def _lacks_credentials(causes: Sequence[BaseException]) -> bool:
    return any(type(cause).__name__ in _CREDENTIALS for cause in causes)


def _places(scheme: str) -> str:
    return _WHOSE.get(scheme, "what its documentation names")


def _unreachable(causes: Sequence[BaseException]) -> bool:
    kinds = (ConnectionError, TimeoutError, ssl.SSLError)
    return any(
        isinstance(cause, kinds)
        or type(cause).__name__ in {"ConnectTimeoutError", "EndpointConnectionError", "FSTimeoutError"}
        or type(cause).__name__.startswith(("ClientConnect", "ClientOSError", "ServerDisconnected"))
        or (isinstance(cause, OSError) and cause.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH})
        for cause in causes
    )


def _words(file: RemoteFile, error: BaseException) -> str:
    """A library's own words, on one line and without what gives access."""
    own = " ".join((str(error) or type(error).__name__).replace(file.url, shown(file.url)).split())
    return mask_signatures(own)[:_MOST_WORDS]


def _status(error: BaseException) -> int | None:
    """The HTTP status in an error, where its library keeps it: aiohttp, botocore, gcsfs or Azure's."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(error, "status", None) or getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
