"""A run built by hand: every verdict, every section, and a target that attacks whoever reads the report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from auth_conformance.model import (
    Decision,
    Depth,
    Errored,
    Exchange,
    Fact,
    Failed,
    Impact,
    Inconclusive,
    Masked,
    Need,
    Outcome,
    Passed,
    Provenance,
    Reply,
    Request,
    Result,
    Role,
    Rule,
    Run,
    Severity,
    Skipped,
    SourceLine,
    TargetSummary,
    Verdict,
    Violation,
)
from auth_conformance.references import API, ASVS, CVE, CWE, RFC, Reference

SCRIPT = "</script><img src=x onerror=alert(1)>"
QUOTES = "\"' onmouseover='alert(1)' style=\"color:red"
ESCAPE = "\x1b[2J\x1b[31mred\x07"
OVERRIDE = "safe\u202egnp.exe\u2066\u200b"
TEMPLATE = "{{ 7 * 7 }}{% raw %}"
SURROGATE = "half \udcff a character"
HOSTILE = (SCRIPT, QUOTES, ESCAPE, OVERRIDE, TEMPLATE, SURROGATE)

LIVE = 'Bearer \u2039jwt {"alg": "HS256", "typ": "JWT"} claims sub exp iat sha256:4f0c2a9be1d7\u203a'
FORGED = 'Bearer \u2039jwt {"alg": "none", "typ": "JWT"} claims sub exp iat sha256:9d11e0c5aa42\u203a'
ORIGIN = "https://shop.example"

WHY = "With `alg: none` the caller writes the claims, so the caller is whoever the token says."
HOW = "Take a live token, spell `none` in every way, drop the signature, and call a guarded operation."
FIX = """Name the algorithms that you accept, and let the library refuse all others:

    claims = jwt.decode(
        token,
        settings.signing_key,
        algorithms=["HS256"],

        options={"require": ["exp", "sub"]},
    )

- Never read `alg` from the token to choose a key.
- Keep `<script>` out of error texts."""

SECOND_USER = """Name one in `auth-conformance.toml`:

    [users.second]
    name = "bob"
    password_env = "BOB_PASSWORD"
"""
SLOWER = """Run again with `--rate 1`, or name the limit in `auth-conformance.toml`:

    [limits]
    login = 10"""
TRACEBACK = """Traceback (most recent call last):
  File "checks/tok/key.py", line 21, in key_by_token
KeyError: 'kid'"""


def rule(
    code: str = "TOK110",
    title: str = "Unsigned token accepted",
    *,
    severity: Severity = Severity.CRITICAL,
    level: int = 1,
    references: tuple[Reference, ...] = (
        ASVS("9.1.2"),
        RFC(7519, "6"),
        RFC(8725, "3.2"),
        API(2),
        CWE(347),
        CVE("2015-9235"),
    ),
    requirement: str = "A token whose signature has been removed is refused, however it spells `none`.",
    why: str = WHY,
    how: str = HOW,
    fix: str = FIX,
    masks: tuple[str, ...] = (),
) -> Rule:
    return Rule(
        code=code,
        name=title.lower().replace(" ", "-"),
        title=title,
        severity=severity,
        level=level,
        depth=Depth.BLACK,
        impact=Impact.READS,
        needs=(Need.WITNESS, Need.JWT),
        references=references,
        budget=40,
        requirement=requirement,
        why=why,
        how=how,
        fix=fix,
        masks=masks,
    )


def exchange(
    number: int,
    label: str,
    role: Role,
    outcome: Outcome | None,
    *,
    operation: str = "GET /me",
    authorization: str = LIVE,
    status: int | None = 200,
    body: str = '{"username": "alice", "email": "alice@example.org", "roles": ["customer"]}',
    request_body: str | None = None,
    extra: tuple[tuple[str, str], ...] = (),
) -> Exchange:
    method, path = operation.split(" ", 1)
    return Exchange(
        number=number,
        label=label,
        role=role,
        operation=operation,
        request=Request(
            method,
            path,  # as runs record it: the address is the target's
            (
                ("Host", "shop.example"),
                ("Accept", "application/json"),
                ("Authorization", authorization),
                ("User-Agent", "auth-conformance/0.1.0 run-2f1c"),
                *extra,
            ),
            request_body,
        ),
        reply=Reply(
            status=status,
            headers=(("Content-Type", "application/json"), ("Server", "uvicorn"), *extra) if status else (),
            body=body if status else "",
            size=len(body.encode(errors="replace")) if status else 0,
            error=None if status else "ConnectTimeout: no answer in 10 s",
            media_type="application/json" if status else "",
            shape="{email,roles[],username}" if status else "",
            digest="c0ffee00c0ffee00" if status else "",
            principal="alice" if status == 200 else None,
        ),
        took=0.0132,
        outcome=outcome,
    )


def refused(first: int, attacks: int = 6) -> tuple[Exchange, ...]:
    """The evidence of a pass: controls around attacks that were all refused."""
    denied = '{"error": "invalid_token", "message": "The access token is not valid."}'
    return (
        exchange(first, "live token of A", Role.CONTROL, Outcome.ACCEPTED),
        exchange(
            first + 1,
            "bland wrong token",
            Role.CONTROL,
            Outcome.REJECTED,
            authorization=FORGED,
            status=401,
            body=denied,
        ),
        *(
            exchange(
                first + 2 + index,
                f"unsigned token (spelling {index + 1} of {attacks})",
                Role.ATTACK,
                Outcome.REJECTED,
                authorization=FORGED,
                status=401,
                body=denied,
            )
            for index in range(attacks)
        ),
        exchange(first + 2 + attacks, "live token of A, again", Role.CONTROL, Outcome.ACCEPTED),
    )


def broken(first: int, operation: str = "GET /me", *, body: str | None = None) -> tuple[Exchange, ...]:
    """The evidence of a failure: an accepted control, refused attacks and accepted ones, seen twice."""
    stolen = (
        body if body is not None else '{"username": "bob", "email": "bob@example.org", "roles": ["admin"]}'
    )
    return (
        exchange(first, "live token of A", Role.CONTROL, Outcome.ACCEPTED, operation=operation),
        exchange(
            first + 1,
            "unsigned token (alg=NONE)",
            Role.ATTACK,
            Outcome.REJECTED,
            operation=operation,
            authorization=FORGED,
            status=401,
            body="{}",
        ),
        exchange(
            first + 2,
            "unsigned token (alg=none, sub=bob)",
            Role.ATTACK,
            Outcome.ACCEPTED,
            operation=operation,
            authorization=FORGED,
            body=stolen,
        ),
        exchange(
            first + 3,
            "the same once more",
            Role.ATTACK,
            Outcome.ACCEPTED,
            operation=operation,
            authorization=FORGED,
            body=stolen,
        ),
        exchange(
            first + 4,
            "unsigned token in the body",
            Role.ATTACK,
            Outcome.ACCEPTED,
            operation=operation,
            authorization=FORGED,
            body=stolen,
            request_body='{"refresh_token": "\u2039sha256:77aa01b2c3d4\u203a", "note": "it\'s $HOME `id`"}',
        ),
    )


def verdicts() -> tuple[Result, ...]:
    """One result and more for each verdict."""
    return (
        _result(
            rule(masks=("TOK112",)),
            Failed(
                (Violation("GET /me", "GET /me let in a token with alg=none and no signature, as bob."),),
                broken(10),
            ),
            "GET /me",
            31,
            source=SourceLine("shop/deps.py", 60, "current_user"),
        ),
        *(
            _result(
                rule(
                    "AUZ101",
                    "Another user's object can be read",
                    severity=Severity.HIGH,
                    references=(ASVS("8.2.2"), API(1), CWE(639)),
                    requirement="A user reads only what is theirs.",
                    why="Numbers in paths can be counted up.",
                    fix="Ask the database for the owner's rows: `where(Order.owner_id == user.id)`.",
                ),
                Failed(
                    (Violation(operation, f"{operation} gave B the canary of A."),),
                    broken(100 + 10 * index, operation),
                ),
                operation,
                9,
                guesses=("`id` in the path is an owned object (guessed from its name)",),
            )
            for index, operation in enumerate(
                ("GET /orders/{id}", "GET /invoices/{id}", "DELETE /orders/{id}")
            )
        ),
        _result(
            rule(
                "WEB104",
                "Token answers may be cached",
                severity=Severity.LOW,
                level=2,
                references=(ASVS("14.2.2"), RFC(6749, "5.1")),
                requirement="An answer that holds a token carries `Cache-Control: no-store`.",
                why="A shared cache would hand the token on.",
                fix="Set the header in the login handler.",
            ),
            Failed(
                (Violation("POST /login", "POST /login answers a token without Cache-Control."),),
                (
                    exchange(
                        200,
                        "login of A",
                        Role.SETUP,
                        None,
                        operation="POST /login",
                        request_body="username=alice&password=\u2039sha256:aa77e0b1c2d3\u203a",
                    ),
                ),
            ),
            "POST /login",
            1,
        ),
        _result(
            rule(
                "CRD112",
                "No limit on wrong logins",
                severity=Severity.HIGH,
                references=(ASVS("6.3.1"), API(4)),
            ),
            Inconclusive(
                "The service stopped answering after 14 wrong logins: a limit, or a crash.",
                SLOWER,
                (
                    exchange(300, "live login", Role.CONTROL, Outcome.ACCEPTED, operation="POST /login"),
                    exchange(
                        301,
                        "wrong login 15",
                        Role.ATTACK,
                        Outcome.CRASHED,
                        operation="POST /login",
                        status=None,
                    ),
                ),
            ),
            "POST /login",
            15,
        ),
        _result(
            rule("TOK121", "Key chosen by the token", severity=Severity.HIGH, level=2),
            Errored("KeyError: 'kid'", TRACEBACK, refused(320, 1)),
            None,
            4,
        ),
        *(
            _result(
                rule(code, title, severity=Severity.HIGH, level=level, references=(ASVS("7.4.1"), API(2))),
                Skipped("No second user is known.", SECOND_USER),
            )
            for code, title, level in (
                ("AUZ102", "Another user's object can be written", 1),
                ("AUZ103", "List leaks other users' rows", 1),
                ("SES110", "Session survives a password change", 2),
            )
        ),
        _result(
            rule("KEY101", "Junk API key accepted", references=(ASVS("6.3.4"),)),
            Skipped(
                "The service has no API keys: none in its OpenAPI document, none found by probing.",
                applicable=False,
            ),
        ),
        _result(
            rule("TOK112", "Other algorithms accepted", severity=Severity.MEDIUM, level=2),
            Masked("TOK110", "Every forged token gets in."),
        ),
        _result(
            rule(
                "TOK101",
                "Anonymous or junk bearer accepted",
                references=(ASVS("6.3.4"), RFC(9110, "11.6.1"), API(2)),
            ),
            Passed(
                "24 attacks were delivered to a living target and refused.",
                refused(400, 24),
                ("The witness is GET /me.",),
            ),
            "GET /me",
            27,
        ),
        _result(
            rule("TOK201", "Expired token accepted", references=(ASVS("9.2.1"), RFC(7519, "4.1.4"))),
            Passed("An hour-old token was refused.", refused(500, 3)),
            "GET /me",
            6,
        ),
        _result(
            rule(
                "ERR101",
                "401 without WWW-Authenticate",
                severity=Severity.LOW,
                level=3,
                references=(RFC(6750, "3"),),
            ),
            Passed("All 12 refusals carry it.", refused(520, 12)),
            None,
            15,
        ),
    )


def hostile() -> tuple[Result, ...]:
    """Results whose every text is an attack on the reader."""
    everything = " ".join(HOSTILE)
    place = everything.replace(SURROGATE, "")  # Finding.fingerprint encodes the operation strictly
    seen = exchange(
        900,
        everything,
        Role.ATTACK,
        Outcome.ACCEPTED,
        operation=f"GET /{everything}",
        authorization=everything,
        body=everything,
        request_body=everything,
        extra=((everything, everything),),
    )
    bad = rule(
        "EVL999",
        everything,
        references=(
            Reference("RFC", everything, "javascript:alert(1)"),
            Reference("ASVS", everything, f'https://x.example/"{SCRIPT}'),
        ),
        requirement=everything,
        why=everything,
        how=everything,
        fix=f"{everything}\n\n    {everything}\n\n- {everything}",
    )
    outcomes: tuple[Verdict, ...] = (
        Failed((Violation(place, everything, evidence=(seen,)),), (seen,), (everything,)),
        Passed(everything, (seen,), (everything,)),
        Inconclusive(everything, everything, (seen,), (everything,)),
        Skipped(everything, everything),
        Skipped(everything, applicable=False),
        Errored(everything, everything, (seen,)),
        Masked(everything, everything),
    )
    return tuple(
        _result(
            bad, verdict, everything, 1, source=SourceLine(everything, 1, everything), guesses=(everything,)
        )
        for verdict in outcomes
    )


def flood(count: int = 500, body: int = 100_000) -> tuple[Result, ...]:
    """So many findings, each of its own code, with long bodies that escaping makes longer still."""
    text = ("<'&\"\u202e>" * (body // 6))[:body]
    return tuple(
        _result(
            rule(f"FLD{index:03}", f"Finding number {index}"),
            Failed(
                (Violation(f"GET /things/{index}", f"Thing {index} is open."),),
                broken(10_000 + 10 * index, f"GET /things/{index}", body=text),
            ),
            f"GET /things/{index}",
            5,
        )
        for index in range(count)
    )


def run(
    results: tuple[Result, ...] | None = None,
    *,
    decision: Decision | None = None,
    level: int = 2,
    note: str = "",
) -> Run:
    started = datetime(2026, 11, 22, 10, 31, 5, tzinfo=UTC)
    return Run(
        run_id=f"2f1c9a{note}",
        version="0.1.0",
        started=started,
        finished=started + timedelta(seconds=74.2),
        target=TargetSummary(
            kind="url",
            address=f"{ORIGIN}{note}",
            title=f"Shop API{note}",
            facts=(
                Fact(
                    "witness",
                    f"GET /me → /username{note}",
                    Provenance.OBSERVED,
                    f"names its caller with and without a change of user{note}",
                ),
                Fact("login", "POST /login (form)", Provenance.OPENAPI, "tokenUrl of the oauth2 scheme"),
                Fact(
                    "objects",
                    "GET /orders/{id}",
                    Provenance.GUESSED,
                    "the path ends in an id and the reply has `owner`",
                ),
                Fact("user A", "alice", Provenance.DECLARED),
            ),
            operations=("GET /me", "POST /login", f"GET /orders/{{id}}{note}"),
        ),
        level=level,
        results=verdicts() if results is None else results,
        decision=decision
        or Decision(1, f"2 rules of severity high or above are broken, and 2 results are unclear.{note}"),
        requests=163,
        command=f"auth-conformance run {ORIGIN} --level 2 --fail-on low{note}",
        versions=(("fastapi", "0.165.0"), ("httpx", "0.28.1"), ("python", "3.11.9")),
        notes=(f"The rate was lowered to 2 requests per second after a 429.{note}",),
    )


def _result(
    of: Rule,
    verdict: Verdict,
    operation: str | None = None,
    requests: int = 0,
    *,
    source: SourceLine | None = None,
    guesses: tuple[str, ...] = (),
) -> Result:
    return Result(
        rule=of,
        verdict=verdict,
        severity=of.severity,
        operation=operation,
        source=source,
        took=0.25,
        requests=requests,
        guesses=guesses,
    )
