"""What Hypothesis would complain about in a test, and what is meant here: each example is a request to a service."""

from __future__ import annotations

from hypothesis import HealthCheck

HEALTH = (
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.too_slow,
    HealthCheck.large_base_example,
    HealthCheck.function_scoped_fixture,
    HealthCheck.differing_executors,
    HealthCheck.nested_given,
)
