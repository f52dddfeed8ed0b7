"""AWS Signature Version 4 in the query string: signing and checking presigned URLs.

Written from the AWS specification ("Authenticating Requests: Using Query Parameters"), for one service (S3)
and one payload hash (UNSIGNED-PAYLOAD). Pure: the moment is passed in. The strings are decoded and encoded
again before they are compared, as S3 does, so a re-ordered query is accepted and an altered value is not.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST_EXPIRY = 604_800
# A request signed by a clock this much ahead is refused: S3 tolerates fifteen minutes.
CLOCK_TOLERANCE = 15 * 60
_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_REQUIRED = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
_BAD_REQUEST, _FORBIDDEN = 400, 403


class SignatureError(Exception):
    """A presigned request that storage refuses.

    Attributes:
        status: The HTTP status S3 answers with.
        code: The error code of the XML answer.
        message: The sentence of the XML answer.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs, and for which region. Synthetic values only.

    Attributes:
        access_key: The public half.
        secret_key: The secret half.
        region: The AWS region in the scope of the signature.
        session_token: What temporary credentials send along, or None.
    """

    access_key: str
    secret_key: str
    region: str = "eu-central-1"
    session_token: str | None = None

    def __repr__(self) -> str:
        """Show the public half only."""
        return f"Credentials(access_key={self.access_key!r}, region={self.region!r})"


@dataclass(frozen=True, slots=True)
class PresignedRequest:
    """A request as it arrived at storage.

    Attributes:
        method: The HTTP method.
        path: The path as it stood on the request line, still encoded.
        query: The query as it stood on the request line, still encoded.
        headers: The headers, looked up without case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


def presign(
    credentials: Credentials,
    *,
    method: str,
    host: str,
    path: str,
    signed_at: float,
    expires: int,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Return the query string that makes a URL presigned.

    Args:
        credentials: Who signs.
        method: The HTTP method the URL is good for.
        host: The `Host` header the request will carry, with its port.
        path: The decoded path of the object.
        signed_at: The moment of signing, epoch seconds.
        expires: Validity in seconds.
        headers: Further headers that the request must carry with exactly these values, lower-case names.
    """
    signed = {"host": host, **(headers or {})}
    stamp = datetime.fromtimestamp(signed_at, UTC).strftime(_TIMESTAMP)
    query = _presigned_query(credentials, stamp, expires, ";".join(sorted(signed)), method)
    canonical = _canonical_request(method, quote(path, safe="/-_.~"), query, signed)
    return f"{query}&X-Amz-Signature={_signature(credentials, stamp, canonical)}"


# URLs of one second differ in their path and signature only.
@lru_cache(maxsize=64)
def _presigned_query(
    credentials: Credentials, stamp: str, expires: int, signed_names: str, method: str
) -> str:
    parameters = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
        "X-Amz-Credential": f"{credentials.access_key}/{_scope(stamp, credentials.region)}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": signed_names,
        "x-id": f"{method.capitalize()}Object",
    }
    if credentials.session_token:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    return _canonical_query(list(parameters.items()))


def verify(credentials: Credentials, request: PresignedRequest, now: float) -> frozenset[str]:
    """Check a presigned request as S3 does.

    Returns:
        The names of the headers that were signed, in lower case.

    Raises:
        SignatureError: If S3 would refuse the request, with its status, code and message.
    """
    parameters = _parse_query(request.query)
    given = dict(parameters)
    if "X-Amz-Signature" not in given and "X-Amz-Algorithm" not in given:
        raise SignatureError(_FORBIDDEN, "AccessDenied", "Access Denied")
    _check_parameters(credentials, given)
    stamp = given["X-Amz-Date"]
    _check_time(stamp, given["X-Amz-Expires"], now)
    names = given["X-Amz-SignedHeaders"].split(";")
    _check_headers(names, request.headers)
    path = quote(unquote_to_bytes(request.path), safe="/-_.~")
    unsigned = [(name, value) for name, value in parameters if name != "X-Amz-Signature"]
    signed = {name: request.headers[name] for name in names}
    canonical = _canonical_request(request.method, path, _canonical_query(unsigned), signed)
    if not hmac.compare_digest(_signature(credentials, stamp, canonical), given["X-Amz-Signature"]):
        raise mismatch()
    return frozenset(names)


def mismatch() -> SignatureError:
    """Return the refusal for a signature that does not belong to the request."""
    return SignatureError(
        _FORBIDDEN,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    )


def _malformed(message: str) -> SignatureError:
    return SignatureError(_BAD_REQUEST, "AuthorizationQueryParametersError", message)


def _check_parameters(credentials: Credentials, given: Mapping[str, str]) -> None:
    if any(name not in given for name in _REQUIRED):
        raise _malformed(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise _malformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    access_key, _, scope = given["X-Amz-Credential"].partition("/")
    if access_key != credentials.access_key:
        raise SignatureError(
            _FORBIDDEN,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        )
    if scope != _scope(given["X-Amz-Date"], credentials.region):
        raise _malformed("Error parsing the X-Amz-Credential parameter; the scope does not fit the request")
    if credentials.session_token and given.get("X-Amz-Security-Token") != credentials.session_token:
        raise SignatureError(
            _BAD_REQUEST, "InvalidToken", "The provided token is malformed or otherwise invalid."
        )


def _check_time(stamp: str, expires: str, now: float) -> None:
    try:
        signed_at = datetime.strptime(stamp, _TIMESTAMP).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise _malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"") from None
    if not expires.isascii() or not expires.isdigit():
        raise _malformed("X-Amz-Expires should be a number")
    if int(expires) > LONGEST_EXPIRY:
        raise _malformed("X-Amz-Expires must be less than a week (in seconds); that is, 604800")
    if now > signed_at + int(expires):
        raise SignatureError(_FORBIDDEN, "AccessDenied", "Request has expired")
    if signed_at > now + CLOCK_TOLERANCE:
        raise SignatureError(_FORBIDDEN, "AccessDenied", "Request is not yet valid")


def _check_headers(names: list[str], headers: Mapping[str, str]) -> None:
    if "host" not in names:
        raise _malformed("X-Amz-SignedHeaders must contain host")
    if any(name not in headers for name in names):
        raise mismatch()
    unsigned = sorted(name.lower() for name in headers if name.lower().startswith("x-amz-"))
    if extra := [name for name in unsigned if name not in names]:
        raise SignatureError(
            _FORBIDDEN,
            "AccessDenied",
            f"There were headers present in the request which were not signed: {', '.join(extra)}",
        )


def _parse_query(query: str) -> list[tuple[str, str]]:
    # Not parse_qsl: it reads "+" as a space, S3 does not.
    pairs = (piece.partition("=") for piece in query.split("&") if piece)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")


def _scope(stamp: str, region: str) -> str:
    return f"{stamp[:8]}/{region}/s3/aws4_request"


def _canonical_query(parameters: list[tuple[str, str]]) -> str:
    encoded = sorted((_encode(name), _encode(value)) for name, value in parameters)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _canonical_request(method: str, path: str, query: str, headers: Mapping[str, str]) -> str:
    names = sorted(headers)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
    return "\n".join((method, path, query, lines, ";".join(names), "UNSIGNED-PAYLOAD"))


def _signature(credentials: Credentials, stamp: str, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join((ALGORITHM, stamp, _scope(stamp, credentials.region), digest))
    key = _signing_key(credentials.secret_key, stamp[:8], credentials.region)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = b"AWS4" + secret_key.encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
