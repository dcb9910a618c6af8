"""Trees that cannot be read, or hold something else than a service: one clear sentence, and the rest goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from auth_conformance.source import scan as scanning
from auth_conformance.source.scan import SourceError, scan
from auth_conformance.source.tree import LARGEST

FLAWED = "import hashlib\n\n\ndef store(password: str) -> str:\n    return hashlib.md5(password.encode()).hexdigest()\n"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot be read|no Python file") as caught:
        scan(tmp_path / "nowhere")
    assert "source =" in caught.value.remedy


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Python file to examine"):
        scan(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.py", b"def (:\n"),
        ("bytes.py", b"x = '\xff\xfe'\n"),
        ("nul.py", b"x = 1\x00\n"),
        ("old.py", b"print 'two'\n"),
        ("long.py", b"x = 1\n" * (LARGEST // 6 + 1)),
        ("deep.py", b"x = " + b"(" * 3000 + b")" * 3000 + b"\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_examined(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.py").write_text(FLAWED)
    found = scan(tmp_path)
    assert [spot.path for spot in found.of("SRC104") if spot.path.endswith("good.py")]
    assert any(name in problem for problem in found.tree.problems)


def test_only_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (:\n")
    with pytest.raises(SourceError, match=r"broken\.py"):
        scan(tmp_path)


def test_links_that_go_round_and_links_that_lead_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "foreign.py").write_text(FLAWED)
    root = tmp_path / "service"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "round").symlink_to(root)
    (root / "itself.py").symlink_to(root / "itself.py")
    (root / "out").symlink_to(outside)
    (root / "good.py").write_text(FLAWED)
    found = scan(root)
    assert [Path(module.shown).name for module in found.tree.modules] == ["good.py"]


@pytest.mark.parametrize(
    "text",
    [
        "from flask import Flask\napp = Flask(__name__)\n\n@app.get('/')\ndef index():\n    return 'ok'\n",
        "from django.http import HttpResponse\n\ndef index(request):\n    return HttpResponse('ok')\n",
        "",
        "# nothing but a remark\n",
    ],
)
def test_another_framework_breaks_no_rule_of_security(text: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(text)
    found = scan(tmp_path)
    style = {"SRC108", "SRC109", "SRC110", "SRC111"}
    assert not [spot for spot in found.spots if spot.code not in style]


def test_without_bandit_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SourceError, match="bandit is not installed") as caught:
        scan(tmp_path)
    assert "[static]" in caught.value.remedy


def test_a_pass_says_nothing_of_its_own(tmp_path: Path) -> None:
    """Bandit's loader calls each report format whose package is missing an error: no user wants to read that."""
    (tmp_path / "app.py").write_text(FLAWED)
    code = (
        "import logging, pathlib; logging.basicConfig(level=logging.INFO); "
        "from auth_conformance.source.scan import scan; print(len(scan(pathlib.Path('.')).of('SRC104')))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


PEEK = "import jwt\ndef issuer_of(token):\n    return jwt.decode(token, options={'verify_signature': False})['iss']\n"
CALLERS = (
    "import jwt\nfrom keys.peeking import issuer_of\ndef caller(token, keys):\n"
    "    options = {'require': ['exp']}\n"
    "    return jwt.decode(token, keys[issuer_of(token)], algorithms=['RS256'], options=options)\n"
)


def test_plain_bandit_finds_with_our_entry_points_alone(tmp_path: Path) -> None:
    """`bandit -r` of a team that has both installed: every rule for one file is there under its own id."""
    flaws = {
        "SRC101": "SECRET_KEY = 'correct-horse-battery-9'",
        "SRC103": "import jwt\ndef f(token):\n    return jwt.decode(token, options={'verify_signature': False})",
        "SRC104": "import hashlib\ndef f(password):\n    return hashlib.sha256(password.encode()).hexdigest()",
        "SRC105": "def f(api_key, settings):\n    return api_key == settings.api_key",
        "SRC106": "import random\ndef make_token():\n    return random.choices('ab', k=9)",
        "SRC107": 'from sqlalchemy import text\ndef f(s, n):\n    return s.execute(text(f"SELECT 1 WHERE a={n}"))',
        "SRC113": "from fastapi import FastAPI\napp = FastAPI(debug=True)",
    }
    for code, text in flaws.items():
        (tmp_path / f"{code.lower()}.py").write_text(text + "\n")
    (tmp_path / "sound.py").write_text("import secrets\nKEY = secrets.token_hex(32)\n")
    # Bandit shows one file at a time, and who calls this one verifies in another.
    (tmp_path / "keys").mkdir()
    for name, text in {"__init__": "", "peeking": PEEK, "verifying": CALLERS}.items():
        (tmp_path / "keys" / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "bandit", "-q", "-r", ".", "-f", "json", "-t", ",".join(flaws)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    issues = json.loads(done.stdout)["results"]
    found = {(issue["test_id"], Path(issue["filename"]).stem.upper()) for issue in issues}
    assert found == {(code, code) for code in flaws}
    assert all(issue["issue_cwe"]["id"] for issue in issues)


def test_a_second_tree_knows_nothing_of_the_first(tmp_path: Path) -> None:
    # Deeper than a copy that followed bandit's marks to the first tree could go.
    long = "x = 1\n" * 2000
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "first.py").write_text(f"{long}print(x)\n")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "second.py").write_text(
        "import jwt\n\n\ndef read(token, key, name):\n"
        '    return jwt.decode(token, key, **{"options": {"verify_signature": False}, "issuer": name})\n'
    )
    scan(tmp_path / "one")
    assert [spot.line for spot in scan(tmp_path / "two").of("SRC103")]
