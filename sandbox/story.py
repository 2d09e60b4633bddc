"""Seeds the sandbox with a bureau's night: client companies, their contracts, and what the story expects of each.

The same number gives the same world on the same day. Seeding replaces the companies that were there; it must never look
at what a product makes of them, which is `sandbox.summary`'s to judge.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random

from sandbox.books import World
from sandbox.names import Register
from sandbox.story_cast import CAST
from sandbox.story_company import write_company
from sandbox.story_record import SENTENCES, CompanyStory, Story

__all__ = ["NotSeededError", "seed", "story_of", "story_wishes"]

NAMED_AT_MOST = 6
"""More contracts than this are counted in words, not listed."""


class NotSeededError(LookupError):
    """The world has not been seeded."""


def seed(world: World, number: int, *, companies: int = 12, scale: float = 1.0, horizon_days: int = 62) -> None:
    """Put the story's companies in the world in place of those there, and write down what is expected of them.

    Parameters
    ----------
    number
        Where everything is drawn from; the same number makes the same world, if the virtual day is the same.
    companies
        How many; beyond the dozen of the cast there are more of the same kinds.
    scale
        Multiplies the contracts; 1 gives some 340 due tonight in twelve companies.
    horizon_days
        For how many virtual days after tonight there are expectations. After that `summarise` no longer says clean.
    """
    if companies < 1 or scale <= 0 or horizon_days < 0:
        raise ValueError(
            f"The sandbox cannot be seeded with {companies} companies at scale {scale} for {horizon_days} days: "
            "ask for at least one company, a scale above zero and no negative days."
        )
    now = world.clock.now()
    story = Story(number, now, now.date() + timedelta(days=horizon_days))
    random = Random(number)
    register = Register(random)
    tenants = sorted(random.sample(range(100_000, 1_000_000), companies))
    world.companies.clear()
    for index, tenant in enumerate(tenants):
        part = CAST[index % len(CAST)]
        party = register.client(part.name) if index < len(CAST) else register.branch(part.trade)
        company, told = write_company(
            part, party, register, random, tenant=tenant, scale=scale, today=now.date(), until=story.until
        )
        world.add_company(company)
        story.companies[tenant] = told
    world.story = story


def story_of(world: World) -> Story:
    """What was written down at seeding. Raises NotSeededError in a world that has not been seeded."""
    if isinstance(world.story, Story):
        return world.story
    raise NotSeededError("The sandbox has no story to compare with: seed it first (POST /_sandbox/seed).")


def story_wishes(world: World) -> list[dict[str, object]]:
    """For each company: tenant id, name, wishes, what single contracts wish otherwise, and what to expect in words.

    `wishes` has the keys mode, bookkeep, deliver, deliver_from, invoice_on and lead_days; `contracts` maps contract
    numbers to those of the keys that differ. JSON-able. Raises NotSeededError in a world that has not been seeded.
    """
    return [
        {
            "tenant_id": told.tenant,
            "name": told.name,
            "about": told.line,
            "wishes": told.wishes.as_json(),
            "contracts": {str(number): changes for number, changes in sorted(told.contract_wishes.items())},
            "expect": _in_words(told),
        }
        for told in story_of(world).companies.values()
    ]


def _in_words(told: CompanyStory) -> list[str]:
    """One sentence for each reason that something will not go as wished, with the contracts it is about."""
    numbers: dict[str, set[int]] = {}
    for expectation in told.expectations:
        if expectation.reason:
            numbers.setdefault(expectation.reason, set()).add(expectation.contract)
    return [f"{_contracts(numbers[reason])}: {sentence}" for reason, sentence in SENTENCES.items() if reason in numbers]


def _contracts(numbers: set[int]) -> str:
    if len(numbers) > NAMED_AT_MOST:
        return f"{len(numbers)} contracts"
    return f"{'Contract' if len(numbers) == 1 else 'Contracts'} {', '.join(map(str, sorted(numbers)))}"
