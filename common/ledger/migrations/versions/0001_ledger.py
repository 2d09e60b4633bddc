"""The first ledger: companies, policies, mirrors, billings with their attempts, blocks, and the audit.

Written as SQL and frozen: `schema.py` may move on, this may not. Applies to SQLite and PostgreSQL.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_OPEN = "status IN ('claimed', 'held', 'in_doubt', 'parked', 'seeking', 'waiting')"

_TABLES = """
CREATE TABLE bureau (
    id INTEGER NOT NULL,
    paused BOOLEAN NOT NULL,
    identity TEXT NOT NULL,
    restored_at BIGINT,
    CONSTRAINT pk_bureau PRIMARY KEY (id),
    CONSTRAINT ck_bureau_one CHECK (id = 1)
);
INSERT INTO bureau (id, paused, identity) VALUES (1, false, {identity});

CREATE TABLE tenants (
    id BIGINT NOT NULL,
    name TEXT NOT NULL,
    paused BOOLEAN DEFAULT false NOT NULL,
    locked_until DATE,
    years TEXT,
    cash BOOLEAN DEFAULT false NOT NULL,
    facts_on DATE,
    listed_at BIGINT,
    all_listed_at BIGINT,
    newest_invoice BIGINT,
    creates_proven BOOLEAN DEFAULT false NOT NULL,
    accruals TEXT,
    customers_at BIGINT,
    customers_known BOOLEAN DEFAULT false NOT NULL,
    leased_by TEXT,
    CONSTRAINT pk_tenants PRIMARY KEY (id)
);

CREATE TABLE consents (
    tenant BIGINT NOT NULL,
    kind TEXT NOT NULL,
    scopes TEXT NOT NULL,
    refresh_token TEXT,
    renewals INTEGER DEFAULT 0 NOT NULL,
    renewed_at BIGINT NOT NULL,
    renewing TEXT,
    renewing_until BIGINT,
    unanswered_at BIGINT,
    ended_at BIGINT,
    ended_because TEXT,
    CONSTRAINT pk_consents PRIMARY KEY (tenant),
    CONSTRAINT fk_consents_tenant FOREIGN KEY (tenant) REFERENCES tenants (id),
    CONSTRAINT ck_consents_refreshed CHECK ((kind = 'user') = (refresh_token IS NOT NULL))
);

CREATE TABLE producers (
    name TEXT NOT NULL,
    alive_until BIGINT NOT NULL,
    CONSTRAINT pk_producers PRIMARY KEY (name)
);

CREATE TABLE policies (
    level TEXT NOT NULL,
    tenant BIGINT NOT NULL,
    "key" TEXT NOT NULL,
    choice TEXT NOT NULL,
    mode TEXT,
    CONSTRAINT pk_policies PRIMARY KEY (level, tenant, "key"),
    CONSTRAINT ck_policies_level CHECK (level IN ('bureau', 'tenant', 'template', 'contract'))
);

CREATE TABLE contracts (
    tenant BIGINT NOT NULL,
    number BIGINT NOT NULL,
    customer_number TEXT NOT NULL,
    customer_name TEXT NOT NULL,
    status TEXT NOT NULL,
    continuous BOOLEAN NOT NULL,
    "interval" INTEGER,
    period_start DATE,
    period_end DATE,
    invoices_remaining INTEGER,
    total BIGINT,
    currency TEXT NOT NULL,
    template TEXT,
    email_to TEXT,
    email_read_at BIGINT,
    price_list TEXT,
    vat_included BOOLEAN,
    rows_total BIGINT,
    rows_read_at BIGINT,
    repriced_from BIGINT,
    repriced_to BIGINT,
    read_at BIGINT NOT NULL,
    paused BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT pk_contracts PRIMARY KEY (tenant, number),
    CONSTRAINT fk_contracts_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);
CREATE INDEX ix_contracts_start ON contracts (period_start) WHERE status = 'ACTIVE';
CREATE INDEX ix_contracts_end ON contracts (period_end) WHERE status = 'ACTIVE';

CREATE TABLE customers (
    tenant BIGINT NOT NULL,
    number TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    email_invoice TEXT,
    gln TEXT,
    delivery TEXT,
    address1 TEXT NOT NULL,
    zip_code TEXT NOT NULL,
    city TEXT NOT NULL,
    country_code TEXT NOT NULL,
    currency TEXT NOT NULL,
    read_at BIGINT NOT NULL,
    CONSTRAINT pk_customers PRIMARY KEY (tenant, number),
    CONSTRAINT fk_customers_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);

CREATE TABLE unreadable_contracts (
    tenant BIGINT NOT NULL,
    number TEXT NOT NULL,
    error TEXT NOT NULL,
    since BIGINT NOT NULL,
    CONSTRAINT pk_unreadable_contracts PRIMARY KEY (tenant, number),
    CONSTRAINT fk_unreadable_contracts_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);

CREATE TABLE invoices (
    tenant BIGINT NOT NULL,
    number BIGINT NOT NULL,
    contract BIGINT,
    period_start DATE,
    period_end DATE,
    invoice_date DATE,
    due_date DATE,
    invoice_type TEXT NOT NULL,
    customer_number TEXT NOT NULL,
    total BIGINT NOT NULL,
    vat BIGINT,
    currency TEXT NOT NULL,
    booked BOOLEAN NOT NULL,
    sent BOOLEAN NOT NULL,
    cancelled BOOLEAN NOT NULL,
    credit BOOLEAN NOT NULL,
    credit_of BIGINT,
    credited_by BIGINT,
    nox_finans BOOLEAN NOT NULL,
    accounting_method TEXT,
    email_to TEXT NOT NULL,
    tax_reduction TEXT,
    warehouse_ready BOOLEAN,
    rows_digest TEXT,
    read_at BIGINT,
    listed_at BIGINT,
    CONSTRAINT pk_invoices PRIMARY KEY (tenant, number),
    CONSTRAINT fk_invoices_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);
CREATE INDEX ix_invoices_contract ON invoices (tenant, contract, period_start);
CREATE INDEX ix_invoices_ended ON invoices (tenant) WHERE (cancelled OR credit OR credited_by IS NOT NULL);

CREATE TABLE billings (
    id {row_id} NOT NULL,
    tenant BIGINT NOT NULL,
    contract BIGINT NOT NULL,
    period_start DATE NOT NULL,
    period_end DATE NOT NULL,
    generation INTEGER NOT NULL,
    due_on DATE NOT NULL,
    invoice_date DATE NOT NULL,
    step TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    detail TEXT NOT NULL,
    policy TEXT NOT NULL,
    amount BIGINT,
    currency TEXT NOT NULL,
    customer_number TEXT NOT NULL,
    customer_name TEXT NOT NULL,
    invoice BIGINT,
    handmade BOOLEAN DEFAULT false NOT NULL,
    made_total BIGINT,
    made_rows TEXT,
    approved TEXT DEFAULT '' NOT NULL,
    not_before BIGINT,
    called_at BIGINT,
    lease_until BIGINT,
    token TEXT,
    failures INTEGER DEFAULT 0 NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    CONSTRAINT pk_billings PRIMARY KEY (id),
    CONSTRAINT fk_billings_tenant FOREIGN KEY (tenant) REFERENCES tenants (id),
    CONSTRAINT uq_billings_tenant_contract_period_start_generation UNIQUE (tenant, contract, period_start, generation),
    CONSTRAINT uq_billings_tenant_invoice UNIQUE (tenant, invoice),
    CONSTRAINT ck_billings_step CHECK (step IN ('create', 'bookkeep', 'deliver')),
    CONSTRAINT ck_billings_status CHECK (status IN
        ('waiting', 'claimed', 'seeking', 'in_doubt', 'held', 'parked', 'done', 'skipped', 'voided')),
    CONSTRAINT ck_billings_period CHECK (period_start <= period_end),
    CONSTRAINT ck_billings_later_step_has_invoice CHECK (step = 'create' OR invoice IS NOT NULL),
    CONSTRAINT ck_billings_create_once CHECK (NOT (step = 'create' AND status = 'claimed' AND invoice IS NOT NULL)),
    CONSTRAINT ck_billings_claimed_has_lease
        CHECK ((status = 'claimed') = (token IS NOT NULL AND lease_until IS NOT NULL))
);
CREATE UNIQUE INDEX uq_billings_open_create ON billings (tenant, contract) WHERE step = 'create' AND {is_open};
CREATE UNIQUE INDEX uq_billings_live_period ON billings (tenant, contract, period_start) WHERE status <> 'voided';
CREATE INDEX ix_billings_waiting ON billings (tenant, not_before, due_on, id) WHERE status = 'waiting';
CREATE INDEX ix_billings_under_way ON billings (tenant, step, status)
    WHERE status IN ('claimed', 'in_doubt', 'seeking');
CREATE INDEX ix_billings_person ON billings (tenant, status) WHERE status IN ('held', 'parked');
CREATE INDEX ix_billings_created ON billings (created_at);
CREATE INDEX ix_billings_voided ON billings (tenant) WHERE status = 'voided';

CREATE TABLE attempts (
    id {row_id} NOT NULL,
    billing BIGINT NOT NULL,
    step TEXT NOT NULL,
    called_at BIGINT NOT NULL,
    claimed_by TEXT NOT NULL,
    token_expires_at BIGINT NOT NULL,
    newest_invoice_before BIGINT,
    answered_at BIGINT,
    http_status INTEGER,
    code INTEGER,
    message TEXT DEFAULT '' NOT NULL,
    x_uid TEXT,
    verdict TEXT,
    note TEXT DEFAULT '' NOT NULL,
    stood TEXT,
    CONSTRAINT pk_attempts PRIMARY KEY (id),
    CONSTRAINT fk_attempts_billing FOREIGN KEY (billing) REFERENCES billings (id),
    CONSTRAINT ck_attempts_verdict CHECK (verdict IN ('acted', 'rejected', 'not_sent', 'absent'))
);
CREATE INDEX ix_attempts_billing ON attempts (billing, step);
CREATE INDEX ix_attempts_called ON attempts (called_at);
CREATE UNIQUE INDEX uq_attempts_open ON attempts (billing, step) WHERE verdict IS NULL;
CREATE INDEX ix_attempts_never_answered ON attempts (token_expires_at)
    WHERE step = 'create' AND verdict IN ('acted', 'absent') AND (http_status IS NULL OR http_status >= 300);

CREATE TABLE blocks (
    tenant BIGINT NOT NULL,
    step TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    since BIGINT NOT NULL,
    probe BIGINT,
    CONSTRAINT pk_blocks PRIMARY KEY (tenant, step, reason),
    CONSTRAINT fk_blocks_tenant FOREIGN KEY (tenant) REFERENCES tenants (id),
    CONSTRAINT fk_blocks_probe FOREIGN KEY (probe) REFERENCES billings (id)
);

CREATE TABLE preflights (
    tenant BIGINT NOT NULL,
    tried_at BIGINT NOT NULL,
    made_at BIGINT,
    observed TEXT,
    error TEXT,
    CONSTRAINT pk_preflights PRIMARY KEY (tenant),
    CONSTRAINT fk_preflights_tenant FOREIGN KEY (tenant) REFERENCES tenants (id),
    CONSTRAINT ck_preflights_made CHECK ((made_at IS NULL) = (observed IS NULL))
);

CREATE TABLE proofs (
    tenant BIGINT NOT NULL,
    day DATE NOT NULL,
    tried_at BIGINT NOT NULL,
    made_at BIGINT,
    since DATE,
    counts TEXT NOT NULL,
    lines TEXT NOT NULL,
    error TEXT,
    CONSTRAINT pk_proofs PRIMARY KEY (tenant, day),
    CONSTRAINT fk_proofs_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);

CREATE TABLE acknowledgements (
    tenant BIGINT NOT NULL,
    mark TEXT NOT NULL,
    at BIGINT NOT NULL,
    "by" TEXT NOT NULL,
    why TEXT NOT NULL,
    CONSTRAINT pk_acknowledgements PRIMARY KEY (tenant, mark),
    CONSTRAINT fk_acknowledgements_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);

CREATE TABLE contract_rows (
    tenant BIGINT NOT NULL,
    contract BIGINT NOT NULL,
    place INTEGER NOT NULL,
    row_id BIGINT,
    article TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    price BIGINT NOT NULL,
    discount BIGINT NOT NULL,
    is_percent BOOLEAN NOT NULL,
    vat BIGINT,
    CONSTRAINT pk_contract_rows PRIMARY KEY (tenant, contract, place),
    CONSTRAINT fk_contract_rows_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);
CREATE INDEX ix_contract_rows_article ON contract_rows (tenant, article, contract);

CREATE TABLE untouchable_rows (
    tenant BIGINT NOT NULL,
    contract BIGINT NOT NULL,
    article TEXT NOT NULL,
    CONSTRAINT pk_untouchable_rows PRIMARY KEY (tenant, contract, article),
    CONSTRAINT fk_untouchable_rows_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);

CREATE TABLE price_watches (
    tenant BIGINT NOT NULL,
    since BIGINT NOT NULL,
    polled_at BIGINT NOT NULL,
    all_read_at BIGINT NOT NULL,
    price_list TEXT,
    CONSTRAINT pk_price_watches PRIMARY KEY (tenant),
    CONSTRAINT fk_price_watches_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);

CREATE TABLE prices (
    tenant BIGINT NOT NULL,
    article TEXT NOT NULL,
    price_list TEXT NOT NULL,
    from_quantity BIGINT NOT NULL,
    price BIGINT NOT NULL,
    read_at BIGINT NOT NULL,
    CONSTRAINT pk_prices PRIMARY KEY (tenant, article, price_list, from_quantity),
    CONSTRAINT fk_prices_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);

CREATE TABLE price_changes (
    id {row_id} NOT NULL,
    tenant BIGINT NOT NULL,
    article TEXT NOT NULL,
    "before" TEXT NOT NULL,
    "after" TEXT NOT NULL,
    price_list TEXT,
    day DATE NOT NULL,
    noticed_at BIGINT NOT NULL,
    CONSTRAINT pk_price_changes PRIMARY KEY (id),
    CONSTRAINT fk_price_changes_tenant FOREIGN KEY (tenant) REFERENCES tenants (id)
);
CREATE INDEX ix_price_changes_article ON price_changes (tenant, article, id);

CREATE TABLE price_updates (
    id {row_id} NOT NULL,
    tenant BIGINT NOT NULL,
    contract BIGINT NOT NULL,
    article TEXT NOT NULL,
    change BIGINT NOT NULL,
    origin BIGINT NOT NULL,
    status TEXT NOT NULL,
    detail TEXT NOT NULL,
    token TEXT,
    lease_until BIGINT,
    rows TEXT NOT NULL,
    cautions TEXT NOT NULL,
    first_day DATE,
    a_month BIGINT,
    currency TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    CONSTRAINT pk_price_updates PRIMARY KEY (id),
    CONSTRAINT fk_price_updates_tenant FOREIGN KEY (tenant) REFERENCES tenants (id),
    CONSTRAINT fk_price_updates_change FOREIGN KEY (change) REFERENCES price_changes (id),
    CONSTRAINT fk_price_updates_origin FOREIGN KEY (origin) REFERENCES price_changes (id),
    CONSTRAINT uq_price_updates_change_contract UNIQUE (change, contract),
    CONSTRAINT ck_price_updates_status CHECK (
        status IN ('proposed', 'approved', 'refused', 'left', 'done', 'undoing', 'undone', 'rejected', 'superseded')
    )
);
CREATE UNIQUE INDEX uq_price_updates_open ON price_updates (tenant, contract, article)
    WHERE status IN ('proposed', 'approved', 'refused', 'undoing');
CREATE INDEX ix_price_updates_awaited ON price_updates (tenant, contract)
    WHERE status IN ('approved', 'refused', 'undoing');

CREATE TABLE notice_looks (
    id INTEGER NOT NULL,
    began_at BIGINT NOT NULL,
    CONSTRAINT pk_notice_looks PRIMARY KEY (id),
    CONSTRAINT ck_notice_looks_one CHECK (id = 1)
);

CREATE TABLE notices (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    digest TEXT NOT NULL,
    CONSTRAINT pk_notices PRIMARY KEY (id)
);
CREATE INDEX ix_notices_made ON notices (made_at);

CREATE TABLE notice_sendings (
    notice TEXT NOT NULL,
    channel TEXT NOT NULL,
    tries INTEGER DEFAULT 0 NOT NULL,
    not_before BIGINT NOT NULL,
    tried_at BIGINT,
    ended_at BIGINT,
    is_sent BOOLEAN DEFAULT false NOT NULL,
    problem TEXT,
    CONSTRAINT pk_notice_sendings PRIMARY KEY (notice, channel),
    CONSTRAINT fk_notice_sendings_notice FOREIGN KEY (notice) REFERENCES notices (id)
);
CREATE INDEX ix_notice_sendings_open ON notice_sendings (not_before) WHERE ended_at IS NULL;

CREATE TABLE open_matters (
    tenant BIGINT NOT NULL,
    mark TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    notice TEXT,
    CONSTRAINT pk_open_matters PRIMARY KEY (tenant, mark),
    CONSTRAINT fk_open_matters_tenant FOREIGN KEY (tenant) REFERENCES tenants (id),
    CONSTRAINT fk_open_matters_notice FOREIGN KEY (notice) REFERENCES notices (id)
);

CREATE TABLE listeners (
    topic TEXT NOT NULL,
    holder TEXT NOT NULL,
    held_until BIGINT NOT NULL,
    "offset" TEXT,
    CONSTRAINT pk_listeners PRIMARY KEY (topic)
);

CREATE TABLE secrets (
    tenant BIGINT NOT NULL,
    name TEXT NOT NULL,
    sealed TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    CONSTRAINT pk_secrets PRIMARY KEY (tenant, name)
);

CREATE TABLE audit (
    id {row_id} NOT NULL,
    at BIGINT NOT NULL,
    "by" TEXT NOT NULL,
    action TEXT NOT NULL,
    tenant BIGINT,
    contract BIGINT,
    billing BIGINT,
    "before" TEXT NOT NULL,
    "after" TEXT NOT NULL,
    version TEXT NOT NULL,
    CONSTRAINT pk_audit PRIMARY KEY (id)
);
CREATE INDEX ix_audit_billing ON audit (billing);
CREATE INDEX ix_audit_tenant ON audit (tenant, id);
"""

_APPEND_ONLY_SQLITE = (
    """
    CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    # INSERT OR REPLACE deletes without asking the trigger on DELETE.
    """
    CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
)

_APPEND_ONLY_POSTGRESQL = (
    """
    CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$
    """,
    """
    CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
    """,
)


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    row_id = "INTEGER" if is_sqlite else "BIGINT GENERATED BY DEFAULT AS IDENTITY"
    identity = "lower(hex(randomblob(16)))" if is_sqlite else "replace(gen_random_uuid()::text, '-', '')"
    for statement in _TABLES.format(row_id=row_id, is_open=_OPEN, identity=identity).split(";"):
        if statement.strip():
            op.execute(statement)
    for trigger in _APPEND_ONLY_SQLITE if is_sqlite else _APPEND_ONLY_POSTGRESQL:
        op.execute(trigger)


def downgrade() -> None:
    raise NotImplementedError("A ledger is never downgraded: restore the backup made before the upgrade.")
