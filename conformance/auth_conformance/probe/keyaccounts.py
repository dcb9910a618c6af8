"""What a key does to the account of its owner: its password, its address, its other keys (checklist KEY110)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.model import Expectation, Role, Violation
from auth_conformance.oracles.pointer import resolve, strings
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.gaps import outlasted
from auth_conformance.probe.keylevels import KeyLevels, Narrow
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import KeyManagement

_ADDRESS = ("email", "username", "login")


class KeyAccounts(KeyLevels):
    """Tries with a key what only the person may do."""

    async def revokes_another(self, keys: KeyManagement, narrow: list[Narrow]) -> None:
        """Whether one key of A ends another: noted, since neither has more rights after it."""
        revoke = keys.revoke
        if revoke is None or len(narrow) < 2 or not keys.id_parameter:
            return
        one, other = narrow[0], narrow[-1]
        number = resolve(other.answer.reply.json, keys.identifier) if keys.identifier else None
        if number is None:
            return
        answer = await self.by_key(
            revoke,
            one.credential,
            label="a key revokes another key of its owner",
            values={keys.id_parameter: str(number)},
        )
        if answer.reply.ok:
            self.notes.append(
                f"a key with only {one.scope or 'what it comes with'} can revoke other keys of its owner"
            )

    async def account_by_key(self, tried: list[str], doubts: list[str]) -> list[Violation]:
        """Change password and address of an account made for it, by its key, without the current password."""
        account = await self.disposable("keys")
        if account is None:
            self.notes.append("no password was changed by key: nobody can register here")
            return []
        session = await self.sign_in(account, self._login_kind())
        try:
            key, _ = await self.key_of(session.credential)
        except (Missing, Unclear) as reason:
            self.notes.append(f"no password was changed by key: {reason}")
            return []
        violations: list[Violation] = []
        change = self.target.password_change
        if change is not None:
            new = Secret(self.password())
            self.scene.recorder.redactor.learn(new)
            request = change.request(None, new).with_headers(*key.headers).with_query(*key.query)
            name = change.form.operation.name

            async def changed() -> Answer:
                return await self.send(
                    request, label="change the password by key", role=Role.ATTACK, operation=name
                )

            answer = await outlasted(self, await changed(), changed)
            self.unjudged(answer, doubts)
            tried.append("a new password")
            after, login = await self.try_login(account, new, label="log in with the new password")
            self.unjudged(after, doubts)
            if login.read(after.reply, account.label) is not None:
                self.scene.forget(
                    ("disposable", "keys", None)
                )  # others would log in with the password that was
                message = f"{name} set a new password for a key, without the current one."
                proof = (answer.exchange, after.exchange)
                violations.append(Violation(name, message, None, proof, Expectation("refused")))
        return violations + await self._address_by_key(key, session.credential, tried, doubts)

    async def _address_by_key(
        self, key: Credential, login: Credential, tried: list[str], doubts: list[str]
    ) -> list[Violation]:
        """Change the address at the profile; what the owner reads there afterwards counts (RR)."""
        # Keys may have a witness of their own: the profile of people is where people are named.
        page = self.witness_for(login, self.witness).operation
        profile = next(
            (
                operation
                for operation in self.target.operations
                if operation.method in ("PATCH", "PUT") and operation.path == page.path
            ),
            None,
        )
        if profile is None:
            return []
        known = next(iter(profile.bodies.values()), {}).get("properties", {})
        address = f"{self.word(12)}@example.com"
        body = {name: address for name in _ADDRESS if name in known}
        if not body:
            return []
        answer = await self.by_key(profile, key, label="change the address by key", body=body)
        seen = await self.call(page, login, label="the owner reads the profile")
        self.unjudged(answer, doubts)
        if not seen.reply.ok:
            doubts.append(f"{page.name} did not show its owner the profile ({seen.why or seen.status}).")
        tried.append("a new address")
        if address in strings(seen.reply.json).values():
            message = f"{profile.name} changed the address of its owner for a key."
            proof = (answer.exchange, seen.exchange)
            return [Violation(profile.name, message, None, proof, Expectation("refused"))]
        return []
