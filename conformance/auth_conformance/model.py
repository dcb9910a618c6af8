"""The data of a run: rules, exchanges, verdicts, findings. Nothing here acts, and nothing here is secret.

Everything is frozen. What a target sent or received enters only through `Request` and `Reply`, which the
recorder builds after redaction, so a report cannot leak what it never had.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import total_ordering
from typing import TypeAlias

from auth_conformance.references import Reference

# How `Exchange.special` begins where something had been arranged inside the application.
INSIDE = "inside:"


@total_ordering
class Severity(enum.Enum):
    """How bad a failure of the rule is; compares by badness (`LOW < HIGH`)."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info up to 4 for critical."""
        return list(Severity).index(self)

    def __lt__(self, other: object) -> bool:
        return self.rank < other.rank if isinstance(other, Severity) else NotImplemented


class Depth(enum.Enum):
    """What a check needs at least: HTTP alone, some inside knowledge, or the source."""

    BLACK = "black"
    GREY = "grey"
    WHITE = "white"


class Impact(enum.Enum):
    """What a check does to the target.

    `DISRUPTS` means that it locks, deletes or floods: such a check runs last, alone, on expendable
    accounts, and against a URL only with permission.
    """

    READS = "reads"
    WRITES = "writes"
    DISRUPTS = "disrupts"


class Need(enum.Enum):
    """What must be known about a target before a check can run (checklist §1.7)."""

    WITNESS = "witness"
    BEARER = "bearer"
    JWT = "jwt"
    TOKEN = "token"  # noqa: S105 - the name of a need
    API_KEY = "api-key"
    COOKIE = "cookie"
    TWO_SCHEMES = "two-schemes"
    TWO_USERS = "two-users"
    ADMIN = "admin"
    REGISTER = "register"
    EXPENDABLE = "expendable-account"
    LOGIN = "login"
    LOGOUT = "logout"
    REFRESH = "refresh"
    KEY_MANAGEMENT = "key-mgmt"
    OBJECTS = "objects"
    OPENAPI = "openapi"
    SIGNING_KEY = "signing-key"
    PUBLIC_KEY = "public-key"
    CLOCK = "clock"
    DATABASE = "db"
    SOURCE = "source"
    IN_PROCESS = "in-process"
    LOGS = "logs"
    USER_MANAGEMENT = "user-mgmt"
    SESSION_LIST = "session-list"
    RESTART = "restart"
    LISTENER = "listener"
    WEBSOCKET = "websocket"
    PASSWORD_CHANGE = "pw-change"  # noqa: S105 - the name of a need
    RESET = "reset"
    VERIFY = "verify"
    MAILBOX = "mailbox"


class Outcome(enum.Enum):
    """What one reply means beside the controls (checklist §1.2)."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CRASHED = "crashed"
    THROTTLED = "throttled"
    INTERCEPTED = "intercepted"
    AMBIGUOUS = "ambiguous"


class Role(enum.Enum):
    """Why a request was sent: to prepare, to prove that the target lives, or to attack."""

    SETUP = "setup"
    CONTROL = "control"
    ATTACK = "attack"


class Provenance(enum.Enum):
    """Where a fact about the target comes from, most trusted first."""

    DECLARED = "declared by you"
    OPENAPI = "declared in OpenAPI"
    OBSERVED = "observed"
    GUESSED = "guessed"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a check claims: one requirement, how grave breaking it is, and where it is written.

    `budget` is the largest number of requests that the check may send. `masks` lists the codes whose
    verdict means nothing once this rule is broken (checklist §1.5).
    """

    code: str
    name: str
    title: str
    severity: Severity
    level: int
    depth: Depth
    impact: Impact
    needs: tuple[Need, ...]
    references: tuple[Reference, ...]
    budget: int
    requirement: str
    why: str
    how: str
    fix: str
    masks: tuple[str, ...] = ()
    exclusive: bool = False

    @property
    def family(self) -> str:
        """The three letters before the number, such as `TOK`."""
        return self.code[:3]


@dataclass(frozen=True, slots=True)
class Signing:
    """How the claims of a live token were changed before they were signed again.

    `key` is the digest of the secret or of the private key in PEM; `algorithm` is the hash of an HMAC (`sha256`) or
    the name of a signature by a private key (`ES256`, RFC 7518 §3.1). `header` is the header's JSON, "" where it is
    the live token's. `claims` is a JSON object of what was replaced or added, `moments` are
    claims in seconds from now, those in `fresh` get a new random value, those in `without` are left out. `respelled`
    are claims in another spelling: the name, what stands before, a method of texts or "", and what stands behind.
    `repeated` are members that follow all others, one name twice or more: the name as JSON writes it, and the digest
    of the live token whose claim it takes, or a number of seconds from now.
    `own` is the key itself in Base64 (HMAC) or in PKCS #8 and Base64, where it is the attacker's own or public.
    """

    key: str
    algorithm: str
    header: str = ""
    claims: str = "{}"
    moments: tuple[tuple[str, float], ...] = ()
    fresh: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    respelled: tuple[tuple[str, str, str, str], ...] = ()
    repeated: tuple[tuple[str, str | float], ...] = ()
    own: str = ""


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a credential that evidence shows as `digest` is made anew, without a secret in the recipe.

    `pieces` are joined. One is a literal text, or a range of characters (from, to) of the live credential
    that has the digest `base`; for a token in three parts the ranges are numbers of parts and `parts` holds.
    As in Python, a range may end at a negative number, which counts from the end. A token that was signed again
    has no pieces but `signed`. `case` is `lower`, `upper` or `swapcase` where all letters of the live credential are
    written so before it is cut, and `meaningless` where each letter and digit is replaced by another of its kind.
    """

    digest: str
    base: str
    pieces: tuple[str | tuple[int, int], ...]
    parts: bool = False
    signed: Signing | None = None
    case: str = ""

    @property
    def bases(self) -> frozenset[str]:
        """The digests of all live credentials that it takes."""
        repeated = self.signed.repeated if self.signed is not None else ()
        others = {source for _, source in repeated if isinstance(source, str)}
        return frozenset({self.base, *others} - {""})


@dataclass(frozen=True, slots=True)
class Mailed:
    """Where a secret that evidence shows as `digest` came from: out of a message, whose text is nobody else's business.

    The message went to `address` after the exchange with the number `asked`; the secret stood behind `before` in it,
    and is made of so many `digits`, or of other characters where that is 0.
    """

    digest: str
    address: str
    before: str
    asked: int
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it may be shown: every secret replaced by its digest.

    `derived` says how the altered credentials in it follow from live ones, `mailed` which of its secrets came by mail.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    derived: tuple[Derivation, ...] = ()
    mailed: tuple[Mailed, ...] = ()


# How the error of a reply begins that did not come in time; the seconds follow.
NO_ANSWER = "no answer within"
# How the error of a reply begins where nobody listened; the cause follows.
NO_CONNECTION = "no connection:"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply as it may be shown, with the facts that oracles judge by.

    `status` is None when no response came; `error` then says why. `shape` describes the members of a JSON
    body without their values, `digest` is a hash of the body without volatile parts, `principal` is the
    text at the witness's identity pointer. `size` counts bytes before any cut.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    size: int = 0
    error: str | None = None
    media_type: str = ""
    shape: str = ""
    digest: str = ""
    principal: str | None = None

    @property
    def late(self) -> bool:
        """Whether no answer came in time."""
        return self.status is None and (self.error or "").startswith(NO_ANSWER)

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def header_lines(self, name: str) -> tuple[str, ...]:
        """All headers of that name, in order."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key.lower() == wanted)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, its reply and what the reply was taken to mean. `took` is in seconds.

    `special` says what a plain HTTP client cannot repeat: a moved clock, bytes that clients normalise, and after the
    word `INSIDE` what was arranged in the application's own process.
    `together` is the number of the first of the requests that were sent at the same instant; 0 for one sent alone.
    """

    number: int
    label: str
    role: Role
    operation: str
    request: Request
    reply: Reply
    took: float
    outcome: Outcome | None = None
    special: str = ""
    together: int = 0


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a service without the flaw answers to the attack: what a regression test asserts.

    `kind` is `refused`, `accepted`, `no crash`, `header` (header `name` is there and contains `value`), `no header`,
    `cookie` (the line that sets the cookie `name` has the attribute `value`), `no cookie` (it has not), `text` (the
    body holds `value`), `no text`, `no secret` (none of those that were used or issued before), `members` (the body,
    or its `detail`, has each of the texts named in `value`), `alike` (status and body are those of the exchange with
    the number `value`), `once` (of the requests that were sent together with it one gets an own value at the place
    `name`, such as `/refresh_token` or `cookie NAME`), `status` (one of those in `value`, blanks between) or
    `no status` (none of them). `about` is the number of the exchange whose reply is meant; 0 stands for the first
    attack.
    """

    kind: str
    name: str = ""
    value: str = ""
    about: int = 0


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in the target's source: path relative to the working directory, line from 1, function."""

    path: str
    line: int
    function: str = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which the rule was broken, at one operation, proved by `evidence`.

    `expected` is about one exchange of the evidence; without it, an attack that was accepted must be
    refused and one that crashed must not crash. `source` is the line that breaks the rule, where one does.
    `subject` says in words that stay what is broken, where several such things can be at one operation.
    """

    operation: str | None
    message: str
    severity: Severity | None = None
    evidence: tuple[Exchange, ...] = ()
    expected: Expectation | None = None
    source: SourceLine | None = None
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """Every core attack was delivered to a living target and refused."""

    reason: str
    evidence: tuple[Exchange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The rule is broken: seen twice."""

    violations: tuple[Violation, ...]
    evidence: tuple[Exchange, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The first violation, and how many more there are."""
        more = len(self.violations) - 1
        return self.violations[0].message + (f" (and {more} more)" if more else "")


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """A control or an answer was unclear. `remedy` is what the user can do about it, "" if nothing."""

    reason: str
    remedy: str = ""
    evidence: tuple[Exchange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """Not applicable (with evidence of absence) or not tested (a need that `remedy` would meet)."""

    reason: str
    remedy: str = ""
    applicable: bool = True
    evidence: tuple[Exchange, ...] = ()

    @property
    def why(self) -> str:
        """The reason where a heading says already that it was not tested, or does not apply."""
        text = self.reason.removeprefix("Not tested: ").removeprefix("Not applicable: ")
        return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Errored:
    """Our own exception. `detail` is its traceback, without local values."""

    reason: str
    detail: str = ""
    evidence: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True)
class Masked:
    """The failure of `by` makes this check meaningless: neither passed nor failed."""

    by: str
    reason: str
    evidence: tuple[Exchange, ...] = ()


Verdict: TypeAlias = Passed | Failed | Inconclusive | Skipped | Errored | Masked

VERDICT_NAMES: dict[type[Verdict], str] = {
    Passed: "passed",
    Failed: "failed",
    Inconclusive: "inconclusive",
    Skipped: "skipped",
    Errored: "errored",
    Masked: "masked",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation, placed: what every report shows and what a baseline remembers."""

    code: str
    title: str
    severity: Severity
    operation: str | None
    message: str
    evidence: tuple[Exchange, ...] = ()
    source: SourceLine | None = None
    origins: tuple[Exchange, ...] = ()
    expected: Expectation | None = None
    subject: str = ""

    @property
    def fingerprint(self) -> str:
        """Stable over hosts, times and wording of evidence: code, operation, and the subject where there is one.

        What the source alone proves is told apart by file, function and what it is, not by the line.
        """
        parts = [self.code, self.operation or ""]
        if self.source is not None and self.code.startswith("SRC"):
            parts += [self.source.path, self.source.function, self.message]
        parts += [self.subject] if self.subject else []
        return hashlib.sha256("|".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one rule. `took` is in seconds, `requests` counts requests.

    `severity` is the rule's, or what the profile or the verdict restated it to. `guesses` are facts about
    the target on which the verdict rests and which nobody declared. `origins` are the exchanges that issued
    the credentials in a failure's evidence, oldest first.
    """

    rule: Rule
    verdict: Verdict
    severity: Severity
    operation: str | None = None
    source: SourceLine | None = None
    took: float = 0.0
    requests: int = 0
    guesses: tuple[str, ...] = ()
    origins: tuple[Exchange, ...] = ()

    @property
    def name(self) -> str:
        """`passed`, `failed`, `inconclusive`, `skipped`, `errored` or `masked`."""
        return VERDICT_NAMES[type(self.verdict)]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One finding per violation; none unless the rule failed."""
        if not isinstance(self.verdict, Failed):
            return ()
        listed = zip(self.verdict.violations, _told_apart(self.verdict.violations), strict=True)
        return tuple(
            Finding(
                code=self.rule.code,
                title=self.rule.title,
                severity=violation.severity or self.severity,
                operation=violation.operation or self.operation,
                message=violation.message,
                evidence=violation.evidence or self.verdict.evidence,
                source=violation.source or self.source,
                origins=self.origins,
                expected=violation.expected,
                subject=subject,
            )
            for violation, subject in listed
        )


def _told_apart(violations: Sequence[Violation]) -> Iterator[str]:
    """A subject for each: of those that nothing tells apart the second is numbered, and what follows.

    A baseline that knows one would otherwise know any number of them.
    """
    seen: dict[tuple[object, ...], int] = {}
    for violation in violations:
        source = violation.source and (violation.source.path, violation.source.function, violation.message)
        place = (violation.operation, violation.subject, source)
        seen[place] = number = seen.get(place, 0) + 1
        yield violation.subject if number == 1 else f"{violation.subject} #{number}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known about the target, for people: `name`, printed value, source and why."""

    name: str
    value: str
    provenance: Provenance
    because: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """Who was let in where, beside what is declared: one cell of the matrix of operations and callers.

    `declared` names the schemes that the document demands (`open` for none, empty where it says nothing),
    `caller` is `nobody` or kind and owner of a live credential, `answer` is `let in`, `refused` or `unclear`.
    """

    operation: str
    declared: str
    caller: str
    answer: str


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """What was tested: `kind` is `app` or `url`, `address` has no credentials in it."""

    kind: str
    address: str
    title: str = ""
    facts: tuple[Fact, ...] = ()
    operations: tuple[str, ...] = ()
    access: tuple[Access, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says. `exit_code` is 0, 1, 2, 3 or 130; `sentence` explains it."""

    exit_code: int
    sentence: str

    @property
    def word(self) -> str:
        """`Passed`, `Failed` or `Incomplete`: the banner of every report."""
        return {0: "Passed", 1: "Failed"}.get(self.exit_code, "Incomplete")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What was accepted before the run: `kind` is `waiver` (by a person) or `baseline` (known for long).

    `state` is `applied` (it covers findings, whose `fingerprints` are kept), `expired`, `stale` (the check
    passed: there is nothing to accept any more) or `undecided` (the check did not come to a verdict).
    """

    kind: str
    code: str
    operation: str
    state: str
    reason: str = ""
    owner: str = ""
    expires: date | None = None
    fingerprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One run: a result for every rule of the profile, and what is needed to read it a year later."""

    run_id: str
    version: str
    started: datetime
    finished: datetime
    target: TargetSummary
    level: int
    # Never spelled out: asyncio spells out what a task returned when the loop ends, and this is megabytes of evidence.
    results: tuple[Result, ...] = field(repr=False)
    decision: Decision
    requests: int = 0
    command: str = ""
    interrupted: bool = False
    versions: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())
    acceptances: tuple[Acceptance, ...] = ()
    baselined: bool = False

    def accepted(self, finding: Finding) -> Acceptance | None:
        """What covers the finding: a waiver before a baseline."""
        covering = [
            item
            for item in self.acceptances
            if item.state == "applied" and finding.fingerprint in item.fingerprints
        ]
        return min(covering, key=lambda item: item.kind != "waiver", default=None)

    def standing(self, finding: Finding) -> str:
        """`waived`, `known` (in the baseline) or `new`."""
        covering = self.accepted(finding)
        return "new" if covering is None else {"waiver": "waived", "baseline": "known"}[covering.kind]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, gravest first; of equal ones those whose attack got in, then by code."""
        found = [finding for result in self.results for finding in result.findings]
        entered = {
            (finding.code, finding.severity)
            for finding in found
            if any(item.role is Role.ATTACK and item.outcome is Outcome.ACCEPTED for item in finding.evidence)
        }
        return tuple(
            sorted(
                found,
                key=lambda item: (
                    -item.severity.rank,
                    (item.code, item.severity) not in entered,
                    item.code,
                    item.operation or "",
                ),
            )
        )

    def count(self, name: str) -> int:
        """How many results have that verdict name."""
        return sum(result.name == name for result in self.results)

    @property
    def tally(self) -> tuple[tuple[str, int], ...]:
        """How many results there are of each kind, in words for people; what was skipped is two things to them."""
        untested = sum(isinstance(item.verdict, Skipped) and item.verdict.applicable for item in self.results)
        found = [
            (name, self.count(name)) for name in ("passed", "failed", "inconclusive", "errored", "masked")
        ]
        found += [("not tested", untested), ("not applicable", self.count("skipped") - untested)]
        return tuple((name, number) for name, number in found if number)
