"""Requests to a platform's API and its responses, as values without a host and a key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.redaction import Mask
from opus_async.wire.excerpts import as_it_is


@cheap_dataclass(kw_only=True)
class ApiRequest:
    """A request to the API, before it has a host and a key.

    Attributes:
        operation: Its name in events, logs and limits: ``workflow``, ``initiate``, ``presign``, ...
        method: The HTTP method.
        path: Percent-encoded, beginning with ``/``, its query included.
        body: The JSON object to send; None for none.
        repeatable: Whether a second sending after a lost answer is harmless. False for ``execute``, which
            starts a bill, and for ``duplicate``, which makes a job.
        secret: A text of the body that no error may quote, whoever quotes it to us: the callback URL.
        job_id: The job that it is about; None for a call about none, or one that makes another.
        workflow_id: The workflow that it is about, where an answer names that.
        subject_id: What else it is about, where an answer names that: a run, a step.
    """

    operation: str
    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = True
    secret: str | None = field(default=None, repr=False)
    job_id: str | None = None
    workflow_id: str | None = None
    subject_id: str | None = None


@cheap_dataclass(kw_only=True)
class ApiResponse:
    """A response of the API, before it is read.

    Attributes:
        status: The HTTP status.
        headers: Case-insensitive.
        body: The bytes, decompressed.
        method: Of the request.
        url: Of the request, without its query.
        attempt: Which attempt got it, from 1.
        job_id: The job that was asked about; None where an answer may name any.
        workflow_id: The workflow that was asked for.
        subject_id: What else was asked about.
        mask: Takes the secrets of whoever asked out of a text.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    url: str = ""
    attempt: int = 1
    job_id: str | None = None
    workflow_id: str | None = None
    subject_id: str | None = None
    mask: Mask = field(default=as_it_is, repr=False, compare=False)


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Get a header by its lower-case name, also from a mapping that tells cases apart; None without one."""
    value = headers.get(name)
    if value is None:
        matches: Iterable[str] = (headers[key] for key in headers if key.lower() == name)
        value = next(iter(matches), None)
    return value
