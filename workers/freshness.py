"""Sees to it that a call is made on a fresh view: what was read too long ago is read again first.

Freshness counts from the start of the request that returned the row (design, section 6), never from its arrival.
"""

from datetime import datetime, timedelta

from common import mirror
from common.fortnox.client import Fortnox
from common.ids import ContractNumber, InvoiceNumber, TenantId
from common.ledger import contracts, customers, invoices
from common.ledger.customers import Customer
from common.ledger.database import Ledger
from common.ledger.records import Contract, Invoice
from workers.runtime import Runtime


def is_fresh(runtime: Runtime, read_at: datetime | None) -> bool:
    """Whether what was read then may be acted upon, also after the longest wait for a slot."""
    if read_at is None:
        return False
    allowed = timedelta(seconds=runtime.settings.fresh_seconds - runtime.longest_wait)
    return runtime.settings.clock.now() - read_at <= allowed


async def fresh_contract(runtime: Runtime, tenant: TenantId, number: ContractNumber) -> Contract:
    """The contract as the mirror has it, or read by itself where the mirror's row is too old.

    Raises errors.Missing when Fortnox no longer knows the contract.
    """
    known = await contracts.get(runtime.ledger, tenant, number)
    if known is not None and is_fresh(runtime, known.read_at):
        return known
    return await read_contract(runtime.ledger, runtime.fortnox, tenant, number)


async def read_contract(ledger: Ledger, fortnox: Fortnox, tenant: TenantId, number: ContractNumber) -> Contract:
    """The contract as Fortnox has it now; the mirror keeps it."""
    read = await fortnox.contract(tenant, number)
    row = mirror.single_contract(tenant, read.value, read.read_at)
    await contracts.mirror(ledger, tenant, [row], complete=False)
    return row


async def fresh_invoice(runtime: Runtime, tenant: TenantId, number: InvoiceNumber) -> Invoice:
    """The invoice as the mirror has it, or read again where that is too old. Raises errors.Missing when it is gone."""
    known = await invoices.get(runtime.ledger, tenant, number)
    if known is not None and is_fresh(runtime, known.read_at):
        return known
    return await read_invoice(runtime.ledger, runtime.fortnox, tenant, number)


async def read_invoice(ledger: Ledger, fortnox: Fortnox, tenant: TenantId, number: InvoiceNumber) -> Invoice:
    """The invoice as Fortnox has it now; the mirror keeps it."""
    read = await fortnox.invoice(tenant, number)
    invoice = mirror.invoice(tenant, read.value, read.read_at)
    await invoices.mirror(ledger, [invoice])
    return invoice


async def fresh_card(runtime: Runtime, tenant: TenantId, number: str) -> Customer:
    """The customer as the card has it, read again where what is known of it is too old, or comes from a list.

    Raises errors.Missing when Fortnox no longer knows the customer.
    """
    known = (await customers.of_numbers(runtime.ledger, tenant, {number})).get(number)
    if known is not None and known.delivery is not None and is_fresh(runtime, known.read_at):
        return known
    read = await runtime.fortnox.customer(tenant, number)
    card = mirror.single_customer(tenant, read.value, read.read_at)
    await customers.mirror(runtime.ledger, [card])
    return card
