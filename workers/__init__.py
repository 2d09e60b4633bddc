"""The pools that carry out the steps of a billing: one module of Dramatiq actors a pool, each on its own queue.

Pools meet the producer and each other in the ledger and on the queues, never by import.
"""
