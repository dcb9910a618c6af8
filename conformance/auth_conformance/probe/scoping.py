"""`must_enforce_scopes`: operations that declare scopes, called with credentials that lack them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Exchange, Expectation, Need, Role, Severity, Verdict, Violation
from auth_conformance.oracles.normalise import masked, same_structure
from auth_conformance.oracles.pointer import resolve
from auth_conformance.oracles.scopes import MEMBERS, ScopeMember, may_include, scopes_of
from auth_conformance.probe.core import Answer, Missing, Unclear
from auth_conformance.probe.holdings import told_once
from auth_conformance.probe.machines import Machines
from auth_conformance.probe.minting import Minting
from auth_conformance.probe.narrowing import Narrowing
from auth_conformance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.target import Account, Operation
    from auth_conformance.transports.message import HttpRequest

# So many operations are enough to see whether scopes are looked at; more cost more than they tell.
MOST_OPERATIONS = 12
# RFC 9110 §9.2.1.
_SAFE = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Narrow:
    """A credential whose scopes do not cover an operation, and how it came to them.

    No service issues what is not `core`: a crash over it is no answer about scopes.
    """

    label: str
    credential: Credential
    core: bool = True


class Scoping(Minting, Narrowing):
    """Asks for less, and tries to do more."""

    async def must_enforce_scopes(self) -> Verdict:
        """A credential without a scope must be refused where it is declared. Raises Missing or Unclear."""
        async with contextlib.AsyncExitStack() as self._clients:
            return await self._scopes_enforced()

    async def _scopes_enforced(self) -> Verdict:
        operations = self._scoped()
        granted = await self._scopes_granted()
        violations: list[Violation] = []
        doubts: list[str] = []
        proved: list[str] = []
        alike: list[str] = []
        cache: dict[tuple[str, str], list[Narrow]] = {}
        for operation in operations[:MOST_OPERATIONS]:
            lacking = next((scope for scope in operation.scopes if scope in granted), None)
            if lacking is None:
                continue
            account = await self._who_may_lose(operation)
            if account is None:
                self.notes.append(f"{operation.name} was not called: nobody is expendable whom it may change")
                continue
            key = (lacking, account.label)
            if key not in cache:
                cache[key] = await self._narrow(lacking, granted, account)
            # Of somebody else's things a refusal may be about whose they are.
            narrow = [
                item
                for item in cache[key]
                if item.credential.owner == account.label or "{" not in operation.path
            ]
            found = await self._scoped_call(operation, lacking, narrow, doubts, account)
            violations += found or []
            alike += [operation.name] if found is None else []
            if found == [] and narrow:
                proved.append(operation.name)
        violations += await self._asked_for_more(operations, granted)
        violations += await self._refreshed_for_more(operations, granted)
        if self.target.clients is not None:
            with self.doubting(doubts):
                machines = Machines(self.scene, self.rule)
                violations += await machines.granted_more(sorted(granted))
        if alike and not proved and not violations:
            raise Unclear(
                f"{alike[0]} finds nothing for anybody here: whether it asks for a scope is not seen."
            )
        if not proved and not violations:
            raise Missing("No credential with fewer scopes could be obtained.", self._of_a_reader(granted))
        reason = f"{len(proved)} operations refused credentials that lack the scope which they declare."
        return self.decided(told_once(violations), doubts, reason)

    def _of_a_reader(self, granted: frozenset[str]) -> str:
        """The lines that supply one with fewer scopes: by the signing key, or ready-made where nobody logs in."""
        if self.target.logins:
            return self.target.remedies.get(Need.SIGNING_KEY, "")
        used = {scope for item in self.target.operations for scope in item.scopes if scope in granted}
        listed = ", ".join(sorted(scope for scope in used if scope.isprintable())[:4])
        return (
            f"[accounts.reader]  # somebody whose token lacks one of the scopes {listed}\n"
            'token = { env = "READER_TOKEN" }\nrole = "expendable"'
        )

    def _scoped(self) -> list[Operation]:
        """Return the operations that declare scopes, reading before changing. Raises Missing."""
        flows = self.target.flows()
        if self.target.delete_account is not None:
            flows.add(self.target.delete_account.name)
        found = [item for item in self.target.operations if item.scopes and item.name not in flows]
        if not found:
            raise Missing("Not applicable: no operation declares a scope.", applicable=False)
        order = {"GET": 0, "POST": 1, "PATCH": 2, "PUT": 2}
        # Deletions are aimed at nothing: their refusal shows as well, and without one nothing is lost.
        return sorted(found, key=lambda item: ("{" in item.path, order.get(item.method, 3)))

    async def _scopes_granted(self) -> frozenset[str]:
        """Return the scopes that a plain login of A has. Raises Missing."""
        for login in self.target.logins:
            answer, _ = await self.try_login(self.account(), self.account().password, login.carrier.kind)
            credential = login.read(answer.reply, "a")
            token = credential.jwt if credential is not None else None
            scopes = scopes_of(answer.reply.json, dict(token.claims) if token is not None else None)
            if scopes:
                return scopes
        if not self.target.logins and Kind.BEARER in self.kinds():
            token = (await self.credential(Kind.BEARER)).jwt
            if token is not None and (scopes := scopes_of(dict(token.claims))):
                return scopes
        declared = frozenset(scope for item in self.target.operations for scope in item.scopes)
        of_keys = self._scope_member() if self.target.keys is not None else None
        member = of_keys or Machines(self.scene, self.rule).scopes_of_clients()
        if member is not None:
            # What none of them can be made for, people may lack as well: an administrator's scope.
            return declared.intersection(member.known) or declared
        raise Missing("No login says which scopes it grants, and no key can be made with fewer.")

    # Credentials that can do less.

    async def _who_may_lose(self, operation: Operation) -> Account | None:
        """A, or somebody expendable where a request may change the caller's account (a password, an address).

        None where that takes an account which nobody can make.
        """
        kept = (self.target.objects, *self.target.further, self.target.keys)
        makes = {item.create.name for item in kept if item is not None}
        if operation.method in _SAFE or "{" in operation.path or operation.name in makes:
            return self.account()
        try:
            return await self.expendable()
        except (Missing, Unclear):
            return None

    async def _narrow(self, lacking: str, granted: frozenset[str], account: Account) -> list[Narrow]:
        """Return credentials without one scope: asked for at login, made as a key, minted with the true key.

        Of who is no A, only what a login gives.
        """
        # Services rank scopes without saying so: what may hold the lacking one in it proves nothing.
        rest = sorted(scope for scope in granted if not may_include(scope, lacking))
        found: list[Narrow] = []
        with contextlib.suppress(Missing, Unclear):
            found += await self._narrow_login(lacking, rest, account)
        if account is not self.account():
            return found
        found += await self._given_narrow(lacking)
        with contextlib.suppress(Missing, Unclear):
            found += await self._narrow_key(lacking, rest)
        with contextlib.suppress(Missing, Unclear):
            found += await self._narrow_client(lacking, rest)
        with contextlib.suppress(Missing, Unclear):
            found += await self._minted_narrow(lacking, rest)
        return found

    async def _narrow_login(self, lacking: str, rest: Sequence[str], account: Account) -> list[Narrow]:
        for login in self.target.logins:
            if not self.takes_scope(login):
                continue
            label = f"log in without {lacking}"
            credential, scopes = await self.narrow_login(login, account, rest, label)
            # What is asked for is only a request (RFC 6749 §3.3): what was granted counts.
            if credential is not None and scopes and lacking not in scopes:
                return [Narrow(f"a login without {lacking}", credential)]
        return []

    async def _given_narrow(self, lacking: str) -> list[Narrow]:
        """The ready-made tokens that say what they may do, and lack this."""
        found = []
        for account in self.target.accounts.values():
            if account.label == self.account().label or Kind.BEARER not in account.ready:
                continue
            live = await self.credential(Kind.BEARER, account.label)
            claims = dict(live.jwt.claims) if live.jwt is not None else {}
            if claims.keys() & set(MEMBERS) and not any(
                scope == lacking or may_include(scope, lacking) for scope in scopes_of(claims)
            ):
                found.append(Narrow(f"the token of {account.label} without {lacking}", live))
        return found

    def _scope_member(self) -> ScopeMember | None:
        """Return the member of a key's creation that says what it may do."""
        member = self.scopes_of_keys(self.target.keys)
        # A level may hold the others: which of them a key lacks cannot be told.
        return None if member is not None and member.single else member

    async def _narrow_key(self, lacking: str, rest: Sequence[str]) -> list[Narrow]:
        member, keys = self._scope_member(), self.target.keys
        if member is None or keys is None or not rest:
            return []  # without any scope a key may be one with all of them
        login = await self.credential(self._login_kind())
        known = {scope for item in self.target.operations for scope in item.scopes}
        kept = [scope for scope in rest if scope in known] or list(rest)[:1]
        body = {**keys.template, member.name: member.written(kept)}
        answer = await self.call(keys.create, login, label=f"make a key without {lacking}", body=body)
        value = resolve(answer.reply.json, keys.value)
        if not answer.reply.ok or not isinstance(value, str):
            return []
        self.scene.recorder.redactor.learn(Secret(value))
        return [Narrow(f"a key without {lacking}", Credential(keys.carriers[0], Secret(value), "a"))]

    async def _narrow_client(self, lacking: str, rest: Sequence[str]) -> list[Narrow]:
        """The token of a client that was made without a scope."""
        machines = Machines(self.scene, self.rule)
        member = machines.scopes_of_clients()
        kept = [scope for scope in rest if member is not None and (scope in member.known or not member.known)]
        if member is None or not kept:
            return []
        client = await self._clients.enter_async_context(machines.client({member.name: member.written(kept)}))
        token = await machines.lets_in(client, f"a client without {lacking}")
        claims = dict(token.jwt.claims) if token.jwt is not None else {}
        return [] if lacking in scopes_of(claims) else [Narrow(f"a client without {lacking}", token)]

    async def _minted_narrow(self, lacking: str, rest: Sequence[str]) -> list[Narrow]:
        """Write the scopes as a careless comparison would take them for more; needs the signing key."""
        forge = await self.forge()
        claims = forge.token.claims
        # What no claim says is looked up elsewhere: then a claim decides nothing.
        names = [name for name in MEMBERS if lacking in scopes_of({name: claims.get(name)})]
        if not names:
            return []
        kept = " ".join(rest)
        spelled = {
            f"{lacking}x, which only begins so": f"{kept} {lacking}x",
            f"{lacking} in capitals": f"{kept} {lacking.upper()}",
        }
        if rest:  # the one scope alone would be what it says
            spelled[f"everything separated by commas, {lacking} among it"] = ",".join((*rest, lacking))
        without = {name: _as_before(claims[name], "") for name in MEMBERS if name in claims}
        found = [Narrow("a token with no scope at all", await self.minted(**without))]
        for label, text in spelled.items():
            said = {name: _as_before(claims[name], text) for name in names}
            found.append(Narrow(f"a token with {label}", await self.minted(**said)))
        if not any(isinstance(claims[name], list) for name in names):
            nested: dict[str, Any] = {name: [[lacking]] for name in names}
            minted = await self.minted(**nested)
            found.append(Narrow("a token with a nested list of scopes", minted, core=False))
        return found

    # Using them.

    async def _scoped_call(
        self, operation: Operation, lacking: str, narrow: list[Narrow], doubts: list[str], account: Account
    ) -> list[Violation] | None:
        """Call with everything, which must get past the guard, and then with each narrower credential.

        None where neither shows whether the scope is asked for.
        """
        if not narrow:
            self.notes.append(f"{operation.name}: no credential without {lacking} could be had")
            return []
        control = await self._with_all(operation, lacking, narrow, doubts, account)
        if control is None:
            return []
        for item in narrow:
            answer = await self._asked(operation, item.credential, f"{operation.name} with {item.label}")
            if why := _says_nothing(item, answer, control):
                self.notes.append(f"not judged: {operation.name} with {item.label}: {why}")
                if answer.judgement is None:
                    return None
            elif answer.judgement is not None:
                doubts.append(f"{operation.name} with {item.label}: {answer.why}")
            elif self._same_as(answer, control):
                if (found := await self._scoped_again(operation, lacking, item, answer, control)) is not None:
                    return [found]
            elif (answer.status or 0) != 403 and "token" not in item.label:
                self.notes.append(f"{operation.name} refused {item.label} with {answer.status}, not 403")
        return []

    async def _with_all(
        self, operation: Operation, lacking: str, narrow: list[Narrow], doubts: list[str], account: Account
    ) -> Answer | None:
        """What a credential with all scopes gets, past the guard; None, and why, where the guard stops it as well."""
        own = account is self.account()
        whole = await self.credential() if own else (await self.log_in(account)).credential
        control = await self._asked(
            operation, whole, f"control: {operation.name} with all scopes", Role.CONTROL
        )
        if control.judgement is not None or control.status in (401, 403):
            if control.judgement is None and await self._told_apart(operation, whole, control, narrow):
                self.notes.append(
                    f"{operation.name} refuses everybody here, and who lacks {lacking} in other words"
                )
                return None
            doubts.append(
                f"{operation.name} refused a credential with all scopes ({control.why or control.status})"
            )
            return None
        return control

    async def _scoped_again(
        self, operation: Operation, lacking: str, item: Narrow, answer: Answer, control: Answer
    ) -> Violation | None:
        """The finding where the same narrower credential gets as far once more."""
        again = await self._asked(operation, item.credential, f"again: {operation.name} with {item.label}")
        if not self._same_as(again, control):
            return None
        message = f"{operation.name} declares {lacking} and answered {item.label} as it answers what has it."
        proofs = (control.exchange, answer.exchange, again.exchange)
        return Violation(operation.name, message, None, proofs, Expectation("refused"))

    async def _told_apart(
        self, operation: Operation, whole: Credential, control: Answer, narrow: Sequence[Narrow]
    ) -> bool:
        """Whether who lacks the scope is refused otherwise than who has it, as where a password is asked for next."""
        answers = [
            await self._asked(operation, item.credential, f"{operation.name} with {item.label}")
            for item in narrow
        ]
        again = await self._asked(operation, whole, f"again: {operation.name} with all scopes", Role.CONTROL)
        steady = again.status == control.status and masked(again.reply.text) == masked(control.reply.text)
        return steady and all(
            item.judgement is None
            and item.status in (401, 403)
            and masked(item.reply.text) != masked(control.reply.text)
            for item in answers
        )

    @staticmethod
    def _same_as(answer: Answer, control: Answer) -> bool:
        """Whether a reply got as far as the control did: the same success, or the same later refusal."""
        if control.reply.ok:
            # A 200 that holds something else may be a refusal.
            seen, wanted = answer.exchange.reply, control.exchange.reply
            return answer.reply.ok and same_structure(seen.shape, wanted.shape)
        if control.status == 404 or control.reply.soft:
            return False  # what is not there for anybody may also be hidden from those who may not know
        return answer.status == control.status and answer.exchange.reply.shape == control.exchange.reply.shape

    async def _asked(
        self, operation: Operation, credential: Credential, label: str, role: Role = Role.ATTACK
    ) -> Answer:
        request = await self._scoped_request(operation)
        request = request.with_headers(*credential.headers).with_query(*credential.query)
        return await self.send(request, label=label, role=role, operation=operation.name)

    async def _scoped_request(self, operation: Operation) -> HttpRequest:
        values: dict[str, str] = {}
        for objects in (self.target.objects, *self.target.further):
            if objects is None:
                continue
            kept = [item.name for item in (objects.read, objects.update) if item is not None]
            with self.looking_at(objects):
                identifier = None
                if objects.delete is not None and operation.name == objects.delete.name:
                    identifier = await self._object_of_a()  # who deletes leaves nothing for the next
                elif operation.name in kept:
                    key = ("an object for scopes", objects.create.name)
                    identifier = await self.scene.once(key, self._object_of_a)
                values = self.at(identifier) if identifier else values
        if self.scene.sampler is None:
            return operation.request(values)
        # The same chance each time: everybody sends the same request; other ids in it name nothing.
        chance = type(self.rng)(f"{self.scene.seed}:{operation.name}")
        return self.scene.sampler(operation, chance, path_values=values)

    async def _object_of_a(self) -> str | None:
        objects = self.target.objects
        if objects is None:
            return None
        live = await self.credential()
        answer = await self.call(objects.create, live, label="create an object", body=dict(objects.template))
        identifier = resolve(answer.reply.json, objects.identifier)
        return str(identifier) if answer.reply.ok and isinstance(identifier, (str, int)) else None

    async def _refreshed_for_more(
        self, operations: Sequence[Operation], granted: frozenset[str]
    ) -> list[Violation]:
        """Log in with less, and ask for the rest when the token is renewed (RFC 6749 §6)."""
        refresh = self.target.refresh
        readable = next(
            (
                (operation, scope)
                for operation in operations
                for scope in operation.scopes
                if scope in granted and operation in self.target.reads() and "{" not in operation.path
            ),
            None,
        )
        login = next((item for item in self.target.logins if self.takes_scope(item)), None)
        if refresh is None or readable is None or login is None or refresh.place not in ("form", "json"):
            return []
        operation, lacking = readable
        rest = " ".join(sorted(granted - {lacking}))
        less = replace(login, template={**login.template, "scope": rest})
        wider = replace(refresh, template={**refresh.template, "scope": " ".join(sorted(granted))})
        account, proofs = self.account(), list[Exchange]()
        for prefix in ("", "again: "):
            if account.password is None or not rest:
                return []
            request = less.request(account.username, account.password)
            first = await self.send(
                request, label=f"{prefix}log in without {lacking}", operation=login.operation.name
            )
            narrow, token = less.read(first.reply, "a"), less.read_refresh(first.reply)
            scopes = scopes_of(first.reply.json, dict(narrow.jwt.claims) if narrow and narrow.jwt else None)
            if narrow is None or token is None or lacking in scopes:
                return []
            for secret in (narrow.value, token):
                self.scene.recorder.redactor.learn(secret)
            renewed = await self.send(
                wider.request(token),
                label=f"{prefix}renew it, and ask for {lacking} as well",
                role=Role.ATTACK,
                operation=refresh.operation.name,
            )
            issued = refresh.read(renewed.reply)
            if issued is None:
                return []
            self.scene.recorder.redactor.learn(issued[0])
            barred = await self._asked(operation, narrow, f"{prefix}{operation.name} with the first token")
            answer = await self._asked(
                operation,
                replace(narrow, value=issued[0]),
                f"{prefix}{operation.name} with the renewed token",
            )
            if barred.reply.ok or not answer.reply.ok:
                return []
            proofs += [barred.exchange, renewed.exchange, answer.exchange]
        message = (
            f"{refresh.operation.name} gives a login without {lacking} a token that has it: "
            f"{operation.name} answers then."
        )
        return [Violation(refresh.operation.name, message, None, tuple(proofs))]

    async def _asked_for_more(
        self, operations: Sequence[Operation], granted: frozenset[str]
    ) -> list[Violation]:
        """Ask at the login for scopes that A does not have, and use them where they are granted."""
        more = next(
            (
                (operation, scope)
                for operation in operations
                for scope in operation.scopes
                if scope not in granted and operation.method == "GET" and "{" not in operation.path
            ),
            None,
        )
        login = next((item for item in self.target.logins if self.takes_scope(item)), None)
        if more is None or login is None or login.carrier.kind is not Kind.BEARER:
            return []
        operation, scope = more
        wider = replace(login, template={**login.template, "scope": " ".join((*sorted(granted), scope))})
        proofs = []
        for prefix in ("", "again: "):
            credential, _ = await self.logged_in(wider, self.account(), f"{prefix}log in and ask for {scope}")
            if credential is None:
                return []
            answer = await self._asked(
                operation, credential, f"{prefix}{operation.name} with {scope}, which was asked for"
            )
            if not answer.reply.ok:
                return []
            proofs.append(answer.exchange)
        message = (
            f"{login.operation.name} grants {scope} to whoever asks for it: {operation.name} answers then."
        )
        return [Violation(login.operation.name, message, Severity.HIGH, tuple(proofs))]


def _says_nothing(item: Narrow, answer: Answer, control: Answer) -> str:
    """Why an answer tells nothing of scopes: a crash over what nobody issues, or nothing is there for anybody."""
    if answer.judgement is not None:
        return answer.why if answer.broke and not item.core else ""
    gone = control.status == 404 or control.reply.soft
    same = answer.status == control.status and masked(answer.reply.text) == masked(control.reply.text)
    return f"{control.status} for everybody, whatever they may" if gone and same else ""


def _as_before(claim: object, text: str) -> str | list[str]:
    """Scopes as the claim has them: a list of words, or one text."""
    return text.split() if isinstance(claim, list) else text
