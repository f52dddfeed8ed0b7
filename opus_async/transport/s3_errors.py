"""Error responses of object storage: code and message, taken from an XML body."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from opus_async.redaction import Secrets, mask_signatures, presigned_secret

_READ_BYTES = 64 * 1024
_LONGEST_TEXT = 300


class S3Error(NamedTuple):
    """Why storage refused a request, without secrets.

    Attributes:
        code: The S3 error code, where there is one.
        words: Its message, without any query of a URL.
    """

    code: str | None
    words: str | None

    @property
    def expired(self) -> bool:
        """Whether the presigned URL has expired."""
        return self.code == "ExpiredToken" or (self.words is not None and "expired" in self.words.lower())

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.code, self.words))) or "without a reason"


def read_refusal(body: bytes, url: str) -> S3Error:
    """Read the body of an error response; any body, however malformed.

    Args:
        body: Of the response.
        url: Of the request; its query is a secret, which storage may quote.
    """
    text = body[:_READ_BYTES].decode("utf-8", "replace")
    signed = Secrets.of(presigned_secret(url))
    return S3Error(_tag(text, "Code", signed), _tag(text, "Message", signed))


def _tag(text: str, name: str, signed: Secrets) -> str | None:
    """The text of an XML element. No parser: the page may be hostile, and two texts are all we want."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    if found is None:
        return None
    words = mask_signatures(signed.mask(found[1]))
    words = " ".join(html.unescape(words).split())
    words = re.sub(r"\?\S+", "?...", words)
    words = re.sub(r"(?i)(x-amz-[a-z-]+=)\S+", r"\1...", words)
    return words[:_LONGEST_TEXT] or None
