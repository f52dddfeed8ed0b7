"""Settings of a client: limits, time-outs, the retry policy.

Frozen values, checked when they are made; every default is an opinion with its reason beside it.
"""

from __future__ import annotations

import math
from typing import Literal

from opus_async.arguments import COUNT, number, one_of
from opus_async.frozen_settings import FrozenSettings, setting

MAX_UPLOAD_BYTES = 10 * 1024 * 1024
"""The vendor documents 10 MB a file and does not say which MB; the larger one refuses nothing valid."""

_ABOVE_0 = number("a number above 0", lambda value: 0 < value < math.inf)
_SECONDS = number("a number of seconds above 0", lambda value: 0 < value < math.inf)
_GRACE = number("a number of seconds, 0 or more", lambda value: 0 <= value < math.inf)
_SHARE = number("a number above 0 and up to 10", lambda value: 0 < value <= 10)  # noqa: PLR2004 - said beside it
_ON_AMBIGUOUS = one_of("resend", "resend_once", "stop")


class Limits(FrozenSettings):
    """How much happens at once, and per second.

    Attributes:
        max_in_flight: Jobs between their first request and their outcome, over all of one client: ``run`` and
            every ``run_many`` together; further ones wait for a slot. In each stream as many rows can be
            taken and not read yet, and memory follows them. A batch has a bound of its own.
        api_concurrency: API requests on the wire at once. One core does all it can with 64.
        upload_concurrency: Files on the wire at once.
        api_rate: API requests a second, polls included; None means as many as the platform takes. The limit
            that a 429 tells of, of its operation or of all requests, is learned, and kept to, up to this.
        poll_rate: Status polls a second, out of ``api_rate``; None means no bound of its own.
        upload_bandwidth: Bytes a second over all uploads; None means as many as the line takes.
        detect_lag: The wanted mean delay of noticing that a job ended, as a share of the run time learned
            so far, never under 0.5 s: 0.05 polls a one-minute job about every 6 s. A smaller share lowers
            that floor, too, in proportion to 20 ms at the least: 0.005 is 50 ms for jobs of up to 10 s.
            While work waits for a rate it is up to four times as long, so that polls leave room for the work.
        max_file_bytes: The largest file that is sent; the vendor refuses more than 10 MB.
    """

    max_in_flight: int = setting(COUNT, default=500)
    api_concurrency: int = setting(COUNT, default=64)
    upload_concurrency: int = setting(COUNT, default=32)
    api_rate: float | None = setting(_ABOVE_0, default=None)
    poll_rate: float | None = setting(_ABOVE_0, default=None)
    upload_bandwidth: float | None = setting(_ABOVE_0, default=None)
    detect_lag: float = setting(_SHARE, default=0.05)
    max_file_bytes: int = setting(COUNT, default=MAX_UPLOAD_BYTES)


class Timeouts(FrozenSettings):
    """How long one thing may take, in seconds; each clock starts when the request has its slot.

    Attributes:
        connect: Name look-up, connection and TLS handshake.
        request: One attempt of one API request, answer included.
        upload_stall: An upload that moves no byte for this long is given up and tried again, and so is a
            download. There is no total: a large file on a slow line is not an error.
        document: One request to the store of a document elsewhere: a look-up, or 2 MiB of its content. It is
            tried again, as ``RetryPolicy`` says.
        job: From the start of a job, when it has its slot of ``Limits.max_in_flight``, until we stop waiting
            for it; None waits for ever. Ends our waiting, not the job. A last poll is made then; its answer,
            and the results of a job that has ended by then, may take up to 5 s more.
    """

    connect: float = setting(_SECONDS, default=10)
    request: float = setting(_SECONDS, default=60)
    upload_stall: float = setting(_SECONDS, default=30)
    document: float = setting(_SECONDS, default=30)
    job: float | None = setting(_SECONDS, default=None)


class RetryPolicy(FrozenSettings):
    """What happens when a request fails. Waiting in a queue, pauses and 429s use up no attempts.

    Attributes:
        attempts: Attempts of one request, the first included.
        max_elapsed: Seconds over all attempts of one request, waits between them included, time spent in
            queues and pauses not. Also how long the platform may answer nothing but 429.
        base: The first backoff, in seconds; each next is twice as long, with full jitter.
        cap: No backoff is longer than this, in seconds.
        execute_grace: Seconds over which the platform is asked, at least three times, whether an execute
            with a lost answer took effect; twice as long after a second one, four times after a third.
        outage: Seconds for which a host may be gone (no name, no connection, nothing but 5xx or web pages) or
            answer nothing but 429 before it is given up; until then requests wait for it and use up neither
            attempts nor time. One that never answered this client is given up within 30 s all the same.
            None: each request ends by its own attempts and ``max_elapsed``, and none is kept from trying for
            longer than that.
        on_ambiguous: What to do when an execute got no clear answer and the job looks, after the grace,
            exactly like one never started: ``resend`` sends the same job id again, up to three orders in
            all, each after a proof of its own; ``resend_once`` up to two; ``stop`` raises
            AmbiguousExecution, also where the platform refused, because a refusal proves nothing.
    """

    attempts: int = setting(COUNT, default=8)
    max_elapsed: float = setting(_SECONDS, default=120)
    base: float = setting(_SECONDS, default=0.25)
    cap: float = setting(_SECONDS, default=20)
    execute_grace: float = setting(_GRACE, default=15)
    outage: float | None = setting(_SECONDS, default=None)
    on_ambiguous: Literal["resend", "resend_once", "stop"] = setting(_ON_AMBIGUOUS, default="resend")
