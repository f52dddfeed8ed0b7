"""How a fault looks on the wire.

Two primitives, a closed connection and raw bytes, and the answers that a gateway in front of the service
gives. Which request is hit is decided in `faults`.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from opus_async.simulator import faults, traits
from opus_async.simulator.answers import HTML_TYPE, Answer, Refusal, envelope, to_json
from opus_async.simulator.seeded_random import pick

if TYPE_CHECKING:
    from collections.abc import Callable

    from opus_async.simulator.faults import Fault

SHORTEST_DELAY, LONGEST_DELAY = 0.1, 0.6
# Half of the closed connections are reset, the others just end: clients see two different errors.
_RESET_SHARE = 0.5
_GATEWAY_ERRORS = (500, 502, 503, 504)
# Zero is legal, and means that a client may come back at once.
_WAITS = (0, 0.2, 1)
_ODD_STATUSES = (b'{"status": null}', b"{}", b'{"status": ""}', b"null", b'{"status": 7}', b"[]")
_BEFORE = frozenset({faults.ERROR_BEFORE, faults.RATE_LIMITED, faults.UNAVAILABLE, faults.NOT_FOUND})
_NO_LINGER: Final = struct.pack("ii", 1, 0)


async def deliver(
    request: web.BaseRequest,
    fault: Fault,
    effect: Callable[[], Answer],
    instead: Callable[[Fault], Answer],
) -> Answer | None:
    """Do what the fault says to an API request.

    Args:
        request: The request, its body already read.
        fault: What hits it.
        effect: Does what the request asks for; called unless the fault comes before it.
        instead: Returns what the platform answers in place of an effect: a 429, a 5xx, a 404.

    Returns:
        The answer to send, or None if the connection was closed.
    """
    if fault.kind == faults.RESET_BEFORE:
        close(request, reset=fault.chance < _RESET_SHARE)
        return None
    if fault.kind in _BEFORE:
        return instead(fault)
    answer = effect()
    if fault.kind == faults.SLOW:
        await asyncio.sleep(delay(fault))
    return _damage(request, fault, answer)


def delay(fault: Fault) -> float:
    """Return how long a slow answer takes, in seconds."""
    return SHORTEST_DELAY + (LONGEST_DELAY - SHORTEST_DELAY) * fault.chance


def close(request: web.BaseRequest, *, reset: bool) -> None:
    """Close the connection of a request without an answer: with a reset, or with a plain end of stream."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if reset and raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def send_truncated(request: web.BaseRequest, answer: Answer, chance: float) -> None:
    """Send an answer that ends before its Content-Length, and close the connection."""
    send_part(request, answer, _cut(answer.body, chance))


def send_part(request: web.BaseRequest, answer: Answer, size: int) -> None:
    """Send the head of an answer and the first `size` bytes of its body, and close the connection."""
    transport = request.transport
    if transport is None:
        return
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {max(len(answer.body), 1)}\r\n\r\n"
    )
    transport.write(head.encode() + answer.body[:size])
    transport.close()


def html_error(status: int) -> Answer:
    """Return the HTML page of a gateway."""
    phrase = HTTPStatus(status).phrase
    page = (
        f"<html>\r\n<head><title>{status} {phrase}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} {phrase}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status, page.encode(), HTML_TYPE)


def too_many_requests(path: str, now: float, retry_after: float, active: frozenset[str]) -> Answer:
    """Return a 429, with the wait time it was seen to give, in seconds, where the active traits say it."""
    status, wait = HTTPStatus.TOO_MANY_REQUESTS, {"metadata": {"retryAfterSeconds": retry_after}}
    if traits.THROTTLE_GENERATION in active:
        # The documented limit of a workspace.
        return to_json({"scope": "workspace", "limit": 20, "active": 20}, status)
    if traits.THROTTLE_METADATA in active:
        return to_json(wait, status)
    bare = envelope(Refusal(status, "Too many requests"), path, now, active)
    if traits.THROTTLE_BARE in active:
        return bare
    if traits.THROTTLE_HEADER in active:
        return replace(bare, headers={"Retry-After": str(math.ceil(retry_after))})
    if traits.THROTTLE_DATE in active:
        return replace(bare, headers={"Retry-After": formatdate(now + retry_after, usegmt=True)})
    return envelope(Refusal(status, "Too many requests", **wait), path, now, active)


def _damage(request: web.BaseRequest, fault: Fault, answer: Answer) -> Answer | None:
    """Return what becomes of an answer whose effect is done, or None if the connection was closed."""
    match fault.kind:
        case faults.RESET_AFTER:
            close(request, reset=fault.chance < _RESET_SHARE)
            return None
        case faults.TRUNCATED:
            send_truncated(request, answer, fault.chance)
            return None
        case faults.ERROR_AFTER:
            return html_error(pick(_GATEWAY_ERRORS, fault.chance))
        case faults.CUT_JSON:
            return replace(answer, body=answer.body[: _cut(answer.body, fault.chance)])
        case faults.ODD_STATUS:
            return Answer(HTTPStatus.OK, pick(_ODD_STATUSES, fault.chance))
    return answer


def turned_away(fault: Fault, path: str, now: float, active: frozenset[str]) -> Answer:
    """Return what Opus answers to a request that a fault keeps from having an effect."""
    if fault.kind == faults.RATE_LIMITED:
        return too_many_requests(path, now, wait_of(fault), active)
    if fault.kind == faults.NOT_FOUND:
        return envelope(Refusal(HTTPStatus.NOT_FOUND, "Job not found"), path, now, active)
    return html_error(status_of(fault))


def wait_of(fault: Fault) -> float:
    """Return the seconds that a 429 asks for."""
    return pick(_WAITS, fault.chance)


def status_of(fault: Fault) -> int:
    """Return the status of a 5xx."""
    if fault.kind == faults.UNAVAILABLE:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return pick(_GATEWAY_ERRORS, fault.chance)


def _cut(body: bytes, chance: float) -> int:
    """Return where to cut a body so that what is left is not complete JSON."""
    end = int(len(body) * chance)
    while end and _is_json(body[:end]):
        end -= 1
    return end


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
