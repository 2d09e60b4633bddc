"""Secrets in the ledger: sealed, audited without their value, and sealed anew when a new key comes."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from common import consents as of_consents
from common import key_file
from common.clock import Clock
from common.ledger import audit, consents, resealing, secrets
from common.ledger.database import Ledger
from common.ledger.schema import metadata
from common.ledger.schema import secrets as table
from common.seals import KeyUnknown, SealBroken, Seals
from common.settings import Settings
from tests.integration.ledger.story import OTHER, TENANT, company

NAME = "password of the mail server"
VALUE = "a-secret-value"


@pytest.fixture
def seals(tmp_path: Path) -> Seals:
    return Seals.read(Settings(data_dir=tmp_path / "data"))


async def stored(ledger: Ledger) -> list[str]:
    return [row.sealed for row in await ledger.fetch(select(table).order_by(table.c.tenant, table.c.name))]


async def test_a_secret_is_kept_and_forgotten(ledger: Ledger, seals: Seals) -> None:
    assert await secrets.get(ledger, seals, NAME) is None
    await secrets.put(ledger, seals, NAME, VALUE, "anna")
    assert await secrets.get(ledger, seals, NAME) == VALUE
    assert await secrets.forget(ledger, NAME, "anna")
    assert await secrets.get(ledger, seals, NAME) is None
    assert not await secrets.forget(ledger, NAME, "anna")


async def test_each_company_has_its_own_and_the_bureau_one(ledger: Ledger, seals: Seals) -> None:
    await company(ledger)
    for tenant, value in ((None, "of all"), (TENANT, "of one"), (OTHER, "of another")):
        await secrets.put(ledger, seals, NAME, value, "anna", tenant=tenant)
        await secrets.put(ledger, seals, NAME, f"newest {value}", "anna", tenant=tenant)
    assert await secrets.get(ledger, seals, NAME) == "newest of all"
    assert await secrets.get(ledger, seals, NAME, tenant=TENANT) == "newest of one"
    assert await secrets.get(ledger, seals, NAME, tenant=OTHER) == "newest of another"
    assert [(one.tenant, one.name, one.key) for one in await secrets.every(ledger)] == [
        (None, NAME, seals.current),
        *((tenant, NAME, seals.current) for tenant in sorted((TENANT, OTHER))),
    ]


async def test_a_secret_lies_sealed_in_the_ledger_and_only_opens_in_its_place(ledger: Ledger, seals: Seals) -> None:
    await secrets.put(ledger, seals, NAME, VALUE, "anna", tenant=TENANT)
    [sealed] = await stored(ledger)
    assert VALUE not in sealed

    def move(connection: Connection) -> None:
        connection.execute(update(table).values(tenant=OTHER))

    await ledger.transact(move)
    with pytest.raises(SealBroken, match=f"{NAME} of tenant {OTHER}"):
        await secrets.get(ledger, seals, NAME, tenant=OTHER)


async def test_every_change_is_audited_without_the_value(ledger: Ledger, seals: Seals) -> None:
    await secrets.put(ledger, seals, NAME, VALUE, "anna", tenant=TENANT)
    first = seals.current
    key_file.add(seals.path, Clock().now())
    await secrets.put(ledger, seals, NAME, VALUE, "bo", tenant=TENANT)
    [sealed] = await stored(ledger)
    await secrets.forget(ledger, NAME, "anna", tenant=TENANT)
    old, new = {"secret": NAME, "key": first}, {"secret": NAME, "key": seals.current}
    entries = await audit.entries(ledger, tenant=TENANT)
    assert [(entry.by, entry.action, entry.before, entry.after) for entry in entries] == [
        ("anna", "secret_kept", {}, old),
        ("bo", "secret_changed", old, new),
        ("anna", "secret_forgotten", new, {}),
    ]
    assert VALUE not in repr(entries)
    assert sealed not in repr(entries)


async def test_what_an_older_key_sealed_is_sealed_anew_and_the_rest_left(
    ledger: Ledger, seals: Seals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "BATCH", 2)
    for number in range(5):
        await secrets.put(ledger, seals, f"secret {number}", f"value {number}", "anna", tenant=TENANT)
    old = seals.current
    new = key_file.add(seals.path, Clock().now()).id
    await secrets.put(ledger, seals, "secret 5", "value 5", "anna")
    assert await resealing.sealed_by(ledger) == {old: 5, new: 1}
    newest = (await stored(ledger))[0]
    assert await resealing.reseal(ledger, seals, "bo") == resealing.Resealed(5, [])
    assert await resealing.sealed_by(ledger) == {new: 6}
    assert (await stored(ledger))[0] == newest
    key_file.drop(seals.path, old)
    for number in range(5):
        assert await secrets.get(ledger, seals, f"secret {number}", tenant=TENANT) == f"value {number}"
    told = [entry for entry in await audit.entries(ledger, tenant=TENANT) if entry.action == "secret_resealed"]
    assert [(entry.by, entry.before["key"], entry.after["key"]) for entry in told] == [("bo", old, new)] * 5
    assert await resealing.reseal(ledger, seals, "bo") == resealing.Resealed(0, [])


async def test_one_that_cannot_be_unsealed_is_told_and_keeps_none_of_the_others(
    ledger: Ledger, seals: Seals, tmp_path: Path
) -> None:
    lost = Seals.read(Settings(data_dir=tmp_path / "lost"))
    await secrets.put(ledger, lost, "lost", VALUE, "anna")
    await secrets.put(ledger, seals, "whole", VALUE, "anna")
    key_file.add(seals.path, Clock().now())
    resealed = await resealing.reseal(ledger, seals, "bo")
    assert resealed.done == 1
    [why] = resealed.failed
    assert why.startswith("The lost of the bureau cannot be unsealed")
    assert VALUE not in why
    assert await secrets.get(ledger, lost, "lost") == VALUE
    with pytest.raises(KeyUnknown):
        await secrets.get(ledger, seals, "lost")


async def test_a_secret_that_is_changed_while_all_are_sealed_anew_stays_as_changed(
    ledger: Ledger, seals: Seals
) -> None:
    await secrets.put(ledger, seals, NAME, "older", "anna")
    [place] = [place for place in resealing.PLACES if place.column is table.c.sealed]
    [row] = await ledger.fetch(resealing._kept(place))
    anew = [(row, seals.seal("older", place.purpose(row)))]
    await secrets.put(ledger, seals, NAME, "newer", "anna")
    changed = await ledger.transact(lambda connection: resealing._replace(ledger, place, anew, "bo", connection))
    assert changed == 0
    assert await secrets.get(ledger, seals, NAME) == "newer"


async def test_a_company_s_refresh_token_is_sealed_anew_too(ledger: Ledger, seals: Seals) -> None:
    await company(ledger)
    meant = of_consents.purpose(TENANT)
    await consents.put(ledger, TENANT, "user", ["invoice"], seals.seal(VALUE, meant), "anna")
    new = key_file.add(seals.path, Clock().now()).id
    assert await resealing.reseal(ledger, seals, "bo") == resealing.Resealed(1, [])
    assert await resealing.sealed_by(ledger) == {new: 1}
    kept = await consents.get(ledger, TENANT)
    assert kept is not None
    assert kept.refresh_token is not None
    assert seals.unseal(kept.refresh_token, meant) == VALUE


def test_every_column_that_holds_sealed_texts_is_among_the_places() -> None:
    sealed = {
        column
        for one in metadata.tables.values()
        for column in one.columns
        if column.name in {"sealed", "refresh_token"}
    }
    assert {place.column for place in resealing.PLACES} == sealed
