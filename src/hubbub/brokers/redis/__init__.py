"""The broker on Redis or Valkey. With `client/publisher.py` the only code that imports `redis`."""

from hubbub.brokers.redis.broker import RedisBroker

__all__ = ["RedisBroker"]
