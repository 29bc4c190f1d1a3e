"""Who is there, by the token of a first message or of a renewal: what a handshake proves is in `hub/handshakes.py`."""

from collections.abc import Callable, Sequence

from hubbub.auth.refusals import Refusals
from hubbub.auth.select import Claim, examine_message
from hubbub.errors import CredentialError, CredentialFault, InvalidCredential
from hubbub.options import Limits
from hubbub.ports.auth import Authenticator, Carrier
from hubbub.protocol.messages import check_user
from hubbub.types import ConnectionId, User


class TokenAuthentication:
    """`check_revoked` raises InvalidCredential."""

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        limits: Limits,
        refusals: Refusals,
        check_revoked: Callable[[User], None],
    ) -> None:
        self._authenticators = authenticators
        self._limits = limits
        self._refusals = refusals
        self._check_revoked = check_revoked

    async def authenticate(self, token: str, connection: ConnectionId, renews: User | None) -> User:
        """`renews`: who is there, whose credential it must be. Raises CredentialError, and whatever a failing store
        raises."""
        try:
            user = await self._judge(token)
            self._check_revoked(user)
            if renews is not None and user.id != renews.id:
                raise InvalidCredential("the credential is another user's", fault=CredentialFault.ANOTHER_USER)
        except CredentialError as error:
            where = f"{'on' if renews is None else 'for the renewal of'} connection {connection}"
            self._refusals.tell(error, where=where, carrier=Carrier.MESSAGE, secret=token)
            raise
        return user

    async def _judge(self, token: str) -> User:
        claim = examine_message(token, self._authenticators, limit=self._limits.credential)
        if not isinstance(claim, Claim):
            raise InvalidCredential(claim.reason, fault=claim.fault)
        return check_user(await claim.judge(), limit=self._limits.name, shows=self._limits.presence)
