"""The rules on code that nobody here wrote for them: other styles than the reference app's, and look-alikes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from auth_conformance.model import Severity
from auth_conformance.source.rules.calls import raw_storage
from auth_conformance.source.rules.guards import failing_open
from auth_conformance.source.rules.local import LOCAL
from auth_conformance.source.tree import Module, Tree

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

STYLES = Path(__file__).with_name("styles")


def snippets(kind: str) -> list[ParameterSet]:
    found = []
    for path in sorted(STYLES.glob("*.toml")):
        listed = tomllib.loads(path.read_text("utf-8"))[kind]
        assert len(listed) >= 6, path.name
        found += [
            pytest.param(path.stem, item, id=f"{path.stem} {item['about']}".replace("[", "("))
            for item in listed
        ]
    return found


def codes(text: str, *, low: bool = True) -> set[str]:
    """The codes that fail; those of low severity may be left out, which are beside the point of most snippets."""
    module = Module(
        Path("service.py"), "service.py", "service", text, compile(text, "service.py", "exec", 0x400)
    )  # type: ignore[arg-type] # an AST
    tree = Tree(Path(), (module,), ())
    spots = [spot for rule in LOCAL for spot in rule(module)]
    spots += [spot for rule in (raw_storage, failing_open) for spot in rule(tree)]
    return {spot.code for spot in spots if not spot.note and (low or spot.severity is not Severity.LOW)}


@pytest.mark.parametrize(("code", "snippet"), snippets("flawed"))
def test_a_flaw_is_seen_in_every_style(code: str, snippet: dict[str, Any]) -> None:
    assert code in codes(snippet["text"], low=snippet.get("low", False))


@pytest.mark.parametrize(("code", "snippet"), snippets("sound"))
def test_a_look_alike_is_not_accused(code: str, snippet: dict[str, Any]) -> None:
    assert code not in codes(snippet["text"])
