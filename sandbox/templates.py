"""/3/contracttemplates and /3/contractaccruals: what hangs on contracts, read only in the sandbox (API notes 1.1).

The list of templates has its own field names (`ContractTemplate`, `ContractTemplateName`), as in the published schema.
"""

from typing import Any

from sandbox import listing, refusals, totals
from sandbox.api import Answer, Call, Router
from sandbox.books import Company, Contract, ContractTemplate, Row
from sandbox.wire import API, number, round_cents, text_number

_ACCRUAL_ACCOUNT = 2970
_MONTHLY = "MONTHLY"


def add_to(router: Router) -> None:
    for path, act in (
        ("contracttemplates", list_templates),
        ("contracttemplates/{TemplateNumber}", get_template),
        ("contractaccruals", list_accruals),
        ("contractaccruals/{DocumentNumber}", get_accrual),
    ):
        router.add("GET", path, "invoice", act, contract_feature=True)


def list_templates(call: Call) -> Answer:
    listing.check_parameters(call.query, ())
    ordered = sorted(call.company.templates.values(), key=lambda template: template.number)
    shown, meta = listing.page(ordered, call.query, call.world.behaviour)
    items = [
        {
            "@url": f"{API}/contracttemplates/{template.number}",
            "ContractLength": template.length,
            "ContractTemplate": template.number,
            "ContractTemplateName": template.name,
            "InvoiceInterval": template.interval,
        }
        for template in shown
    ]
    return Answer({"MetaInformation": meta, "ContractTemplates": items})


def get_template(call: Call) -> Answer:
    wanted = call.path["TemplateNumber"]
    template = call.company.templates.get(int(wanted)) if wanted.isdigit() else None
    if template is None:
        raise refusals.missing("avtalsmallen", call.world.behaviour.code("template_missing"))
    return Answer({"ContractTemplate": _template(template)})


def list_accruals(call: Call) -> Answer:
    listing.check_parameters(call.query, ())
    ordered = [contract for _, contract in sorted(call.company.contracts.items()) if contract.accrual]
    shown, meta = listing.page(ordered, call.query, call.world.behaviour)
    items = [
        {
            "@url": f"{API}/contractaccruals/{contract.number}",
            "Description": "Periodisering",
            "DocumentNumber": contract.number,
            "Period": _MONTHLY,
        }
        for contract in shown
    ]
    return Answer({"MetaInformation": meta, "ContractAccruals": items})


def get_accrual(call: Call) -> Answer:
    wanted = call.path["DocumentNumber"]
    contract = call.company.contracts.get(int(wanted)) if wanted.isdigit() else None
    if contract is None or not contract.accrual:
        raise refusals.missing("periodiseringen", call.world.behaviour.code("accrual_missing"))
    return Answer({"ContractAccrual": _accrual(contract, call.company)})


def _template(template: ContractTemplate) -> dict[str, Any]:
    return {
        "@url": f"{API}/contracttemplates/{template.number}",
        "AdministrationFee": 0,
        "Continuous": template.continuous,
        "ContractLength": template.length,
        "Freight": 0,
        "InvoiceInterval": template.interval,
        "InvoiceRows": [_row(row) for row in template.rows],
        "OurReference": template.our_reference,
        "PrintTemplate": "st",
        "Remarks": template.remarks,
        "TemplateName": template.name,
        "TemplateNumber": template.number,
        "TermsOfDelivery": "",
        "TermsOfPayment": template.terms_of_payment,
        "WayOfDelivery": "",
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "AccountNumber": row.account_number,
        "ArticleNumber": row.article_number,
        "CostCenter": row.cost_center,
        "DeliveredQuantity": text_number(row.quantity),
        "Description": row.description,
        "Discount": number(row.discount),
        "DiscountType": row.discount_type,
        "Price": number(row.price),
        "Project": row.project,
        "Unit": row.unit,
    }


def _accrual(contract: Contract, company: Company) -> dict[str, Any]:
    """The contract's sum without VAT, spread evenly over the months of its interval."""
    net = totals.of(contract, company).net
    revenue = contract.rows[0].account_number if contract.rows else None
    share = number(round_cents(net / max(contract.interval, 1)))
    entry = {"CostCenter": "", "Project": "", "TransactionInformation": ""}
    return {
        "@url": f"{API}/contractaccruals/{contract.number}",
        "AccrualAccount": _ACCRUAL_ACCOUNT,
        "AccrualRows": [
            {**entry, "Account": _ACCRUAL_ACCOUNT, "Credit": 0, "Debit": share},
            {**entry, "Account": revenue, "Credit": share, "Debit": 0},
        ],
        "CostAccount": revenue,
        "Description": "Periodisering",
        "DocumentNumber": contract.number,
        "Period": _MONTHLY,
        "Times": contract.interval,
        "Total": number(net),
        "VATIncluded": False,
    }
