"""The one object that a check talks to. Its sentences live beside this file, one idea each."""

from __future__ import annotations

from auth_conformance.probe.advice import Advice
from auth_conformance.probe.assigning import Assigning
from auth_conformance.probe.barred import Barred
from auth_conformance.probe.caching import Caching
from auth_conformance.probe.claims import Claims
from auth_conformance.probe.cleartext import Cleartext
from auth_conformance.probe.collecting import Collecting
from auth_conformance.probe.confusion import Confusion
from auth_conformance.probe.contract import Contracts
from auth_conformance.probe.cookies import Cookies
from auth_conformance.probe.core import Answer, Core, Missing, Session, Unclear
from auth_conformance.probe.costs import Costs
from auth_conformance.probe.crashes import Crashes
from auth_conformance.probe.credentialflows import CredentialFlows
from auth_conformance.probe.crosssite import CrossSite
from auth_conformance.probe.declared import Declared
from auth_conformance.probe.decoys import Decoys
from auth_conformance.probe.described import Described
from auth_conformance.probe.duplicates import Duplicates
from auth_conformance.probe.exposed_database import ExposedDatabase
from auth_conformance.probe.exposure import Exposure
from auth_conformance.probe.fallthrough import Fallthrough
from auth_conformance.probe.faults import Faults
from auth_conformance.probe.fixation import Fixation
from auth_conformance.probe.floods import Floods
from auth_conformance.probe.gathering import Gathering
from auth_conformance.probe.givingback import GivingBack
from auth_conformance.probe.guessing import Guessing
from auth_conformance.probe.headers import Headers
from auth_conformance.probe.hosts import Hosts
from auth_conformance.probe.inertness import Inertness
from auth_conformance.probe.injection import Injection
from auth_conformance.probe.interchange import Interchange
from auth_conformance.probe.isolation import Isolation
from auth_conformance.probe.issuing import Issuing
from auth_conformance.probe.jsonbodies import JsonBodies
from auth_conformance.probe.keydates import KeyDates
from auth_conformance.probe.keyends import KeyEnds
from auth_conformance.probe.keyexpiry import KeyExpiry
from auth_conformance.probe.keyids import KeyIds
from auth_conformance.probe.keyquery import KeyQuery
from auth_conformance.probe.keyrings import KeyRings
from auth_conformance.probe.keyscopes import KeyScopes
from auth_conformance.probe.keyshown import KeyShown
from auth_conformance.probe.likeness import Likeness
from auth_conformance.probe.limits import Limits
from auth_conformance.probe.logs import Logs
from auth_conformance.probe.minimal import Minimal
from auth_conformance.probe.minting import Forge, Minting
from auth_conformance.probe.mixing import Mixing
from auth_conformance.probe.namesakes import Namesakes
from auth_conformance.probe.naming import Naming
from auth_conformance.probe.origins import Origins
from auth_conformance.probe.passwordends import PasswordEnds
from auth_conformance.probe.paths import Paths
from auth_conformance.probe.placing import Placing
from auth_conformance.probe.presenting import Presenting
from auth_conformance.probe.principals import Principals
from auth_conformance.probe.privilege import Privilege
from auth_conformance.probe.races import Races
from auth_conformance.probe.recovery import Recovery
from auth_conformance.probe.references import References
from auth_conformance.probe.refusal import Attempt, Refusal
from auth_conformance.probe.refusals import Refusals
from auth_conformance.probe.remotekeys import RemoteKeys
from auth_conformance.probe.respelled import Respelled
from auth_conformance.probe.resting import Resting
from auth_conformance.probe.reticence import Reticence
from auth_conformance.probe.revocation import Revocation
from auth_conformance.probe.rotation import Reuse
from auth_conformance.probe.safety import Safety
from auth_conformance.probe.scene import Scene
from auth_conformance.probe.scoping import Scoping
from auth_conformance.probe.sessionlist import SessionList
from auth_conformance.probe.sockets import Sockets
from auth_conformance.probe.starting import Starting
from auth_conformance.probe.stored import Stored
from auth_conformance.probe.subjects import Subjects
from auth_conformance.probe.surface import Surface
from auth_conformance.probe.tampering import Tampering
from auth_conformance.probe.throttling import Throttling
from auth_conformance.probe.times import Times
from auth_conformance.probe.tokenkinds import TokenKinds
from auth_conformance.probe.unguessable import Unguessable
from auth_conformance.probe.verbs import Verbs

__all__ = ["Answer", "Attempt", "Core", "Forge", "Missing", "Probe", "Scene", "Session", "Unclear"]


class Probe(
    Issuing,
    Decoys,
    Principals,
    Presenting,
    KeyScopes,
    CredentialFlows,
    GivingBack,
    Barred,
    Mixing,
    Fallthrough,
    Interchange,
    Collecting,
    Limits,
    KeyShown,
    KeyDates,
    References,
    Contracts,
    Declared,
    Floods,
    Cleartext,
    Hosts,
    Safety,
    JsonBodies,
    CrossSite,
    Exposure,
    Faults,
    Logs,
    Caching,
    Inertness,
    Advice,
    Reticence,
    Described,
    Crashes,
    Refusals,
    Origins,
    Cookies,
    Fixation,
    Assigning,
    Likeness,
    PasswordEnds,
    Namesakes,
    KeyEnds,
    Races,
    SessionList,
    Sockets,
    Respelled,
    KeyRings,
    TokenKinds,
    Revocation,
    Reuse,
    Throttling,
    Paths,
    Verbs,
    Surface,
    Minimal,
    Scoping,
    Claims,
    Confusion,
    Tampering,
    Gathering,
    Isolation,
    Privilege,
    Resting,
    Guessing,
    Starting,
    Unguessable,
    Naming,
    ExposedDatabase,
    Stored,
    Duplicates,
    Headers,
    KeyIds,
    Recovery,
    Costs,
    RemoteKeys,
    Injection,
    KeyQuery,
    Placing,
    KeyExpiry,
    Times,
    Subjects,
    Minting,
    Refusal,
):
    """Sends, controls and judges for one check."""
