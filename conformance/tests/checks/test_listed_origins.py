"""Which origins an application in this process lists is read from its CORS middleware."""

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from auth_conformance.discovery.guards import origins_of
from auth_conformance.model import Failed, Inconclusive, Passed

PAGES = "https://pages.example"


def open_to(*origins: str) -> FastAPI:
    app = FastAPI()
    front_desk(app)
    app.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_credentials=True)
    return app


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ((PAGES, "http://localhost:3000"), (PAGES, "http://localhost:3000")),
        (("*",), ()),
        (("null", PAGES), (PAGES,)),
    ],
)
def test_a_list_is_read_and_everybody_is_no_list(told: tuple[str, ...], read: tuple[str, ...]) -> None:
    assert origins_of(open_to(*told)) == read


def test_no_middleware_lists_nobody() -> None:
    assert origins_of(FastAPI()) == ()


def test_what_the_code_lists_need_not_be_declared() -> None:
    result = judged_as_found("WEB101", open_to(PAGES))
    assert isinstance(result.verdict, Passed), said(result)
    assert f"{PAGES} works" in result.verdict.reason


def test_a_pattern_that_nobody_told_us_proves_nothing() -> None:
    app = FastAPI()
    front_desk(app)
    app.add_middleware(CORSMiddleware, allow_origin_regex="https://pages[.]example", allow_credentials=True)
    result = judged_as_found("WEB101", app)
    assert isinstance(result.verdict, Inconclusive), said(result)
    assert "origins = " in result.verdict.remedy


@pytest.mark.parametrize("code", ["WEB101", "WEB103"])
def test_an_origin_that_the_document_names_is_tried_where_none_is_declared(code: str) -> None:
    app = FastAPI(contact={"url": f"{PAGES}/about"})
    front_desk(app)
    app.add_middleware(CORSMiddleware, allow_origin_regex="https://pages[.]example", allow_credentials=True)
    result = judged_as_found(code, app)
    assert isinstance(result.verdict, Passed), said(result)


def test_everybody_is_let_read_and_nobody_is_listed_by_it() -> None:
    app = FastAPI(contact={"url": f"{PAGES}/about"})
    front_desk(app)
    app.add_middleware(CORSMiddleware, allow_origin_regex=".*", allow_credentials=True)
    result = judged_as_found("WEB101", app)
    assert isinstance(result.verdict, Failed), said(result)


def test_what_is_listed_beside_no_origin_is_still_accused() -> None:
    result = judged_as_found("WEB101", open_to(PAGES, "null"))
    assert isinstance(result.verdict, Failed), said(result)
