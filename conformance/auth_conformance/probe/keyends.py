"""`must_revoke_keys`: API keys that are revoked or replaced, and how long they live on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential
from auth_conformance.model import (
    Exchange,
    Need,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.pointer import resolve
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.holdings import NAMES, Holding, Holdings, told_once
from auth_conformance.probe.machines import Machines
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth_conformance.target import Account, KeyManagement, Operation

# A revoked key may work so long where a cache is declared by nobody, in seconds (checklist LIF103).
CACHED = 5.0
# When a key that still works is asked again, in seconds after its revocation.
LATER = (1.0, 5.0, 6.0, 12.0)
MUCH_LATER = (30.0, 61.0)
WARM = 10
CONNECTIONS = 20
# With two workers, six connections in a row all meet the one that knows once in 64 times.
WORKERS = 6
# Members of a key's record that switch it on or off, and the last part of paths that do.
ON, OFF = (
    ("is_active", "active", "enabled", "is_enabled"),
    ("disabled", "is_disabled", "revoked", "is_revoked"),
)
SWITCHING = ("disable", "deactivate", "suspend", "revoke")
# Bodies by which a service may bring a revoked key back to life.
REVIVING: tuple[dict[str, object], ...] = (
    {"revoked": False, "is_active": True},
    {"is_active": True},
    {"active": True},
    {"revoked_at": None},
    {"enabled": True},
)


@dataclass(frozen=True, slots=True)
class Made:
    """A key that this run made: the credential, and what revocation calls it."""

    credential: Credential
    identifier: str


class KeyEnds(Holdings):
    """Revokes keys of its own, and uses them again."""

    async def must_revoke_keys(self) -> Verdict:
        """A revoked key must stop working at once, everywhere; its siblings go on. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None and self.target.key_roll is not None:
            return await self._replaced(self.target.key_roll)
        if keys is None and self.target.clients is not None:
            doubts: list[str] = []
            found = await self._clients_ended(doubts)
            name = self.target.clients.login.operation.name
            return self.decided(
                told_once(found), doubts, f"{name} gave nothing for the secret of an ended client."
            )
        if keys is None:
            raise self.without_keys()
        if keys.revoke is None:
            raise Missing(
                "No operation that revokes an API key is known.",
                self.target.remedies.get(Need.KEY_MANAGEMENT, ""),
            )
        account = await self.disposable("keys") or self.account()
        login = await self._keeper(account)
        violations: list[Violation] = []
        doubts = []
        first, second = await self._make(login), await self._make(login)
        for _ in range(WARM):
            await self._must_open(first, "before")
        await self._must_open(second, "before")
        for carrier in keys.carriers:
            await self.baseline(self.witness, first.credential.moved_to(carrier))
        foreign = await self._revoked_by_another(keys.revoke, doubts)
        revoked = await self._revoke(keys.revoke, first, login)
        violations += foreign
        violations += await self._dies(keys.revoke, first, revoked, "revoked", doubts)
        if not violations:
            violations += await self._revived(keys.revoke, first, login)
        await self._must_open(second, "after its sibling was revoked")
        if not violations:
            violations += await self._rotated(keys, second, login, doubts)
        if not violations:
            violations += await self._switched_off(keys.revoke, login, doubts)
        violations += await self._clients_ended(doubts) if self.target.clients is not None else []
        reason = (
            f"After {keys.revoke.name} the key was refused at once, {CONNECTIONS} times over new connections "
            "and later; another key of the user went on."
        )
        return self.decided(told_once(violations), doubts, reason)

    async def _clients_ended(self, doubts: list[str]) -> list[Violation]:
        """What clients get whose end has come, or whose secret was replaced."""
        machines, found = Machines(self.scene, self.rule), list[Violation]()
        for ended in (machines.ended_clients_taken, machines.replaced_secrets_taken):
            with self.doubting(doubts):
                try:
                    found += await ended()
                except Missing as reason:
                    self.notes.append(str(reason))
        self.notes += machines.notes
        self.evidence += machines.evidence
        return found

    async def _replaced(self, roll: KeyManagement) -> Verdict:
        """Where accounts have one key each, a new one ends the one before it. Raises Missing or Unclear."""
        account = await self.disposable("keys")
        if account is None:
            raise Missing(
                f"{roll.create.name} ends the API key of its caller, and nobody can be registered to lose one.",
                self.target.remedies.get(Need.REGISTER, ""),
            )
        login = (await self.log_in(account)).credential
        first = Made((await self.roll_key(roll, login))[0], "")
        for _ in range(WARM):
            await self._must_open(first, "before")
        credential, answer = await self.roll_key(roll, login)
        second = Made(credential, "")
        await self._must_open(second, "after it was made")
        doubts: list[str] = []
        violations = await self._dies(roll.create, first, answer, "replaced", doubts)
        await self._must_open(second, "after")
        reason = (
            f"After {roll.create.name} the key before was refused at once, {CONNECTIONS} times over new "
            "connections and later; the new one went on."
        )
        return self.decided(told_once(violations), doubts, reason)

    async def _keeper(self, account: Account) -> Credential:
        """What this account makes keys with: a login of its own, or the key that it has where nobody logs in."""
        if not self.target.logins:
            return await self.credential(self._login_kind(), account.label)
        return (await self.log_in(account)).credential

    async def _make(self, login: Credential) -> Made:
        credential, identifier = await self.key_of(login)
        if identifier is None:
            raise Unclear("The reply that makes a key does not name it: nothing can be revoked.")
        return Made(credential, identifier)

    async def _must_open(self, made: Made, when: str) -> None:
        baseline = await self.baseline(self.witness, made.credential)
        await self.must_live(self.witness, made.credential, baseline, when)

    async def _revoke(self, revoke: Operation, made: Made, login: Credential) -> Answer:
        answer = await self.call(revoke, login, label="revoke the key", values=revoke.naming(made.identifier))
        if not answer.reply.ok:
            raise Unclear(f"{revoke.name} revoked nothing ({answer.why or answer.status}).")
        return answer

    async def _dies(
        self, operation: Operation, made: Made, ended: Answer, how: str, doubts: list[str]
    ) -> list[Violation]:
        """Use the key on many connections and in every place, then later, for as long as it works."""
        started = time.monotonic()
        keys = self.target.keys or self.target.key_roll
        places = keys.carriers if keys is not None else ()
        answers: list[Answer] = []
        for number in range(CONNECTIONS):
            moved = made.credential.moved_to(places[number % len(places)]) if places else made.credential
            answers.append(await self._replay_once(self.witness, moved, f"{how} key, use {number + 1}"))
        accepted = [answer for answer in answers if answer.accepted and not by_cache(answer.reply)]
        last = time.monotonic() - started if accepted else 0.0
        known = list(answers)
        for moment in (*LATER, *(() if self.target.in_process else MUCH_LATER)):
            if not any(answer.accepted for answer in known):
                break
            await asyncio.sleep(max(0.0, moment - (time.monotonic() - started)))
            # Several together: one worker may know what another has not heard of, and one that is idle takes all.
            label = f"{how} key, {moment:g} s later"
            known = await asyncio.gather(
                *(self._replay_once(self.witness, made.credential, label) for _ in range(WORKERS))
            )
            answers += known
            alive = [answer for answer in known if answer.accepted and not by_cache(answer.reply)]
            accepted += alive
            last = time.monotonic() - started if alive else last
        doubts += [
            f"{answer.exchange.label}: {answer.why}"
            for answer in answers
            if not answer.accepted and not answer.rejected
        ]
        if not accepted:
            await asyncio.sleep(self._logout_pause)
            late = await self._replay_once(self.witness, made.credential, f"{how} key, some seconds later")
            return [] if late.rejected else await self._came_back(operation, made, late, doubts)
        if last <= CACHED:
            self.notes.append(
                f"the {how} key was accepted for {last:.1f} s more: a cache of {CACHED:g} s is allowed"
            )
            return []
        bounded = not any(answer.accepted for answer in known)
        until = f"until {last:.0f} s afterwards" if bounded else f"still {last:.0f} s afterwards"
        message = f"A {how} API key was accepted {len(accepted)} times, {until}."
        severity = Severity.MEDIUM if bounded and last <= 60 else Severity.HIGH
        proofs: tuple[Exchange, ...] = (ended.exchange, accepted[0].exchange, accepted[-1].exchange)
        return [Violation(operation.name, message, severity, proofs)]

    async def _came_back(
        self, operation: Operation, made: Made, late: Answer, doubts: list[str]
    ) -> list[Violation]:
        again = await self._replay_once(self.witness, made.credential, f"again: {late.exchange.label}")
        for answer in (late, again):
            if not answer.accepted or by_cache(answer.reply):
                doubts.append(f"{answer.exchange.label}: {answer.why}")
                return []
        proofs = (late.exchange, again.exchange)
        return [Violation(operation.name, "A revoked API key came back to life.", None, proofs)]

    async def _revived(self, revoke: Operation, made: Made, login: Credential) -> list[Violation]:
        """Ask to take the revocation back, in the ways in which services change a key."""
        changes = [
            operation
            for operation in self.target.operations
            if operation.method in ("PATCH", "PUT") and operation.path == revoke.path
        ]
        for operation in changes:
            for body in REVIVING:
                answer = await self.call(
                    operation,
                    login,
                    label=f"un-revoke with {min(body)}",
                    values=operation.naming(made.identifier),
                    body=body,
                )
                if answer.reply.ok:
                    found = await self.presented(
                        Holding(NAMES[made.credential.carrier.kind], made.credential), "un-revoked"
                    )
                    if found.accepted:
                        message = f"{operation.name} brought a revoked API key back to life."
                        return [Violation(operation.name, message, None, (answer.exchange, *found.proofs))]
        return []

    async def _revoked_by_another(self, revoke: Operation, doubts: list[str]) -> list[Violation]:
        """Let another user revoke a key: it must go on."""
        owner, other = await self.disposable("another user"), await self.disposable("keys")
        if owner is None or other is None:
            # The key is of this run: whoever's it is, nothing of theirs is lost.
            owner, other = self.target.accounts.get("a"), self.target.accounts.get("b")
        if owner is None or other is None:
            self.notes.append("whether a stranger may revoke a key was not seen: there is no second user")
            return []
        holder = await self._keeper(owner)
        theirs = await self._make(holder)
        await self._must_open(theirs, "before another user's revocation")
        stranger = await self._keeper(other)
        proofs: list[Exchange] = []
        for _ in range(2):
            answer = await self.call(
                revoke,
                stranger,
                label="another user revokes the key",
                role=Role.ATTACK,
                values=revoke.naming(theirs.identifier),
            )
            after = await self._replay_once(
                self.witness, theirs.credential, "control: the key of another user", Role.CONTROL
            )
            if after.accepted:
                return []
            if not after.rejected:
                doubts.append(f"a key after another user's revocation: {after.why}")
                return []
            proofs += [answer.exchange, after.exchange]
            theirs = await self._make(holder)
        message = f"{revoke.name} revoked the API key of another user."
        return [Violation(revoke.name, message, None, tuple(proofs))]

    def _switches(self, revoke: Operation) -> Iterator[tuple[Operation, dict[str, object] | None]]:
        """What switches a key off without deleting it: a member of its record, or an operation of that name."""
        for operation in self.target.operations:
            if operation.path == revoke.path and operation.method in ("PATCH", "PUT"):
                properties = next(iter(operation.bodies.values()), {}).get("properties") or {}
                switch = next((name for name in properties if name.lower() in (*ON, *OFF)), None)
                if switch is not None:
                    yield operation, {switch: switch.lower() in OFF}
            last = operation.path.removeprefix(f"{revoke.path}/").lower()
            if operation.method in ("POST", "PUT") and last in SWITCHING:
                yield operation, None

    async def _switched_off(self, revoke: Operation, login: Credential, doubts: list[str]) -> list[Violation]:
        """A key that is switched off, and shown as such, is as dead as one that is deleted."""
        for operation, body in self._switches(revoke):
            made = await self._make(login)
            await self._must_open(made, "before it is switched off")
            values = operation.naming(made.identifier)
            whole = body
            if body is not None and operation.method == "PUT" and self.target.keys is not None:
                whole = {**self.target.keys.template, **body}
            answer = await self.call(operation, login, label="switch the key off", values=values, body=whole)
            if not answer.reply.ok or (body is not None and not await self._shows(revoke, made, login, body)):
                self.notes.append(f"{operation.name} switched no key off ({answer.status})")
                continue
            found = await self._dies(operation, made, answer, "switched off", doubts)
            if found:
                return found
        return []

    async def _shows(self, revoke: Operation, made: Made, login: Credential, body: dict[str, object]) -> bool:
        """Whether the record of the key, or the list, shows what was set (RR)."""
        keys = self.target.keys
        reading = next(
            (item for item in self.target.operations if (item.method, item.path) == ("GET", revoke.path)),
            keys.listing if keys is not None else None,
        )
        if reading is None:
            return False
        values = reading.naming(made.identifier)
        shown = await self.call(reading, login, label="read the key's record", values=values)
        records = [item for item in _objects(shown.reply.json) if made.identifier in map(str, item.values())]
        return any(all(item.get(name) == value for name, value in body.items()) for item in records)

    async def _rotated(
        self, keys: KeyManagement, made: Made, login: Credential, doubts: list[str]
    ) -> list[Violation]:
        """Replace a key: the old value must die, the new one live."""
        base = (keys.revoke or keys.create).path
        rotate = next(
            (
                operation
                for operation in self.target.operations
                if operation.method in ("POST", "PUT")
                and operation.path.startswith(f"{base}/")
                and any(
                    word in operation.path.rpartition("/")[2]
                    for word in ("rotate", "regenerate", "renew", "roll")
                )
            ),
            None,
        )
        if rotate is None:
            return []
        answer = await self.call(rotate, login, label="rotate the key", values=rotate.naming(made.identifier))
        value = resolve(answer.reply.json, keys.value)
        if not answer.reply.ok or not isinstance(value, str) or value == made.credential.value.reveal():
            self.notes.append(f"{rotate.name} gave no new key ({answer.status})")
            return []
        self.scene.recorder.redactor.learn(Secret(value))
        fresh = replace(made, credential=replace(made.credential, value=Secret(value)))
        await self._must_open(fresh, "after the rotation")
        return await self._dies(rotate, made, answer, "rotated", doubts)


def _objects(document: object) -> Iterator[dict[str, object]]:
    """Every object in a JSON document."""
    if isinstance(document, dict):
        yield document
    for item in (
        document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    ):
        yield from _objects(item)
