"""Accounts of the run's own: made where strangers may register, believed when they can log in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.discovery.endings import find_unnamed_logout
from auth_conformance.discovery.lifecycle import deletion_operations
from auth_conformance.discovery.recovery import deletion
from auth_conformance.discovery.registering import (
    make_account,
    new_account,
    other_name,
    register_candidates,
    through,
)
from auth_conformance.model import Need, Provenance
from auth_conformance.oracles.mail import read
from auth_conformance.secret import Secret
from auth_conformance.transports.mailbox import MailboxError

if TYPE_CHECKING:
    from auth_conformance.credentials import Kind
    from auth_conformance.discovery.access import Doorman
    from auth_conformance.discovery.asking import Scout
    from auth_conformance.discovery.knowledge import Knowledge
    from auth_conformance.target import Account, Register

_MOST = 3
_TOKENS = 3
_BLOCKED = "# new accounts cannot log in at once: "
_MAILED = (
    "if they get a message first, say where messages can be read\n"
    '[mailbox]  # or app = "module:callable", command = "…", folder = "…"\n'
    'url = "http://localhost:8025/last?to={recipient}"\n'
)
_CONFIRM = '[verification.confirm]\noperation = "POST /verify"\ntoken = "token"\n'
_GIVEN = '# or give accounts that can\n[accounts.a]\nusername = "alice"\npassword = { env = "A_PASSWORD" }'

FindLogins = Callable[[str], Awaitable[bool]]


async def settle(
    scout: Scout, known: Knowledge, doorman: Doorman, label: str, find_logins: FindLogins | None
) -> None:
    """Register account `label` for the whole run, if strangers may; `find_logins` finds how it logs in."""
    if find_logins is None and not known.logins:
        return
    candidates = [known.register] if known.register is not None else register_candidates(known, scout.rng)
    for candidate in candidates[:_MOST]:
        register = through(candidate, known.logins)
        account = new_account(label, scout.run_id, register)
        if await make_account(scout, register, account) is None:
            continue
        found = await _believed(scout, known, doorman, register, account, find_logins)
        if found is not None:
            known.register = found
            known.say(
                "account " + label,
                f"registered as {known.accounts[label].username}",
                Provenance.OBSERVED,
                f"{register.operation.name} is open to strangers",
            )
            return
        known.accounts.pop(label, None)
        _say_blocked(known, register)
        return


async def _believed(  # noqa: PLR0917 - who asks, and what is to be believed
    scout: Scout,
    known: Knowledge,
    doorman: Doorman,
    register: Register,
    account: Account,
    find_logins: FindLogins | None,
) -> Register | None:
    """The registration under which the new account can log in: by its name, or by its e-mail address.

    Where neither does at once, the token of the message that it got is redeemed before it tries again.
    """
    turned = other_name(register, account)
    sides = [(register, account), *([turned] if turned is not None else [])]
    for confirmed in (False, True):
        if confirmed and not await confirm(scout, known, account):
            return None
        for candidate, person in sides:
            known.accounts[account.label] = person
            worked = (
                await find_logins(account.label) if find_logins is not None and not known.logins else False
            )
            if worked or await doorman.log_in(account.label):
                halfway = not confirmed and await _opens_more(scout, known, doorman, account, find_logins)
                return replace(candidate, provenance=max_trust(register), confirmed=confirmed or halfway)
    return None


async def _opens_more(
    scout: Scout,
    known: Knowledge,
    doorman: Doorman,
    account: Account,
    find_logins: FindLogins | None,
) -> bool:
    """Whether a new account that came in by one door gets in by others once its address is confirmed.

    One login may have forgotten to ask for what the others ask.
    """
    held = _kinds(known, account)
    lacking = {login.carrier.kind for login in known.logins} - held
    if not (lacking or doorman.refusals) or not await confirm(scout, known, account):
        return False
    if find_logins is not None:
        found, known.logins = known.logins, []
        for kind in held:
            del known.credentials[account.label, kind]
        if not await find_logins(account.label):
            known.logins = found
    await doorman.log_in(account.label)
    return _kinds(known, account) > held


def _kinds(known: Knowledge, account: Account) -> set[Kind]:
    return {kind for label, kind in known.credentials if label == account.label}


async def confirm(scout: Scout, known: Knowledge, account: Account) -> bool:
    """Redeem the token of the message that a new account got; whether that was granted."""
    if known.mailbox is None or known.verification is None:
        return False
    try:
        text = await known.mailbox.first_to(account.address)
    except MailboxError as error:
        known.say("mailbox", f"cannot be used: {error}", Provenance.OBSERVED)
        return False
    redeem = known.verification.confirm
    letter = read(text or "")
    for token in letter.tokens[:_TOKENS]:
        scout.learn(token)
        scout.recorder.learn_mail(token, account.address, letter.text)
        request = redeem.request(Secret(token), None, account.address)
        if (await scout.ask(request, f"confirm account {account.label}")).reply.granted:
            return True
    return False


def max_trust(register: Register) -> Provenance:
    """What was declared stays declared; what was done is observed."""
    return Provenance.DECLARED if register.provenance is Provenance.DECLARED else Provenance.OBSERVED


def _say_blocked(known: Knowledge, register: Register) -> None:
    known.register = None
    mailed = _MAILED if known.mailbox is None else ""
    mailed += _CONFIRM if known.verification is None else ""
    known.remedies[Need.REGISTER] = _BLOCKED + mailed + _GIVEN
    known.say(
        "register",
        f"{register.operation.name} accepts strangers, but the new account cannot log in",
        Provenance.OBSERVED,
        "perhaps the address has to be verified first"
        if known.mailbox is None
        else "no message to it held a token that let it in",
    )


async def verify_registration(scout: Scout, known: Knowledge, doorman: Doorman) -> None:
    """Register somebody to throw away, log in, and delete the account where that is possible."""
    declared = known.register is not None and known.register.provenance is Provenance.DECLARED
    blocked = known.remedies.get(Need.REGISTER, "").startswith(_BLOCKED)
    if known.register is not None:
        known.register = through(known.register, known.logins)
    if not known.logins or blocked or declared:
        return
    candidates = [known.register] if known.register is not None else register_candidates(known, scout.rng)
    known.register = None
    for candidate in candidates[:_MOST]:
        register = through(candidate, known.logins)
        account = new_account("x0", scout.run_id, register)
        if await make_account(scout, register, account) is None:
            continue
        found = await _believed(scout, known, doorman, register, account, None)
        if found is None:
            known.accounts.pop("x0", None)
            _say_blocked(known, register)
            return
        known.register = found
        known.say(
            "register",
            f"{register.operation.name} ({register.encoding})",
            Provenance.OBSERVED,
            "a new account logged in",
        )
        await find_unnamed_logout(scout, known, doorman, account)
        await _delete(scout, known, account)
        break
    known.accounts.pop("x0", None)
    for key in [key for key in known.credentials if key[0] == "x0"]:
        del known.credentials[key]


async def _delete(scout: Scout, known: Knowledge, account: Account) -> None:
    """Delete the account that is to be thrown away, and remember the operation that did it."""
    known.delete_account = None
    credential = known.credential("x0")
    if credential is None:
        return
    for operation in deletion_operations(known)[:2]:
        flow, label = deletion(operation), f"delete the throw-away account: {operation.name}"
        reply = (await scout.ask(flow.request(account), label, credential=credential)).reply
        # A POST that is answered 202 asks for more, such as the link in a message.
        if reply.ok and (operation.method == "DELETE" or reply.status != 202):
            known.delete_account = flow
            known.say(
                "account deletion", operation.name, Provenance.OBSERVED, "it deleted an account of this run"
            )
            return
