"""Where messages to the people of a target can be read: a callable, a command, an address, or a folder.

The mailbox is the tester's own, not the target's: nothing about it is evidence, and its texts hold tokens.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import inspect
import os
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import httpx

from auth_conformance.oracles.mail import read

Lookup = Callable[[str], str | Awaitable[str | None] | None]

# A mail is small; a mailbox that hands out more is cut.
_LONGEST = 1 << 18
_NEWEST = 200
_SECONDS = 10.0
_EVERY = 0.05


class MailboxError(Exception):
    """The mailbox could not be read; the message says why, without quoting any mail."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The last message to an address. `lookup` takes the address and returns its text, or None."""

    lookup: Lookup

    async def last_to(self, address: str) -> str | None:
        """The newest message to this address as text; None when there is none. Raises MailboxError."""
        try:
            found = self.lookup(address)
            text = await found if inspect.isawaitable(found) else found
        except MailboxError:
            raise
        except Exception as error:
            raise MailboxError(f"the mailbox raised {type(error).__name__}") from error
        if text is None:
            return None
        if not isinstance(text, str):
            raise MailboxError(f"the mailbox returned {type(text).__name__} instead of text")
        return readable(text[:_LONGEST]) if text.strip() else None

    async def first_to(self, address: str, within: float = 5.0, after: str | None = None) -> str | None:
        """The message that follows `after`, or the first one: mail is sent after the answer. Raises MailboxError."""
        waited = 0.0
        while (text := await self.last_to(address)) in (None, after) and waited < within:
            await asyncio.sleep(_EVERY)
            waited += _EVERY
        return None if text == after else text


@dataclass(slots=True)
class Letters:
    """Codes that a login mails to who logs in. `addresses` are those of user names that are none themselves."""

    mailbox: Mailbox
    addresses: dict[str, str] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def one_at_a_time(self, person: str) -> asyncio.Lock:
        """Held from the question for a code until it is redeemed: a second message would spoil the first."""
        return self._locks.setdefault(person, asyncio.Lock())

    async def latest(self, person: str) -> str | None:
        """The last message to this user. Raises MailboxError."""
        return await self.mailbox.last_to(self.addresses.get(person, person))

    async def code_after(self, person: str, before: str | None, within: float = 5.0) -> str:
        """The code in the message that follows `before`; "" where none comes in time. Raises MailboxError."""
        waited = 0.0
        while (text := await self.latest(person)) in (None, before) and waited < within:
            await asyncio.sleep(_EVERY)
            waited += _EVERY
        return (read(text).token or "") if text is not None and text != before else ""


def from_command(command: str) -> Mailbox:
    """A mailbox that a command prints: `{recipient}` is replaced, else the address is the last argument."""

    async def run(address: str) -> str | None:
        words = shlex.split(command)
        filled = [word.replace("{recipient}", address) for word in words]
        arguments = filled if filled != words else [*filled, address]
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            raise MailboxError(f"the mailbox command cannot be started: {error.strerror}") from error
        try:
            output, _ = await asyncio.wait_for(process.communicate(), _SECONDS)
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise MailboxError("the mailbox command took too long") from error
        if process.returncode:
            raise MailboxError(f"the mailbox command ended with {process.returncode}")
        return output.decode("utf-8", "replace")

    return Mailbox(run)


def from_url(url: str) -> Mailbox:
    """A mailbox that an address answers with: `{recipient}` is replaced. 404 means that there is no message."""

    async def fetch(address: str) -> str | None:
        async with httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False) as client:
            try:
                reply = await client.get(url.replace("{recipient}", quote(address, safe="")))
            except httpx.HTTPError as error:
                raise MailboxError(f"the mailbox cannot be reached: {type(error).__name__}") from error
        if reply.status_code in (204, 404):
            return None
        if not reply.is_success:
            raise MailboxError(f"the mailbox answered {reply.status_code}")
        return reply.text

    return Mailbox(fetch)


def from_folder(folder: Path) -> Mailbox:
    """A mailbox in a folder: the newest file that names the address, in a `To` header if it has headers."""

    @lru_cache(maxsize=_NEWEST)
    def recipients(name: str, _changed: int, _size: int) -> str:
        return _recipients(text_of(name))

    def text_of(name: str) -> str:
        return (folder / name).read_text("utf-8", "replace")[:_LONGEST]

    def read(address: str) -> str | None:
        try:
            files = [(entry.name, entry.stat()) for entry in os.scandir(folder) if entry.is_file()]
        except OSError as error:
            raise MailboxError(f"the mailbox folder cannot be read: {error.strerror}") from error
        files.sort(key=lambda file: (file[1].st_mtime_ns, file[0]), reverse=True)
        # A run waits for hundreds of mails and looks twenty times a second: each file is taken apart once.
        to = (
            name
            for name, was in files[:_NEWEST]
            if address.lower() in recipients(name, was.st_mtime_ns, was.st_size)
        )
        name = next(to, None)
        return None if name is None else text_of(name)

    async def look(address: str) -> str | None:
        return await asyncio.to_thread(read, address)

    return Mailbox(look)


def _recipients(text: str) -> str:
    """Whom a message is to, in lower case; the whole text where no header says so."""
    named = email.message_from_string(text, policy=email.policy.default).get_all("to", [])
    return (" ".join(map(str, named)) if named else text).lower()


def readable(text: str) -> str:
    """The text of a message: encodings of a mail undone, headers kept out, HTML parts as they are."""
    head = text.partition("\n\n")[0].lower()
    if not any(line.startswith(("to:", "subject:", "mime-version:")) for line in head.splitlines()):
        return text
    message = email.message_from_string(text, policy=email.policy.default)
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    return "\n".join(str(part.get_content()) for part in parts) if parts else text
