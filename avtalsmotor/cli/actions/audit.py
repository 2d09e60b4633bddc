"""`avtalsmotor audit export`: writes the record of every change (behandlingshistorik) for others to read and keep.

It changes nothing, holds a batch of entries at a time however many there are, and writes no e-mail address, nor
anything that a spreadsheet would take for a formula.
"""

import contextlib
import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO, TypeAlias

import typer

from avtalsmotor.cli.actions.known import known_tenant
from avtalsmotor.cli.failure import Failure
from avtalsmotor.cli.session import open_session
from common.clock import STOCKHOLM
from common.ledger import audit
from common.ledger.audit import Told

Value: TypeAlias = str | int | Mapping[str, object] | None

COLUMNS = (
    "id",
    "at_utc",
    "at_sweden",
    "action",
    "tenant",
    "tenant_name",
    "contract",
    "billing",
    "period_start",
    "period_end",
    "invoice",
    "by",
    "before",
    "after",
    "version",
)


async def export(number: int | None, first: date | None, last: date | None, written: str, output: Path | None) -> None:
    if first is not None and last is not None and last < first:
        raise Failure(
            f"There is no day from {first} to {last}, so nothing was exported. Give --from and --to in order."
        )
    since = _midnight(first) if first is not None else None
    until = _midnight(last + timedelta(days=1)) if last is not None else None
    async with open_session() as (_, ledger):
        tenant = (await known_tenant(ledger, number)).id if number is not None else None
        with _opened(output) as target:
            write = (_as_csv if written == "csv" else _as_json_lines)(target)
            async for batch in audit.told(ledger, tenant=tenant, since=since, until=until):
                for told in batch:
                    write(_values_of(told))


def _midnight(day: date) -> datetime:
    """When the day begins in Sweden."""
    return datetime.combine(day, time.min, STOCKHOLM).astimezone(UTC)


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or the file: under its name only once it is complete. Raises Failure where it cannot be."""
    # What no encoding knows, such as half of a surrogate pair, must not end an export in its middle.
    if output is None:
        stdout = TextIOWrapper(
            typer.get_binary_stream("stdout"), encoding="utf-8", errors="backslashreplace", newline=""
        )
        try:
            yield stdout
            stdout.flush()
        finally:
            # Whoever opened standard output closes it.
            with contextlib.suppress(OSError):
                stdout.detach()
        return
    unfinished = output.with_name(f"{output.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="") as text:
            yield text
        os.replace(unfinished, output)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise Failure(
            f"The record was not exported: {output} cannot be written ({error.strerror or error})."
            " See that its directory exists and is yours to write in, or name another file with --output."
        ) from None
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _values_of(told: Told) -> dict[str, Value]:
    entry, period = told.entry, told.period
    return {
        "id": entry.id,
        "at_utc": entry.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "at_sweden": entry.at.astimezone(STOCKHOLM).isoformat(timespec="microseconds"),
        "action": entry.action,
        "tenant": entry.tenant,
        "tenant_name": without_addresses(told.tenant_name),
        "contract": entry.contract,
        "billing": entry.billing,
        "period_start": period.start.isoformat() if period else None,
        "period_end": period.end.isoformat() if period else None,
        "invoice": told.invoice,
        "by": _person(entry.by),
        "before": _facts(entry.before),
        "after": _facts(entry.after),
        "version": entry.version,
    }


_ADDRESS = re.compile(r"[^\s@<>\"'(),;:\[\]]+@[^\s@<>\"'(),;:\[\]]+\.[^\s@<>\"'(),;:\[\].]+", re.UNICODE)


def without_addresses(text: str | None) -> str | None:
    """The text with every e-mail address taken out."""
    return None if text is None else _ADDRESS.sub("(e-mail address)", text)


def _person(by: str) -> str:
    """Who did it. Of one who is known by an e-mail address, what stands before the @: by whom must be told."""
    return _ADDRESS.sub(lambda found: found.group().partition("@")[0], by)


def _facts(facts: Mapping[str, object]) -> dict[str, object]:
    return {str(without_addresses(name)): _fact(fact) for name, fact in facts.items()}


def _fact(fact: object) -> object:
    match fact:
        case str():
            return without_addresses(fact)
        case Mapping():
            return _facts(fact)
        case list():
            return [_fact(one) for one in fact]
        case _:
            return fact


def _as_json_lines(target: TextIO) -> Callable[[Mapping[str, Value]], object]:
    return lambda values: target.write(json.dumps(values, ensure_ascii=False) + "\n")


def _as_csv(target: TextIO) -> Callable[[Mapping[str, Value]], object]:
    writer = csv.writer(target)
    writer.writerow(COLUMNS)
    return lambda values: writer.writerow([_cell(values[name]) for name in COLUMNS])


def _cell(value: Value) -> str:
    if value is None:
        return ""
    return harmless(json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value))


def harmless(cell: str) -> str:
    """The cell as a spreadsheet shows it and never reckons it: one that begins a formula gets an apostrophe before.

    Some programs pass over blanks and control characters before the sign, and some read its full-width form.
    """
    begins = cell.lstrip().lstrip("\ufeff")[:1]
    return f"'{cell}" if (begins in _FORMULA and begins) or cell[:1] in ("\t", "\r", "\n") else cell


_FORMULA = "=+-@＝＋－＠"
