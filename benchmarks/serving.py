"""The platform of the benchmarks as a process of its own: what it is told, and what it tells."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from benchmarks.harness import machine


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit of requests.

    Attributes:
        calls: Those that it counts: ``initiate``, ``status``, ...; empty for all.
        rate: Requests a second.
        burst: What is saved up at most, and there at the start.
        later: After so many seconds, another rate.
    """

    calls: tuple[str, ...] = ()
    rate: float
    burst: float
    later: tuple[float, float] | None = None

    def granted_until(self, seconds: float) -> float:
        """Requests that it grants within so many seconds, without the burst."""
        if self.later is None or seconds <= self.later[0]:
            return self.rate * seconds
        change, rate = self.later
        return self.rate * change + rate * (seconds - change)

    def seconds_for(self, requests: float) -> float:
        """Seconds within which it grants so many requests, the burst included."""
        requests = max(requests - self.burst, 0.0)
        if self.later is None or requests <= self.rate * self.later[0]:
            return requests / self.rate
        change, rate = self.later
        return change + (requests - self.rate * change) / rate


@dataclass(frozen=True, kw_only=True)
class Config:
    """How the platform behaves.

    Attributes:
        run_time: Seconds that a job runs, at least and at most.
        limits: Each request has to be granted by all that count it.
        certificate: A file with key and certificate; with it, a second port speaks TLS.
        seed: Of the run times.
    """

    run_time: tuple[float, float] = (0.0, 0.0)
    limits: tuple[Limit, ...] = ()
    certificate: str = ""
    seed: int = 1

    def text(self) -> str:
        """The JSON that :meth:`read` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Self:
        """Read JSON."""
        given = json.loads(text)
        given["limits"] = tuple(Limit(**limit) for limit in given["limits"])
        return cls(**given)


@dataclass
class Told:
    """What a platform has seen since it was last asked.

    Attributes:
        calls: Requests by call; those that a limit refused are not among them.
        refused: Requests that were answered with 429.
        granted: When each request was granted, by the monotonic clock; only where there are limits.
        lags: For each job, the seconds between its end and the first poll that was told of it.
        wall: Seconds.
        cpu: Seconds of CPU that the platform used.
    """

    calls: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    granted: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0

    @property
    def requests(self) -> int:
        """All that were granted."""
        return sum(self.calls.values())

    @property
    def busy(self) -> float:
        """Its utilisation: the share of the time for which it was at work."""
        return self.cpu / self.wall if self.wall else 0.0


class Server:
    """A platform that runs.

    Attributes:
        url: Its base URL.
        secure_url: The same by TLS; empty where it has no certificate.
    """

    def __init__(self, ports: list[int]) -> None:
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.secure_url = f"https://localhost:{ports[1]}" if len(ports) > 1 else ""

    def told(self) -> Told:
        """What it has seen since the last call."""
        with urllib.request.urlopen(f"{self.url}/told", timeout=60) as answer:
            told: dict[str, Any] = json.load(answer)
        return Told(**told)


@contextmanager
def serving(config: Config = Config()) -> Iterator[Server]:
    """Run a platform for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", config.text()],
        cwd=machine.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    machine.pin(process.pid, "server")
    with process:
        try:
            yield Server(json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()
