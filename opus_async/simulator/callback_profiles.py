"""Named ways to send callbacks: how a platform, or somebody who guessed the URL, may behave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_HONEST = ("full", "short", "event", "blank")
_GARBAGE = ("noise", "huge", "empty", "wrong_type")


@dataclass(frozen=True, slots=True)
class Profile:
    """A named way to send callbacks.

    Attributes:
        name: What `--callbacks` calls it.
        summary: One sentence for people.
        delays: One range of seconds for each POST, counted from the end of the run.
        bodies: The forms of body to draw from.
        most_forged: Up to so many POSTs to the URL, at least one, say COMPLETED before the end, and one goes
            to each neighbour of its path; 0 for none.
        among: The profiles of which each job draws one; empty for this one.
    """

    name: str
    summary: str
    delays: tuple[tuple[float, float], ...] = ()
    bodies: tuple[str, ...] = _HONEST
    most_forged: int = 0
    among: tuple[str, ...] = ()


_AT_THE_END = (0.0, 0.0)

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile(
            "prompt", "One POST right after the end, with status and results.", (_AT_THE_END,), ("full",)
        ),
        Profile("late", "One POST half a second to two seconds after the end.", ((0.5, 2.0),)),
        Profile("twice", "Two POSTs, the second up to half a second later.", (_AT_THE_END, (0.05, 0.5))),
        Profile("never", "No POST at all."),
        Profile(
            "forged",
            "Lies before the end, to the URL and to neighbours of its path; then the right one.",
            (_AT_THE_END,),
            most_forged=3,
        ),
        Profile("garbage", "One POST right after the end; its body is no use.", (_AT_THE_END,), _GARBAGE),
        Profile("early", "One POST up to 0.3 seconds before the status turns.", ((-0.3, -0.02),)),
        Profile(
            "mixed",
            "Each job draws one of the other profiles.",
            among=("prompt", "late", "twice", "never", "forged", "garbage", "early"),
        ),
    )
}
"""Every callback profile by its name."""
