"""Responses of Operativus that refuse -> exceptions, with the server's words and what to do next.

A refusal is a problem (RFC 7807: ``type``, ``title``, ``detail``, and where fields are wrong
``invalidParams`` or ``errors``); a 401 is ``{timestamp, status, error, path}``; most 404 are empty; and a
proxy in between answers with a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from opus_async.errors import APIError
from opus_async.operativus.protocol.error_advice import adviser
from opus_async.operativus.protocol.hints import hint
from opus_async.redaction import Mask
from opus_async.wire.api_errors import api_error, detail_of, words_of
from opus_async.wire.excerpts import excerpt
from opus_async.wire.json_bodies import json_or_none
from opus_async.wire.messages import ApiResponse
from opus_async.wire.responses import first_of, text, whole

_ENVELOPE = ("status", "timestamp", "path", "instance", "type")
_NO_TYPE = "about:blank"
"""The type of a problem that has none of its own."""
_SENTENCES = ("detail", "message", "error", "title")
"""Fields that hold the words of a refusal, the best first."""
_FIELDS = ("invalidParams", "invalid_params", "invalid-params", "errors", "fieldErrors")
_FIELD_NAMES = ("field", "name", "param", "property", "path", "pointer")
_REASONS = ("message", "reason", "defaultMessage", "detail", "error")
_FIELDS_SHOWN = 20
_NAME_CHARS = 80
_FAILURES = range(400, 600)


def error_from(answer: ApiResponse) -> APIError:
    """Make the exception for a response that refuses; it is not raised here.

    Which fields of the request are wrong is in its ``invalid_fields``, and in its message.
    """
    error = api_error(answer, adviser(answer), hint=hint, words=_words)
    fields = dict(_wrong_fields(json_or_none(answer), answer.mask))
    if fields:
        error.invalid_fields = MappingProxyType(fields)
    return error


def is_problem(body: Any) -> bool:
    """Whether a body is nothing but the description of an error: a problem, or the form of a 401."""
    if not isinstance(body, dict) or "content" in body or "id" in body:
        return False
    status = body.get("status")
    is_failure = isinstance(status, int) and status in _FAILURES
    return is_failure and any(text(body.get(name)) for name in ("title", "detail", "error", "message"))


def _words(body: Any, mask: Mask) -> tuple[str, str | None]:
    """What a refusal says, and its type; see :data:`opus_async.wire.api_errors.Words`."""
    if not isinstance(body, dict):
        return words_of(body, mask)
    said = next(filter(None, (detail_of(body.get(name), mask) for name in _SENTENCES)), "")
    parts = [said, *_on_fields(body, said, mask), text(body.get("hint")), _sizes(body), _methods(body)]
    detail = detail_of([part for part in parts if part], mask)
    if not detail:
        detail, _ = words_of(body, mask, envelope=_ENVELOPE)
    kind = excerpt(text(body.get("type")) or "", _NAME_CHARS, mask)
    return detail, kind if kind not in {"", _NO_TYPE} else None


def _on_fields(body: Mapping[str, Any], said: str, mask: Mask) -> Iterator[str]:
    """What the refusal says of fields beside its sentence, and the sentences that stand in their place."""
    for name, why in _wrong_fields(body, mask):
        if name not in said or why not in said:
            yield f"{name}: {why}" if why else name
    held = _held(body)
    yield from (
        (entry for entry in held[:_FIELDS_SHOWN] if isinstance(entry, str)) if isinstance(held, list) else ()
    )


def _wrong_fields(body: Any, mask: Mask) -> Iterator[tuple[str, str]]:
    """The fields that a refusal names, each with the reason, which can be empty."""
    pairs = _pairs_in(_held(body)) if isinstance(body, dict) else ()
    for name, why in islice(pairs, _FIELDS_SHOWN):
        if shown := excerpt(name, _NAME_CHARS, mask):
            yield shown, detail_of(why, mask)


def _held(body: Mapping[str, Any]) -> list[Any] | dict[str, Any]:
    return next((held for name in _FIELDS if isinstance(held := body.get(name), list | dict) and held), [])


def _pairs_in(held: list[Any] | dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(held, dict):
        yield from ((name, why) for name, why in held.items() if name.strip())
        return
    for entry in held:
        if isinstance(entry, dict) and (name := text(first_of(entry, *_FIELD_NAMES))):
            yield name, first_of(entry, *_REASONS)


def _sizes(body: Mapping[str, Any]) -> str:
    most = whole(body.get("maxBytes"))
    return f"at most {most} bytes" if most else ""


def _methods(body: Mapping[str, Any]) -> str:
    named = body.get("supportedMethods")
    methods = [each for each in named if isinstance(each, str)] if isinstance(named, list) else []
    return f"methods: {', '.join(methods[:_FIELDS_SHOWN])}" if methods else ""
