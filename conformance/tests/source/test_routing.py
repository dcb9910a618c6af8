"""Guards of routes, read from files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from auth_conformance.source.routing import guarding_middleware, routes
from auth_conformance.source.tree import read_tree

if TYPE_CHECKING:
    from pathlib import Path

GUARD = """
from typing import Annotated
from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer
scheme = OAuth2PasswordBearer("token")
def current_user(token: Annotated[str, Depends(scheme)]) -> str: return token
def paging(limit: int = 10) -> int: return limit
User = Annotated[str, Depends(current_user)]
"""
HEAD = """
from fastapi import APIRouter, Depends, FastAPI, Security
from deps import User, current_user, paging
import foreign
"""


def guards(folder: Path, **files: str) -> dict[str, bool | None]:
    (folder / "deps.py").write_text(GUARD)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(HEAD + text)
    return {item.name: item.guarded for item in routes(read_tree(folder))}


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("r = APIRouter()\n@r.get('/x')\ndef x(user: User): ...", True),
        ("r = APIRouter()\n@r.get('/x')\ndef x(user=Depends(current_user)): ...", True),
        ("r = APIRouter()\n@r.get('/x')\ndef x(user=Security(current_user, scopes=['a'])): ...", True),
        ("r = APIRouter()\n@r.get('/x', dependencies=[Depends(current_user)])\ndef x(): ...", True),
        ("r = APIRouter(dependencies=[Depends(current_user)])\n@r.get('/x')\ndef x(): ...", True),
        (
            "COMMON = [Depends(current_user)]\nr = APIRouter(dependencies=COMMON)\n@r.get('/x')\ndef x(): ...",
            True,
        ),
        ("r = APIRouter()\n@r.get('/x')\ndef x(limit=Depends(paging)): ...", False),
        ("r = APIRouter()\n@r.get('/x')\ndef x(limit: int = 3): ...", False),
        ("r = APIRouter()\n@r.get('/x')\ndef x(user=Depends(foreign.user)): ...", None),
        (
            "app = FastAPI(dependencies=[Depends(current_user)])\nr = APIRouter()\n@r.get('/x')\ndef x(): ...",
            True,
        ),
    ],
)
def test_what_guards_a_route(text: str, guarded: bool | None, tmp_path: Path) -> None:
    assert guards(tmp_path, app=text) == {"GET /x": guarded}


def test_a_router_that_is_guarded_where_it_is_included(tmp_path: Path) -> None:
    found = guards(
        tmp_path,
        notes="router = APIRouter(prefix='/notes')\n@router.get('')\ndef all(): ...",
        open="router = APIRouter(prefix='/open')\n@router.get('')\ndef all(): ...",
        main="import notes\nimport open\napp = FastAPI()\n"
        "app.include_router(notes.router, dependencies=[Depends(current_user)])\napp.include_router(open.router)\n",
    )
    assert found == {"GET /notes": True, "GET /open": False}


def test_a_middleware_that_reads_credentials_is_seen(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "class Auth:\n    async def dispatch(self, request, call_next):\n"
        "        return check(request.headers['authorization'])\n"
    )
    assert guarding_middleware(read_tree(tmp_path))
    (tmp_path / "app.py").write_text("def handler(request):\n    return request.headers['authorization']\n")
    assert not guarding_middleware(read_tree(tmp_path))
