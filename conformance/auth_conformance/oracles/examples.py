"""Accounts that stand in the examples of a source tree, such as `.env.example` (checklist CRD119)."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Files that are examples by their name: what is really used stands in `.env`, and is no business of ours.
EXAMPLE_NAMES = (
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    "env.example",
    "example.env",
    "sample.env",
)
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$", re.MULTILINE)
_PASSWORD = re.compile(r"^(.*?)_?(PASSWORD|PASSWD|PASS|PWD)$", re.IGNORECASE)
_NAMES = ("", "EMAIL", "USERNAME", "USER", "NAME", "LOGIN", "MAIL")
# Whose passwords are those of other services.
_OTHERS = re.compile(
    r"(^|_)(DB|DATABASE|POSTGRES|PG|MYSQL|MARIADB|MONGO|REDIS|RABBIT\w*|AMQP|SMTP|MAIL\w*|CELERY|FLOWER|S3|MINIO)(_|$)",
    re.IGNORECASE,
)
_LEFT_OPEN = re.compile(r"^$|^[<\[{$]|^x{3,}$|^\.\.\.$", re.IGNORECASE)


def example_accounts(text: str) -> Iterator[tuple[str, str]]:
    """The names and passwords that belong together in a file of `NAME=value` lines."""
    values = {name.upper(): _bare(value) for name, value in _LINE.findall(text)}
    for key, password in values.items():
        found = _PASSWORD.match(key)
        if found is None or _LEFT_OPEN.match(password) or _OTHERS.search(found[1]):
            continue
        start = found[1]
        for last in _NAMES:
            name = values.get("_".join(filter(None, (start, last))), "")
            if name and not _LEFT_OPEN.match(name):
                yield name, password
                break


def _bare(value: str) -> str:
    """The value without its quotes, or without the comment behind it."""
    if value[:1] in "\"'" and value[:1] and (end := value.find(value[0], 1)) > 0:
        return value[1:end]
    return value.partition(" #")[0].strip()
