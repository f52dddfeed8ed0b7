"""What a refusal by the platform means, and what to do about it: from its status and its words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from opus_async.error_codes import NextAction
from opus_async.errors import QuotaExhausted
from opus_async.wire.api_errors import Advice, Refusal

_ADVICE: Mapping[int, Advice] = {
    400: Advice(
        "The platform refused the request", "Correct it first: the same request will be refused again"
    ),
    403: Advice(
        "The user behind the service key may not do this",
        "Ask an administrator of the organization for the permission, or use another user's key",
    ),
    404: Advice(
        "The platform does not know this id, or does not show it to this key",
        "Check the id, its generation, and that the key's user belongs to its workspace",
    ),
    409: Advice("The platform is busy with the same thing", "Wait until that has ended, then try again"),
    413: Advice("The platform finds the request too large", "Files may have 10 MB each: send less at once"),
    422: Advice(
        "The platform refused the request", "Correct it first: the same request will be refused again"
    ),
    429: Advice(
        "The platform answers only that there are too many requests",
        "Lower api_rate or max_in_flight, or try again later",
    ),
}

QUOTA_ADVICE = Advice(
    "The plan's or the budget's limit is used up",
    "Nothing will be accepted until it is raised: ask who administers the plan of your organization in Opus",
    kind=QuotaExhausted,
)
_MAY_SPEAK_OF_QUOTA = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
_LIMIT = r"(?:quota|credits?|(?:usage|plan|credit|budget|billing|spending|monthly|annual) limit)"
_QUOTA_WORDS = (
    rf"\b{_LIMIT} (?:(?:has|have) been |is |are |was )?(?:exceeded|exhausted|reached|used up|depleted)\b"
    rf"|\b(?:exceeded|exhausted|reached|used up|out of) (?:(?:your|its|the|their|all) )?"
    rf"(?:(?:current|monthly|annual) )?{_LIMIT}\b"
    r"|\binsufficient (?:credits?|quota|funds|balance)\b"
    r"|\bno (?:more )?credits? (?:left|remaining)\b"
)
"""What can mean nothing else. The vendor documents no such refusal: any word in doubt stays what its status
says."""
_RATE_WORDS = r"\bper (?:second|minute|hour|day)\b|\brate\b|\btoo many requests\b|\bconcurrent|\bactive\b"
"""Words of a limit that passes by itself, whatever else is said: other services call that a quota, too."""


def speaks_of_quota(detail: str, code: str | None) -> bool:
    """Whether a refusal says that a quota is used up, which no waiting brings back."""
    said = re.sub(r"[\s_-]+", " ", f"{code or ''}. {detail}".lower())
    return bool(re.search(_QUOTA_WORDS, said)) and not re.search(_RATE_WORDS, said)


def advise(refusal: Refusal) -> Advice:
    """What a refusal means and what to do about it."""
    status, detail = refusal.status, refusal.detail
    may_be_quota = status in _MAY_SPEAK_OF_QUOTA and refusal.wait is None
    if status == HTTPStatus.PAYMENT_REQUIRED or (may_be_quota and speaks_of_quota(detail, refusal.code)):
        return QUOTA_ADVICE
    return _advice_for(status, detail)


def _advice_for(status: int, detail: str) -> Advice:
    if status == HTTPStatus.UNAUTHORIZED:
        return _advice_on_key(detail.lower())
    if status == HTTPStatus.NOT_FOUND and detail.startswith("Cannot "):
        return Advice(
            "There is no such path at this base URL",
            "Check the base URL (the host alone), and the generation of the API",
            NextAction.CHOOSE_GENERATION,
        )
    if status in _ADVICE:
        return _ADVICE[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Advice(
            "The platform failed", "Try again later; if it goes on, report the request id to the vendor"
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Advice(
            "The platform answered with a redirect", "Check the base URL: it is followed to no other host"
        )
    return Advice(
        f"The platform answered HTTP {status}", "See the detail, and report the request id to the vendor"
    )


def _advice_on_key(detail: str) -> Advice:
    """What a 401 means, by its words in lower case."""
    if "auth cookie" in detail:
        return Advice(
            "This path is for browsers only",
            "The service key is not the problem: check the base URL and the path",
            NextAction.CHOOSE_GENERATION,
        )
    if "required" in detail or "missing" in detail:
        return Advice(
            "The service key did not arrive",
            "Set OPUS_SERVICE_KEY; a proxy may have removed the x-service-key header",
            NextAction.SET_KEY,
        )
    return Advice(
        "The service key is wrong or has expired",
        "Make a new one in Opus under My Organization > settings > API Keys",
    )
