"""DOC101: what the document protects is called without."""

from typing import Literal

import pytest
from checks.mixed_app import judged

from auth_conformance.model import Severity


def test_what_is_declared_is_enforced() -> None:
    result = judged("DOC101")
    assert result.name == "passed", result.verdict.reason
    assert "3 operations" in result.verdict.reason


@pytest.mark.parametrize(
    ("lock", "severity", "told"),
    [(True, Severity.HIGH, ", as to every account."), ("people", Severity.CRITICAL, ".")],
)
def test_a_lock_that_is_only_painted_on_is_found(
    lock: Literal[True, "people"], severity: Severity, told: str
) -> None:
    result = judged("DOC101", painted_lock=lock)
    assert (result.name, result.severity) == ("failed", severity)
    assert (
        f"GET /secret declares a credential and answers 200 to no credential{told}" in result.verdict.reason
    )


def test_a_login_that_is_optional_and_described_as_demanded_is_no_open_door() -> None:
    result = judged("DOC101", painted_lock="ajar")
    assert (result.name, result.severity) == ("failed", Severity.LOW)
    assert "answers 200 to no credential, without more." in result.verdict.reason
