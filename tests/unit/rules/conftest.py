"""How properties are tried here: without a deadline, since a busy machine says nothing about a pure function."""

from hypothesis import settings

settings.register_profile("rules", deadline=None)
settings.load_profile("rules")
