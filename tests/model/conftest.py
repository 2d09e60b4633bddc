"""The nights' ledger on both databases, and their Redis."""

from tests.databases import clock, database_url, databases, ledger, postgresql_url, sqlite_url
from tests.valkeys import redis_url, valkey_server

__all__ = ["clock", "database_url", "databases", "ledger", "postgresql_url", "redis_url", "sqlite_url", "valkey_server"]
