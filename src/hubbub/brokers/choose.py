"""From a broker URL to a broker."""

import os

from hubbub.brokers.memory.broker import MemoryBroker
from hubbub.brokers.memory.store import Store
from hubbub.brokers.url import MEMORY, is_memory, read_url
from hubbub.errors import ConfigurationError
from hubbub.options import BROKER_MEMORY
from hubbub.ports.broker import Broker
from hubbub.ports.metrics import Metrics

#: Bytes without which a server of ours would have no room for a start.
LEAST_MEMORY = 16 * 1024 * 1024

__all__ = ["MEMORY", "check_broker_url", "choose_broker", "is_memory", "memory_of_environment"]


def check_broker_url(url: str) -> str:
    """The URL itself. Raises ConfigurationError, which says what is wrong but not the URL: it may hold a password."""
    if not is_memory(url):
        read_url(url)
    return url


def memory_of_environment() -> int:
    """HUBBUB_BROKER_MEMORY, in bytes. Raises ConfigurationError."""
    said = os.environ.get("HUBBUB_BROKER_MEMORY") or str(BROKER_MEMORY)
    if not said.isdecimal() or int(said) < LEAST_MEMORY:
        raise ConfigurationError(f"HUBBUB_BROKER_MEMORY is a number of bytes, at least {LEAST_MEMORY}, not {said!r}")
    return int(said)


def choose_broker(url: str, *, name: str, metrics: Metrics | None = None) -> Broker:
    """A new broker, not started; `metrics` count what becomes of its connections.

    Raises ConfigurationError where its client is not installed.
    """
    if is_memory(check_broker_url(url)):
        return MemoryBroker(Store(memory=memory_of_environment()))
    try:
        from hubbub.brokers.redis import RedisBroker
    except ImportError:
        raise ConfigurationError('this broker needs redis-py: pip install "hubbub[redis]"') from None
    return RedisBroker(url, name=name, metrics=metrics)
