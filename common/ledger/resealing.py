"""Seals anew what an older key sealed, wherever in the ledger it is kept, so that the key can be dropped.

Whoever keeps sealed texts in another column adds the place to `PLACES`; otherwise a key that still seals something is
dropped, and what it sealed is lost. A text that somebody changes meanwhile is left as they wrote it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Row, select, update

from common import consents as of_consents
from common.ids import TenantId
from common.ledger import audit
from common.ledger.database import Ledger
from common.ledger.schema import NO_TENANT, consents, secrets
from common.ledger.secrets import purpose
from common.seals import NotUnsealed, Seals, key_of

BATCH = 200
"""How many are changed in one transaction: a claim waits for it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where sealed texts are kept.

    Parameters:
      column: holds the sealed text, or NULL.
      tenant: whose it is, by a row's primary key; `None` for the bureau's.
      purpose: what it is sealed for, by a row's primary key.
    """

    column: Column[Any]
    tenant: Callable[[Row[Any]], TenantId | None]
    purpose: Callable[[Row[Any]], str]


def _of(row: Row[Any]) -> TenantId | None:
    return TenantId(row.tenant) if row.tenant != NO_TENANT else None


PLACES: Sequence[Place] = (
    Place(
        column=consents.c.refresh_token,
        tenant=lambda row: TenantId(row.tenant),
        purpose=lambda row: of_consents.purpose(row.tenant),
    ),
    Place(column=secrets.c.sealed, tenant=_of, purpose=lambda row: purpose(row.name, _of(row))),
)
"""All of them."""


@dataclass(frozen=True, slots=True)
class Resealed:
    """What came of it.

    Parameters:
      done: how many are under the newest key now that were not.
      failed: for each that could not be unsealed, why, and what to do.
    """

    done: int
    failed: Sequence[str]


async def sealed_by(ledger: Ledger) -> Mapping[str, int]:
    """How many sealed texts there are in the ledger under each key's id; under "" what is no sealed text."""

    def work(connection: Connection) -> Mapping[str, int]:
        return Counter(key_of(row.sealed) for place in PLACES for row in connection.execute(_kept(place)))

    return await ledger.read(work)


async def reseal(ledger: Ledger, seals: Seals, by: str) -> Resealed:
    """Seals under the newest key what is not. What cannot be unsealed is left as it is. Raises KeyFileError."""
    done, failed = 0, list[str]()
    for place in PLACES:
        older = [row for row in await ledger.fetch(_kept(place)) if key_of(row.sealed) != seals.current]
        anew: list[tuple[Row[Any], str]] = []
        for row in older:
            meant = place.purpose(row)
            try:
                anew.append((row, seals.seal(seals.unseal(row.sealed, meant), meant)))
            except NotUnsealed as error:
                failed.append(str(error))
        for first in range(0, len(anew), BATCH):
            done += await ledger.transact(partial(_replace, ledger, place, anew[first : first + BATCH], by))
    return Resealed(done, failed)


def _replace(
    ledger: Ledger, place: Place, anew: Sequence[tuple[Row[Any], str]], by: str, connection: Connection
) -> int:
    table = place.column.table
    changed: list[Mapping[str, Any]] = []
    for row, sealed in anew:
        this = [key == getattr(row, key.name) for key in table.primary_key]
        # Not if it is another by now: what was unsealed would take the place of a newer secret.
        replaced = update(table).where(*this, place.column == row.sealed).values({place.column: sealed})
        if connection.execute(replaced).rowcount:
            before = {"secret": place.purpose(row), "key": key_of(row.sealed)}
            after = {"secret": place.purpose(row), "key": key_of(sealed)}
            changed.append(audit.entry(place.tenant(row), None, None, before, after))
    audit.record_all(connection, ledger, by, "secret_resealed", changed)
    return len(changed)


def _kept(place: Place) -> Any:
    table = place.column.table
    return (
        select(*table.primary_key, place.column.label("sealed"))
        .where(place.column.is_not(None))
        .order_by(*table.primary_key)
    )
