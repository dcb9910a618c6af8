"""What stayed unknown: evidence that a feature is absent, or the configuration that would supply it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.discovery.belongings import left_alone, plain_name
from auth_conformance.discovery.doors import named_reading
from auth_conformance.discovery.endings import wordless
from auth_conformance.discovery.lifecycle import is_logout
from auth_conformance.discovery.logins import attempts
from auth_conformance.discovery.management import account_operations, changes_by_body, session_listings
from auth_conformance.discovery.names import IN_PATH, avoided, likeness, mentions, names, plain, rank
from auth_conformance.discovery.registering import register_candidates
from auth_conformance.discovery.schemas import fields
from auth_conformance.discovery.signing import token_of
from auth_conformance.model import Need, Provenance
from auth_conformance.target import OF_ACCOUNTS

if TYPE_CHECKING:
    from auth_conformance.credentials import Jwt
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Operation

_LINES = """
witness
[witness]
operation = "GET /me"  # one that names its caller

bearer
[[login]]
operation = "POST /login"
encoding = "json"
token = "/access_token"
carrier = "header Authorization Bearer"

jwt
[[login]]
operation = "POST /login"
token = "/access_token"

token
[[login]]
operation = "POST /login"
token = "/access_token"

api-key
[accounts.a]
key = { env = "A_KEY" }

cookie
[[login]]
operation = "POST /login"
encoding = "form"
cookie = "session"
carrier = "cookie session"

two-schemes
[[login]]  # a second one
operation = "POST /session"
cookie = "session"
carrier = "cookie session"

two-users
[accounts.b]
username = "bob"
password = { env = "B_PASSWORD" }

admin
[accounts.admin]
username = "root"
password = { env = "ADMIN_PASSWORD" }
role = "admin"

register
[register]
operation = "POST /register"
user_field = "email"
password_field = "password"
user_style = "email"

login
[accounts.a]
username = "alice"
password = { env = "A_PASSWORD" }
[[login]]
operation = "POST /login"
encoding = "json"
user_field = "username"
password_field = "password"
# Of programs: encoding = "form" (or "basic"), user_field = "client_id", password_field = "client_secret", and
# extra = { grant_type = "client_credentials" }

expendable-account
[accounts.victim]
username = "victim"
password = { env = "VICTIM_PASSWORD" }
role = "expendable"

logout
logout = ["POST /logout"]

refresh
[refresh]
operation = "POST /refresh"
place = "json"
field = "refresh_token"

key-mgmt
[keys]
create = "POST /keys"
value = "/key"
carrier = "header X-API-Key"
revoke = "DELETE /keys/{id}"

objects
[objects]
create = "POST /items"
read = "GET /items/{id}"
text_field = "title"
identifier = "/id"

openapi
openapi = "path/or/file/openapi.json"

signing-key
[signing]
key = { env = "SECRET_KEY" }
algorithm = "HS256"

public-key
key_set = "jwks.json"  # the key set (jwks_uri) of who issues the tokens, saved as a file

clock
app = "module:app"  # if it is ASGI (Python): run in this process instead of by URL, the clock can then be moved

source
source = "path/to/the/package"  # the folder with the code of the service

db
database = { env = "DATABASE_URL" }

user-mgmt
[users.disable]
operation = "PATCH /admin/users/{id}"
body = { is_active = false }
[users.enable]
operation = "PATCH /admin/users/{id}"
body = { is_active = true }
[users.delete]
operation = "DELETE /admin/users/{id}"

session-list
[sessions]
listing = "GET /sessions"
identifier = "id"
end = "DELETE /sessions/{id}"

pw-change
[password_change]
operation = "POST /password/change"
current = "current_password"
new = "new_password"

reset
[reset.ask]
operation = "POST /password/forgot"
user = "email"
[reset.confirm]
operation = "POST /password/reset"
token = "token"
password = "new_password"

verify
[verification.confirm]
operation = "POST /verify"
token = "token"

mailbox
[mailbox]  # one of the four
app = "module:callable"  # called with an address, returns the last message to it
command = "print-last-mail {recipient}"
url = "http://localhost:8025/last?to={recipient}"
folder = "path/to/mails"

listener
[listener]
bind = "0.0.0.0:8099"
url = "http://this-machine.example:8099"  # as the target reaches it
reachable = true  # once you have tried that from the target's machine

restart
restart = "module:app"  # what a second process starts, on the same database; or: replica = "https://second.example.com"

websocket
[[websockets]]
path = "/ws"
message = "a text that it answers"

in-process
app = "module:app"  # if it is ASGI (Python): run in this process, faults can then be put into its parts

logs
log_file = "path/to/service.log"  # or, if it is ASGI (Python), app = "module:app": its loggers are then read
"""

# What most people lack at first.
ACCOUNTS = """[accounts.a]
username = "alice"
password = { env = "A_PASSWORD" }
[accounts.b]
username = "bob"
password = { env = "B_PASSWORD" }
"""
_NO_LOGIN = "no operation of the document and no usual place lets account a in: [[login]] says how people do"
ADMIN_ALONE = (
    "only [accounts.admin] is given, which is compared with ordinary people: give one of those as [accounts.a], or "
    "the administrator under that name where there is nobody else"
)
# Nobody logs in where each request carries the password.
_BESIDE_BASIC = (
    "[[login]]  # only where people can log in besides: HTTP Basic carries the password in each request"
)
# The lines of configuration that supply each need, with names to be replaced.
REMEDIES: dict[Need, str] = {
    Need(entry.partition("\n")[0]): entry.partition("\n")[2] for entry in _LINES.strip().split("\n\n")
}


def by_token(lines: str) -> str:
    """The lines of an account where nobody logs in: its token in the place of a name and a password."""
    kept = [line for line in lines.splitlines() if not line.startswith("username")]
    return "\n".join(kept).replace("password", "token").replace("_PASSWORD", "_TOKEN")


def signing_lines(token: Jwt) -> str:
    """The lines that name the key behind such a token: with a public half it is the private one, in PEM."""
    asymmetric = not token.algorithm.startswith("HS")
    variable = "JWT_PRIVATE_KEY" if asymmetric else "SECRET_KEY"
    told = "  # the private key in PEM" if asymmetric else ""
    return f'[signing]\nkey = {{ env = "{variable}" }}{told}\nalgorithm = "{token.algorithm}"'


def fill_gaps(known: Knowledge) -> None:
    """Fill in `absent` and `remedies` for everything that is not known."""
    # Objects without a text are some, and no others are known: what would name these still helps.
    met = known.target().met_needs() - ({Need.OBJECTS} if known.objects is None else set())
    for need, sentence in _absences(known).items():
        if need not in met or need is Need.JWT:
            known.absent.setdefault(need, sentence)
    lines_of = {**REMEDIES, **_named_remedies(known)}
    if _nobody_gets_in(known):
        told = _NO_LOGIN if "a" in known.accounts else ADMIN_ALONE
        known.say("login", "none found", Provenance.OBSERVED, told)
        lines_of[Need.LOGIN] = lines_of[Need.LOGIN][lines_of[Need.LOGIN].index("[[login]]") :]
    if not known.logins and any(kind is Kind.BASIC for _, kind in known.credentials):
        lines_of[Need.LOGIN] = _BESIDE_BASIC + REMEDIES[Need.LOGIN].partition("[[login]]")[2]
    if known.target().nobody_known:
        lines_of |= dict.fromkeys(OF_ACCOUNTS, ACCOUNTS)
    if Need.LOGIN in known.absent:
        lines_of |= {need: by_token(lines_of[need]) for need in (Need.ADMIN, Need.TWO_USERS)}
    for need, lines in lines_of.items():
        if need not in known.absent and need not in met:
            known.remedies.setdefault(need, lines)
    for need in met - known.absent.keys():
        known.remedies.pop(need, None)


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
    if Need.BEARER in found and Need.JWT in found:
        found[Need.TOKEN] = "no bearer token is declared or issued, and the session cookie is no JWT."
    if known.key_witness is not None and len(known.target().shared_kinds()) == 1:
        found[Need.TWO_SCHEMES] = (
            "keys open other operations than logins do, or less: none that names its caller takes both."
        )
    if len(kinds | declared) == 1 and known.keys is None:
        found[Need.TWO_SCHEMES] = (
            f"{next(iter(kinds)).value} is the only kind of credential that was declared or issued."
        )
    return found


def _absent_flows(known: Knowledge) -> dict[Need, str]:
    if (not known.has_document and not known.complete) or not _understood(known) or _partial(known):
        return {}
    read = "every route of the application was read" if known.complete else "the document was read completely"
    found: dict[Need, str] = {}

    def named(table: str, least: int = 1) -> bool:
        return any(
            likeness(operation, table) >= least and not avoided(operation, table)
            for operation in known.operations.values()
        )

    # Providers end sessions beside the document (OpenID RP-Initiated Logout §2.1, RFC 7009).
    elsewhere = any(known.provider.get(name) for name in ("end_session_endpoint", "revocation_endpoint"))
    logout = elsewhere or named("logout") or any(map(is_logout, known.operations.values()))
    if not known.logouts and not logout and not wordless(known):
        found[Need.LOGOUT] = f"{read}, and no operation is named like a logout."
    issued_refresh = any(login.refresh for login in known.logins)
    if known.refresh is None and not issued_refresh and not named("refresh"):
        found[Need.REFRESH] = (
            f"{read}: no operation is named like a refresh, and no login issues a refresh token."
        )
    if known.register is None and not register_candidates(known, random.Random(0)):
        found[Need.REGISTER] = f"{read}, and no operation takes a new name and password from strangers."
    if known.keys is None and not named("keys", IN_PATH):
        found[Need.KEY_MANAGEMENT] = f"{read}, and no operation is named like API keys."
    if known.objects is None and not _collections(known) and _named_in_body(known) is None:
        found[Need.OBJECTS] = f"{read}, and no collection can be added to and read by id."
    if not known.logins and known.credentials and not attempts(known, random.Random(0)):
        found[Need.LOGIN] = f"{read}, and no operation takes a name and a password."
    return found | _absent_management(known, read)


def _partial(known: Knowledge) -> bool:
    """Whether the document is that of a part: people log in by what it does not list, or GraphQL keeps its schema."""
    if known.graphql is not None and not known.graphql.told:
        return True
    if known.complete:
        return False
    if _nobody_gets_in(known):
        return True
    listed = {item.name for item in known.operations.values() if item.provenance is Provenance.OPENAPI}
    return any(
        item.operation.name not in listed
        and (
            item.operation.provenance in (Provenance.GUESSED, Provenance.DECLARED)
            or (item.encoding == "form" and item.cookie is not None)
        )
        for item in known.logins
    )


# A name, a password, a code, and whether to stay logged in.
_LOGIN_MEMBERS = 4
# What names and passwords may be declared as; other formats are of dates, ids and addresses.
_TYPED = frozenset(("password", "email"))


def _nobody_gets_in(known: Knowledge) -> bool:
    """Whether people have passwords, and log in by what was not found."""
    there = any(item.password is not None for item in known.accounts.values())
    return there and not known.logins and not known.credentials


def _understood(known: Knowledge) -> bool:
    """Whether the lists of names speak the language of this service: they know what it calls its logins.

    Where they do not, a name that is not found shows nothing: the operation may well be there.
    """
    return not known.logins or any(likeness(login.operation, "login") for login in known.logins)


def _named_remedies(known: Knowledge) -> dict[Need, str]:
    """Lines with the operations of this service in them, where some have the shape that is looked for."""
    found: dict[Need, str] = {}
    token = token_of(known)
    # It goes into a line of configuration: only what may be the name of an algorithm.
    if token is not None and token.algorithm.isascii() and token.algorithm.isalnum():
        found[Need.SIGNING_KEY] = signing_lines(token)
    endings = wordless(known)
    if endings and known.logins:
        choice = ", ".join(f'"{operation.name}"' for operation in endings[:3])
        found[Need.LOGOUT] = f"logout = [{choice}]  # if people log out with one of them\n"
    alone = left_alone(known) if known.objects is None else None
    if alone is not None:
        found[Need.OBJECTS] = (
            "[objects]  # not tried unasked, because of its name; allow_disruptive = true would try it\n"
            f'create = "{alone.create.name}"\n'
            f'read = "{alone.read.name}"\ntext_field = "{plain_name(alone.text.pointer)}"\nidentifier = "/id"\n'
        )
    procedure = _named_in_body(known)
    if known.objects is None and alone is None and procedure is not None:
        named = next(
            item.name for schema in procedure.bodies.values() for item in fields(schema) if item.required
        )
        found[Need.OBJECTS] = (
            f'[objects]\ncreate = "POST /what/makes/one"\nread = "{procedure.name}"\n'
            f'id_member = "{named}"\ntext_field = "title"\nidentifier = "/id"\n'
        )
    for operation in known.by_method("POST", "PUT"):
        needed = [
            item
            for schema in operation.bodies.values()
            for item in fields(schema)
            if item.required and item.schema.get("type", "string") == "string"
        ]
        if operation.protected or "{" in operation.path or len(needed) != 2 or known.logins:
            continue
        dated = any(item.schema.get("format", "password") not in _TYPED for item in needed)
        most = max(len(fields(schema)) for schema in operation.bodies.values())
        if dated or most > _LOGIN_MEMBERS:
            continue  # the ends of a period, or a thing with many sides: nobody logs in with those
        media = next(iter(operation.bodies))
        encoding = "json" if media.endswith("json") else "form"
        found[Need.LOGIN] = (
            f'[[login]]\noperation = "{operation.name}"  # if this is how people log in\n'
            f'encoding = "{encoding}"\nuser_field = "{needed[0].name}"\npassword_field = "{needed[1].name}"\n'
        )
        break
    return found


def _absent_management(known: Knowledge, read: str) -> dict[Need, str]:
    found: dict[Need, str] = {}
    if known.users is None and not account_operations(known) and not changes_by_body(known):
        found[Need.USER_MANAGEMENT] = f"{read}, and no operation changes or deletes another account."
    if known.sessions is None and not session_listings(known) and not _listed_by_post(known):
        found[Need.SESSION_LIST] = f"{read}, and no operation is named like a list of logins."
    operations = known.operations.values()
    if known.password_change is None and not any(
        mentions(item.path, names("recovery", "passwords")) for item in operations
    ):
        found[Need.PASSWORD_CHANGE] = f"{read}, and no operation is named like a change of passwords."
    if known.recovery is None and not any(likeness(item, "recovery") for item in operations):
        found[Need.RESET] = f"{read}, and no operation is named like a password reset."
    if known.verification is None and not any(
        likeness(item, "verification") >= IN_PATH for item in operations
    ):
        found[Need.VERIFY] = f"{read}, and no operation is named like a verification of addresses."
    if known.complete and not known.websockets:
        found[Need.WEBSOCKET] = "every route of the application was read, and none speaks WebSocket."
    return found


def _listed_by_post(known: Knowledge) -> bool:
    """Whether a procedure is named like a list of logins: `POST /rpc/auth.sessions`."""
    lasts = [
        item.path.rstrip("/").rsplit("/", 1)[-1]
        for item in known.by_method("POST")
        if "{" not in item.path and not item.bodies and item.protected
    ]
    return any(mentions(last.replace(".", " "), names("sessions")) for last in lasts)


def _named_in_body(known: Knowledge) -> Operation | None:
    """A procedure that reads one thing, which its body names: there are objects, and no path leads to them."""
    for operation in known.by_method("POST"):
        needed = [item for schema in operation.bodies.values() for item in fields(schema) if item.required]
        named = [
            item
            for item in needed
            if rank(item.name, names("objects", "identifier")) is not None or plain(item.name).endswith("_id")
        ]
        if named and len(needed) == 1 and named_reading(operation):
            return operation
    return None


def _collections(known: Knowledge) -> bool:
    readable = {
        operation.path.rpartition("/{")[0] for operation in known.by_method("GET") if "/{" in operation.path
    }
    return any(operation.path.rstrip("/") in readable for operation in known.by_method("POST"))
