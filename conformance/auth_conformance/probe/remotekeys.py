"""`must_not_fetch_keys`: tokens that name an address for their key (checklist TOK117)."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from auth_conformance.credentials import Jwt, SigningKey, attacker_keys, b64url, compact_json
from auth_conformance.model import Failed, Need, Passed, Severity, Skipped, Verdict, Violation
from auth_conformance.probe.core import Unclear
from auth_conformance.probe.keyforms import certificate, public_jwk
from auth_conformance.probe.refusal import Attempt, Refusal
from auth_conformance.transports.listener import Listener, Watch

if TYPE_CHECKING:
    from auth_conformance.credentials import Credential

# What parameters that name the next page are called.
_FORWARDING = {
    "next",
    "url",
    "redirect",
    "redirect_to",
    "redirect_uri",
    "redirect_url",
    "return_to",
    "continue",
    "goto",
}
# How long to wait for fetches that come after the answer, in seconds: elsewhere, and in this process.
LATE, LATE_HERE = 5.0, 1.0


@dataclass(frozen=True, slots=True)
class _Vector:
    """A header that names an address, what marks a fetch of it, and the key that would be found there."""

    label: str
    member: str
    address: str
    mark: str
    key: SigningKey


class RemoteKeys(Refusal):
    """Offers keys at an address of ours."""

    async def must_not_fetch_keys(self) -> Verdict:
        """Refuse tokens under a key that their header points to, and ask nobody for it. Raises Missing or Unclear."""
        live = await self.credential(self.token_kind)
        token = self.jwt_of(live)
        declared = self.target.listener
        bind, url = (declared.bind, declared.url) if declared else (("127.0.0.1", 0), "")
        try:
            listener, watch = Listener({}, bind, url), Watch()
        except OSError as error:
            raise Unclear(
                f"Nothing can listen at {bind[0]}:{bind[1]} ({error}).", self._remedy(Need.LISTENER)
            ) from None
        try:
            with tempfile.TemporaryDirectory(prefix="auth-conformance-") as folder:
                vectors = list(self._remote_vectors(token, listener, Path(folder)))
                if self.target.in_process:
                    # `:port` alone would be found in the ports of others.
                    watch.start(
                        f"'127.0.0.1', {listener.port})", *(item.mark for item in vectors if item.mark)
                    )
                verdict = await self._offered(live, token, vectors)
                await asyncio.sleep(LATE_HERE if self.target.in_process else LATE)
        finally:
            watch.stop()
            await asyncio.to_thread(listener.close)
        return self._fetched(verdict, listener.asked, watch.seen, vectors)

    async def _offered(self, live: Credential, token: Jwt, vectors: list[_Vector]) -> Verdict:
        attempts = [
            Attempt(f"a token with {item.label}", live.with_value(_pointing(token, item).text))
            for item in vectors
        ]
        bare = [
            Attempt(
                f"control: a token under a key of the attacker ({key.algorithm})",
                live.with_value(token.with_header(alg=key.algorithm).signed(key).text),
            )
            for key in dict.fromkeys(item.key for item in vectors)
        ]
        return await self.must_refuse(attempts, credential=live, must_hold=bare)

    def _fetched(
        self, verdict: Verdict, asked: list[str], seen: list[str], vectors: list[_Vector]
    ) -> Verdict:
        """What the witnesses saw, beside what became of the tokens."""
        hits = [
            item.label for item in vectors if any(item.mark in text for text in (*asked, *seen) if item.mark)
        ]
        hits += [f"an address of ours ({text})" for text in seen if "127.0.0.1" in text and not hits]
        if isinstance(verdict, Failed):
            return verdict
        if hits:
            operation = self.witness.operation.name
            shown = tuple(item for item in self.evidence if any(hit in item.label for hit in hits))
            message = f"{operation} asked for an address that only a token of ours named: {'; '.join(hits)}."
            return Failed((Violation(operation, message, Severity.HIGH, shown),), tuple(self.evidence))
        if not isinstance(verdict, Passed):
            return verdict
        if self.target.in_process:
            reason = f"{verdict.reason} Nothing was looked up, fetched or opened for them."
            return replace(verdict, reason=reason)
        if self.target.listener is not None and self.target.listener.proven:
            return replace(
                verdict, reason=f"{verdict.reason} Nothing was fetched from {self.target.listener.url}."
            )
        return Skipped(
            f"Not tested: {verdict.reason} No fetch was seen, but whether this target could reach us is not known.",
            self._remedy(Need.LISTENER),
            evidence=tuple(self.evidence),
        )

    def _remote_vectors(self, token: Jwt, listener: Listener, folder: Path) -> Iterator[_Vector]:
        """At most eighteen headers, each with a path, a host or a file of its own."""
        keys = keys_for(token)
        place = urlsplit(listener.url)
        for key in keys:
            for member in ("jku", "x5u"):
                page = (
                    compact_json({"keys": [_jwk(key, token)]}).encode()
                    if member == "jku"
                    else certificate(key)
                )
                if page is None:
                    continue
                mark = f"/{secrets.token_hex(8)}.{'json' if member == 'jku' else 'pem'}"
                listener.pages[mark] = page
                yield _Vector(
                    f"{member} at our address ({key.algorithm})", member, listener.url + mark, mark, key
                )
        key = keys[0]
        keyset = compact_json({"keys": [_jwk(key, token)]})
        host = self._trusted_host(token)
        name = f"k{secrets.token_hex(8)}"
        tricks = {
            "jku whose user part is the trusted host": f"{place.scheme}://{host}@{place.netloc}/{{mark}}",
            "jku whose fragment is the trusted host": f"{listener.url}/{{mark}}#https://{host}/",
            "jku with a backslash before the trusted host": f"{listener.url}\\@{host}/{{mark}}",
            "jku whose path is the trusted host": f"{listener.url}/{host}/{{mark}}",
            "kid that is our address": f"{listener.url}/{{mark}}",
        }
        if place.hostname == "127.0.0.1":
            tricks["jku as IPv6"] = f"http://[::ffff:127.0.0.1]:{listener.port}/{{mark}}"
        for label, form in tricks.items():
            mark = secrets.token_hex(8)
            address = form.replace("{mark}", mark)
            listener.pages[urlsplit(address).path] = keyset.encode()
            yield _Vector(label, "kid" if label.startswith("kid") else "jku", address, mark, key)
        yield self._by_redirect(listener, keyset, host, key)
        # Names that only we know and that nobody resolves (RFC 2606): to look them up is enough.
        yield _Vector(
            "jku at a host that begins like the trusted one",
            "jku",
            f"https://{host}.{name}.invalid/",
            name,
            key,
        )
        path = folder / f"{name}.json"
        path.write_text(keyset, "utf-8")
        yield _Vector("jku that is a file", "jku", path.as_uri(), str(path), key)
        yield _Vector("jku that is /dev/null", "jku", "file:///dev/null", "", key)
        data = f"data:application/json,{keyset}"
        yield _Vector("jku that holds the keys itself", "jku", data, "", key)

    def _by_redirect(self, listener: Listener, keyset: str, host: str, key: SigningKey) -> _Vector:
        """An address of the trusted host that may redirect to ours: an allowlist sees the first one only."""
        mark = f"/{secrets.token_hex(8)}.json"
        listener.pages[mark] = keyset.encode()
        known = (
            (operation.path, item.name)
            for operation in self.target.operations
            for item in operation.parameters
            if operation.method == "GET" and item.place == "query" and item.name.lower() in _FORWARDING
        )
        path, name = next((pair for pair in known if "{" not in pair[0]), ("/login", "next"))
        address = f"https://{host}{path}?{name}={quote(listener.url + mark, safe='')}"
        return _Vector("jku that the trusted host may redirect", "jku", address, mark, key)

    def _trusted_host(self, token: Jwt) -> str:
        """The host that an allowlist would name: the issuer's, or the service's own."""
        for text in (str(token.claims.get("iss", "")), self.target.address):
            if (host := urlsplit(text).hostname) is not None:
                return host
        return "testserver"


def keys_for(token: Jwt) -> list[SigningKey]:
    """Keys of the attacker's: one that fits the service's algorithm first, and one of the usual sort."""
    keys = attacker_keys()
    family = {"HS": "HS256", "RS": "RS256", "PS": "RS256"}.get(token.algorithm[:2], token.algorithm)
    found = []
    if family in keys:
        found.append(SigningKey(token.algorithm, keys[family].secret, source=keys[family].source))
    return [*found, keys["ES256" if token.algorithm.startswith("RS") else "RS256"]]


def _jwk(key: SigningKey, token: Jwt) -> dict[str, Any]:
    own = {"kid": token.header["kid"]} if "kid" in token.header else {}
    if key.symmetric:
        return {"kty": "oct", "k": b64url(key.secret.reveal().encode()), "alg": key.algorithm, **own}
    return {**(public_jwk(key) or {}), "alg": key.algorithm, "use": "sig", **own}


def _pointing(token: Jwt, vector: _Vector) -> Jwt:
    header: dict[str, object] = {"alg": vector.key.algorithm, vector.member: vector.address}
    return token.with_header(**header).signed(vector.key)
