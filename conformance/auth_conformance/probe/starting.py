"""Whether the service refuses to start without its secrets, or goes on with a guess (checklist SRC102)."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Failed, Inconclusive, Need, Passed, Severity, Verdict, Violation
from auth_conformance.probe.wired import Wired, signs
from auth_conformance.secret import Secret
from auth_conformance.source.launch import (
    Start,
    Started,
    find_spec,
    preloaded,
    randomised,
    secret_variables,
    start_all,
    structured,
)
from auth_conformance.source.words import is_password
from auth_conformance.target import styled

if TYPE_CHECKING:
    from auth_conformance.credentials import Jwt
    from auth_conformance.source.scan import Scan
    from auth_conformance.transports.message import HttpRequest

PLACEHOLDERS = ("changethis", "secret", "None")
# What a service may sign with when it was given nothing.
FALLBACKS = ("", "None", "null", "none", "False")


@dataclass(slots=True)
class Plan:
    """The starts, and what is known before them."""

    names: list[str]
    honest: dict[str, str] = field(repr=False)
    starts: list[Start]
    requests: list[HttpRequest] = field(repr=False)


class Starting(Wired):
    """Without its secrets the service does not start."""

    async def must_refuse_to_start(self) -> Verdict:
        """Start it without each secret, with an empty one, and with placeholders. Raises Missing or Unclear."""
        found = await self.scanned()
        source = self.source
        spec, folder = (
            (source.spec, source.folder) if source.spec and source.folder else find_spec(found.tree)
        )
        if not spec:
            return Inconclusive(
                "The source does not say what starts the service.",
                'app = "module:app"  # or module:factory()',
            )
        names = secret_variables(found.tree)
        if not names:
            return Inconclusive(
                "The source reads no secret from an environment variable (SRC101 looks for others).",
                'source = "path/to/the/package"  # with the settings of the service',
            )
        plan = self._start_plan(names)
        done = await asyncio.to_thread(
            start_all, spec, folder, plan.starts, plan.requests, preloaded(found.tree)
        )
        went = {item.name: item for item in done}
        if not went["honest"].started:
            return Inconclusive(
                f"{spec} does not start in a process of its own even with its secrets ({went['honest'].said}).",
                "# set the variables that it needs in the environment of this run",
            )
        return self._judged_starts(plan, went, found)

    def _start_plan(self, names: list[str]) -> Plan:
        given = dict(os.environ)
        if not any(given.get(name) for name in names):
            # Nobody told us its secrets: made-up ones will do to begin with.
            given |= dict.fromkeys(names, "x")
        honest = randomised(given, names)
        starts = [Start("honest", honest)]
        for name in [name for name in names if honest.get(name)]:
            starts.append(
                Start(f"{name} unset", {key: value for key, value in honest.items() if key != name})
            )
            starts.append(Start(f"{name} empty", {**honest, name: ""}))
            if not structured(honest[name]) and not is_password(name):  # nobody signs with a password
                starts += [Start(f"{name} {text}", {**honest, name: text}) for text in PLACEHOLDERS]
        return Plan([name for name in names if honest.get(name)], honest, starts, self._start_requests())

    def _start_requests(self) -> list[HttpRequest]:
        """A registration and a login: what comes back shows what the service signs with."""
        register, login = self.target.register, self.target.login(Kind.BEARER)
        if register is None or login is None:
            return []
        name, password = (
            styled(f"s{self.scene.run_id}{self.word(6)}", register.user_style),
            Secret(self.password()),
        )
        self.scene.recorder.redactor.learn(password)
        return [register.request(name, password), login.request(name, password)]

    def _token_of_start(self, went: Started) -> Jwt | None:
        login = self.target.login(Kind.BEARER)
        if login is None or len(went.replies) < 2:
            return None
        credential: Credential | None = login.read(went.replies[-1], "s")
        if credential is None:
            return None
        self.scene.recorder.redactor.learn(credential.value)
        return credential.jwt

    def _judged_starts(self, plan: Plan, went: dict[str, Started], found: Scan) -> Verdict:
        violations: list[Violation] = []
        refused: list[str] = []
        notes: list[str] = []
        token = self._token_of_start(went["honest"])
        written = [spot.literal.reveal() for spot in found.of("SRC101") if spot.literal is not None]
        for name in plan.names:
            proven = token is not None and signs(token, plan.honest[name].encode())
            mine = [item for item in went.values() if item.name.startswith(f"{name} ")]
            ways = {item.name.removeprefix(f"{name} "): item for item in mine if item.started}
            if not ways:
                refused.append(name)
            elif proven:
                bad = [self._bad_start(name, way, item, written) for way, item in ways.items()]
                violations += [violation for violation in bad if violation is not None]
            else:
                how = ", ".join(ways)
                notes.append(
                    f"The service starts with {name} {how}, and was not seen to sign anything with it."
                )
        told = tuple(notes)
        if violations:
            return Failed(tuple(violations), notes=told)
        if not refused:
            return Inconclusive(
                "The service starts without its secrets, and none was seen to sign.",
                self._remedy(Need.LOGIN) or "# set the variables with which each start has account a, too",
                notes=told,
            )
        listed = ", ".join(refused)
        count = len(plan.starts) - 1
        reason = f"Of {count} starts, none came up that lacked {listed} or had it guessable."
        return Passed(reason, notes=told)

    def _bad_start(self, name: str, way: str, item: Started, written: list[str]) -> Violation | None:
        token = self._token_of_start(item)
        if way in PLACEHOLDERS:
            if token is None or not signs(token, way.encode()):
                return None
            return Violation(
                None, f"The service starts with {name}={way} and signs tokens with it.", Severity.MEDIUM
            )
        state = f"without {name}" if way == "unset" else f"with an empty {name}"
        if token is None:
            return Violation(None, f"The service starts {state}; only its logins fail.", Severity.LOW)
        for text in (*FALLBACKS, *written):
            if signs(token, text.encode("utf-8", "surrogatepass")):
                what = f"the text {text!r}" if text in FALLBACKS else "a text that stands in its source"
                return Violation(
                    None, f"The service starts {state} and signs tokens with {what}.", Severity.HIGH
                )
        return Violation(
            None, f"The service starts {state} and signs with something that it made up.", Severity.LOW
        )
