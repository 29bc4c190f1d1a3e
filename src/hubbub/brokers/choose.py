"""From a broker URL to a broker."""

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.url import MEMORY, is_memory, read_url
from hubbub.errors import ConfigurationError
from hubbub.ports.broker import Broker
from hubbub.ports.metrics import Metrics

__all__ = ["MEMORY", "check_broker_url", "choose_broker", "is_memory"]


def check_broker_url(url: str) -> str:
    """The URL itself. Raises ConfigurationError, which says what is wrong but not the URL: it may hold a password."""
    if not is_memory(url):
        read_url(url)
    return url


def choose_broker(url: str, *, name: str, metrics: Metrics | None = None) -> Broker:
    """A new broker, not started; `metrics` count what becomes of its connections.

    Raises ConfigurationError where its client is not installed.
    """
    if is_memory(check_broker_url(url)):
        return MemoryBroker()
    try:
        from hubbub.brokers.redis import RedisBroker
    except ImportError:
        raise ConfigurationError('this broker needs redis-py: pip install "hubbub[redis]"') from None
    return RedisBroker(url, name=name, metrics=metrics)
