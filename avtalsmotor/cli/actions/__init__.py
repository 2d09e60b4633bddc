"""What the commands do. Each opens a session, asks or changes the ledger, and prints.

None of them calls Fortnox with an effect: that is for the workers alone.
"""
