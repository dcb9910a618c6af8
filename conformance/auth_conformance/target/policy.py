"""What the owner of a target declares about deliberate behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Policy:
    """What the target's owner declares about deliberate behaviour; every default is the strict reading.

    `refusals` may add `envelope` (a 2xx whose body says no) and `redirect` (3xx to a login page).
    `algorithms` are all that sign tokens. `form_token` allows a bearer token in a form body (RFC 6750 §2.2).
    `interchangeable` holds pairs such as `key as bearer`: values of one kind that another place may take.
    Times are in seconds; a limit that is None is not declared.
    """

    refusals: frozenset[str] = frozenset()
    leeway: float = 60.0
    audience: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    form_token: bool = False
    access_lifetime: float | None = None
    refresh_lifetime: float | None = None
    trust_waf: bool = False
    origins: tuple[str, ...] = ()
    public_operations: frozenset[str] = frozenset()
    privileged_operations: frozenset[str] = frozenset()
    shared_objects: bool | None = None
    open_invitations: bool | None = None
    private_fields: frozenset[str] = frozenset()
    shown_fields: frozenset[str] = frozenset()
    throttle_limit: int = 67
    refresh_window: float = 0.0
    bound_refresh_tokens: bool = False
    stateless_tolerance: float = 0.0
    first_valid_wins: bool = False
    cross_site_cookie: bool = False
    four_file: bool = True
    test_hashing: bool = False
    handler_count: str = "code"
    stale_cookie_ignored: bool = False
    interchangeable: frozenset[str] = frozenset()
    session_idle: float | None = None
    session_absolute: float | None = None
    refresh_family: float | None = None
    session_limit: int | None = None
    hide_docs: bool = False
    same_site_only: bool = False
    error_members: tuple[str, ...] = ()
    request_limits: Mapping[str, float] = field(default_factory=dict)
