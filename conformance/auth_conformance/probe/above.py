"""What stands above an object, in its path or in the body that makes it: each account's own, and each object's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.credentials import Kind
from auth_conformance.model import Need
from auth_conformance.oracles.pointer import put_alike, resolve, strings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auth_conformance.credentials import Credential
    from auth_conformance.probe.core import Core
    from auth_conformance.probe.scene import Scene
    from auth_conformance.target import Objects, Operation, Parent
    from auth_conformance.transports.message import HttpRequest, RawReply


def values_of(scene: Scene, identifier: str, like: str = "") -> dict[str, str]:
    """The path values that lead to an object: its id, and what stood above it (or `like`) when it was made."""
    objects = scene.target.objects
    if objects is None:
        return {}
    return {**scene.above.get(like or identifier, {}), objects.id_parameter: identifier}


def standing_in(
    operation: Operation, objects: Objects | None, above: Mapping[str, str], body: object
) -> object:
    """The body with what stands above the objects of the caller, where a creation or a change names it there."""
    if objects is None or not isinstance(body, dict):
        return body
    written = {item.name for item in (objects.create, objects.update) if item is not None}
    for parent in objects.parents if operation.name in written else ():
        named = parent.in_body and parent.parameter in above
        if named and (operation.name == objects.create.name or resolve(body, parent.parameter) is not None):
            body = put_alike(body, parent.parameter, above[parent.parameter], dict(objects.template))
    return body


def wanting(scene: Scene, path: str) -> bool:
    """Whether a path still lacks what stands above the objects."""
    objects = scene.target.objects
    if objects is None:
        return False
    chosen = [objects.id_parameter] if objects.chosen else []
    return any(f"{{{name}}}" in path for name in (*(parent.parameter for parent in objects.parents), *chosen))


async def above_for(core: Core, operation: Operation, credential: Credential | None) -> Mapping[str, str]:
    """What stands above the objects of the caller (strangers: of A), for operations on objects."""
    objects = core.target.objects
    if objects is None or not objects.parents:
        return {}
    on_objects = (objects.create, objects.read, objects.listing, objects.update, objects.delete)
    if all(item is None or item.name != operation.name for item in on_objects):
        return {}
    caller = credential if credential is not None else await core.credential()
    if caller.carrier.kind is Kind.KEY and core.target.key_witness and caller.owner in core.target.accounts:
        caller = await core.credential(owner=caller.owner)  # keys open other pages than people do
    return await core.scene.once(("above", objects.create.name, caller.owner), lambda: _learnt(core, caller))


async def completed(core: Core, request: HttpRequest) -> HttpRequest:
    """A request to an object or its collection, with what stands above those of the person whose login it carries."""
    owner = _owner_of(core.scene, request)
    if owner not in core.scene.parents and owner in core.target.accounts:
        caller = await core.credential(owner=owner)
        objects = core.target.objects
        named = objects.create.name if objects is not None else ""
        await core.scene.once(("above", named, owner), lambda: _learnt(core, caller))
    path = request.path
    objects = core.target.objects
    chosen = objects.placed({}, core.rng) if objects is not None else {}
    for name, value in {**chosen, **core.scene.parents.get(owner, {})}.items():
        path = path.replace(f"{{{name}}}", value)
    return replace(request, path=path)


def _owner_of(scene: Scene, request: HttpRequest) -> str:
    """Whose live credential a request carries; A's where nobody's is found."""
    texts = [str(value) for _, value in (*request.headers, *request.query)]
    for secret, said in scene.live.items():
        if any(secret.reveal() in text for text in texts):
            return said.rpartition(" of ")[2]
    return "a"


async def _one_above(
    core: Core, credential: Credential, parent: Parent, found: dict[str, str]
) -> RawReply | None:
    """Add to `found` what `parent` takes, made in what its own creation names; None where there is none to be had."""
    inner: dict[str, str] = {}
    for outer in parent.above:
        if await _one_above(core, credential, outer, inner) is None:
            return None
    answer = await core.call(
        parent.operation,
        credential,
        label=f"what stands above the objects of {credential.owner}",
        values=found,
        body=parent.body(core.word(10), inner) if parent.makes and parent.operation.bodies else None,
    )
    value = resolve(answer.reply.json, parent.value)
    if not answer.reply.ok or not isinstance(value, (str, int)):
        return None
    found[parent.parameter] = str(value)
    if parent.makes and parent.delete is not None:
        core.scene.made_parents.append((parent.delete, parent.deletion(found), credential))
    return answer.reply


async def _learnt(core: Core, credential: Credential) -> Mapping[str, str]:
    objects = core.target.objects
    found: dict[str, str] = {}
    others = dict(core.scene.parents)
    for parent in objects.parents if objects is not None else ():
        reply = await _one_above(core, credential, parent, found)
        if reply is None:
            return {}
        if not parent.makes:
            listed = {str(item) for item in strings(reply.json).values()}
            core.scene.sharing |= {
                frozenset((credential.owner, other))
                for other, values in others.items()
                if values.get(parent.parameter) in listed
            }
    core.scene.parents[credential.owner] = found
    return found


def taken_elsewhere(scene: Scene, request: HttpRequest, reply: RawReply, known: Mapping[str, str]) -> bool:
    """Note what stands above a new object; whether its id names another one elsewhere."""
    objects = scene.target.objects
    if objects is None or not objects.parents or not reply.ok or request.method != objects.create.method:
        return False
    given = objects.create.values_in(request.path)
    identifier = resolve(reply.json, objects.identifier)
    if given is None or not isinstance(identifier, (str, int)):
        return False
    values = {**known, **given}
    if objects.chosen:  # the second place of such an id is what an attack asks for
        scene.above.setdefault(str(identifier), values)
        return False
    return scene.above.setdefault(str(identifier), values) != values


def shared(scene: Scene) -> tuple[str, str] | None:
    """Why another's object may be meant to be seen, and the lines that decide: A and B stand below the same."""
    objects = scene.target.objects
    if objects is None or objects.private or frozenset("ab") not in scene.sharing:
        return None
    names = ", ".join(parent.parameter for parent in objects.parents)
    return (
        f"A and B have the same {names} above their objects: whether they may see each other's, nothing says.",
        "[objects]\nprivate = true  # if they must not, with the other lines of `init`; if they may, another b:\n"
        + scene.target.remedies.get(Need.TWO_USERS, '[accounts.b]\nusername = "a person of another tenant"'),
    )
