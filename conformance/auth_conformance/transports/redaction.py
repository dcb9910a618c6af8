"""Default-deny redaction: evidence is built after it, so what it removes exists nowhere else."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from auth_conformance.credentials import Jwt
from auth_conformance.model import Derivation, Exchange
from auth_conformance.secret import Secret
from auth_conformance.transports.derivation import derive, derive_signed, digest_of

# Header names whose value is a credential or may be one; everything that a carrier uses is added.
_SECRET_HEADERS = {
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-session-token",
}
_SECRET_MEMBER = re.compile(
    r'("[^"]{0,40}(?:passw|secret|token|api_?key|private|credential|otp|session|passphrase)[^"]{0,40}"\s*:\s*)"((?:[^"\\]|\\.)+)"',
    re.IGNORECASE,
)
_SECRET_PARAMETER = re.compile(
    r"((?:^|[?&;\s])[\w.-]{0,40}(?:passw|secret|token|key|credential|otp|session|passphrase)[\w.-]{0,40}=)([^&\s;]+)",
    re.IGNORECASE,
)
_JWT = re.compile(r"eyJ[\w-]*\.[\w-]*\.[\w-]*")
# A long text of token characters, letters and digits mixed: unknown credentials in replies look like this.
_TOKEN_LIKE = re.compile(r'"((?=[^"]*\d)(?=[^"]*[A-Za-z])[\w.~+/=-]{24,})"(?!\s*:)')
# Proofs in pages (CSRF tokens, view states) stand in hidden fields and in `meta`.
_FIELD = re.compile(r"<(?:input|meta)\b[^<>]{1,600}>", re.IGNORECASE)
_PROOF = re.compile(r"""\btype\s*=\s*["']?hidden\b|csrf|xsrf|token""", re.IGNORECASE)
_VALUE = re.compile(r"""(\b(?:value|content)\s*=\s*)("[^"]*"|'[^']*'|[^\s"'<>]+)""", re.IGNORECASE)
_SHORTEST_PROOF = 8
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+Z-]+")
# Words that stand where secrets stand but are none: token types and the like.
_HARMLESS = {"bearer", "basic", "access", "refresh", "apikey", "null", "none", "true", "false"}
_SHORTEST = 6
# Most headers and many bodies come again and again: so many redacted texts are kept.
_REMEMBERED = 4096
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def _hide_field(field: re.Match[str]) -> str:
    return _VALUE.sub(_hide_value, field[0]) if _PROOF.search(field[0]) else field[0]


def _hide_value(found: re.Match[str]) -> str:
    value = found[2].strip("\"'")
    if len(value) < _SHORTEST_PROOF or not any(map(str.isdigit, value)) or "‹" in value:
        return found[0]
    return f'{found[1]}"{mark(value)}"'


def mark(text: str) -> str:
    """What stands in evidence instead of a secret: its digest; for a JWT also header and claim names."""
    short = digest_of(text)
    token = Jwt.parse(text)
    if token is None:
        return f"‹sha256:{short}›"
    header = json.dumps({key: token.header[key] for key in ("alg", "typ", "kid") if key in token.header})
    return f"‹jwt {header} claims {' '.join(token.claims)} sha256:{short}›"


def visible(text: str) -> str:
    """`text` with control characters, terminal escapes and bidirectional overrides spelled out."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


class Redactor:
    """Knows the secrets of a run by value and replaces them, in every usual encoding, wherever they stand."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._learned: list[str] = []
        self._keys: list[Secret] = []
        self._own: list[str] = []
        # The spellings that end in the same characters, so that a text is searched once and not for each of them.
        self._ending: dict[str, list[str]] = {}
        # What was shown for a text, and how many spellings were known then.
        self._seen: dict[str, tuple[str, int]] = {}
        self._in_order: list[str] = []
        self._headers = set(_SECRET_HEADERS)

    def learn(self, secret: Secret) -> None:
        """Remember a secret that the run sent or received. Texts under six characters are too common."""
        text = secret.reveal()
        if len(text) < _SHORTEST or text in self._known:
            return
        self._learned.append(text)
        raw = text.encode("utf-8", "surrogatepass")
        spellings = {
            text,
            quote(text, safe=""),
            json.dumps(text)[1:-1],
            raw.hex(),
            base64.b64encode(raw).decode(),
        }
        spellings.add(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
        shown = mark(text)
        for spelling in spellings:
            if spelling not in self._known:
                self._ending.setdefault(spelling[-_SHORTEST:], []).append(spelling)
            self._known[spelling] = shown
        self._in_order += spellings

    def learn_key(self, key: Secret) -> None:
        """Remember a secret that signs tokens: what it signs anew has a recipe."""
        self.learn(key)
        if key not in self._keys:
            self._keys.append(key)

    def learn_own(self, key: str) -> None:
        """Remember a key of the attacker's own, or a public one: it is nobody's secret, and a recipe may hold it."""
        if key not in self._own:
            self._own.append(key)

    def learn_header(self, name: str) -> None:
        """Treat the values of this header as credentials."""
        self._headers.add(name.lower())

    def known_in(self, text: str, said: str = "") -> str | None:
        """The mark of a known secret that stands in `text` and not in `said`; None when there is none."""
        return next((self._known[part] for part in self._within(text) if part not in said), None)

    def text(self, text: str) -> str:
        """`text` as it may be shown."""
        shown, known = self._seen.get(text, (None, 0))
        if shown is None or any(spelling in text for spelling in self._in_order[known:]):
            shown = self._hidden(text)
        if len(self._seen) > _REMEMBERED:
            self._seen.clear()
        self._seen[text] = shown, len(self._in_order)
        return shown

    def _within(self, text: str) -> list[str]:
        """The known spellings that stand in `text`, the longest first."""
        found: set[str] = set()
        for end in range(_SHORTEST, len(text) + 1):
            # The end of a credential is random; its beginning is that of all tokens.
            candidates = self._ending.get(text[end - _SHORTEST : end])
            if candidates is not None:
                found.update(item for item in candidates if text.endswith(item, 0, end))
        return sorted(found, key=lambda item: (-len(item), item))

    def _hidden(self, text: str) -> str:
        for spelling in self._within(text):
            text = text.replace(spelling, self._known[spelling])
        text = _JWT.sub(lambda match: mark(match[0]), text)
        text = _SECRET_MEMBER.sub(_hide_member, text)
        text = _FIELD.sub(_hide_field, text)
        text = _TOKEN_LIKE.sub(_hide_token, text)
        return visible(_SECRET_PARAMETER.sub(_hide_parameter, text))

    def again(self, exchange: Exchange) -> Exchange:
        """An exchange without the secrets that became known only after it: a reply that issued one, say."""
        request, reply = exchange.request, exchange.reply
        return replace(
            exchange,
            request=replace(
                request,
                url=self.text(request.url),
                headers=tuple((name, self.text(value)) for name, value in request.headers),
                body=None if request.body is None else self.text(request.body),
            ),
            reply=replace(
                reply,
                headers=tuple((name, self.text(value)) for name, value in reply.headers),
                body=self.text(reply.body),
            ),
        )

    def derivations(self, headers: Sequence[tuple[str, str]]) -> tuple[Derivation, ...]:
        """How the altered credentials in these headers follow from those that the run knows."""
        found: dict[str, Derivation] = {}
        for name, value in headers:
            if name.lower() not in self._headers:
                continue
            for text in presented(name, value):
                recipe = None if text in self._known else self._recipe(text)
                if recipe is not None:
                    found[recipe.digest] = recipe
        return tuple(found.values())

    def _recipe(self, text: str) -> Derivation | None:
        found = derive(text, self._learned)
        if found is not None or not (self._keys or self._own):
            return found
        found = derive_signed(text, self._learned, self._keys, time.time(), own=self._own)
        if found is None or found.signed is None:
            return None
        # A header that brings the attacker's own key is the attacker's: what looks like a secret in it is none.
        written = found.signed.claims + ("" if found.signed.own else found.signed.header)
        return found if self.text(written) == written else None

    def header(self, name: str, value: str) -> str:
        """A header value as it may be shown."""
        lower = name.lower()
        if lower == "set-cookie":
            pair, semicolon, rest = value.partition(";")
            key, equals, text = pair.partition("=")
            return visible(f"{key}{equals}{mark(text) if text else ''}{semicolon}{rest}")
        if lower == "cookie":
            return visible("; ".join(_hide_pair(part) for part in value.split("; ")))
        if lower in self._headers and value:
            word, blank, text = value.partition(" ")
            if blank and text and word.isalpha():
                return visible(f"{word} {mark(text)}")
            return value if value.lower() in _HARMLESS else mark(value)
        return self.text(value)


def presented(name: str, value: str) -> list[str]:
    """The credentials in a header value: cookie values, or what follows the scheme word."""
    if name.lower() == "cookie":
        return [part.partition("=")[2] for part in value.split("; ")]
    word, blank, text = value.partition(" ")
    return [text if blank and word.isalpha() else value]


def _hide_pair(part: str) -> str:
    key, equals, text = part.partition("=")
    return f"{key}={mark(text)}" if equals else mark(part)


def _hide_member(match: re.Match[str]) -> str:
    if match[2].lower() in _HARMLESS or match[2].startswith("‹"):
        return match[0]
    return f'{match[1]}"{mark(match[2])}"'


def _hide_token(match: re.Match[str]) -> str:
    if _UUID.fullmatch(match[1]) or _TIME.fullmatch(match[1]) or "://" in match[1]:
        return match[0]
    return f'"{mark(match[1])}"'


def _hide_parameter(match: re.Match[str]) -> str:
    if match[2].lower() in _HARMLESS or match[2].startswith("‹"):
        return match[0]
    return f"{match[1]}{mark(match[2])}"
