from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from auth_conformance.source.packages import DATED, LASTING, outdated, pinned, vulnerable
from auth_conformance.source.tree import read_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("requirements.txt", "# python-jose==9.9\npython_jose[cryptography]==3.3.0  # old\n"),
        ("requirements-prod.txt", "Python-Jose == 3.3.0 ; python_version > '3.8'\n"),
        ("poetry.lock", '[[package]]\nname = "python-jose"\nversion = "3.3.0"\n'),
        ("uv.lock", '[[package]]\nname = "python-jose"\nversion = "3.3.0"\nsource = { registry = "x" }\n'),
        ("Pipfile.lock", '{"default": {"python-jose": {"version": "==3.3.0"}}}'),
        ("pyproject.toml", '[project]\nname = "x"\ndependencies = [\n  "python-jose==3.3.0",\n]\n'),
    ],
)
def test_a_pinned_version_is_read(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from jose import jwt\n")
    (tmp_path / name).write_text(content)
    found = pinned(read_tree(tmp_path), installed=False)
    assert found["python-jose"].version == "3.3.0"
    assert [spot.code for spot in vulnerable(found)][:1] == ["SRC116"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("requirements.txt", b"\xff\xfe\x00 -e .\n--hash=1\n==\n"),
        ("Pipfile.lock", b"[1, 2"),
        ("Pipfile.lock", b'["default"]'),
        ("pyproject.toml", b"[project\n"),
        ("pyproject.toml", b"[tool.x]\na = 1\n"),
        ("uv.lock", b"[[package]]\nversion = 1\n"),
    ],
)
def test_a_file_that_is_none_says_nothing(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x = 1\n")
    (tmp_path / name).write_bytes(content)
    assert pinned(read_tree(tmp_path), installed=False) == {}


def test_a_table_grows_old() -> None:
    assert not outdated(DATED + timedelta(days=LASTING))
    assert outdated(DATED + timedelta(days=LASTING + 1))
