"""A Fortnox of our own: a stateful simulator with faults, for the demo, tests, benchmarks and rehearsals.

It imports nothing from the rest of the project: a simulator that shares models with the client shares its
misunderstandings. `sandbox.server` starts it; `sandbox.books` is its state; `sandbox.behaviour` lists what is assumed.
"""
