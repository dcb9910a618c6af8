"""Passwords and issued tokens at rest: what a reader of the database gets (checklist STO101, STO102, STO105)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Failed, Inconclusive, Passed, Role, Severity, Verdict, Violation
from auth_conformance.oracles.disclosure import Form, Search, Trace, gravest
from auth_conformance.oracles.knownhashes import opened_by
from auth_conformance.oracles.passwords import SALT_BITS, Hash, hidden, parse_hash, salt_bits
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.mailing import Mailing
from auth_conformance.probe.stored import SALTS, SMALLER, Stored
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.oracles.entry import Baseline
    from auth_conformance.probe.core import Answer, Session
    from auth_conformance.storage import Dump, Row
    from auth_conformance.target import Account

REMEDY = 'database = { env = "DATABASE_URL" }  # the one that the service uses'
_PEPPERED = (
    'ignore = ["STO102"]  # if passwords are mixed with a secret of the service before they are hashed'
)
# Values of new rows that are presented as credentials.
PRESENTED = 24
_SHORTEST = 16


@dataclass(frozen=True, slots=True)
class Issued:
    """A secret that the service issued: what it is, and how grave it is when it stands there in clear."""

    kind: str
    text: str = field(repr=False)
    severity: Severity


class Resting(Mailing, Stored):
    """What rests in the database lets nobody in."""

    async def must_never_recover_password(self) -> Verdict:
        """Register with a canary password, log in rightly and wrongly, and look for both. Raises Missing or Unclear."""
        account = await self.expendable()
        if account.password is None:
            raise Missing("The expendable account has no password.")
        wrong = Secret(self.password())
        await self.log_in(account)
        await self.try_login(account, wrong, label="log in with a wrong password", role=Role.ATTACK)
        passwords = {"the password": account.password, "a wrong password": wrong}
        if (changed := await self._set_anew(account)) is not None:
            passwords = {"the password before the last": account.password, "a wrong password": wrong}
            passwords["the password"] = changed
        await self._asked_for_reset(account)
        dump = await self.stored()
        mine = rows_of(dump, account)
        if not mine:
            return Inconclusive(f"No row of the new account was found in {len(dump.tables)} tables.", REMEDY)
        keys = [key.secret.reveal().encode() for key in self.target.signing_keys if key.symmetric]
        traces: list[tuple[str, Trace]] = []
        for what, password in passwords.items():
            traces += self._password_traces(what, password.reveal(), dump, mine, keys)
        operation = self.target.register.operation.name if self.target.register else None
        worst = gravest([item for item in traces if item[1].form is not Form.SLOW_DIGEST])
        if worst is not None:
            where, trace = worst
            salted = trace.form in {Form.FAST_DIGEST, Form.BROKEN_DIGEST} and trace.how.startswith(
                ("salted", "HMAC")
            )
            severity = Severity.HIGH if salted else Severity.CRITICAL
            message = f"{where} {trace.form.value} ({trace.how})."
            return Failed((Violation(operation, message, severity),), tuple(self.evidence))
        hashes = [place for place, found in hashes_in(mine) if found is not None]
        if not hashes:
            return Inconclusive(
                "The row of the new account holds no password hash that is known, and nothing in clear.",
                REMEDY,
            )
        if dump.partial:
            return Inconclusive(f"Nothing was found, but {dump.partial}.", SMALLER)
        count = sum(1 for _ in dump.cells())
        return Passed(
            f"In {count} values of {len(dump.tables)} tables the password is only a slow hash ({hashes[0]}).",
            tuple(self.evidence),
            tuple(self.notes),
        )

    async def _set_anew(self, account: Account) -> Secret | None:
        """The password that was set by a change, as a login shows; None where none is known. Raises Unclear."""
        new = Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        try:
            change = self.password_change
        except Missing as reason:
            self.notes.append(f"the password was not changed before the look: {reason}")
            return None
        credential = (await self.log_in(account)).credential
        answer = await self.change_password(account, new, credential)
        if not answer.granted:
            raise Unclear(
                f"What a change of the password leaves behind was not seen: {change.form.operation.name} answered "
                f"{answer.why or answer.status}."
            )
        await self.log_in(self.now_known_by(account, new))
        return new

    async def _asked_for_reset(self, account: Account) -> None:
        """Ask for a reset: a service may keep what it would set, or the old password beside the token."""
        if self.target.recovery is None:
            self.notes.append("no reset was asked for before the look: none is known")
            return
        ask = self.target.recovery.ask
        await self.send(
            ask.request(account), label="ask for a password reset", operation=ask.form.operation.name
        )

    def _password_traces(
        self, what: str, text: str, dump: Dump, mine: Sequence[Row], keys: list[bytes]
    ) -> list[tuple[str, Trace]]:
        search, own, found = Search(text, keys), set(map(id, mine)), []
        for row, column, value in dump.cells():
            others = [
                other if isinstance(other, bytes) else other.encode("utf-8", "surrogatepass")
                for name, other in row.values.items()
                if name != column
            ]
            place = f"{row.table}.{column} holds {what}"
            traces = search.traces(value, others[:SALTS] if id(row) in own else ())
            if not traces and (how := hidden(text, value)):
                traces = [Trace(Form.ENCODED, how, len(text))]
            found += [(place, trace) for trace in traces]
        return found

    async def must_hash_passwords(self) -> Verdict:
        """Two accounts with one password: strong hashes, each with a salt of its own. Raises Missing or Unclear."""
        register = self.target.register
        if register is None:
            raise Missing("Nobody can register here, and this check needs two accounts with one password.")
        first = await self.expendable()
        password = first.password or Secret(self.password())
        second = replace(await self.expendable(), password=password)
        name = self._renamed(second.username)
        answer = await self.send(
            register.request(name, password), label="register another account with the same password"
        )
        if answer.status is None or answer.status >= 400:
            raise Unclear(
                f"{register.operation.name} refused a second account with the same password ({answer.status})."
            )
        second = replace(second, username=name)
        dump = await self.stored()
        pairs = [hashes_in(rows_of(dump, account)) for account in (first, second)]
        known = [[(place, found) for place, found in listed if found is not None] for listed in pairs]
        if not known[0] or not known[1]:
            return self._unknown_hash(dump, first, password)
        place, doubt = self._place_of(rows_of(dump, second), [where for where, _ in known[1]], password)
        mine, other = (next((item for item in listed if item[0] == place), listed[0]) for listed in known)
        verdict = self._judged_hashes(dump, mine, other, register.operation.name)
        if not doubt or not isinstance(verdict, Passed):
            return verdict
        worse = self._unknown_hash(dump, first, password)
        return worse if isinstance(worse, Failed) else Inconclusive(doubt, _PEPPERED, tuple(self.evidence))

    def _place_of(self, rows: Sequence[Row], places: Sequence[str], password: Secret) -> tuple[str, str]:
        """Where the hash of the password stands, as computing it again shows; and a doubt where none is of it.

        A row may hold others beside it: of recovery codes, of an answer to a question.
        """
        found: dict[str, str | None] = {}
        for row in rows:
            for column, value in row.values.items():
                place = f"{row.table}.{column}"
                if place in places and isinstance(value, str):
                    found[place] = opened_by(value, password.reveal())
        for place, how in found.items():
            if how:
                self.notes.append(f"{place} was computed again: it is the hash of {_whose(how)}")
                return place, ""
        if None in found.values():
            self.notes.append(
                "whether it is the hash of the password was not computed again: its form is not known here"
            )
            return next(place for place, how in found.items() if how is None), ""
        first = places[0]
        return (
            first,
            f"{first} holds a slow hash of neither the password nor a digest of it: what was hashed is not known.",
        )

    def _renamed(self, username: str) -> str:
        local, at, domain = username.partition("@")
        return f"{local}{self.word(3)}{at}{domain}"

    def _unknown_hash(self, dump: Dump, account: Account, password: Secret) -> Verdict:
        traces = self._password_traces("the password", password.reveal(), dump, rows_of(dump, account), [])
        # What stands somewhere in clear is STO101's; here counts what it was hashed with.
        fast = (Form.FAST_DIGEST, Form.BROKEN_DIGEST)
        worst = gravest([item for item in traces if item[1].form in fast])
        if worst is not None:
            message = f"{worst[0]} as a digest that is fast to try ({worst[1].how})."
            return Failed((Violation(None, message, Severity.HIGH),), tuple(self.evidence))
        return Inconclusive("The rows of two new accounts hold no password hash of a known form.", REMEDY)

    def _judged_hashes(
        self, dump: Dump, first: tuple[str, Hash], second: tuple[str, Hash], operation: str
    ) -> Verdict:
        (place, mine), (_, other) = first, second
        violations, notes = [], []

        def broken(message: str, severity: Severity) -> None:
            violations.append(Violation(operation, message, severity))

        if mine.wrong_family:
            broken(f"{place} holds hashes of the family {mine.family}, which is fast to try.", Severity.HIGH)
        if mine.salt == other.salt:
            broken(f"{place}: two accounts have the same salt.", Severity.HIGH)
        elif salt_bits(mine) < SALT_BITS:
            broken(f"{place}: a salt has {salt_bits(mine)} bits at most.", Severity.HIGH)
        if mine.weakness and self.target.policy.test_hashing:
            notes.append(
                f"{mine.family} with {mine.weakness}: declared as the costs of tests, and not judged."
            )
        elif mine.weakness:
            broken(f"{place}: {mine.family} with {mine.weakness}.", Severity.MEDIUM)
        table, _, column = place.rpartition(".")
        others = [
            found
            for row in dump.rows
            if row.table == table
            and isinstance(value := row.values.get(column), str)
            and (found := parse_hash(value))
        ]
        salts = [found.salt for found in others]
        if len(salts) != len(set(salts)) and mine.salt != other.salt:
            broken(f"{place}: some of {len(salts)} hashes share a salt.", Severity.HIGH)
        old = sum(bool(found.weakness) for found in others)
        if old and not mine.weakness:
            broken(
                f"{place}: {old} of {len(others)} hashes have old, weaker costs; logins should renew them.",
                Severity.LOW,
            )
        told = (*self.notes, *notes)
        if violations:
            return Failed(tuple(violations), tuple(self.evidence), told)
        return Passed(
            f"{place} holds {mine.family}, salted for each of {len(salts)} accounts.",
            tuple(self.evidence),
            told,
        )

    async def must_hash_tokens(self) -> Verdict:
        """Issue one of each kind and look for them; present what is new in the database. Raises Missing or Unclear."""
        account = await self.expendable()
        before = {(row.table, column, value) for row, column, value in (await self.stored()).cells()}
        issued, sessions = await self._issue_all(account)
        if not issued:
            raise Missing("Not applicable: no login issues a token or a session here.", applicable=False)
        dump = await self.stored()
        violations = [
            violation for item in issued if (violation := self._stands_in_clear(item, dump)) is not None
        ]
        fresh = [
            (row, column, value)
            for row, column, value in dump.cells()
            if (row.table, column, value) not in before
        ]
        # A signed token need not be stored. That the account is there shows that this is the service's database.
        tokens = [session for session in sessions if session.credential.jwt is not None]
        signed = len(tokens) == len(issued)
        if not fresh and signed and any(value == account.username for _, _, value in dump.cells()):
            raise Missing(
                "Not applicable: a login issues signed tokens only, and stores nothing of them.",
                applicable=False,
            )
        if not fresh:
            return Inconclusive("Nothing new stands in the database after a login.", REMEDY)
        texts = {item.text for item in issued}
        violations += await self._presented(
            [item for item in fresh if item[2] not in texts], sessions, violations
        )
        kinds = ", ".join(item.kind for item in issued)
        if violations:
            return Failed(tuple(violations), tuple(self.evidence))
        if dump.partial:
            return Inconclusive(f"Nothing was found, but {dump.partial}.", SMALLER)
        return Passed(
            f"Of {kinds}, {len(fresh)} new values in the database show nothing that lets anybody in.",
            tuple(self.evidence),
            tuple(self.notes),
        )

    async def _issue_all(self, account: Account) -> tuple[list[Issued], list[Session]]:
        issued: list[Issued] = []
        sessions: list[Session] = []
        for kind in dict.fromkeys(
            login.carrier.kind for login in self.target.logins if login.carrier.kind is not Kind.BASIC
        ):
            session = await self.log_in(account, kind)
            sessions.append(session)
            text = session.credential.value.reveal()
            if session.credential.jwt is not None:
                issued.append(Issued("an access token", text.rpartition(".")[2], Severity.LOW))
            else:
                issued.append(
                    Issued("a session" if kind is Kind.COOKIE else "an access token", text, Severity.MEDIUM)
                )
            if session.refresh is not None:
                refresh = session.refresh.reveal()
                text = refresh.rpartition(".")[2] if refresh.count(".") == 2 else refresh
                issued.append(Issued("a refresh token", text, Severity.HIGH))
        mailed = (
            ("a reset token", self.target.recovery, self.reset_token, Severity.HIGH),
            ("a verification token", self.target.verification, self.verify_token, Severity.MEDIUM),
        )
        for kind_of, known, ask, severity in mailed:
            if known is None:
                continue
            try:
                issued.append(Issued(kind_of, (await ask(account)).reveal(), severity))
            except (Missing, Unclear) as conclusion:
                self.notes.append(f"{kind_of.capitalize()} was not looked for: {conclusion}")
        return issued, sessions

    def _stands_in_clear(self, item: Issued, dump: Dump) -> Violation | None:
        search = Search(item.text)
        for row, column, value in dump.cells():
            for trace in search.traces(value):
                if trace.form in {Form.CLEAR, Form.ENCODED}:
                    how = trace.form.value if trace.form is Form.CLEAR else f"encoded ({trace.how})"
                    return Violation(None, f"{row.table}.{column} holds {item.kind} {how}.", item.severity)
        return None

    async def _presented(
        self,
        fresh: Sequence[tuple[Row, str, str | bytes]],
        sessions: Sequence[Session],
        known: Sequence[Violation],
    ) -> list[Violation]:
        """Stored values shown to the service as credentials: what works is the finding that matters."""
        if known or self.target.witness is None:
            return []
        values = [
            (row, column, value)
            for row, column, value in fresh
            if isinstance(value, str)
            and _SHORTEST <= len(value) <= 4096
            and value.isprintable()
            and " " not in value
        ]
        found: list[Violation] = []
        unclear: Answer | None = None
        for session in [item for item in sessions if item.credential.jwt is None][:1]:
            baseline = await self.baseline(self.witness, session.credential)
            for row, column, value in values[:PRESENTED]:
                shown: Credential = session.credential.with_value(str(value))
                answer = await self.at_witness(
                    shown,
                    label=f"the value of {row.table}.{column} as a credential",
                    role=Role.ATTACK,
                    baseline=baseline,
                )
                if not _let_in(answer, baseline):
                    unclear = unclear or (None if answer.rejected else answer)
                    continue
                again = await self.at_witness(
                    shown,
                    label=f"again: the value of {row.table}.{column} as a credential",
                    role=Role.ATTACK,
                    baseline=baseline,
                    fresh=True,
                )
                if not _let_in(again, baseline):
                    unclear = again
                    continue
                message = f"The value of {row.table}.{column} is accepted as a credential."
                proof = (answer.exchange, again.exchange)
                found.append(Violation(self.witness.operation.name, message, Severity.HIGH, proof))
            if not found:
                await self.must_live(self.witness, session.credential, baseline, "after")
        if unclear is not None and not found:
            raise Unclear(f"A stored value was shown as a credential, and that was unclear ({unclear.why}).")
        return found


def _let_in(answer: Answer, baseline: Baseline) -> bool:
    """Whether a stored value was taken: as its owner's credential, or for more than a stranger gets."""
    return answer.accepted or (answer.reply.ok and baseline.anonymous.status != answer.status)


def _whose(how: str) -> str:
    return "the password" if how == "it" else f"the password, {how.removeprefix('its ')}"


def rows_of(dump: Dump, account: Account) -> list[Row]:
    """The rows that name an account, and those that name the identifiers in them."""
    name = account.username.casefold()
    return [
        row
        for row in dump.rows
        if any(isinstance(value, str) and value.casefold() == name for value in row.values.values())
    ]


def hashes_in(rows: Sequence[Row]) -> list[tuple[str, Hash | None]]:
    """The values of rows as password hashes, each with its place."""
    return [
        (f"{row.table}.{column}", parse_hash(value))
        for row in rows
        for column, value in row.values.items()
        if isinstance(value, str) and "$" in value
    ]
