"""What the operator is told of credentials that prove nobody: why, by which carrier, and never the credential.

Whoever presented one hears as little as possible, a browser one text for all of them; without a line here nobody could
tell an expired token from a forged one, or from a server that has another key than the one that signs.
"""

import logging

from hubbub.auth.redaction import harmless, quotes
from hubbub.errors import CredentialError, text_of
from hubbub.ports.auth import Carrier
from hubbub.ports.clock import Clock
from hubbub.ports.logs import Event, fields
from hubbub.ports.metrics import Count, Metrics
from hubbub.scheduling.limited_log import LimitedLog

_log = logging.getLogger("hubbub.credentials")


class Refusals:
    """Tells and counts them, by their fault."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._log = LimitedLog(_log, clock)
        self._metrics = metrics

    def tell(self, error: CredentialError, *, where: str, carrier: Carrier, secret: str = "") -> None:
        """`secret` is what was presented: an authenticator of the application's may have quoted it."""
        self._metrics.count(Count(f"credentials_{error.fault}"))
        said = text_of(error)
        text = "its text quotes the credential" if quotes(said, secret) else harmless(said)
        kind = f"a credential was refused ({error.fault})"
        self._log.tell(
            kind,
            "%s %s, by %s: %s",
            kind,
            where,
            carrier.value,
            text or type(error).__name__,
            extra=fields(Event.CREDENTIAL_REFUSED, cause=str(error.fault), carrier=carrier.value),
        )

    def stop(self) -> None:
        self._log.stop()
