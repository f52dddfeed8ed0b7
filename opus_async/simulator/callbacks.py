"""Sends callbacks: a POST to the callbackUrl of a run, to this machine only.

What is sent when is decided in `callback_plans`. The path of a callback URL is a secret of its receiver: it
is in no log, no repr and no answer of the simulator.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import deque
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from opus_async.simulator.callback_plans import Posting, plan, target_url, write_body
from opus_async.simulator.results import compute_outputs
from opus_async.simulator.runs import COMPLETED, FAILED

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from opus_async.simulator.config import SimulatorConfig
    from opus_async.simulator.runs import Generation, Job, Run
    from opus_async.simulator.uploads import Upload

AT_ONCE = 64
_TIMEOUT = 5.0
_RETRY_AFTER = 0.2
# A timer of the loop may be a little early, by the clock of the simulator.
_SHORTEST_WAIT = 0.001
# Under which names a body tells the id and the results.
_FIELDS: dict[Generation, tuple[str, str]] = {
    "v0": ("jobExecutionId", "jobResultsPayloadSchema"),
    "v1": ("caseId", "results"),
}


def loopback_target(callback_url: str) -> URL | None:
    """Return the URL to send to, byte-identical from the path on, or None if it is not on this machine."""
    try:
        url = URL(callback_url, encoded=True)
        # No name is ever looked up: what this one means is not a matter of the machine's configuration.
        host = "127.0.0.1" if url.host == "localhost" else url.host or ""
        if url.scheme not in ("http", "https") or not ipaddress.ip_address(host).is_loopback:
            return None
        return url.with_host(host)
    except ValueError:
        return None


def origin(callback_url: str) -> str:
    """Return scheme, host and port of a callback URL: what may be shown of it."""
    try:
        return str(URL(callback_url, encoded=True).origin())
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True, eq=False)
class _PlannedPost:
    """One POST that waits for its moment."""

    target: URL = field(repr=False)
    job: Job
    run: Run
    posting: Posting
    again: bool = False


class CallbackSender:
    """Sends the callbacks of one simulator, a bounded number at once.

    Args:
        config: The callback profile and the seed.
        clock: Returns epoch seconds.
        find_upload: Returns the upload behind a file URL, for the results in a body.
        counts: Counts `sent`, and of these `delivered` (answered 2xx) and `failed`; `forged` POSTs; and
            `skipped` runs whose URL is not on this machine.
        answers: Counts answers per HTTP status.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        clock: Callable[[], float],
        find_upload: Callable[[str], Upload | None],
        *,
        counts: Counter[str],
        answers: Counter[int],
    ) -> None:
        self._config = config
        self._clock = clock
        self._find_upload = find_upload
        self._counts = counts
        self._answers = answers
        self._timers: dict[_PlannedPost, asyncio.TimerHandle] = {}
        self._due: deque[_PlannedPost] = deque()
        self._senders: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def expect(self, job: Job) -> None:
        """Plan the callbacks of a run that was just accepted; a second run of a job has its own."""
        if job.run is None or job.callback_url is None:
            return
        target = loopback_target(job.callback_url)
        if target is None:
            self._counts["skipped"] += 1
            return
        for posting in plan(self._config.callbacks, self._config.seed, job, job.run):
            self._wait(_PlannedPost(target, job, job.run, posting))

    async def close(self) -> None:
        """Drop what was not sent yet, end what is on its way, and close the connections."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._due.clear()
        for task in self._senders:
            task.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _wait(self, planned: _PlannedPost) -> None:
        delay = max(planned.posting.moment - self._clock(), _SHORTEST_WAIT)
        self._timers[planned] = asyncio.get_running_loop().call_later(delay, self._fall_due, planned)

    def _fall_due(self, planned: _PlannedPost) -> None:
        del self._timers[planned]
        if self._clock() < planned.posting.moment:
            self._wait(planned)
            return
        self._due.append(planned)
        if len(self._senders) < AT_ONCE:
            task = asyncio.create_task(self._send_due())
            self._senders.add(task)
            task.add_done_callback(self._senders.discard)

    async def _send_due(self) -> None:
        while self._due:
            await self._send(self._due.popleft())

    async def _send(self, planned: _PlannedPost) -> None:
        forged = planned.posting.forged
        self._counts["forged" if forged else "sent"] += 1
        status = await self._post(planned)
        if status is not None:
            self._answers[status] += 1
        if forged:
            return
        delivered = status is not None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
        self._counts["delivered" if delivered else "failed"] += 1
        if not delivered and not planned.again:
            later = replace(planned.posting, moment=self._clock() + _RETRY_AFTER)
            self._wait(replace(planned, posting=later, again=True))

    async def _post(self, planned: _PlannedPost) -> int | None:
        """Return the status of the answer, or None if there was none."""
        posting = planned.posting
        about = (self._config.seed, planned.job.identity)
        body, content_type = write_body(posting.form, self._tell(planned), *about)
        try:
            async with self._open_session().post(
                target_url(planned.target, posting.target, *about),
                data=body,
                headers={"Content-Type": content_type},
                allow_redirects=False,
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            # Not even logged: the text of these names the URL.
            return None

    def _tell(self, planned: _PlannedPost) -> dict[str, Any]:
        job = planned.job
        id_field, results_field = _FIELDS[job.generation]
        told: dict[str, Any] = {id_field: job.job_id, "status": COMPLETED}
        if planned.posting.forged:
            forged = {"value": "forged", "type": "str"}
            outputs = {output.variable_name: forged for output in job.workflow.outputs}
        elif planned.run.failing_node is None:
            outputs = compute_outputs(job, self._find_upload)
        else:
            return told | {"status": FAILED}
        return told | {results_field: outputs}

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Nobody certifies an address of this machine: such a certificate is made by its owner.
                connector=aiohttp.TCPConnector(limit=AT_ONCE, ssl=False),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
            )
        return self._session
