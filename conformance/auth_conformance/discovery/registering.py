"""How strangers make accounts: found by the shape of the body, believed when the new account logs in."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.logins import attempts, is_repetition, password_of, user_of
from auth_conformance.discovery.names import LAST_SEGMENT, avoided, likeness, mentions, names, rank
from auth_conformance.discovery.sampling import sample
from auth_conformance.discovery.schemas import Field, fields
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Operation, Register, address_of, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Login
    from auth_conformance.transports.message import RawReply


def register_candidates(known: Knowledge, rng: Any) -> list[Register]:
    """The operations that look like registration, likeliest first."""
    found: list[tuple[int, Register]] = []
    logins = known.logins or [attempt.login() for attempt in attempts(known, rng)]
    for operation in known.by_method("POST", "PUT"):
        if "{" in operation.path or operation.protected or avoided(operation, "register"):
            continue
        score = likeness(operation, "register")
        score += 3 if mentions(operation.path + " " + operation.operation_id, names("register")[:6]) else 0
        if not (avoided(operation, "login") or likeness(operation, "login") == LAST_SEGMENT):
            score += _asks_much(operation)
            score += max((_like_login(login, operation) for login in logins), default=0)
        register = described_register(operation, rng) if score else None
        if register is not None:
            found.append((score, register))
    return [register for _, register in sorted(found, key=lambda pair: -pair[0])]


def _asks_much(operation: Operation) -> int:
    """What only a sign-up asks: the password twice, consent, or more about a person than a login needs."""
    members = [item for schema in operation.bodies.values() for item in fields(schema)]
    password = password_of(members)
    user = user_of(members, password) if password else None
    more = any(item.required and item not in (user, password) for item in members)
    twice = any(is_repetition(item) for item in members)
    agreed = any(mentions(item.name, names("fields", "agree")) for item in members)
    return 3 * twice + 2 * agreed + more + ("201" in operation.responses)


def _like_login(login: Login, operation: Operation) -> int:
    """Whether another operation demands the very members of a login: 2 for more besides, 1 for just those."""
    wanted = {login.user_field.rsplit("/", 1)[-1], login.password_field.rsplit("/", 1)[-1]}
    if operation.name == login.operation.name:
        return 0
    demanded = [
        {item.name for item in fields(schema) if item.required} for schema in operation.bodies.values()
    ]
    return max((1 + (wanted < members) for members in demanded if wanted <= members), default=0)


def described_register(operation: Operation, rng: Any) -> Register | None:
    """The registration that an operation's documented body makes; None when it takes no name and password."""
    made = (_candidate(operation, media, schema, rng) for media, schema in operation.bodies.items())
    return next((register for register in made if register is not None), None)


def _candidate(operation: Operation, media: str, schema: Any, rng: Any) -> Register | None:
    encoding = "json" if media.endswith("json") else "form" if "form" in media else ""
    members = fields(schema)
    password = password_of(members)
    user = user_of(members, password) if password else None
    if not encoding or password is None or user is None:
        return None
    made = sample(schema, rng)
    also = [(item.pointer, style) for item in members if (style := _style(item, user, password))]
    return Register(
        operation,
        encoding,
        user.pointer,
        password.pointer,
        "email" if is_email(user) else "name",
        made if isinstance(made, dict) else {},
        tuple(also),
    )


def _style(item: Field, user: Field, password: Field) -> str:
    """How a further member has to follow the user name; "" for one that may be the same for everybody."""
    if item in (user, password):
        return ""
    if is_repetition(item):
        return "password"
    if not item.required:
        return ""
    if is_email(item):
        return "email"
    if rank(item.name, names("fields", "phone")) is not None:
        return "phone"
    return "name" if rank(item.name, names("fields", "unique")) is not None else ""


def is_email(item: Field) -> bool:
    """Whether a member takes an e-mail address."""
    return item.schema.get("format") == "email" or rank(item.name, names("fields", "email")) is not None


def new_account(label: str, run_id: str, register: Register) -> Account:
    """An account to be registered: its name carries the run's id, its password is random."""
    run = re.sub(r"[^a-z0-9]", "", run_id.lower())[:10]
    username = styled(f"ac{run}{label}{secrets.token_hex(2)}", register.user_style)
    password = Secret(f"Qw7!{secrets.token_urlsafe(14)}")
    return Account(label, username, password, expendable=True, email=address_of(username, register))


def other_name(register: Register, account: Account) -> tuple[Register, Account] | None:
    """The same registration seen from the other side: log in by e-mail instead of name, or the reverse."""
    for pointer, style in register.also:
        if style in ("email", "name") and style != register.user_style:
            also = [(name, kind) for name, kind in register.also if name != pointer]
            turned = replace(
                register,
                user_field=pointer,
                user_style=style,
                also=(*also, (register.user_field, register.user_style)),
            )
            return turned, replace(account, username=styled(account.username, style))
    return None


def through(register: Register, logins: Sequence[Login]) -> Register:
    """The registration with the CSRF token that a login needs, where one does: strangers' changes are alike."""
    steps, headers = next((login.passage for login in logins if login.passage[1]), ((), {}))
    return replace(register, before=steps, headers=headers) if headers else register


async def make_account(scout: Scout, register: Register, account: Account) -> RawReply | None:
    """Register an account; the reply if it was granted."""
    if account.password is None:
        return None
    scout.learn(account.password.reveal())
    request = register.request(account.username, account.password)
    reply = (await scout.ask(request, f"register account {account.label}")).reply
    return reply if reply.granted else None
