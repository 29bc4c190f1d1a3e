"""The broker on Redis or Valkey. The only package that imports `redis`."""

from hubbub.brokers.redis.broker import RedisBroker

__all__ = ["RedisBroker"]
