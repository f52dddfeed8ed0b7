"""Whether callbacks are relied on: learned for each workflow, since calls that are promised may never come.

A callback is a hint that its job may have ended, and no more. Where a platform was asked to call, its jobs
are left alone until it does; but not before a few of them, the probes, have been polled as if nobody called
and have shown that the calls arrive, and no longer than they do.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from dataclasses import dataclass

from opus_async.jobs import polling

log = logging.getLogger("opus_async.jobs.watch")

PROBES = 3
"""Jobs of a workflow that are polled as if nobody called, until it is known whether calls arrive."""
ENDS_COUNTED = 20
"""Ends that tell how far calls can be relied on; the newest count."""
ENDS_ENOUGH = 3
"""Ends that are enough to tell: the probes' own."""
RELIABLE_SHARE = 0.5
"""Of those ends, how many a call must have told."""
POLLS_AFTER_CALLBACK = 5
"""Polls that soon follow a call about a job that has not ended yet, each wait twice the one before."""
EARLY_CALLBACKS = 1000
"""Calls remembered about jobs that nobody waits for yet: a quick job's call can outrun its start's answer."""


class CallbackTrust:
    """How far the callbacks about one workflow's jobs can be relied on: by the newest ends, told or found.

    Args:
        workflow_id: Named in the warning when trust is lost.

    Attributes:
        probes: How many jobs are polled now to find out.
    """

    def __init__(self, workflow_id: str = "") -> None:
        self.probes = 0
        self._workflow_id = workflow_id
        self._told: deque[bool] = deque(maxlen=ENDS_COUNTED)
        self._warned = False

    @property
    def reliable(self) -> bool | None:
        """Whether an end may be waited for; None while too few ends were seen."""
        if len(self._told) < ENDS_ENOUGH:
            return None
        return sum(self._told) >= RELIABLE_SHARE * len(self._told)

    @property
    def needs_probe(self) -> bool:
        """Whether another job should be polled to find out."""
        return self.reliable is None and self.probes < PROBES

    def learn(self, *, told: bool) -> bool:
        """Remember an end that a call told, or that a poll found first; returns whether trust is lost now."""
        trusted = self.reliable is not False
        self._told.append(told)
        if not trusted or self.reliable is not False:
            return False
        level = logging.DEBUG if self._warned else logging.WARNING
        log.log(
            level, "Calls about jobs of %s do not arrive in time: polling them instead", self._workflow_id
        )
        self._warned = True
        return True


@dataclass(slots=True, kw_only=True, eq=False)
class CallbackState:
    """What callbacks mean for one watched job."""

    trust: CallbackTrust | None = None
    """Of its workflow; None where the platform was not asked to call."""
    is_probe: bool = False
    """Whether it is polled as if nobody called, to find out whether calls arrive."""
    callback_wait: bool = False
    """Whether its next poll is the late one of a job whose end will be told."""
    called: bool = False
    """Whether a call is why it is polled next."""
    polls_after_callback: int = 0
    """Polls since a call came and it had not ended: a few soon, then nobody waits for another call."""

    def still_running(self) -> None:
        """A poll has shown that it goes on."""
        if self.called or self.polls_after_callback:
            self.called, self.polls_after_callback = False, self.polls_after_callback + 1

    @property
    def recently_called(self) -> bool:
        """Whether polls soon follow a call: it can be a little ahead of the status."""
        return 0 < self.polls_after_callback <= POLLS_AFTER_CALLBACK

    def interval_after_callback(self) -> float:
        """Seconds until the next of the polls that follow a call."""
        return polling.MIN_INTERVAL * 2.0 ** (self.polls_after_callback - 1)

    def may_wait_for_callback(self) -> bool:
        """Whether it may be left alone until it is called about."""
        if self.trust is None or self.called or self.polls_after_callback:
            return False
        reliable = self.trust.reliable
        return not self.is_probe if reliable is None else reliable


class EarlyCallbacks:
    """Calls about jobs that nobody waits for yet, the newest :data:`EARLY_CALLBACKS`."""

    def __init__(self) -> None:
        self._job_ids: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._job_ids)

    def add(self, job_id: str) -> None:
        """Remember one."""
        self._job_ids[job_id] = None
        if len(self._job_ids) > EARLY_CALLBACKS:
            self._job_ids.popitem(last=False)

    def take(self, job_id: str) -> bool:
        """Whether this job was called about; forgets it."""
        if job_id not in self._job_ids:
            return False
        del self._job_ids[job_id]
        return True
