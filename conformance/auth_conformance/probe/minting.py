"""The forge control: tokens of our own making under the target's true key (checklist §1.3 FC).

A refused forgery proves something only where an honest token from the same encoder gets in. Some services
remember the `jti` of what they issued; there the forgeries keep the original one.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from auth_conformance.credentials import Credential, Jwt, SigningKey
from auth_conformance.model import Need, Role
from auth_conformance.probe.core import Core, Missing, Unclear
from auth_conformance.probe.refusal import Attempt, Refusal
from auth_conformance.probe.scene import FORGE
from auth_conformance.transports.message import RawReply

# Where a token does not say how long it lives, the forgeries live this many seconds.
LIFETIME = 900
# The claims that are moments (RFC 7519 §4.1, OpenID Connect Core §2).
TIMES = ("iat", "nbf", "auth_time", "exp")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]+", re.IGNORECASE)
_HONEST = "control: a token of our own with the true key and honest claims"


@dataclass(frozen=True, slots=True)
class Forge:
    """A genuine token of A that our encoder can write again, and what it takes to get in.

    `offset` is how many seconds the target's clock is ahead of ours. `keeps_jti` says that only the original
    `jti` gets in.
    """

    live: Credential
    token: Jwt
    key: SigningKey
    offset: float = 0.0
    keeps_jti: bool = False
    seed: int = 0

    @property
    def lifetime(self) -> int:
        """How many seconds the genuine token was issued for."""
        start, end = self.token.claims.get("iat"), self.token.claims.get("exp")
        if isinstance(start, int | float) and isinstance(end, int | float) and end > start:
            return max(1, int(end - start))
        return LIFETIME

    def claims(self, now: float, number: int = 0) -> dict[str, Any]:
        """The genuine claims with fresh times and a fresh `jti`, as far as the genuine token has them."""
        claims, moment = dict(self.token.claims), int(now + self.offset)
        # A shorter life than the service gives: within one second the text would else be the issued one's.
        fresh = {**dict.fromkeys(TIMES, moment), "exp": moment + self.lifetime - self.lifetime // 3}
        claims |= {name: value for name, value in fresh.items() if _is_number(claims.get(name))}
        if "jti" in claims and not self.keeps_jti:
            claims["jti"] = _another_id(claims["jti"], f"{self.seed}:{number}:{now}")
        return claims

    def late_claims(self, now: float, seconds: float, number: int = 0) -> dict[str, Any]:
        """Honest claims of a token that ended `seconds` ago; only numbers move."""
        claims = self.claims(now, number)
        delay = claims["exp"] - int(now + self.offset) + seconds
        past = {name: claims[name] - delay for name in TIMES if _is_number(claims.get(name))}
        return {**claims, **past}

    def credential(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> Credential:
        """A signed token with exactly these claims, in the genuine header unless another is given."""
        token = self.token if header is None else replace(self.token, header={}).with_header(**header)
        empty = replace(token, claims={}).with_claims(**claims)
        return self.signed(empty)

    def signed(self, token: Jwt, algorithm: str | None = None) -> Credential:
        """`token` with a true signature over it as it stands, in A's carrier.

        `algorithm` makes the signature under another algorithm than the key's own, whatever the header says.
        """
        return self.live.with_value(token.signed(self.key, algorithm or self.token.algorithm).text)

    def raw(self, payload_json: str, **header: object) -> Credential:
        """A signed token around a hand-written payload: for what a serialiser would not write."""
        payload = Jwt.raw("{}", payload_json).payload_text
        token = self.token.with_header(**header) if header else self.token
        return self.signed(replace(token, claims={}, payload_text=payload))

    def raw_header(self, header_json: str, claims: Mapping[str, Any]) -> Credential:
        """A signed token under a hand-written header."""
        token = replace(self.token, claims={}).with_claims(**claims)
        return self.signed(token.with_header_json(header_json))


class Minting(Refusal):
    """Tokens under the target's own key."""

    async def forge(self) -> Forge:
        """The forge of this run, proved by a token that got in.

        Raises Missing without JWTs or without their key, Unclear when the target refuses what we mint.
        """
        self.jwt_of(await self.credential(self.token_kind))
        if not self.target.signing_keys:
            raise Missing(
                "Not tested: the key that signs the tokens is not known.",
                self._remedy(Need.SIGNING_KEY),
                applicable=Need.SIGNING_KEY not in self.target.absent,
            )
        forge: Forge = await self.scene.once(FORGE, self._prove_forge)
        return forge

    async def minted(self, **claims: object) -> Credential:
        """A token of A under the true key, fresh and honest but for these claims."""
        forge = await self.forge()
        return forge.credential({**self.fresh_claims(forge), **claims})

    async def minted_without(self, *names: str, **claims: object) -> Credential:
        """As `minted`, lacking the claims of these names."""
        forge = await self.forge()
        honest = {key: value for key, value in self.fresh_claims(forge).items() if key not in names}
        return forge.credential({**honest, **claims})

    async def crossed_issuers(self) -> list[Attempt]:
        """Tokens of A that name one of two trusted issuers under the key of the other; none where one is known.

        Each issuer has its own keys (RFC 8725 §3.8): else whoever runs one of them speaks for both. Raises as `forge`.
        """
        if self.target.other_issuer is None:
            return []
        name, key = self.target.other_issuer
        own = await self.forge()
        token = own.token.with_header(alg=key.algorithm)
        token = token.with_header(kid=key.key_id) if key.key_id is not None else token.without_header("kid")
        other = replace(own, key=key, token=token)
        honest = await self.at_witness(
            other.credential({**self.fresh_claims(own), "iss": name}),
            label="control: a token of A that the other issuer signed",
            role=Role.CONTROL,
        )
        if not honest.reply.ok:
            # Its people may be other people: the key is known all the same, or it is not.
            self.notes.append(
                f"an honest token of {name} with A's subject was not taken ({honest.why or honest.status})"
            )
        return [
            Attempt(
                "a token of this issuer that the other issuer signed",
                other.credential(self.fresh_claims(own)),
            ),
            Attempt(
                "a token of the other issuer that this issuer signed",
                own.credential({**self.fresh_claims(own), "iss": name}),
            ),
        ]

    async def honest(self) -> Attempt:
        """The forge control of this check, for `controls=` of `must_refuse`."""
        forge = await self.forge()
        return Attempt(_HONEST, forge.credential(self.fresh_claims(forge)))

    async def issued_algorithms(self) -> set[str]:
        """The algorithms that the tokens of one login name."""
        session = (
            await self.log_in(self.account(), self.token_kind) if self.target.login(self.token_kind) else None
        )
        texts = [session.refresh.reveal()] if session is not None and session.refresh is not None else []
        tokens = [Jwt.parse(text) for text in texts]
        return {token.algorithm for token in tokens if token is not None and token.algorithm}

    def fresh_claims(self, forge: Forge) -> dict[str, Any]:
        """Honest claims, valid from now on; each call gives them another `jti`."""
        return forge.claims(self.scene.recorder.clock.now(), self.rng.randrange(1 << 30))

    async def _prove_forge(self) -> Forge:
        prover = Core(self.scene, self.rule)
        live, offset = await self._token_issued_now(prover)
        token = self.jwt_of(live)
        key = next((key for key in self.target.signing_keys if key.verifies(token)), None)
        if key is None:
            raise Unclear(
                f"None of the {len(self.target.signing_keys)} known keys made the signature of the issued tokens.",
                self._remedy(Need.SIGNING_KEY),
            )
        self.scene.recorder.redactor.learn(key.secret)
        baseline = await self.baseline(self.witness, live)
        fresh = Forge(live, token, key, offset, seed=self.scene.seed)
        choices = [fresh, replace(fresh, keeps_jti=True)] if "jti" in token.claims else [fresh]
        why = ""
        for forge in choices:
            claims = forge.claims(self.scene.recorder.clock.now())
            credential = forge.credential(claims)
            if credential.value == live.value:
                why = why or "ours would be the issued one, letter for letter"
                continue
            answer = await prover.at_witness(
                credential,
                label=_HONEST + (", and the original jti" if forge.keeps_jti else ""),
                role=Role.CONTROL,
                baseline=baseline,
            )
            if answer.accepted and answer.exchange.reply.principal == baseline.principal:
                return forge
            why = why or answer.why
        raise Unclear(
            f"A token of our own with the true key and unmodified claims was not accepted ({why}): "
            "what else is refused would prove nothing. The service may remember which tokens it issued."
        )

    async def _token_issued_now(self, prover: Core) -> tuple[Credential, float]:
        account = self.account()
        if self.target.login(self.token_kind) is None or account.password is None:
            return await self.credential(self.token_kind), 0.0
        session = await prover.log_in(account, self.token_kind)
        if self.target.in_process:
            return session.credential, 0.0
        # A second in the past: clocks of two machines never agree to the second.
        return session.credential, _ahead(session.answer.reply, self.scene.recorder.clock.now()) - 1


def _ahead(reply: RawReply, now: float) -> float:
    # A `Date` of whole seconds (RFC 9110 §6.6.1) that differs by less than two says nothing.
    try:
        ahead = parsedate_to_datetime(reply.header("date") or "").timestamp() - now
    except ValueError:
        return 0.0
    return ahead if abs(ahead) > 2 else 0.0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _another_id(value: object, seed: str) -> object:
    name = uuid.uuid5(uuid.NAMESPACE_URL, seed)
    if isinstance(value, int):
        return name.int % 10 ** max(6, len(str(value)))
    if not isinstance(value, str):
        return value
    if _UUID.fullmatch(value):
        # Version 4: some services look at it.
        return str(uuid.UUID(int=name.int, version=4))
    if _HEX.fullmatch(value):
        return (name.hex * (len(value) // 32 + 1))[: len(value)]
    return (name.hex * (len(value) // 32 + 1))[: max(8, len(value))]
