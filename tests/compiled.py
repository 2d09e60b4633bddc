"""Lets all engines of a test process share what SQLAlchemy has compiled, which it keeps for each engine by itself.

Every test opens a ledger of its own, and would compile each statement of the product anew. A process of the product has
one engine, so nothing is shared here that the tests are about.
"""

from sqlalchemy import Connection, Engine, event

_first: dict[type, Engine] = {}
"""By dialect, the first engine that has got through to its database."""


def share_compiled_statements() -> None:
    """From now on, in this process."""
    event.listen(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    engine = connection.engine
    first = _first.setdefault(type(engine.dialect), engine)
    # What is compiled is found by the dialect, too.
    engine.dialect = first.dialect
    engine._compiled_cache = first._compiled_cache
