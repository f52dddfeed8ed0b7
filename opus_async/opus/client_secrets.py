"""The secrets of one client, taken out of what the platform sends back and of every error.

They are the service key, callback URLs with their tokens, and whatever secret a request itself carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from opus_async.errors import OpusError
from opus_async.opus.protocol.requests import UNUSED_CALLBACK
from opus_async.redaction import KEY_LABEL, Mask, Redactor, Secrets, callback_secret, secret_text
from opus_async.wire.messages import ApiRequest

_NO_JOB = "0"
"""Stands for the job of a request that is about none."""
_NO_SECRETS = frozenset({None, "", UNUSED_CALLBACK})
_OURS = frozenset({"job_id", "stage", "method", "url", "asked", "filename", "destination"})
"""Fields of an error whose texts we wrote."""


class ClientSecrets:
    """Masks the secrets of one client.

    Args:
        key: The service key.
        callbacks: Callback URLs for as long as the client lives; None and empty ones do not count.
        callback_urls: The URLs that one job may have been told to call, by its id: a receiver makes one for
            each job.
    """

    def __init__(
        self,
        key: str,
        callbacks: Iterable[str | None],
        callback_urls: Callable[[str], Iterable[str]],
    ) -> None:
        self._key = key
        self._callbacks = tuple(map(callback_secret, _given(*callbacks)))
        self._callback_urls = callback_urls

    @cached_property
    def _redactor(self) -> Redactor:
        """Prepared when there is something to mask: most responses are a plain yes."""
        return Redactor(secret_text(self._key, KEY_LABEL), *self._callbacks)

    def remember_callback(self, url: str) -> None:
        """Mask a callback URL of single jobs, too."""
        self._redactor.remember_callback(url)

    def mask_for(self, call: ApiRequest) -> Mask:
        """The function that takes the secrets of the client, and of a request's job, out of a text."""
        known: Secrets | None = None

        def mask(text: str) -> str:
            nonlocal known
            if known is None:  # as a rule nothing is masked
                urls = _given(*self._callback_urls(call.job_id or _NO_JOB), call.secret)
                known = self._redactor.known(*map(callback_secret, urls))
            return known.mask(text)

        return mask

    def mask_error(self, error: OpusError, callback_url: str | None = None) -> None:
        """Mask every text of an error that others wrote.

        Args:
            error: The error; it is changed.
            callback_url: Of the request that failed, where it carried one of its own.
        """
        known = self._redactor.known(*map(callback_secret, _given(callback_url)))
        texts = vars(error)
        for name, value in texts.items():
            if isinstance(value, str) and name not in _OURS:
                texts[name] = known.mask(value)
        error.args = (error.message,)


def _given(*urls: str | None) -> set[str]:
    return {url for url in urls if url is not None and url not in _NO_SECRETS}
