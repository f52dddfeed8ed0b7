"""What is known of the stores in which documents lie: whether they answer, and since when not."""

from __future__ import annotations

import logging
from collections import OrderedDict

from opus_async.events import HostState, HostTroubled
from opus_async.remote.patience import tell

log = logging.getLogger("opus_async.remote")

NEVER_ANSWERED = 30.0
"""Seconds for which a store is waited for that never answered: its name, or the way to it, may be wrong."""
FORGOTTEN = 300.0
"""Seconds after which a failure says nothing any more, as with hosts of the platform."""
_QUIET = 60.0
"""Seconds for which it is no news that a store fails for several documents: it gave another one."""
TOLD_AFTER = 1.0
"""Seconds for which a store fails for one document alone before that is told: all else is told at once."""
_ANSWERS = "it answers again"
_MOST = 256
"""Stores that are told apart, about 300 bytes each; the oldest are forgotten."""


class StoreHealth:
    """What is known of one store, by the clock of :func:`time.monotonic`.

    Args:
        name: Of the store, for the log.

    Attributes:
        answered_at: When it last gave a good answer; None if it never did.
        given: The URL of a document that it last gave a good answer about; None for none.
        refused_at: When it last gave no good answer about that one either.
        failing_since: When it began to fail; None after a good answer.
        of_several: Whether it has failed for several documents since then, or could not be reached.
    """

    def __init__(self, name: str) -> None:
        self.answered_at: float | None = None
        self.given: str | None = None
        self.refused_at = float("-inf")
        self.failing_since: float | None = None
        self.of_several = False
        self._name = name
        self._first_url = ""
        self._given_at = float("-inf")
        self._failed_at = 0.0
        self._told = HostState.UP
        self._troubled_since = 0.0

    def record_answer(self, now: float) -> None:
        """Note a good answer, or one that shows that the store is up."""
        if self.of_several and self.failing_since is not None:
            log.warning("%s answers again, after %.0f s", self._name, now - self.failing_since)
        self._record_up(now)

    def record_silence(self, since: float, now: float) -> None:
        """Note that a first request has no answer yet; the store has given none before."""
        if self.answered_at is None and self.failing_since is None:
            self._tell(HostState.FAILING, f"no answer for {now - since:.0f} s", now, since=since)

    def give_up(self, now: float, reason: str) -> None:
        """Note that it was waited for in vain: from now on each request is made once."""
        self._tell(HostState.GIVEN_UP, reason, now)

    def record_given(self, now: float) -> None:
        """Note that it gave a document that it gave before, while it failed for others: they are to blame."""
        self._given_at = now
        self._record_up(now)

    def record_failure(self, url: str, now: float, *, unreachable: bool) -> None:
        """Note that it failed for a document."""
        if self.failing_since is None or now - self._failed_at > FORGOTTEN:
            self.failing_since, self._first_url, self.of_several = now, url, False
        self._failed_at = now
        if not self.of_several and (unreachable or url != self._first_url):
            self.of_several = True

    def tell_trouble(self, now: float, reason: str) -> None:
        """Tell that it fails, unless it has given another document meanwhile, or lately."""
        if self.failing_since is None or now - self._given_at < _QUIET:
            log.info("%s gives no good answer (%s), and gave another document", self._name, reason)
        elif self.of_several and self._told in {HostState.UP, HostState.FAILING}:
            log.warning("%s gives no good answer (%s): its documents wait", self._name, reason)
            self._tell(HostState.DOWN, reason, now)
        elif self._told is HostState.UP and now - self.failing_since >= TOLD_AFTER:
            self._tell(HostState.FAILING, reason, now)

    def waited_out(self, now: float, patience: float) -> bool:
        """Whether it has been waited for so long, or longer, in vain."""
        if self.failing_since is None or not self.of_several:
            return False
        patience = patience if self.answered_at is not None else min(patience, NEVER_ANSWERED)
        return now - self.failing_since >= patience

    def _record_up(self, now: float) -> None:
        self.answered_at, self.failing_since, self.of_several = now, None, False
        self._tell(HostState.UP, _ANSWERS, now)

    def _tell(self, state: HostState, reason: str, now: float, *, since: float | None = None) -> None:
        """Tell listeners of a change; nobody is told of one that was told before."""
        if state is self._told:
            return
        if self._told is HostState.UP:
            self._troubled_since = self.failing_since or now if since is None else since
        self._told = state
        tell(HostTroubled(host=self._name, state=state, reason=reason, seconds=now - self._troubled_since))


class Stores:
    """The stores in use, and of each whether it tells of its documents, and whether it gives them out."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bool], StoreHealth] = OrderedDict()

    def of(self, name: str, *, reading: bool) -> StoreHealth:
        """What is known of a store.

        Args:
            name: Of :func:`opus_async.remote_urls.store_of`.
            reading: Whether content is read: a store can tell of its documents and give none out.
        """
        health = self._known.get((name, reading))
        if health is None:
            health = self._known[name, reading] = StoreHealth(name)
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return health
