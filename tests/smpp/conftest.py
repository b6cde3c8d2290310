"""Examples have no deadline: how long one takes says something about the machine, not about the code."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
