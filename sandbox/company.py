"""The company itself: information, settings, locked period, financial years, and who is asking (API notes 7, 9.4).

`DatabaseNumber` is the tenant id: a number in companyinformation and a string in settings/company. Only reads.
"""

from typing import Any

from sandbox import listing, refusals
from sandbox.api import Answer, Call, Router
from sandbox.books import Company, FinancialYear
from sandbox.wire import API, day


def add_to(router: Router) -> None:
    router.add("GET", "companyinformation", "companyinformation", information)
    router.add("GET", "settings/company", "settings", settings)
    router.add("GET", "settings/lockedperiod", "settings", locked_period)
    router.add("GET", "financialyears", "bookkeeping", list_years)
    router.add("GET", "financialyears/{Id}", "bookkeeping", get_year)
    router.add("GET", "me", "profile", me)


def information(call: Call) -> Answer:
    return Answer({"CompanyInformation": _information(call.company)})


def settings(call: Call) -> Answer:
    return Answer({"CompanySettings": _settings(call.company)})


def locked_period(call: Call) -> Answer:
    """Without a date nothing is locked; whether the field is then absent or null is a switch."""
    until = call.company.locked_until
    if until is not None:
        return Answer({"LockedPeriod": {"EndDate": day(until)}})
    return Answer({"LockedPeriod": {} if call.world.behaviour.unlocked == "absent" else {"EndDate": None}})


def list_years(call: Call) -> Answer:
    """`date` narrows the list to the year that holds it."""
    listing.check_parameters(call.query, {"date"})
    years = sorted(call.company.financial_years, key=lambda year: year.from_date)
    if (text := call.query.get("date") or call.query.get("financialyeardate")) is not None:
        wanted = listing.parse_day(text)
        years = [year for year in years if year.holds(wanted)]
    shown, meta = listing.page(years, call.query, call.world.behaviour)
    return Answer({"MetaInformation": meta, "FinancialYears": [_year(year) for year in shown]})


def get_year(call: Call) -> Answer:
    year = next((year for year in call.company.financial_years if str(year.id) == call.path["Id"]), None)
    if year is None:
        raise refusals.missing("räkenskapsåret", call.world.behaviour.code("year_not_found"))
    return Answer({"FinancialYear": _year(year)})


def me(call: Call) -> Answer:
    return Answer(
        {
            "MeInformation": {
                "Email": call.company.email,
                "Id": str(call.company.tenant),
                "Locale": "sv_SE",
                "Name": "Servicekonto",
                "SysAdmin": False,
            }
        }
    )


def _information(company: Company) -> dict[str, Any]:
    return {
        "Address": company.address,
        "City": company.city,
        "CompanyName": company.name,
        "CountryCode": "SE",
        "DatabaseNumber": company.tenant,
        "OrganizationNumber": company.organisation_number,
        "VisitAddress": "",
        "VisitCity": "",
        "VisitCountryCode": "SE",
        "VisitZipCode": "",
        "ZipCode": company.zip_code,
    }


def _settings(company: Company) -> dict[str, Any]:
    digits = company.organisation_number.replace("-", "")
    return {
        "Address": company.address,
        "BG": company.bankgiro or "",
        "BIC": "",
        "BranchCode": "",
        "City": company.city,
        "ContactFirstName": "",
        "ContactLastName": "",
        "Country": "Sverige",
        "CountryCode": "SE",
        "DatabaseNumber": str(company.tenant),
        "Domicile": company.city,
        "Email": company.email,
        "Fax": "",
        "IBAN": "",
        "Name": company.name,
        "OrganizationNumber": company.organisation_number,
        "PG": "",
        "Phone1": company.phone,
        "Phone2": "",
        "TaxEnabled": True,
        "VATNumber": f"SE{digits}01",
        "VisitAddress": "",
        "VisitCity": "",
        "VisitCountry": "",
        "VisitCountryCode": "",
        "VisitName": "",
        "VisitZipCode": "",
        "WWW": "",
        "ZipCode": company.zip_code,
    }


def _year(year: FinancialYear) -> dict[str, Any]:
    return {
        "@url": f"{API}/financialyears/{year.id}",
        "AccountChartType": "BAS 2024",
        "AccountingMethod": year.accounting_method,
        "FromDate": day(year.from_date),
        "Id": year.id,
        "ToDate": day(year.to_date),
    }
