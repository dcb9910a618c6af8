"""AUZ110 where an answer holds a signed link: it opens its own object, for as long as it says."""

import hashlib
import hmac
import secrets
import time
from typing import Annotated

import pytest
from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel

KEY = secrets.token_bytes(32)


class Paper(BaseModel):
    name: str
    content: str = ""


def archive(flaw: str = "", *, by_read: bool = False) -> FastAPI:
    """A link is made by asking for one, or stands in what the owner reads; the flaw is in what is signed."""
    app = FastAPI()
    papers = dict[str, tuple[str, Paper]]()
    Caller = Annotated[str, Depends(front_desk(app))]

    def signature(paper: str, expires: int) -> str:
        said = {"unbound": f"{expires}", "endless": paper}.get(flaw, f"{paper}:{expires}")
        return hmac.new(KEY, said.encode(), hashlib.sha256).hexdigest()

    def link_to(paper: str) -> str:
        expires = int(time.time()) + 300
        if flaw == "dated":
            return f"/dl/{paper}?at={int(time.time())}&sig={signature(paper, 0)}"
        return f"/dl/{paper}?expires={expires}&sig={signature(paper, expires)}"

    def mine(paper: str, name: str) -> Paper:
        owner, found = papers.get(paper, ("", None))
        if found is None or owner != name:
            raise HTTPException(404, "no paper")
        return found

    def shown(paper: str) -> dict[str, str]:
        told = {"id": paper, **papers[paper][1].model_dump()}
        return {**told, "download_url": link_to(paper)} if by_read else told

    @app.post("/papers", status_code=201)
    def write(body: Paper, name: Caller) -> dict[str, str]:
        papers[paper := secrets.token_hex(8)] = name, body
        return shown(paper)

    if flaw == "public":

        @app.get("/papers/{paper}")
        def read_by_all(paper: str) -> dict[str, str]:
            if paper not in papers:
                raise HTTPException(404, "no paper")
            return shown(paper)

    @app.get("/papers/{paper}")
    def read(paper: str, name: Caller) -> dict[str, str]:
        mine(paper, name)
        return shown(paper)

    @app.delete("/papers/{paper}", status_code=204)
    def delete(paper: str, name: Caller) -> None:
        mine(paper, name)
        del papers[paper]

    if not by_read:

        @app.post("/papers/{paper}/link", status_code=201)
        def link(paper: str, name: Caller) -> dict[str, str]:
            mine(paper, name)
            return {"url": link_to(paper)}

    @app.get("/dl/{paper}")
    def download(paper: str, expires: int = 0, sig: str | None = None) -> str:
        wanted = signature(paper, expires)
        given, wanted = (sig[:16], wanted[:16]) if sig and flaw == "half" else (sig, wanted)
        let_in = (
            (sig is None and flaw == "optional")
            or flaw == "public"
            or (
                given is not None
                and hmac.compare_digest(given, wanted)
                and (expires > time.time() or flaw == "dated")
            )
        )
        if not let_in or paper not in papers:
            raise HTTPException(403, "no")
        return papers[paper][1].content

    return app


@pytest.mark.parametrize("by_read", [True, False])
@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ("", "showed and changed only the caller's own"),
        ("unbound", "signs links that open another object as well"),
        ("optional", "gives links that open their object without its signature"),
        ("half", "gives links that open their object with half of its signature"),
        ("endless", "signs links without their end"),
    ],
)
def test_a_signed_link_opens_its_own_object_until_its_end(flaw: str, words: str, *, by_read: bool) -> None:
    """The signature of one file opened every other, and nothing looked at links."""
    result = judged_as_found("AUZ110", archive(flaw, by_read=by_read))
    assert result.name == ("failed" if flaw else "passed"), said(result)
    assert words in result.verdict.reason, said(result)
    assert flaw or "opened their own object only" in said(result), said(result)


def test_when_a_link_was_made_is_no_end_of_it() -> None:
    """A time of the past, which nobody signs, was told as an end that anybody writes."""
    result = judged_as_found("AUZ110", archive("dated"))
    assert result.name == "passed", said(result)


def test_where_nobody_needs_a_link_what_one_opens_is_no_finding() -> None:
    result = judged_as_found("AUZ110", archive("public", by_read=True))
    assert "links" not in result.verdict.reason, said(result)
    assert result.name != "failed", said(result)
