"""The durable truth: what we set out to invoice, what we called, and what came back (design, sections 2 and 5).

One module per aggregate. Nothing here calls Fortnox or the queues.
"""
