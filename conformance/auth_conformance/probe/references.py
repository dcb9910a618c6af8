"""Cookies that carry data, and cookies that refer to it (checklist SES108, SES109)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from auth_conformance.credentials import Jwt, Kind
from auth_conformance.model import (
    Failed,
    Inconclusive,
    Need,
    Passed,
    Role,
    Severity,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.carried import Carried, carried
from auth_conformance.oracles.cookievalues import readings, sealed
from auth_conformance.oracles.disclosure import Search
from auth_conformance.oracles.pointer import strings
from auth_conformance.oracles.signed import crack, later, sign, unseal
from auth_conformance.probe.core import Answer, Missing, Session, Unclear
from auth_conformance.probe.guessing import Guess, Guessing, cookie_secrets, guess
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.sessions import Sessions
from auth_conformance.probe.stored import Stored
from auth_conformance.secret import Secret
from auth_conformance.storage import StorageError
from auth_conformance.storage_changes import erase

if TYPE_CHECKING:
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.target import Account


class References(Sessions, Guessing, Stored):
    """Looks into the value of the session cookie, and at what stands behind it."""

    async def must_refer_to_the_server(self) -> Verdict:
        """The cookie says nothing, and ends with what it refers to. Raises Missing or Unclear."""
        if self.target.login(Kind.COOKIE) is None:
            raise Missing("No login is known that sets a cookie.", self.target.remedies.get(Need.COOKIE, ""))
        account = await self.disposable("references", Kind.COOKIE) or self.account()
        session = await self.sign_in(account, Kind.COOKIE)
        baseline = await self.baseline(self.witness, session.credential)
        await self._session_opens(session, baseline, "before")
        told = await self._carried_by(account, session)
        if told is not None:
            again = await self._carried_by(
                account, await self.sign_in(account, Kind.COOKIE, [session.credential])
            )
            if again is None:
                told = None
            elif not again.redeemable:
                return self._legible(session, told)
        form = sealed(session.credential.value.reveal())
        ended, unclear = await self._ends_on_the_server(
            account, session, baseline, encrypted=form is not None
        )
        if isinstance(ended, str):
            # A service that lets nobody in any more refuses what was ended as well.
            fresh = await self.sign_in(account, Kind.COOKIE, [session.credential])
            await self._session_opens(fresh, baseline, "after")
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if isinstance(ended, Violation):
            return Failed((ended,), evidence, notes)
        if told is not None and ended is None:
            # Ids of a token and its account, and nobody saw that a server looks them up: that is the session itself.
            return self._legible(session, told)
        if ended is None:
            remedy = self.target.remedies.get(Need.DATABASE, "") or 'database = { env = "DATABASE_URL" }'
            what = f"the cookie is {form}, and " if form else ""
            return Inconclusive(f"{what}{unclear}", remedy, evidence, notes)
        says = "only ids that chance made" if told is not None else "nothing legible"
        return Passed(f"The cookie says {says}, and {ended}.", evidence, notes)

    async def _session_opens(self, session: Session, baseline: Baseline, when: str) -> None:
        answer = await self.attempt(
            self.witness,
            Attempt(f"control {when}: the session", session.credential),
            baseline,
            role=Role.CONTROL,
        )
        if not answer.accepted:
            raise Unclear(f"A new session was not accepted {when} ({answer.why}).")

    async def _carried_by(self, account: Account, session: Session) -> Carried | None:
        """What the cookie carries, compared with what the service knows of its owner."""
        seen = await self.call(
            self.witness.operation, session.credential, label="what does the service know of its user?"
        )
        known = [str(value) for value in strings(seen.reply.json).values()]
        found = readings(session.credential.value.reveal())
        return carried(found, (account.username, account.username.partition("@")[0], *known))

    def _legible(self, session: Session, told: Carried) -> Verdict:
        login = self.target.login(Kind.COOKIE)
        name = login.operation.name if login is not None else None
        severity = Severity.HIGH if told.grave else None
        message = f"{name} puts data into the session cookie that everybody can read ({told.words})."
        violation = Violation(name, message, severity, (session.answer.exchange,))
        return Failed((violation,), tuple(self.evidence), tuple(self.notes))

    async def _ends_on_the_server(
        self, account: Account, session: Session, baseline: Baseline, *, encrypted: bool
    ) -> tuple[Violation | str | None, str]:
        """Whether the cookie dies with what it refers to; None with the reason when that was not seen."""
        unclear = "no logout ends it, and the database of the service is not known."
        if not encrypted:
            logout = next((item for item in self.target.logouts if item.kind is Kind.COOKIE), None)
            if logout is not None:
                await self.call(logout.operation, session.credential, label="log out")
                if not account.expendable:
                    self.forget_shared(account)
                after = await self._replayed(session, baseline, "the cookie after its logout")
                if after.rejected:
                    return "a copy of it does not survive the logout", ""
                unclear = f"a copy of it survives the logout ({after.why}), which LIF101 judges."
        if self.target.database is None:
            return None, unclear
        return await self._forgotten(account, baseline)

    async def _replayed(self, session: Session, baseline: Baseline, label: str) -> Answer:
        answer = await self.attempt(self.witness, Attempt(label, session.credential), baseline, fresh=True)
        if by_cache(answer.reply):
            raise Unclear(f"{label}: a cache answered in the application's place (Age).")
        return answer

    async def _forgotten(self, account: Account, baseline: Baseline) -> tuple[Violation | str | None, str]:
        """Delete the stored session, and see whether the cookie still works."""
        proof = []
        for _ in (1, 2):
            session = await self.sign_in(account, Kind.COOKIE)
            await self._session_opens(session, baseline, "before its row is deleted")
            row = await self._row_of(session.credential.value.reveal())
            if row is None:
                return None, "no row of the database holds it or a digest of it."
            table, column, value = row
            try:
                gone = await erase(self.target.database or "", table, column, value)
            except StorageError as error:
                raise Unclear(f"The session could not be deleted: {error}", error.remedy) from None
            if gone != 1:
                return None, "its row in the database could not be deleted."
            after = await self._replayed(session, baseline, "the cookie after its row was deleted")
            if after.rejected:
                return "it dies with its row in the database", ""
            if not after.accepted:
                return None, f"the cookie after its row was deleted: {after.why}"
            proof.append(after.exchange)
        message = f"{self.witness.operation.name} accepts a session cookie whose row was deleted."
        return Violation(self.witness.operation.name, message, None, tuple(proof)), ""

    async def _row_of(self, value: str) -> tuple[str, str, str | bytes] | None:
        dump = await self.stored()
        keys = [key.secret.reveal().encode() for key in self.target.signing_keys if key.symmetric]
        parts = dict.fromkeys((value, value.partition(".")[0], value.rpartition(".")[0]))
        searches = [Search(part, keys) for part in parts if len(part) >= 16]
        for row, column, stored in dump.cells():
            if any(search.traces(stored) for search in searches):
                return row.table, column, stored
        return None

    async def cookie_secret_must_be_random(self) -> Verdict:
        """Nobody finds the secret of signed cookies by guessing. Raises Missing or Unclear."""
        live = await self.credential(Kind.COOKIE)
        value = live.value.reveal()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        token = Jwt.parse(value)
        if token is not None and token.algorithm.startswith("HS"):
            found = await asyncio.to_thread(guess, token, self.own_words(token))
            if found.hit is not None:
                return await self._known(token.algorithm, found.hit, None, baseline)
            return self._not_found(found.tried)
        if token is not None and token.algorithm != "none":
            raise Missing(
                f"Not applicable: a private key signs the session cookie ({token.algorithm}), and nobody guesses that.",
                applicable=False,
            )
        signed = unseal(value)
        if signed is None:
            if any(reading.data is not None for reading in readings(value)):
                raise Unclear("The cookie carries data, and how it is signed, if it is, is not known.")
            raise Missing("Not applicable: the session cookie carries no signature.", applicable=False)
        words = self.own_words(Jwt("", "", ""))
        hit, tried = await asyncio.to_thread(crack, signed, cookie_secrets(words), live.carrier.name)
        if hit is None:
            return self._not_found(tried)
        self.scene.recorder.redactor.learn(Secret(hit.secret.decode("utf-8", "replace")))
        # Within the second in which it was issued the same cookie comes out: it is dated back, then.
        bodies = (later(signed.body), later(signed.body, time.time() - 1))
        body = next((item for item in bodies if item != signed.body), signed.body)
        forged = live.with_value(sign(signed, body, hit))
        answer = await self.attempt(
            self.witness, Attempt("a cookie of our own under the guessed secret", forged), baseline
        )
        how = f"{signed.digest}, {hit.recipe.name}"
        # Of a signed reference nothing changes: the live cookie comes out again, and that it gets in shows nothing.
        anew = forged.value != live.value
        return await self._known(how, Guess(hit.secret, hit.kind, hit.tried), answer, baseline, anew=anew)

    def _not_found(self, tried: int) -> Verdict:
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        return Passed(
            f"The secret of the cookie's signature is not among {tried} candidates.", evidence, notes
        )

    async def _known(
        self, how: str, hit: Guess, answer: Answer | None, baseline: Baseline, *, anew: bool = True
    ) -> Verdict:
        live = await self.credential(Kind.COOKIE)
        await self.must_live(self.witness, live, baseline, "after")
        confirmed = (
            ", and a cookie that was signed with it anew gets in"
            if answer is not None and answer.accepted and anew
            else ""
        )
        found = f"{hit.kind}, found after {hit.tried} guesses{confirmed}"
        message = f"The secret that signs the session cookie ({how}) is {found}."
        proof = (answer.exchange,) if answer is not None else ()
        violation = Violation(self.witness.operation.name, message, None, proof)
        return Failed((violation,), tuple(self.evidence), tuple(self.notes))
