"""A platform made of plain Python: what each step does is a script, and every call is written down."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opus_async.config import RetryPolicy
from opus_async.errors import ConfigurationError, OpusError
from opus_async.jobs.job_slots import JobSlots
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.watch import Watcher
from opus_async.models import DownloadedFile, JobRequest, JobStatus, Workflow
from opus_async.platform import AboutToSend, JobResult, Stages, StartCheck, nothing
from opus_async.remote_urls import is_web_url
from opus_async.transport.dispatch import Dispatcher

STAGES = Stages(bind="look", prepare="pack", create="open", start="go", watch="see", collect="take")


class FakePlatform:
    """Jobs ``job-0``, ``job-1``, ...; each step takes ``step`` seconds and can be made to raise."""

    stages = STAGES
    workflow_id = "fake"
    start_visible_after = 0.0
    has_file = staticmethod(is_web_url)
    operation_limits = ()
    batch_size = 1
    workflow = Workflow(workflow_id="fake")
    identity = {"platform": "fake", "host": "nowhere", "generation": "f0"}  # noqa: RUF012 - read only

    def __init__(self, *, step: float = 0.1, run_time: float = 5.0) -> None:
        self.step = step
        self.run_time = run_time
        self.orphaned_jobs = 0
        self.uploads_reused = 0
        self.calls_back = False
        self.job_page: str | None = None
        self.status_source = self
        self.attached: dict[str, JobRequest] = {}
        self.released: list[str] = []
        self.made: set[str] = set()
        self.files: dict[str, bytes] = {}
        self.calls: list[tuple[str, Any]] = []
        self.fail: dict[str, Callable[[Any], OpusError | Exception | None]] = {}
        self.started: dict[str, float] = {}
        self.starts: dict[str, int] = {}
        self.standings: list[StartCheck] = []
        self.ends_as = JobStatus.COMPLETED
        self.collected = JobResult(outputs={"Answer": 42}, results={"raw": True})

    async def _do(self, name: str, what: Any) -> None:
        self.calls.append((name, what))
        await asyncio.sleep(self.step)
        error = self.fail.get(name, lambda _: None)(what)
        if error is not None:
            raise error

    async def open(self) -> None:
        await self._do("open", None)

    async def reopen(self) -> None:
        await self._do("reopen", None)

    async def bind(self, request: JobRequest) -> dict[str, Any]:
        await self._do("bind", request.inputs)
        return dict(request.inputs)

    async def prepare(self, bound: dict[str, Any]) -> dict[str, Any]:
        await self._do("prepare", bound)
        return bound

    async def create(self, bound: dict[str, Any]) -> str:
        await self._do("create", bound)
        name = f"job-{bound.get('n', 0)}"
        made = self.count("create")
        job_id = name if name not in self.made else f"{name}-{made}"
        self.made.add(job_id)
        return job_id

    async def start(
        self, remote_id: str, ready: dict[str, Any], about_to_send: AboutToSend = nothing
    ) -> None:
        if (telling := about_to_send()) is not None:
            await telling
        self.starts[remote_id] = self.starts.get(remote_id, 0) + 1
        await self._do("start", remote_id)
        self.started[remote_id] = asyncio.get_running_loop().time()

    async def check_started(self, remote_id: str) -> StartCheck:
        await self._do("check_started", remote_id)
        return self.standings.pop(0) if self.standings else StartCheck.NOT_STARTED

    async def is_well(self) -> bool:
        return False

    async def poll(self, workflow_id, remote_ids):
        self.calls.append(("poll", tuple(remote_ids)))
        await asyncio.sleep(0.01)
        now = asyncio.get_running_loop().time()
        return {
            remote_id: self.ends_as
            if now - self.started.get(remote_id, now) >= self.run_time
            else JobStatus.IN_PROGRESS
            for remote_id in remote_ids
        }

    async def collect(self, remote_id: str, status: JobStatus) -> JobResult:
        await self._do("collect", (remote_id, status))
        return self.collected if status == JobStatus.COMPLETED else JobResult(audit=self.collected.audit)

    def estimated_requests(self, files: int) -> int:
        return 2 + files

    def attach(
        self,
        remote_id: str,
        request: JobRequest,
        *,
        starts_sent: int = 0,
        accepted: bool = False,
        overtaken: bool = False,
        other_version: bool = False,
        alias: str | None = None,
    ) -> None:
        self.attached[remote_id] = request

    def alias_of(self, remote_id: str) -> str | None:
        return None

    def last_seen(self, remote_id: str) -> Any:
        return None

    def can_resume(self, status: JobStatus) -> bool:
        return False

    async def resume(self, remote_id: str, answer: str) -> None:
        raise ConfigurationError("Jobs of this platform cannot be resumed")

    def release(self, remote_id: str) -> None:
        self.released.append(remote_id)

    def files_in(self, results):
        """Values that are keys of ``files``."""
        return [(name, value) for name, value in results.items() if value in self.files]

    async def fetch(self, url: str, destination: Path) -> DownloadedFile:
        await self._do("fetch", (url, destination))
        content = self.files[url]
        with destination.open("xb") as file:
            file.write(content)
        return DownloadedFile(destination, len(content), hashlib.sha256(content).hexdigest())

    def count(self, name: str) -> int:
        return sum(call == name for call, _ in self.calls)


def lifecycle_on(
    platform: FakePlatform,
    *,
    policy: RetryPolicy | None = None,
    job_timeout: float | None = None,
    notify: Dispatcher | None = None,
    slots: JobSlots | None = None,
) -> tuple[Lifecycle[Any, Any], Watcher]:
    watcher = Watcher(detect_lag=0.05, patience=60, jitter=lambda: 1.0)
    lifecycle = Lifecycle(
        platform,
        watcher,
        policy=policy or RetryPolicy(),
        job_timeout=job_timeout,
        notify=notify or Dispatcher(()),
        slots=slots,
    )
    return lifecycle, watcher
