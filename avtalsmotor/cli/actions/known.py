"""Finds in the ledger what a person named by its number, or says that it is not there and what to do."""

from avtalsmotor.cli.failure import Failure
from avtalsmotor.cli.printing import count
from common.ids import BillingId, ContractNumber, TenantId
from common.ledger import billings, contracts, policies, tenants
from common.ledger.database import Ledger
from common.ledger.records import Billing, Contract, Tenant
from common.rules.policy import PolicyChoice


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


async def known_template(ledger: Ledger, tenant: Tenant, number: int) -> str:
    """The template as the ledger names it. Raises Failure when no contract has it, and it has no rules yet."""
    template = str(number)
    used = {one.template: one.contracts for one in await contracts.templates(ledger, tenant.id)}
    if (
        template in used
        or await policies.get(ledger, "template", tenant=tenant.id, template=template) != PolicyChoice()
    ):
        return template
    known = sorted(((name, having) for name, having in used.items() if name is not None), key=lambda one: int(one[0]))
    told = ", ".join(f"{name} ({count(having, 'contract')})" for name, having in known)
    raise Failure(
        f"No contract of {tenant.name} ({tenant.id}) has the template {number}, so nothing was shown or changed."
        f" {f'The templates that they have: {told}.' if told else 'None that was read has a template.'}"
        f" Read them anew with `avtalsmotor plan --tenant {tenant.id}`; or, if the template is to get its first"
        " contract later, say the same with --force."
    )


async def known_billing(ledger: Ledger, number: int) -> Billing:
    """The billing. Raises Failure when there is none with that id."""
    billing = await billings.get(ledger, BillingId(number))
    if billing is None:
        raise Failure(
            f"There is no billing {number} in the ledger. See which there are with `avtalsmotor billings list`."
        )
    return billing
