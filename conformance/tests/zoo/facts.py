"""What is known beforehand about each service of the zoo, and how much of it a target knows.

A file of facts gives each fact its value, a list where several are right, and "" where the service has no such
thing. A fact is found, missing (nothing was found), or wrong (something else was found).
"""

import asyncio
import importlib
import os
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.people import MAIL, PEOPLE

from auth_conformance.credentials import Kind
from auth_conformance.discovery import discover
from auth_conformance.settings import Settings, load
from auth_conformance.target import Login, Target
from auth_conformance.transports.http import HttpTransport
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor

HERE = Path(__file__).parent


@dataclass
class Animal:
    """A service with what is expected of it. `confirmed` are findings with the sentence that confirms each."""

    name: str
    service: str
    people: str
    facts: dict[str, Any]
    lines: dict[str, Any] = field(default_factory=dict)
    confirmed: dict[str, str] = field(default_factory=dict)

    def accounts(self) -> dict[str, Any]:
        """The accounts that a person would write down; secrets go into the environment."""
        match self.people:
            case "none":
                return {}
            case "key":
                keys = importlib.import_module(self.service).KEYS
                secrets, kind = {name: keys[name] for name in PEOPLE}, "key"
            case "mail":
                secrets, kind = MAIL, "password"
            case _:
                secrets, kind = PEOPLE, "password"
        given = {}
        for label, (name, secret) in zip("ab", secrets.items(), strict=True):
            os.environ[f"ZOO_{label.upper()}_{kind.upper()}"] = secret
            given[label] = {"username": name, kind: {"env": f"ZOO_{label.upper()}_{kind.upper()}"}}
        return given


def animals() -> list[Animal]:
    found = []
    for file in sorted(HERE.glob("*.toml")):
        data = tomllib.loads(file.read_text("utf-8"))
        found.append(Animal(file.stem.removesuffix("_app"), **data))
    return found


def settings_for(animal: Animal, start: Path, **more: Any) -> Settings:
    return load({"accounts": animal.accounts(), **animal.lines, **more}, start=start)


def learn(animal: Animal, url: str, start: Path) -> tuple[Target, int]:
    """What discovery finds out from the address and the accounts alone, and how many requests it took."""
    settings = settings_for(animal, start)

    async def main() -> tuple[Target, int]:
        transport = HttpTransport(url, agent="zoo")
        recorder = Recorder(transport, Redactor())
        try:
            target = await discover(recorder, settings, kind="url", address=url, app=None, run_id="zoo1")
        finally:
            await transport.close()
        return target, recorder.sent

    return asyncio.run(main())


def _login(target: Target, animal: Animal) -> Login | None:
    wanted = _right(animal.facts.get("login", ""))
    return next(
        (login for login in target.logins if login.operation.name in wanted), next(iter(target.logins), None)
    )


def _named(item: Any) -> str | None:
    return None if item is None else item.operation.name


def observed(target: Target, animal: Animal) -> dict[str, str | None]:
    """The facts of a target, under the names that the files use."""
    login, cookie = _login(target, animal), target.login(Kind.COOKIE)
    keys, objects = target.keys, target.objects
    said = [fact.value for fact in target.facts if fact.name == "document"]
    document = said[0].partition(":")[0] if said and target.has_document else None
    basic = any(Kind.BASIC in account.ready for account in target.accounts.values())
    carrier = login.carrier if login else next(iter(target.carriers), None)
    revoke = keys.revoke if keys else None
    parts: dict[str, Callable[[], Any]] = {
        "document": lambda: document,
        "login": lambda: "HTTP Basic" if basic else _named(login),
        "encoding": lambda: login.encoding if login else None,
        "user_field": lambda: login.user_field if login else None,
        "password_field": lambda: login.password_field if login else None,
        "token": lambda: login.token if login else None,
        "cookie": lambda: (cookie.cookie or cookie.carrier.name) if cookie else None,
        "csrf": lambda: login.csrf if login else None,
        "carrier": lambda: str(carrier) if carrier else None,
        "witness": lambda: _named(target.witness),
        "identity": lambda: (target.witness.identity or None) if target.witness else None,
        "second": lambda: _named(target.second),
        "public": lambda: target.public.name if target.public else None,
        "register": lambda: _named(target.register),
        "refresh": lambda: _named(target.refresh),
        "refresh_field": lambda: target.refresh.field if target.refresh else None,
        "logout": lambda: _named(next(iter(target.logouts), None)),
        "delete_account": lambda: target.delete_account.name if target.delete_account else None,
        "password_change": lambda: _named(target.password_change and target.password_change.form),
        "keys": lambda: keys.create.name if keys else None,
        "key_value": lambda: keys.value if keys else None,
        "key_carrier": lambda: str(keys.carriers[0]) if keys else None,
        "key_revoke": lambda: revoke.name if revoke else None,
        "create": lambda: objects.create.name if objects else None,
        "read": lambda: objects.read.name if objects else None,
        "update": lambda: objects.update.name if objects and objects.update else None,
        "delete": lambda: objects.delete.name if objects and objects.delete else None,
        "listing": lambda: objects.listing.name if objects and objects.listing else None,
        "identifier": lambda: objects.identifier if objects else None,
        "public_keys": lambda: str(len(target.public_keys)) if target.public_keys else None,
        "first_step": lambda: _named(next(iter(getattr(login, "before", ())), None)),
    }
    return {name: parts[name]() for name in animal.facts}


def _right(expected: Any) -> list[str]:
    return expected if isinstance(expected, list) else [expected]


@dataclass
class Marks:
    """How one service came out."""

    name: str
    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    requests: int = 0

    def line(self) -> str:
        total = len(self.found) + len(self.missing) + len(self.wrong)
        rest = [f"missing {name}" for name in self.missing] + [f"WRONG {text}" for text in self.wrong]
        return f"{self.name:<12} {len(self.found):>2} of {total:>2}  {self.requests:>3} requests  {', '.join(rest)}".rstrip()


def compare(animal: Animal, target: Target, requests: int) -> Marks:
    marks = Marks(animal.name, requests=requests)
    for name, value in observed(target, animal).items():
        right = _right(animal.facts[name])
        if value is not None and value.startswith("text ") and "text" in right:
            value = "text"
        if value in right or (value is None and "" in right):
            marks.found.append(name)
        elif value is None:
            marks.missing.append(name)
        else:
            marks.wrong.append(f"{name}: {value}, not {' or '.join(right) or 'anything'}")
    return marks


def total(every: Iterator[Marks] | list[Marks]) -> str:
    listed = list(every)
    found, wrong = sum(len(one.found) for one in listed), sum(len(one.wrong) for one in listed)
    asked = found + wrong + sum(len(one.missing) for one in listed)
    share = 100 * found / asked if asked else 0.0
    return f"{len(listed)} services: {found} of {asked} facts found ({share:.1f} %), {wrong} wrong"
