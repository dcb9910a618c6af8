"""Services whose names are not English, or mean nothing to the lists: what they do is found, or not called absent."""

import secrets
from typing import Annotated, Any

import pytest
from discovery_people import Store, bearer_of, let_in
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Response
from pydantic import BaseModel, Field, create_model

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


class Credenciales(BaseModel):
    usuario: str
    contrasena: str


class Contrasenas(BaseModel):
    contrasena_actual: str
    contrasena_nueva: str


class Persona(BaseModel):
    usuario: str
    centro: str
    alta: str


class Una(BaseModel):
    datos: Persona


class Varias(BaseModel):
    datos: list[Persona]


class Ficha(BaseModel):
    nombre: str = Field(max_length=120, pattern=r"^[^\x00-\x1f]*$")


def clinic() -> FastAPI:
    """A service in Spanish: a renewal cookie that its declaration tells, records read beside what they stand in."""
    app, store = FastAPI(), Store()
    renewals, records = dict[str, str](), dict[str, tuple[str, str]]()
    Caller = Annotated[str, bearer_of(store)]

    def issue(answer: Response, name: str, token: str) -> dict[str, Any]:
        renewal = secrets.token_urlsafe(32)
        renewals[renewal] = name
        answer.set_cookie("galleta", renewal, path="/sesion", secure=True, httponly=True)
        return {"datos": {"acceso": {"ficha": token}}}

    @app.post("/sesion")
    def enter(body: Credenciales, answer: Response) -> dict[str, Any]:
        return issue(answer, body.usuario, store.log_in(body.usuario, body.contrasena))

    @app.post("/sesion/renovar")
    def renew(answer: Response, galleta: Annotated[str, Cookie()] = "") -> dict[str, Any]:
        name = renewals.pop(galleta, None)
        if name is None:
            raise HTTPException(401, "gastada")
        token = secrets.token_urlsafe(24)
        store.sessions[token] = name
        return issue(answer, name, token)

    @app.get("/usuarios/yo")
    def me(name: Caller) -> Una:
        return Una(datos=Persona(usuario=name, centro="norte", alta="ayer"))

    @app.get("/sesiones")
    def sessions(name: Caller) -> list[dict[str, str]]:
        return [
            {"id": f"{token[:4]}-{token[-4:]}"} for token, whose in store.sessions.items() if whose == name
        ]

    @app.put("/usuarios/yo/contrasena")
    def change(body: Contrasenas, name: Caller) -> None:
        raise HTTPException(403, "hoy no")

    @app.get("/personal")
    def staff(name: Caller) -> Varias:
        raise HTTPException(403, "no")

    @app.delete("/personal/{quien}")
    def dismiss(quien: str, name: Caller) -> None:
        raise HTTPException(403, "no")

    @app.post("/centros", status_code=201)
    def found(body: Ficha, name: Caller) -> dict[str, str]:
        return {"id": f"centro-{name}-{body.nombre}"}

    @app.post("/centros/{centro}/fichas", status_code=201)
    def record(centro: str, body: Ficha, name: Caller) -> dict[str, str]:
        number = secrets.token_hex(8)
        records[number] = (name, body.nombre)
        return {"id": number}

    @app.get("/fichas/{numero}")
    def read(numero: str, name: Caller) -> dict[str, str]:
        if records.get(numero, ("",))[0] != name:
            raise HTTPException(404, "no")
        return {"nombre": records[numero][1]}

    return app


def test_a_service_in_spanish_is_understood(learn: Any) -> None:
    """Mounted in another application, whose document leaves it out."""
    portal = FastAPI()
    portal.mount("/api/v3", clinic())
    portal.get("/salud")(lambda: {"estado": "bien"})
    target = learn(portal, kind="url").target
    assert [item.operation.name for item in target.logins] == ["POST /api/v3/sesion"]
    assert "GET /salud" in {item.name for item in target.operations}
    assert (target.refresh.place, target.refresh.field) == ("cookie", "galleta")
    assert (target.second.operation.path, target.second.identity) == ("/api/v3/sesiones", ""), (
        "its login is nobody"
    )
    change = target.password_change
    assert (change.current, change.new) == ("contrasena_actual", "contrasena_nueva")
    assert target.users.delete.operation.name == "DELETE /api/v3/personal/{quien}"
    assert (target.objects.create.name, target.objects.read.name) == (
        "POST /api/v3/centros/{centro}/fichas",
        "GET /api/v3/fichas/{numero}",
    )


@pytest.mark.parametrize(
    ("path", "present", "replacement"),
    [
        ("/me/passphrase", "present", "replacement"),
        ("/v2/me/credentials", "mot_de_passe_actuel", "nouveau_mot_de_passe"),
    ],
)
def test_a_password_is_changed_by_words_of_before_and_after(
    learn: Any, path: str, present: str, replacement: str
) -> None:
    app, store = FastAPI(), Store()
    caller = bearer_of(store)
    let_in(app, store, caller)
    Change = create_model("Change", **{present: (str, ...), replacement: (str, ...)})

    @app.put(path)
    def change(body: Change, name: Annotated[str, caller]) -> None:
        raise HTTPException(403, "not today")

    for method in ("PUT", "DELETE"):

        @app.api_route("/users/{name}/suspension", methods=[method], operation_id=f"{method}_suspension")
        def suspend(name: str, who: Annotated[str, caller]) -> None:
            raise HTTPException(403, "not you")

    target = learn(app).target
    assert (target.password_change.current, target.password_change.new) == (present, replacement)
    assert target.users.disable.operation.name == "PUT /users/{name}/suspension"
    assert target.users.enable.operation.name == "DELETE /users/{name}/suspension"


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


def test_an_operation_that_might_be_the_logout_is_proposed_and_none_that_empties_a_collection(
    learn: Any,
) -> None:
    app = workshop(leave="/wech")

    @app.delete("/auftraege")
    def clear(x_auth_token: Annotated[str, Header()]) -> None:
        raise HTTPException(403, "not today")

    @app.post("/auftraege/einlesen")
    def load(x_auth_token: Annotated[str, Header()]) -> None:
        raise HTTPException(403, "not today")

    target = learn(app, kind="url").target
    assert Need.LOGOUT not in target.absent
    assert Need.SESSION_LIST in target.absent
    assert 'logout = ["POST /wech"]' in target.remedies[Need.LOGOUT]


def test_words_have_accents() -> None:
    assert "löschen" in words("/aufträge/löschen")
    assert plain("neuesPaßwort") == "neues_paßwort"
