"""The file around the statements of a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auth_reports.regression.literals import comment, literal
from auth_reports.regression.snippets import (
    ALTERED,
    AT_ONCE,
    CLAIM,
    COOKIE_LINE,
    MAILED,
    MEANINGLESS,
    PRIVATE_KEY,
    PROBLEM,
    SEND,
    SEND_TOGETHER,
    SIGNATURE,
    SIGNATURE_BY_PAIR,
    SIGNED,
)
from auth_reports.regression.values import MAILBOX, Values

if TYPE_CHECKING:
    from auth_conformance.model import Finding

# Who wins a race is chance: it is run so often, on an account of its own each time.
_RACES = 3


@dataclass(slots=True)
class Layout(Values):
    """Puts statements into a file. `raced` says that some requests go out at the same instant.

    `unproved` are keys that no accepted control shows to be right, by their variables.
    """

    raced: bool = False
    unproved: dict[str, str] = field(default_factory=dict)

    def file(self, finding: Finding, function: str) -> str:
        """The whole file."""
        needs = [
            f"    {name}: a command that prints the newest message to the address in its last argument"
            if name == MAILBOX
            else f"    {name}: {'a file in PEM with the key' if name in self.files else 'the value'} "
            f"that the report shows as sha256:{digest}"
            for name, digest in self.environment.items()
        ]
        base = "http://127.0.0.1:8000" if self.run.target.kind == "app" else self.run.target.address
        head = [
            '"""' + comment(f"{finding.code} {finding.title}: {finding.operation or ''}").strip(),
            "",
            comment(finding.message),
            "",
            f"Written by auth-conformance from run {comment(self.run.run_id)}.",
            "It fails while the flaw is there, and passes once it is mended.",
            "Environment:",
            f"    BASE_URL: where the service listens (default {comment(base)})",
            *needs,
            '"""',
            "",
            *(f"import {name}" for name in self._modules()),
            *(["from concurrent.futures import ThreadPoolExecutor"] if self.raced else []),
            *(["from pathlib import Path"] if self.files else []),
            "",
            "import httpx",
            *(["import jwt  # PyJWT[crypto]"] if "signed by a pair" in self._helpers else []),
            *(
                ["from cryptography.hazmat.primitives import serialization"]
                if "own key" in self._helpers
                else []
            ),
            "",
            f'BASE_URL = os.environ.get("BASE_URL", {literal(base)})',
            *(["RUN = secrets.token_hex(3)"] if "RUN" in self._helpers and not self.raced else []),
            *(['NEW_PASSWORD = f"{secrets.token_urlsafe(18)}-7qX"'] if "PASSWORD" in self._helpers else []),
            *(
                f'{self.files[name]} = Path(os.environ["{name}"]).read_text()'
                if name in self.files
                else f'{name} = os.environ["{name}"]'
                for name in self.environment
            ),
            "",
            "",
            SEND_TOGETHER if self.raced else SEND,
        ]
        if "at_once" in self._helpers:
            head += ["", AT_ONCE]
        if "mailed" in self._helpers:
            head += ["", MAILED]
        if "altered" in self._helpers:
            head += ["", ALTERED]
        if "meaningless" in self._helpers:
            head += ["", MEANINGLESS]
        if "signed" in self._helpers:
            pair = "signed by a pair" in self._helpers
            head += ["", SIGNED, "", SIGNATURE_BY_PAIR if pair else SIGNATURE]
        if "claim" in self._helpers:
            head += ["", CLAIM]
        if "own key" in self._helpers:
            head += ["", PRIVATE_KEY]
        if "cookie_line" in self._helpers:
            head += ["", COOKIE_LINE]
        if "problem" in self._helpers:
            head += ["", PROBLEM]
        return "\n".join(
            [*head, "", f"def {function}() -> None:", *(f"    {line}" for line in self._body_lines()), ""]
        )

    def _modules(self) -> list[str]:
        """What is imported of the standard library, in order."""
        needed = {"os"}
        if self._helpers & {"RUN", "PASSWORD"}:
            needed.add("secrets")
        if "signed" in self._helpers:
            needed |= {"base64", "hmac", "json", "time", "uuid"}
        if self.unproved:
            needed.add("hashlib")
        if "mailed" in self._helpers:
            needed |= {"email", "email.policy", "html", "re", "shlex", "subprocess", "time"}
        if self.raced:
            needed.add("threading")
        return sorted(needed)

    def _body_lines(self) -> list[str]:
        """The statements; first, that the key is the one of the finding, where no accepted control shows it."""
        proof = [
            line
            for variable, digest in self.unproved.items()
            for line in _is_key_of(digest, variable, pem=variable in self.files.values())
        ]
        if not self.raced:
            return proof + self.lines
        anew = ["RUN = secrets.token_hex(3)"] if "RUN" in self._helpers else []
        loop = f"for turn in range({_RACES}):  # who wins a race is chance"
        return [*proof, loop, *(f"    {line}" for line in (*anew, *self.lines))]


def _is_key_of(digest: str, variable: str, *, pem: bool) -> list[str]:
    """What asserts that a key is the one of the finding; a file may end in a line break that the key did not have."""
    about = f'"{variable} is not the key that the finding is about"'
    if not pem:
        told = f"hashlib.sha256({variable}.encode()).hexdigest().startswith({literal(digest)})"
        return [f"assert {told}, {about}"]
    told = f"any(digest.startswith({literal(digest)}) for digest in digests)"
    return [
        f"spelled = ({variable}, {variable}.strip(), {variable}.strip() + {literal(chr(10))})",
        "digests = [hashlib.sha256(text.encode()).hexdigest() for text in spelled]",
        f"assert {told}, {about}",
    ]
