"""What a rule needs and a target has not: evidence that it is absent, or the line that would supply it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Inconclusive, Need, Rule, Skipped
from auth_conformance.target.knowledge import OF_ACCOUNTS, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

# What a tester needs, not what a service has: without it a check is not tested, and never "not applicable".
MEANS = frozenset(
    {
        Need.TWO_USERS,
        Need.ADMIN,
        Need.EXPENDABLE,
        Need.CLOCK,
        Need.DATABASE,
        Need.SOURCE,
        Need.OPENAPI,
        Need.IN_PROCESS,
        Need.LOGS,
        Need.RESTART,
        Need.LISTENER,
        Need.MAILBOX,
    }
)

_MEND = "# let people log in at the service that is tested, and run again"
# What a need is called in a sentence.
NEEDED = {
    Need.WITNESS: "an operation that names its caller",
    Need.BEARER: "a bearer token",
    Need.JWT: "tokens that are JWTs",
    Need.TOKEN: "a token",
    Need.API_KEY: "an API key",
    Need.COOKIE: "a session cookie",
    Need.TWO_SCHEMES: "two kinds of credential",
    Need.TWO_USERS: "two accounts",
    Need.ADMIN: "the account of an administrator",
    Need.REGISTER: "the operation that registers accounts",
    Need.EXPENDABLE: "an account that may be lost",
    Need.LOGIN: "the login",
    Need.LOGOUT: "the logout",
    Need.REFRESH: "the operation that refreshes tokens",
    Need.KEY_MANAGEMENT: "the operations that make and revoke API keys",
    Need.OBJECTS: "objects that belong to one user",
    Need.OPENAPI: "the OpenAPI document",
    Need.SIGNING_KEY: "the key that signs the tokens",
    Need.PUBLIC_KEY: "the public key of the tokens",
    Need.CLOCK: "a clock that can be moved",
    Need.DATABASE: "the database",
    Need.SOURCE: "the source code",
    Need.IN_PROCESS: "the application in this process",
    Need.LOGS: "what the service logs",
    Need.USER_MANAGEMENT: "the operations that manage users",
    Need.SESSION_LIST: "the list of a user's sessions",
    Need.RESTART: "a second process of the service",
    Need.LISTENER: "an address of ours that the service can reach",
    Need.WEBSOCKET: "a WebSocket",
    Need.PASSWORD_CHANGE: "the operation that changes the password",
    Need.RESET: "the operations that reset a forgotten password",
    Need.VERIFY: "the operation that confirms an address",
    Need.MAILBOX: "the mail that the service sends",
}


def gone(needs: Iterable[Need], target: Target) -> Need | None:
    """The first of these needs that the service is known to be without: whatever else is missing matters no more."""
    met = target.met_needs()
    return next(
        (need for need in needs if need not in met and need in target.absent and need not in MEANS), None
    )


# What a login gives, and what is found with it only.
_OF_LOGINS = OF_ACCOUNTS - {Need.TWO_USERS} | {Need.REFRESH, Need.LOGOUT, Need.SESSION_LIST}


def _may_be_given(need: Need, target: Target) -> bool:
    """Whether a login that broke may have met this need: all of them where no other one works."""
    kinds = {carrier.kind for carrier in target.carriers}
    wanted = {Need.COOKIE: Kind.COOKIE, Need.BEARER: Kind.BEARER, Need.TOKEN: Kind.BEARER}.get(need)
    return need in _OF_LOGINS and (not target.logins or wanted in kinds)


def unmet_need(rule: Rule, target: Target) -> Skipped | Inconclusive | None:
    """The first need of a rule that is not met: not applicable with evidence, or not tested with a remedy.

    What a login would have given that broke is no absence: nobody knows what it gives.
    """
    absent = gone(rule.needs, target)
    if absent is not None:
        return Skipped(f"Not applicable: {target.absent[absent]}", applicable=False)
    met = target.met_needs()
    for need in rule.needs:
        if need in met:
            continue
        remedy = target.remedies.get(need, "")
        if target.broken_logins and _may_be_given(need, target):
            told = "; ".join(target.broken_logins)
            return Inconclusive(
                f"It needs {NEEDED[need]}, and what looks like a login broke over a right password: {told}.",
                _MEND,
            )
        if target.nobody_known and need in OF_ACCOUNTS:
            return Skipped(
                "Not tested: it needs an account that can log in, and none is declared or could be registered.",
                remedy,
            )
        return Skipped(f"Not tested: it needs {NEEDED[need]}, not known for this target.", remedy)
    return None
