"""A journal of one job that writes nothing to disk."""

from __future__ import annotations

from fake_platform import FakePlatform

from opus_async.models import JobStatus
from opus_async.platform import StartDoubt


class WrittenDown:
    """A journal that keeps what it is told, in order, and where the platform stood then."""

    def __init__(self, platform: FakePlatform) -> None:
        self.told: list[tuple[str, object]] = []
        self.starts_at_intent: list[int] = []
        self._platform = platform

    async def job_created(self, remote_id: str) -> None:
        self.told.append(("job_created", remote_id))

    def job_identified(self, remote_id: str, alias: str) -> None:
        self.told.append(("job_identified", alias))

    async def start_intent(self, remote_id: str) -> None:
        self.told.append(("start_intent", remote_id))
        self.starts_at_intent.append(self._platform.count("start"))

    async def second_start_forbidden(self, remote_id: str, doubt: StartDoubt) -> None:
        self.told.append(("second_start_forbidden", doubt))

    async def job_superseded(self, remote_id: str) -> None:
        self.told.append(("job_superseded", remote_id))

    async def start_accepted(self, remote_id: str) -> None:
        self.told.append(("start_accepted", remote_id))

    def status_seen(self, status: JobStatus) -> None:
        self.told.append(("status_seen", str(status)))
