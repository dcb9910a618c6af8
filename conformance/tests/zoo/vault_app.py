"""A password manager's server: one OAuth2 endpoint for everything, with more required fields than it needs.

`/identity/connect/token` takes the password grant and the refresh grant; the device must name itself. Members
are camel case in requests and PascalCase in errors, as a port from another language would have them.
"""

import base64
import json
import time
import uuid
from typing import Annotated, Any, Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import Depends, FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from zoo.people import MAIL, Book, Brake, Tokens


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class FolderRequest(Camel):
    name: str


class PasswordRequest(Camel):
    master_password_hash: str
    new_master_password_hash: str


class Refusal(Exception):
    def __init__(self, status: int, error: str, message: str) -> None:
        self.status = status
        self.body = {
            "error": error,
            "error_description": message,
            "ErrorModel": {"Message": message, "Object": "error"},
        }


class Vault:
    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.pem = self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.book, self.brake, self.refreshes = Book(MAIL), Brake(), Tokens(86_400)
        self.ids = {mail: str(uuid.uuid4()) for mail in MAIL}
        self.stamps = {mail: str(uuid.uuid4()) for mail in MAIL}
        self.folders: dict[str, dict[str, str]] = {}

    def access(self, mail: str) -> str:
        now = int(time.time())
        claims = {
            "nbf": now, "iat": now, "exp": now + 7200, "iss": "https://vault.example.com|login", "sub": self.ids[mail],
            "email": mail, "sstamp": self.stamps[mail], "amr": ["Application"], "scope": ["api", "offline_access"],
        }  # fmt: skip
        return jwt.encode(claims, self.pem, algorithm="RS256")

    def owner(self, token: str) -> str:
        try:
            claims = jwt.decode(
                token,
                self.private.public_key(),
                algorithms=["RS256"],
                issuer="https://vault.example.com|login",
                options={"require": ["exp", "sub", "iss"]},
            )
        except jwt.PyJWTError:
            raise Refusal(401, "invalid_token", "Invalid claim") from None
        mail = next((one for one, key in self.ids.items() if key == claims["sub"]), None)
        if mail is None or claims.get("sstamp") != self.stamps[mail]:
            raise Refusal(401, "invalid_token", "Invalid security stamp")
        return mail


def create_app() -> FastAPI:
    vault = Vault()
    app = FastAPI(title="Vault", docs_url=None, redoc_url=None, openapi_url="/api/docs/openapi.json")
    bearer = HTTPBearer(auto_error=False, scheme_name="Bearer")

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSONResponse:
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if error.status == 401 else {}
        return JSONResponse(error.body, error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(
            Refusal(400, "invalid_request", f"{error.errors()[0]['loc'][-1]}: invalid").body, 400
        )

    @app.exception_handler(404)
    async def missing(_: Request, error: Any) -> JSONResponse:
        return JSONResponse(Refusal(404, "not_found", "not found").body, 404)

    def me(credentials: Annotated[Any, Depends(bearer)]) -> str:
        if credentials is None:
            raise Refusal(401, "invalid_token", "No access token")
        return vault.owner(credentials.credentials)

    Me = Annotated[str, Depends(me)]

    @app.post("/identity/connect/token", tags=["Identity"], responses={400: {"description": "invalid_grant"}})
    def connect(
        grant_type: Annotated[Literal["password", "refresh_token"], Form()],
        client_id: Annotated[Literal["web", "browser", "cli"], Form()],
        scope: Annotated[Literal["api offline_access"], Form()] = "api offline_access",
        username: Annotated[str | None, Form()] = None,
        password: Annotated[str | None, Form()] = None,
        refresh_token: Annotated[str | None, Form()] = None,
        deviceIdentifier: Annotated[uuid.UUID | None, Form()] = None,
        deviceType: Annotated[int | None, Form(ge=0, le=25)] = None,
        deviceName: Annotated[str | None, Form()] = None,
    ) -> JSONResponse:
        if grant_type == "refresh_token":
            mail = vault.refreshes.owner(refresh_token)
            vault.refreshes.revoke(refresh_token)
            if mail is None:
                raise Refusal(400, "invalid_grant", "Invalid refresh token")
        else:
            if deviceIdentifier is None or deviceType is None or deviceName is None:
                raise Refusal(
                    400, "invalid_request", "device_identifier, device_type and device_name are required"
                )
            if wait := vault.brake.wait(username or ""):
                body = Refusal(429, "too_many", "Slow down! Too many requests").body
                return JSONResponse(body, 429, {"Retry-After": str(wait)})
            if not vault.book.check(username, password):
                vault.brake.wrong(username or "")
                raise Refusal(400, "invalid_grant", "Username or password is incorrect. Try again")
            vault.brake.right(username or "")
            mail = str(username)
        tokens = {
            "access_token": vault.access(mail), "expires_in": 7200, "token_type": "Bearer", "scope": scope,
            "refresh_token": vault.refreshes.issue(mail), "Kdf": 0, "KdfIterations": 600_000, "ResetMasterPassword": False,
        }  # fmt: skip
        return JSONResponse(tokens, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    @app.get("/api/accounts/profile", tags=["Accounts"])
    def profile(mail: Me) -> dict[str, Any]:
        return {"id": vault.ids[mail], "name": mail.split("@")[0].title(), "email": mail, "object": "profile"}

    @app.get("/api/sync", tags=["Sync"])
    def sync(mail: Me) -> dict[str, Any]:
        mine = [folder for folder in vault.folders.values() if folder["owner"] == mail]
        return {"folders": [{"id": one["id"], "name": one["name"]} for one in mine], "object": "sync"}

    def own(folder_id: uuid.UUID, mail: str) -> dict[str, str]:
        found = vault.folders.get(str(folder_id))
        if found is None or found["owner"] != mail:
            raise Refusal(404, "not_found", "Invalid folder")
        return found

    def shown(folder: dict[str, str]) -> dict[str, str]:
        return {"id": folder["id"], "name": folder["name"], "object": "folder"}

    @app.post("/api/folders", tags=["Folders"])
    def post_folder(body: FolderRequest, mail: Me) -> dict[str, str]:
        folder = {"id": str(uuid.uuid4()), "name": body.name, "owner": mail}
        vault.folders[folder["id"]] = folder
        return shown(folder)

    @app.get("/api/folders", tags=["Folders"])
    def get_folders(mail: Me) -> dict[str, Any]:
        return {
            "data": [shown(one) for one in vault.folders.values() if one["owner"] == mail],
            "object": "list",
        }

    @app.get("/api/folders/{folderId}", tags=["Folders"])
    def get_folder(folderId: uuid.UUID, mail: Me) -> dict[str, str]:
        return shown(own(folderId, mail))

    @app.put("/api/folders/{folderId}", tags=["Folders"])
    def put_folder(folderId: uuid.UUID, body: FolderRequest, mail: Me) -> dict[str, str]:
        folder = own(folderId, mail)
        folder["name"] = body.name
        return shown(folder)

    @app.delete("/api/folders/{folderId}", tags=["Folders"])
    def delete_folder(folderId: uuid.UUID, mail: Me) -> dict[str, str]:
        return shown(vault.folders.pop(own(folderId, mail)["id"]))

    @app.post("/api/accounts/password", tags=["Accounts"])
    def password(body: PasswordRequest, mail: Me) -> dict[str, str]:
        if not vault.book.check(mail, body.master_password_hash):
            raise Refusal(400, "invalid_grant", "Invalid password")
        if len(body.new_master_password_hash) < 8:
            raise Refusal(400, "invalid_request", "Too short")
        vault.book.add(mail, body.new_master_password_hash)
        vault.stamps[mail] = str(uuid.uuid4())
        vault.refreshes.revoke_all(mail)
        return {"object": "ok"}

    @app.get("/api/config", tags=["Config"])
    def config() -> dict[str, Any]:
        return {"version": "2024.2.0", "object": "config"}

    @app.get("/identity/.well-known/jwks", tags=["Identity"])
    def keys() -> dict[str, Any]:
        found = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(vault.private.public_key()))
        digest = base64.urlsafe_b64encode(found["n"].encode()[:8]).decode()
        return {
            "keys": [
                {"kty": "RSA", "n": found["n"], "e": found["e"], "use": "sig", "alg": "RS256", "kid": digest}
            ]
        }

    return app
