"""The durable truth: what we set out to invoice, what we called, and what came back (design, sections 2 and 5).

One concept a module; `billings` is the front door to all that is done with a billing. Nothing here calls Fortnox or the
queues.
"""
