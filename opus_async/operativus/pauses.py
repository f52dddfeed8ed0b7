"""What can be done about a paused run, by the server's own word for its pause."""

from __future__ import annotations

from opus_async.operativus.protocol.statuses import Pause, pause_of, status_of


def takes_text(word: str) -> bool:
    """Whether a run in this status waits for a text; a route is chosen in another way."""
    return pause_of(status_of(word)) in {Pause.PERSON, Pause.REVIEW}
