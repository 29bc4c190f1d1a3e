"""Hypothesis on a machine that others use too: how long an example took says nothing, so it is not judged."""

from hypothesis import HealthCheck, settings

settings.register_profile("hubbub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hubbub")
