"""Why a billing waits in plain sight: the fault or the deed that struck it, from the suite's own record.

The ledger's word is not enough: a reason that nothing of what the suite did can have caused is a finding.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.books import Invoice, Row
from tests.chaos.scene import PersonsDeed
from tests.chaos.strikes import MARGIN, Strike
from tests.chaos.times import Times

LEDGER_RESTORED = "ledger_restored"


@dataclass(frozen=True, slots=True)
class FaultyCall:
    """A call with an effect that a rule of the sandbox struck."""

    tenant: int
    arrived: float
    kind: str


class Explanations:
    """What the suite knows of what it did."""

    def __init__(
        self, strikes: Sequence[Strike], deeds: Sequence[PersonsDeed], faulty_calls: Sequence[FaultyCall], times: Times
    ) -> None:
        self._strikes = strikes
        self._times = times
        self._deeds: Mapping[tuple[int, int], list[PersonsDeed]] = defaultdict(list)
        for deed in deeds:
            self._deeds[deed.tenant, deed.contract].append(deed)
        self._faulty: Mapping[int, list[FaultyCall]] = defaultdict(list)
        for call in faulty_calls:
            self._faulty[call.tenant].append(call)

    def why(self, row: Row) -> str | None:
        """In words; `None` if nothing is known that can have caused it."""
        if deeds := self._deeds.get((row.tenant, row.contract)):
            return "a person: " + ", ".join(deed.action for deed in deeds)
        for strike in self._strikes:
            if strike.has_struck(row.tenant, row.contract, row.step):
                return strike.kind
        for attempt in (one for one in row.attempts if one.step == row.step and one.verdict != "rejected"):
            for call in self._faulty.get(row.tenant, ()):
                if attempt.called_at - MARGIN <= call.arrived <= attempt.called_at + self._times.call_timeout + MARGIN:
                    return call.kind
            for strike in self._strikes:
                if strike.may_have_touched(
                    row.tenant, row.contract, attempt.called_at, self._times.lease, attempt.worker
                ):
                    return strike.kind
        return None


class Forgotten:
    """The invoices of which a ledger that was put back to an older copy need not know.

    Parameters:
      told: (company, invoice) of what the product's own proof says needs a look; without that nobody would know either.
    """

    def __init__(self, strikes: Sequence[Strike], told: Collection[tuple[int, int]], times: Times) -> None:
        # What was called just before the copy was made, and answered after it, is doubted like what was lost.
        early = times.lease + MARGIN
        self._gaps = [(strike.began - early, strike.ended) for strike in strikes if strike.kind == LEDGER_RESTORED]
        self._told = told

    def __call__(self, invoice: Invoice) -> bool:
        in_a_gap = any(began <= invoice.created_at <= ended for began, ended in self._gaps)
        return in_a_gap and (not invoice.live or (invoice.tenant, invoice.number) in self._told)


def faulty_calls(requests: Sequence[Mapping[str, Any]]) -> list[FaultyCall]:
    """Those of the sandbox's log that a rule struck."""
    return [
        FaultyCall(one["tenant"], one["arrived"], one["fault"])
        for one in requests
        if one["fault"] is not None and one["tenant"] is not None
    ]
