"""Hypothesis without deadlines here: how long one example takes says nothing on a busy machine."""

from hypothesis import settings

settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")
