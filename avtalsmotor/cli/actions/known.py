"""Finds in the ledger what a person named by its number, or says that it is not there and what to do."""

from avtalsmotor.cli.failure import Failure
from common.ids import BillingId, ContractNumber, TenantId
from common.ledger import billings, contracts, tenants
from common.ledger.database import Ledger
from common.ledger.records import Billing, Contract, Tenant


async def known_tenant(ledger: Ledger, number: int) -> Tenant:
    """The company. Raises Failure when it was never added."""
    tenant = await tenants.get(ledger, TenantId(number))
    if tenant is None:
        raise Failure(
            f"There is no company {number} in the ledger. See which there are with `avtalsmotor tenants list`,"
            f" or add it with `avtalsmotor tenants add --tenant-id {number}`."
        )
    return tenant


async def selected_tenants(ledger: Ledger, number: int | None) -> list[Tenant]:
    """The company, or all of them. Raises Failure when it was never added."""
    return [await known_tenant(ledger, number)] if number is not None else await tenants.every(ledger)


async def known_contract(ledger: Ledger, tenant: int, number: int) -> Contract:
    """The contract as last read. Raises Failure when the company or the contract is not known."""
    await known_tenant(ledger, tenant)
    contract = await contracts.get(ledger, TenantId(tenant), ContractNumber(number))
    if contract is None:
        raise Failure(
            f"Contract {number} of company {tenant} has never been read from Fortnox. If it is new there, read it with"
            f" `avtalsmotor plan --tenant {tenant}`; see which there are with `avtalsmotor contracts list"
            f" --tenant {tenant}`."
        )
    return contract


async def known_billing(ledger: Ledger, number: int) -> Billing:
    """The billing. Raises Failure when there is none with that id."""
    billing = await billings.get(ledger, BillingId(number))
    if billing is None:
        raise Failure(
            f"There is no billing {number} in the ledger. See which there are with `avtalsmotor billings list`."
        )
    return billing
