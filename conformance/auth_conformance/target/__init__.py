"""What is known about a target: operations by role, how credentials travel, accounts, and policies.

Discovery and configuration build a `Target`; the probe reads it. Flows turn accounts into requests and
replies into credentials, without sending anything themselves.
"""

from auth_conformance.target.accounts import Account, SessionManagement, Switch, UserManagement, styled
from auth_conformance.target.belongings import (
    KeyManagement,
    Objects,
    Parent,
    ToldKey,
    Writing,
    another,
    open_texts,
)
from auth_conformance.target.knowledge import (
    OF_ACCOUNTS,
    Listening,
    Published,
    Source,
    Target,
    WebSocketRoute,
    Witness,
)
from auth_conformance.target.logins import Clients, Login, LoginStep, Logout, Refresh, Register, address_of
from auth_conformance.target.operations import (
    HOLE,
    Form,
    Operation,
    Parameter,
    Schema,
    file_members,
    typed,
)
from auth_conformance.target.passwords import (
    Deletion,
    EmailChange,
    Mailing,
    PasswordChange,
    Recovery,
    Redemption,
    Verification,
)
from auth_conformance.target.policy import Policy

__all__ = [
    "HOLE",
    "OF_ACCOUNTS",
    "Account",
    "Clients",
    "Deletion",
    "EmailChange",
    "Form",
    "KeyManagement",
    "Listening",
    "Login",
    "LoginStep",
    "Logout",
    "Mailing",
    "Objects",
    "Operation",
    "Parameter",
    "Parent",
    "PasswordChange",
    "Policy",
    "Published",
    "Recovery",
    "Redemption",
    "Refresh",
    "Register",
    "Schema",
    "SessionManagement",
    "Source",
    "Switch",
    "Target",
    "ToldKey",
    "UserManagement",
    "Verification",
    "WebSocketRoute",
    "Witness",
    "Writing",
    "address_of",
    "another",
    "file_members",
    "open_texts",
    "styled",
    "typed",
]
