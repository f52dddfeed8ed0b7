"""Which callbacks a run makes: what is posted to its callbackUrl, when, how often. `callbacks` sends them.

That Opus sends a POST when a run ends is documented; its body, headers and retries are not. A profile is one
way in which a platform, or somebody who guessed the URL, may behave. What one run gets is drawn from the seed
and the identity of its job, and decided at once when its execute is accepted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opus_async.simulator.callback_profiles import PROFILES
from opus_async.simulator.seeded_random import hexadecimal, pick, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from yarl import URL

    from opus_async.simulator.runs import Job, Run


_JSON = "application/json"
_NOISE_DIGITS = 128
# With the 64 bytes of noise: 1 MiB.
_HUGE_REPEATS = 16_384
# The length of a token in a URL that has no path to take the length from.
_TOKEN_DIGITS = 32

EXACT, CHANGED, REPLACED, CUT = range(4)
_NEIGHBOURS = (CHANGED, REPLACED, CUT)


@dataclass(frozen=True, slots=True)
class Posting:
    """One POST, planned.

    Attributes:
        moment: When to send it, epoch seconds.
        form: The form of its body, one of `BODIES`.
        target: The URL itself (`EXACT`), or one of the neighbours of its path.
        forged: Whether it comes from somebody who does not know how the run ends.
    """

    moment: float
    form: str
    target: int = EXACT
    forged: bool = False


def plan(name: str, seed: int, job: Job, run: Run) -> Iterator[Posting]:
    """Decide the POSTs of a run.

    Args:
        name: The name of the profile.
        seed: What every draw depends on.
        job: The job.
        run: Its run, just accepted.
    """
    about = (seed, job.identity, job.executions)
    profile = PROFILES[name]
    if profile.among:
        profile = PROFILES[pick(profile.among, uniform("callback profile", *about))]
    if profile.most_forged:
        forged = 1 + int(profile.most_forged * uniform("callback lies", *about))
        for nth, target in enumerate((*(EXACT,) * forged, *_NEIGHBOURS)):
            share = uniform("callback lie", nth, *about)
            moment = run.accepted_at + share * (run.ends_at - run.accepted_at)
            yield Posting(moment, "full", target, forged=True)
    for nth, (low, high) in enumerate(profile.delays):
        delay = low + (high - low) * uniform("callback delay", nth, *about)
        form = pick(profile.bodies, uniform("callback body", nth, *about))
        yield Posting(max(run.ends_at + delay, run.accepted_at), form)


def target_url(url: URL, target: int, *about: object) -> URL:
    """Return the URL itself or a neighbour: another path on the same origin, without the query.

    Args:
        url: The callback URL.
        target: `EXACT`, or which neighbour.
        about: What a made-up token depends on.
    """
    if target == EXACT:
        return url
    folder, _, token = url.raw_path.rstrip("/").rpartition("/")
    wrong = {
        CHANGED: token[:-1] + ("1" if token.endswith("0") else "0"),
        REPLACED: hexadecimal(min(len(token) or _TOKEN_DIGITS, _NOISE_DIGITS), "token", *about),
        CUT: "",
    }
    return url.with_path(f"{folder}/{wrong[target]}", encoded=True)


def write_body(form: str, told: Mapping[str, Any], *about: object) -> tuple[bytes, str]:
    """Return the body of a POST and its Content-Type.

    Args:
        form: The form of the body.
        told: What there is to tell: the id, the status, and results if the run completed.
        about: What noise depends on.
    """
    return BODIES[form](told, bytes.fromhex(hexadecimal(_NOISE_DIGITS, "noise", *about)))


def _short(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what there is to tell without the results."""
    return {name: value for name, value in told.items() if not isinstance(value, dict)}


def _to_json(value: object) -> bytes:
    return json.dumps(value).encode()


BODIES: Final[dict[str, Callable[[Mapping[str, Any], bytes], tuple[bytes, str]]]] = {
    "full": lambda told, _: (_to_json(told), _JSON),
    "short": lambda told, _: (_to_json(_short(told)), _JSON),
    "event": lambda told, _: (_to_json({"event": "job.finished", "data": _short(told)}), _JSON),
    "blank": lambda _, __: (b"{}", _JSON),
    "noise": lambda _, noise: (noise, "application/octet-stream"),
    "huge": lambda _, noise: (noise * _HUGE_REPEATS, _JSON),
    "empty": lambda _, __: (b"", _JSON),
    "wrong_type": lambda told, _: (_to_json(told), "text/html"),
}
"""Every form of body: what is told and 64 bytes of noise, to the body and its Content-Type."""
