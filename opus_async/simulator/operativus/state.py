"""GET /_simulator/state, without a token: what was ordered how often, what became of it, what was asked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opus_async.simulator.operativus.world import OperativusState


def snapshot(world: OperativusState, session_id: str | None = None) -> dict[str, Any]:
    """Return the state as JSON values.

    Args:
        world: What the server knows.
        session_id: Tell of this session only: how often it was ordered, and its rows.
    """
    now, book = world.now(), world.book
    if session_id is not None:
        return {
            "starts": book.starts[session_id],
            "rows": [
                {
                    "id": run.run_id,
                    "status": run.status(now),
                    "attempt": run.attempt,
                    "outputs": [step.output for step in run.steps(now)],
                }
                for run in book
                if run.session_id == session_id
            ],
        }
    return {
        "form": world.config.form,
        "traits": sorted(world.config.active),
        "requests": dict(world.requests),
        "answers": {str(status): number for status, number in sorted(world.answers.items())},
        "rate_limited": world.answers[429],
        "faults": dict(world.injected),
        "listing": dict.fromkeys(("pages", "first_pages", "rows", "deepest"), 0) | dict(world.listing),
        "starts": sum(book.starts.values()),
        "sessions": len(book.starts),
        "started_twice": [session for session, number in book.starts.items() if number > 1],
        "inputs_started_twice": sum(number > 1 for number in book.input_starts.values()),
        "waiting_jobs": sum(now < job.taken_at for job in book.jobs),
        "runs": dict(Counter(run.status(now) for run in book)),
        "restarts": book.counts["restarts"],
        "answers_to_pauses": {
            "accepted": book.counts["answers"],
            "applied": book.counts["answers_applied"],
            "ignored": book.counts["answers_ignored"],
        },
        "workflows": len(world.definitions),
    }
