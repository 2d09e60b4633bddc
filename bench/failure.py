"""What a bench says when it cannot be run to its end."""


class BenchFailed(Exception):  # noqa: N818 - what happened
    """There is nothing to show. The message says what was waited for, and where the logs are."""
