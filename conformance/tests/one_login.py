"""A service of one login by JSON, and a page that names its caller, as the probe knows it: tests give the transport."""

from typing import Any

from auth_conformance.credentials import Carrier, Kind
from auth_conformance.probe import Scene
from auth_conformance.secret import Secret
from auth_conformance.target import Account, Login, Operation, Target, Witness
from auth_conformance.transports.message import Transport
from auth_conformance.transports.recorder import Recorder
from auth_conformance.transports.redaction import Redactor

BEARER = Carrier(Kind.BEARER, "header", "Authorization", "Bearer")
JSON = (("Content-Type", "application/json"),)
ALICE = Account("a", "alice", Secret("right"))


def scene_of(service: Transport, *, budget: int = 500, **more: Any) -> Scene:
    """The scene of a run whose requests `service` answers; `more` goes to the scene."""
    target = Target(
        "url",
        "http://x",
        carriers=(BEARER,),
        accounts={"a": ALICE},
        logins=(Login(Operation("POST", "/login"), "json", "user", "password", BEARER, token="/token"),),
        witness=Witness(Operation("GET", "/me"), "/name"),
    )
    return Scene(target, Recorder(service, Redactor(), budget=budget), "run", **more)
