"""What an application gave its hub, with everything that was left out filled in."""

from dataclasses import dataclass, field

from hubbub.auth.origin import OriginRules
from hubbub.options import Heartbeat, Keep, Leaving, Limits, Rate
from hubbub.ports.auth import Authenticator
from hubbub.ports.clock import Clock
from hubbub.ports.metrics import Metrics, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """As `hubbub.Hub` says of its parameters."""

    authenticators: tuple[Authenticator, ...] = ()
    origins: OriginRules = field(default_factory=OriginRules)
    limits: Limits = field(default_factory=Limits)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    rate: Rate | None = None
    announce_users: bool = False
    inbox: Keep = None
    leaving: Leaving = field(default_factory=Leaving)
    metrics: Metrics = field(default_factory=Tally)
    hold_call: bool | None = None
    clock: Clock | None = None
    """None: the system's, which is bound to where the hub starts."""
