"""One billing under every order of events: workers that call, freeze and come back late, evidence, a person in a hurry.

Fortnox is a counter here: it acts on what is sent. Whatever happens, each step is sent once, unless it is known to have
been refused; and nothing is lost without a trace.
"""

import asyncio
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from common.clock import Clock
from common.ledger import audit, billings, pauses
from common.ledger.database import open_ledger
from common.ledger.outcomes import Again, Answer, Booked, Delivered, Doubt, Made, Outcome, Park, Seek
from common.ledger.records import Billing, Claim
from common.rules.reasons import Reason
from common.rules.states import FINAL, Status, Step
from tests.databases import Databases
from tests.integration.ledger.story import ACTED, REJECTED, SILENCE, TENANT, ask, company, invoice_of, now, one, planned

LEASE = timedelta(minutes=2)

REFUSALS: list[Outcome] = [
    Again(Reason.THROTTLED, failed=False),
    Park(Reason.REFUSED),
    Park(Reason.LICENCE_MISSING),
]


class Life(RuleBasedStateMachine):
    """The life of one billing."""

    template: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.sent: dict[Step, int] = dict.fromkeys(Step, 0)
        self.under_way: list[tuple[Claim, Answer, Outcome]] = []

    @initialize()
    def begin(self) -> None:
        shutil.copyfile(self.template.removeprefix("sqlite:///"), self.directory / "ledger.sqlite3")
        self.ledger = self.runner.run(open_ledger(None, self.directory, self.clock))
        self.runner.run(company(self.ledger))
        self.billing = self.runner.run(one(self.ledger))

    def teardown(self) -> None:
        self.runner.run(self.ledger.close())
        self.runner.close()
        shutil.rmtree(self.directory)

    def state(self) -> Billing:
        return self.runner.run(now(self.ledger, self.billing))

    @rule(answered=st.sampled_from(["yes", "yes without a number", "cut off"]), step=st.sampled_from(Step))
    def a_worker_calls_and_fortnox_acts(self, answered: str, step: Step) -> None:
        claim = self.runner.run(ask(self.ledger, self.billing, step, lease=LEASE))
        if not isinstance(claim, Claim):
            return
        self.sent[step] += 1
        done: dict[Step, Outcome] = {
            Step.CREATE: Seek() if answered == "yes without a number" else Made(invoice_of(claim.billing)),
            Step.BOOKKEEP: Booked(),
            Step.DELIVER: Delivered("e-mail"),
        }
        answer, outcome = (SILENCE, Doubt()) if answered == "cut off" else (ACTED, done[step])
        self.under_way.append((claim, answer, outcome))

    @rule(refusal=st.sampled_from(REFUSALS), step=st.sampled_from(Step))
    def a_worker_calls_and_fortnox_refuses(self, refusal: Outcome, step: Step) -> None:
        claim = self.runner.run(ask(self.ledger, self.billing, step, lease=LEASE))
        if isinstance(claim, Claim):
            self.under_way.append((claim, REJECTED, refusal))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 5))
    def a_worker_settles_be_it_late(self, which: int) -> None:
        claim, answer, outcome = self.under_way.pop(which % len(self.under_way))
        self.runner.run(billings.settle(self.ledger, claim, answer, outcome))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 5))
    def a_worker_dies(self, which: int) -> None:
        self.under_way.pop(which % len(self.under_way))

    @rule()
    def time_passes_and_expired_leases_are_taken_over(self) -> None:
        self.clock.shift += LEASE + timedelta(seconds=1)
        for billing in self.runner.run(billings.expired(self.ledger)):
            self.runner.run(billings.take_over(self.ledger, billing.id))

    @rule()
    def evidence_looks(self) -> None:
        """It finds what Fortnox did, and says that nothing was done only when nothing was."""
        billing = self.state()
        if billing.status not in (Status.SEEKING, Status.IN_DOUBT):
            return
        found: dict[Step, Outcome] = {
            Step.CREATE: Made(invoice_of(billing)),
            Step.BOOKKEEP: Booked(),
            Step.DELIVER: Delivered("seen"),
        }
        acted = self.sent[billing.step] > 0
        outcome = found[billing.step] if acted else Again(Reason.NOT_SENT)
        self.runner.run(
            billings.resolve(
                self.ledger,
                billing.id,
                billing.step,
                outcome,
                "evidence",
                verdict="acted" if acted else "absent",
                note="looked",
            )
        )

    @rule(act=st.sampled_from(["retry", "approve", "skip"]))
    def a_person_presses_a_button(self, act: str) -> None:
        try:
            match act:
                case "retry":
                    self.runner.run(billings.retry(self.ledger, self.billing.id, "anna"))
                case "approve":
                    self.runner.run(billings.approve(self.ledger, self.billing.id, "anna"))
                case _ if self.state().step is not Step.CREATE:
                    self.runner.run(billings.skip(self.ledger, self.billing.id, "anna", ""))
        except billings.NotPossible:
            pass

    @rule(stop=st.booleans())
    def a_person_pauses_or_resumes(self, stop: bool) -> None:
        act = pauses.pause if stop else pauses.resume
        self.runner.run(act(self.ledger, "tenant", tenant=TENANT, by="anna"))

    @rule()
    def the_producer_plans_again(self) -> None:
        assert self.runner.run(planned(self.ledger)) == []

    @invariant()
    def fortnox_is_sent_each_step_once(self) -> None:
        assert max(self.sent.values()) <= 1

    @invariant()
    def the_state_can_be_left_by_somebody(self) -> None:
        """Nothing is stuck: it is final, a worker or the sweeper has it, evidence looks, or a person may act."""
        billing = self.state()
        if billing.status in FINAL or billing.status is Status.CLAIMED:
            return
        if billing.status in (Status.SEEKING, Status.IN_DOUBT):
            assert [found.id for found, _ in self.runner.run(billings.seekers(self.ledger))] == [billing.id]
            return
        calls = self.runner.run(billings.attempts(self.ledger, billing.id))
        assert all(call.verdict is not None for call in calls if call.step is billing.step)

    @invariant()
    def the_audit_tells_the_whole_story(self) -> None:
        billing = self.state()
        last = self.runner.run(audit.entries(self.ledger, billing=billing.id))[-1]
        assert (last.after["step"], last.after["status"]) == (billing.step, billing.status)


def test_whatever_happens_fortnox_is_asked_once(databases: Databases, tmp_path: Path) -> None:
    machine = type("Run", (Life,), {"template": databases.new_sqlite(tmp_path)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
