"""Where a credential may be put that nobody declared: the attempts of KEY103 and MIX106."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Severity
from auth_conformance.oracles.cookies import write_cookie
from auth_conformance.probe.refusal import Attempt, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auth_conformance.target import Operation

# Names under which services take credentials beside the documented ones (checklist MIX106, KEY103, TOK303).
HEADERS = (
    "X-Auth-Token",
    "X-Access-Token",
    "X-Token",
    "Token",
    "X-JWT",
    "X-Authorization",
    "Proxy-Authorization",
    "Authentication",
    "X-Api-Token",
    "Api-Key",
    "ApiKey",
)
SCHEMES = ("Token", "JWT", "ApiKey", "Key")
COOKIES = ("access_token", "token", "jwt", "auth", "api_key")
QUERY_OF_KEYS = ("api_key", "apikey", "key", "api-key", "x-api-key", "access_key", "token", "access_token")
QUERY_OF_TOKENS = ("access_token", "token", "jwt", "auth", "bearer")


class Placing(Refusal):
    """Puts live credentials where the document knows of none."""

    def declared_at(self, place: str, name: str, operation: Operation | None = None) -> bool:
        """Whether a carrier, or a parameter of the operation, has that place and name."""
        wanted = (place, name.lower())
        known = {(carrier.place, carrier.name.lower()) for carrier in self.target.carriers}
        if operation is not None:
            known |= {(item.place, item.name.lower()) for item in operation.parameters}
        return wanted in known

    @staticmethod
    def query_names(credential: Credential) -> tuple[str, ...]:
        """The usual names in the query for a token that a cookie carries: libraries look in both."""
        return QUERY_OF_TOKENS if credential.jwt is not None else ()

    def key_in_query(self, credential: Credential) -> list[Attempt]:
        """The key in the query under every usual name that is not declared."""
        value = credential.value.reveal()
        return [
            Attempt(f"the key in the query ({name})", query=((name, value),))
            for name in QUERY_OF_KEYS
            if not self.declared_at("query", name)
        ]

    def undocumented_places(self, credential: Credential) -> list[Attempt]:
        """A live value in each place of which the document says nothing."""
        value, kind = credential.value.reveal(), credential.carrier.kind
        what = "the key" if kind is Kind.KEY else "the token"
        names = QUERY_OF_KEYS if kind is Kind.KEY else QUERY_OF_TOKENS
        return [*self._heads(what, value), *self._query_and_body(what, value, names)]

    def _heads(self, what: str, value: str) -> Iterator[Attempt]:
        witness = self.witness.operation
        for name in HEADERS:
            if not self.declared_at("header", name, witness):
                yield Attempt(f"{what} in the header {name}", headers=((name, value),))
        words = {carrier.prefix.lower() for carrier in self.target.carriers}
        for word in SCHEMES:
            if word.lower() not in words:
                header = ("Authorization", f"{word} {value}")
                yield Attempt(f"{what} as Authorization: {word}", headers=(header,))
        for name in COOKIES:
            if not self.declared_at("cookie", name, witness):
                yield self._cookie(what, name, value)
        if not self.declared_at("cookie", "access_token", witness):
            yield self._cookie(f"{what} with the word Bearer", "access_token", f'"Bearer {value}"')
        header = ("Sec-WebSocket-Protocol", f"bearer, {value}")
        yield Attempt(f"{what} in Sec-WebSocket-Protocol", headers=(header,))

    def _query_and_body(self, what: str, value: str, names: Sequence[str]) -> Iterator[Attempt]:
        for name in names:
            if not self.declared_at("query", name, self.witness.operation):
                yield Attempt(f"{what} in the query ({name})", query=((name, value),))
        form = tuple((name, value) for name in names)
        yield Attempt(f"{what} in a form", edit=lambda request: request.with_form(form))
        yield Attempt(f"{what} in JSON", edit=lambda request: request.beside(dict(form)))
        if Kind.BASIC in {carrier.kind for carrier in self.target.carriers}:
            return
        for place, pair in (("user", f"{value}:"), ("password", f"x:{value}")):
            encoded = base64.b64encode(pair.encode("utf-8", "surrogatepass")).decode()
            header = ("Authorization", f"Basic {encoded}")
            yield Attempt(f"{what} as {place} of Basic", headers=(header,))

    @staticmethod
    def _cookie(what: str, name: str, value: str) -> Attempt:
        # A browser attaches it to requests that other sites start: that is worse than a header.
        header = ("Cookie", write_cookie([(name, value)]))
        return Attempt(f"{what} in the cookie {name}", headers=(header,), severity=Severity.HIGH)
