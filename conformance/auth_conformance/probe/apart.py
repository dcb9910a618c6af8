"""Creations of objects told apart: by a text of their own, and by other members that no two may have alike."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from auth_conformance.oracles.pointer import put
from auth_conformance.target import open_texts

if TYPE_CHECKING:
    from auth_conformance.probe.answers import Answer
    from auth_conformance.probe.core import Core
    from auth_conformance.probe.scene import Scene
    from auth_conformance.target import Operation


def called_anew(core: Core, operation: Operation, body: object) -> object:
    """The body of a creation with a text of its own where it is the plain one: services may want titles that differ."""
    objects = core.target.objects
    if objects is None or operation.name != objects.create.name or not isinstance(body, dict):
        return body
    if body == dict(objects.template):
        body = put(body, objects.text_field, core.word(12))
    return objects.apart(body, core.rng, core.scene.apart.get(operation.name, ()))


def clashes(scene: Scene, operation: Operation, answer: Answer) -> bool:
    """Whether a creation may be refused for what another object is called: said once, then all are called otherwise."""
    objects, known = scene.target.objects, scene.apart
    if answer.status != HTTPStatus.CONFLICT or objects is None or operation.name != objects.create.name:
        return False
    if operation.name in known or objects.fresh:
        return False
    known[operation.name] = open_texts(operation, objects.template, objects.text_field)
    return bool(known[operation.name])
