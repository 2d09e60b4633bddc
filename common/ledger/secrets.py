"""The bureau's and the companies' secrets, such as the password of a mail server: sealed before they come here.

Never writes a value, open or sealed, into the audit. Where else sealed texts are kept is in `resealing.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from common.ids import TenantId
from common.ledger import audit
from common.ledger.database import NOW, Ledger
from common.ledger.schema import NO_TENANT, secrets
from common.seals import Seals, key_of


@dataclass(frozen=True, slots=True)
class Secret:
    """That there is a secret, and no more.

    Parameters:
      tenant: `None`: it is the bureau's own.
      key: the id of the key that sealed it.
    """

    tenant: TenantId | None
    name: str
    key: str
    changed_at: datetime


async def put(ledger: Ledger, seals: Seals, name: str, value: str, by: str, *, tenant: TenantId | None = None) -> None:
    """Keeps a secret, in the place of an older one of that name.

    Parameters:
      name: what it is, in words, such as `password of the mail server`. It stands in errors and in the audit.

    Raises: `SealsError`.
    """
    sealed = seals.seal(value, purpose(name, tenant))

    def work(connection: Connection) -> None:
        before = connection.execute(_LOCKED, _where(name, tenant)).scalar()
        connection.execute(_PUT[ledger.is_sqlite], {**_where(name, tenant), "text": sealed, **ledger.shift})
        audit.record(
            connection,
            ledger,
            by,
            "secret_kept" if before is None else "secret_changed",
            tenant=tenant,
            before={} if before is None else {"secret": name, "key": key_of(before)},
            after={"secret": name, "key": key_of(sealed)},
        )

    await ledger.transact(work)


async def get(ledger: Ledger, seals: Seals, name: str, *, tenant: TenantId | None = None) -> str | None:
    """The secret; `None` if there is none of that name. Raises SealsError."""
    found = await ledger.look_up(_SEALED, _where(name, tenant))
    return seals.unseal(found[0].sealed, purpose(name, tenant)) if found else None


async def forget(ledger: Ledger, name: str, by: str, *, tenant: TenantId | None = None) -> bool:
    """Removes a secret. `False`: there was none of that name."""

    def work(connection: Connection) -> bool:
        sealed = connection.execute(_FORGET, _where(name, tenant)).scalar()
        if sealed is None:
            return False
        before = {"secret": name, "key": key_of(sealed)}
        audit.record(connection, ledger, by, "secret_forgotten", tenant=tenant, before=before, after={})
        return True

    return await ledger.transact(work)


async def every(ledger: Ledger) -> list[Secret]:
    """Which secrets there are, the bureau's own first, and by name."""
    rows = await ledger.fetch(select(secrets).order_by(secrets.c.tenant, secrets.c.name))
    return [
        Secret(TenantId(row.tenant) if row.tenant != NO_TENANT else None, row.name, key_of(row.sealed), row.changed_at)
        for row in rows
    ]


def purpose(name: str, tenant: TenantId | None) -> str:
    """What a secret of this table is sealed for."""
    return f"{name} of the bureau" if tenant is None else f"{name} of tenant {tenant}"


def _where(name: str, tenant: TenantId | None) -> dict[str, Any]:
    return {"of_name": name, "of_tenant": NO_TENANT if tenant is None else tenant}


def _put(insert: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    put = insert.values(
        tenant=bindparam("of_tenant"), name=bindparam("of_name"), sealed=bindparam("text"), changed_at=NOW
    )
    anew = {"sealed": put.excluded.sealed, "changed_at": put.excluded.changed_at}
    return put.on_conflict_do_update(index_elements=["tenant", "name"], set_=anew)


_THIS = (secrets.c.tenant == bindparam("of_tenant"), secrets.c.name == bindparam("of_name"))
_SEALED = select(secrets.c.sealed).where(*_THIS)
_LOCKED = _SEALED.with_for_update()
_PUT = {True: _put(sqlite.insert(secrets)), False: _put(postgresql.insert(secrets))}
_FORGET = delete(secrets).where(*_THIS).returning(secrets.c.sealed)
