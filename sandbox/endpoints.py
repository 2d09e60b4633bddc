"""All endpoints of the API, in one table. Which exist is said by the modules; nothing else is registered here."""

from sandbox import company, contracts, finance, invoice_actions, invoices, pricing, registers, templates
from sandbox.api import Router


def router() -> Router:
    table = Router()
    for module in (company, contracts, finance, invoice_actions, invoices, pricing, registers, templates):
        module.add_to(table)
    return table
