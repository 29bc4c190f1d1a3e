"""Who is there, by the token of a first message or of a renewal: what a handshake proves is in `hub/endpoint.py`."""

from collections.abc import Sequence

from hubbub.auth.select import Claim, examine_message
from hubbub.errors import InvalidCredential
from hubbub.options import Limits
from hubbub.ports.auth import Authenticator
from hubbub.protocol.messages import check_user
from hubbub.types import User


class TokenAuthentication:
    def __init__(self, authenticators: Sequence[Authenticator], limits: Limits) -> None:
        self._authenticators = authenticators
        self._limits = limits

    async def authenticate(self, token: str) -> User:
        """Raises CredentialError, and whatever a failing store raises."""
        claim = examine_message(token, self._authenticators, limit=self._limits.credential)
        if not isinstance(claim, Claim):
            raise InvalidCredential(claim.reason)
        return check_user(await claim.judge(), limit=self._limits.name)
