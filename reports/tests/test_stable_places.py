"""What two runs find is recognised as the same: baselines and code scanning go by the fingerprint."""

from __future__ import annotations

from pathlib import Path

from auth_conformance.demo import package
from auth_conformance.discovery.routes import source_of
from auth_conformance.model import Finding, Severity, SourceLine
from auth_conformance.source.tree import relative
from auth_conformance.testing import seeded


def placed() -> tuple[str, SourceLine | None, str]:
    """The fingerprint, the line and the file of a finding in a copy of the bundled app."""
    with seeded(package()) as module:
        line = source_of(module.create_app)
        found = Finding("SRC106", "Title", Severity.HIGH, None, "Message", source=line)
        return found.fingerprint, line, relative(Path(str(module.__file__)))


def test_a_finding_in_a_copy_is_the_same_in_the_next_copy() -> None:
    first, second = placed(), placed()
    assert first == second
    _, line, file = first
    assert line is not None
    assert Path(line.path).parts[0] == "reference_app"
    assert file == "reference_app/__init__.py"
