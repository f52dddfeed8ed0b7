"""Users, their organizations and roles, and the tokens that they get for their passwords.

A token has the form of a JSON Web Token and says when it ends; the server keeps none of them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from itertools import count
from typing import Final

from opus_async.simulator.seeded_random import hexadecimal, identifier

ADMIN: Final = "ROLE_ADMIN"
USER: Final = "ROLE_USER"
_PASSWORD_DIGITS = 24
_SIGNATURE_DIGITS = 43


@dataclass(frozen=True, slots=True)
class Account:
    """One user.

    Attributes:
        username: The name to log in with.
        password: Synthetic, from the seed.
        user_id: A UUID.
        org: The organization: what others own does not exist for it.
        roles: `ROLE_ADMIN`, `ROLE_USER`.
    """

    username: str
    password: str
    user_id: str
    org: str
    roles: tuple[str, ...]

    @property
    def is_admin(self) -> bool:
        """Whether it may change definitions and read sessions."""
        return ADMIN in self.roles


def accounts_of(seed: int) -> dict[str, Account]:
    """Return every user by name: an admin and a plain user of one organization, and a stranger's admin."""
    people = (
        ("admin", "acme", (ADMIN, USER)),
        ("user", "acme", (USER,)),
        ("stranger", "other", (ADMIN, USER)),
    )
    return {
        name: Account(
            name,
            hexadecimal(_PASSWORD_DIGITS, seed, "password", name),
            identifier(seed, "user", name),
            org,
            roles,
        )
        for name, org, roles in people
    }


class Tokens:
    """Issues tokens and knows whose they are.

    Args:
        seed: What they are signed with.
        life: Seconds that a token is valid.
    """

    def __init__(self, seed: int, life: float) -> None:
        self.accounts = accounts_of(seed)
        self._seed = seed
        self._life = life
        self._numbers = count(1)

    def issue(self, account: Account, now: float) -> str:
        """Return a new token of a user."""
        claims = {"sub": account.username, "iat": now, "exp": now + self._life, "jti": next(self._numbers)}
        said = f"{_encoded({'alg': 'SIM', 'typ': 'JWT'})}.{_encoded(claims)}"
        return f"{said}.{self._signature(said)}"

    def owner(self, token: str, now: float) -> Account | None:
        """Return whose token it is; None if it was not issued here or has expired."""
        said, _, signature = token.rpartition(".")
        if signature != self._signature(said):
            return None
        claims = json.loads(base64.urlsafe_b64decode(_padded(said.partition(".")[2])))
        return self.accounts[claims["sub"]] if now < claims["exp"] else None

    def _signature(self, said: str) -> str:
        return hexadecimal(_SIGNATURE_DIGITS, self._seed, "signature", said)


def _encoded(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
