"""The rules over several files: what a helper, a constant or a class of settings in another file decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from auth_conformance.source.rules.local import LOCAL
from auth_conformance.source.tree import read_tree

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
from pydantic import Field
from pydantic_settings import BaseSettings
DECODE = {"verify_signature": False}
FALLBACK = "d3v-0nly-Jwt-k3y-please-rotate"
class Settings(BaseSettings):
    algorithms: tuple[str, ...] = Field(default=("HS256", "none"))
    sound: list[str] = ["HS256"]
    written: str = "HS256,RS256"
    options: dict = {"verify_exp": False}
    verify_tls: bool = False
    check_tls: bool = True
def get_settings():
    return Settings()
"""
HELPERS = """
import jwt, logging, random
log = logging.getLogger("audit")
ORDERS = {"name": "name"}
def order_by(wanted):
    return ORDERS.get(wanted, "name")
def titled(text):
    return f"title LIKE '%{text}%'"
def ends(first):
    return first if ends(first) else ends(ends(first))
async def many(statement, *values):
    return await connection().execute(statement, values)
def algorithm(token):
    return jwt.get_unverified_header(token)["alg"]
def read(token, verify=True):
    return jwt.decode(token, KEYS, algorithms=["HS256"], options={"verify_signature": verify, "require": ["exp"]})
def record(event, **fields):
    log.info("%s %s", event, " ".join(f"{name}={value}" for name, value in fields.items()))
def mark(event, token):
    log.info("%s %s", event, len(token))
def chance(size):
    return "%x" % random.getrandbits(size)
def wait(limit):
    for _ in range(random.randint(1, limit)):
        pass
    return limit
def normal(password):
    return str.strip(password)
"""
IMPORTS = """
import httpx, jwt
from fastapi import APIRouter
from sqlalchemy import text
from shop.helpers import *
from shop.helpers import (algorithm, chance, ends, many, mark, normal, order_by, read, record, titled, wait)
from shop.settings import DECODE, FALLBACK, Settings, get_settings
router = APIRouter()
settings = get_settings()
"""
HANDLER = """
@router.get("/notes")
async def asks(db: Db, order: str = "title"):
    return db.scalars(select(Note).order_by(text(order)))
"""
DECODING = "jwt.decode(token, KEY, algorithms={}, options={{'require': ['exp']}})"
# What stands in the third file, and the rules that it breaks.
CASES = {
    "an order from an allow-list": ("many(f'SELECT a FROM t ORDER BY {order_by(wanted)}')", set()),
    "a condition from a helper": ("many('SELECT a FROM t WHERE ' + titled(wanted))", {"SRC107"}),
    "a condition that is added": (
        "said = 'SELECT a FROM t'\n    said += ' WHERE '\n    said += titled(wanted)\n    many(said)",
        {"SRC107"},
    ),
    "a helper that is given a constant": ("many('SELECT a FROM t WHERE ' + titled('x'))", set()),
    "helpers that call each other": ("many(f'SELECT a FROM t ORDER BY {ends(wanted)}')", {"SRC107"}),
    "an order that the caller writes": ("return asks", {"SRC107"}),
    "values that are bound": ("many('SELECT a FROM t WHERE b = ?', wanted)", set()),
    "none among the algorithms": (DECODING.format("settings.algorithms"), {"SRC103"}),
    "two kinds of algorithms": (DECODING.format("get_settings().written.split(',')"), {"SRC103"}),
    "an algorithm of the settings": (DECODING.format("settings.sound"), set()),
    "the header's algorithm": (DECODING.format("[algorithm(token)]"), {"SRC103"}),
    "options of another file": ("jwt.decode(token, KEY, algorithms=['HS256'], options=DECODE)", {"SRC103"}),
    "options of the settings": (
        "jwt.decode(token, KEY, algorithms=['HS256'], options={**settings.options, 'require': ['exp']})",
        {"SRC103"},
    ),
    "told not to verify": ("return read(token, verify=False)", {"SRC103"}),
    "told to verify": ("return read(token, verify=True)", set()),
    "a client that is told off": ("httpx.AsyncClient(verify=settings.verify_tls)", {"SRC113"}),
    "a client that looks": ("httpx.AsyncClient(verify=settings.check_tls)", set()),
    "a client off in what is unpacked": ("httpx.get(token, **{'verify': False, **wanted})", {"SRC113"}),
    "a client off where somebody says so": ("if wanted:\n        httpx.get(token, verify=False)", set()),
    "a token for the log": ("record('login', token=wanted)", {"SRC113"}),
    "a token under another name": ("record('login', value=access_token)", {"SRC113"}),
    "the length of a token": ("mark('login', access_token)", set()),
    "the digest of a token": ("record('login', token=digest(access_token))", set()),
    "chance of another file": ("reset_token = chance(128)", {"SRC106"}),
    "chance in a pair": ("number, reset_token = 3, chance(128)", {"SRC106"}),
    "chance beside a token": ("number, reset_token = chance(4), digest(wanted)", set()),
    "chance that is waited for": ("reset_token = wait(3)", set()),
    "a password in another spelling": ("return normal(password) == row.stored", {"SRC105"}),
    "a secret of another file": ("signing_secret = str(FALLBACK)", {"SRC101"}),
    "a secret that is given": ("FALLBACK = wanted\n    signing_secret = str(FALLBACK)", set()),
}


@pytest.mark.parametrize("case", CASES)
def test_what_another_file_says_counts(case: str, tmp_path: Path) -> None:
    body, wanted = CASES[case]
    handler = HANDLER if "asks" in body else ""
    package = tmp_path / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(SETTINGS)
    (package / "helpers.py").write_text(HELPERS)
    (package / "api.py").write_text(
        f"{IMPORTS}{handler}\nasync def act(token, wanted, password, row):\n    {body}\n"
    )
    tree = read_tree(tmp_path / "src")
    spots = [spot for module in tree.modules for rule in LOCAL for spot in rule(module)]
    found = {(spot.code, spot.message) for spot in spots if not spot.note}
    assert {code for code, _ in found} == wanted, found
