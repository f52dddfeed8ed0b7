"""The settings of the simulated Operativus; what both platforms share is in ``SimulatorConfig``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opus_async.simulator.checks import check_names, check_port
from opus_async.simulator.operativus.agents import AGENTS, RENAMED
from opus_async.simulator.operativus.traits import FORMS, REAL_QUEUE, RENAMED_AGENTS, TRAITS

Form = Literal["real", "documented"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What both platforms of a simulator share; as in ``SimulatorConfig``, which gives it.

    Attributes:
        seed: What every draw depends on.
        faults: Name of the fault profile.
        run_time: How long a run works, all steps together.
        fail_share: Share of runs that end as FAILED.
        waiting_share: Share of runs that wait for a person at their last step but one.
    """

    seed: int = 0
    faults: str = "none"
    run_time: str | float = 0.5
    fail_share: float = 0.0
    waiting_share: float = 0.0


REAL_TICK = 30.0
REAL_BATCH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class OperativusConfig:
    """How the simulated Operativus behaves; run times, shares, faults and the seed are the simulator's.

    The times of a real server stand in brackets; but for the queue's, which every run meets, they are the
    defaults.

    Attributes:
        port: Its port; 0 takes a free one.
        form: ``real`` answers as the public source does, ``documented`` as the vendor's page says.
        traits: Named departures, on top of those of the form.
        queue_jobs: How many jobs the queue takes at each tick (5).
        queue_tick: Seconds between two ticks (30); 0 takes every job at once.
        restart_after: Seconds after which the server starts a run again that still runs (15 minutes).
        restarts: How often it does that with one run.
        running_expiry: Seconds after its creation at which a run that still runs is cancelled when the server
            starts (2 hours).
        pause_expiry: Seconds after its creation at which a paused run is cancelled (24 hours).
        token_life: Seconds that a token is valid (24 hours).
        rate_limit: Requests per second and user before 429 (50); None for no limit.
        login_limit: Logins per minute and address before 429 (10); None for no limit.
        agents: Agents that exist besides the built-in ones.
        old_runs: Completed runs that every workflow's list begins with; they cost no memory.
    """

    port: int = 0
    form: Form = "real"
    traits: frozenset[str] = frozenset()
    queue_jobs: int = REAL_BATCH
    queue_tick: float = 0.3
    restart_after: float = 900.0
    restarts: int = 2
    running_expiry: float = 7200.0
    pause_expiry: float = 86_400.0
    token_life: float = 86_400.0
    rate_limit: float | None = 50.0
    login_limit: int | None = 10
    agents: tuple[str, ...] = ()
    old_runs: int = 0

    def __post_init__(self) -> None:
        """Check every field; the trait ``real_queue`` becomes the numbers that it stands for."""
        check_names("form", {self.form}, FORMS)
        check_names("trait of Operativus", self.traits, TRAITS)
        check_port("operativus port", self.port)
        if REAL_QUEUE in self.traits:
            object.__setattr__(self, "queue_jobs", REAL_BATCH)
            object.__setattr__(self, "queue_tick", REAL_TICK)
        if self.queue_jobs < 1:
            raise ValueError(f"the queue must take at least one job, not {self.queue_jobs}")
        for name in (
            "queue_tick",
            "restart_after",
            "restarts",
            "running_expiry",
            "pause_expiry",
            "token_life",
            "old_runs",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("rate_limit", "login_limit"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} must be more than 0, not {limit}")

    @property
    def known_agents(self) -> tuple[str, ...]:
        """The agents that exist."""
        renamed = RENAMED if RENAMED_AGENTS in self.active else frozenset()
        return (*(agent for agent in AGENTS if agent not in renamed), *self.agents)

    @property
    def active(self) -> frozenset[str]:
        """The traits that hold: those of the form, and those named."""
        return FORMS[self.form] | self.traits

    def to_arguments(self) -> list[str]:
        """Write this configuration as arguments of `python -m opus_async.simulator`."""
        rest: dict[str, float | str] = {
            "restart-after": self.restart_after,
            "restarts": self.restarts,
            "running-expiry": self.running_expiry,
            "pause-expiry": self.pause_expiry,
            "token-life": self.token_life,
            "rate-limit": self.rate_limit or 0,
            "login-limit": self.login_limit or 0,
            "old-runs": self.old_runs,
        }
        if self.agents:
            rest["agents"] = ",".join(self.agents)
        return [
            f"--operativus-port={self.port}",
            f"--operativus-form={self.form}",
            f"--operativus-queue={self.queue_jobs}/{self.queue_tick}",
            *(f"--trait={trait}" for trait in sorted(self.traits)),
            *(f"--operativus-set={name}={value}" for name, value in rest.items()),
        ]
