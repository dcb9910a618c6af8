"""What is known about the target where the rule looks, or a conclusion that says what is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from auth_conformance.credentials import Credential, Kind
from auth_conformance.model import Need
from auth_conformance.probe.answers import Missing
from auth_conformance.probe.sending import Sending
from auth_conformance.target import Account, Objects, Operation, Witness

_ROUTERS = 6


def _router(path: str, witness: str) -> tuple[str, ...]:
    """The beginning of a path up to where it leaves that of the witness: prefixes such as `/api/v1` tell nothing."""
    parts, known = path.strip("/").split("/"), witness.strip("/").split("/")
    shared = next(
        (place for place, (one, other) in enumerate(zip(parts, known, strict=False)) if one != other),
        len(known),
    )
    return tuple(parts[: shared + 1])


class Knowing(Sending):
    """Knows the witnesses, accounts and kinds of credential that the rule of this check looks at."""

    @property
    def witness(self) -> Witness:
        """The protected operation that names its caller; for rules on keys one that takes keys. Raises Missing."""
        if self._on_keys and self.target.key_witness is not None:
            return self.target.key_witness
        if self.target.witness is None:
            raise Missing(
                "No protected operation that names its caller was found.", self._remedy(Need.WITNESS)
            )
        return self.target.witness

    @property
    def witnesses(self) -> tuple[Witness, ...]:
        """The witness and, where there is one, a second protected operation."""
        if self._on_keys and self.target.key_witness is not None:
            return (self.target.key_witness,)
        return tuple(item for item in (self.witness, self.target.second) if item is not None)

    def other_routers(self, *, undeclared: bool = False) -> list[Operation]:
        """One protected GET of each router that no witness stands for: where its path leaves that of the witness.

        `undeclared` takes those as well of which no document says whether they are protected.
        """
        names = {item.operation.name for item in self.witnesses}
        taken = {_router(item.operation.path, self.witness.operation.path) for item in self.witnesses}
        others = dict[tuple[str, ...], Operation]()
        for operation in self.target.reads():
            router = _router(operation.path, self.witness.operation.path)
            wanted = operation.protected or (undeclared and not operation.security)
            plain = "{" not in operation.path and operation.name not in names
            if wanted and plain and router not in taken:
                others.setdefault(router, operation)
        return list(others.values())[:_ROUTERS]

    def witness_for(self, credential: Credential, witness: Witness) -> Witness:
        """`witness`, or the one in its place that takes such a credential: keys may have a witness of their own."""
        people, machines = self.target.witness, self.target.key_witness
        if people is None or machines is None or witness not in (people, machines):
            return witness
        if witness == self.target.second and not self._on_keys:
            return witness  # both kinds open it
        return machines if credential.carrier.kind is Kind.KEY else people

    def must_be_for_people(self) -> None:
        """Raises Missing where only programs log in: they have no sessions that they could see or end."""
        if self.target.of_programs:
            raise Missing(
                "Not applicable: only programs log in here: each gets its tokens by itself, and has no session.",
                applicable=False,
            )

    def without_keys(self) -> Missing:
        """Why no keys can be made here beside those that accounts have."""
        roll = self.target.key_roll
        if roll is not None:
            why = f"Not applicable: an account has one API key, and {roll.create.name} makes it anew."
            return Missing(why, applicable=False)
        if self.target.told_key is not None:
            told = self.target.told_key.operation.name
            why = (
                f"Not applicable: {told} tells each account its one API key, and no operation makes another."
            )
            return Missing(why, applicable=False)
        if self.target.keys is None and self.target.clients is not None:
            why = "Not applicable: programs present the id and the secret of a client here, and no API key."
            return Missing(why, applicable=False)
        return Missing("No operation that creates API keys is known.", self._remedy(Need.KEY_MANAGEMENT))

    @property
    def _on_keys(self) -> bool:
        """Whether the rule is about API keys."""
        return bool({Need.API_KEY, Need.KEY_MANAGEMENT} & set(self.rule.needs))

    def account(self, label: str = "a") -> Account:
        """An account by label (`a`, `b`, `admin`). Raises Missing."""
        account = self.target.accounts.get(label)
        if account is None:
            need = {"a": Need.LOGIN, "b": Need.TWO_USERS}.get(label, Need.ADMIN)
            raise Missing(f"No account {label!r} is known.", self._remedy(need))
        return account

    @contextlib.contextmanager
    def looking_at(self, objects: Objects) -> Iterator[None]:
        """Within it, the objects that this check looks at are those of another collection."""
        scene, target = self.scene, self.target
        self.scene = scene.about(objects)
        self.target = self.scene.target
        try:
            yield
        finally:
            self.scene, self.target = scene, target

    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of credential that this target accepts where the rule looks, and that A can obtain."""
        found = self.target.kinds() if self._on_keys else self.target.shared_kinds()
        return tuple(kind for kind in Kind if kind in found)

    @property
    def token_kind(self) -> Kind:
        """The kind of credential that is a token: bearer, or the session cookie where no bearer token is known."""
        return Kind.COOKIE if Kind.COOKIE in self.kinds() and Kind.BEARER not in self.kinds() else Kind.BEARER

    def _remedy(self, need: Need) -> str:
        return self.target.remedies.get(need, "")
