"""`must_ask_for_current`: a password is changed by who knows it, for their own account, and in no other way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Need, Provenance, Role, Severity, Verdict, Violation
from auth_conformance.oracles.pointer import resolve
from auth_conformance.oracles.standing import flattened
from auth_conformance.probe.core import Missing, Unclear
from auth_conformance.probe.knocking import MISSING, Knocking, Tally, with_member
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from auth_conformance.probe.core import Answer
    from auth_conformance.target import Account, Login, Operation, PasswordChange
    from auth_conformance.transports.message import HttpRequest

_SELF = ("me", "account", "profile", "self", "user", "my", "current")


@dataclass(frozen=True, slots=True)
class Change:
    """One way to try a change: the request for this account and this new password, without a credential."""

    words: str
    operation: str
    request: Callable[[Account, Secret], HttpRequest]
    severity: Severity | None = None
    credential: Kind | str | None = None
    # Where the path names the account: its operation, and the member that holds the new password.
    by_id: tuple[Operation, str] | None = None


class Changing(Knocking):
    """Tries to change passwords, and sees by logging in whether they were changed."""

    async def must_ask_for_current(self) -> Verdict:
        """No change without the current password, by another operation, or for another account."""
        tally, login = Tally(), self.logins()[0]
        if self.target.password_change is None:
            self._must_exist(tally)
        ways = self._ways_to_change(await self._shown_members())
        if self.target.password_change is not None:
            # First, while there are two accounts that this check has not had: the others go round.
            try:
                await self._change_for_another(login, self.password_change, tally)
            except Missing as reason:
                # What was found with one account counts; without a second one nothing is said of others.
                tally.doubt(f"a change that names another account was not tried: {reason}", reason.remedy)
        for way in ways:
            await self._try_change(login, way, tally)
        if self.target.password_change is not None:
            await self._works(login, self.password_change)
        elif not ways and not tally.violations:
            raise Missing("No password change is known.", self._remedy(Need.PASSWORD_CHANGE))
        return self.concluded(tally, f"{tally.delivered} ways to change a password did not change it.")

    async def _shown_members(self) -> frozenset[str]:
        """What the witness says of its caller, by the names of its members."""
        try:
            live = await self.credential()
            answer = await self.call(self.witness.operation, live, label="what belongs to an account?")
        except (Missing, Unclear):
            return frozenset()
        return frozenset(pointer.rsplit("/", 1)[-1] for pointer in flattened(answer.reply.json))

    def _must_exist(self, tally: Tally) -> None:
        """Where passwords exist, their owners can change them (ASVS V6.2.2)."""
        absent = self.target.absent.get(Need.PASSWORD_CHANGE)
        if absent is None or self._profile_updates():
            return
        operation = self.logins()[0].operation.name
        message = f"Nobody can change a password here: {absent}"
        tally.violations.append(Violation(operation, message, Severity.LOW, tuple(self.evidence[:1])))

    def _ways_to_change(self, shown: frozenset[str]) -> list[Change]:
        found: list[Change] = []
        change = self.target.password_change
        if change is not None:
            flow, name, place = change, change.form.operation.name, change.current
            if place is None:
                found.append(
                    Change(
                        "a change that asks for no current password",
                        name,
                        lambda _, new: change.request(None, new),
                    )
                )
            elif ":" not in place:
                wrong = Secret(self.password())
                self.scene.recorder.redactor.learn(wrong)

                def given(value: object) -> Callable[[Account, Secret], HttpRequest]:
                    return lambda _, new: with_member(change.request(wrong, new), place, value)

                found += [
                    Change("a change without the current password", name, given(MISSING)),
                    Change("a change with an empty current password", name, given("")),
                    Change("a change with null as current password", name, given(None)),
                    Change("a change with a wrong current password", name, given(wrong.reveal())),
                    Change(
                        "a change with the new password as current one",
                        name,
                        lambda _, new: change.request(new, new),
                    ),
                ]
            found += [
                Change(
                    f"a change with {words} instead of a login",
                    name,
                    lambda account, new: flow.request(account.password, new),
                    Severity.LOW if kind is Kind.KEY else Severity.MEDIUM,
                    kind,
                )
                for words, kind in (("an API key", Kind.KEY), ("a refresh token", "refresh"))
            ]
        for operation in self._profile_updates():
            for member in ("password", "hashed_password"):
                found.append(
                    Change(
                        f"an update of the profile with {member!r}",
                        operation.name,
                        lambda _, new, operation=operation, member=member: self._profile(  # type: ignore[misc] # bound early on purpose
                            operation, member, new
                        ),
                    )
                )
        for operation in self._updates_by_id(shown):
            for member in ("password", "hashed_password"):
                words = f"an update of the account by its id with {member!r}"
                bare = partial(_alone, operation)
                found.append(Change(words, operation.name, bare, by_id=(operation, member)))
        return found

    def _updates_by_id(self, shown: frozenset[str]) -> list[Operation]:
        """Operations that change an account named by the one parameter of their path: `/users/{id}`.

        Which ones these are is seen by what they take: members that the witness shows of its caller.
        """
        known = shown - {"id"}
        return [
            operation
            for operation in self.target.operations
            if operation.method in ("PATCH", "PUT")
            and operation.path.rstrip("/").endswith("}")
            and operation.path.count("{") == 1
            and operation.provenance is not Provenance.GUESSED
            and any(known & set(schema.get("properties") or {}) for schema in operation.bodies.values())
        ][:2]

    def _profile_updates(self) -> list[Operation]:
        change = self.target.password_change.form.operation if self.target.password_change else None
        witness = self.target.witness.operation.path if self.target.witness else ""
        return [
            operation
            for operation in self.target.operations
            if operation.method in ("PATCH", "PUT")
            and "{" not in operation.path
            and operation is not change
            and operation.provenance is not Provenance.GUESSED
            and (operation.path == witness or operation.path.rstrip("/").rsplit("/", 1)[-1].lower() in _SELF)
        ][:2]

    def _profile(self, operation: Operation, member: str, new: Secret) -> HttpRequest:
        request = (
            self.scene.sampler(operation, self.rng) if self.scene.sampler is not None else operation.request()
        )
        return with_member(request if request.body else request.with_json({}), member, new.reveal())

    async def _by_id(
        self, operation: Operation, member: str, credential: Credential, new: Secret
    ) -> HttpRequest:
        """The update of the caller's own account. Raises Missing where its id is not shown."""
        parameter = operation.path.split("{")[1].split("}")[0]
        value = self.called(await self.facts_of(credential), parameter)
        if value is None:
            raise Missing(f"what {operation.name} calls the account is not shown")
        values = {parameter: value}
        sampler = self.scene.sampler
        request = sampler(operation, self.rng, path_values=values) if sampler else operation.request(values)
        return with_member(request if request.body else request.with_json({}), member, new.reveal())

    async def _try_change(self, login: Login, way: Change, tally: Tally) -> None:
        try:
            first = await self._was_changed(login, way)
            if first is None:
                tally.delivered += 1
                return
            second = await self._was_changed(login, way)
        except Missing as reason:
            self.notes.append(f"{way.words} was not tried: {reason}")
            return
        except Unclear as reason:
            tally.doubt(f"{way.operation}: {way.words}: {reason}")
            return
        if second is None:
            tally.doubt(f"{way.operation}: {way.words} changed a password once, and then not.")
            return
        tally.violate(
            way.operation, f"{way.words} changed the password.", *first, *second, severity=way.severity
        )

    async def _was_changed(self, login: Login, way: Change) -> tuple[Answer, Answer] | None:
        """Try on a new account; the answers when the new password logs in, None when the old one does."""
        account, new = await self.another_victim(), Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        credential = await self._credential(login, account, way.credential)
        request = way.request(account, new)
        if way.by_id is not None:
            request = await self._by_id(*way.by_id, credential, new)
        answer = await self.send(
            request.with_headers(*credential.headers).with_query(*credential.query),
            label=way.words,
            role=Role.ATTACK,
            operation=way.operation,
        )
        if answer.judgement is not None:
            raise Unclear(f"no orderly answer ({answer.why})")
        tried = await self.send(
            login.request(account.username, new),
            label="log in with the new password",
            role=Role.ATTACK,
            operation=login.operation.name,
        )
        if await self.let_in(login, tried) is not None:
            self.now_known_by(account, new)
            return answer, tried
        await self.right_login(login, account, "the old password still works")
        return None

    async def _credential(self, login: Login, account: Account, kind: Kind | str | None) -> Credential:
        if kind is None:
            return await self.right_login(login, account, "before")
        if kind == "refresh":
            if self.target.refresh is None:
                raise Missing("no refresh tokens are known")
            session = await self.log_in(account, Kind.BEARER)
            if session.refresh is None:
                raise Missing("the login gave no refresh token")
            return session.credential.with_value(session.refresh.reveal())
        return await self._key_instead(await self.right_login(login, account, "before"), account)

    async def _key_instead(self, credential: Credential, account: Account) -> Credential:
        """An API key of the account behind this credential. Raises Missing or Unclear."""
        keys = self.target.keys
        if keys is None:
            raise Missing("no API keys can be made")
        answer = await self.call(
            keys.create, credential, label=f"create an API key of {account.label}", body={**keys.template}
        )
        value = resolve(answer.reply.json, keys.value)
        if not answer.reply.ok or not isinstance(value, str):
            raise Unclear(f"{keys.create.name} did not create a key ({answer.why or answer.status})")
        self.scene.recorder.redactor.learn(Secret(value))
        return Credential(keys.carriers[0], Secret(value), account.label)

    async def _change_for_another(self, login: Login, change: PasswordChange, tally: Tally) -> None:
        """A change that names somebody else changes nothing of theirs."""
        owner, other, new = await self.victim(), await self.victim(), Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        theirs = await self.right_login(login, other, "the other account")
        identity = await self.named(theirs) or other.username
        credential = await self.right_login(login, owner, "before")
        request = change.request(owner.password, new)
        for member, value in (("user_id", identity), ("username", other.username), ("email", other.address)):
            request = with_member(request, member, value)
        answer = await self.send(
            request.with_headers(*credential.headers).with_query(*credential.query),
            label="a change that names another account",
            role=Role.ATTACK,
            operation=change.form.operation.name,
        )
        own = await self.send(
            login.request(owner.username, new), label="whose password is it now?", role=Role.CONTROL
        )
        if await self.let_in(login, own) is not None:
            self.now_known_by(owner, new)
        tried = await self.send(
            login.request(other.username, new),
            label="log in to the other account with the new password",
            role=Role.ATTACK,
            operation=login.operation.name,
        )
        if await self.let_in(login, tried) is not None:
            message = f"{change.form.operation.name} changed the password of the account that its body names."
            self.now_known_by(other, new)
            tally.violate(change.form.operation.name, message, answer, tried, severity=Severity.CRITICAL)
            return
        await self.right_login(login, other, "the other account, afterwards")
        tally.delivered += 1

    async def _works(self, login: Login, change: PasswordChange) -> None:
        """The honest change works: otherwise refusals prove nothing. Raises Unclear."""
        account, new = await self.another_victim(), Secret(self.password())
        self.scene.recorder.redactor.learn(new)
        credential = await self.right_login(login, account, "before the honest change")
        answer = await self.send(
            change.request(account.password, new)
            .with_headers(*credential.headers)
            .with_query(*credential.query),
            label="control: the honest change",
            role=Role.CONTROL,
            operation=change.form.operation.name,
        )
        tried = await self.send(
            login.request(account.username, new),
            label="control: log in with the changed password",
            role=Role.CONTROL,
            operation=login.operation.name,
        )
        if await self.let_in(login, tried) is None:
            raise Unclear(
                f"{change.form.operation.name} did not change the password for who knows it "
                f"({answer.why or answer.status})."
            )
        self.now_known_by(account, new)


def _alone(operation: Operation, account: Account, new: Secret) -> HttpRequest:
    """The bare request: whose account it is about is known only once its owner has logged in."""
    del account, new
    return operation.request()
