"""The ledger on both databases, and a small bureau to fill it with."""

from tests.databases import clock, database_url, databases, ledger, postgresql_url, sqlite_url

__all__ = ["clock", "database_url", "databases", "ledger", "postgresql_url", "sqlite_url"]
