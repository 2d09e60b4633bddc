"""The sandbox itself, over real HTTP."""

from tests.sandboxes import sandbox

__all__ = ["sandbox"]
