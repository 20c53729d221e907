"""Hypothesis without deadlines here: how long one example takes says nothing on a busy machine."""

from hypothesis import settings

settings.register_profile("write side", deadline=None)
settings.load_profile("write side")
