"""What is inside of a hub or a broker that runs: the one place where a test looks there."""

from typing import Any

from hubbub import Hub
from hubbub.brokers.redis.channels import Channels
from hubbub.brokers.redis.commands import Commands
from hubbub.brokers.redis.link import Link
from hubbub.brokers.redis.listener import Listener
from hubbub.brokers.redis.probe import Probe
from hubbub.hub.runtime import Runtime


def runs(hub: Hub) -> bool:
    """Whether it was started, and not stopped since."""
    return _runtime(hub) is not None


def inside(hub: Hub) -> Runtime:
    """The runtime of a hub that runs."""
    running = _runtime(hub)
    assert running is not None
    return running


def _runtime(hub: Hub) -> Runtime | None:
    return hub._life.runtime  # noqa: SLF001 - a hub shows nobody how it runs


def without_lingering(hub: Hub) -> None:
    """From now on a subscription without a reason ends in the next turn of the loop, not a second later."""
    inside(hub).parts.subscriptions.linger = 0.0


def listener(broker: Any) -> Listener:
    """Of a RedisBroker that was started, as the rest here."""
    found: Listener | None = broker._listener  # noqa: SLF001 - nor does a broker
    assert found is not None
    return found


def channels(broker: Any) -> Channels:
    return listener(broker)._channels  # noqa: SLF001 - as above


def link(broker: Any) -> Link:
    """The connection on which it listens now."""
    found = channels(broker)._link  # noqa: SLF001 - as above
    assert found is not None
    return found


def probe(broker: Any) -> Probe:
    found: Probe | None = broker._probe  # noqa: SLF001 - as above
    assert found is not None
    return found


def commands(broker: Any) -> Commands:
    found: Commands | None = broker._commands  # noqa: SLF001 - as above
    assert found is not None
    return found
