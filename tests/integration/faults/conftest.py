from tests.brokers.conftest import admin, one_valkey, url, valkey

__all__ = ["admin", "one_valkey", "url", "valkey"]
