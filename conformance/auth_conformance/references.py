"""Constructors for the clauses that a rule cites: a misspelt reference fails at import."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources


@cache
def _listed(name: str) -> frozenset[str]:
    """Identifiers in `data/<name>.txt`, one per line, `#` starts a comment."""
    text = resources.files("auth_conformance").joinpath("data", f"{name}.txt").read_text("utf-8")
    return frozenset(line.split("#")[0].strip() for line in text.splitlines() if line.split("#")[0].strip())


@dataclass(frozen=True, slots=True)
class Reference:
    """One cited clause: `kind` (such as `RFC`), the label that people read, and where it is published."""

    kind: str
    label: str
    url: str


def ASVS(requirement: str) -> Reference:  # noqa: N802 - reads as a citation
    """OWASP ASVS 5.0 requirement such as `9.1.2`. Raises ValueError for an id that ASVS 5.0 does not have."""
    if requirement not in _listed("asvs5"):
        raise ValueError(f"ASVS 5.0 has no requirement {requirement}")
    chapter = int(requirement.split(".", maxsplit=1)[0])
    return Reference("ASVS", f"ASVS 5.0 V{requirement}", f"https://asvs.dev/v5.0.0/V{chapter}/")


def RFC(number: int, section: str | None = None) -> Reference:  # noqa: N802
    """IETF RFC, with a section such as `3.1` where one is meant."""
    where = f" §{section}" if section else ""
    anchor = f"#section-{section}" if section else ""
    return Reference(
        "RFC",
        f"RFC {number}{where}",
        f"https://www.rfc-editor.org/rfc/rfc{number}.html{anchor}",
    )


def CWE(number: int) -> Reference:  # noqa: N802
    """CWE weakness. Raises ValueError for a category or an id that MITRE does not allow for mapping."""
    if str(number) not in _listed("cwe"):
        raise ValueError(f"CWE-{number} is not in the list of weaknesses that this catalogue may map to")
    return Reference("CWE", f"CWE-{number}", f"https://cwe.mitre.org/data/definitions/{number}.html")


def API(number: int) -> Reference:  # noqa: N802
    """OWASP API Security Top 10 (2023), 1 to 10."""
    if number not in range(1, 11):
        raise ValueError(f"the OWASP API Security Top 10 has no entry {number}")
    return Reference("API", f"API{number}:2023", "https://owasp.org/API-Security/editions/2023/en/0x11-t10/")


def WSTG(test: str) -> Reference:  # noqa: N802
    """OWASP Web Security Testing Guide v4.2 test such as `SESS-10`."""
    if not re.fullmatch(r"[A-Z]{4}-\d{2}", test):
        raise ValueError(f"{test} is not the id of a WSTG test, such as SESS-10")
    return Reference("WSTG", f"WSTG-{test}", "https://owasp.org/www-project-web-security-testing-guide/v42/")


def CVE(number: str) -> Reference:  # noqa: N802
    """Published vulnerability such as `2015-9235`."""
    if not re.fullmatch(r"\d{4}-\d{4,}", number):
        raise ValueError(f"{number} is not a CVE number, such as 2015-9235")
    return Reference("CVE", f"CVE-{number}", f"https://www.cve.org/CVERecord?id=CVE-{number}")


def NIST(section: str) -> Reference:  # noqa: N802
    """Section of NIST SP 800-63B-4."""
    return Reference(
        "NIST",
        f"NIST SP 800-63B-4 §{section}",
        "https://pages.nist.gov/800-63-4/sp800-63b.html",
    )


def FETCH(section: str) -> Reference:  # noqa: N802
    """Section title of the WHATWG Fetch standard."""
    return Reference("Fetch", f"Fetch standard ({section})", "https://fetch.spec.whatwg.org/")
