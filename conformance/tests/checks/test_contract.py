"""DOC101: what the document protects is called without."""

from checks.mixed_app import judged


def test_what_is_declared_is_enforced() -> None:
    result = judged("DOC101")
    assert result.name == "passed", result.verdict.reason
    assert "3 operations" in result.verdict.reason


def test_a_lock_that_is_only_painted_on_is_found() -> None:
    result = judged("DOC101", painted_lock=True)
    assert result.name == "failed"
    assert "GET /secret declares a credential and answers 200 to no credential" in result.verdict.reason
