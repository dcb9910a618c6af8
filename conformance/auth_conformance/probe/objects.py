"""Objects that checks make for themselves."""

from __future__ import annotations

from auth_conformance.oracles.pointer import put, resolve
from auth_conformance.probe.core import Core, Missing, Unclear


async def object_of(core: Core, owner: str, mark: str = "") -> str:
    """Create an object of `owner`, with `mark` as its text, and return its identifier. Raises Missing or Unclear."""
    objects = core.target.objects
    if objects is None:
        raise Missing("No objects of users are known.")
    credential = await core.credential(owner=owner)
    body = dict(objects.template)
    if mark:
        body = put(body, objects.text_field, mark)
    answer = await core.call(objects.create, credential, label=f"create an object of {owner}", body=body)
    identifier = resolve(answer.reply.json, objects.identifier)
    if not answer.reply.ok or not isinstance(identifier, (str, int)):
        raise Unclear(
            f"{objects.create.name} created no object of {owner} ({answer.reply.error or answer.status})."
        )
    return str(identifier)
