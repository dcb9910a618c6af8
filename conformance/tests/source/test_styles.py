"""The rules on code that nobody here wrote for them: other styles than the reference app's, and look-alikes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from auth_conformance.model import Severity
from auth_conformance.source.rules.guards import failing_open
from auth_conformance.source.rules.hashing import raw_storage
from auth_conformance.source.rules.local import LOCAL
from auth_conformance.source.scan import scan
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


PEEK = """
import jwt

def issuer_of(token):
    return jwt.decode(token, options={"verify_signature": False})["iss"]
"""
CALLERS = """
import jwt
from service.peeking import issuer_of

def caller(token, keys):
    return jwt.decode(token, keys[issuer_of(token)], algorithms=["RS256"], options={"require": ["exp"]})
"""


@pytest.mark.parametrize(
    ("callers", "found"),
    [(CALLERS, 0), ("", 1), (CALLERS + "\ndef other(token): return issuer_of(token)\n", 1)],
)
def test_a_look_ahead_in_a_function_of_its_own_is_judged_by_all_who_call_it(
    callers: str, found: int, tmp_path: Path
) -> None:
    (tmp_path / "peeking.py").write_text(PEEK)
    decoder = (
        'import jwt\n\ndef decode(token):\n    return jwt.decode(token, "k", algorithms=["HS256"])["exp"]\n'
    )
    (tmp_path / "calling.py").write_text(callers + decoder)  # of the name that the library has for both
    assert len(scan(tmp_path).of("SRC103")) == found


def test_what_is_used_afterwards_may_be_asserted_to_be_there(tmp_path: Path) -> None:
    lines = ["def login(form):", "    assert form.user is not None", "    return form.user.name", ""]
    region = ["def login(form):", "    assert form.region is not None", "    return form", ""]
    for used, notes in ((lines, 0), ([*lines[:2], "    return form", ""], 1), (region, 0)):
        (tmp_path / "views.py").write_text("\n".join(used))
        assert len(scan(tmp_path).of("SRC113")) == notes


def test_files_that_are_to_be_copied_configure_nothing(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    for name in ("settings.example.toml", "config.sample.yaml", "settings.toml"):
        (tmp_path / name).write_text('secret_key = "changeme-please-now"\n')
    assert [Path(spot.path).name for spot in scan(tmp_path).of("SRC101")] == ["settings.toml"]
