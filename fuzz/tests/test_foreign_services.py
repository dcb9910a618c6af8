"""Services in other hands: seeded flaws are found there, too, and on the sound ones nothing grave.

What plain Starlette, PyJWT and fastapi-users do by default is of low severity, or a true fault that the service's
own docstring names. A plain run takes one flaw and one seed of each; `FUZZ_MATRIX=whole` takes all with ten.
"""

import contextlib
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from quality import SECONDS, WHOLE

from auth_conformance.engine import opened
from auth_conformance.loop import run_to_end
from auth_conformance.model import Result, Severity, Skipped
from auth_conformance.settings import load
from auth_fuzz import Budget, fuzz

_TESTS = Path(__file__).parents[2] / "conformance" / "tests"
if str(_TESTS) not in sys.path:
    sys.path.append(str(_TESTS))

from services.apikey_app import KEYS  # noqa: E402 - found where the line above says
from services.people import PEOPLE  # noqa: E402 - as above

SEEDS = range(10) if WHOLE else range(1, 2)
ENOUGH = 9 if WHOLE else 1


@dataclass(frozen=True, slots=True)
class Case:
    """A flaw in a service: the edit, the rules of which one must fail, and the search that must see it."""

    service: str
    was: str
    now: str
    codes: tuple[str, ...]
    search: str
    requests: int
    always: bool = False
    # What the sound service is found to have is less grave than this.
    least: Severity = Severity.LOW

    def __str__(self) -> str:
        return f"{self.service} {self.codes[0]}"


CASES = (
    Case(
        "apikey_app",
        "name = owners.get(hashlib.sha256(key.encode()).hexdigest()) if key else None",
        "name = next((owner for owner, one in keys.items() if one.lower() == (key or '').lower()), None)",
        ("FUZ202",),
        "grammar of key credentials",
        250,
        always=True,
    ),
    Case(
        "apikey_app",
        "if owner != name or widget is None:",
        "if widget is None:",
        ("FUZ103",),
        "GET /v1/widgets/{widget_id}",
        150,
    ),
    Case(
        "apikey_app",
        "if owner != name or widget is None:",
        "if widget is None:",
        ("FUZ104",),
        "DELETE /v1/widgets/{widget_id}",
        150,
    ),
    Case(
        "starlette_app",
        'return token if scheme.lower() == "bearer" and token else None',
        "return token or None",
        ("FUZ204",),
        "grammar of bearer headers",
        250,
        always=True,
    ),
    Case(
        "starlette_app",
        'return token if scheme.lower() == "bearer" and token else None',
        'return token.replace(".", "") if scheme.lower() == "bearer" and token else None',
        ("FUZ201",),
        "grammar of bearer credentials",
        250,
    ),
    Case(
        "starlette_app",
        "name = sessions.owner(_bearer(request))",
        """
        several = len(request.headers.getlist("authorization")) > 1
        name = "alice" if several else sessions.owner(_bearer(request))""",
        ("FUZ204",),
        "grammar of bearer headers",
        250,
        always=True,
        least=Severity.CRITICAL,
    ),
    Case(
        "starlette_app",
        "name = sessions.owner(_bearer(request))",
        """
        loud = request.headers.get("authorization", "").startswith("BEARER ")
        name = "alice" if loud else sessions.owner(_bearer(request))""",
        ("FUZ204",),
        "grammar of bearer headers",
        250,
        least=Severity.CRITICAL,
    ),
    Case(
        "users_app",
        "return JWTStrategy(secret=secret, lifetime_seconds=3600)",
        """
        from fastapi_users import jwt
        jwt.jwt.decode = lambda text, *_, **__: __import__("jwt").PyJWT().decode(
            text, options={"verify_signature": False}
        )
        return JWTStrategy(secret=secret, lifetime_seconds=3600)
""",
        ("FUZ201",),
        "grammar of bearer credentials",
        250,
        least=Severity.HIGH,
    ),
    Case(
        "users_app",
        """Depends(fastapi_users.current_user(active=True))],
    ) -> dict[str, str]:
        return {"message": f"Hello {user.email}!"}""",
        """Depends(fastapi_users.current_user(active=True, optional=True))],
    ) -> dict[str, str]:
        return {"message": f"Hello {getattr(user, 'email', 'stranger')}!"}""",
        ("FUZ101",),
        "GET /authenticated-route",
        150,
    ),
)
# True faults of the library's defaults, as the service's own docstring says.
# Its JWTs need no `exp`, and its JWT logout ends nothing.
KNOWN: dict[str, set[str]] = {"users_app": {"FUZ201", "FUZ301"}}


@contextlib.contextmanager
def service(name: str, case: Case | None = None) -> Iterator[Any]:
    """The application of a service, with the flaw if one is given."""
    text = (_TESTS / "services" / f"{name}.py").read_text("utf-8")
    if case is not None:
        assert text.count(case.was) == 1
        text = text.replace(case.was, case.now)
    module = types.ModuleType(f"flawed_{name}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - our own file
        yield module.create_app()
    finally:
        del sys.modules[module.__name__]


def accounts(name: str, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    found = {}
    for label, person in zip("ab", ("alice", "bob"), strict=True):
        member = "key" if name == "apikey_app" else "password"
        secret = KEYS[person] if member == "key" else PEOPLE[person]
        patch.setenv(f"SECRET_{label}", secret)
        username = f"{person}@example.com" if name == "users_app" else person
        found[label] = {"username": username, member: {"env": f"SECRET_{label}"}}
    return found


def searched(name: str, seed: int, requests: int, case: Case | None = None) -> list[Result]:
    async def go(app: Any, settings: Any) -> list[Result]:
        async with opened(settings, app=app) as door:
            only = [case.search] if case is not None else None
            return await fuzz(door.scene, Budget(SECONDS, requests, shrinking=60), seed, only=only)

    with pytest.MonkeyPatch.context() as patch, service(name, case) as app:
        if name == "users_app":
            # One flaw replaces a function of the library's for the test.
            from fastapi_users import jwt  # noqa: PLC0415 - only here

            patch.setattr(jwt.jwt, "decode", jwt.jwt.decode)
        settings = load({"accounts": accounts(name, patch)}, start=Path(__file__).parent)
        return run_to_end(go(app, settings))


def hit(case: Case, seed: int) -> bool:
    results = searched(case.service, seed, case.requests, case)
    return any(
        item.rule.code in case.codes and any(finding.severity >= case.least for finding in item.findings)
        for item in results
    )


@pytest.mark.parametrize("case", [case for case in CASES if WHOLE or case.always], ids=str)
def test_the_flaw_is_found(case: Case) -> None:
    missed = [seed for seed in SEEDS if not hit(case, seed)]
    assert len(SEEDS) - len(missed) >= ENOUGH, f"missed with seeds {missed}"


def grave(results: list[Result], known: set[str]) -> dict[str, str]:
    """What is graver than low, or went wrong."""
    assert any(result.name == "passed" for result in results)
    return {
        result.rule.code: result.verdict.reason
        for result in results
        if result.name in {"errored", "inconclusive"}
        or (
            result.rule.code not in known
            and any(finding.severity > Severity.LOW for finding in result.findings)
        )
    }


@pytest.mark.parametrize("name", ["apikey_app", "starlette_app", *(["users_app"] if WHOLE else [])])
@pytest.mark.parametrize("seed", SEEDS)
def test_on_the_sound_service_nothing_grave_is_found(name: str, seed: int) -> None:
    results = searched(name, seed, 3_000 if WHOLE else 500)
    assert grave(results, KNOWN.get(name, set())) == {}
    # A kind of credential that is not known says which line would make it known.
    keys = next(result for result in results if result.rule.code == "FUZ202")
    assert (name == "starlette_app") == (isinstance(keys.verdict, Skipped) and "key" in keys.verdict.remedy)
