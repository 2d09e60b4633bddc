"""The companies that this producer works for, while it may: its leases, held by the machine's clock.

Between two signs of life nothing is asked of the ledger. A producer that was frozen knows by its own clock, before
anything else, that it has nothing any more.
"""

import os
import secrets
import socket
from collections.abc import Collection
from datetime import timedelta

import structlog

from common.clock import boottime
from common.ids import TenantId
from common.ledger import leases
from common.ledger.database import Ledger

log = structlog.get_logger()

RENEWALS = 5
"""Signs of life within the length of a lease."""


class Tenancy:
    """The leases of one producer.

    Parameters:
      lease: seconds after a sign of life during which its companies are nobody else's.
    """

    def __init__(self, ledger: Ledger, lease: float) -> None:
        self._ledger = ledger
        self._lease = lease
        # A name of its own for each life: what a killed one had is not its successor's before the lease is over.
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._held: frozenset[TenantId] = frozenset()
        self._held_until = float("-inf")

    @property
    def held(self) -> frozenset[TenantId]:
        """The companies that are this producer's now."""
        return self._held if boottime() < self._held_until else frozenset()

    def holds(self, tenant: TenantId) -> bool:
        """Whether the company is this producer's now."""
        return tenant in self._held and boottime() < self._held_until

    @property
    def pause(self) -> float:
        """Seconds between two signs of life."""
        return self._lease / RENEWALS

    async def renew(self, keep: Collection[TenantId]) -> frozenset[TenantId]:
        """A sign of life. Returns the companies that this producer did not have just before: they are its own as soon
        as it has learnt what others have done for them, and says so (`begin`).

        Parameters:
          keep: the companies that it is in the middle of something for.
        """
        had, began = self.held, boottime()
        leased = await leases.renew(self._ledger, self.name, timedelta(seconds=self._lease), keep)
        self._held, self._held_until = leased & had, began + self._lease
        if leased != had:
            log.info("tenants_leased", tenants=len(leased), before=len(had))
        return leased - had

    def begin(self, tenants: Collection[TenantId]) -> None:
        """From now on this producer works for these companies, which it has just been leased."""
        self._held |= frozenset(tenants)

    async def give_back(self) -> None:
        """Lets all companies go."""
        self._held_until = float("-inf")
        await leases.give_back(self._ledger, self.name)
