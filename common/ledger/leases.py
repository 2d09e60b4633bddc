"""Which producer works for which company: several may run, and no company is listed, planned or fed by two.

A company belongs to a producer for as long as that shows signs of life; each has an even share. It is the database's
clock that tells, without the rehearsal shift: processes, not plans, live and die by it.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import TenantId
from common.ledger.columns import database_now, microseconds
from common.ledger.database import Ledger
from common.ledger.schema import producers, tenants

_LEASES = 0x4C65_6173  # any constant of our own, for pg_advisory_xact_lock


async def renew(
    ledger: Ledger, producer: str, lease: timedelta, keep: Collection[TenantId] = frozenset()
) -> frozenset[TenantId]:
    """A sign of life of the producer, and its share of the companies until that is `lease` old.

    What is free is taken up to the even share; what is more than that is given back, but for `keep`: what it is in the
    middle of. Returns the companies that it has. What it had and has no longer, it must not touch any more.
    """

    def work(connection: Connection) -> frozenset[TenantId]:
        if not ledger.is_sqlite:
            connection.execute(_ONE_AT_A_TIME)
        connection.execute(_LIVE[ledger.is_sqlite], {"producer": producer, "lease": microseconds(lease)})
        connection.execute(_BURY)
        living = list(connection.execute(_LIVING).scalars())
        rows = connection.execute(_TENANTS).all()
        mine = [TenantId(row.id) for row in rows if row.leased_by == producer]
        quota = share(living.index(producer), len(living), len(rows))
        surplus = [tenant for tenant in reversed(mine) if tenant not in keep][: max(len(mine) - quota, 0)]
        free = [TenantId(row.id) for row in rows if row.leased_by not in living][: max(quota - len(mine), 0)]
        _give(connection, surplus, None)
        _give(connection, free, producer)
        return frozenset(mine) - frozenset(surplus) | frozenset(free)

    return await ledger.transact(work)


async def give_back(ledger: Ledger, producer: str) -> None:
    """The producer ends: its companies are anybody's at once."""

    def work(connection: Connection) -> None:
        connection.execute(update(tenants).where(tenants.c.leased_by == producer).values(leased_by=None))
        connection.execute(delete(producers).where(producers.c.name == producer))

    await ledger.transact(work)


async def alive(ledger: Ledger) -> int:
    """How many producers have shown a sign of life that is younger than their lease."""
    statement = select(func.count()).select_from(producers).where(producers.c.alive_until >= database_now())
    return int((await ledger.fetch(statement))[0][0])


def forget_all(connection: Connection) -> None:
    """No producer has any company, as in a ledger that was restored."""
    connection.execute(update(tenants).where(tenants.c.leased_by.is_not(None)).values(leased_by=None))
    connection.execute(delete(producers))


def share(rank: int, producers_alive: int, companies: int) -> int:
    """How many companies the producer of that rank is to have, so that no two differ by more than one."""
    each, left = divmod(companies, producers_alive)
    return each + (1 if rank < left else 0)


def _give(connection: Connection, given: Sequence[TenantId], to: str | None) -> None:
    if given:
        connection.execute(_GIVE, {"given": list(given), "to": to})


def _live(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    until = database_now() + bindparam("lease", type_=BigInteger())
    alive = insert.values(name=bindparam("producer"), alive_until=until)
    return alive.on_conflict_do_update(index_elements=["name"], set_={"alive_until": until})


_ONE_AT_A_TIME = text(f"SELECT pg_advisory_xact_lock({_LEASES})")
_LIVE = {True: _live(sqlite.insert(producers)), False: _live(postgresql.insert(producers))}
_BURY = delete(producers).where(producers.c.alive_until < database_now())
_LIVING = select(producers.c.name).order_by(producers.c.name)
_TENANTS = select(tenants.c.id, tenants.c.leased_by).order_by(tenants.c.id)
_GIVE = update(tenants).where(tenants.c.id.in_(bindparam("given", expanding=True))).values(leased_by=bindparam("to"))
