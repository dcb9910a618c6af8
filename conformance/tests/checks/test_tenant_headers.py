"""AUZ109: whose data it is must not stand in a header of the caller's."""

from typing import Annotated

import pytest
from checks.judging import judged_as_found, said
from fastapi import FastAPI, Header, HTTPException, Security
from fastapi.security import APIKeyHeader

from auth_conformance.model import Failed, Passed

KEYS = {"shop-7f2a91c4e8b05d63": "alpha", "shop-c19e4b7a20f6d835": "beta"}


def parcels(*, believes: bool) -> FastAPI:
    app = FastAPI()

    @app.get("/whoami")
    def whoami(
        key: Annotated[str | None, Security(APIKeyHeader(name="X-Shop-Key", auto_error=False))],
        x_organization_id: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> dict[str, str]:
        if key not in KEYS:
            raise HTTPException(401, "no", headers={"WWW-Authenticate": "ApiKey"})
        return {"tenant": x_organization_id if believes and x_organization_id else KEYS[key]}

    return app


@pytest.mark.parametrize("believes", [True, False])
def test_a_header_names_no_tenant(believes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = {}
    for key, tenant in KEYS.items():
        monkeypatch.setenv(f"KEY_OF_{tenant}".upper(), key)
        accounts[tenant] = {"key": {"env": f"KEY_OF_{tenant}".upper()}}
    result = judged_as_found("AUZ109", parcels(believes=believes), accounts=accounts)
    assert isinstance(result.verdict, Failed if believes else Passed), said(result)
    assert not believes or "X-Organization-Id: beta" in result.verdict.reason
