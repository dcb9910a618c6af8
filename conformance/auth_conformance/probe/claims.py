"""`must_ignore_claims`: what a client says about itself outside its credential changes nothing."""

from __future__ import annotations

import contextlib
import re
import tomllib
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from auth_conformance.model import Expectation, Passed, Role, Verdict, Violation
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.guarded import Guarded, privileged_reads
from auth_conformance.probe.refusal import Attempt, Refusal
from auth_conformance.source.words import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Operation

# Words of headers that do not tell whose or what they name.
_SAYS_NOTHING = frozenset({"x", "id", "forwarded", "auth", "request", "remote"})
# Words of those that ask for something else than the name or the number of a person.
_BESIDES = frozenset({"email", "mail", "tenant", "org", "organization", "account", "workspace"})
# What may stand in a header as it is.
_HEADER = re.compile(r"[!-~](?:[ -~]{0,98}[!-~])?")
# Members of the caller's own account that say what they may do.
_RIGHTS = ("role", "admin", "scope", "permission", "staff", "superuser", "group", "privilege")


@cache
def _listed() -> Mapping[str, Mapping[str, Sequence[object]]]:
    text = resources.files("auth_conformance").joinpath("data", "identity_claims.toml").read_text("utf-8")
    return tomllib.loads(text)


def headers_naming(facts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Every header in which clients say who or where they are, filled from what is known of somebody.

    `facts` are values by the pointer of a page about them: `X-Tenant-Id` takes `/tenant_id`, what finds nothing of its
    own takes the first of them.
    """
    first = next(iter(facts.values()), "")
    return tuple((str(name), _fitting(str(name), facts) or first) for name in _listed()["headers"]["names"])


def _fitting(name: str, facts: Mapping[str, str]) -> str:
    """The fact that a header or a parameter asks for by its name: an address, a tenant; "" where there is none."""
    own = set(words(name)) - _SAYS_NOTHING
    found = (value for pointer, value in facts.items() if own & set(words(pointer.rsplit("/", 1)[-1])))
    return next(found, "")


class Claims(Refusal, Guarded):
    """Adds claims about identity, role and place to requests that are otherwise plain."""

    async def must_ignore_claims(self) -> Verdict:
        """Strangers stay strangers and A stays A, whoever a header, cookie or parameter names."""
        live, other = await self.credential(), await self.credential(owner="b")
        called, facts = await self._names_shown(other)
        claims = self._claims(called, facts, await self._ranks_shown())
        verdict = await self.must_refuse(claims, credential=live)
        if not isinstance(verdict, Passed):
            return verdict
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before claims of another identity")
        guarded = await self._guarded(live)
        violations: list[Violation] = []
        doubts: list[str] = []
        for claim in claims:
            await self.paced()
            outcome = await self._claimed(replace(claim, credential=live), baseline)
            if isinstance(outcome, Violation):
                violations.append(outcome)
            elif outcome:
                doubts.append(outcome)
        if guarded is not None:
            violations += await self._opened(guarded, claims, live)
        await self.must_live(self.witness, live, baseline, "after claims of another identity")
        reason = f"{len(claims)} claims of an identity, role or place let no stranger in and changed nothing for A."
        return self.decided(violations, doubts, reason)

    async def _names_shown(self, other: Credential) -> tuple[list[str], dict[str, str]]:
        """Return what the witness calls B, by name and by identifier, and what it says of B by pointer."""
        baseline = await self.baseline(self.witness, other)
        answer = await self.call(self.witness.operation, other, label="what is b called?")
        found = [
            str(value)
            for pointer, value in flattened(answer.reply.json).items()
            if pointer.rsplit("/", 1)[-1] in ("id", "user_id", "uuid", "sub")
            and isinstance(value, (str, int))
        ]
        name, account = baseline.principal, self.account("b")
        facts = {
            pointer: str(value)
            for pointer, value in flattened(answer.reply.json).items()
            if isinstance(value, (str, int)) and not isinstance(value, bool) and _HEADER.fullmatch(str(value))
        }
        address = {"/email": account.address} if "@" in account.address else {}
        return list(dict.fromkeys([name or account.username, *found[:1]])), facts | address

    async def _ranks_shown(self) -> list[str]:
        """Return what the rank of an administrator is called: as the witness shows it, where there is one."""
        if "admin" not in self.target.accounts:
            return []
        try:
            admin = await self.credential(owner="admin")
        except (Missing, Unclear):
            return []
        answer = await self.call(
            self.witness.operation, admin, label="what is the rank of an administrator called?"
        )
        own = await self.call(self.witness.operation, await self.credential(), label="and that of A?")
        mine, rights = flattened(own.reply.json), _rights(answer)
        found: list[str] = []
        for pointer, value in flattened(answer.reply.json).items():
            if value is True and mine.get(pointer) is False:
                # `staff: true` says that the rank is called staff.
                found.append(pointer.rsplit("/", 1)[-1].removeprefix("is_"))
            elif pointer in rights and isinstance(value, str) and value and mine.get(pointer) != value:
                found.append(value)
        found = [word for word in found if word.lower() != "admin"]
        return list(dict.fromkeys(found))[:1]

    @staticmethod
    def _claims(called: Sequence[str], facts: Mapping[str, str], ranks: Sequence[str]) -> list[Attempt]:
        """List the claims, one each in header, cookie and query. `called` is B's name, then B's identifier.

        What asks for something else by its name, an address or a tenant, takes that of the `facts` about B. `ranks`
        are further names of what `admin` means.
        """
        listed = _listed()
        found: list[Attempt] = []
        for place, table in listed.items():
            # A name that says so takes an identifier, the others take the name that people are called by.
            pairs = [
                (name, (_fitting(name, facts) if not _BESIDES.isdisjoint(words(name)) else "") or plain)
                for name in map(str, table["names"])
                for plain in (called[-1 if "id" in name.lower() else 0],)
            ]
            pairs += [(str(pair[0]), str(pair[1])) for pair in table["pairs"] if isinstance(pair, list)]
            pairs += [(name, rank) for name, value in pairs if value == "admin" for rank in ranks]
            for name, value in pairs:
                label = (
                    f"{name}: {value}" if place == "headers" else f"{place.removesuffix('s')} {name}={value}"
                )
                match place:
                    case "headers":
                        found.append(Attempt(label, headers=((name, value),)))
                    case "cookies":
                        found.append(Attempt(label, headers=(("Cookie", f"{name}={value}"),)))
                    case _:
                        found.append(Attempt(label, query=((name, value),)))
        found.append(Attempt("Host: localhost", headers=(("Host", "localhost"),), core=False))
        return found

    async def _claimed(self, claim: Attempt, baseline: Baseline) -> Violation | str | None:
        """Ask as A with one claim: who the service thinks it serves, and with which rights, twice."""
        proofs: list[Answer] = []
        told = ""
        for prefix in ("", "again: "):
            attempt = replace(claim, label=f"{prefix}A with {claim.label}")
            answer = await self.attempt(self.witness, attempt, baseline, fresh=bool(prefix))
            told = self._taken_for(answer, baseline)
            if not told:
                if prefix:
                    return f"A with {claim.label}: believed once, then not"
                unclear = not answer.accepted and not answer.rejected and claim.core
                return f"A with {claim.label}: {answer.why}" if unclear else None
            proofs.append(answer)
        operation = self.witness.operation.name
        message = f"{operation} believed {claim.label} beside A's own credential: {told}."
        return Violation(operation, message, None, tuple(answer.exchange for answer in proofs))

    def _taken_for(self, answer: Answer, baseline: Baseline) -> str:
        """Return what the claim changed about A; "" when nothing."""
        if not answer.accepted:
            return ""
        principal = answer.exchange.reply.principal
        if principal is not None and principal != baseline.principal:
            return f"it served {principal}"
        own = self._own_rights
        if own is None:
            return ""
        now = _rights(answer)
        different = next((pointer for pointer, value in own.items() if now.get(pointer) != value), None)
        return f"{different} became another" if different is not None else ""

    _own_rights: Mapping[str, object] | None = None

    async def _guarded(self, live: Credential) -> Operation | None:
        """Return an operation for administrators that refuses A; learn A's own rights on the way. Raises Unclear."""
        plain = await self.call(
            self.witness.operation, live, label="control: A without claims", role=Role.CONTROL
        )
        if not plain.reply.ok:
            raise Unclear(
                f"{self.witness.operation.name} refused a live credential ({plain.why or plain.status})."
            )
        self._own_rights = _rights(plain)
        if "admin" in self.target.accounts:
            with contextlib.suppress(Missing, Unclear):
                return (await self.guarded_read())[0]
        for operation in privileged_reads(self.target):
            answer = await self.call(
                operation, live, label=f"control: A at {operation.name}", role=Role.CONTROL
            )
            if answer.status in (401, 403, 404):
                return operation
        return None

    async def _opened(
        self, operation: Operation, claims: Sequence[Attempt], live: Credential
    ) -> list[Violation]:
        """Ask for what administrators see, with each claim of a role or a place."""
        # Whose they name matters to nobody here: roles and places might open it.
        listed = [
            str(pair[0]) for table in _listed().values() for pair in table["pairs"] if isinstance(pair, list)
        ]
        for claim in (
            item
            for item in claims
            if {name for name, _ in (*item.headers, *item.query)} & {*listed, "Cookie"}
        ):
            await self.paced()
            answers = []
            for prefix in ("", "again: "):
                answer = await self.call(
                    operation,
                    live,
                    label=f"{prefix}A at {operation.name} with {claim.label}",
                    role=Role.ATTACK,
                    headers=claim.headers,
                    query=claim.query,
                    fresh=bool(prefix),
                )
                if not answer.reply.ok:
                    break
                answers.append(answer)
            else:
                message = f"{operation.name} refused A, and answered A with {claim.label}."
                proof = tuple(item.exchange for item in answers)
                return [Violation(operation.name, message, None, proof, Expectation("refused"))]
        return []


def _rights(answer: Answer) -> dict[str, object]:
    return {
        pointer: value
        for pointer, value in flattened(answer.reply.json).items()
        if any(word in pointer.lower() for word in _RIGHTS)
    }
