"""The nights' ledger on both databases, and their Redis."""

from tests.databases import database_url, databases, postgresql_url, sqlite_url
from tests.valkeys import redis_url, valkey_server

__all__ = ["database_url", "databases", "postgresql_url", "redis_url", "sqlite_url", "valkey_server"]
