"""LIF101 where an operation is only named like a logout, and refuses: the line says which one it is."""

from checks.desk import front_desk
from checks.judging import judged_as_found, said
from fastapi import FastAPI, HTTPException


def test_what_only_sounds_like_a_logout_asks_for_the_real_one() -> None:
    app = FastAPI()
    front_desk(app)

    @app.post("/logout")
    def leave() -> None:
        raise HTTPException(400, "refresh is missing")

    result = judged_as_found("LIF101", app)
    assert result.name == "inconclusive", said(result)
    assert getattr(result.verdict, "remedy", "").startswith("logout = ["), said(result)
