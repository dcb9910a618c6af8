"""A payment-like partner API: secret keys only, a version header on every call, keys that make keys.

`Authorization: Bearer sk_…` and HTTP Basic with the key as user name are both taken, the document declares both
and an `apiKey` that nobody uses. Bodies are forms, with brackets in names; lists are `{"object": "list"}`.
"""

import hashlib
import re
import secrets
import time
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Form, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader, HTTPBasic, HTTPBearer

# What the operator handed out to the two partners; the service itself knows digests.
KEYS = {"alice": "sk_test_9fK2mQ7xV4bT1cR8wZ3nH6jL", "bob": "sk_test_4dS8pY1gN7uE2kM5aX9vB3qW"}
ACCOUNTS = {"alice": "acct_1H7alQ", "bob": "acct_2K9boR"}


class Refused(Exception):
    def __init__(self, status: int, kind: str, message: str) -> None:
        self.status, self.body = status, {"error": {"type": kind, "message": message}}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def create_app() -> FastAPI:
    keys: dict[str, dict[str, Any]] = {
        _digest(key): {"id": f"mk_{name}", "owner": name, "until": None} for name, key in KEYS.items()
    }
    memos: dict[str, dict[str, Any]] = {}
    app = FastAPI(title="Partner API", version="2024-06-20")
    bearer = HTTPBearer(auto_error=False, scheme_name="bearerAuth")
    basic = HTTPBasic(auto_error=False, scheme_name="basicAuth")
    legacy = APIKeyHeader(name="X-Partner-Key", auto_error=False, scheme_name="legacyKey")

    def caller(
        token: Annotated[Any, Depends(bearer)],
        pair: Annotated[Any, Depends(basic)],
        old: Annotated[str | None, Depends(legacy)],
        partner_version: Annotated[str, Header(pattern=r"^\d{4}-\d{2}-\d{2}$")],
    ) -> str:
        key = token.credentials if token else pair.username if pair else (old or "")
        found = keys.get(_digest(key))
        if found is None or (found["until"] is not None and found["until"] < time.time()):
            raise Refused(401, "invalid_request_error", "Invalid API key provided.")
        return found["owner"]

    Caller = Annotated[str, Depends(caller)]

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> JSONResponse:
        headers = {"WWW-Authenticate": 'Bearer realm="Partner"'} if error.status == 401 else None
        return JSONResponse(error.body, error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(
            {"error": {"type": "invalid_request_error", "message": str(error.errors()[0]["loc"][-1])}}, 400
        )

    @app.exception_handler(404)
    async def missing(_: Request, error: Any) -> JSONResponse:
        return JSONResponse(
            {"error": {"type": "invalid_request_error", "message": "Unrecognized request URL"}}, 404
        )

    @app.get("/v1/account", tags=["Account"])
    def account(owner: Caller) -> dict[str, Any]:
        return {"id": ACCOUNTS[owner], "object": "account", "business_profile": {"name": owner}}

    @app.get("/v1/balance", tags=["Balance"])
    def balance(owner: Caller) -> dict[str, Any]:
        return {"object": "balance", "available": [{"amount": 0, "currency": "eur"}]}

    @app.get("/v1/memos", tags=["Memos"])
    def memo_list(owner: Caller) -> dict[str, Any]:
        mine = [{"id": one["id"], "text": one["text"]} for one in memos.values() if one["owner"] == owner]
        return {"object": "list", "data": mine, "has_more": False}

    @app.post("/v1/memos", tags=["Memos"])
    def memo_new(owner: Caller, text: Annotated[str, Form(max_length=500)]) -> dict[str, Any]:
        memo = {"id": f"memo_{secrets.token_hex(8)}", "owner": owner, "text": text}
        memos[memo["id"]] = memo
        return {"id": memo["id"], "object": "memo", "text": text}

    def own(memo: str, owner: str) -> dict[str, Any]:
        found = memos.get(memo)
        if found is None or found["owner"] != owner:
            raise Refused(404, "invalid_request_error", "No such memo")
        return found

    @app.get("/v1/memos/{memo}", tags=["Memos"])
    def memo_one(memo: str, owner: Caller) -> dict[str, Any]:
        return {"id": memo, "object": "memo", "text": own(memo, owner)["text"]}

    @app.post("/v1/memos/{memo}", tags=["Memos"])
    def memo_update(memo: str, owner: Caller, text: Annotated[str, Form(max_length=500)]) -> dict[str, Any]:
        own(memo, owner)["text"] = text
        return {"id": memo, "object": "memo", "text": text}

    @app.delete("/v1/memos/{memo}", tags=["Memos"])
    def memo_delete(memo: str, owner: Caller) -> dict[str, Any]:
        del memos[own(memo, owner)["id"]]
        return {"id": memo, "object": "memo", "deleted": True}

    @app.post("/v1/api_keys", tags=["Keys"])
    def key_new(
        owner: Caller, name: Annotated[str, Form()] = "", expires_at: Annotated[int | None, Form()] = None
    ) -> JSONResponse:
        text, key_id = f"sk_test_{secrets.token_urlsafe(18)}", f"mk_{secrets.token_hex(6)}"
        keys[_digest(text)] = {"id": key_id, "owner": owner, "until": expires_at}
        made = {"id": key_id, "object": "api_key", "name": name, "secret": text, "expires_at": expires_at}
        return JSONResponse(made, headers={"Cache-Control": "no-store"})

    @app.get("/v1/api_keys", tags=["Keys"])
    def key_list(owner: Caller) -> dict[str, Any]:
        return {
            "object": "list",
            "data": [{"id": one["id"]} for one in keys.values() if one["owner"] == owner],
        }

    @app.post("/v1/api_keys/{api_key}/revoke", tags=["Keys"])
    def key_revoke(api_key: str, owner: Caller) -> dict[str, Any]:
        found = [key for key, one in keys.items() if (one["id"], one["owner"]) == (api_key, owner)]
        if not found or not re.fullmatch(r"mk_[0-9a-f]{12}", api_key):
            raise Refused(404, "invalid_request_error", "No such key")
        del keys[found[0]]
        return {"id": api_key, "object": "api_key", "revoked": True}

    @app.get("/healthcheck", tags=["Status"])
    def healthcheck() -> dict[str, str]:
        return {"status": "ok"}

    return app
