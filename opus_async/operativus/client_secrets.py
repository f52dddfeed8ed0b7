"""The secrets of one client, taken out of what the server sends back and of every error.

They are the password, and every token that the client has used.
"""

from __future__ import annotations

from opus_async.errors import OpusError
from opus_async.redaction import Mask, Secret, Secrets, secret_text, whole_secret
from opus_async.wire.messages import ApiRequest

TOKEN_LABEL = "<token>"  # noqa: S105 - what stands in its place
PASSWORD_LABEL = "<password>"  # noqa: S105 - what stands in its place
TOKENS_KEPT = 8
"""Tokens that are masked: the latest. An older one has expired."""
_OURS = frozenset({"job_id", "stage", "method", "url", "asked", "run_id", "workflow_id"})
"""Fields of an error whose texts we wrote."""


class ClientSecrets:
    """Masks the secrets of one client."""

    def __init__(self) -> None:
        self._passwords: tuple[Secret, ...] = ()
        self._tokens: tuple[Secret, ...] = ()
        self._known = Secrets.of()

    def add_password(self, password: str) -> None:
        """Mask a password from now on."""
        self._passwords += (whole_secret(password, PASSWORD_LABEL),)
        self._known = Secrets.of(*self._passwords, *self._tokens)

    def add_token(self, token: str) -> None:
        """Mask a token from now on, until ``TOKENS_KEPT`` others came after it."""
        self._tokens = (*self._tokens, secret_text(token, TOKEN_LABEL))[-TOKENS_KEPT:]
        self._known = Secrets.of(*self._passwords, *self._tokens)

    def mask_for(self, call: ApiRequest) -> Mask:  # noqa: ARG002 - no request has a secret of its own here
        """The function that takes the secrets out of a text."""
        return self.mask

    def mask(self, text: str) -> str:
        """A text without the secrets."""
        return self._known.mask(text)

    def mask_error(self, error: OpusError, secret: str | None = None) -> None:  # noqa: ARG002 - the password is known
        """Mask every text of an error that others wrote."""
        texts = vars(error)
        for name, value in texts.items():
            if isinstance(value, str) and name not in _OURS:
                texts[name] = self.mask(value)
        error.args = (error.message,)
