"""What stayed unknown: evidence that a feature is absent, or the lines of configuration that would supply it."""

from __future__ import annotations

from auth_conformance.credentials import Kind
from auth_conformance.discovery.logins import attempts
from auth_conformance.discovery.names import avoided, likeness
from auth_conformance.discovery.registering import register_candidates
from auth_conformance.discovery.signing import token_of
from auth_conformance.model import Need
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auth_conformance.target import Target
    from auth_conformance.discovery.knowledge import Knowledge

REMEDIES = {
    Need.WITNESS: '[witness]\noperation = "GET /me"\nidentity = "/username"',
    Need.BEARER: '[[login]]\noperation = "POST /login"\nencoding = "json"\ntoken = "/access_token"\ncarrier = "header Authorization Bearer"',
    Need.JWT: '[[login]]\noperation = "POST /login"\ntoken = "/access_token"',
    Need.API_KEY: '[accounts.a]\nkey = { env = "A_KEY" }',
    Need.COOKIE: '[[login]]\noperation = "POST /login"\nencoding = "form"\ncookie = "session"\ncarrier = "cookie session"',
    Need.TWO_SCHEMES: '[[login]]  # a second one\noperation = "POST /session"\ncookie = "session"\ncarrier = "cookie session"',
    Need.TWO_USERS: '[accounts.b]\nusername = "bob"\npassword = { env = "B_PASSWORD" }',
    Need.ADMIN: '[accounts.admin]\nusername = "root"\npassword = { env = "ADMIN_PASSWORD" }',
    Need.REGISTER: '[register]\noperation = "POST /register"\nuser_field = "email"\nuser_style = "email"',
    Need.LOGIN: (
        '[accounts.a]\nusername = "alice"\npassword = { env = "A_PASSWORD" }\n\n'
        '[[login]]\noperation = "POST /login"\nencoding = "json"\nuser_field = "username"\npassword_field = "password"'
    ),
    Need.LOGOUT: 'logout = ["POST /logout"]',
    Need.REFRESH: '[refresh]\noperation = "POST /refresh"\nplace = "json"\nfield = "refresh_token"',
    Need.KEY_MANAGEMENT: '[keys]\ncreate = "POST /keys"\nvalue = "/key"\ncarrier = "header X-API-Key"\nrevoke = "DELETE /keys/{id}"',
    Need.OBJECTS: '[objects]\ncreate = "POST /items"\nread = "GET /items/{id}"\ntext_field = "title"\nidentifier = "/id"',
    Need.OPENAPI: 'openapi = "path/or/file/openapi.json"',
    Need.SIGNING_KEY: '[signing]\nkey = { env = "SECRET_KEY" }\nalgorithm = "HS256"',
    Need.PUBLIC_KEY: "# publish the key set at /.well-known/jwks.json",
    Need.CLOCK: 'app = "module:app"  # run in this process instead of by URL: the clock can then be moved',
    Need.DATABASE: 'database = { env = "DATABASE_URL" }',
}


def fill_gaps(known: Knowledge) -> None:
    """Fill in `absent` and `remedies` for everything that is not known."""
    met = met_needs(known.target())
    for need, sentence in _absences(known).items():
        if need not in met or need is Need.JWT:
            known.absent.setdefault(need, sentence)
    for need, lines in REMEDIES.items():
        if need not in known.absent and need not in met:
            known.remedies.setdefault(need, lines)
    for need in met - known.absent.keys():
        known.remedies.pop(need, None)


def met_needs(target: Target) -> set[Need]:
    """The needs that are met: what a run can use without another line of configuration."""
    kinds = {login.carrier.kind for login in target.logins}
    kinds |= {kind for account in target.accounts.values() for kind in account.ready}
    if target.keys is not None:
        kinds.add(Kind.KEY)
    token_is_jwt = Kind.BEARER in kinds and Need.JWT not in target.absent
    found = {
        Need.WITNESS: target.witness,
        Need.BEARER: Kind.BEARER in kinds,
        Need.JWT: token_is_jwt,
        Need.API_KEY: Kind.KEY in kinds,
        Need.COOKIE: Kind.COOKIE in kinds,
        Need.TWO_SCHEMES: len(kinds) > 1,
        Need.TWO_USERS: {"a", "b"} <= target.accounts.keys(),
        Need.ADMIN: "admin" in target.accounts,
        Need.REGISTER: target.register,
        Need.LOGIN: target.logins,
        Need.LOGOUT: target.logouts,
        Need.REFRESH: target.refresh,
        Need.KEY_MANAGEMENT: target.keys,
        Need.OBJECTS: target.objects,
        Need.OPENAPI: target.has_document,
        Need.SIGNING_KEY: target.signing_keys,
        Need.PUBLIC_KEY: target.public_keys,
        Need.CLOCK: target.in_process,
        Need.DATABASE: target.database,
    }
    return {need for need, value in found.items() if value}


def _absences(known: Knowledge) -> dict[Need, str]:
    return {**_absent_credentials(known), **_absent_flows(known)}


def _absent_credentials(known: Knowledge) -> dict[Need, str]:
    token = token_of(known)
    kinds = {login.carrier.kind for login in known.logins} | {key[1] for key in known.credentials}
    declared = {carrier.kind for carrier in known.carriers}
    found: dict[Need, str] = {}
    if kinds and token is None and known.witness is not None:
        seen = "the login issues no JWT" if known.logins else "no JWT was given or issued"
        found |= dict.fromkeys((Need.JWT, Need.SIGNING_KEY, Need.PUBLIC_KEY), f"{seen}.")
    elif token is not None and token.algorithm.startswith("HS") and not known.public_keys:
        found[Need.PUBLIC_KEY] = f"tokens are signed with {token.algorithm}, which has no public key."
    if not known.has_document or not kinds:
        return found
    for need, kind in ((Need.BEARER, Kind.BEARER), (Need.API_KEY, Kind.KEY), (Need.COOKIE, Kind.COOKIE)):
        if kind not in kinds | declared and not (kind is Kind.KEY and known.keys is not None):
            found[need] = f"the document declares no {kind.value} credential, and no login issued one."
    if len(kinds | declared) == 1 and known.keys is None:
        found[Need.TWO_SCHEMES] = (
            f"{next(iter(kinds)).value} is the only kind of credential that was declared or issued."
        )
    return found


def _absent_flows(known: Knowledge) -> dict[Need, str]:
    if not known.has_document and not known.complete:
        return {}
    read = "every route of the application was read" if known.complete else "the document was read completely"
    found: dict[Need, str] = {}

    def named(table: str, least: int = 1) -> bool:
        return any(
            likeness(operation, table) >= least and not avoided(operation, table)
            for operation in known.operations.values()
        )

    if not known.logouts and not named("logout"):
        found[Need.LOGOUT] = f"{read}, and no operation is named like a logout."
    issued_refresh = any(login.refresh for login in known.logins)
    if known.refresh is None and not issued_refresh and not named("refresh"):
        found[Need.REFRESH] = (
            f"{read}: no operation is named like a refresh, and no login issues a refresh token."
        )
    if known.register is None and not register_candidates(known, _rng()):
        found[Need.REGISTER] = f"{read}, and no operation takes a new name and password from strangers."
    if known.keys is None and not named("keys", 3):
        found[Need.KEY_MANAGEMENT] = f"{read}, and no operation is named like API keys."
    if known.objects is None and not _collections(known):
        found[Need.OBJECTS] = f"{read}, and no collection can be added to and read by id."
    if not known.logins and known.credentials and not attempts(known, _rng()):
        found[Need.LOGIN] = f"{read}, and no operation takes a name and a password."
    return found


def _rng() -> object:
    import random  # noqa: PLC0415 - the values are thrown away

    return random.Random(0)


def _collections(known: Knowledge) -> bool:
    readable = {
        operation.path.split("/{")[0] for operation in known.by_method("GET") if "/{" in operation.path
    }
    return any(operation.path.rstrip("/") in readable for operation in known.by_method("POST"))
