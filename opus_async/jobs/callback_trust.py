"""Whether callbacks are relied on: learned for each workflow, since promised callbacks may never come.

A callback is a hint that its job may have ended, and no more. Where a platform was asked to call, jobs are
not polled until it does; but only after a few of them, the probes, were polled as if there were no callbacks
and have shown that callbacks arrive, and only for as long as they do.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque

from opus_async.jobs import polling

log = logging.getLogger("opus_async.jobs")

PROBES = 3
"""Jobs of a workflow that are polled as if there were no callbacks, until it is known whether any come."""
ENDS_COUNTED = 20
"""Ends of jobs by which callbacks are judged; the newest count."""
ENDS_ENOUGH = 3
"""Ends of jobs that are enough to judge by: those of the probes."""
RELIABLE_SHARE = 0.5
"""Share of those ends that a callback must have announced."""
POLLS_AFTER_CALLBACK = 5
"""Polls that soon follow a callback about a job that has not ended, each wait twice the one before."""
EARLY_CALLBACKS = 1000
"""Callbacks remembered about jobs that are not watched yet: a quick job's can outrun its start."""


class CallbackTrust:
    """How far the callbacks about one workflow's jobs can be relied on, judged by the newest ends.

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
        """Whether callbacks can be relied on; None while too few ends were seen."""
        if len(self._told) < ENDS_ENOUGH:
            return None
        return sum(self._told) >= RELIABLE_SHARE * len(self._told)

    @property
    def needs_probe(self) -> bool:
        """Whether another job should be polled to find out."""
        return self.reliable is None and self.probes < PROBES

    def learn(self, *, told: bool) -> bool:
        """Count an end that a callback announced, or that a poll found first.

        Returns:
            Whether callbacks were relied on until now, and are not from now on.
        """
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


class CallbackState:
    """The state of one watched job as far as callbacks go."""

    __slots__ = ("callback_wait", "called", "is_probe", "polls_after_callback", "trust")

    def __init__(self) -> None:
        self.trust: CallbackTrust | None = None
        """Of its workflow; None where the platform was not asked to call."""
        self.is_probe = False
        """Whether it is polled as if there were no callbacks, to find out whether they arrive."""
        self.callback_wait = False
        """Whether its next poll is a late one, since a callback is expected."""
        self.called = False
        """Whether it is polled next because of a callback."""
        self.polls_after_callback = 0
        """Polls since a callback came and it had not ended: a few soon, then it is polled without
        callbacks."""

    def still_running(self) -> None:
        """Count a poll that showed it running."""
        if self.called or self.polls_after_callback:
            self.called, self.polls_after_callback = False, self.polls_after_callback + 1

    @property
    def recently_called(self) -> bool:
        """Whether polls soon follow a callback, which can be a little ahead of the status."""
        return 0 < self.polls_after_callback <= POLLS_AFTER_CALLBACK

    def interval_after_callback(self) -> float:
        """Seconds until the next of the polls that follow a callback."""
        return polling.MIN_INTERVAL * 2.0 ** (self.polls_after_callback - 1)

    def may_wait_for_callback(self) -> bool:
        """Whether it need not be polled until a callback comes."""
        if self.trust is None or self.called or self.polls_after_callback:
            return False
        reliable = self.trust.reliable
        return not self.is_probe if reliable is None else reliable


class EarlyCallbacks:
    """Callbacks about jobs that are not watched yet, the newest :data:`EARLY_CALLBACKS`."""

    def __init__(self) -> None:
        self._job_ids: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._job_ids)

    def add(self, job_id: str) -> None:
        """Remember a callback about this job."""
        self._job_ids[job_id] = None
        if len(self._job_ids) > EARLY_CALLBACKS:
            self._job_ids.popitem(last=False)

    def take(self, job_id: str) -> bool:
        """Whether there was a callback about this job; forgets it."""
        if job_id not in self._job_ids:
            return False
        del self._job_ids[job_id]
        return True
