"""A journal of one job that writes nothing to disk."""

from __future__ import annotations

from fake_platform import FakePlatform

from opus_async.models import JobStatus
from opus_async.platform import StartDoubt


class WrittenDown:
    """A journal that keeps what it is told, in order, and where the platform stood then."""

    def __init__(self, platform: FakePlatform) -> None:
        self.told: list[tuple[str, object]] = []
        self.starts_when_ordering: list[int] = []
        self._platform = platform

    async def job_created(self, remote_id: str) -> None:
        self.told.append(("created", remote_id))

    async def start_intent(self, remote_id: str) -> None:
        self.told.append(("ordering", remote_id))
        self.starts_when_ordering.append(self._platform.count("start"))

    async def doubted(self, remote_id: str, doubt: StartDoubt) -> None:
        self.told.append(("doubted", doubt))

    async def gave_way(self, remote_id: str) -> None:
        self.told.append(("gave way", remote_id))

    async def start_accepted(self, remote_id: str) -> None:
        self.told.append(("ordered", remote_id))

    def status_seen(self, status: JobStatus) -> None:
        self.told.append(("seen", str(status)))
