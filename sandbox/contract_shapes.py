"""How a contract looks on the wire: the list item, the single contract, both editions' spelling (API notes 1.3, 1.4).

Only reads. What the two published editions disagree on is decided by the switches `edition` and `contract_number`.
"""

from typing import Any

from sandbox import rows, totals
from sandbox.behaviour import Behaviour
from sandbox.books import Company, Contract, EmailInformation
from sandbox.wire import API, day, number


def listed(contract: Contract, company: Company, behaviour: Behaviour) -> dict[str, Any]:
    """A list item: `Invoiceinterval` with a small i, upper-case `Status`, no rows (API notes 1.3)."""
    item: dict[str, Any] = {
        "@url": f"{API}/contracts/{contract.number}",
        "Continuous": contract.continuous,
        "ContractLength": contract.length,
        "Currency": contract.currency,
        "CustomerName": customer_name(contract, company),
        "CustomerNumber": contract.customer_number,
        "DocumentNumber": str(contract.number),
        "Invoiceinterval": contract.interval,
        "InvoicesRemaining": 0 if contract.continuous else contract.invoices_remaining,
        "LastInvoiceDate": day(contract.last_invoice_date),
        "PeriodEnd": day(contract.period_end),
        "PeriodStart": day(contract.period_start),
        "Status": contract.status,
        "TemplateNumber": contract.template_number,
        "Total": number(totals.of(contract, company).total),
    }
    if behaviour.edition == "newer":
        item["InvoiceInterval"] = contract.interval
    return item


def single(contract: Contract, company: Company, behaviour: Behaviour) -> dict[str, Any]:
    """The whole contract; its status is not in it, only `Active` (API notes 1.4)."""
    sums = totals.of(contract, company)
    newer = behaviour.edition == "newer"
    template = company.templates.get(contract.template_number or 0)
    return {
        "@url": f"{API}/contracts/{contract.number}",
        "@urlTaxReductionList": f"{API}/taxreductions?filter=contracts&referencenumber={contract.number}",
        "Active": contract.active and not contract.finished,
        "AdministrationFee": number(contract.administration_fee),
        "BasisTaxReduction": 0,
        "Comments": contract.comments,
        "Continuous": contract.continuous,
        "ContractDate": day(contract.contract_date),
        "ContractLength": contract.length,
        "ContributionPercent": 0,
        "ContributionValue": 0,
        "CostCenter": contract.cost_center,
        "Currency": contract.currency,
        "CustomerName": customer_name(contract, company),
        "CustomerNumber": contract.customer_number,
        "DocumentNumber": _number(contract, behaviour),
        "EmailInformation": email_information(contract.email),
        "ExternalInvoiceReference1": contract.external_reference1,
        "ExternalInvoiceReference2": contract.external_reference2,
        "Freight": number(contract.freight),
        "Gross": number(sums.gross),
        "HouseWork": any(row.housework for row in contract.rows),
        "InvoiceDiscount": number(contract.invoice_discount),
        "InvoiceInterval": contract.interval,
        "InvoiceRows": [
            rows.contract_row(row, vat_included=contract.vat_included, newer=newer) for row in contract.rows
        ],
        "InvoicesRemaining": _remaining(contract, behaviour),
        "Language": contract.language,
        "LastInvoiceDate": day(contract.last_invoice_date),
        "Net": number(sums.net),
        "OurReference": contract.our_reference,
        "PeriodEnd": day(contract.period_end),
        "PeriodStart": day(contract.period_start),
        "PriceList": contract.price_list,
        "PrintTemplate": contract.print_template,
        "Project": contract.project,
        "Remarks": contract.remarks,
        "RoundOff": number(sums.round_off),
        "TaxReduction": 0,
        "TaxReductionType": contract.tax_reduction_type,
        "TemplateName": template.name if template else "",
        "TemplateNumber": contract.template_number,
        "TermsOfDelivery": contract.terms_of_delivery,
        "TermsOfPayment": contract.terms_of_payment,
        "Total": number(sums.total),
        "TotalToPay": number(sums.total),
        "TotalVAT": number(sums.vat),
        "VATIncluded" if newer else "VatIncluded": contract.vat_included,
        "WayOfDelivery": contract.way_of_delivery,
        "YourOrderNumber": contract.your_order_number,
        "YourReference": contract.your_reference,
    }


def email_information(email: EmailInformation) -> dict[str, str | None]:
    """Who gets the invoice; null and "" as recorded (API notes 2.1)."""
    return {
        "EmailAddressFrom": email.sender,
        "EmailAddressTo": email.to,
        "EmailAddressCC": email.cc,
        "EmailAddressBCC": email.bcc,
        "EmailSubject": email.subject,
        "EmailBody": email.body,
    }


def customer_name(contract: Contract, company: Company) -> str:
    customer = company.customers.get(contract.customer_number)
    return customer.name if customer else ""


def _number(contract: Contract, behaviour: Behaviour) -> str | int:
    wanted = behaviour.contract_number
    if wanted == "edition":
        wanted = "number" if behaviour.edition == "newer" else "string"
    return contract.number if wanted == "number" else str(contract.number)


def _remaining(contract: Contract, behaviour: Behaviour) -> str | None:
    """A string in both editions; what a continuous contract shows is not known."""
    if not contract.continuous:
        return str(contract.invoices_remaining)
    return {"zero": "0", "empty": "", "null": None}[behaviour.continuous_remaining]
