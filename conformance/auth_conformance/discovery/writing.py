"""What was found, for people: the editable file that `init` writes, and the table that `doctor` prints."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auth_conformance.discovery.access import labelled
from auth_conformance.discovery.gaps import REMEDIES
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.model import Fact, Need
    from auth_conformance.settings import AccountSettings, Settings
    from auth_conformance.target import KeyManagement, Login, Objects, Refresh, Register, Target, Witness

Line = tuple[str, Any, str]
_WIDEST = 76


def as_toml(target: Target, settings: Settings) -> str:
    """The text of an `auth-conformance.toml` that leads to this target again, each line with its reason.

    Secrets stand in it by the names of their environment variables only.
    """
    head = "# Written by `auth-conformance init`. Each line says why it is believed; change what is wrong.\n"
    parts = [head, _table("", list(_top(target, settings)))]
    parts += _accounts(target, settings)
    parts += [_table("[login]", _login(target, item)) for item in target.logins]
    parts += _flows(target)
    parts += _signing(target, settings)
    parts += _policy(settings)
    return "\n".join(parts + _wanted(target))


def _top(target: Target, settings: Settings) -> Iterator[Line]:
    yield target.kind, target.address, "what you gave"
    if settings.openapi is not None:
        yield "openapi", settings.openapi, "what you gave"
    if settings.database is not None:
        yield "database", {"env": settings.database.env}, "what you gave"
    elif settings.db is not None:
        yield "db", settings.db, "what you gave"
    if settings.source is not None:
        yield "source", settings.source, "what you gave"
    if target.public is not None:
        yield "public", target.public.name, _why(target, "public operation")
    if target.logouts:
        named = list(dict.fromkeys(item.operation.name for item in target.logouts))
        yield "logout", named, _why(target, "logout")


def _flows(target: Target) -> Iterator[str]:
    if target.witness is not None:
        yield _table("witness", list(_witness(target, target.witness, "witness")))
    if target.second is not None:
        yield _table("second", list(_witness(target, target.second, "second protected operation")))
    if target.refresh is not None:
        yield _table("refresh", _refresh(target, target.refresh))
    if target.register is not None:
        yield _table("register", _register(target, target.register))
    if target.keys is not None:
        yield _table("keys", _keys(target, target.keys))
    if target.objects is not None:
        yield _table("objects", _objects(target, target.objects))


def _wanted(target: Target) -> list[str]:
    """What was not found, commented out, with the lines that would supply it."""
    parts = []
    for need in target.remedies:
        if need not in target.absent:
            lines = "\n".join(f"#     {line}" for line in target.remedies[need].splitlines())
            parts.append(f"# {need.value}\n{lines}\n")
    advice = [f"# {fact.because}; {fact.value}\n" for fact in target.facts if fact.name == "refusals"]
    return [*advice, *(["# Not found. What each would need:\n", *parts] if parts else [])]


def _why(target: Target, name: str) -> str:
    found: list[Fact] = [fact for fact in target.facts if fact.name == name]
    if not found:
        return "guessed"
    because = f": {found[0].because}" if found[0].because else ""
    return found[0].provenance.value + because


def _accounts(target: Target, settings: Settings) -> list[str]:
    parts = []
    given = labelled(settings.accounts)
    for label, account in target.accounts.items():
        if account.expendable or label not in given:
            parts.append(
                f"# Account {label} is registered by each run itself: {_why(target, 'account ' + label)}.\n"
            )
            continue
        table, item = given[label]
        parts.append(_table(f"accounts.{table}", list(_account(item, label))))
    return parts


def _account(item: AccountSettings, label: str) -> Iterator[Line]:
    if item.username:
        yield "username", item.username, "what you gave"
    for name in ("password", "token", "key", "cookie"):
        secret = getattr(item, name)
        if secret is not None:
            yield name, {"env": secret.env}, "what you gave"
    yield "role", label, "its part in the checks"


def _login(target: Target, login: Login) -> list[Line]:
    why = _why(target, "login")
    carrier = " ".join(
        part for part in (login.carrier.place, login.carrier.name, login.carrier.prefix) if part
    )
    lines: list[Line] = [
        ("operation", login.operation.name, why),
        ("encoding", login.encoding, "what it accepted"),
        ("user_field", login.user_field, "where the user name goes"),
        ("password_field", login.password_field, "where the password goes"),
    ]
    for name, value, reason in (
        ("token", login.token, "where the reply holds the token"),
        ("refresh", login.refresh, "where the reply holds the refresh token"),
        ("cookie", login.cookie, "the cookie that authenticates"),
        ("csrf", login.csrf, "where the reply holds the CSRF token"),
    ):
        if value is not None:
            lines.append((name, value, reason))
    lines.append(("carrier", carrier, "the credential opened a protected operation so"))
    extra = _without(login.template, (login.user_field, login.password_field))
    return [*lines, *([("extra", extra, "further members that the body needs")] if extra else [])]


def _without(template: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """A template without the members that are replaced anyway: samples of secrets confuse the reader."""
    heads = {field.strip("/").split("/")[0] for field in fields}
    return {key: value for key, value in template.items() if key not in heads and value is not None}


def _witness(target: Target, witness: Witness, fact: str) -> Iterator[Line]:
    yield "operation", witness.operation.name, _why(target, fact)
    if witness.identity:
        yield "identity", witness.identity, "what stands there names the caller"


def _refresh(target: Target, refresh: Refresh) -> list[Line]:
    return [
        ("operation", refresh.operation.name, _why(target, "refresh")),
        ("place", refresh.place, "where the refresh token is accepted"),
        ("field", refresh.field, "the name that it has there"),
        ("token", refresh.token, "where the reply holds the new token"),
        ("refresh", refresh.refresh or "", "where the reply holds the next refresh token; empty for none"),
    ]


def _register(target: Target, register: Register) -> list[Line]:
    lines: list[Line] = [
        ("operation", register.operation.name, _why(target, "register")),
        ("encoding", register.encoding, "what it accepted"),
        ("user_field", register.user_field, "where the user name goes"),
        ("password_field", register.password_field, "where the password goes"),
        ("user_style", register.user_style, "an e-mail address or a plain name"),
    ]
    following = [name for name, _ in register.also]
    extra = _without(register.template, (register.user_field, register.password_field, *following))
    return [*lines, *([("extra", extra, "further members that the body needs")] if extra else [])]


def _keys(target: Target, keys: KeyManagement) -> list[Line]:
    carrier = keys.carriers[0]
    lines: list[Line] = [
        ("create", keys.create.name, _why(target, "API keys")),
        ("body", dict(keys.template), "a body that was accepted"),
        ("value", keys.value, "where the reply holds the key"),
        ("identifier", keys.identifier or "", "where the reply names the key"),
        (
            "carrier",
            " ".join(part for part in (carrier.place, carrier.name, carrier.prefix) if part),
            "the key opened so",
        ),
    ]
    for name, operation in (("listing", keys.listing), ("revoke", keys.revoke)):
        if operation is not None:
            lines.append((name, operation.name, "it belongs to the same collection"))
    if keys.expiry_field is not None:
        lines.append(("expiry_field", keys.expiry_field, "named or formatted like an end of life"))
    return lines


def _objects(target: Target, objects: Objects) -> list[Line]:
    lines: list[Line] = [
        ("create", objects.create.name, _why(target, "objects")),
        ("read", objects.read.name, "what was created was read back here"),
        ("body", dict(objects.template), "a body that was accepted"),
        ("text_field", objects.text_field, "it takes free text"),
        ("identifier", objects.identifier, "where the reply names the object"),
    ]
    return [*lines, *([("delete", objects.delete.name, "it deleted the object")] if objects.delete else [])]


def _signing(target: Target, settings: Settings) -> list[str]:
    for key in target.signing_keys:
        declared = settings.signing
        name = declared.key.env if declared is not None else key.source.removeprefix("environment variable ")
        if Secret(os.environ.get(name, "")) != key.secret:
            continue
        lines: list[Line] = [
            ("key", {"env": name}, _why(target, "signing key")),
            ("algorithm", key.algorithm, "what the tokens say"),
        ]
        if key.key_id is not None:
            lines.append(("key_id", key.key_id, "what the tokens say"))
        return [_table("signing", lines)]
    return []


def _policy(settings: Settings) -> list[str]:
    given = settings.policy.model_dump(exclude_defaults=True)
    lines = [(name, value, "what you declared") for name, value in given.items()]
    return [_table("policy", lines)] if lines else []


def _table(name: str, lines: Sequence[Line]) -> str:
    head = f"[{name}]\n" if name else ""
    return head + "".join(
        f"{key} = {_value(value)}  # {' '.join(why.split())}\n" for key, value, why in lines
    )


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Mapping():
            inner = ", ".join(
                f"{_key(str(key))} = {_value(item)}" for key, item in value.items() if item is not None
            )
            return "{ " + inner + " }" if inner else "{}"
        case list() | tuple():
            return "[" + ", ".join(_value(item) for item in value if item is not None) + "]"
        case _:
            return _text(str(value))


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _text(name)


def _text(text: str) -> str:
    """A TOML basic string: quotes, backslashes and control characters escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"'
        + "".join(f"\\u{ord(char):04x}" if char < " " or char == "\x7f" else char for char in escaped)
        + '"'
    )


def doctor(target: Target, needs: Mapping[Need, Sequence[str]]) -> str:
    """A table of what is known, and what is missing: the checks that need it, and the lines that supply it.

    `needs` gives the codes of the checks that depend on each need.
    """
    rows = [(fact.name, _cut(fact.value), fact.provenance.value, fact.because) for fact in target.facts]
    widths = [max([len(row[place]) for row in rows] + [5]) for place in range(3)]
    heads = ("fact", "value", "source")
    lines = ["  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()]
    lines.append("  ".join("-" * width for width in widths))
    for row in rows:
        text = "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)).rstrip()
        lines.append(text + (f"  ({row[3]})" if row[3] else ""))
    met = target.met_needs()
    gone = [(need, codes) for need, codes in needs.items() if need in target.absent and codes]
    if gone:
        lines += ["", "Does not apply here:"]
        lines += [f"  {need.value}: {target.absent[need]} ({', '.join(codes)})" for need, codes in gone]
    missing = [
        (need, codes)
        for need, codes in needs.items()
        if need not in met and need not in target.absent and codes
    ]
    if missing:
        lines += ["", "Missing:"]
    for need, codes in missing:
        lines.append(f"  {need.value}: {', '.join(codes)} cannot run without it. Add:")
        lines += [f"      {line}" for line in target.remedies.get(need, REMEDIES[need]).splitlines()]
    if not missing:
        lines += ["", "Nothing is missing."]
    return "\n".join(lines) + "\n"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
