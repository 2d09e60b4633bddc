"""Who listens to what Fortnox announces, and how far it has come: one listener, whatever number of producers runs.

It is the database's clock that tells how long a listener has been silent, without the rehearsal shift, as of producers
(`leases`).
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from common.ledger.columns import database_now, microseconds
from common.ledger.database import Ledger
from common.ledger.schema import listeners


async def hold(ledger: Ledger, topic: str, holder: str, lease: timedelta) -> bool:
    """A sign of life: whether the topic is the holder's to listen to until that is `lease` old."""
    facts = {"of_topic": topic, "by": holder, "lease": microseconds(lease)}
    return await ledger.transact(
        lambda connection: connection.execute(_HOLD[ledger.is_sqlite], facts).one_or_none() is not None
    )


async def let_go(ledger: Ledger, topic: str, holder: str) -> None:
    """The holder listens no more: anybody may at once."""
    ended = update(listeners).where(_IS_HOLDERS).values(holder="", held_until=0)
    await ledger.transact(lambda connection: connection.execute(ended, {"of_topic": topic, "by": holder}))


async def offset(ledger: Ledger, topic: str) -> str | None:
    """The last event that was done with; `None`: nobody has listened yet."""
    rows = await ledger.fetch(select(listeners.c.offset).where(listeners.c.topic == topic))
    return rows[0].offset if rows else None


async def keep(ledger: Ledger, topic: str, holder: str, done_with: str) -> bool:
    """The event is done with. `False`: another one listens by now, and keeps its own."""
    facts = {"of_topic": topic, "by": holder, "done_with": done_with}
    kept = update(listeners).where(_IS_HOLDERS).values(offset=bindparam("done_with"))
    return await ledger.transact(lambda connection: connection.execute(kept, facts).rowcount > 0)


_IS_HOLDERS = (listeners.c.topic == bindparam("of_topic")) & (listeners.c.holder == bindparam("by"))


def _hold(insert: sqlite.Insert | postgresql.Insert) -> Any:
    until = database_now() + bindparam("lease", type_=BigInteger())
    taken = insert.values(topic=bindparam("of_topic"), holder=bindparam("by"), held_until=until)
    return taken.on_conflict_do_update(
        index_elements=["topic"],
        set_={"holder": bindparam("by"), "held_until": until},
        where=or_(listeners.c.holder == bindparam("by"), listeners.c.held_until < database_now()),
    ).returning(listeners.c.topic)


_HOLD = {True: _hold(sqlite.insert(listeners)), False: _hold(postgresql.insert(listeners))}
