"""What the source says about secrets, packages and routes, held against the service that runs."""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import (
    Failed,
    Inconclusive,
    Passed,
    Provenance,
    Role,
    Severity,
    SourceLine,
    Verdict,
    Violation,
)
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.sources import Sources
from auth_conformance.source.packages import DATED, NAMES, outdated, pinned, vulnerable
from auth_conformance.source.routing import guarding_middleware, routes
from auth_conformance.source.rules.standards import handlers
from auth_conformance.source.wiring import hand_reads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_conformance.credentials import Jwt
    from auth_conformance.source.routing import Route
    from auth_conformance.source.tree import Spot
    from auth_conformance.target import Operation

# Operations that strangers need, by the words of their path: to get in, to come back, to see what there is.
_OPEN = re.compile(
    r"log-?_?in|sign-?_?(?:in|up)|token|regist|refresh|reset|forgot|recover|verif|confirm|activat|resend|invit|oauth|oidc|"
    r"callback|authori[sz]e|sso|saml|health|ready|live|status|ping|version|metrics|docs|redoc|openapi|jwks|well-known|favicon|"
    r"static|assets|webhook|csrf|logout|sign-?_?out|public|info$",
    re.IGNORECASE,
)
_FOR_FEW = re.compile(r"(?:^|/)(?:admin|internal|management|manage|debug)(?:/|$)", re.IGNORECASE)
# What asks each route whether it lets strangers in, whoever guards it.
_ASKED = 'only = ["AUZ112"]  # it asks the routes themselves'
_MALFORMED = b'{"a":'


class Wired(Sources):
    """Secrets stay out of the source, packages are sound, and every route is guarded."""

    async def must_keep_secrets_out(self) -> Verdict:
        """No secret stands in the source; one that the running service uses is the worst."""
        tokens = await self._token_for_secrets()
        keys = {key.secret.reveal() for key in self.target.signing_keys if key.symmetric}

        def graver(spot: Spot) -> Severity | None:
            if spot.literal is None:
                return None
            text = spot.literal.reveal()
            used = text in keys or (
                tokens is not None and signs(tokens, text.encode("utf-8", "surrogatepass"))
            )
            return Severity.CRITICAL if used else None

        verdict = await self.must_hold_in_source("No secret is written in the source", graver=graver)
        if isinstance(verdict, Failed):
            worst = [item for item in verdict.violations if item.severity is Severity.CRITICAL]
            told = tuple(
                replace(item, message=f"{item.message.rstrip('.')}, and the running service signs with it.")
                if item in worst
                else item
                for item in verdict.violations
            )
            return replace(verdict, violations=told)
        return verdict

    async def _token_for_secrets(self) -> Jwt | None:
        try:
            return (await self.credential(Kind.BEARER)).jwt if Kind.BEARER in self.kinds() else None
        except (Missing, Unclear):
            return None

    async def must_use_sound_packages(self) -> Verdict:
        """No package that authentication stands on has a known flaw. Raises Missing or Unclear."""
        found = await self.scanned()
        packages = pinned(found.tree, installed=self.target.in_process)
        if not packages:
            if self.target.in_process or not found.tree.imported() & {
                "jwt",
                "jose",
                "authlib",
                "fastapi",
                "passlib",
            }:
                return Passed(f"None of the {len(NAMES)} packages that the table knows is used.")
            return Inconclusive(
                "No lock file or requirements file beside the source fixes the versions of its packages.",
                'app = "module:app"  # run in this process: what is installed is then asked',
            )
        spots = list(vulnerable(packages))
        if spots:
            return Failed(tuple(self._package_violation(spot) for spot in spots))
        listed = ", ".join(f"{item.name} {item.version}".strip() for item in packages.values())
        if outdated():
            return Inconclusive(
                f"No known flaw in {listed}, but the table is of {DATED}.",
                "pip install -U fastapi-auth-conformance",
            )
        return Passed(f"No known flaw in {listed} (table of {DATED}).")

    def _package_violation(self, spot: Spot) -> Violation:
        source = SourceLine(spot.path, spot.line) if spot.path else None
        return Violation(None, spot.message, spot.severity, source=source)

    async def must_guard_every_route(self) -> Verdict:
        """Every route that others of its kind are guarded like depends on a guard. Raises Missing or Unclear."""
        violations = await self._hand_rolled()
        guards = self.target.guards
        if not guards:
            return await self._guarded_by_source(violations)
        guarded = {self._route_kind(name) for name, listed in guards.items() if listed}
        bare = [name for name, listed in guards.items() if not listed and not self._route_is_open(name)]
        accused = [
            name
            for name in bare
            if self._route_kind(name) in guarded or _FOR_FEW.search(name.partition(" ")[2])
        ]
        refused, asked = [], []
        for name in accused:
            violation = await self._confirmed_bare(name)
            if violation is None:
                refused.append(name)
            elif self._may_be_for_all(name, guards):
                asked.append(name)
            else:
                violations.append(violation)
        notes = self._route_notes(bare, accused, refused)
        if violations:
            return Failed(tuple(violations), tuple(self.evidence), notes)
        if asked:
            names = ", ".join(f'"{name}"' for name in asked)
            return Inconclusive(
                f"{asked[0]} depends on nothing that looks at a credential; whoever writes there must show one"
                + (f" (and {len(asked) - 1} more)." if len(asked) > 1 else "."),
                f"[policy]\npublic_operations = [{names}]  # those of them that are meant for strangers",
                tuple(self.evidence),
                notes,
            )
        if refused or (self.target.middleware and not any(guards.values())):
            by = f" ({', '.join(self.target.middleware)})" if self.target.middleware else ""
            return Inconclusive(
                f"Something other than a dependency guards {len(refused) or len(bare)} routes{by}: AUZ112 asks them.",
                _ASKED,
                tuple(self.evidence),
                notes,
            )
        count = sum(bool(listed) for listed in guards.values())
        if not count:
            return Inconclusive(
                "No route depends on anything that looks at a credential.", _ASKED, notes=notes
            )
        return Passed(
            f"{count} of {len(guards)} routes depend on a guard; the others are open by their kind.",
            notes=notes,
        )

    async def _guarded_by_source(self, violations: list[Violation]) -> Verdict:
        """Without a loaded application: what the source alone shows, confirmed where the service can be asked."""
        tree = (await self.scanned()).tree if self.target.source is not None else None
        listed = routes(tree) if tree is not None else []
        remedy = 'app = "module:app"  # the dependency tree of the loaded application shows all of it'
        if tree is None or not listed:
            if violations:
                return Failed(tuple(violations))
            raise Missing(
                "Not tested: no FastAPI application is loaded here, and no route is in the source.", remedy
            )
        closed = [item for item in listed if item.guarded]
        # Beside it: in the same router, or in the same collection.
        owners = {item.owner for item in closed} | {self._route_kind(item.name) for item in closed}
        bare = [item for item in listed if item.guarded is False and not self._route_is_open(item.name)]
        elsewhere = guarding_middleware(tree)
        refused: list[str] = []
        for item in bare:
            if item.module.suppressed(item.function.lineno, "SRC112"):
                continue
            near = {item.owner, self._route_kind(item.name)} & owners or _FOR_FEW.search(item.path)
            known = self._by_source(item)
            status = await self._stranger_status(known) if known is not None else None
            if status in {401, 403} or not near or (elsewhere and status is None):
                refused.append(item.name)
                continue
            spot = item.module.spot(
                "SRC112",
                item.function,
                f"{item.name} depends on nothing that looks at a credential, and others beside it do"
                + (" (static only)." if status is None else f"; a stranger got {status}."),
            )
            violations.append(self.violation_at(spot, Severity.HIGH))
        notes = tuple(f"{name} has no guard in the source, and was not accused." for name in refused[:30])
        if violations:
            return Failed(tuple(violations), tuple(self.evidence), notes)
        unknown = [
            item.name for item in listed if item.guarded is None and not self._route_is_open(item.name)
        ]
        if unknown or refused or not closed:
            told = f"{len(unknown) + len(refused)} of {len(listed)} routes" if closed else "Every route"
            reason = f"{told} may be guarded by something that the source does not show (static only)."
            return Inconclusive(reason, remedy, tuple(self.evidence), notes)
        reason = f"{len(closed)} of {len(listed)} routes in the source depend on a guard; the others are open by kind."
        return Passed(reason, tuple(self.evidence), (*notes, "static only: no application was loaded"))

    def _by_source(self, route: Route) -> Operation | None:
        """The operation that a route of the source is: the one that ends so, when it is the only one."""
        found = [
            item
            for item in self.target.operations
            if item.method == route.method and item.path.endswith(route.path or "/")
        ]
        return found[0] if len(found) == 1 else None

    def _route_notes(self, bare: list[str], accused: list[str], refused: list[str]) -> tuple[str, ...]:
        told = [
            f"{name} has no guard among its dependencies, nor a sibling with one."
            for name in bare
            if name not in accused
        ]
        told += [
            f"{name} has no guard among its dependencies, and refuses strangers all the same."
            for name in refused
        ]
        return tuple(told[:30])

    @staticmethod
    def _route_kind(name: str) -> str:
        """The collection that an operation belongs to: its path up to the first parameter."""
        return name.partition(" ")[2].split("/{")[0].rstrip("/")

    def _may_be_for_all(self, name: str, guards: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether it reads what only writing is guarded of, as a catalogue does: no list of keys, nothing for few."""
        kind = self._route_kind(name)
        closed = {
            other.partition(" ")[0] for other, by in guards.items() if by and self._route_kind(other) == kind
        }
        keys = self.target.keys
        of_keys = keys is not None and self._route_kind(keys.create.name) == kind
        for_few = of_keys or _FOR_FEW.search(kind) is not None
        return name.startswith("GET ") and "GET" not in closed and bool(closed) and not for_few

    def _route_is_open(self, name: str) -> bool:
        path = name.partition(" ")[2]
        return (
            name in self.target.flows() | self.target.policy.public_operations
            or path in {"", "/"}
            or bool(_OPEN.search(path))
        )

    async def _confirmed_bare(self, name: str) -> Violation | None:
        """Ask as a stranger where that does no harm; None when the stranger is refused."""
        operation = self.target.operation(name)
        message = f"{name} depends on nothing that looks at a credential"
        if operation is None:
            return Violation(name, f"{message} (static only).")
        status = await self._stranger_status(operation)
        if status in {401, 403}:
            return None
        if status is None or operation.method == "DELETE":
            said = " (static only)"
        elif 200 <= status < 300:
            said = f", and answered {status} to a stranger"
        else:
            said = f", and a stranger got as far as {status}"
        return Violation(
            name, f"{message}{said}.", source=operation.source, evidence=tuple(self.evidence[-1:])
        )

    async def _stranger_status(self, operation: Operation) -> int | None:
        if (
            operation.method not in {"GET", "POST", "PUT", "PATCH"}
            or operation.provenance is Provenance.GUESSED
        ):
            return None
        request = operation.request(
            {item.name: self._path_text(item.schema) for item in operation.parameters if item.place == "path"}
        )
        if operation.method != "GET":
            if "application/json" not in operation.bodies:
                return None  # it might do something
            # A body that no schema takes: whoever is guarded refuses before it is read.
            request = replace(request.with_json({}), body=_MALFORMED)
        answer = await self.send(
            request, label=f"{operation.name} as a stranger", role=Role.ATTACK, operation=operation.name
        )
        return answer.status

    def _path_text(self, schema: object) -> str:
        kind = schema.get("type") if isinstance(schema, dict) else None
        if isinstance(schema, dict) and schema.get("format") == "uuid":
            return f"{self.rng.getrandbits(32):08x}-0000-4000-8000-{self.rng.getrandbits(48):012x}"
        return str(self.rng.randrange(10**6, 10**7)) if kind == "integer" else self.word(12)

    async def _hand_rolled(self) -> list[Violation]:
        if self.target.source is None:
            return []
        found = await self.scanned()
        violations: list[Violation] = []
        for module, function in handlers(found.tree):
            for node, name in hand_reads(module, function):
                spot = module.spot(
                    "SRC112", node, f"The handler {function.name} reads the credential {name} itself."
                )
                if not module.suppressed(spot.line, "SRC112") and not _OPEN.search(function.name):
                    violations.append(self.violation_at(spot, Severity.MEDIUM))
        return violations


def signs(token: Jwt, secret: bytes) -> bool:
    """Whether this HMAC secret made the signature of the token."""
    name = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}.get(token.algorithm)
    return name is not None and hmac.compare_digest(
        hmac.digest(secret, token.signing_input, name), token.signature
    )
