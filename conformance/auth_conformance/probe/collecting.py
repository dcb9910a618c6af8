"""Collecting what a service issues, one after the other, to judge whether it can be guessed (KEY107, SES107)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Exchange, Verdict
from auth_conformance.oracles.cookies import parse_set_cookie
from auth_conformance.oracles.cookievalues import readings, sealed
from auth_conformance.oracles.entropy import FEWEST, Sample
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.naming import Naming
from auth_conformance.probe.sessions import Sessions
from auth_conformance.probe.stored import Stored, shown_of
from auth_conformance.probe.unguessable import Unguessable

if TYPE_CHECKING:
    from auth_conformance.target import Account

# Twice as many as the least that shows anything; each costs a request to make, one to use and one to undo.
WANTED = 24


class Collecting(Sessions, Unguessable, Naming, Stored):
    """Makes keys and sessions, and takes them away again."""

    async def must_issue_unguessable_keys(self) -> Verdict:
        """Keys of A and B show no structure and carry enough chance. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None:
            return await self._unguessable_rolled_keys()
        owners = [label for label in ("a", "b") if label in self.target.accounts]
        samples: list[Sample] = []
        proof: list[Exchange] = []
        for number in range(WANTED):
            owner = owners[number % len(owners)]
            try:
                key, answer = await self.make_key(owner, body=self._key_named(keys.template))
            except (Missing, Unclear) as reason:
                self.notes.append(f"{len(samples)} keys, then: {reason}")
                if len(samples) < FEWEST and owner == "b":
                    owners = ["a"]  # B may lack the right that A has
                    continue
                break
            try:
                proof += [answer.exchange] if len(proof) < 2 else []
                words = (await self.names_of(owner))[2:]
                value = key.value.reveal()
                # What lists show of a key is its name, not its secret.
                secret = value.removeprefix(shown_of(value, answer))
                samples.append(self.sample(secret, self.account(owner), *words))
                witness, baseline = await self._key_witness(key)
                await self.must_live(witness, key, baseline, "once")
            finally:
                # At once: services let nobody have many keys at a time.
                await self.revoke_key(answer, owner)
        return await self.must_be_unguessable(samples, "API keys", keys.create.name, proof)

    async def _unguessable_rolled_keys(self) -> Verdict:
        """Keys of two people of ours, of whom each has one at a time. Raises Missing or Unclear."""
        roll = self.target.key_roll
        people = [await self.disposable(f"keys {number}") for number in (1, 2)] if roll is not None else []
        logins = [
            (account, (await self.log_in(account)).credential) for account in people if account is not None
        ]
        if roll is None or not logins:
            raise self.without_keys()
        samples: list[Sample] = []
        proof: list[Exchange] = []
        for number in range(WANTED):
            account, login = logins[number % len(logins)]
            key, answer = await self.roll_key(roll, login)
            proof += [answer.exchange] if len(proof) < 2 else []
            samples.append(self.sample(key.value.reveal(), account))
        witness, baseline = await self._key_witness(key)
        await self.must_live(witness, key, baseline, "once")
        return await self.must_be_unguessable(samples, "API keys", roll.create.name, proof)

    def _key_named(self, template: object) -> dict[str, object]:
        """Give each key a name of its own: some services refuse a second of the same."""
        named = isinstance(template, dict) and isinstance(template.get("name"), str)
        return {"name": f"conformance {self.word(10)}"} if named else {}

    async def must_issue_unguessable_sessions(self) -> Verdict:
        """Session ids show no structure and carry enough chance. Raises Missing or Unclear."""
        login = self.target.login(Kind.COOKIE)
        if login is None:
            raise Missing("No login is known that sets a cookie.", "")
        people = [await self.disposable(f"ids {number}", Kind.COOKIE) for number in (1, 2)]
        made_for_this = [account for account in people if account is not None]
        # The sessions of A and B are not to be crowded out: no more than are needed.
        accounts = made_for_this or [
            account for label in ("a", "b") if (account := self.target.accounts.get(label)) is not None
        ]
        samples: list[Sample] = []
        proof: list[Exchange] = []
        for number in range(WANTED if made_for_this else FEWEST):
            # Two logins of one person in a row, then two of the other.
            account = accounts[number // 2 % len(accounts)]
            try:
                session = await self.log_in(account, Kind.COOKIE)
            except (Missing, Unclear) as reason:
                self.notes.append(f"{len(samples)} sessions, then: {reason}")
                break
            value = session.credential.value.reveal()
            if sealed(value) or any(reading.data is not None for reading in readings(value)):
                raise Missing(
                    "Not applicable: the cookie carries data; SES108 judges that, and SES109 its signature.",
                    applicable=False,
                )
            samples.append(self.sample(value, account))
            if len(proof) < 2:
                proof.append(session.answer.exchange)
        if samples:
            live = await self.credential(Kind.COOKIE)
            await self.must_live(self.witness, live, await self.baseline(self.witness, live), "after")
            samples += await self._of_strangers(login.cookie or "", accounts[0])
        return await self.must_be_unguessable(samples, "session ids", login.operation.name, proof)

    async def _of_strangers(self, name: str, account: Account) -> list[Sample]:
        """What strangers get under the name of the session before they log in."""
        found: list[Sample] = []
        for _ in range(4):
            answer = await self.call(self.witness.operation, label="does a stranger get a session id?")
            for line in answer.reply.header_lines("set-cookie"):
                cookie = parse_set_cookie(line)
                if cookie is not None and cookie.name == name and len(cookie.value) > 4:
                    found.append(self.sample(cookie.value, account))
            if not found:
                break
        return found
