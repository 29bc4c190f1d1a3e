"""Who is there: from a credential to a user."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from hubbub.types import User


class Carrier(Enum):
    """How a credential travelled, in the order in which the first one present decides."""

    SUBPROTOCOL = "subprotocol"
    QUERY = "query"
    COOKIE = "cookie"
    MESSAGE = "first message"


@dataclass(frozen=True, slots=True)
class Credential:
    """What the client presented. The value is a secret: it is in no `repr` and goes into no log."""

    carrier: Carrier
    value: str

    def __repr__(self) -> str:
        return f"Credential({self.carrier.value}, …)"


class Authenticator(Protocol):
    """`issuers`, a tuple of str, may be there beside what is asked for here: where several read the same carrier, those
    whose tokens this one is for, by the `iss` that a JWT names."""

    @property
    def cookie(self) -> str | None:
        """The name of the cookie it reads, None where it reads none."""

    @property
    def bearer(self) -> bool:
        """Whether it takes what travels as subprotocol, query or first message."""

    async def authenticate(self, credential: Credential) -> User:
        """The user the credential proves; a plain `def` runs in a thread.

        Raises InvalidCredential or ExpiredCredential, and says no secret in them. Whatever else it raises or gives lets
        nobody in.
        """
