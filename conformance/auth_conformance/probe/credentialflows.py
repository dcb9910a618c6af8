"""Everything about the credentials that people choose: the sentences of family CRD, joined."""

from __future__ import annotations

from auth_conformance.probe.bounds import Bounds
from auth_conformance.probe.canonical import Canonical
from auth_conformance.probe.changing import Changing
from auth_conformance.probe.enumeration import Enumeration
from auth_conformance.probe.evasion import Evasion
from auth_conformance.probe.loginjection import LoginInjection
from auth_conformance.probe.passwords import Passwords
from auth_conformance.probe.policy import PasswordPolicy
from auth_conformance.probe.redeeming import Redeeming
from auth_conformance.probe.roughness import Roughness
from auth_conformance.probe.urlborne import UrlBorne


class CredentialFlows(
    Passwords,
    PasswordPolicy,
    Bounds,
    LoginInjection,
    Enumeration,
    Evasion,
    Changing,
    Redeeming,
    Canonical,
    UrlBorne,
    Roughness,
):
    """Logins, registrations, changes and resets."""
