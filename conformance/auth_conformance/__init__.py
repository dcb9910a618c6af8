"""Conformance suite for the authentication of HTTP services, made for FastAPI.

`Suite` is the one name for test modules: `test_auth = Suite()`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from auth_conformance.suite import Suite

__all__ = ["Suite"]


def __getattr__(name: str) -> object:
    """Import `Suite` on first use: every pytest run of the environment imports this module."""
    if name == "Suite":
        from auth_conformance.suite import Suite  # noqa: PLC0415

        return Suite
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
