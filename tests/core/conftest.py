"""Settings of the property tests."""

from hypothesis import settings

# How long an example takes says nothing here: the machine may be busy.
settings.register_profile("core", deadline=None)
settings.load_profile("core")
