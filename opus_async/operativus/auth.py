"""How a client authenticates: by a token of the caller's, or one that a login gives and that is renewed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from opus_async.errors import APIError, AuthenticationError
from opus_async.operativus.client_secrets import ClientSecrets
from opus_async.operativus.settings import Credentials, Login
from opus_async.transport.auth import Auth, RenewingAuth, StaticAuth
from opus_async.transport.rates import OperationLimit

LOGIN_LIMIT = OperationLimit(operations=frozenset({"login"}), rate=0.1, burst=4)
"""In any minute 10 logins at the most, which is what servers take from one address."""
_CREDENTIALS_REFUSED = frozenset({400, 401, 403, 404, 422})
"""Statuses of a login that will not go better with the same name and password."""


def auth_for(
    credentials: Credentials, log_in: Callable[[Login], Awaitable[str]], secrets: ClientSecrets
) -> Auth:
    """Make what authenticates the requests of a client.

    Args:
        credentials: A token, or a user's name and password.
        log_in: Asks the server for a token.
        secrets: Told of everything that must not be shown.
    """
    if not isinstance(credentials, Login):
        secrets.add_token(credentials.text)
        return StaticAuth(_headers(credentials.text))
    login = credentials
    secrets.add_password(login.password)

    async def renew() -> Mapping[str, str]:
        try:
            token = await log_in(login)
        except AuthenticationError:
            raise
        except APIError as error:
            if error.status not in _CREDENTIALS_REFUSED:
                raise
            raise _as_refused(error) from error
        secrets.add_token(token)
        return _headers(token)

    return RenewingAuth(renew)


def _headers(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def _as_refused(error: APIError) -> AuthenticationError:
    """A refusal of the login under another status, as the class that is not tried again."""
    refused = AuthenticationError(
        error.message,
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=error.request_id,
        attempt=error.attempt,
        method=error.method,
        url=error.url,
    )
    refused.is_final = error.is_final
    return refused
