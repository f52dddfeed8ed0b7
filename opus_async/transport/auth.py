"""Authenticates calls: by a key that never changes, or by a token that expires and is renewed once for all.

The sender of a call takes the headers, and after a 401 asks for newer ones; a call that may be repeated is
then sent once more. A start request is not: a 401 does not prove that it had no effect (``jobs/start.py``).
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from opus_async.errors import AuthenticationError


class Auth(Protocol):
    """Authenticates the calls of one client."""

    @property
    def headers(self) -> Mapping[str, str] | None:
        """What every call carries; None before the first log-in."""

    async def renew(self, refused: Mapping[str, str] | None) -> Mapping[str, str] | None:
        """Get newer headers; None where there are none, as with a key that never changes.

        Args:
            refused: The headers that got a 401; None where there were none yet.

        Raises:
            OpusError: They cannot be had.
        """


class StaticAuth:
    """A key that never changes: a refusal is final.

    Args:
        headers: What every call carries.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    async def renew(self, refused: Mapping[str, str] | None) -> None:
        """Return None: there is no other key."""


class RenewingAuth:
    """A token that expires: calls that are refused together share one log-in, which others wait for.

    Credentials that were refused once are not tried again.

    Args:
        log_in: Gets a new token, as the headers that carry it.
    """

    def __init__(self, log_in: Callable[[], Awaitable[Mapping[str, str]]]) -> None:
        self._log_in = log_in
        self._renewing = asyncio.Lock()
        self._refusal: AuthenticationError | None = None
        self.headers: Mapping[str, str] | None = None

    async def renew(self, refused: Mapping[str, str] | None) -> Mapping[str, str]:
        """Log in, unless another call has done so since these headers were sent.

        Raises:
            AuthenticationError: The credentials are refused, now or before.
            OpusError: Nobody could be asked.
        """
        async with self._renewing:
            if self._refusal is not None:
                raise copy.copy(self._refusal)  # each call fills in its own job and stage
            if self.headers is None or self.headers is refused:
                try:
                    self.headers = await self._log_in()
                except AuthenticationError as error:
                    self._refusal = copy.copy(error)
                    raise
            return self.headers
