"""`must_not_take_what_is_stored`: what lies in the database is no credential (checklist KEY109)."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Inconclusive, Masked, Need, Outcome, Passed, Role, Verdict, Violation
from auth_conformance.oracles.disclosure import Form, Search, is_slow_hash
from auth_conformance.oracles.identifiers import is_uuid
from auth_conformance.oracles.keys import public_start, public_starts
from auth_conformance.oracles.moments import moment
from auth_conformance.probe.core import Missing, Session, Unclear
from auth_conformance.probe.holdings import Holdings
from auth_conformance.probe.refusal import Attempt
from auth_conformance.probe.stored import Stored
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auth_conformance.storage import Dump, Row
    from auth_conformance.target import Account

# So many stored values are presented in each place, and so many where a failure counts as a guess.
MOST, GUESSES = 12, 3
SHORTEST = 8
_USUAL = ("sha256", "sha512", "md5", "sha1")
_DIGEST = re.compile(r"[0-9a-fA-F]{32,128}|[A-Za-z0-9+/_-]{22,88}={0,2}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored value: where it stands, and whether it is the digest of something that was issued."""

    place: str
    text: str
    hashed: bool


class Presenting(Holdings, Stored):
    """Reads the database and presents what it finds."""

    async def must_not_take_what_is_stored(self) -> Verdict:
        """No stored value gets in at any place. Raises Missing or Unclear."""
        account = await self.disposable("stored values") or self.account()
        sessions = await self._all_logins(account)
        issued = {"session": [item.credential.value for item in sessions.values()]}
        issued["refresh token"] = [item.refresh for item in sessions.values() if item.refresh is not None]
        key = await self._key_beside(next(iter(sessions.values())))
        issued["key"] = [key] if key is not None else []
        if self.target.database is None:
            return await self._as_most_would_store(sessions, key)
        await self._ask_for_reset(account)
        dump = await self.stored()
        names = {account.username, *(await self.facts_of(next(iter(sessions.values())).credential)).values()}
        kept = self._kept(dump, {what: values for what, values in issued.items() if values}, names)
        if isinstance(kept, Masked):
            return kept
        if not any(item.hashed for item in kept):
            return Inconclusive(
                "No digest of anything that was issued was found in the database.",
                'database = { env = "DATABASE_URL" }  # the one that the service uses',
                tuple(self.evidence),
            )
        chosen = sorted(kept, key=lambda item: not item.hashed)[:MOST]
        live = next(iter(sessions.values())).credential
        verdict = await self.must_refuse(self._everywhere(chosen, key), credential=live)
        more = await self._elsewhere_presented(account, chosen)
        if isinstance(verdict, Passed) and not more:
            hashed = ", ".join(dict.fromkeys(item.place for item in chosen if item.hashed))
            reason = f"{verdict.reason} Among the stored values were digests ({hashed})."
            return Passed(reason, tuple(self.evidence), tuple(self.notes))
        return self.joined(verdict, more)

    async def _as_most_would_store(self, sessions: dict[Kind, Session], key: Secret | None) -> Verdict:
        """Without the database: the digests that most services would store of what they have issued.

        Raises Missing when none gets in: what is really stored is not known.
        """
        attempts: list[Attempt] = []
        for session in sessions.values():
            if session.credential.jwt is None and session.credential.carrier.kind is not Kind.BASIC:
                attempts += _digested(session.credential, session.credential.carrier.kind.value)
        if key is not None and self.target.keys is not None:
            credential = Credential(self.target.keys.carriers[0], key)
            attempts += _digested(credential, "key", public_starts(key.reveal()))
        violations: list[Violation] = []
        flow, renewed = self.target.refresh, 0
        for session in sessions.values() if flow is not None else ():
            for how, text in _digests(session.refresh.reveal()) if session.refresh is not None else ():
                label = f"the {how} of a refresh token as refresh token"
                answer, renewal = await self.renew(Secret(text), label, Role.ATTACK)
                renewed += 1
                if renewal is not None and flow is not None:
                    message = f"{flow.operation.name} gives tokens for the {how} of a refresh token."
                    violations.append(Violation(flow.operation.name, message, None, (answer.exchange,)))
        if attempts:
            live = next(iter(sessions.values())).credential
            verdict = self.joined(await self.must_refuse(attempts, credential=live), violations)
            if not isinstance(verdict, Passed):
                return verdict
        elif violations:
            return self.decided(violations, (), "")
        tried = (
            " Digests that most services would store of what they issue got in nowhere "
            f"({len(attempts) + renewed} attacks)."
        )
        raise Missing(
            "Not tested: the database of the service is not known." + (tried if attempts or renewed else ""),
            self._remedy(Need.DATABASE),
        )

    async def _all_logins(self, account: Account) -> dict[Kind, Session]:
        found: dict[Kind, Session] = {}
        for kind in dict.fromkeys(login.carrier.kind for login in self.target.logins):
            apart = [item.credential for item in found.values()]
            found[kind] = await self.sign_in(account, kind, apart)
        if not found:
            raise Missing("No login is known.", "")
        return found

    async def _key_beside(self, session: Session) -> Secret | None:
        try:
            return (await self.key_of(session.credential))[0].value
        except (Missing, Unclear) as reason:
            self.notes.append(f"no key was made: {reason}")
            return None

    async def _ask_for_reset(self, account: Account) -> None:
        """Let the service store a reset token, where it does so for everybody who asks."""
        if self.target.recovery is not None and account.expendable:
            ask = self.target.recovery.ask
            await self.send(ask.request(account), label="ask for a reset", operation=ask.form.operation.name)

    def _kept(self, dump: Dump, issued: dict[str, list[Secret]], names: set[str]) -> list[Kept] | Masked:
        """The texts in the rows of this account; masked where one of them is a credential in clear."""
        keys = [key.secret.reveal().encode() for key in self.target.signing_keys if key.symmetric]
        searches = [
            (what, Search(secret.reveal(), keys)) for what, secrets in issued.items() for secret in secrets
        ]
        telling = {name for name in names if len(name) >= SHORTEST}
        found: dict[str, Kept] = {}
        for row in dump.rows:
            digests: set[str] = set()
            for column, value in row.values.items():
                for what, search in searches:
                    for trace in search.traces(value):
                        if trace.form in (Form.CLEAR, Form.ENCODED):
                            root = "STO104" if what == "key" else "STO105"
                            return Masked(root, f"{row.table}.{column} holds a {what} in clear")
                        if trace.form is not Form.PART:
                            digests.add(column)
            if digests or self._is_ours(row, telling):
                self._collect(row, digests, telling, found)
        return list(found.values())

    @staticmethod
    def _is_ours(row: Row, names: set[str]) -> bool:
        plain = {name.replace("-", "") for name in names}
        texts = [value for value in row.values.values() if isinstance(value, str)]
        return any(text in names or text.replace("-", "") in plain for text in texts)

    def _collect(self, row: Row, digests: set[str], names: set[str], found: dict[str, Kept]) -> None:
        for column, value in row.values.items():
            text = value.hex() if isinstance(value, bytes) else value
            boring = text in names or moment(text, self._clock_now()) is not None or text[:1] in "[{"
            if len(text) < SHORTEST or boring or "\n" in text:
                continue
            alike = _DIGEST.fullmatch(text) is not None and not is_uuid(text)
            hashed = column in digests or is_slow_hash(text) or alike
            found.setdefault(text, Kept(f"{row.table}.{column}", text, hashed))

    def _everywhere(self, chosen: list[Kept], key: Secret | None) -> list[Attempt]:
        """Each value in each place, and digests as people rewrite them: behind the prefix, and in base64."""
        carriers = [carrier for carrier in self.target.carriers if carrier.kind is not Kind.BASIC]
        attempts = []
        start = self._start_of(key, chosen)
        for item in chosen:
            texts = {f"what stands in {item.place}": item.text}
            if item.hashed and re.fullmatch(r"(?:[0-9a-fA-F]{2})+", item.text):
                raw = base64.urlsafe_b64encode(bytes.fromhex(item.text)).decode().rstrip("=")
                texts[f"the same in base64, {item.place}"] = raw
            for label, text in texts.items():
                for carrier in carriers:
                    attempts.append(  # noqa: PERF401 - three loops read better than one expression
                        Attempt(f"{label} as {carrier}", Credential(carrier, Secret(text)))
                    )
            if item.hashed and start:
                attempts += [
                    Attempt(
                        f"the public part of a key and {item.place} as {carrier}",
                        Credential(carrier, Secret(f"{start}{item.text}")),
                    )
                    for carrier in carriers
                    if carrier.kind is Kind.KEY
                ][:1]
        return attempts

    @staticmethod
    def _start_of(key: Secret | None, stored: list[Kept]) -> str:
        """The public part of a key with its separator: what the database keeps of it, else its last separator."""
        if key is None:
            return ""
        text = key.reveal()
        kept = max((item.text for item in stored if text.startswith(item.text)), key=len, default="")
        if len(kept) >= SHORTEST and kept != text:
            after = text[len(kept)]  # one separator; what follows it may look like one, and is secret
            return kept if after.isalnum() else kept + after
        return public_start(text)

    async def _elsewhere_presented(self, account: Account, chosen: list[Kept]) -> list[Violation]:
        """As refresh token, as password, and as reset token; failures count there, so only digests are tried."""
        violations: list[Violation] = []
        hashed = [item for item in chosen if item.hashed]
        flow = self.target.refresh
        for item in hashed[:MOST] if flow is not None else ():
            answer, renewal = await self.renew(
                Secret(item.text), f"{item.place} as refresh token", Role.ATTACK
            )
            if renewal is not None and flow is not None:
                message = f"{flow.operation.name} gives tokens for what stands in {item.place}."
                violations.append(Violation(flow.operation.name, message, None, (answer.exchange,)))
        if not account.expendable:
            self.notes.append("nothing was tried as a password: nobody can register here")
            return violations
        slow = [item for item in hashed if is_slow_hash(item.text)] or hashed
        for item in slow[:GUESSES]:
            label = f"{item.place} as password"
            answer, login = await self.try_login(account, Secret(item.text), label=label, role=Role.ATTACK)
            if login.read(answer.reply, account.label) is not None:
                message = f"{answer.exchange.operation} takes what stands in {item.place} for the password."
                violations.append(Violation(answer.exchange.operation, message, None, (answer.exchange,)))
            elif answer.outcome is Outcome.THROTTLED:
                break
        return violations + await self._as_reset_token(account, hashed)

    async def _as_reset_token(self, account: Account, hashed: list[Kept]) -> list[Violation]:
        recovery = self.target.recovery
        if recovery is None:
            self.notes.append("nothing was tried as a reset token: no reset is known")
            return []
        tokens = [item for item in hashed if re.search(r"token|reset|recover|otp", item.place, re.IGNORECASE)]
        for item in tokens[:GUESSES]:
            new = Secret(self.password())
            self.scene.recorder.redactor.learn(new)
            request = recovery.confirm.request(Secret(item.text), new, account.username)
            name = recovery.confirm.form.operation.name
            answer = await self.send(
                request, label=f"{item.place} as reset token", role=Role.ATTACK, operation=name
            )
            if answer.reply.ok:
                message = f"{name} sets a password for what stands in {item.place}."
                return [Violation(name, message, None, (answer.exchange,))]
        return []


def _digests(text: str) -> Iterator[tuple[str, str]]:
    """The digests that services store of random secrets, as they write them."""
    for name in _USUAL:
        yield (
            name.upper(),
            hashlib.new(name, text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest(),
        )
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    yield "SHA256 in base64", base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _digested(credential: Credential, what: str, starts: Sequence[str] = ()) -> Iterator[Attempt]:
    """A live credential's digests in its place; of a key also of its secret part, alone and behind the public one."""
    text = credential.value.reveal()
    for how, digest in _digests(text):
        yield Attempt(f"the {how} of the live {what} credential", credential.with_value(digest))
    for start in starts:
        for part, secret in (("", text), ("secret part of a ", text[len(start) :])):
            for how, digest in _digests(secret):
                label = f"the {how} of the {part}live {what} credential"
                if part:
                    yield Attempt(label, credential.with_value(digest))
                yield Attempt(f"{label}, behind its public part", credential.with_value(start + digest))
