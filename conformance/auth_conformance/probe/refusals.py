"""A gallery of refusals, hung once per run: what the application says to everybody whom it does not serve."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from auth_conformance.model import (
    Exchange,
    Expectation,
    Failed,
    Inconclusive,
    Outcome,
    Passed,
    Reply,
    Role,
    Skipped,
    Verdict,
    Violation,
)
from auth_conformance.oracles.caches import by_cache
from auth_conformance.oracles.challenge import parse_challenges
from auth_conformance.oracles.contract import (
    ErrorCase,
    breach_of,
    contract_among,
    disagreements,
    read_error,
)
from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.core import Answer, Core, Missing, Unclear
from auth_conformance.probe.minting import Minting
from auth_conformance.secret import Secret
from auth_conformance.target import Operation, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auth_conformance.credentials import Credential
    from auth_conformance.model import Rule
    from auth_conformance.probe.scene import Scene
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
_ROUTERS = 6
# Larger than what an interface of small JSON documents has reason to take.
_LARGE = 2_000_000
_ENOUGH_CAUSES = 3
_INJECTED = "Injected"
_REDACTED = re.compile("\u2039[^\u203a]*\u203a")  # how the redactor marks what it took out


@dataclass(frozen=True, slots=True)
class Refused:
    """One wrong request and its answer. `group` is what was wrong about it.

    `expected` are the statuses that would be right, None where this is nobody's business. `core` ones must be
    judged for a PASS.
    """

    cause: str
    group: str
    answer: Answer
    expected: frozenset[int] | None = None
    core: bool = False

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


class _Provoking(Minting):
    """Hangs the gallery. Everything sent is the run's, not a check's."""

    def __init__(self, scene: Scene, rule: Rule) -> None:
        super().__init__(scene, rule)
        self.hung: list[Refused] = []
        self.absent: list[str] = []

    async def all(self) -> Gallery:
        live = await self.credential()
        baseline = await self.baseline(self.witness, live)
        await self.must_live(self.witness, live, baseline, "before")
        for name, provoke in {
            "missing and malformed credentials": self._strangers,
            "wrong credentials": self._wrong,
            "a wrong login": self._login,
            "an expired token and an unknown subject": self._minted,
            "an ended session and a deleted account": self._gone,
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
        refused = Refused(cause, group, answer, expected, core)
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
        for operation in self._other_routers():
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

    def _other_routers(self) -> list[Operation]:
        """Choose one protected GET below each first path segment that no witness stands for."""
        found: dict[str, Operation] = {_folder(item.operation): item.operation for item in self.witnesses}
        others = []
        for operation in self.target.operations:
            plain = operation.method == "GET" and operation.protected and "{" not in operation.path
            if plain and operation.name not in {item.operation.name for item in self.witnesses}:
                if _folder(operation) not in found:
                    others.append(operation)
                found.setdefault(_folder(operation), operation)
        return others[:_ROUTERS]

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
            request = login.request(styled(f"nobody{self.word(8)}", style), password)
            refused = await self._hang(
                f"a login of nobody at {login.operation.name}", "credential", login.operation, request=request
            )
            # RFC 6749 §5.2: at a token endpoint wrong user credentials are 400 invalid_grant.
            # FastAPI's HTTPException puts what it is given into `detail`.
            told = refused.answer.reply.json
            oauth = "invalid_grant" in (resolve(told, "/error"), resolve(told, "/detail/error"))
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
            await self.call(logout.operation, leaving.credential, label="log out", body=body)
            await self._hang(
                "an ended session",
                "credential",
                operation,
                leaving.credential,
                expected=UNKNOWN_CALLER,
                pointer=pointer,
            )
        else:
            self.absent.append("an ended session: no logout is known")
        if self.target.delete_account is not None:
            deleted = await self.call(
                self.target.delete_account, staying.credential, label="delete the account"
            )
            if not deleted.reply.ok:
                raise Unclear(f"the expendable account was not deleted ({deleted.status})")
            await self._hang(
                "a credential of a deleted account",
                "credential",
                operation,
                staying.credential,
                expected=GONE_CALLER,
                pointer=pointer,
            )

    async def _astray(self) -> None:
        operation = self.witness.operation
        folder = operation.path.rsplit("/", 1)[0]
        unknown = Operation("GET", f"{folder}/{self.word(12)}/{self.word(8)}")
        await self._hang("an unknown path", "unknown", unknown)
        known = {item.method for item in self.target.operations if item.path == operation.path} | {"GET"}
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


def _refused_otherwise(gallery: Gallery) -> list[Refused]:
    """What strangers and wrong credentials got in place of a 401: a redirect, or another refusal."""
    return [
        item
        for item in gallery.hung
        if item.group == "credential" and (300 <= item.status < 400 or item.status in NO_RIGHT)
    ]


class Refusals(Minting):
    """Sentences about how the application refuses."""

    async def gallery(self) -> Gallery:
        """Every refusal that can be provoked without harm, provoked once per run. Raises Unclear."""
        gallery = await self.scene.once("gallery of refusals", _Provoking(self.scene, self.rule).all)
        self.evidence += [item.answer.exchange for item in gallery.hung]
        return gallery

    async def must_challenge(self) -> Verdict:
        """Every 401 of the run so far carries a well-formed challenge, and none that the caller wrote."""
        gallery = await self.gallery()
        causes = {item.cause for item in gallery.refusals if item.status == HTTPStatus.UNAUTHORIZED}
        seen = self._unchallenged(gallery)
        unsure: list[str] = []
        violations = []
        for operation, faults in seen.items():
            again = next(
                (item for item in gallery.refusals if item.answer.exchange.operation == operation), None
            )
            proof = [exchange for exchange, _ in faults]
            if again is not None:
                answer = await self._refused_again(again)
                if (
                    challenge_fault(answer.exchange.reply) is not None
                    and answer.status == HTTPStatus.UNAUTHORIZED
                ):
                    proof.append(answer.exchange)
            if len(proof) < 2:
                unsure.append(f"{operation}: {faults[0][1]}, but seen once only")
                continue
            message = f"{operation} answers 401, and {faults[0][1]}."
            scheme = challenge_fault(proof[0].reply)
            missing = (
                scheme is not None
                and proof[0].reply.headers
                and not any(name.lower() == "www-authenticate" for name, _ in proof[0].reply.headers)
            )
            expected = Expectation("header", "WWW-Authenticate") if missing else None
            violations.append(Violation(operation, message, None, tuple(proof[:6]), expected))
        injected = await self._injected_challenge()
        if injected is not None:
            violations.append(injected)
        count = len({exchange.number for exchange in self.scene.refusals_seen})
        if violations or unsure:
            return self._concluded_refusals(violations, unsure, "")
        otherwise = _refused_otherwise(gallery)
        if not count and not causes and len(otherwise) >= _ENOUGH_CAUSES:
            # Whether that is right is the business of ERR103.
            said = ", ".join(str(status) for status in sorted({item.status for item in otherwise}))
            return Skipped(
                f"Not applicable: nothing answers 401: {len(otherwise)} causes got {said}.", "", False
            )
        if len(causes) < _ENOUGH_CAUSES:
            return Inconclusive(
                f"Only {len(causes)} causes were answered 401 ({', '.join(sorted(causes)) or 'none'}).",
                "",
                tuple(self.evidence),
            )
        return self._concluded_refusals(
            [], [], f"{count} answers of 401, of {len(causes)} causes, carry a challenge."
        )

    def _unchallenged(self, gallery: Gallery) -> dict[str, list[tuple[Exchange, str]]]:
        """Each 401 of the run without a proper challenge, by operation, with what is wrong with it."""
        seen: dict[str, dict[int, tuple[Exchange, str]]] = {}
        for exchange in (*self.scene.refusals_seen, *(item.answer.exchange for item in gallery.hung)):
            own = gallery.own(exchange) and exchange.outcome is not Outcome.INTERCEPTED
            fault = challenge_fault(exchange.reply)
            if exchange.reply.status == HTTPStatus.UNAUTHORIZED and own and fault is not None:
                seen.setdefault(exchange.operation, {})[exchange.number] = (exchange, fault)
        return {operation: list(faults.values()) for operation, faults in seen.items()}

    async def _injected_challenge(self) -> Violation | None:
        """Look for a challenge that the caller has written into the answer; it must show twice."""
        value = f'Bearer x", {_INJECTED} realm="x'
        answers = [
            await self.call(
                self.witness.operation,
                label="a bearer value that ends a quoted string",
                role=Role.ATTACK,
                headers=(("Authorization", value),),
                fresh=number == 1,
            )
            for number in range(2)
        ]
        for answer in answers:
            lines = answer.reply.header_lines("www-authenticate")
            if not any(_INJECTED.lower() in line.lower() and f'"{_INJECTED}' not in line for line in lines):
                return None
            if not any(_splits(line) for line in lines):
                return None
        return Violation(
            self.witness.operation.name,
            "What the caller sends is written into the challenge unescaped.",
            None,
            tuple(answer.exchange for answer in answers),
        )

    async def must_mean_its_status(self) -> Verdict:
        """401 for who is unknown, 403 or 404 for who may not, and nothing else for either."""
        gallery = await self.gallery()
        violations: list[Violation] = []
        unsure: list[str] = []
        right: list[str] = []
        for item in (item for item in gallery.hung if item.expected is not None):
            fault = self._status_fault(item, item.answer, gallery)
            if fault is None:
                right.append(item.cause)
            elif fault is not _NOT_JUDGED:
                again = await self._refused_again(item)
                if (
                    self._status_fault(item, again, gallery) in (None, _NOT_JUDGED)
                    or again.status != item.status
                ):
                    unsure.append(f"{item.cause}: {fault}, then {again.status}")
                    continue
                proof = (item.answer.exchange, again.exchange)
                violations.append(
                    Violation(
                        proof[0].operation,
                        f"{_sentence(item.cause)}: {fault}.",
                        None,
                        proof,
                        Expectation("status", value=" ".join(map(str, sorted(item.expected or ())))),
                    )
                )
            elif item.core:
                status = item.answer.status or 0
                told = f"answered {status}"
                if 200 <= status < 300:
                    told += ": let in and not refused, which another check judges"
                unsure.append(f"{_sentence(item.cause)}: {item.answer.why or told}")
            else:
                self.notes.append(f"not judged: {item.cause} ({item.answer.why or item.answer.status})")
        self.notes += [f"not provoked: {reason}" for reason in gallery.absent]
        groups = {item.group for item in gallery.hung if item.cause in right}
        if self.target.objects is not None and "right" not in groups and not violations:
            unsure.append("No answer to a caller without the right could be judged")
        return self._concluded_refusals(
            violations, unsure, f"{len(right)} kinds of refusal have a status that says why."
        )

    def _status_fault(self, item: Refused, answer: Answer, gallery: Gallery) -> str | None:
        expected = item.expected or frozenset()
        status = answer.status or 0
        words = " or ".join(map(str, sorted(expected)))
        policy = self.target.policy.refusals
        if status in expected:
            return None
        if answer.judgement is not None or status == 0 or not gallery.own(answer.exchange):
            # Crashes are judged by ERR108, throttles say nothing, and others answer for themselves.
            return _NOT_JUDGED
        if 200 <= status < 300:
            # What is open although the document protects it is for DOC101 to say.
            elsewhere = item.group == "right" or item.expected is HIDDEN_OR_UNKNOWN
            let_in = answer.exchange.reply.principal is not None or elsewhere
            # Who was let in is not refused: that is for the checks of that credential to say.
            same = answer.exchange.reply.digest == gallery.good.digest
            return (
                _NOT_JUDGED if let_in or same or "envelope" in policy else f"answered {status}, not {words}"
            )
        if 300 <= status < 400 and "redirect" in policy:
            return _NOT_JUDGED
        return f"answered {status}, not {words}"

    async def must_share_one_error_body(self) -> Verdict:
        """Every error has the members of the others, in one place, with codes that tell causes apart.

        Which members these are is declared, or what most errors hold. Raises Missing where errors are pages.
        """
        gallery = await self.gallery()
        pairs = [(item, _case(item, item.answer)) for item in gallery.refusals]
        cases = [case for _, case in pairs]
        if cases and all(
            "html" in media_type
            for media_type in (gallery.good.media_type, *(case.media_type for case in cases))
        ):
            raise Missing(
                "Not applicable: this service answers with pages for people, its errors included.",
                applicable=False,
            )
        contract = contract_among(cases, self.target.policy.error_members)
        together = {id(case): fault for case, fault in disagreements(cases)} if contract.common else {}
        violations: list[Violation] = []
        unsure: list[str] = []
        confirmed: set[int] = set()
        for item, case in pairs:
            breach = breach_of(case, contract)
            fault = breach.words if breach is not None else together.get(id(case))
            if fault is None or item.status in confirmed:
                continue
            again = await self._refused_again(item)
            if not _same_answer(item.answer, again):
                unsure.append(f"{item.cause}: {fault}, then {again.status}")
                continue
            confirmed.add(item.status)
            message = f"{item.status} ({item.cause}): {fault}."
            proof = (item.answer.exchange, again.exchange)
            names = " ".join(contract.members)
            # A regression test looks for texts: a list in their place is not shown by it.
            shown = breach is not None and breach.body and contract.kind in {"", "a text"}
            expected = Expectation("members", value=names) if shown else None
            severity = breach.severity if breach is not None else None
            violations.append(Violation(item.answer.exchange.operation, message, severity, proof, expected))
        if not violations and contract.common:
            unsure += await self._unstable_codes(gallery)
        statuses = {item.status for item in gallery.refusals}
        groups = {item.group for item in gallery.refusals}
        wanted = {
            "a refused credential": "credential" in groups,
            "a refused right or an unknown thing": bool(groups & {"right", "unknown"}),
            "a wrong verb": "verb" in groups,
            "bad input": "input" in groups or self._takes_no_body(),
        }
        unsure += [f"No error answer to {name} was seen" for name, was_seen in wanted.items() if not was_seen]
        usual = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500)
        missing = [str(status) for status in usual if status not in statuses]
        self.notes.append(f"not provoked: {', '.join(missing)}")
        if not contract.common and not self.target.policy.error_members:
            self.notes.append(
                f"the errors of this service have {contract}: its own names are the rule (error_members sets others)"
            )
        seen = ", ".join(map(str, sorted(statuses)))
        return self._concluded_refusals(
            violations, unsure, f"{len(pairs)} errors ({seen}) share one body of {contract}."
        )

    def _takes_no_body(self) -> bool:
        """Whether the document shows that nothing can be badly put in: no operation takes a body."""
        operations = self.target.operations
        logins = any(login.encoding in {"json", "form"} for login in self.target.logins)
        return bool(operations) and not logins and not any(operation.bodies for operation in operations)

    async def _unstable_codes(self, gallery: Gallery) -> list[str]:
        """Codes that change from one time to the next, in words."""
        changing = []
        for group in ("credential", "unknown", "verb", "input"):
            item = next((item for item in gallery.refusals if item.group == group), None)
            if item is None:
                continue
            again = await self._refused_again(item)
            codes = {
                read_error(answer.reply.json).code for answer in (item.answer, again) if _readable(answer)
            }
            if len(codes) != 1:
                changing.append(f"{item.cause}: the code changes from one time to the next")
        return changing

    async def _refused_again(self, item: Refused) -> Answer:
        """RP: the same request on a new connection."""
        request = replace(item.answer.request, fresh=True).with_headers(("Cache-Control", "no-cache"))
        return await self.send(
            request,
            label=f"again: {item.cause}",
            role=Role.ATTACK,
            operation=item.answer.exchange.operation,
            pointer=self.witness.identity or None,
        )

    def _concluded_refusals(
        self, violations: Sequence[Violation], unsure: Sequence[str], proven: str
    ) -> Verdict:
        evidence, notes = tuple(self.evidence), tuple(self.notes)
        if violations:
            return Failed(tuple(violations), evidence, (*notes, *unsure))
        if unsure:
            more = f" (and {len(unsure) - 1} more)" if len(unsure) > 1 else ""
            return Inconclusive(f"{unsure[0]}{more}.", "", evidence, notes)
        return Passed(proven, evidence, notes)


_NOT_JUDGED = "not judged"


async def object_of(core: Core, owner: str, mark: str = "") -> str:
    """Create an object of `owner`, with `mark` as its text, and return its identifier. Raises Missing or Unclear."""
    objects = core.target.objects
    if objects is None:
        raise Missing("No objects of users are known.")
    credential = await core.credential(owner=owner)
    body = dict(objects.template)
    if mark:
        body = put(body, objects.text_field, mark)
    answer = await core.call(objects.create, credential, label=f"create an object of {owner}", body=body)
    identifier = resolve(answer.reply.json, objects.identifier)
    if not answer.reply.ok or not isinstance(identifier, (str, int)):
        raise Unclear(
            f"{objects.create.name} created no object of {owner} ({answer.reply.error or answer.status})."
        )
    return str(identifier)


def challenge_fault(reply: Reply) -> str | None:
    """Say what is wrong with the challenges of a 401, None when nothing is. Redacted parts count as text."""
    lines = reply.header_lines("www-authenticate")
    if not lines:
        return "it carries no WWW-Authenticate"
    for line in lines:
        try:
            parse_challenges(_REDACTED.sub("x", line))
        except ValueError as error:
            return f"its WWW-Authenticate is malformed: {error}"
    return None


def _splits(line: str) -> bool:
    try:
        return _INJECTED.lower() in {challenge.scheme for challenge in parse_challenges(line)}
    except ValueError:
        return True


def _case(item: Refused, answer: Answer) -> ErrorCase:
    reply = answer.reply
    return ErrorCase(item.cause, item.group, item.status, reply.media_type, reply.json, dict(reply.headers))


def _folder(operation: Operation) -> str:
    return operation.path.strip("/").partition("/")[0]


def _readable(answer: Answer) -> bool:
    try:
        read_error(answer.reply.json)
    except ValueError:
        return False
    return True


def _same_answer(first: Answer, second: Answer) -> bool:
    one, other = first.exchange.reply, second.exchange.reply
    return (one.status, one.media_type, one.shape) == (other.status, other.media_type, other.shape)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
