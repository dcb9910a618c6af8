"""The one-line door: `test_auth = Suite()` in a test module, where the user's own fixtures are in sight."""

from __future__ import annotations

from collections.abc import Sequence


class Suite:
    """The conformance suite as items of the module that holds it.

    `app` is an application object or `module:app`; without it the `auth_app` fixture, the configuration or
    the flags name the target. `url` names a running service instead. `only` and `ignore` are codes or
    families.
    """

    __test__ = False

    def __init__(
        self,
        app: object | None = None,
        *,
        url: str | None = None,
        only: Sequence[str] = (),
        ignore: Sequence[str] = (),
        level: int | None = None,
    ) -> None:
        self.app = app
        self.url = url
        self.only = tuple(only)
        self.ignore = tuple(ignore)
        self.level = level
