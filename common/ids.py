"""The ids of the domain as types of their own, so that a contract's number is never passed where an invoice's belongs.

Fortnox sends document numbers now as strings, now as numbers (API notes 0.1, 1.7); inside the product they are ints.
"""

from typing import NewType

TenantId = NewType("TenantId", int)
"""Fortnox' `tenantId`, which is the company's `DatabaseNumber` (API notes 7)."""

ContractNumber = NewType("ContractNumber", int)
"""`DocumentNumber` of a contract; unique within its tenant."""

InvoiceNumber = NewType("InvoiceNumber", int)
"""`DocumentNumber` of an invoice; unique within its tenant."""

BillingId = NewType("BillingId", int)
"""Primary key of one billing in the ledger."""

AttemptId = NewType("AttemptId", int)
"""Primary key of one attempt (one call with an effect) in the ledger."""
