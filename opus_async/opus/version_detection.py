"""Which generation of the API answers at the base URL."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence

from opus_async.clients.sender import ONE_TRY, Sender
from opus_async.config import RetryPolicy
from opus_async.errors import ConfigurationError, OpusError, TransportError
from opus_async.opus.protocol.api_version import ApiVersion
from opus_async.wire.messages import ApiResponse

PROBE_ATTEMPTS = 2
"""Times that a generation must seem absent: one odd page must not decide for the life of a client."""


class VersionDetector:
    """Finds out which generation of the API to use, and whether it answers.

    Args:
        candidates: Those that may be used, the preferred one first.
        sender: Sends the probes.

    Attributes:
        candidates: As given.
    """

    def __init__(self, candidates: Sequence[ApiVersion], sender: Sender) -> None:
        self.candidates = candidates
        self._found = candidates[0] if len(candidates) == 1 else None
        self._asking = asyncio.Lock()
        self._sender = sender

    @property
    def name(self) -> str:
        """The name of the generation that is used; ``auto`` while it is not known yet."""
        return self._found.name if self._found else "auto"

    async def version(self) -> ApiVersion:
        """The generation that is used: asked for once, at the first request, where there is a choice.

        Raises:
            ConfigurationError: None of them answers here.
            OpusError: It could not be asked.
        """
        if self._found is None:
            async with self._asking:
                self._found = await self._first_that_answers()
        return self._found

    async def all_answers(self) -> dict[str, bool | OpusError]:
        """Whether each candidate answers here, by name; the error where that cannot be told."""
        return {version.name: await self._answers(version) for version in self.candidates}

    async def is_well(self) -> bool:
        """Whether the generation that is used answers here, asked once and about no job that there is."""
        try:
            return await self._matches(await self.version(), ONE_TRY)
        except OpusError:
            return False

    async def _first_that_answers(self) -> ApiVersion:
        if self._found is not None:  # another request was first
            return self._found
        undecided: OpusError | None = None
        for version in self.candidates:
            answers = await self._answers(version)
            if answers is True:
                return version
            if isinstance(answers, TransportError):
                raise answers
            if isinstance(answers, OpusError):
                undecided = undecided or answers
        if undecided is not None:
            raise undecided
        names = " or ".join(version.name for version in self.candidates)
        raise ConfigurationError(
            f"Nothing at {self._sender.base_url} answers as {names} of the Opus API: check the base URL (the "
            "host alone, without a path), and that no log-in page or proxy stands in between"
        )

    async def _answers(self, version: ApiVersion) -> bool | OpusError:
        try:
            for _ in range(PROBE_ATTEMPTS):
                if await self._matches(version):
                    return True
        except OpusError as error:
            return error
        return False

    async def _matches(self, version: ApiVersion, policy: RetryPolicy | None = None) -> bool:
        """Whether a job that is not there, and a path that is not, are answered as this generation does."""
        control = await self._sender.send(version.control_request(), _unread, policy=policy)
        matches = functools.partial(version.matches, control=control)
        return await self._sender.send(version.probe(), matches, policy=policy)


def _unread(answer: ApiResponse) -> ApiResponse:
    return answer
