"""The ground that all sentences stand on: operations called with credentials, and what the replies mean.

It stands on four smaller pieces: `answers`, `chance`, `sending` and `knowing`. Sentences import from here.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Need, Reply, Role
from auth_conformance.oracles.entry import (
    Baseline,
    Fingerprint,
    sends_strangers_away,
)
from auth_conformance.oracles.places import found_at
from auth_conformance.probe.above import (
    above_for,
    completed,
    standing_in,
    taken_elsewhere,
    values_of,
    wanting,
)
from auth_conformance.probe.answers import Answer, Missing, Session, Shut, Unclear
from auth_conformance.probe.apart import called_anew, clashes
from auth_conformance.probe.knowing import Knowing
from auth_conformance.probe.scene import FORGE, Birth
from auth_conformance.probe.sending import EVERY, LONGEST_BODY, LONGEST_HEADERS, hung_up
from auth_conformance.probe.silent import unless_kept
from auth_conformance.probe.welcome import welcome
from auth_conformance.secret import Secret
from auth_conformance.target import (
    Account,
    KeyManagement,
    Login,
    Operation,
    Register,
    Witness,
    address_of,
    styled,
)
from auth_conformance.transports.message import HttpRequest, RawReply

__all__ = [
    "CSRF_REMEDY",
    "EVERY",
    "LONGEST_BODY",
    "LONGEST_HEADERS",
    "PARALLEL",
    "ROOTS",
    "TRUST",
    "Answer",
    "Core",
    "Missing",
    "Session",
    "Unclear",
    "hung_up",
]

# What to declare where a filter in front of the application answers attacks.
TRUST = "[policy]\ntrust_waf = true  # if a filter in front is part of the defence"
# How many requests of one check may be on their way at the same time.
PARALLEL = 8
# How much of a public answer is worn as a token.
_SHOWN = 500
# Whose failure makes any judgement about credentials of that kind meaningless (checklist §1.3 CR).
ROOTS = {Kind.BEARER: "TOK101", Kind.KEY: "KEY101", Kind.COOKIE: "SES101", Kind.BASIC: "TOK101"}
# Where changes with a session cookie are refused: what may be missing, and how to say it.
CSRF_REMEDY = (
    '[[login]]\ncsrf = "/csrf_token"  # where the token stands that changes need: in the answer to the login,\n'
    'csrf_from = "GET /csrf"  # or to this\ncsrf_header = "X-CSRF-Token"  # and the header that takes it'
)


def another_spare(taken: Collection[str]) -> str:
    """The lines that declare one more expendable account, under a name that none of the labels in `taken` has."""
    names = (f"spare{number}" for number in range(1, len(taken) + 2))
    name = next(name for name in names if f"x-{name}" not in taken)
    return f'[accounts.{name}]\nusername = "…"\npassword = {{ env = "{name.upper()}_PASSWORD" }}\nrole = "expendable"'


class Core(Knowing):
    """Obtains credentials, calls operations with them, and learns what the living and the dead are answered."""

    async def credential(
        self, kind: Kind | None = None, owner: str = "a", *, fresh: bool = False
    ) -> Credential:
        """A live credential of `owner`, shared by all checks unless `fresh`. Raises Missing or Unclear."""
        wanted = kind or self.preferred()
        if fresh:
            return self.scene.issued(await self._obtain(wanted, owner))
        key = ("credential", wanted, owner)
        self.scene.forget_aged(key)

        self.borrowed[key] = await self.scene.once(key, lambda: self._obtain(wanted, owner))
        return self.scene.issued(self.borrowed[key])

    async def alive(self, kind: Kind | None = None, owner: str = "a") -> Credential:
        """The shared credential, or a new one where what this check ended took it along. Raises Missing or Unclear.

        A logout may end every login of the account: who counts up a version of its tokens means it so.
        """
        wanted = kind or self.preferred()
        found = await self.credential(wanted, owner)
        witness = self.witness_for(found, self.witness)
        answer = await self.call(
            witness.operation, found, label="is the shared login still alive?", role=Role.CONTROL
        )
        if answer.status in {401, 403}:
            self.scene.forget(("credential", wanted, owner))
        return await self.credential(wanted, owner)

    async def forget_dead(self) -> bool:
        """Forget shared credentials that the witness refuses by now; whether there was one.

        One that this check has used counts though others have a new one since: theirs is as good, its own was not.
        """
        dead = False
        shared = self.scene.shared_credentials()
        replaced = [item for item in self.borrowed.items() if item not in shared]
        for key, credential in (*shared, *replaced):
            answer = await self.call(
                self.witness.operation,
                credential,
                label="is the shared login still alive?",
                role=Role.CONTROL,
            )
            if answer.status in {401, 403}:
                if (key, credential) in shared:
                    self.scene.forget(key)
                    self.scene.forget(FORGE)
                dead = True
        return dead

    def preferred(self) -> Kind:
        """The kind that the witness is asked with when a check does not care."""
        kinds = self.kinds()
        if not kinds:
            raise Missing("No credential of any kind could be obtained.", self._remedy(Need.LOGIN))
        # A key that was made for this run may have fewer rights than its owner: what a login gives comes first.
        return next((kind for kind in kinds if kind is not Kind.KEY), kinds[0])

    async def _obtain(self, kind: Kind, owner: str) -> Credential:
        account = self.account(owner)
        if self.target.login(kind) is not None and account.password is not None:
            return (await self.log_in(account, kind)).credential
        ready = account.ready.get(kind)
        carrier = next((carrier for carrier in self.target.carriers if carrier.kind is kind), None)
        if ready is not None and carrier is not None:
            self.scene.recorder.redactor.learn(ready)
            return Credential(carrier, ready, account.label)
        if kind is Kind.KEY and self.target.keys is not None:
            return (await self.make_key(owner))[0]
        if kind is Kind.BASIC and carrier is not None and account.password is not None:
            # Declared beside another login: a name and a password are all it takes (RFC 7617).
            pair = f"{account.username}:{account.password.reveal()}".encode("utf-8", "surrogatepass")
            value = Secret(base64.b64encode(pair).decode("ascii"))
            self.scene.recorder.redactor.learn(value)
            return Credential(carrier, value, account.label)
        raise Missing(f"No {kind.value} credential of account {owner!r} is known.", self._remedy(Need.LOGIN))

    async def log_in(
        self, account: Account, kind: Kind | None = None, *, moved: float = 0.0, label: str = ""
    ) -> Session:
        """Log in and read what was issued. Raises Missing without a login, Unclear when it is refused."""
        now = time.monotonic(), time.time()
        answer, login = await self.try_login(account, account.password, kind, moved=moved, label=label)
        credential = login.read(answer.reply, account.label)
        if credential is None:
            status = answer.reply.error or answer.status
            raise Unclear(
                f"{login.operation.name} refused the right password of account {account.label!r} ({status})."
            )
        self.scene.born[credential.value] = Birth(*now, login.life(answer.reply))
        refresh = login.read_refresh(answer.reply)
        for secret in (credential.value, refresh):
            if secret is not None:
                self.scene.recorder.redactor.learn(secret)
        for _, value in (*credential.companions, *credential.crumbs):
            self.scene.recorder.redactor.learn(Secret(value))
        if account.expendable:
            # What a run created it deletes again: the last session of an account can do that.
            self.scene.made_accounts = [
                (made, credential if made is account else session)
                for made, session in self.scene.made_accounts
            ]
        return Session(account, credential, refresh, answer)

    async def try_login(
        self,
        account: Account,
        password: Secret | None,
        kind: Kind | None = None,
        *,
        moved: float = 0.0,
        label: str = "",
        role: Role = Role.SETUP,
    ) -> tuple[Answer, Login]:
        """Send a login and return the answer unjudged, with the login used."""
        login = self.target.login(kind) if kind else next(iter(self.target.logins), None)
        if login is None or password is None:
            raise Missing("No login operation is known.", self._remedy(Need.LOGIN))
        self.scene.recorder.redactor.learn(password)
        answer = await self.send(
            login.request(account.username, password),
            label=label or f"log in as {account.label}",
            role=role,
            operation=login.operation.name,
            moved=moved,
        )
        return answer, login

    async def make_key(
        self, owner: str = "a", *, body: Mapping[str, object] | None = None, moved: float = 0.0
    ) -> tuple[Credential, Answer]:
        """Create an API key of `owner`. Raises Missing without key management, Unclear when refused."""
        keys = self.target.keys
        if keys is None:
            raise self.without_keys()
        login = await self.credential(self._login_kind(), owner)
        answer = await self.call(
            keys.create,
            login,
            label=f"create an API key of {owner}",
            body={**keys.template, **(body or {})},
            moved=moved,
        )
        value = _text_at(answer.reply, keys.value)
        if not answer.reply.ok or not value:
            # Who may not make keys has none; what broke over it, or was throttled, says nothing of that.
            clean = answer.judgement is None and 400 <= (answer.status or 0) < 500
            why = f"{keys.create.name} did not create a key ({answer.reply.error or answer.status})."
            raise Shut(why) if clean else Unclear(why)
        self.scene.recorder.redactor.learn(Secret(value))
        return Credential(keys.carriers[0], Secret(value), owner), answer

    async def roll_key(self, roll: KeyManagement, login: Credential) -> tuple[Credential, Answer]:
        """Make the key that this login's account has from now on in the place of the one before. Raises Unclear."""
        label = f"make another API key of {login.owner}"
        answer = await self.call(roll.create, login, label=label, body=dict(roll.template) or None)
        value = _text_at(answer.reply, roll.value)
        if not answer.reply.ok or not value:
            raise Unclear(f"{roll.create.name} made no key ({answer.why or answer.status}).")
        self.scene.recorder.redactor.learn(Secret(value))
        return Credential(roll.carriers[0], Secret(value), login.owner), answer

    def _login_kind(self) -> Kind:
        kinds = [kind for kind in self.kinds() if kind is not Kind.KEY]
        if not kinds and any(Kind.KEY in account.ready for account in self.target.accounts.values()):
            return Kind.KEY  # keys that make keys
        if not kinds:
            raise Missing("No login is known that could create a key.", self._remedy(Need.LOGIN))
        return kinds[0]

    async def _declared_expendable(self) -> Account:
        """A declared account that no check used, else one that another check used and that still logs in."""
        if (absent := self.target.absent.get(Need.LOGIN)) is not None:
            raise Missing(f"Not applicable: nobody logs in here who may be lost: {absent}", applicable=False)
        given = self.target.expendables()
        used = {made.label: made for made, _ in self.scene.made_accounts}
        for account in given:
            if account.label not in used:
                self.scene.made_accounts.append((account, None))
                self.scene.lent.add((self.rule.code, account.label))
                if await self._still_logs_in(account) or account.label not in self.scene.lost:
                    return account
                self.scene.unknown.add(account.label)
        for account in (used[item.label] for item in given if item.label not in self.scene.lost):
            if (self.rule.code, account.label) not in self.scene.lent and await self._still_logs_in(account):
                self.scene.lent.add((self.rule.code, account.label))
                return account
        raise Missing(
            self._no_spare(given),
            self._remedy(Need.EXPENDABLE) or another_spare({account.label for account in given}),
        )

    def _no_spare(self, given: Sequence[Account]) -> str:
        """Why no declared account can be lent: the first one that was never let in is what to look at."""
        wrong = [account.label.removeprefix("x-") for account in given if account.label in self.scene.unknown]
        if wrong:
            whose = f"the expendable account {wrong[0]!r}"
            return f"Nobody can register here, and the login refuses the password of {whose}."
        if given:
            used = f"{len(given)} are used up"
            return f"Nobody can register here, and this check needs another expendable account: {used}."
        return "Nobody can register here, and this check needs an expendable account."

    async def _still_logs_in(self, account: Account) -> bool:
        if not self.target.logins or account.password is None:
            return False
        answer, login = await self.try_login(
            account, account.password, label=f"does {account.label} still log in?", role=Role.CONTROL
        )
        let_in = login.read(answer.reply, account.label) is not None
        if not let_in and answer.judgement is None:
            self.scene.lost.add(account.label)  # locked, deleted, or its password was changed
        return let_in

    def now_known_by(self, account: Account, password: Secret) -> Account:
        """The account with the password that was just set for it; whoever is lent it next must know that one."""
        changed = replace(account, password=password)
        self.scene.made_accounts = [
            (changed if made.label == account.label else made, credential)
            for made, credential in self.scene.made_accounts
        ]
        return changed

    async def expendable(self) -> Account:
        """A new account that may be locked or deleted. Raises Missing without self-registration."""
        register = self.target.register
        if register is None:
            return await self._declared_expendable()
        account = await self.fresh_account(register)
        await self.must_be_confirmed(account)
        return account

    async def must_be_confirmed(self, account: Account) -> None:
        """A new account can log in: it is confirmed where that takes the token of a message. Raises Unclear."""
        register = self.target.register
        why = await welcome(self, account) if register is not None and register.confirmed else ""
        if register is not None and why:
            raise Unclear(
                f"{register.operation.name} made an account that cannot log in: {why}.",
                self._remedy(Need.MAILBOX),
            )

    async def fresh_account(self, register: Register) -> Account:
        """A new account, whose address is not confirmed yet. Raises Unclear when it was refused."""
        name = f"x{self.scene.run_id}{len(self.scene.made_accounts)}{self.word(5)}"
        username = styled(name, register.user_style)
        password = Secret(self.password())
        self.scene.recorder.redactor.learn(password)
        account = Account(
            f"x{len(self.scene.made_accounts) + 1}",
            username,
            password,
            expendable=True,
            email=address_of(username, register),
        )
        self.scene.made_accounts.append((account, None))
        answer = await self.send(register.request(username, password), label="register an expendable account")
        if answer.reply.status is None or answer.reply.status >= 400:
            raise Unclear(
                f"{register.operation.name} refused a new account ({answer.reply.error or answer.status})."
            )
        return account

    async def _completed(self, request: HttpRequest) -> HttpRequest:
        if "{" in request.path and wanting(self.scene, request.path):
            return await completed(self, request)
        return request

    async def at_witness(
        self,
        credential: Credential | None = None,
        *,
        label: str,
        role: Role = Role.SETUP,
        headers: Sequence[tuple[str, str | bytes]] = (),
        baseline: Baseline | None = None,
        moved: float = 0.0,
        fresh: bool = False,
    ) -> Answer:
        """What the witness answers to a credential, and whom it names then."""
        return await self.call(
            self.witness.operation,
            credential,
            label=label,
            role=role,
            headers=headers,
            baseline=baseline,
            pointer=self.witness.identity or None,
            moved=moved,
            fresh=fresh,
        )

    async def call(
        self,
        operation: Operation,
        credential: Credential | None = None,
        *,
        label: str,
        role: Role = Role.SETUP,
        values: Mapping[str, str] | None = None,
        headers: Sequence[tuple[str, str | bytes]] = (),
        query: Sequence[tuple[str, str]] = (),
        body: object = None,
        baseline: Baseline | None = None,
        pointer: str | None = None,
        moved: float = 0.0,
        fresh: bool = False,
        raw_wire: bool = False,
        edit: Callable[[HttpRequest], HttpRequest] | None = None,
        again_below: int = 5,
    ) -> Answer:
        """Call an operation, with a credential or without; `edit` has the last word on the request."""
        above = await above_for(self, operation, credential)
        body = called_anew(self, operation, body)
        if self.target.objects is not None and operation.name == self.target.objects.create.name:
            values = self.target.objects.placed(values or {}, self.rng)
        body = standing_in(operation, self.target.objects, {**above, **(values or {})}, body)
        request = operation.request({**above, **self._key_owner(operation, credential), **(values or {})})
        if body is not None:
            request = operation.carrying(request, body)
        if credential is not None:
            # A page has one origin: what an attack says of it stands in the place of the service's own.
            foreign = any(name.lower() == "origin" for name, _ in headers)
            carried = [item for item in credential.headers if not foreign or item[0].lower() != "origin"]
            request = request.with_headers(*carried).with_query(*credential.query)
        request = request.with_headers(*headers).with_query(*query)
        if fresh:
            # RP: a new connection, and no cache may answer in the application's place.
            request = replace(request, fresh=True).with_headers(("Cache-Control", "no-cache"))
        if edit is not None:
            request = edit(request)
        answer = await self.send(
            request,
            label=label,
            role=role,
            operation=operation.name,
            baseline=baseline,
            pointer=pointer,
            moved=moved,
            raw_wire=raw_wire,
        )
        plain = not (headers or query or raw_wire or edit)
        if plain and answer.accepted and credential is not None and baseline is not None:
            answer = await unless_kept(self, answer, credential, baseline, pointer, moved=moved)
        if plain and not moved:
            self.scene.saw(operation.name, credential, answer.status)
        renamed = clashes(self.scene, operation, answer)
        if renamed or taken_elsewhere(self.scene, answer.request, answer.reply, above):
            if again_below == 0:
                raise Unclear(
                    f"{operation.name} counts anew below each parent: ids do not tell objects apart."
                )
            return await self.call(
                operation,
                credential,
                label=label,
                role=role,
                values=values,
                headers=headers,
                query=query,
                body=body,
                baseline=baseline,
                pointer=pointer,
                moved=moved,
                fresh=fresh,
                raw_wire=raw_wire,
                edit=edit,
                again_below=again_below - 1,
            )
        return answer

    async def deletes_itself(self, account: Account, credential: Credential, label: str) -> Answer:
        """An account deletes itself, with the password where that is asked for. Raises Missing."""
        deletion = self.target.delete_account
        if deletion is None:
            raise Missing("No operation is known by which people delete their account.")
        request = deletion.request(account).with_headers(*credential.headers).with_query(*credential.query)
        return await self.send(request, label=label, operation=deletion.name)

    def at(self, identifier: str, like: str = "") -> dict[str, str]:
        """The path values that lead to an object; `like` another one, whose place in the path a wrong id takes."""
        return values_of(self.scene, identifier, like)

    def _key_owner(self, operation: Operation, credential: Credential | None) -> dict[str, str]:
        """Whose keys: some services name the owner in the path of their key management."""
        name = self.target.keys.owner_parameter if self.target.keys is not None else ""
        account = self.target.accounts.get(credential.owner) if credential is not None else None
        return {name: account.username} if name and account and f"{{{name}}}" in operation.path else {}

    # Calibration.

    async def baseline(self, witness: Witness, credential: Credential) -> Baseline:
        """What the live credential and strangers get from `witness`: learned once per run. Raises Unclear."""
        kind, owner = credential.carrier, credential.owner
        witness = self.witness_for(credential, witness)
        return await self.scene.once(
            ("baseline", witness.operation.name, kind, owner), lambda: self._learn(witness, credential)
        )

    async def _learn(self, witness: Witness, credential: Credential) -> Baseline:
        operation, pointer = witness.operation, witness.identity or None
        learner = Core(self.scene, self.rule)
        good = await learner.call(
            operation, credential, label="learn: live credential", role=Role.CONTROL, pointer=pointer
        )
        anonymous = await learner.call(
            operation, label="learn: no credential", role=Role.CONTROL, pointer=pointer
        )
        for answer, who in ((good, "the live credential"), (anonymous, "no credential")):
            if answer.judgement is not None:
                raise Unclear(f"{operation.name} gave no usable answer to {who}: {answer.why}.")
        shown = good.exchange.reply
        if not good.reply.ok:
            raise Shut(
                f"{operation.name} refused a live credential ({shown.status}): controls are impossible."
            )
        if witness.identity and shown.principal is None:
            raise Unclear(
                f"{operation.name} does not name its caller at {witness.identity} any more.",
                f'[witness]\noperation = "{operation.name}"\nidentity = "/where/the/caller/is/named"',
            )
        junk = await learner.call(
            operation, self.bland(credential), label="learn: a bland wrong credential", role=Role.CONTROL
        )
        own = _own_voice(shown, [anonymous.exchange.reply, *await self._own_errors()], junk.exchange.reply)
        accepted = self.target.policy.refusals
        if sends_strangers_away(
            shown,
            anonymous.exchange.reply,
            junk.exchange.reply,
            path=anonymous.request.path,
            origin=self.scene.origin,
        ):
            accepted |= {"redirect"}
        if anonymous.reply.soft and junk.reply.soft:
            accepted |= {"envelope"}
        return Baseline(
            good=shown,
            anonymous=anonymous.exchange.reply,
            principal=shown.principal,
            canonical=junk.exchange.reply,
            refusals=own,
            accepted_refusals=accepted,
        )

    async def _own_errors(self) -> list[Reply]:
        """How this application words its own errors: unknown path, wrong verb, malformed or unknown bodies."""
        return await self.scene.once("own errors", self._provoke)

    async def _provoke(self) -> list[Reply]:
        learner = Core(self.scene, self.rule)
        operation = self.witness.operation
        requests = {
            "unknown path": HttpRequest("GET", f"{operation.address.rsplit('/', 1)[0]}/{self.word(12)}"),
            "wrong verb": HttpRequest("PATCH", operation.address),
        }
        login = next((login for login in self.target.logins if login.encoding == "json"), None)
        if login is not None:
            broken = login.operation.request().with_json({})
            requests["malformed body"] = replace(broken, body=b'{"a":')
        if operation.method == "POST":
            # What takes a body has words of its own for one that it cannot read, and for another kind of body.
            asked = operation.request().with_json({})
            requests["a malformed body of the witness"] = replace(asked, body=b'{"a":')
            requests["a form at the witness"] = asked.with_form((("a", "b"),))
        answers = [
            await learner.send(request, label=f"learn: {name}", role=Role.CONTROL)
            for name, request in requests.items()
        ]
        return [answer.exchange.reply for answer in answers if answer.judgement is None]

    async def must_be_reachable(self) -> str:
        """A public operation answers without credentials: the way to the target is open. Raises Unclear.

        Returns the beginning of what it answers, as far as a header can carry it; "" where none is known.
        """
        if self.target.public is None:
            return ""
        answer = await self.call(self.target.public, label="control: a public operation", role=Role.CONTROL)
        if not answer.reply.ok:
            raise Unclear(
                f"{self.target.public.name}, which is public, did not answer ({answer.why or answer.status})."
            )
        shown = answer.reply.text[:_SHOWN]
        return "".join(shown.split()) if shown.isascii() and shown.isprintable() else ""


def _own_voice(good: Reply, plain: list[Reply], junk: Reply) -> tuple[Fingerprint, ...]:
    """The refusals that the application itself wrote: same way through as the good reply.

    The refusal of a wrong credential counts only when its kind of body is one that the application uses for
    errors that no filter would provoke: otherwise a filter that reacts to unknown credentials would pass for
    the application.
    """
    voice = (good.header("server"), good.header("via"))
    refusals = [
        Fingerprint.of(reply)
        for reply in (*plain, junk)
        if (reply.status or 0) >= 400 and (reply.header("server"), reply.header("via")) == voice
    ]
    errors = {Fingerprint.of(reply).media_type for reply in plain if (reply.status or 0) >= 400}
    return tuple(known for known in refusals if not errors or known.media_type in errors)


def _text_at(reply: RawReply, pointer: str) -> str | None:
    value = found_at(reply, pointer)
    return value if isinstance(value, str) and value else None
