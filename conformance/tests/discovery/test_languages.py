"""Services whose names are not English, or mean nothing to the lists: what they do is found, or not called absent."""

import secrets
from typing import Annotated, Any

from discovery_people import Store
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel

from auth_conformance.discovery.names import plain, words
from auth_conformance.model import Need


class Anmeldung(BaseModel):
    benutzerName: str  # noqa: N815 - as services write it
    kennWort: str  # noqa: N815 - as services write it


class Erneuerung(BaseModel):
    erneuerungsToken: str  # noqa: N815 - as services write it


class Auftrag(BaseModel):
    bezeichnung: str


def workshop(*, door: str = "/anmeldung", leave: str = "/abmeldung") -> FastAPI:
    """A service in German: names in camel case, an order named by its number, a refresh token of its own name."""
    app, store = FastAPI(), Store()
    renewals, orders = dict[str, str](), dict[str, tuple[str, str]]()

    def caller(x_auth_token: Annotated[str | None, Header()] = None) -> str:
        name = store.owner(x_auth_token)
        if name is None:
            raise HTTPException(401, "nicht angemeldet")
        return name

    Caller = Annotated[str, Depends(caller)]

    def issue(name: str, token: str) -> dict[str, str]:
        renewal = secrets.token_urlsafe(32)
        renewals[renewal] = name
        return {"zugriffsToken": token, "erneuerungsToken": renewal}

    @app.post(door)
    def enter(body: Anmeldung) -> dict[str, str]:
        return issue(body.benutzerName, store.log_in(body.benutzerName, body.kennWort))

    @app.post(f"{door}/erneuern")
    def renew(body: Erneuerung) -> dict[str, str]:
        name = renewals.pop(body.erneuerungsToken, None)
        if name is None:
            raise HTTPException(401, "verbraucht")
        token = secrets.token_urlsafe(24)
        store.sessions[token] = name
        return issue(name, token)

    @app.post(leave, status_code=204)
    def go(_: Caller, x_auth_token: Annotated[str, Header()] = "") -> None:
        store.sessions.pop(x_auth_token, None)

    @app.get("/benutzer/ich")
    def me(name: Caller) -> dict[str, str]:
        return {"benutzerName": name}

    @app.post("/auftraege", status_code=201)
    def order(body: Auftrag, name: Caller) -> dict[str, str]:
        number = secrets.token_hex(8)
        orders[number] = (name, body.bezeichnung)
        return {"auftragsNummer": number, "bezeichnung": body.bezeichnung}

    @app.get("/auftraege/{nr}")
    def read(nr: str, name: Caller) -> dict[str, str]:
        if nr not in orders or orders[nr][0] != name:
            raise HTTPException(404, "nicht gefunden")
        return {"auftragsNummer": nr, "bezeichnung": orders[nr][1]}

    return app


def test_a_service_in_german_is_understood(learn: Any) -> None:
    target = learn(workshop(), kind="url").target
    assert [item.operation.name for item in target.logins] == ["POST /anmeldung"]
    assert (target.logins[0].carrier.name.lower(), target.logins[0].refresh) == (
        "x-auth-token",
        "/erneuerungsToken",
    )
    assert target.refresh is not None
    assert (target.refresh.token, target.refresh.refresh) == ("/zugriffsToken", "/erneuerungsToken")
    assert [item.operation.name for item in target.logouts] == ["POST /abmeldung"]
    assert target.objects is not None
    assert target.objects.identifier == "/auftragsNummer"


def test_what_no_list_has_a_word_for_is_not_called_absent(learn: Any) -> None:
    # The login is declared, as nobody could guess it; by name nothing else can be found or missed either.
    login = {"operation": "POST /tuer", "user_field": "benutzerName", "password_field": "kennWort"}
    target = learn(workshop(door="/tuer", leave="/wech"), kind="url", login=[login]).target
    assert not {Need.LOGOUT, Need.PASSWORD_CHANGE, Need.SESSION_LIST, Need.RESET} & set(target.absent)
    assert 'logout = ["POST /wech"]' in target.remedies[Need.LOGOUT]


def test_an_operation_that_might_be_the_logout_is_proposed(learn: Any) -> None:
    target = learn(workshop(leave="/wech"), kind="url").target
    assert Need.LOGOUT not in target.absent
    assert Need.SESSION_LIST in target.absent
    assert 'logout = ["POST /wech"]' in target.remedies[Need.LOGOUT]


def test_words_have_accents() -> None:
    assert "löschen" in words("/aufträge/löschen")
    assert plain("neuesPaßwort") == "neues_paßwort"
