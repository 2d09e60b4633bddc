"""The times of a run, in seconds: the product's settings, and the few of its constants that are no settings.

`SCALED` lets hundreds of leases, doubts and takeovers fit into half an hour. `PRODUCTION` has the times that are the
product's own, for what is promised in seconds; only what merely keeps a run from ending is shorter: how often a company
is listed, what settles, and how long a token lives. The order is the same in both, and that of production: a token
outlives a call and its lease, and a doubt ends behind the token.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from common.queue.broker import HEARTBEAT_TIMEOUT
from common.settings import Settings
from producers import feeder
from producers import run as producer
from workers import evidence

_DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


@dataclass(frozen=True, slots=True)
class Times:
    """How long things take, in seconds.

    Parameters:
      token_life: an access token that is so short-lived is renewed in its second half (common/fortnox/auth.py).
      window: Fortnox' own, in which it answers 25 requests of a company; the product allows for 5 % more.
      heartbeat: a worker that is silent for longer counts as dead.
      look_held_for: a look at a company that nobody renews is over then.
      retry_poll_after: a listing that failed is tried again then.
      looks_at_least_every: the producer's feeder at what is in the queue.
    """

    call_timeout: float
    lease_margin: float
    producer_lease: float
    settle: float
    token_life: int
    poll_interval: float
    fresh: float
    window: float
    heartbeat: float
    look_held_for: float
    retry_poll_after: float
    looks_at_least_every: float

    @property
    def lease(self) -> float:
        """Of a worker's claim."""
        return self.call_timeout + self.lease_margin

    def environment(self) -> Mapping[str, str]:
        """The product's settings."""
        return {
            "AVTALSMOTOR_POLL_INTERVAL": repr(self.poll_interval),
            "AVTALSMOTOR_FRESH_SECONDS": repr(self.fresh),
            "AVTALSMOTOR_CALL_TIMEOUT": repr(self.call_timeout),
            "AVTALSMOTOR_LEASE_MARGIN": repr(self.lease_margin),
            "AVTALSMOTOR_PRODUCER_LEASE": repr(self.producer_lease),
            "AVTALSMOTOR_SETTLE": repr(self.settle),
            "AVTALSMOTOR_TOKEN_LIFE": repr(self.token_life),
            "AVTALSMOTOR_RATE_WINDOW": repr(self.window * 1.05),
        }


SCALED = Times(
    call_timeout=2.5,
    lease_margin=1.5,
    # Long enough for the busiest machine to show a sign of life in time.
    producer_lease=3.0,
    settle=4.0,
    # Longer than Fortnox takes over any call, so that a doubt ends behind the last effect.
    token_life=10,
    poll_interval=2.0,
    fresh=6.0,
    window=1.0,
    heartbeat=4.0,
    look_held_for=2.0,
    retry_poll_after=1.0,
    looks_at_least_every=2.0,
)

PRODUCTION = Times(
    call_timeout=_DEFAULTS["call_timeout"],
    lease_margin=_DEFAULTS["lease_margin"],
    producer_lease=_DEFAULTS["producer_lease"],
    settle=60.0,
    token_life=120,
    poll_interval=2.0,
    fresh=_DEFAULTS["fresh_seconds"],
    window=5.0,
    heartbeat=HEARTBEAT_TIMEOUT.total_seconds(),
    look_held_for=evidence.HELD_FOR,
    retry_poll_after=producer.RETRY_POLL_AFTER,
    looks_at_least_every=feeder.LOOK_AT_LEAST_EVERY,
)

TIMES: Mapping[str, Times] = {"scaled": SCALED, "production": PRODUCTION}
