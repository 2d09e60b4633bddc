"""What the user has chosen at each of the four levels (bureau < tenant < template < contract), kept and audited.

A change locks the row that every claim locks first: a claim sees all of it or none of it, and a change towards caution
acts on everything not yet called (design, section 5, rule 8).
"""

from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Text, bindparam, cast, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from common.ids import ContractNumber, TenantId
from common.ledger import audit
from common.ledger.database import Ledger
from common.ledger.schema import NO_TENANT, bureau, contracts, policies, tenants
from common.rules.due import Reach, reach
from common.rules.policy import Policy, PolicyChoice, amended, resolve, stricter

Level = Literal["bureau", "tenant", "template", "contract"]

_NOTHING_SAID = PolicyChoice()


class PolicyBook:
    """The choices of all levels, loaded at once.

    Parameters:
      choices: by (level, tenant, key), as the table has them.
    """

    def __init__(self, choices: Mapping[tuple[str, int, str], str]) -> None:
        self._choices = choices

    def policy_of(
        self, tenant: TenantId | None, template: str | None = None, contract: ContractNumber | None = None
    ) -> Policy:
        """What all levels come to; for a level that is `None`, what the levels above it come to."""
        return effective(*(self._text(*where) for where in _levels(tenant, template, contract)))

    def levels_of(
        self, tenant: TenantId | None, template: str | None = None, contract: ContractNumber | None = None
    ) -> dict[str, PolicyChoice]:
        """The choice of each level by its name, as `rules.policy.decided_by` takes them."""
        return {
            level: choice_of(self._text(level, owner, key)) for level, owner, key in _levels(tenant, template, contract)
        }

    def below(self, tenant: TenantId) -> dict[tuple[Level, str], PolicyChoice]:
        """What the company's templates, then its contracts, say for themselves, by level and number."""
        levels: tuple[Level, ...] = ("template", "contract")
        return {
            (level, key): choice_of(self._choices[level, tenant, key])
            for level in levels
            for key in sorted((key for name, owner, key in self._choices if (name, owner) == (level, tenant)), key=int)
            if choice_of(self._choices[level, tenant, key]) != _NOTHING_SAID
        }

    def reach(self, day: date) -> Reach:
        """What may fall due by that day, of all that the book is about: never too little, perhaps too much."""
        bureau = effective(self._choices.get(("bureau", NO_TENANT, "")), None, None, None)
        return reach(bureau, map(choice_of, set(self._choices.values())), day)

    def _text(self, level: str, tenant: int | None, key: str | None) -> str | None:
        return None if tenant is None or key is None else self._choices.get((level, tenant, key))


async def load(ledger: Ledger, tenant: TenantId | None = None) -> PolicyBook:
    """All choices, or those that concern one tenant."""
    return await ledger.read(lambda connection: read(connection, tenant))


def read(connection: Connection, tenant: TenantId | None) -> PolicyBook:
    """`load` within a transaction."""
    statement = select(policies.c.level, policies.c.tenant, policies.c.key, policies.c.choice)
    if tenant is not None:
        statement = statement.where(policies.c.tenant.in_((NO_TENANT, tenant)))
    rows = connection.execute(statement)
    return PolicyBook({(row.level, row.tenant, row.key): row.choice for row in rows})


async def get(
    ledger: Ledger,
    level: Level,
    *,
    tenant: TenantId | None = None,
    template: str | None = None,
    contract: ContractNumber | None = None,
) -> PolicyChoice:
    """What one level says."""
    owner, key = _place(level, tenant, template, contract)
    found = await ledger.look_up(_ONE, {"at": level, "owner": owner, "name": key})
    return choice_of(found[0].choice if found else None)


async def change(
    ledger: Ledger,
    level: Level,
    choice: PolicyChoice,
    by: str,
    *,
    tenant: TenantId | None = None,
    template: str | None = None,
    contract: ContractNumber | None = None,
    unsay: Collection[str] = (),
) -> PolicyChoice:
    """What `choice` says replaces, the rest stays; the fields of `unsay` say nothing again.

    Returns:
      All that the level says now.

    Raises:
      LookupError: there is no such tenant.
    """
    owner, key = _place(level, tenant, template, contract)

    def work(connection: Connection) -> PolicyChoice:
        if level == "bureau":
            connection.execute(select(bureau.c.id).with_for_update(key_share=True))
        elif connection.execute(_LOCK_TENANT, {"tenant_id": owner}).scalar() is None:
            raise LookupError(f"Tenant {owner} is not in the ledger. Add it first: avtalsmotor tenants add")
        where = {"at": level, "owner": owner, "name": key}
        before = choice_of(connection.execute(_ONE, where).scalar())
        kept = before.model_dump(exclude_none=True, exclude=set(unsay))
        after = amended(PolicyChoice.model_validate(kept), choice)
        if after != before:
            insert = insert_sqlite if ledger.is_sqlite else insert_postgresql
            values = {"choice": after.model_dump_json(exclude_none=True), "mode": after.mode}
            connection.execute(
                insert(policies)
                .values(level=level, tenant=owner, key=key, **values)
                .on_conflict_do_update(index_elements=["level", "tenant", "key"], set_=values)
            )
            audit.record(
                connection,
                ledger,
                by,
                "policy_changed",
                tenant=tenant,
                contract=contract,
                before={"level": level, "template": template, **before.model_dump(mode="json", exclude_none=True)},
                after={"level": level, "template": template, **after.model_dump(mode="json", exclude_none=True)},
            )
        return after

    return await ledger.transact(work)


@lru_cache(maxsize=8192)
def effective(bureau: str | None, tenant: str | None, template: str | None, contract: str | None) -> Policy:
    """The policy that the four levels, as stored, come to."""
    return resolve(*(choice_of(level) for level in (bureau, tenant, template, contract)))


@lru_cache(maxsize=8192)
def policy_of(stored: str) -> Policy:
    """A billing's snapshot, as stored."""
    return Policy.model_validate_json(stored)


@lru_cache(maxsize=8192)
def caution(snapshot: Policy, current: Policy) -> Policy:
    """`stricter`, remembered: a claim asks for the same pairs again and again."""
    return stricter(snapshot, current)


def choice_of(stored: str | None) -> PolicyChoice:
    """One level's choice, as stored; `None` for a level that says nothing."""
    return _NOTHING_SAID if stored is None else PolicyChoice.model_validate_json(stored)


def levels_in_force(tenant: ColumnElement[Any], contract: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """Columns for a statement over billings and `contracts`: the four levels as stored, for `effective`."""

    def level(name: Level, owner: object, key: object) -> ColumnElement[Any]:
        choice = select(policies.c.choice).where(
            policies.c.level == name, policies.c.tenant == owner, policies.c.key == key
        )
        return choice.scalar_subquery().label(f"{name}_choice")

    return (
        level("bureau", NO_TENANT, ""),
        level("tenant", tenant, ""),
        level("template", tenant, contracts.c.template),
        level("contract", tenant, cast(contract, Text)),
    )


def _levels(
    tenant: TenantId | None, template: str | None, contract: ContractNumber | None
) -> tuple[tuple[Level, int | None, str | None], ...]:
    return (
        ("bureau", NO_TENANT, ""),
        ("tenant", tenant, ""),
        ("template", tenant, template),
        ("contract", tenant, None if contract is None else str(contract)),
    )


def _place(
    level: Level, tenant: TenantId | None, template: str | None, contract: ContractNumber | None
) -> tuple[int, str]:
    """The key of a level's row. Raises ValueError where the level needs what was not given."""
    for name, owner, key in _levels(tenant, template, contract):
        if name == level and owner is not None and key is not None:
            return owner, key
    raise ValueError(f"the policy of level {level} needs its tenant, and its template or contract")


_ONE = select(policies.c.choice).where(
    policies.c.level == bindparam("at"), policies.c.tenant == bindparam("owner"), policies.c.key == bindparam("name")
)
_LOCK_TENANT = select(tenants.c.id).where(tenants.c.id == bindparam("tenant_id")).with_for_update(key_share=True)
