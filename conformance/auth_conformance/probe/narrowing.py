"""Credentials that may do less than their owner: which scopes there are, and how one asks for few of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from auth_conformance.model import Provenance
from auth_conformance.oracles.scopes import ScopeMember, flow_scopes, scope_member, scopes_of
from auth_conformance.probe.core import Core
from auth_conformance.probe.keylevels import records_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auth_conformance.credentials import Credential
    from auth_conformance.target import Account, KeyManagement, Login


class Narrowing(Core):
    """Asks for fewer scopes."""

    @staticmethod
    def takes_scope(login: Login) -> bool:
        """Whether a login can be asked for fewer scopes than the account has (RFC 6749 §3.3)."""
        if login.template.get("grant_type") == "client_credentials":
            return True  # RFC 6749 §4.4.2, whether or not the document shows it
        schemas = login.operation.bodies.values()
        return login.encoding == "form" and any("scope" in schema.get("properties", {}) for schema in schemas)

    async def narrow_login(
        self, login: Login, account: Account, scopes: Iterable[str], label: str
    ) -> tuple[Credential | None, frozenset[str]]:
        """Log in and ask for these scopes; what was issued, and the scopes that it says were granted."""
        return await self.logged_in(
            replace(login, template={**login.template, "scope": " ".join(scopes)}), account, label
        )

    async def logged_in(
        self, login: Login, account: Account, label: str
    ) -> tuple[Credential | None, frozenset[str]]:
        """What a login issues, and the scopes that it says were granted."""
        if account.password is None:
            return None, frozenset()
        request = login.request(account.username, account.password)
        answer = await self.send(request, label=label, operation=login.operation.name)
        credential = login.read(answer.reply, account.label)
        if credential is None:
            return None, frozenset()
        self.scene.recorder.redactor.learn(credential.value)
        token = credential.jwt
        return credential, scopes_of(answer.reply.json, dict(token.claims) if token is not None else None)

    @staticmethod
    def scopes_of_keys(keys: KeyManagement | None) -> ScopeMember | None:
        """The member of a key's creation that says what the key may do."""
        bodies = keys.create.bodies.values() if keys is not None else ()
        return scope_member(next(iter(bodies), {}).get("properties", {}))

    async def scope_names(self, keys: KeyManagement, member: ScopeMember, login: Credential) -> list[str]:
        """What scopes may be called here: as the member, the configuration, the document or a login says."""
        declared = keys.template.get(member.name) if keys.provenance is Provenance.DECLARED else None
        found = [*member.known, *scopes_of({"scopes": declared})]
        found += [scope for operation in self.target.operations for scope in operation.scopes]
        found += [scope for document in self.target.documents for scope in flow_scopes(document.raw)]
        token = login.jwt
        found += sorted(scopes_of(dict(token.claims) if token is not None else None))
        if len(set(found)) < 2 and keys.listing is not None:
            listed = await self.call(keys.listing, login, label="which scopes do keys have?")
            found += [
                scope
                for record in records_in(listed.reply.json)
                for scope in sorted(member.stated(record) or ())
            ]
        return list(dict.fromkeys(found))
