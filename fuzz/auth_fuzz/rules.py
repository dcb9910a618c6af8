"""What fuzzing can find, as rules: the same type as every check's, codes `FUZ`, read by the same reports."""

from __future__ import annotations

from auth_conformance.model import Depth, Impact, Need, Rule, Severity
from auth_conformance.references import API, ASVS, CWE, RFC, Reference

_COMMON_HOW = (
    "The search sends requests that it makes up, between requests with a live and with a meaningless "
    "credential; what gets in is sent again on a fresh connection, and only two of two count."
)


def _rule(
    code: str,
    name: str,
    title: str,
    severity: Severity,
    *,
    requirement: str,
    why: str,
    fix: str,
    references: tuple[Reference, ...],
    how: str = _COMMON_HOW,
    level: int = 1,
    needs: tuple[Need, ...] = (Need.WITNESS,),
    impact: Impact = Impact.WRITES,
) -> Rule:
    return Rule(
        code=code,
        name=name,
        title=title,
        severity=severity,
        level=level,
        depth=Depth.BLACK,
        impact=impact,
        needs=needs,
        references=references,
        budget=30_000,
        requirement=requirement,
        why=why,
        how=how,
        fix=fix,
        exclusive=True,
    )


REACH = _rule(
    "FUZ100",
    "operation-never-reached",
    "Operation never reached by generated requests",
    Severity.INFO,
    requirement="Every documented operation must be reached by generated requests, or its fuzzing proves nothing.",
    why="A request that fails its validation never meets the code whose authentication is in question.",
    how="For each operation, the generated requests that got past validation are counted.",
    fix="Give the parameters examples in the OpenAPI document, or declare objects and accounts that make them valid.",
    references=(API(9),),
)
STRANGER = _rule(
    "FUZ101",
    "stranger-served",
    "Operation serves callers without a valid credential",
    Severity.CRITICAL,
    requirement="An operation that needs a credential must refuse every caller who has none, whatever else is sent.",
    why="One forgotten dependency, deep in a router, opens an operation that all others around it protect.",
    fix="Declare the dependency on the router: `APIRouter(dependencies=[Depends(get_current_user)])`.",
    references=(ASVS("8.3.1"), API(2), CWE(306)),
    impact=Impact.WRITES,
)
FORGED = _rule(
    "FUZ102",
    "forged-credential-served",
    "Operation serves a forged or damaged credential",
    Severity.CRITICAL,
    requirement=(
        "Every operation must refuse forged, damaged and ended credentials, not only the one that is tested most."
    ),
    why=(
        "An operation that parses the credential by itself can accept what the shared dependency refuses: a forged "
        "token, a key that was revoked, a refresh token."
    ),
    fix="Let every operation use the one dependency that verifies credentials; parse them nowhere else.",
    references=(ASVS("9.1.1"), API(2), CWE(347)),
)
FOREIGN_READ = _rule(
    "FUZ103",
    "foreign-data-shown",
    "Operation shows another user's data",
    Severity.HIGH,
    requirement="An operation must show a user's objects to their owner only, unless they are shared by design.",
    why="Whoever changes an id in the address reads what belongs to somebody else.",
    how="What one user made and the other's own list hides is asked for by its id, as the other user.",
    fix="Put the owner into the query: `select(Note).where(Note.id == note_id, Note.owner_id == user.id)`.",
    needs=(Need.WITNESS, Need.TWO_USERS, Need.OBJECTS),
    references=(ASVS("8.2.2"), API(1), CWE(639)),
)
FOREIGN_WRITE = _rule(
    "FUZ104",
    "foreign-data-changed",
    "Operation changes another user's data",
    Severity.HIGH,
    requirement="An operation must change a user's objects for their owner only.",
    why="A change by somebody else is done even where the answer says no: only the owner's own view tells.",
    how=(
        "The owner looks before and after another user's request; what differs was changed. Each attack gets "
        "its own object."
    ),
    fix="Look the object up by id and owner before changing it, and answer 404 when there is none.",
    needs=(Need.WITNESS, Need.TWO_USERS, Need.OBJECTS),
    references=(ASVS("8.2.2"), API(1), CWE(639)),
)
CRASH = _rule(
    "FUZ105",
    "crash-on-credential",
    "Operation crashes on a malformed credential",
    Severity.MEDIUM,
    requirement="A malformed credential must be refused in an orderly way by every operation.",
    why="A crash while a credential is read shows that unchecked input got further than it should.",
    fix="Catch what parsing can raise (`ValueError`, `TypeError`, `jwt.InvalidTokenError`) and answer 401.",
    references=(ASVS("16.5.2"), CWE(755)),
)
UNEVEN = _rule(
    "FUZ106",
    "uneven-refusal",
    "Operation refuses unlike the rest of the service",
    Severity.LOW,
    requirement="Every refusal must have the challenge and the error body that the service's refusals have elsewhere.",
    why="Clients handle one kind of refusal; one that looks different is handled wrongly, or by nobody.",
    fix="Raise refusals in the shared dependency and word them in one exception handler.",
    references=(RFC(9110, "11.6.1"), ASVS("16.5.1")),
)
SECRET = _rule(
    "FUZ107",
    "secret-in-reply",
    "Reply holds a stored secret",
    Severity.HIGH,
    requirement="No reply may hold a password, its hash, or a credential that the request did not bring.",
    why="What one reply shows ends up in logs, caches and browsers, and is valid for whoever finds it.",
    how="Every reply of the search is looked through for the secrets of the run's users, and for password hashes.",
    fix="Answer with a response model that lists what may be seen; never return the table's row.",
    references=(ASVS("14.2.6"), API(3), CWE(522)),
)
ALTERNATIVE = _rule(
    "FUZ108",
    "declared-alternative-broken",
    "Operation enforces other schemes than it declares",
    Severity.MEDIUM,
    requirement="Each declared security alternative must work by itself, and no part of one may be enough.",
    why="A leg that is not looked at leaves one factor where two are promised.",
    how="Each alternative is sent by itself, and each leg of a combined one without the others.",
    fix="Declare with `Security(...)` exactly what the operation enforces.",
    references=(ASVS("8.1.1"), API(2)),
)
LESSER = _rule(
    "FUZ109",
    "lesser-credential-served",
    "Operation serves a credential that has too few rights",
    Severity.HIGH,
    requirement="An operation must refuse every credential that lacks a scope or a role which the operation demands.",
    why=(
        "Scopes and roles are looked at operation by operation, scheme by scheme: one that is forgotten makes a key "
        "that only reads a key that writes, or a user an administrator."
    ),
    how=(
        "What is served to the full credential is asked for with the same person's tokens and keys of fewer scopes, "
        "and what only the administrator is served with an ordinary user's of every kind. Where no scope is declared, "
        "a credential that says that it only reads must change nothing that its owner sees. Served twice counts."
    ),
    fix=(
        "Demand the scope in the dependency that every scheme goes through: "
        "`Security(require_scopes, scopes=['notes:write'])`."
    ),
    references=(ASVS("8.2.1"), API(5), CWE(862), RFC(6750, "3.1")),
)
JWS = _rule(
    "FUZ201",
    "token-grammar",
    "Token accepted that nobody issued",
    Severity.CRITICAL,
    requirement="A token must be refused when header, payload or signature are not what the service signed.",
    why="Verifying is a chain of small decisions; a search finds the combination that slips through.",
    how=(
        "Header, payload and signature of a live token are edited separately and together, and signed anew where "
        "the key is known. " + _COMMON_HOW
    ),
    fix="Decode with one algorithm, one key chosen by `kid`, and required, typed claims; refuse everything else.",
    references=(RFC(8725, "3.1"), RFC(7519, "4.1"), ASVS("9.1.1"), CWE(347)),
    needs=(Need.WITNESS, Need.BEARER, Need.JWT),
    impact=Impact.READS,
)
KEYS = _rule(
    "FUZ202",
    "key-grammar",
    "API key accepted that nobody issued",
    Severity.HIGH,
    requirement="Only the exact text of an issued API key must be accepted, once, in a declared place.",
    why="Trimming, folding, truncating and prefix look-ups turn one key into many.",
    fix="Hash the whole text as it came and compare digests with `hmac.compare_digest`.",
    references=(ASVS("6.5.1"), CWE(303)),
    needs=(Need.WITNESS, Need.API_KEY),
    impact=Impact.READS,
)
COOKIES = _rule(
    "FUZ203",
    "cookie-grammar",
    "Session cookie accepted that nobody set",
    Severity.HIGH,
    requirement="Only the exact value of an issued session cookie must be accepted, under its own name.",
    why="Names, duplicates, quotes and prefixes are read differently by servers and proxies.",
    fix="Take the one cookie of the exact name, refuse duplicates, and look its digest up on the server.",
    references=(RFC(6265, "5.4"), ASVS("7.2.1"), CWE(384)),
    needs=(Need.WITNESS, Need.COOKIE),
    impact=Impact.READS,
)
HEADER = _rule(
    "FUZ204",
    "authorization-grammar",
    "Authorization header accepted that carries no credential",
    Severity.HIGH,
    requirement="An Authorization header must carry exactly one credential in the declared scheme.",
    why="A header that is split, searched or stripped carelessly lets another scheme or part stand for a credential.",
    fix="Read the header by its grammar (RFC 9110 §11.4): scheme, blanks, one token; refuse the rest.",
    references=(RFC(9110, "11.4"), RFC(6750, "2.1"), CWE(303)),
    impact=Impact.READS,
)
_STORY = (
    "A state machine plays registration, logins, refreshes, logouts, password changes, keys and deletions of several "
    "users against a model of which credential must be alive or dead; the shortest violating story is reported."
)
ZOMBIE = _rule(
    "FUZ301",
    "dead-credential-alive",
    "Credential alive that must be dead",
    Severity.HIGH,
    requirement="A credential must be dead once it was logged out, revoked, rotated, superseded or has expired.",
    why="What an owner believes to have ended goes on working for whoever copied it.",
    how=_STORY,
    fix="Keep sessions, token families and keys on the server, and look them up at every use.",
    references=(ASVS("7.4.1"), ASVS("7.4.3"), CWE(613)),
    needs=(Need.WITNESS, Need.LOGIN),
    impact=Impact.DISRUPTS,
)
KILLED = _rule(
    "FUZ302",
    "live-credential-dead",
    "Credential of one user ended by another's action",
    Severity.MEDIUM,
    requirement="What a user does must not end the credentials of another user.",
    why="Users who can end each other's sessions can lock each other out; mixed families mix rights, too.",
    how=_STORY,
    fix="Look up by id and owner in every statement that ends, rotates or revokes something.",
    references=(ASVS("8.2.2"), CWE(639)),
    needs=(Need.WITNESS, Need.LOGIN),
    impact=Impact.DISRUPTS,
)
MISTAKEN = _rule(
    "FUZ303",
    "credential-of-another",
    "Credential opens another account or wrong rights",
    Severity.CRITICAL,
    requirement="A credential must name its owner with the owner's present rights, whatever happened meanwhile.",
    why="Names that are taken again, roles that are taken away and mixed sessions make one user another.",
    how=_STORY,
    fix="Bind credentials to an immutable account id, and read the role at every use.",
    references=(ASVS("8.3.2"), ASVS("7.2.1"), CWE(863)),
    needs=(Need.WITNESS, Need.LOGIN),
    impact=Impact.DISRUPTS,
)
RACE = _rule(
    "FUZ304",
    "unlawful-race",
    "Simultaneous requests have an outcome that no order of them has",
    Severity.HIGH,
    requirement="Simultaneous requests must end as if they had come one after the other.",
    why="Between a look-up and a write another request can slip in and keep what was just taken away.",
    how="Two clients act at once; the outcome must be one that some order of the two could have had.",
    fix="Decide and write in one statement: `UPDATE … WHERE used_at IS NULL RETURNING …`.",
    references=(ASVS("15.4.2"), CWE(367)),
    needs=(Need.WITNESS, Need.LOGIN),
    impact=Impact.DISRUPTS,
)
UNCONFIRMED = _rule(
    "FUZ305",
    "unconfirmed-account-opens",
    "Account opens before its address is confirmed",
    Severity.MEDIUM,
    requirement="Where a new account has to confirm its address first, nothing may open it before, by any door.",
    why="Who need not read the mail can hold an account under somebody else's address.",
    how=_STORY,
    fix="Ask for the confirmation where every login and every reset ends, and bind its token to the account's id.",
    references=(ASVS("6.3.4"), CWE(288)),
    needs=(Need.WITNESS, Need.LOGIN, Need.REGISTER, Need.VERIFY, Need.MAILBOX),
    impact=Impact.DISRUPTS,
)
SCHEMES = _rule(
    "FUZ401",
    "schemes-disagree",
    "One person is different persons by different schemes",
    Severity.HIGH,
    requirement="The same request through each accepted scheme must be the same person with the same rights.",
    why="A scheme that resolves its caller differently is a second, untested authentication.",
    how=(
        "Each readable operation is asked with every kind of credential of one user; whom the replies speak of "
        "must agree."
    ),
    fix="Resolve every scheme to the same principal in one dependency.",
    references=(ASVS("8.3.1"), API(2), CWE(303)),
    needs=(Need.WITNESS, Need.TWO_SCHEMES),
    impact=Impact.READS,
)
SERVER = _rule(
    "FUZ402",
    "server-disagrees",
    "Behind a real server requests mean something else",
    Severity.MEDIUM,
    requirement="A request must be the same person in process and behind a server.",
    why="A test that passes in process proves little when the deployed service reads requests differently.",
    how="The same requests are sent in process and through uvicorn, and the answers compared.",
    fix="Do not read authentication from what only one of them supplies (raw scope, root path, client address).",
    references=(ASVS("15.3.1"), CWE(436)),
    needs=(Need.WITNESS, Need.IN_PROCESS),
    impact=Impact.READS,
)
RESTART = _rule(
    "FUZ403",
    "restart-revives",
    "A restart changes who a credential is",
    Severity.HIGH,
    requirement="What was revoked must be dead after a restart, and no credential may become another person's.",
    why="A denylist in memory is empty after every deployment.",
    how="Credentials are ended, the application is shut down and started again, and all are presented once more.",
    fix="Keep revocations where sessions and keys are kept: in the database.",
    references=(ASVS("7.4.1"), CWE(613)),
    needs=(Need.WITNESS, Need.LOGIN, Need.IN_PROCESS, Need.LOGOUT),
    impact=Impact.DISRUPTS,
)

RULES = (
    REACH,
    STRANGER,
    FORGED,
    FOREIGN_READ,
    FOREIGN_WRITE,
    CRASH,
    UNEVEN,
    SECRET,
    ALTERNATIVE,
    LESSER,
    JWS,
    KEYS,
    COOKIES,
    HEADER,
    ZOMBIE,
    KILLED,
    MISTAKEN,
    RACE,
    UNCONFIRMED,
    SCHEMES,
    SERVER,
    RESTART,
)
