"""A gallery of refusals, hung once per run: what the application says to everybody whom it does not serve."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from auth_conformance.model import (
    Exchange,
    Reply,
    Role,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.holdings import Holdings
from auth_conformance.probe.minting import Minting
from auth_conformance.probe.objects import object_of
from auth_conformance.secret import Secret
from auth_conformance.target import Operation, styled

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential
    from auth_conformance.model import Rule
    from auth_conformance.probe.scene import Scene
    from auth_conformance.target import Login
    from auth_conformance.transports.message import HttpRequest

# What an application may answer to each kind of wrong (RFC 9110 §15.5, RFC 6750 §3.1).
UNKNOWN_CALLER = frozenset({401})
MALFORMED = frozenset({400, 401})
# Elsewhere than at the witness an operation may be hidden from strangers altogether.
HIDDEN_OR_UNKNOWN = frozenset({401, 404})
GONE_CALLER = frozenset({401, 403})
NO_RIGHT = frozenset({403, 404})
# How many operations without parameters are asked in search of one that A may not use.
_ASKED_FOR_RIGHTS = 8
# How many routers besides the witnesses' own are asked without a credential.
# Larger than what an interface of small JSON documents has reason to take.
_LARGE = 2_000_000


@dataclass(frozen=True, slots=True)
class Refused:
    """One wrong request and its answer. `group` is what was wrong about it.

    `expected` are the statuses that would be right, None where this is nobody's business. `core` ones must be
    judged for a PASS. `after` is what came before it and made it wrong.
    """

    cause: str
    group: str
    answer: Answer
    expected: frozenset[int] | None = None
    core: bool = False
    after: tuple[Exchange, ...] = ()

    @property
    def status(self) -> int:
        """The status; 0 when no answer came."""
        return self.answer.status or 0


@dataclass(slots=True)
class Gallery:
    """What was provoked, and in `absent` what could not be, with the reason. `good` answered the honest."""

    good: Reply
    hung: list[Refused] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    @property
    def refusals(self) -> list[Refused]:
        """Those that the application itself refused: 4xx, by the same way through as the honest answer."""
        return [item for item in self.hung if 400 <= item.status < 500 and self.own(item.answer.exchange)]

    def own(self, exchange: Exchange) -> bool:
        """Whether the application wrote this answer: nothing in front has signed it, and no cache kept it."""
        return not by_cache(exchange.reply) and all(
            exchange.reply.header(name) == self.good.header(name) for name in ("server", "via")
        )


class Provoking(Minting):
    """Hangs the gallery. Everything sent is the run's, not a check's."""

    def __init__(self, scene: Scene, rule: Rule) -> None:
        super().__init__(scene, rule)
        self.hung: list[Refused] = []
        self.absent: list[str] = []

    async def all(self) -> Gallery:
        """Provoke every refusal that does no harm. Raises Unclear where the honest are not let in."""
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        for name, provoke in {
            "missing and malformed credentials": self._strangers,
            "wrong credentials": self._wrong,
            "a wrong login": self._login,
            "an expired token and an unknown subject": self._minted,
            "an ended session and a deleted account": self._gone,
            "a disabled account": self._disabled,
            "unknown path and wrong verb": self._astray,
            "bad input": self._input,
            "the object of another user": self._objects,
            "an operation for others": self._privileged,
            "a second registration": self._duplicate,
        }.items():
            try:
                await provoke()
            except (Missing, Unclear) as reason:
                self.absent.append(f"{name}: {reason}")
        await self.must_live(self.witness, live, baseline, "after")
        return Gallery(baseline.good, self.hung, self.absent)

    async def _hang(
        self,
        cause: str,
        group: str,
        operation: Operation,
        credential: Credential | None = None,
        *,
        expected: frozenset[int] | None = None,
        core: bool = False,
        pointer: str | None = None,
        request: HttpRequest | None = None,
        after: tuple[Exchange, ...] = (),
        **parts: Any,
    ) -> Refused:
        if request is not None:
            answer = await self.send(
                request, label=f"refusal: {cause}", role=Role.ATTACK, operation=operation.name
            )
        else:
            answer = await self.call(
                operation, credential, label=f"refusal: {cause}", role=Role.ATTACK, pointer=pointer, **parts
            )
        refused = Refused(cause, group, answer, expected, core, after)
        self.hung.append(refused)
        return refused

    async def _strangers(self) -> None:
        for number, witness in enumerate(self.witnesses):
            operation, pointer = witness.operation, witness.identity or None
            await self._hang(
                f"no credential at {operation.name}",
                "credential",
                operation,
                expected=UNKNOWN_CALLER,
                core=number == 0,
                pointer=pointer,
            )
        for operation in self.other_routers():
            await self._hang(
                f"no credential at {operation.name}", "credential", operation, expected=HIDDEN_OR_UNKNOWN
            )
        operation, pointer = self.witness.operation, self.witness.identity or None
        for cause, value in {
            "a bare Bearer": "Bearer",
            "an Authorization header without sense": "%%% %%%",
        }.items():
            await self._hang(
                cause,
                "credential",
                operation,
                expected=MALFORMED,
                core=True,
                pointer=pointer,
                headers=(("Authorization", value),),
            )

    async def _wrong(self) -> None:
        operation, pointer = self.witness.operation, self.witness.identity or None
        for kind in self.kinds():
            live = await self.credential(kind)
            wrong = {f"a wrong {kind.value} credential": self.bland(live)}
            token = live.jwt
            if token is not None:
                wrong["a token with a wrong signature"] = live.with_value(token.with_flipped_signature().text)
            for cause, credential in wrong.items():
                await self._hang(
                    cause,
                    "credential",
                    operation,
                    credential,
                    expected=UNKNOWN_CALLER,
                    core=True,
                    pointer=pointer,
                )

    async def _login(self) -> None:
        seen: set[str] = set()
        for login in self.target.logins:
            if login.operation.name in seen or login.encoding == "basic":
                continue
            seen.add(login.operation.name)
            # A user whom nobody knows: no account is locked by this.
            style = "email" if "@" in self.account().username else "name"
            password = Secret(self.password())
            self.scene.recorder.redactor.learn(password)
            operation, request = _where_asked(login, styled(f"nobody{self.word(8)}", style), password)
            refused = await self._hang(
                f"a login of nobody at {operation.name}", "credential", operation, request=request
            )
            # RFC 6749 §5.2: at a token endpoint wrong user credentials are 400 invalid_grant.
            # FastAPI's HTTPException puts what it is given into `detail`.
            told = refused.answer.reply.json
            oauth = "invalid_grant" in (resolve(told, "/error"), resolve(told, "/detail/error"))
            oauth = oauth or _is_token_endpoint(login)
            self.hung[-1] = replace(refused, expected=frozenset({400, 401}) if oauth else UNKNOWN_CALLER)

    async def _minted(self) -> None:
        forge = await self.forge()
        operation, pointer = self.witness.operation, self.witness.identity or None
        now = int(self.scene.recorder.clock.now() + forge.offset)
        past = {"iat": now - 7200, "nbf": now - 7200, "auth_time": now - 7200, "exp": now - 3600}
        claims = self.fresh_claims(forge)
        if "exp" in claims:
            expired = claims | {name: value for name, value in past.items() if name in claims}
            await self._hang(
                "an expired token",
                "credential",
                operation,
                forge.credential(expired),
                expected=UNKNOWN_CALLER,
                core=True,
                pointer=pointer,
            )
        subject = claims.get("sub")
        if isinstance(subject, str) and subject:
            nobody = claims | {"sub": self._unknown_like(subject)}
            await self._hang(
                "a token of an unknown subject",
                "credential",
                operation,
                forge.credential(nobody),
                expected=GONE_CALLER,
                pointer=pointer,
            )

    async def _gone(self) -> None:
        operation, pointer = self.witness.operation, self.witness.identity or None
        account = await self.expendable()
        kind = self.target.logins[0].carrier.kind if self.target.logins else self.preferred()
        leaving, staying = await self.log_in(account, kind), await self.log_in(account, kind)
        logout = next((logout for logout in self.target.logouts if logout.kind is kind), None)
        if logout is not None:
            body = logout.body(leaving.credential.value, leaving.refresh)
            going = logout.leaving(leaving.credential, leaving.refresh)
            ended = await self.call(logout.operation, going, label="log out", body=body)
            await self._hang(
                "an ended session",
                "credential",
                operation,
                leaving.credential,
                expected=UNKNOWN_CALLER,
                pointer=pointer,
                after=(ended.exchange,),
            )
        else:
            self.absent.append("an ended session: no logout is known")
        if self.target.delete_account is not None:
            deleted = await self.deletes_itself(account, staying.credential, "delete the account")
            if not deleted.reply.ok:
                raise Unclear(f"the expendable account was not deleted ({deleted.status})")
            await self._hang(
                "a credential of a deleted account",
                "credential",
                operation,
                staying.credential,
                expected=GONE_CALLER,
                pointer=pointer,
                after=(deleted.exchange,),
            )

    async def _disabled(self) -> None:
        """A live session whose account an administrator has shut meanwhile: one of this run, which stays so."""
        users = self.target.users
        if users is None or users.disable is None or "admin" not in self.target.accounts:
            raise Missing("no administrator is known who could disable one")
        if self.target.register is None:
            raise Missing("nobody can register here, and other people's accounts are not disabled for this")
        holder = Holdings(self.scene, self.rule)
        account = await holder.expendable()
        session = await holder.log_in(account)
        facts = await holder.facts_of(session.credential)
        shut = await holder.as_administrator(users.disable, facts, "an administrator disables the account")
        if not shut.granted:
            raise Unclear(f"it was not disabled ({shut.why or shut.status})")
        await self._hang(
            "a session of a disabled account",
            "credential",
            self.witness.operation,
            session.credential,
            expected=GONE_CALLER,
            pointer=self.witness.identity or None,
            after=(shut.exchange,),
        )

    async def _astray(self) -> None:
        operation = self.witness.operation
        folder = operation.address.rsplit("/", 1)[0]
        unknown = Operation("GET", f"{folder}/{self.word(12)}/{self.word(8)}")
        await self._hang("an unknown path", "unknown", unknown)
        known = {item.method for item in self.target.operations if item.address == operation.address} | {
            "GET"
        }
        verb = next((verb for verb in ("PUT", "PATCH", "POST", "DELETE") if verb not in known), None)
        if verb is not None:
            live = await self.credential()
            await self._hang("a wrong verb", "verb", replace(operation, method=verb), live)

    async def _input(self) -> None:
        try:
            request, operation, text_field = await self._writable()
        except Missing:
            await self._unparseable()
            return
        json = "json" in str(request.header("content-type"))
        wrong = {"a missing field": request.with_json({}) if json else request.with_form(())}
        if json:
            wrong["a field of the wrong type"] = request.with_json(put({}, text_field, {"a": [1]}))
            wrong["broken JSON"] = replace(request, body=b'{"a":')
            wrong["a very large body"] = replace(request, body=b'{"a": "' + b"a" * _LARGE)
        kept = tuple(pair for pair in request.headers if pair[0].lower() != "content-type")
        wrong["a body of an unknown type"] = replace(
            request, headers=(*kept, ("Content-Type", "application/x-nobody-knows"))
        )
        for cause, sent in wrong.items():
            await self._hang(cause, "input", operation, request=sent)

    async def _unparseable(self) -> None:
        """Send what is no JSON to any operation that takes it: nothing is changed by it. Raises Missing."""
        for operation in self.target.operations:
            takes = any("json" in media_type for media_type in operation.bodies)
            if takes and operation.method in {"POST", "PUT", "PATCH"} and "{" not in operation.path:
                live = await self.credential()
                bare = operation.request().with_headers(*live.headers).with_query(*live.query)
                broken = replace(bare.with_json({}), body=b'{"a":')
                await self._hang("broken JSON", "input", operation, request=broken)
                return
        raise Missing("no operation that takes a body is known")

    async def _writable(self) -> tuple[HttpRequest, Operation, str]:
        """Find a request that takes a body, with its operation and the name of one of its fields."""
        objects, register = self.target.objects, self.target.register
        if objects is not None:
            live = await self.credential()
            bare = objects.create.request().with_headers(*live.headers).with_query(*live.query)
            return objects.create.carrying(bare, objects.template), objects.create, objects.text_field
        if register is not None and register.encoding == "json":
            return register.operation.request().with_json({}), register.operation, register.user_field
        for login in sorted(self.target.logins, key=lambda login: login.encoding != "json"):
            if login.encoding in ("json", "form"):
                nobody = login.request("nobody", Secret(""))
                return nobody, login.operation, login.user_field
        raise Missing("no operation that takes a body is known")

    async def _objects(self) -> None:
        objects = self.target.objects
        if objects is None:
            raise Missing("no objects of users are known")
        if self.target.policy.shared_objects:
            raise Missing("people are declared to share their objects")
        live = await self.credential()
        identifier = await object_of(self, "b")
        await self._hang(
            "the object of another user",
            "right",
            objects.read,
            live,
            values=self.at(identifier),
            expected=NO_RIGHT,
            core=True,
        )
        await self._hang(
            "an object that does not exist",
            "unknown",
            objects.read,
            live,
            values=self.at(self._unknown_like(identifier), identifier),
        )

    async def _privileged(self) -> None:
        live = await self.credential()
        declared = self.target.policy.privileged_operations
        admin = await self.credential(owner="admin") if "admin" in self.target.accounts else None
        candidates = [
            operation
            for operation in self.target.operations
            if operation.method == "GET" and "{" not in operation.path and operation.security
        ]
        candidates.sort(key=lambda operation: operation.name not in declared)
        for operation in candidates[:_ASKED_FOR_RIGHTS]:
            answer = await self.call(operation, live, label="may A use this?")
            if answer.status is None or answer.reply.ok or answer.status >= 500:
                continue
            is_privileged = operation.name in declared
            if admin is not None and not is_privileged:
                above = await self.call(operation, admin, label="may an administrator use this?")
                is_privileged = above.reply.ok
            if is_privileged or answer.status == HTTPStatus.FORBIDDEN:
                expected = NO_RIGHT if is_privileged else None
                self.hung.append(Refused(f"{operation.name} without the right", "right", answer, expected))
                return
        raise Missing("no operation is known that A may not use")

    async def _duplicate(self) -> None:
        register = self.target.register
        if register is None:
            raise Missing("nobody can register here")
        password = Secret(self.password())
        self.scene.recorder.redactor.learn(password)
        request = register.request(self.account().username, password)
        await self._hang("a second registration of one name", "conflict", register.operation, request=request)

    def _unknown_like(self, text: str) -> str:
        if text.isdecimal():
            return str(self.rng.randint(1_500_000_000, 2_000_000_000))
        try:
            uuid.UUID(text)
        except ValueError:
            return "".join(self._another(character) for character in text)
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))


def _where_asked(login: Login, name: str, password: Secret) -> tuple[Operation, HttpRequest]:
    """The request that takes the password: of several steps the one that asks for it, with those before it."""
    for place, step in enumerate(login.before):
        if step.password_field and not login.password_field:
            before = tuple(item.step(name, password) for item in login.before[:place])
            return step.operation, replace(step.step(name, password).request, before=before)
    return login.operation, login.request(name, password)


def _is_token_endpoint(login: Login) -> bool:
    """Whether a login is a token endpoint of OAuth 2.0: its form takes a grant type (RFC 6749 §4.3.2).

    Its wrong passwords are 400 whatever the body says: FastAPI's own form, and most services that use it, have
    bodies of their own.
    """
    form = login.operation.bodies.get("application/x-www-form-urlencoded", {})
    return login.encoding == "form" and "grant_type" in {*form.get("properties", {}), *login.template}
