"""Sending one request and knowing what the reply means: the ground that all sentences stand on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import random
import secrets
import string
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Jwt, Kind
from auth_conformance.model import Exchange, Inconclusive, Need, Outcome, Reply, Role, Skipped, Verdict
from auth_conformance.oracles.entry import (
    Baseline,
    Fingerprint,
    Judgement,
    classify,
    failure,
    sends_strangers_away,
)
from auth_conformance.oracles.places import found_at
from auth_conformance.oracles.pointer import put
from auth_conformance.probe.above import (
    above_for,
    completed,
    standing_in,
    taken_elsewhere,
    values_of,
    wanting,
)
from auth_conformance.probe.scene import Crash, Scene
from auth_conformance.probe.welcome import welcome
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Login, Objects, Operation, Witness, address_of, styled
from auth_conformance.transports.message import HttpRequest, RawReply
from auth_conformance.transports.recorder import Sent
from auth_conformance.transports.wire import NoWire

if TYPE_CHECKING:
    from auth_conformance.model import Rule

# How many requests of one check may be on their way at the same time.
PARALLEL = 8
# So many attacks at most between two controls: a service that refuses everybody for a while must not pass.
EVERY = 10

# How much of a public answer is worn as a token.
_SHOWN = 500
# Whose failure makes any judgement about credentials of that kind meaningless (checklist §1.3 CR).
ROOTS = {Kind.BEARER: "TOK101", Kind.KEY: "KEY101", Kind.COOKIE: "SES101", Kind.BASIC: "TOK101"}


# Servers read no longer headers (uvicorn 64 kB, gunicorn and nginx 8), and need not take such bodies.
LONGEST_HEADERS, LONGEST_BODY = 64_000, 500_000
# Where changes with a session cookie are refused: what may be missing, and how to say it.
CSRF_REMEDY = (
    '[[login]]\ncsrf = "/csrf_token"  # where the token stands that changes need: in the answer to the login,\n'
    'csrf_from = "GET /csrf"  # or to this\ncsrf_header = "X-CSRF-Token"  # and the header that takes it'
)


class Unclear(Exception):  # noqa: N818 - a conclusion, not an error
    """Raised where a sentence cannot go on: a control failed. The runner turns it into Inconclusive."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.verdict: Verdict = Inconclusive(reason, remedy)


class Missing(Exception):  # noqa: N818 - a conclusion, not an error
    """Raised where something is needed that this target lacks. The runner turns it into Skipped."""

    def __init__(self, reason: str, remedy: str = "", *, applicable: bool = True) -> None:
        super().__init__(reason)
        self.remedy = remedy
        self.verdict: Verdict = Skipped(reason, remedy, applicable)


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply, judged. `request` is what was sent, so that it can be sent again."""

    request: HttpRequest
    reply: RawReply
    exchange: Exchange
    judgement: Judgement | None = None

    @property
    def outcome(self) -> Outcome | None:
        """What the reply means; None where no baseline applies."""
        return self.judgement.outcome if self.judgement else None

    @property
    def why(self) -> str:
        """The reason for the outcome."""
        return self.judgement.why if self.judgement else ""

    @property
    def broke(self) -> bool:
        """Whether the service broke over it. No answer in time is not that: it may just be busy."""
        return self.outcome is Outcome.CRASHED and not self.reply.late

    @property
    def accepted(self) -> bool:
        """Whether the caller got in."""
        return self.outcome is Outcome.ACCEPTED

    @property
    def rejected(self) -> bool:
        """Whether the application refused."""
        return self.outcome is Outcome.REJECTED

    @property
    def status(self) -> int | None:
        """The status; None when no reply came."""
        return self.reply.status


@dataclass(frozen=True, slots=True)
class Session:
    """What one login issued: the credential, the refresh token, and the answer it came in."""

    account: Account
    credential: Credential
    refresh: Secret | None
    answer: Answer


# How often one request waits for a limit: others that were under way may be let in first.
_WAITS = 3


class Core:
    """Sends, records and judges for one check. Chance comes from `rng`, seeded by run and code."""

    def __init__(self, scene: Scene, rule: Rule) -> None:
        self.scene = scene
        self.rule = rule
        self.target = scene.target
        self.rng = random.Random(f"{scene.seed}:{rule.code}")
        digest = hashlib.sha256(f"{scene.run_id}:{rule.code}".encode()).digest()
        self.address = f"127.{1 + digest[0] % 254}.{digest[1]}.{1 + digest[2] % 254}"
        self.evidence: list[Exchange] = []
        self.notes: list[str] = []

    @contextlib.contextmanager
    def doubting(self, doubts: list[str], remedies: list[str] | None = None) -> Iterator[None]:
        """A step within it that stays unclear leaves a doubt: what other steps have found stands."""
        try:
            yield
        except Unclear as reason:
            doubts.append(str(reason))
            if remedies is not None and isinstance(reason.verdict, Inconclusive):
                remedies.append(reason.verdict.remedy)

    # Facts about the target, or a conclusion that says what is missing.

    @property
    def witness(self) -> Witness:
        """The protected operation that names its caller; for rules on keys one that takes keys. Raises Missing."""
        if self._on_keys and self.target.key_witness is not None:
            return self.target.key_witness
        if self.target.witness is None:
            raise Missing(
                "No protected operation that names its caller was found.", self._remedy(Need.WITNESS)
            )
        return self.target.witness

    @property
    def witnesses(self) -> tuple[Witness, ...]:
        """The witness and, where there is one, a second protected operation."""
        if self._on_keys and self.target.key_witness is not None:
            return (self.target.key_witness,)
        return tuple(item for item in (self.witness, self.target.second) if item is not None)

    def witness_for(self, credential: Credential, witness: Witness) -> Witness:
        """`witness`, or the one in its place that takes such a credential: keys may have a witness of their own."""
        people, machines = self.target.witness, self.target.key_witness
        if people is None or machines is None or witness not in (people, machines):
            return witness
        return machines if credential.carrier.kind is Kind.KEY else people

    @property
    def _on_keys(self) -> bool:
        """Whether the rule is about API keys."""
        return bool({Need.API_KEY, Need.KEY_MANAGEMENT} & set(self.rule.needs))

    def account(self, label: str = "a") -> Account:
        """An account by label (`a`, `b`, `admin`). Raises Missing."""
        account = self.target.accounts.get(label)
        if account is None:
            need = {"a": Need.LOGIN, "b": Need.TWO_USERS}.get(label, Need.ADMIN)
            raise Missing(f"No account {label!r} is known.", self._remedy(need))
        return account

    @contextlib.contextmanager
    def looking_at(self, objects: Objects) -> Iterator[None]:
        """Within it, the objects that this check looks at are those of another collection."""
        scene, target = self.scene, self.target
        self.scene = scene.about(objects)
        self.target = self.scene.target
        try:
            yield
        finally:
            self.scene, self.target = scene, target

    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of credential that this target accepts where the rule looks, and that A can obtain."""
        found = self.target.kinds() if self._on_keys else self.target.shared_kinds()
        return tuple(kind for kind in Kind if kind in found)

    @property
    def token_kind(self) -> Kind:
        """The kind of credential that is a token: bearer, or the session cookie where no bearer token is known."""
        return Kind.COOKIE if Kind.COOKIE in self.kinds() and Kind.BEARER not in self.kinds() else Kind.BEARER

    def _remedy(self, need: Need) -> str:
        return self.target.remedies.get(need, "")

    # Credentials.

    async def credential(
        self, kind: Kind | None = None, owner: str = "a", *, fresh: bool = False
    ) -> Credential:
        """A live credential of `owner`, shared by all checks unless `fresh`. Raises Missing or Unclear."""
        wanted = kind or self.preferred()
        if fresh:
            return self.scene.issued(await self._obtain(wanted, owner))
        found = await self.scene.once(("credential", wanted, owner), lambda: self._obtain(wanted, owner))
        return self.scene.issued(found)

    async def forget_dead(self) -> bool:
        """Forget shared credentials that the witness refuses by now; whether there was one."""
        dead = False
        for key, credential in self.scene.shared_credentials():
            answer = await self.call(
                self.witness.operation,
                credential,
                label="is the shared login still alive?",
                role=Role.CONTROL,
            )
            if answer.status in {401, 403}:
                self.scene.forget(key)
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
        answer, login = await self.try_login(account, account.password, kind, moved=moved, label=label)
        credential = login.read(answer.reply, account.label)
        if credential is None:
            status = answer.reply.error or answer.status
            raise Unclear(
                f"{login.operation.name} refused the right password of account {account.label!r} ({status})."
            )
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
            raise Missing("No operation that creates API keys is known.", self._remedy(Need.KEY_MANAGEMENT))
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
            raise Unclear(f"{keys.create.name} did not create a key ({answer.reply.error or answer.status}).")
        self.scene.recorder.redactor.learn(Secret(value))
        return Credential(keys.carriers[0], Secret(value), owner), answer

    def _login_kind(self) -> Kind:
        kinds = [kind for kind in self.kinds() if kind is not Kind.KEY]
        if not kinds and any(Kind.KEY in account.ready for account in self.target.accounts.values()):
            return Kind.KEY  # keys that make keys
        if not kinds:
            raise Missing("No login is known that could create a key.", self._remedy(Need.LOGIN))
        return kinds[0]

    async def _declared_expendable(self) -> Account:
        """A declared account that no check used, else one that another check used and that still logs in."""
        given = self.target.expendables()
        used = {made.label: made for made, _ in self.scene.made_accounts}
        for account in given:
            if account.label not in used:
                self.scene.made_accounts.append((account, None))
                self.scene.lent.add((self.rule.code, account.label))
                return account
        for account in (used[item.label] for item in given if item.label not in self.scene.lost):
            if (self.rule.code, account.label) not in self.scene.lent and await self._still_logs_in(account):
                self.scene.lent.add((self.rule.code, account.label))
                return account
        raise Missing(
            f"Nobody can register here, and this check needs another expendable account: {len(given)} are used up."
            if given
            else "Nobody can register here, and this check needs an expendable account.",
            self._remedy(Need.EXPENDABLE)
            or '[accounts.spare2]\nusername = "…"\npassword = { env = "SPARE2_PASSWORD" }\nrole = "expendable"',
        )

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
        why = await welcome(self, account) if register.confirmed else ""
        if why:
            raise Unclear(
                f"{register.operation.name} made an account that cannot log in: {why}.",
                self._remedy(Need.MAILBOX),
            )
        return account

    # Sending.

    async def send(
        self,
        request: HttpRequest,
        *,
        label: str,
        role: Role = Role.SETUP,
        operation: str | None = None,
        baseline: Baseline | None = None,
        pointer: str | None = None,
        moved: float = 0.0,
        raw_wire: bool = False,
        patient: bool = True,
    ) -> Answer:
        """Send once; wait once for a short `Retry-After` if `patient`. What is sent is this check's evidence."""
        if "{" in request.path and wanting(self.scene, request.path):
            request = await completed(self, request)
        if request.source is None and request.path in self._limited_paths():
            # Newcomers and forgetful people seldom share an address: what limits one check's must not limit another's.
            request = replace(request, source=self.address)
        transport = None
        if raw_wire:
            transport = (
                await self.scene.wire() if self.scene.wire else NoWire("this vector needs the raw wire")
            )

        async def once() -> tuple[Sent, Judgement | None]:
            sent = await self.scene.recorder.send(
                request,
                label=label,
                role=role,
                operation=operation,
                pointer=pointer,
                transport=transport,
                moved=moved,
            )
            seen = sent.exchange.reply
            if seen.status == 501 and request.method not in ("GET", "POST"):
                # RFC 9110 §15.6.2: how a server says that it does not know a method. Nothing has broken.
                unknown = Judgement(Outcome.REJECTED, "501: the service does not know the method")
                return sent, unknown if baseline else None
            lost = None if self.target.in_process and not raw_wire else hung_up(seen, request)
            return sent, lost or (classify(seen, baseline) if baseline else failure(seen))

        if not patient:
            self.scene.recorder.pace.rushed()
        sent, judgement = await self._let_through(request, once, _WAITS if patient else 0)
        exchange = replace(sent.exchange, outcome=judgement.outcome if judgement else None)
        answer = Answer(request, sent.reply, exchange, judgement)
        self.evidence.append(exchange)
        # A server that is no proxy may hang up on CONNECT (RFC 9110 §9.3.6): Node.js does by itself.
        broken = judgement is not None and judgement.outcome is Outcome.CRASHED
        if broken and request.method != "CONNECT":
            self.scene.crashes.append(Crash(label, request, exchange, raw_wire, moved))
        if sent.reply.status == 401:
            self.scene.refusals_seen.append(exchange)
        return answer

    def _limited_paths(self) -> set[str]:
        """Where strangers register and ask for messages: services limit that by address."""
        register, recovery = self.target.register, self.target.recovery
        found = {register.operation.path} if register is not None else set()
        return found | ({recovery.ask.form.operation.path} if recovery is not None else set())

    async def _let_through(
        self, request: HttpRequest, once: Callable[[], Awaitable[tuple[Sent, Judgement | None]]], waits: int
    ) -> tuple[Sent, Judgement | None]:
        """What `once` sends; sent again, at most `waits` times, while a limit worth waiting for refuses it."""
        sent, judgement = await once()
        for _ in range(waits):
            throttled = judgement is not None and judgement.outcome is Outcome.THROTTLED
            if not throttled or not await self._waited(request, sent.reply):
                break
            sent, judgement = await once()
        return sent, judgement

    async def _waited(self, request: HttpRequest, reply: RawReply) -> bool:
        """Whether the limit is worth waiting for, and was waited for.

        A limit that a plain read meets is one on everything that is asked: then the whole run slows down.
        """
        try:
            seconds = float(reply.header("retry-after") or "1")
        except ValueError:
            return False
        if seconds > self.scene.patience or self.scene.waited > 10 * self.scene.patience:
            return False
        if request.method in ("GET", "HEAD"):
            self.scene.waited += self.scene.recorder.pace.hold(max(0.0, seconds))
            return True
        self.scene.waited += seconds
        await asyncio.sleep(max(0.0, seconds))
        return True

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
        body = self._called_anew(operation, body)
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
        if not (headers or query or moved or raw_wire or edit):
            self.scene.saw(operation.name, credential, answer.status)
        if taken_elsewhere(self.scene, answer.request, answer.reply, above):
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
                again_below=again_below - 1,
            )
        return answer

    def _called_anew(self, operation: Operation, body: object) -> object:
        """The plain body of a creation with a text of its own: services may want titles that differ."""
        objects = self.target.objects
        if objects is None or operation.name != objects.create.name or body != dict(objects.template):
            return body
        return put(dict(objects.template), objects.text_field, self.word(12))

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
            raise Unclear(
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
        return Baseline(
            good=shown,
            anonymous=anonymous.exchange.reply,
            principal=shown.principal,
            canonical=junk.exchange.reply,
            refusals=own,
            accepted_refusals=accepted,
        )

    async def _own_errors(self) -> list[Reply]:
        """How this application words its own errors: unknown path, wrong verb, malformed body."""
        return await self.scene.once("own errors", self._provoke)

    async def _provoke(self) -> list[Reply]:
        learner = Core(self.scene, self.rule)
        operation = self.witness.operation
        requests = {
            "unknown path": HttpRequest("GET", f"{operation.path.rsplit('/', 1)[0]}/{self.word(12)}"),
            "wrong verb": HttpRequest("PATCH", operation.path),
        }
        login = next((login for login in self.target.logins if login.encoding == "json"), None)
        if login is not None:
            broken = login.operation.request().with_json({})
            requests["malformed body"] = replace(broken, body=b'{"a":')
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

    # Values.

    def jwt_of(self, credential: Credential) -> Jwt:
        """The token in a credential. Raises Missing when it is opaque."""
        token = credential.jwt
        if token is None:
            raise Missing(
                "Not applicable: the tokens of this service are opaque, not JWTs.", applicable=False
            )
        return token

    def respelled(self, text: str) -> list[tuple[str, str]]:
        """`text` with one character changed at the start, in the middle and at the end, each with its place."""
        places = {"first": 0, "middle": len(text) // 2, "last": len(text) - 1}
        return [
            (place, text[:index] + self._another(text[index]) + text[index + 1 :])
            for place, index in places.items()
            if self._another(text[index]) != text[index]
        ]

    def bland(self, credential: Credential) -> Credential:
        """A wrong credential of the same shape: each letter, digit and sign replaced by another of its kind."""
        return credential.with_value(
            "".join(self._another(character) for character in credential.value.reveal())
        )

    def _another(self, character: str) -> str:
        for alphabet in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
            if character in alphabet:
                return self.rng.choice(alphabet.replace(character, ""))
        return character

    def word(self, length: int) -> str:
        """Random lower-case letters from the check's own chance."""
        return "".join(self.rng.choice(string.ascii_lowercase) for _ in range(length))

    def password(self) -> str:
        """A password that any sane policy takes: 20 characters of four kinds, with a canary in it."""
        return f"{self.canary()}-Q{self.rng.randrange(10, 99)}"

    def canary(self) -> str:
        """Sixteen random characters that occur nowhere by chance: from the system, not from the seed."""
        alphabet = string.ascii_letters + string.digits
        return "".join(secrets.choice(alphabet) for _ in range(16))


def hung_up(seen: Reply, request: HttpRequest) -> Judgement | None:
    """Whether the server closed the connection on a request too long for it, before all of it was sent.

    Its refusal (431, 413) is often lost then: the kernel drops what was sent to a client that is still
    writing. What kills the service is seen by the control that follows.
    """
    headers = sum(len(name) + len(value) for name, value in request.headers)
    long = headers + len(request.url) > LONGEST_HEADERS or len(request.body or b"") > LONGEST_BODY
    if not long or seen.status is not None or not (seen.error or "").startswith("connection closed"):
        return None
    return Judgement(Outcome.INTERCEPTED, "the server hung up on a request of this length")


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
