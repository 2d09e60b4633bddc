"""Measures how fast the product is, against a sandbox Fortnox in a process of its own that enforces the rate limit.

Figures are read from the sandbox's log of requests alone, never from the product's own; a bench judges nothing, it only
tells what it saw. No test asserts a figure: machines differ, ratios less so.
"""
