"""Sends the request that starts a job, which is never repeated blindly: what its failure proves."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from opus_async.clients.sender import Sender
from opus_async.errors import (
    APIError,
    AuthenticationError,
    Obstacle,
    OpusError,
    ProtocolError,
    TransportError,
)
from opus_async.events import FailureClass
from opus_async.platform import AboutToSend, AmbiguousStart, StartAnswer, nothing
from opus_async.transport.failures import classify
from opus_async.wire.messages import ApiRequest, ApiResponse

ValueT = TypeVar("ValueT")


async def send_start(
    sender: Sender,
    call: ApiRequest,
    read: Callable[[ApiResponse], ValueT],
    about_to_send: AboutToSend = nothing,
    *,
    on_attempt: Callable[[], None] = lambda: None,
) -> ValueT:
    """Send a start request. Repeated only when no byte of it can have left, or on a 429.

    Args:
        sender: Sends it.
        call: A request that is not repeatable.
        read: Makes a value of its response.
        about_to_send: Told once, when the first attempt has its turn.
        on_attempt: Called right before each attempt is sent.

    Raises:
        AmbiguousStart: It may or may not have taken effect, whatever was answered.
        OpusError: Proved to have had no effect: nothing was sent, or nothing but 429 came back.
    """
    try:
        return await sender.send(call, read, about_to_send=about_to_send, on_attempt=on_attempt)
    except OpusError as error:
        if _proves_no_effect(error):
            raise
        key_worked_before = isinstance(error, AuthenticationError) and sender.key_worked
        refused = is_refusal(error) and not key_worked_before
        raise AmbiguousStart(error, StartAnswer.REFUSED if refused else StartAnswer.LOST) from error


def is_refusal(error: OpusError) -> bool:
    """Whether a start was refused or redirected, which proves nothing by itself."""
    redirected = isinstance(error, TransportError) and error.obstacle is Obstacle.REDIRECT
    return redirected or classify(error) is FailureClass.REFUSED


def _proves_no_effect(error: OpusError) -> bool:
    """Whether a start that failed so has had no effect: no byte of it left, or it was a 429."""
    if isinstance(error, APIError):
        return error.status == HTTPStatus.TOO_MANY_REQUESTS
    if isinstance(error, TransportError):
        return not error.request_sent
    return not isinstance(error, ProtocolError)  # wrong inputs or settings, found before anything was sent
