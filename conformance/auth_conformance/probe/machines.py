"""Clients that people make for their programs: what an id and a secret give, and for how long (RFC 6749 §4.4)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.model import Exchange, Role, Severity, Violation
from auth_conformance.oracles.pointer import resolve
from auth_conformance.oracles.scopes import ScopeMember, may_include, scope_member, scopes_of
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.owning import shown_in
from auth_conformance.probe.sessions import Sessions
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.target import Clients, Operation


@dataclass(frozen=True, slots=True)
class Client:
    """A client of A's: its id, its secret, what paths call it, and the answer that told them."""

    name: str
    secret: Secret
    number: str
    made: Answer


class Machines(Sessions):
    """Makes clients, has them log in, and takes them back."""

    @property
    def clients(self) -> Clients:
        """How clients are made. Raises Missing."""
        found = self.target.clients
        if found is None:
            raise Missing("Not applicable: people make no clients for programs here.", applicable=False)
        return found

    def scopes_of_clients(self) -> ScopeMember | None:
        """The member of a client's creation that says what it may do."""
        bodies = self.target.clients.create.bodies.values() if self.target.clients is not None else ()
        member = scope_member(next(iter(bodies), {}).get("properties", {}))
        return None if member is not None and member.single else member

    @contextlib.asynccontextmanager
    async def client(
        self, body: Mapping[str, object] | None = None, owner: str = "a"
    ) -> AsyncIterator[Client]:
        """A client for as long as it is needed. Raises Unclear."""
        clients = self.clients
        login = await self.credential(self._login_kind(), owner)
        made = await self.call(
            clients.create,
            login,
            label=f"make a client of {owner}",
            body={**clients.template, **(body or {})},
        )
        name, secret = (resolve(made.reply.json, pointer) for pointer in (clients.name, clients.secret))
        if not made.reply.ok or not isinstance(name, str) or not isinstance(secret, str):
            raise Unclear(f"{clients.create.name} made no client ({made.why or made.status}).")
        self.scene.recorder.redactor.learn(Secret(secret))
        number = resolve(made.reply.json, clients.identifier) if clients.identifier else name
        client = Client(name, Secret(secret), str(number), made)
        try:
            yield client
        finally:
            await self.taken_back(client, login)

    async def taken_back(self, client: Client, login: Credential) -> Answer | None:
        """Delete a client; None where nothing does."""
        clients = self.clients
        if clients.revoke is None:
            return None
        values = clients.revoke.naming(client.number)
        return await self.call(clients.revoke, login, label="take the client back", values=values)

    async def exchanged(
        self, name: str, secret: Secret, label: str, role: Role, scopes: Iterable[str] = ()
    ) -> tuple[Answer, Credential | None]:
        """What the token endpoint gives for an id and a secret."""
        login = self.clients.login
        asked = " ".join(scopes)
        way = replace(login, template={**login.template, "scope": asked}) if asked else login
        request = way.request(name, secret)
        answer = await self.send(request, label=label, role=role, operation=login.operation.name)
        credential = login.read(answer.reply, "a")
        if credential is not None:
            self.scene.recorder.redactor.learn(credential.value)
        return answer, credential

    async def lets_in(self, client: Client, label: str) -> Credential:
        """The control: the right secret gives a token that opens what clients open. Raises Unclear."""
        answer, token = await self.exchanged(client.name, client.secret, f"control: {label}", Role.CONTROL)
        if token is None:
            name = self.clients.login.operation.name
            raise Unclear(f"{name} refused a client's right secret ({answer.why or answer.status}).")
        return token

    async def wrong_secrets_taken(self) -> list[Violation]:
        """What gets a token in the place of the secret, twice each. Raises Missing or Unclear."""
        found: list[Violation] = []
        async with self.client() as mine, self.client() as other:
            await self.lets_in(mine, "the right secret")
            for label, wrong in _wrong(mine.secret.reveal(), other.secret.reveal()).items():
                self.scene.recorder.redactor.learn(Secret(wrong))
                proofs: list[Exchange] = []
                for turn in ("", "again: "):
                    answer, token = await self.exchanged(mine.name, Secret(wrong), turn + label, Role.ATTACK)
                    if token is None:
                        self.must_have_refused(answer, proofs)
                        break
                    proofs.append(answer.exchange)
                else:
                    name = self.clients.login.operation.name
                    message = f"{name} gave a token for a client's id and {label}."
                    found.append(Violation(name, message, Severity.CRITICAL, tuple(proofs)))
            if not found:
                await self.lets_in(mine, "the right secret, after all")
        return found

    async def ended_clients_taken(self) -> list[Violation]:
        """What a client that was taken back still gets. Raises Missing or Unclear."""
        if self.clients.revoke is None:
            raise Missing("Not tested: no operation takes a client back.")
        proofs: list[Exchange] = []
        login = await self.credential(self._login_kind())
        for turn in ("", "again: "):
            async with self.client() as mine, self.client() as other:
                token = await self.lets_in(mine, "a client before its end")
                gone = await self.taken_back(mine, login)
                if gone is None or not gone.reply.ok:
                    raise Unclear(f"{self.clients.revoke.name} took no client back.")
                label = f"{turn}the secret of a client that was taken back"
                answer, again = await self.exchanged(mine.name, mine.secret, label, Role.ATTACK)
                await self.lets_in(other, "another client of the same owner")
                seen = await self.call(
                    self.clients.opens, token, label="a token of before, after the end of its client"
                )
            if seen.reply.ok:
                self.notes.append("a token of before was still taken: such tokens live until they expire")
            if again is None:
                self.must_have_refused(answer, proofs)
                return []
            proofs += [gone.exchange, answer.exchange]
        name = self.clients.login.operation.name
        message = (
            f"{name} gave a token for the secret of a client that {self.clients.revoke.name} had taken back."
        )
        return [Violation(name, message, Severity.HIGH, tuple(proofs))]

    async def replaced_secrets_taken(self) -> list[Violation]:
        """What the secret of before gets once a client has another. Raises Missing or Unclear."""
        rotate = self.clients.renew
        if rotate is None:
            raise Missing("Not applicable: no operation gives a client another secret.", applicable=False)
        proofs: list[Exchange] = []
        login = await self.credential(self._login_kind())
        for turn in ("", "again: "):
            async with self.client() as mine:
                await self.lets_in(mine, "a client before its secret is replaced")
                values = rotate.naming(mine.number)
                changed = await self.call(rotate, login, label="replace the secret", values=values)
                fresh = resolve(changed.reply.json, self.clients.secret)
                if not changed.reply.ok or not isinstance(fresh, str) or fresh == mine.secret.reveal():
                    raise Unclear(f"{rotate.name} gave no new secret ({changed.why or changed.status}).")
                self.scene.recorder.redactor.learn(Secret(fresh))
                answer, token = await self.exchanged(
                    mine.name, mine.secret, f"{turn}the secret of before", Role.ATTACK
                )
                await self.lets_in(replace(mine, secret=Secret(fresh)), "the new secret")
                if token is None:
                    self.must_have_refused(answer, proofs)
                    return []
                proofs += [changed.exchange, answer.exchange]
        message = f"{rotate.name} replaces a client's secret, and the one before still gets a token."
        return [Violation(rotate.name, message, Severity.HIGH, tuple(proofs))]

    async def secrets_shown_again(self) -> list[Violation]:
        """Where a client's secret stands after its creation, twice. Raises Missing or Unclear."""
        pages = list(self._showing())
        if not pages:
            raise Missing("Not applicable: nothing shows a client after its creation.", applicable=False)
        found, read = [], 0
        login = await self.credential(self._login_kind())
        async with self.client() as mine:
            for operation in pages:
                answers = [
                    await self.call(
                        operation,
                        login,
                        label=f"{turn}read it",
                        role=Role.ATTACK,
                        values=operation.naming(mine.number),
                    )
                    for turn in ("", "again: ")
                ]
                shown = [answer for answer in answers if answer.reply.ok and mine.name in answer.reply.text]
                read += len(shown) == len(answers)
                if all(shown_in(mine.secret.reveal(), answer) for answer in shown) and shown == answers:
                    message = f"{operation.name} shows a client's secret again after its creation."
                    proofs = tuple(answer.exchange for answer in answers)
                    found.append(Violation(operation.name, message, None, proofs))
        if not read:
            names = " and ".join(operation.name for operation in pages)
            raise Unclear(f"{names} did not show a client that has just been made.")
        return found

    def _showing(self) -> Iterator[Operation]:
        """What lists clients, and what shows one."""
        path = self.clients.create.path.rstrip("/")
        for operation in self.target.reads():
            here = operation.path.rstrip("/")
            if here == path or (
                here.startswith(f"{path}/{{") and here.endswith("}") and here.count("{") == 1
            ):
                yield operation

    async def granted_more(self, declared: Iterable[str]) -> list[Violation]:
        """Whether a client that was made with one scope is granted another one for the asking, twice."""
        member = self.scopes_of_clients()
        if member is None or not member.known:
            return []
        # What may hold the other one in it gives it by right.
        pairs = (
            (kept, wanted)
            for kept in member.known
            for wanted in (*member.known, *declared)
            if not may_include(kept, wanted)
        )
        narrow, wanted = next(pairs, ("", ""))
        if not wanted:
            return []
        kept = [narrow]
        proofs: list[Exchange] = []
        async with self.client({member.name: member.written(kept)}) as mine:
            await self.lets_in(mine, f"a client for {kept[0]} only")
            for turn in ("", "again: "):
                label = f"{turn}it asks for {wanted}, too"
                answer, token = await self.exchanged(
                    mine.name, mine.secret, label, Role.ATTACK, (*kept, wanted)
                )
                claims = dict(token.jwt.claims) if token is not None and token.jwt is not None else None
                if token is None or wanted not in scopes_of(answer.reply.json, claims):
                    return []
                proofs.append(answer.exchange)
        name = self.clients.login.operation.name
        message = f"{name} grants {wanted} to a client that was made for {kept[0]} only, for the asking."
        return [Violation(name, message, Severity.HIGH, tuple(proofs))]


def _wrong(secret: str, other: str) -> dict[str, str]:
    """What is not the secret, by what it is called."""
    last = "a" if secret[-1] != "a" else "b"
    found = {
        "another client's secret": other,
        "an empty secret": "",
        "the first half of its secret": secret[: len(secret) // 2],
        "its secret with another last character": secret[:-1] + last,
        "its secret in the other case": secret.swapcase(),
        "its secret with more behind it": secret + "x",
    }
    return {what: text for what, text in found.items() if text != secret}
