"""From a broker URL to a broker."""

from urllib.parse import urlsplit

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.errors import ConfigurationError
from hubbub.ports.broker import Broker
from hubbub.ports.metrics import Metrics

MEMORY = "memory"
_REDIS = frozenset({"redis", "rediss", "valkey", "valkeys", "unix"})


def check_broker_url(url: str) -> str:
    """The URL itself. Raises ConfigurationError, which names the schemes but not the URL: it may hold a password."""
    if url == MEMORY or urlsplit(url).scheme in _REDIS | {MEMORY}:
        return url
    raise ConfigurationError("a broker is memory, redis://, rediss://, valkey://, valkeys:// or unix://")


def choose_broker(url: str, *, name: str, metrics: Metrics | None = None) -> Broker:
    """A new broker, not started; `metrics` count what becomes of its connections.

    Raises ConfigurationError where its client is not installed.
    """
    if urlsplit(check_broker_url(url)).scheme not in _REDIS:
        return MemoryBroker()
    try:
        from hubbub.brokers.redis import RedisBroker
    except ImportError:
        raise ConfigurationError('this broker needs redis-py: pip install "hubbub[redis]"') from None
    return RedisBroker(url, name=name, metrics=metrics)
