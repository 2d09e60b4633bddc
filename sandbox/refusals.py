"""The ways in which the sandbox says no: a status, a code and a Swedish message, as Fortnox does (API notes 5).

Endpoints raise a Refusal before they change anything; the server turns it into the right envelope. Codes that are not
known of the real Fortnox come from the switches (`Behaviour.placeholder_codes`), never from here.
"""

from sandbox.behaviour import Behaviour


class Refusal(Exception):  # noqa: N818 - Fortnox refuses; it is not in error
    """Fortnox refuses, and nothing has been done."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.code = code
        self.message = message


def missing(what: str, code: int) -> Refusal:
    """404; `what` is the Swedish noun in its definite form ("fakturan")."""
    return Refusal(404, code, f"Kan inte hitta {what}.")


def invalid(code: int, message: str) -> Refusal:
    return Refusal(400, code, message)


def forbidden(code: int, message: str) -> Refusal:
    return Refusal(403, code, message)


def no_licence() -> Refusal:
    return forbidden(2001101, "Det finns ingen aktiv licens för önskat scope")


def bad_parameter() -> Refusal:
    return invalid(2000588, "Ogiltig parameter i anropet.")


def bad_filter() -> Refusal:
    return invalid(2000587, "Ett ogiltigt filter har använts.")


def bad_body() -> Refusal:
    return invalid(2001392, "Ingen eller felaktig typ av data.")


def no_customer() -> Refusal:
    return missing("kunden", 2000433)


def no_invoice() -> Refusal:
    return missing("fakturan", 2000434)


def no_article() -> Refusal:
    return missing("artikeln", 2000428)


def no_contract(behaviour: Behaviour) -> Refusal:
    return missing("avtalet", behaviour.code("contract_missing"))


def placeholder(behaviour: Behaviour, name: str, message: str) -> Refusal:
    """400 with a clearly fake code: the real one is not known (API notes 5.3)."""
    return invalid(behaviour.code(name), message)
