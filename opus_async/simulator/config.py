"""The settings of a simulator: one frozen value, checked when it is made.

The same value configures the simulator inside a test's event loop and the one in a process of its own; for
the latter it can be written as command line arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from opus_async.simulator.callback_profiles import PROFILES as CALLBACK_PROFILES
from opus_async.simulator.checks import check_loopback, check_names, check_port, check_range, is_number
from opus_async.simulator.durations import Duration
from opus_async.simulator.faults import PROFILES
from opus_async.simulator.operativus.config import OperativusConfig, Workload
from opus_async.simulator.seeded_random import hexadecimal
from opus_async.simulator.traits import CALLBACK_REQUIRED, TRAITS

if TYPE_CHECKING:
    from os import PathLike

MIB = 1024 * 1024
KEY_DIGITS = 96
# The longest validity that AWS grants a presigned URL: seven days.
LONGEST_URL_EXPIRY = 604_800

SignContentType = Literal["never", "always", "alternate"]
Generations = Literal["both", "v0", "v1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """How a simulator behaves.

    Attributes:
        host: The loopback address both servers listen on; `localhost` becomes 127.0.0.1.
        port: The port of the API; 0 takes a free one.
        storage_port: The port of the storage; 0 takes a free one.
        generations: Which generations of the API it speaks: `v0` jobs, `v1` cases, or both.
        workflow_files: Paths of workflow definitions to serve besides the built-in ones.
        faults: Name of the fault profile.
        seed: What every draw depends on: run times, failures, faults, generated names.
        run_time: How long a run works, as `Duration.parse` reads it (seconds).
        queue_time: How long an accepted run is queued before it starts (seconds, the same forms).
        capacity: How many runs work at once; others are queued, in the order of their starts. None for any
            number.
        fail_share: Share of runs that end as FAILED, 0 to 1.
        waiting_share: Share of runs that park as WAITING for a person, 0 to 1.
        waiting_time: How long a parked run waits (seconds, the same forms), on top of its run time.
        rate_limit: API requests per second and key before 429; None for no limit.
        url_expiry: Validity of a presigned URL in whole seconds.
        sign_content_type: Whether presigned URLs sign `content-type` besides `host`; `alternate` takes turns.
        max_file_size: Largest file that storage takes, in bytes. The vendor documents 10 MB.
        callbacks: Name of the callback profile: what is posted to a callbackUrl on this machine.
        callback_required: The trait of the same name, as a switch.
        traits: Named departures from the newest documentation, see `TRAITS`.
        key: The service key to accept; None makes a synthetic one from the seed.
        keep_files: A directory for the bytes of uploads, so that they can be downloaded; None keeps only what
            the bytes told.
        verbose: Log one line per request on stderr, without queries and keys.
        operativus: How the Operativus beside it behaves; None for none.
    """

    host: str = "127.0.0.1"
    port: int = 0
    storage_port: int = 0
    generations: Generations = "both"
    workflow_files: tuple[str | PathLike[str], ...] = ()
    faults: str = "none"
    seed: int = 0
    run_time: str | float = 0.5
    queue_time: str | float = 0.02
    capacity: int | None = None
    fail_share: float = 0.0
    waiting_share: float = 0.0
    waiting_time: str | float = 1.0
    rate_limit: float | None = None
    url_expiry: int = 3600
    sign_content_type: SignContentType = "never"
    max_file_size: int = 10 * MIB
    callbacks: str = "prompt"
    callback_required: bool = False
    traits: frozenset[str] = frozenset()
    key: str | None = None
    keep_files: str | PathLike[str] | None = None
    verbose: bool = False
    operativus: OperativusConfig | None = None

    def __post_init__(self) -> None:
        """Check every field; `callback_required` and the trait of that name become one."""
        if self.callback_required:
            object.__setattr__(self, "traits", self.traits | {CALLBACK_REQUIRED})
        if self.host == "localhost":
            # A name can stand for two addresses, and a free port is free on one of them only.
            object.__setattr__(self, "host", "127.0.0.1")
        check_loopback(self.host)
        check_names("generations", {self.generations}, ("both", "v0", "v1"))
        check_names("fault profile", {self.faults}, PROFILES)
        check_names("callback profile", {self.callbacks}, CALLBACK_PROFILES)
        check_names("trait", self.traits, TRAITS)
        check_names("sign_content_type", {self.sign_content_type}, ("never", "always", "alternate"))
        for spec in (self.run_time, self.queue_time, self.waiting_time):
            Duration.parse(spec)
        for name in ("fail_share", "waiting_share"):
            check_range(name, getattr(self, name), 0, 1)
        for name in ("port", "storage_port"):
            check_port(name, getattr(self, name))
        check_range("url_expiry", self.url_expiry, 1, LONGEST_URL_EXPIRY)
        if self.capacity is not None and not (is_number(self.capacity) and self.capacity >= 1):
            raise ValueError(f"capacity must be at least 1 run at once, not {self.capacity!r}")
        if self.rate_limit is not None and not (is_number(self.rate_limit) and self.rate_limit > 0):
            raise ValueError(f"rate_limit must be more than 0 requests per second, not {self.rate_limit!r}")
        if not is_number(self.max_file_size) or self.max_file_size < 1:
            raise ValueError(f"max_file_size must be at least 1 byte, not {self.max_file_size!r}")
        if isinstance(self.workflow_files, str):
            raise ValueError(  # noqa: TRY004 - as all that is wrong with a setting
                f"workflow_files is a tuple of paths: give ({self.workflow_files!r},)"
            )

    @property
    def service_key(self) -> str:
        """The key that the API accepts: the given one or a synthetic one in the vendor's form."""
        return self.key or "_" + hexadecimal(KEY_DIGITS, self.seed, "service key")

    @property
    def workload(self) -> Workload:
        """What of it holds for the Operativus too."""
        return Workload(
            seed=self.seed,
            faults=self.faults,
            run_time=self.run_time,
            fail_share=self.fail_share,
            waiting_share=self.waiting_share,
        )

    def to_arguments(self) -> list[str]:
        """Write this configuration as the arguments of `python -m opus_async.simulator`."""
        arguments = [f"--host={self.host}", f"--port={self.port}", f"--storage-port={self.storage_port}"]
        arguments += [f"--workflow={path}" for path in self.workflow_files]
        arguments += [f"--trait={trait}" for trait in sorted(self.traits)]
        arguments += [
            f"--api={self.generations}",
            f"--faults={self.faults}",
            f"--callbacks={self.callbacks}",
            f"--seed={self.seed}",
            f"--run-time={self.run_time}",
            f"--queue-time={self.queue_time}",
            f"--fail-share={self.fail_share}",
            f"--waiting-share={self.waiting_share}",
            f"--waiting-time={self.waiting_time}",
            f"--url-expiry={self.url_expiry}",
            f"--sign-content-type={self.sign_content_type}",
            f"--max-file-size={self.max_file_size}",
        ]
        if self.capacity is not None:
            arguments.append(f"--capacity={self.capacity}")
        if self.rate_limit is not None:
            arguments.append(f"--rate-limit={self.rate_limit}")
        if self.key is not None:
            arguments.append(f"--key={self.key}")
        if self.keep_files is not None:
            arguments.append(f"--keep-files={self.keep_files}")
        if self.verbose:
            arguments.append("--verbose")
        return arguments if self.operativus is None else [*arguments, *self.operativus.to_arguments()]
