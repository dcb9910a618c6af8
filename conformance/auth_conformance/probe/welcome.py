"""New accounts of services that want the token of a message back before they let anybody in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_conformance.oracles.mail import read
from auth_conformance.secret import Secret
from auth_conformance.transports.mailbox import MailboxError

if TYPE_CHECKING:
    from auth_conformance.probe.core import Core
    from auth_conformance.target import Account

# The likeliest token, and the next ones: a message may hold numbers of other kinds.
_TOKENS = 3


async def welcome(core: Core, account: Account, within: float = 5.0, *, after: str | None = None) -> str:
    """Confirm a new account with the token of its message; why that could not be done, "" when it was.

    `within` is how long to wait for the message, in seconds; `after` is one to its address from before.
    """
    mailbox, verification = core.target.mailbox, core.target.verification
    if mailbox is None or verification is None:
        return "new accounts have to be confirmed, and no mailbox is known"
    try:
        text = await mailbox.first_to(account.address, within, after)
    except MailboxError as error:
        return f"the mailbox cannot be used: {error}"
    letter = read(text or "")
    for token in letter.tokens[:_TOKENS]:
        core.scene.recorder.learn_mail(token, account.address, letter.text)
        confirm = verification.confirm
        answer = await core.send(
            confirm.request(Secret(token), None, account.address),
            label=f"confirm the new account {account.label}",
            operation=confirm.form.operation.name,
        )
        if answer.reply.granted:
            return ""
    return "no message with a token that is taken came to the new account"
