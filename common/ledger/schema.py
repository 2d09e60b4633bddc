"""The tables of the ledger, on SQLite and PostgreSQL alike.

What a constraint can forbid, a constraint forbids; good intentions come second:

- one billing of a (tenant, contract, period start, generation), one of them not voided, and one of an invoice number;
- one billing of a contract whose create is still open, so that no two periods of it are ever under way to an invoice;
- one attempt without a verdict of a (billing, step), so that a call whose effect is unknown cannot be made again;
- one price update of a (change, contract), and one open of a contract's article, so that a price is set once;
- no claimed create that has an invoice, no later step without one, no period without both its ends;
- `audit` refuses update and delete (triggers, in the migration).

A change here needs a migration; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Date,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
)

from common.ledger.columns import Facts, Instant, Money, RowId
from common.rules.states import OPEN

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

IS_ACTIVE = "status = 'ACTIVE'"
IS_OPEN = "status IN ({})".format(", ".join(sorted(f"'{status}'" for status in OPEN)))
IS_UNDER_WAY = "status IN ('claimed', 'in_doubt', 'seeking')"
IS_WAITING = "status = 'waiting'"
IS_VOIDED = "status = 'voided'"
IS_OPEN_UPDATE = "status IN ('proposed', 'approved', 'refused', 'undoing')"
IS_AWAITED = "status IN ('approved', 'refused', 'undoing')"
"""Of a price update: the contract's next invoice waits for it."""
IS_ENDED = "(cancelled OR credit OR credited_by IS NOT NULL)"
"""Of an invoice: it does not stand, or is the credit of another."""

IS_NEVER_ANSWERED = "step = 'create' AND verdict IN ('acted', 'absent') AND (http_status IS NULL OR http_status >= 300)"
"""Of an attempt: looking, or a person, said what became of it. Fortnox never did."""

IS_UNSENT = "ended_at IS NULL"
"""Of a notice's sending: it has neither arrived nor been given up."""

EVERY_STEP = ""
"""In `blocks.step`: the block stops all steps. Not NULL, which no unique key compares."""

NO_TENANT = 0
"""In `policies.tenant` and `secrets.tenant`: the bureau's own. Not NULL, which no unique key compares."""


def word(value: str) -> ColumnElement[str]:
    """A constant written into the statement instead of bound to it.

    SQLite plans a statement anew at every execution that binds a value to a column which a partial index is about: that
    was measured to cost six times what the statement does.
    """
    return literal_column(f"'{value}'", Text)


def unindexed(column: ColumnElement[str]) -> ColumnElement[str]:
    """The column for a comparison with a bound value that must not make SQLite plan anew (see `word`)."""
    return func.coalesce(column, word(""))


bureau = Table(
    "bureau",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one"), primary_key=True, autoincrement=False),
    Column("paused", Boolean, nullable=False),
    Column("identity", Text, nullable=False),
    Column("restored_at", Instant),
)

tenants = Table(
    "tenants",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("locked_until", Date),
    Column("years", Facts),
    Column("cash", Boolean, nullable=False, server_default=text("false")),
    Column("facts_on", Date),
    Column("listed_at", Instant),
    Column("all_listed_at", Instant),
    Column("newest_invoice", BigInteger),
    Column("creates_proven", Boolean, nullable=False, server_default=text("false")),
    Column("accruals", Facts),
    Column("customers_at", Instant),
    Column("customers_known", Boolean, nullable=False, server_default=text("false")),
    Column("leased_by", Text),
)

consents = Table(
    "consents",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("refresh_token", Text),
    Column("renewals", Integer, nullable=False, server_default=text("0")),
    Column("renewed_at", Instant, nullable=False),
    Column("renewing", Text),
    Column("renewing_until", BigInteger),
    Column("unanswered_at", Instant),
    Column("ended_at", Instant),
    Column("ended_because", Text),
    CheckConstraint("(kind = 'user') = (refresh_token IS NOT NULL)", name="refreshed"),
)

producers = Table(
    "producers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("alive_until", BigInteger, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column(
        "level",
        Text,
        CheckConstraint("level IN ('bureau', 'tenant', 'template', 'contract')", name="level"),
        primary_key=True,
    ),
    Column("tenant", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("choice", Text, nullable=False),
    Column("mode", Text),
)

contracts = Table(
    "contracts",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("customer_number", Text, nullable=False),
    Column("customer_name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("continuous", Boolean, nullable=False),
    Column("interval", Integer),
    Column("period_start", Date),
    Column("period_end", Date),
    Column("invoices_remaining", Integer),
    Column("total", Money),
    Column("currency", Text, nullable=False),
    Column("template", Text),
    Column("email_to", Text),
    Column("email_read_at", Instant),
    Column("price_list", Text),
    Column("vat_included", Boolean),
    Column("rows_total", Money),
    Column("rows_read_at", Instant),
    Column("repriced_from", Money),
    Column("repriced_to", Money),
    Column("read_at", Instant, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Index("ix_contracts_start", "period_start", sqlite_where=text(IS_ACTIVE), postgresql_where=text(IS_ACTIVE)),
    Index("ix_contracts_end", "period_end", sqlite_where=text(IS_ACTIVE), postgresql_where=text(IS_ACTIVE)),
)

customers = Table(
    "customers",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("number", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("email_invoice", Text),
    Column("gln", Text),
    Column("delivery", Text),
    Column("address1", Text, nullable=False),
    Column("zip_code", Text, nullable=False),
    Column("city", Text, nullable=False),
    Column("country_code", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("read_at", Instant, nullable=False),
)

unreadable_contracts = Table(
    "unreadable_contracts",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("number", Text, primary_key=True),
    Column("error", Text, nullable=False),
    Column("since", Instant, nullable=False),
)

invoices = Table(
    "invoices",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("contract", BigInteger),
    Column("period_start", Date),
    Column("period_end", Date),
    Column("invoice_date", Date),
    Column("due_date", Date),
    Column("invoice_type", Text, nullable=False),
    Column("customer_number", Text, nullable=False),
    Column("total", Money, nullable=False),
    Column("vat", Money),
    Column("currency", Text, nullable=False),
    Column("booked", Boolean, nullable=False),
    Column("sent", Boolean, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("credit", Boolean, nullable=False),
    Column("credit_of", BigInteger),
    Column("credited_by", BigInteger),
    Column("nox_finans", Boolean, nullable=False),
    Column("accounting_method", Text),
    Column("email_to", Text, nullable=False),
    Column("tax_reduction", Text),
    Column("warehouse_ready", Boolean),
    Column("rows_digest", Text),
    Column("read_at", Instant),
    Column("listed_at", Instant),
    Index("ix_invoices_contract", "tenant", "contract", "period_start"),
    Index("ix_invoices_ended", "tenant", sqlite_where=text(IS_ENDED), postgresql_where=text(IS_ENDED)),
)

billings = Table(
    "billings",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("tenant", ForeignKey(tenants.c.id), nullable=False),
    Column("contract", BigInteger, nullable=False),
    Column("period_start", Date, nullable=False),
    Column("period_end", Date, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("invoice_date", Date, nullable=False),
    Column("step", Text, CheckConstraint("step IN ('create', 'bookkeep', 'deliver')", name="step"), nullable=False),
    Column(
        "status",
        Text,
        CheckConstraint(
            "status IN ('waiting', 'claimed', 'seeking', 'in_doubt', 'held', 'parked', 'done', 'skipped', 'voided')",
            name="status",
        ),
        nullable=False,
    ),
    Column("reason", Text),
    Column("detail", Facts, nullable=False),
    Column("policy", Text, nullable=False),
    Column("amount", Money),
    Column("currency", Text, nullable=False),
    Column("customer_number", Text, nullable=False),
    Column("customer_name", Text, nullable=False),
    Column("invoice", BigInteger),
    Column("handmade", Boolean, nullable=False, server_default=text("false")),
    Column("made_total", Money),
    Column("made_rows", Text),
    Column("approved", Text, nullable=False, server_default=""),
    Column("not_before", Instant),
    Column("called_at", Instant),
    Column("lease_until", Instant),
    Column("token", Text),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("tenant", "contract", "period_start", "generation"),
    UniqueConstraint("tenant", "invoice"),
    CheckConstraint("period_start <= period_end", name="period"),
    CheckConstraint("step = 'create' OR invoice IS NOT NULL", name="later_step_has_invoice"),
    CheckConstraint("NOT (step = 'create' AND status = 'claimed' AND invoice IS NOT NULL)", name="create_once"),
    CheckConstraint("(status = 'claimed') = (token IS NOT NULL AND lease_until IS NOT NULL)", name="claimed_has_lease"),
    Index(
        "uq_billings_open_create",
        "tenant",
        "contract",
        unique=True,
        sqlite_where=text(f"step = 'create' AND {IS_OPEN}"),
        postgresql_where=text(f"step = 'create' AND {IS_OPEN}"),
    ),
    Index(
        "uq_billings_live_period",
        "tenant",
        "contract",
        "period_start",
        unique=True,
        sqlite_where=text("status <> 'voided'"),
        postgresql_where=text("status <> 'voided'"),
    ),
    Index(
        "ix_billings_waiting",
        "tenant",
        "not_before",
        "due_on",
        "id",
        sqlite_where=text(IS_WAITING),
        postgresql_where=text(IS_WAITING),
    ),
    Index(
        "ix_billings_under_way",
        "tenant",
        "step",
        "status",
        sqlite_where=text(IS_UNDER_WAY),
        postgresql_where=text(IS_UNDER_WAY),
    ),
    Index(
        "ix_billings_person",
        "tenant",
        "status",
        sqlite_where=text("status IN ('held', 'parked')"),
        postgresql_where=text("status IN ('held', 'parked')"),
    ),
    Index("ix_billings_created", "created_at"),
    Index("ix_billings_voided", "tenant", sqlite_where=text(IS_VOIDED), postgresql_where=text(IS_VOIDED)),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("billing", BigInteger, ForeignKey(billings.c.id), nullable=False),
    Column("step", Text, nullable=False),
    Column("called_at", Instant, nullable=False),
    Column("claimed_by", Text, nullable=False),
    Column("token_expires_at", Instant, nullable=False),
    Column("newest_invoice_before", BigInteger),
    Column("answered_at", Instant),
    Column("http_status", Integer),
    Column("code", Integer),
    Column("message", Text, nullable=False, server_default=""),
    Column("x_uid", Text),
    Column(
        "verdict",
        Text,
        CheckConstraint("verdict IN ('acted', 'rejected', 'not_sent', 'absent')", name="verdict"),
    ),
    Column("note", Text, nullable=False, server_default=""),
    Column("stood", Facts),
    Index("ix_attempts_billing", "billing", "step"),
    Index("ix_attempts_called", "called_at"),
    Index(
        "uq_attempts_open",
        "billing",
        "step",
        unique=True,
        sqlite_where=text("verdict IS NULL"),
        postgresql_where=text("verdict IS NULL"),
    ),
    Index(
        "ix_attempts_never_answered",
        "token_expires_at",
        sqlite_where=text(IS_NEVER_ANSWERED),
        postgresql_where=text(IS_NEVER_ANSWERED),
    ),
)

blocks = Table(
    "blocks",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("step", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("detail", Facts, nullable=False),
    Column("since", Instant, nullable=False),
    Column("probe", BigInteger, ForeignKey(billings.c.id)),
)

preflights = Table(
    "preflights",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("tried_at", Instant, nullable=False),
    Column("made_at", Instant),
    Column("observed", Text),
    Column("error", Text),
    CheckConstraint("(made_at IS NULL) = (observed IS NULL)", name="made"),
)

proofs = Table(
    "proofs",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("tried_at", Instant, nullable=False),
    Column("made_at", Instant),
    Column("since", Date),
    Column("counts", Facts, nullable=False),
    Column("lines", Facts, nullable=False),
    Column("error", Text),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("mark", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
)

contract_rows = Table(
    "contract_rows",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("contract", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("row_id", BigInteger),
    Column("article", Text, nullable=False),
    Column("quantity", Money, nullable=False),
    Column("price", Money, nullable=False),
    Column("discount", Money, nullable=False),
    Column("is_percent", Boolean, nullable=False),
    Column("vat", Money),
    Index("ix_contract_rows_article", "tenant", "article", "contract"),
)

untouchable_rows = Table(
    "untouchable_rows",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("contract", BigInteger, primary_key=True, autoincrement=False),
    Column("article", Text, primary_key=True),
)

price_watches = Table(
    "price_watches",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("since", Instant, nullable=False),
    Column("polled_at", Instant, nullable=False),
    Column("all_read_at", Instant, nullable=False),
    Column("price_list", Text),
)

prices = Table(
    "prices",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("article", Text, primary_key=True),
    Column("price_list", Text, primary_key=True),
    Column("from_quantity", Money, primary_key=True),
    Column("price", Money, nullable=False),
    Column("read_at", Instant, nullable=False),
)

price_changes = Table(
    "price_changes",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("tenant", ForeignKey(tenants.c.id), nullable=False),
    Column("article", Text, nullable=False),
    Column("before", Facts, nullable=False),
    Column("after", Facts, nullable=False),
    Column("price_list", Text),
    Column("day", Date, nullable=False),
    Column("noticed_at", Instant, nullable=False),
    Index("ix_price_changes_article", "tenant", "article", "id"),
)

price_updates = Table(
    "price_updates",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("tenant", ForeignKey(tenants.c.id), nullable=False),
    Column("contract", BigInteger, nullable=False),
    Column("article", Text, nullable=False),
    Column("change", BigInteger, ForeignKey(price_changes.c.id), nullable=False),
    Column("origin", BigInteger, ForeignKey(price_changes.c.id), nullable=False),
    Column(
        "status",
        Text,
        CheckConstraint(
            "status IN ('proposed', 'approved', 'refused', 'left', 'done', 'undoing', 'undone', 'rejected', "
            "'superseded')",
            name="status",
        ),
        nullable=False,
    ),
    Column("detail", Facts, nullable=False),
    Column("token", Text),
    Column("lease_until", Instant),
    Column("rows", Facts, nullable=False),
    Column("cautions", Facts, nullable=False),
    Column("first_day", Date),
    Column("a_month", Money),
    Column("currency", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("change", "contract"),
    Index(
        "uq_price_updates_open",
        "tenant",
        "contract",
        "article",
        unique=True,
        sqlite_where=text(IS_OPEN_UPDATE),
        postgresql_where=text(IS_OPEN_UPDATE),
    ),
    Index(
        "ix_price_updates_awaited",
        "tenant",
        "contract",
        sqlite_where=text(IS_AWAITED),
        postgresql_where=text(IS_AWAITED),
    ),
)

notice_looks = Table(
    "notice_looks",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one"), primary_key=True, autoincrement=False),
    Column("began_at", Instant, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("digest", Text, nullable=False),
    Index("ix_notices_made", "made_at"),
)

notice_sendings = Table(
    "notice_sendings",
    metadata,
    Column("notice", ForeignKey(notices.c.id), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("not_before", Instant, nullable=False),
    Column("tried_at", Instant),
    Column("ended_at", Instant),
    Column("is_sent", Boolean, nullable=False, server_default=text("false")),
    Column("problem", Text),
    Index("ix_notice_sendings_open", "not_before", sqlite_where=text(IS_UNSENT), postgresql_where=text(IS_UNSENT)),
)

open_matters = Table(
    "open_matters",
    metadata,
    Column("tenant", ForeignKey(tenants.c.id), primary_key=True),
    Column("mark", Text, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    Column("notice", ForeignKey(notices.c.id)),
)

listeners = Table(
    "listeners",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("held_until", BigInteger, nullable=False),
    Column("offset", Text),
)

secrets = Table(
    "secrets",
    metadata,
    Column("tenant", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("changed_at", Instant, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("tenant", BigInteger),
    Column("contract", BigInteger),
    Column("billing", BigInteger),
    Column("before", Facts, nullable=False),
    Column("after", Facts, nullable=False),
    Column("version", Text, nullable=False),
    Index("ix_audit_billing", "billing"),
    Index("ix_audit_tenant", "tenant", "id"),
)
