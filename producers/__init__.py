"""Reads Fortnox, decides what is due, and feeds the queues. Makes no call that has an effect on Fortnox."""
