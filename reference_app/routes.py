"""The HTTP surface: operations, the one error body, headers, and the application factory.

Handlers only say what happens. Who may call them stands in the routers and decorators, as dependencies.
"""

import asyncio
import base64
import hashlib
import logging
import re
import traceback
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, TypeVar

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    Form,
    Path,
    Query,
    Request,
    Response,
    Security,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from pydantic import SecretStr, ValidationError
from starlette import status
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from .database import ApiKey, Database, LoginSession, Note, Transaction, User, digest
from .dependencies import (
    CSRF_HEADER,
    HTTP_413,
    HTTP_422,
    SESSION_COOKIE,
    AddressLimit,
    ApiError,
    ApiKeyUser,
    BearerUser,
    CurrentUser,
    Outbox,
    PasswordHasher,
    Principal,
    RateLimiter,
    Services,
    ServicesDep,
    SessionUser,
    Settings,
    TokenCodec,
    audit,
    audit_log,
    authenticate_websocket,
    change_password,
    check_password,
    confirm_password,
    conflict,
    create_admin,
    csrf_token,
    forbidden,
    get_current_user,
    hide_query,
    is_still_valid,
    limit_user,
    load_settings,
    log_in,
    mail_notice,
    mail_token,
    new_api_key,
    not_found,
    open_browser_session,
    purge_expired,
    refuse_derived_password,
    require_csrf_token,
    require_identifiers,
    require_interactive,
    require_json,
    require_own_origin,
    require_scopes,
    rotate_tokens,
    utc_now,
)
from .models import (
    ApiKeyCreate,
    ApiKeyCreatedResponse,
    ApiKeyResponse,
    BrowserSessionResponse,
    EmailRequest,
    ErrorResponse,
    FieldProblem,
    HealthResponse,
    JsonWebKeySet,
    LoginRequest,
    MessageResponse,
    NoteCreate,
    NoteQuestion,
    NoteResponse,
    NoteUpdate,
    PasswordChangeRequest,
    PasswordGrantForm,
    PasswordResetRequest,
    RefreshRequest,
    Role,
    Scope,
    SessionResponse,
    TokenResponse,
    UserAdminUpdate,
    UserCreate,
    UserResponse,
    UserUpdate,
    VerificationRequest,
)

logger = logging.getLogger("reference_app")
Row = TypeVar("Row")

# --------------------------------------------------------------------------------------------------- errors

ERROR_CODES = {
    status.HTTP_400_BAD_REQUEST: ("bad_request", "The request cannot be read."),
    status.HTTP_401_UNAUTHORIZED: ("not_authenticated", "A credential is missing or bad."),
    status.HTTP_403_FORBIDDEN: ("forbidden", "The caller may not do this."),
    status.HTTP_404_NOT_FOUND: ("not_found", "There is nothing here."),
    status.HTTP_405_METHOD_NOT_ALLOWED: ("method_not_allowed", "This method does not work here."),
    status.HTTP_409_CONFLICT: ("conflict", "The current state does not allow this."),
    HTTP_413: ("content_too_large", "The body is too large."),
    status.HTTP_415_UNSUPPORTED_MEDIA_TYPE: ("unsupported_media_type", "The body has the wrong media type."),
    HTTP_422: ("validation_failed", "Some fields are missing or wrong."),
    status.HTTP_429_TOO_MANY_REQUESTS: ("too_many_requests", "Too many requests."),
    status.HTTP_500_INTERNAL_SERVER_ERROR: ("internal_error", "Something went wrong on our side."),
}
ERROR_HEADERS = {
    status.HTTP_401_UNAUTHORIZED: ("WWW-Authenticate", "The schemes that would be accepted.", "string"),
    status.HTTP_405_METHOD_NOT_ALLOWED: ("Allow", "The methods that work.", "string"),
    status.HTTP_429_TOO_MANY_REQUESTS: ("Retry-After", "Seconds to wait.", "integer"),
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of these failures."""
    described: dict[int | str, dict[str, Any]] = {}
    for code in statuses:
        described[code] = {"model": ErrorResponse, "description": ERROR_CODES[code][1]}
        if code in ERROR_HEADERS:
            name, description, kind = ERROR_HEADERS[code]
            described[code]["headers"] = {name: {"description": description, "schema": {"type": kind}}}
    return described


def error_response(
    status_code: int,
    error: str,
    message: str,
    *,
    headers: dict[str, str] | None = None,
    fields: list[FieldProblem] | None = None,
) -> JSONResponse:
    """Return the one error body."""
    body = ErrorResponse(error=error, message=message, fields=fields)
    return JSONResponse(body.model_dump(exclude_none=True), status_code, headers)


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a refusal, ours or the framework's."""
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error, ApiError):
        headers = dict(error.headers or {})
        return error_response(error.status_code, error.error, error.message, headers=headers)
    headers = dict(error.headers or {})
    if error.status_code == status.HTTP_405_METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed_methods(request.url.path))
    code, message = ERROR_CODES.get(error.status_code, ERROR_CODES[status.HTTP_400_BAD_REQUEST])
    return error_response(error.status_code, code, message, headers=headers)


async def on_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that does not fit its schema: rules are named, values are not (ASVS V16.5.1)."""
    if not isinstance(error, RequestValidationError):
        raise error
    del request
    fields = [describe_problem(problem) for problem in error.errors()]
    return error_response(HTTP_422, *ERROR_CODES[HTTP_422], fields=fields)


def describe_problem(problem: dict[str, Any]) -> FieldProblem:
    """Return one problem without anything that the client sent."""
    location = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        location.pop()  # the name of an unknown member is the client's text
    return FieldProblem(field=".".join(location), problem=str(problem["msg"]).removeprefix("Value error, "))


# ----------------------------------------------------------------------------------------------- middleware

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
DOCS_PATH = "/docs"


class SecurityHeaders:
    """Outermost layer: makes every answer inert in a browser and unfit for caches (ASVS V3.4, V14.3.2)."""

    def __init__(self, app: ASGIApp, docs_policy: str, *, https: bool) -> None:
        self._app = app
        self._docs_policy = docs_policy
        self._https = https

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                is_docs = scope["path"] == DOCS_PATH
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Content-Security-Policy"] = self._docs_policy if is_docs else API_POLICY
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Cache-Control"] = "no-store"
                if "origin" not in headers.get("vary", "").lower():
                    headers.add_vary_header("Origin")
                if self._https or scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Cors(CORSMiddleware):
    """Starlette's CORS, with refused preflights in the one error body."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < status.HTTP_400_BAD_REQUEST:
            return answer
        return error_response(
            answer.status_code, "cors_refused", "This origin, method or header is not allowed."
        )


class LastResort:
    """Innermost layer: bounds the body, and turns an unhandled exception into the one error body."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 413 or 500 in the application's stead."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        received = 0

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise ApiError(HTTP_413, *ERROR_CODES[HTTP_413])
            return message

        try:
            length = Headers(scope=scope).get("content-length", "")
            if length.isdecimal() and int(length[:20]) > self._max_body_bytes:
                answer = error_response(HTTP_413, *ERROR_CODES[HTTP_413])
                await answer(scope, receive, send)
                return
            await self._app(scope, receive_bounded, note_start)
        except Exception as error:
            # The text of an exception may quote the request; its type and place do not (ASVS V16.2.5).
            place = "".join(traceback.format_tb(error.__traceback__))
            logger.error("unhandled %s\n%s", type(error).__name__, place)  # noqa: TRY400 - see above
            if started:
                raise
            code = status.HTTP_500_INTERNAL_SERVER_ERROR
            await error_response(code, *ERROR_CODES[code])(scope, receive, send)


# -------------------------------------------------------------------------------------------------- routers

PUBLIC_ERRORS = errors(
    status.HTTP_400_BAD_REQUEST,
    HTTP_413,
    status.HTTP_415_UNSUPPORTED_MEDIA_TYPE,
    HTTP_422,
    status.HTTP_429_TOO_MANY_REQUESTS,
)
PROTECTED_ERRORS = errors(
    status.HTTP_400_BAD_REQUEST,
    status.HTTP_401_UNAUTHORIZED,
    status.HTTP_403_FORBIDDEN,
    HTTP_422,
    status.HTTP_429_TOO_MANY_REQUESTS,
)
NOT_FOUND = errors(status.HTTP_404_NOT_FOUND)
BODY_ERRORS = errors(HTTP_413, status.HTTP_415_UNSUPPORTED_MEDIA_TYPE)
LOGIN_ERRORS = errors(status.HTTP_401_UNAUTHORIZED, status.HTTP_403_FORBIDDEN)

PROTECTED = [
    Depends(get_current_user),
    Depends(limit_user),
    Depends(require_csrf_token),
    Depends(require_identifiers),
]
INTERACTIVE = [*PROTECTED, Depends(require_interactive)]

service = APIRouter(tags=["service"])
keyset = APIRouter(tags=["service"])
auth = APIRouter(prefix="/auth", tags=["authentication"], responses=PUBLIC_ERRORS)
introspection = APIRouter(tags=["authentication"], responses=PROTECTED_ERRORS)
account = APIRouter(prefix="/auth", tags=["account"], dependencies=INTERACTIVE, responses=PROTECTED_ERRORS)
users = APIRouter(prefix="/users", tags=["users"], dependencies=PROTECTED, responses=PROTECTED_ERRORS)
keys = APIRouter(
    prefix="/keys",
    tags=["keys"],
    dependencies=[*PROTECTED, Security(require_scopes, scopes=[Scope.KEYS_MANAGE])],
    responses=PROTECTED_ERRORS,
)
live = APIRouter(prefix="/notes")
notes = APIRouter(prefix="/notes", tags=["notes"], dependencies=PROTECTED, responses=PROTECTED_ERRORS)
admin = APIRouter(
    prefix="/admin",
    tags=["administration"],
    dependencies=[
        *PROTECTED,
        Security(require_scopes, scopes=[Scope.ADMIN]),
    ],
    responses=PROTECTED_ERRORS,
)
ROUTERS = (service, auth, introspection, account, users, keys, live, notes, admin)

Identifier = Annotated[str, Path(description="Identifier.", json_schema_extra={"format": "uuid"})]
Limit = Annotated[int, Query(ge=1, le=100, description="Length of the page.")]
Offset = Annotated[int, Query(ge=0, le=1_000_000, description="How many to skip.")]
CHECK_YOUR_MAIL = MessageResponse(message="If the address can be used, a mail is on its way.")


def allowed_methods(path: str) -> Sequence[str]:
    """Return the methods of all routes with this path; the framework would name those of the first only."""
    routes = [
        route for router in (*ROUTERS, keyset) for route in router.routes if isinstance(route, APIRoute)
    ]
    methods = {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
    return sorted(methods or {"GET"})


# -------------------------------------------------------------------------------------------------- service


@service.get("/health", summary="Say that the service runs", operation_id="read_health")
async def read_health() -> HealthResponse:
    """Answer as long as the process lives; tells nothing else."""
    return HealthResponse(status="ok")


@keyset.get(
    "/.well-known/jwks.json",
    summary="Publish the verification keys",
    operation_id="read_key_set",
    response_model_exclude_none=True,
)
async def read_key_set(services: ServicesDep) -> JsonWebKeySet:
    """Return the public keys that verify access tokens, the current one first."""
    return JsonWebKeySet.model_validate({"keys": services.tokens.public_keys()})


# -------------------------------------------------------------------------------- registration and recovery


@auth.post(
    "/register",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Register an account",
    operation_id="register",
    dependencies=[Depends(AddressLimit("register")), Depends(require_json)],
)
async def register(
    body: UserCreate, request: Request, services: ServicesDep, tasks: BackgroundTasks
) -> MessageResponse:
    """Create an account and mail a confirmation. The answer is the same if the address is taken already."""
    password_hash = await services.passwords.hash(body.password)
    user = User(email=body.email, password_hash=password_hash, role=Role.USER, created_at=utc_now())
    user.display_name = body.display_name
    async with services.database.transaction() as tx:
        is_new = await tx.users.add(user)
    if is_new:
        tasks.add_task(mail_token, services, body.email, "verify")
    else:
        tasks.add_task(mail_notice, services, body.email, "Somebody tried to register your address again.")
    audit(request, "register", "accepted" if is_new else "refused", body.email)
    return CHECK_YOUR_MAIL


@auth.post(
    "/verify",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Confirm an e-mail address",
    operation_id="verify_email",
    dependencies=[Depends(AddressLimit("recovery")), Depends(require_json)],
)
async def verify_email(body: VerificationRequest, services: ServicesDep) -> None:
    """Use the token of the confirmation mail; it works once."""
    async with services.database.transaction() as tx:
        user_id = await tx.one_time_tokens.claim(token_digest(body.token), "verify", utc_now())
        user = await tx.users.get_active(user_id) if user_id else None
        if user is None:
            raise bad_mailed_token()
        user.is_verified = True


@auth.post(
    "/verify/resend",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Ask for another confirmation mail",
    operation_id="resend_verification",
    dependencies=[Depends(AddressLimit("recovery")), Depends(require_json)],
)
async def resend_verification(
    body: EmailRequest, services: ServicesDep, tasks: BackgroundTasks
) -> MessageResponse:
    """Mail a new confirmation token; earlier ones stop working. The answer is the same for every address."""
    tasks.add_task(mail_token, services, body.email, "verify")
    return CHECK_YOUR_MAIL


@auth.post(
    "/password/forgot",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Ask for a password reset",
    operation_id="request_password_reset",
    dependencies=[Depends(AddressLimit("recovery")), Depends(require_json)],
)
async def request_password_reset(
    body: EmailRequest, services: ServicesDep, tasks: BackgroundTasks
) -> MessageResponse:
    """Mail a reset token; earlier ones stop working. The answer is the same for every address."""
    tasks.add_task(mail_token, services, body.email, "reset")
    return CHECK_YOUR_MAIL


@auth.post(
    "/password/reset",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Set a new password by mail",
    operation_id="reset_password",
    dependencies=[Depends(AddressLimit("recovery")), Depends(require_json)],
)
async def reset_password(
    body: PasswordResetRequest, request: Request, services: ServicesDep, tasks: BackgroundTasks
) -> None:
    """Use the token of the reset mail; it works once. All logins of the account end."""
    new_hash = await services.passwords.hash(body.new_password)
    async with services.database.transaction() as tx:
        user_id = await tx.one_time_tokens.claim(token_digest(body.token), "reset", utc_now())
        user = await change_password(tx, user_id, new_hash) if user_id else None
        if user is None:
            raise bad_mailed_token()
        refuse_derived_password(body.new_password, user.email)
    audit(request, "password_reset", "accepted", user.id)
    tasks.add_task(mail_notice, services, user.email, "Your password has been reset.")


# ---------------------------------------------------------------------------------------------------- login


@auth.post(
    "/token",
    summary="Log in with a form",
    operation_id="log_in_with_form",
    dependencies=[Depends(AddressLimit("login"))],
    responses=LOGIN_ERRORS,
)
async def log_in_with_form(
    form: Annotated[PasswordGrantForm, Form()],
    request: Request,
    services: ServicesDep,
    tasks: BackgroundTasks,
) -> TokenResponse:
    """Exchange a password for tokens, as OAuth2 clients and the interactive documentation do it."""
    tasks.add_task(purge_expired, services)
    return await log_in(request, services, form.username, form.password, form.scope)


@auth.post(
    "/login",
    summary="Log in with JSON",
    operation_id="log_in_with_json",
    dependencies=[Depends(AddressLimit("login")), Depends(require_json)],
    responses=LOGIN_ERRORS,
)
async def log_in_with_json(
    body: LoginRequest, request: Request, services: ServicesDep, tasks: BackgroundTasks
) -> TokenResponse:
    """Exchange a password for an access token and a refresh token."""
    tasks.add_task(purge_expired, services)
    return await log_in(request, services, body.email, body.password)


@auth.post(
    "/session",
    summary="Log in with a cookie",
    operation_id="start_session",
    dependencies=[Depends(AddressLimit("login")), Depends(require_json), Depends(require_own_origin)],
    responses=LOGIN_ERRORS,
)
async def start_session(
    body: LoginRequest, request: Request, response: Response, services: ServicesDep, tasks: BackgroundTasks
) -> BrowserSessionResponse:
    """Start a browser session: sets the cookie and returns the CSRF token that changes will need."""
    user = await check_password(request, services, body.email, body.password)
    async with services.database.transaction() as tx:
        login, cookie = await open_browser_session(tx, services, request, user)
    write_session_cookie(response, cookie, services.settings.session_absolute_seconds)
    tasks.add_task(purge_expired, services)
    return describe_browser_session(services, login)


@auth.post(
    "/refresh",
    summary="Exchange a refresh token",
    operation_id="refresh_tokens",
    dependencies=[Depends(AddressLimit("refresh")), Depends(require_json)],
    responses=errors(status.HTTP_401_UNAUTHORIZED),
)
async def refresh_tokens(body: RefreshRequest, request: Request, services: ServicesDep) -> TokenResponse:
    """Return new tokens. Each refresh token works once; using one again ends the whole login."""
    return await rotate_tokens(request, services, body.refresh_token.get_secret_value())


# ---------------------------------------------------------------- what a single kind of credential can tell


@introspection.get("/auth/session", summary="Read the browser session", operation_id="read_browser_session")
async def read_browser_session(principal: SessionUser, services: ServicesDep) -> BrowserSessionResponse:
    """Return the CSRF token of the session in the cookie, for a page that was loaded again."""
    return describe_browser_session(services, require_session(principal))


@introspection.get("/auth/login", summary="Read the bearer login", operation_id="read_bearer_login")
async def read_bearer_login(principal: BearerUser) -> SessionResponse:
    """Return the login that the access token belongs to."""
    return describe_session(require_session(principal), principal)


@introspection.get("/auth/key", summary="Read the presented API key", operation_id="read_presented_key")
async def read_presented_key(principal: ApiKeyUser) -> ApiKeyResponse:
    """Return what is known about the API key that the request came with: its name, scopes and end."""
    return ApiKeyResponse.model_validate(principal.api_key)


# ----------------------------------------------------------------------------- one's own login and password


@account.post("/logout", status_code=status.HTTP_204_NO_CONTENT, summary="Log out", operation_id="log_out")
async def log_out(
    principal: CurrentUser, request: Request, response: Response, services: ServicesDep
) -> None:
    """End the login that the credential belongs to: its access tokens, refresh tokens or cookie."""
    async with services.database.transaction() as tx:
        await tx.sessions.end(require_session(principal).id, utc_now())
    clear_session_cookie(response, principal)
    audit(request, "logout", "accepted", principal.user.id)


@account.post(
    "/logout-all",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Log out everywhere",
    operation_id="log_out_everywhere",
)
async def log_out_everywhere(
    principal: CurrentUser, request: Request, response: Response, services: ServicesDep
) -> None:
    """End all logins of the account, this one included. API keys are not logins and go on."""
    async with services.database.transaction() as tx:
        await tx.sessions.end_all(principal.user.id, utc_now())
    clear_session_cookie(response, principal)
    audit(request, "logout_all", "accepted", principal.user.id)


@account.get("/sessions", summary="List your logins", operation_id="list_sessions")
async def list_sessions(principal: CurrentUser, services: ServicesDep) -> list[SessionResponse]:
    """Return the logins of the account that are alive, newest first."""
    async with services.database.transaction() as tx:
        sessions = await tx.sessions.list_live(principal.user.id, utc_now())
    return [describe_session(session, principal) for session in sessions]


@account.delete(
    "/sessions/{session_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="End one login",
    operation_id="end_session",
    responses=NOT_FOUND,
)
async def end_session(
    session_id: Identifier, principal: CurrentUser, request: Request, services: ServicesDep
) -> None:
    """End one of your logins, here or on another device."""
    async with services.database.transaction() as tx:
        if not await tx.sessions.end_own(session_id, principal.user.id, utc_now()):
            raise not_found()
    audit(request, "session_end", "accepted", principal.user.id)


@account.post(
    "/password/change",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Change the password",
    operation_id="change_own_password",
    dependencies=[Depends(require_json)],
    responses=BODY_ERRORS,
)
async def change_own_password(
    *,
    body: PasswordChangeRequest,
    principal: CurrentUser,
    request: Request,
    response: Response,
    services: ServicesDep,
    tasks: BackgroundTasks,
) -> None:
    """Set a new password, given the current one. All other logins end; a browser session is renewed."""
    await confirm_password(request, services, principal.user, body.current_password)
    refuse_derived_password(body.new_password, principal.user.email)
    new_hash = await services.passwords.hash(body.new_password)
    in_browser = principal.scheme == "session"
    async with services.database.transaction() as tx:
        await change_password(
            tx, principal.user.id, new_hash, None if in_browser else require_session(principal).id
        )
        if in_browser:
            _, cookie = await open_browser_session(tx, services, request, principal.user)
            write_session_cookie(response, cookie, services.settings.session_absolute_seconds)
    audit(request, "password_change", "accepted", principal.user.id)
    tasks.add_task(mail_notice, services, principal.user.email, "Your password has been changed.")


# ---------------------------------------------------------------------------------------------------- users


@users.get("/me", summary="Read your account", operation_id="read_me")
async def read_me(principal: CurrentUser) -> UserResponse:
    """Return the account that the credential belongs to."""
    return UserResponse.model_validate(principal.user)


@users.patch(
    "/me",
    summary="Change your profile",
    operation_id="update_me",
    dependencies=[Security(require_scopes, scopes=[Scope.PROFILE_WRITE]), Depends(require_json)],
    responses=BODY_ERRORS,
)
async def update_me(body: UserUpdate, principal: CurrentUser, services: ServicesDep) -> UserResponse:
    """Change the display name."""
    async with services.database.transaction() as tx:
        user = found(await tx.users.get_active(principal.user.id))
        user.display_name = body.display_name
    return UserResponse.model_validate(user)


@users.delete(
    "/me",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete your account",
    operation_id="delete_me",
    dependencies=[Depends(require_interactive)],
    responses=errors(status.HTTP_409_CONFLICT),
)
async def delete_me(
    principal: CurrentUser,
    request: Request,
    response: Response,
    services: ServicesDep,
    tasks: BackgroundTasks,
) -> None:
    """Delete the account with everything it owns, and end all its credentials."""
    await remove_account(services, principal.user.id)
    clear_session_cookie(response, principal)
    audit(request, "account_delete", "accepted", principal.user.id)
    tasks.add_task(mail_notice, services, principal.user.email, "Your account has been deleted.")


# ----------------------------------------------------------------------------------------------------- keys


@keys.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Create an API key",
    operation_id="create_key",
    dependencies=[Depends(require_json)],
    responses=BODY_ERRORS | errors(status.HTTP_409_CONFLICT),
)
async def create_key(
    body: ApiKeyCreate, principal: CurrentUser, request: Request, services: ServicesDep
) -> ApiKeyCreatedResponse:
    """Create a key that can do at most what the credential of this request can. The key is shown once."""
    refuse_escalation(principal, body.scopes)
    key, secret = new_api_key(principal.user.id, body.name, body.scopes, body.expires_at)
    async with services.database.transaction() as tx:
        if await tx.api_keys.count_own(principal.user.id) >= services.settings.max_api_keys_per_user:
            raise conflict("too_many_keys", "Revoke a key first.")
        await tx.api_keys.add(key)
    audit(request, "key_create", "accepted", principal.user.id)
    return show_new_key(key, secret)


@keys.get("", summary="List your API keys", operation_id="list_keys")
async def list_keys(principal: CurrentUser, services: ServicesDep) -> list[ApiKeyResponse]:
    """Return your keys without their secrets, newest first."""
    async with services.database.transaction() as tx:
        own = await tx.api_keys.list_own(principal.user.id)
    return [ApiKeyResponse.model_validate(key) for key in own]


@keys.get("/{key_id}", summary="Read an API key", operation_id="read_key", responses=NOT_FOUND)
async def read_key(key_id: Identifier, principal: CurrentUser, services: ServicesDep) -> ApiKeyResponse:
    """Return one of your keys without its secret."""
    async with services.database.transaction() as tx:
        return ApiKeyResponse.model_validate(found(await tx.api_keys.get_own(key_id, principal.user.id)))


@keys.post(
    "/{key_id}/rotate",
    status_code=status.HTTP_201_CREATED,
    summary="Replace an API key",
    operation_id="rotate_key",
    responses=NOT_FOUND,
)
async def rotate_key(
    key_id: Identifier, principal: CurrentUser, request: Request, services: ServicesDep
) -> ApiKeyCreatedResponse:
    """Create a key with the same name, scopes and end, and revoke the old one at once."""
    async with services.database.transaction() as tx:
        old = found(await tx.api_keys.get_own(key_id, principal.user.id))
        refuse_escalation(principal, old.scopes)
        old.revoked_at = utc_now()
        new, secret = new_api_key(old.user_id, old.name, old.scopes, old.expires_at)
        await tx.api_keys.add(new)
    audit(request, "key_rotate", "accepted", principal.user.id)
    return show_new_key(new, secret)


@keys.delete(
    "/{key_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Revoke an API key",
    operation_id="revoke_key",
    responses=NOT_FOUND,
)
async def revoke_key(
    key_id: Identifier, principal: CurrentUser, request: Request, services: ServicesDep
) -> None:
    """Revoke one of your keys; it stops working at once."""
    async with services.database.transaction() as tx:
        key = found(await tx.api_keys.get_own(key_id, principal.user.id))
        key.revoked_at = utc_now()
    audit(request, "key_revoke", "accepted", principal.user.id)


# ---------------------------------------------------------------------------------------------------- notes

READ_NOTES = Security(require_scopes, scopes=[Scope.NOTES_READ])
WRITE_NOTES = Security(require_scopes, scopes=[Scope.NOTES_WRITE])


@notes.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Create a note",
    operation_id="create_note",
    dependencies=[WRITE_NOTES, Depends(require_json)],
    responses=BODY_ERRORS,
)
async def create_note(body: NoteCreate, principal: CurrentUser, services: ServicesDep) -> NoteResponse:
    """Create a note that only you can see."""
    now = utc_now()
    note = Note(owner_id=principal.user.id, created_at=now, updated_at=now, **body.model_dump())
    async with services.database.transaction() as tx:
        return NoteResponse.model_validate(await tx.notes.add(note))


@notes.get("", summary="List your notes", operation_id="list_notes", dependencies=[READ_NOTES])
async def list_notes(
    principal: CurrentUser, services: ServicesDep, limit: Limit = 50, offset: Offset = 0
) -> list[NoteResponse]:
    """Return one page of your notes, newest first."""
    async with services.database.transaction() as tx:
        own = await tx.notes.list_own(principal.user.id, limit, offset)
    return [NoteResponse.model_validate(note) for note in own]


@notes.get(
    "/{note_id}",
    summary="Read a note",
    operation_id="read_note",
    dependencies=[READ_NOTES],
    responses=NOT_FOUND,
)
async def read_note(note_id: Identifier, principal: CurrentUser, services: ServicesDep) -> NoteResponse:
    """Return one of your notes. Other people's notes do not exist for you."""
    async with services.database.transaction() as tx:
        return NoteResponse.model_validate(found(await tx.notes.get_own(note_id, principal.user.id)))


@notes.patch(
    "/{note_id}",
    summary="Change a note",
    operation_id="update_note",
    dependencies=[WRITE_NOTES, Depends(require_json)],
    responses=NOT_FOUND | BODY_ERRORS,
)
async def update_note(
    note_id: Identifier, body: NoteUpdate, principal: CurrentUser, services: ServicesDep
) -> NoteResponse:
    """Change the title, the content, or both."""
    async with services.database.transaction() as tx:
        note = found(await tx.notes.get_own(note_id, principal.user.id))
        for name, value in body.model_dump(exclude_none=True).items():
            setattr(note, name, value)
        note.updated_at = utc_now()
    return NoteResponse.model_validate(note)


@notes.delete(
    "/{note_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete a note",
    operation_id="delete_note",
    dependencies=[WRITE_NOTES],
    responses=NOT_FOUND,
)
async def delete_note(note_id: Identifier, principal: CurrentUser, services: ServicesDep) -> None:
    """Delete one of your notes."""
    async with services.database.transaction() as tx:
        if not await tx.notes.remove_own(note_id, principal.user.id):
            raise not_found()


@live.websocket("/live")
async def follow_notes(websocket: WebSocket) -> None:
    """Answer with each note that the client asks for, as long as its credential lives.

    Whoever may not is refused before the handshake is accepted, and nothing is sent to them.
    """
    services: Services = websocket.app.state.services
    try:
        principal = await authenticate_websocket(websocket, services)
    except ApiError:
        await websocket.close(status.WS_1008_POLICY_VIOLATION)
        return
    await websocket.accept()
    with suppress(WebSocketDisconnect):
        while await is_still_valid(services, principal):
            await answer_next(websocket, services, principal)
        await websocket.close(status.WS_1008_POLICY_VIOLATION)


async def answer_next(websocket: WebSocket, services: Services, principal: Principal) -> None:
    """Answer the next message; return without one after a while, so that the login is looked at again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(services.settings.websocket_check_seconds):
            question = await websocket.receive_text()
        if await is_still_valid(services, principal):
            await websocket.send_text(await answer_question(services, principal, question))


async def answer_question(services: Services, principal: Principal, question: str) -> str:
    """Return the note that a message asks for, or the one error body."""
    try:
        await limit_user(services, principal)
        if Scope.NOTES_READ not in principal.scopes:
            raise forbidden("insufficient_scope", "This credential does not cover notes.")
        note_id = NoteQuestion.model_validate_json(question).note_id
        async with services.database.transaction() as tx:
            note = found(await tx.notes.get_own(note_id, principal.user.id))
        return NoteResponse.model_validate(note).model_dump_json()
    except ApiError as refusal:
        error = ErrorResponse(error=refusal.error, message=refusal.message)
    except ValidationError:
        error = ErrorResponse(error="bad_request", message="Send an object with note_id.")
    return error.model_dump_json(exclude_none=True)


# ------------------------------------------------------------------------------------------- administration


@admin.get("/users", summary="List accounts", operation_id="list_users")
async def list_users(services: ServicesDep, limit: Limit = 50, offset: Offset = 0) -> list[UserResponse]:
    """Return one page of accounts, oldest first."""
    async with services.database.transaction() as tx:
        page = await tx.users.list_all(limit, offset)
    return [UserResponse.model_validate(user) for user in page]


@admin.get("/users/{user_id}", summary="Read an account", operation_id="read_user", responses=NOT_FOUND)
async def read_user(user_id: Identifier, services: ServicesDep) -> UserResponse:
    """Return one account."""
    async with services.database.transaction() as tx:
        return UserResponse.model_validate(found(await tx.users.get(user_id)))


@admin.patch(
    "/users/{user_id}",
    summary="Disable, enable, promote or demote an account",
    operation_id="update_user",
    dependencies=[Depends(require_json)],
    responses=NOT_FOUND | BODY_ERRORS | errors(status.HTTP_409_CONFLICT),
)
async def update_user(
    user_id: Identifier,
    body: UserAdminUpdate,
    principal: CurrentUser,
    request: Request,
    services: ServicesDep,
) -> UserResponse:
    """Change what an account may do; it holds at once for credentials already issued.

    What was issued before a block does not come back when the block is lifted.
    """
    async with services.database.transaction() as tx:
        user = found(await tx.users.get(user_id))
        if body.is_active is False or body.role is Role.USER:
            await keep_last_admin(tx, user)
        if body.is_active and not user.is_active:
            await tx.sessions.end_all(user.id, utc_now())
            await tx.api_keys.revoke_all(user.id, utc_now())
            await tx.one_time_tokens.discard(user.id, "reset")
        for name, value in body.model_dump(exclude_none=True).items():
            setattr(user, name, value)
    audit(request, "account_update", "accepted", f"{user.id} by {principal.user.id}")
    return UserResponse.model_validate(user)


@admin.delete(
    "/users/{user_id}/sessions",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="End all logins of an account",
    operation_id="end_user_sessions",
    responses=NOT_FOUND,
)
async def end_user_sessions(
    user_id: Identifier, principal: CurrentUser, request: Request, services: ServicesDep
) -> None:
    """Log an account out everywhere."""
    async with services.database.transaction() as tx:
        await tx.sessions.end_all(found(await tx.users.get(user_id)).id, utc_now())
    audit(request, "logout_all", "accepted", f"{user_id} by {principal.user.id}")


@admin.delete(
    "/users/{user_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Delete an account",
    operation_id="delete_user",
    responses=NOT_FOUND | errors(status.HTTP_409_CONFLICT),
)
async def delete_user(
    user_id: Identifier, principal: CurrentUser, request: Request, services: ServicesDep
) -> None:
    """Delete an account with everything it owns, and end all its credentials."""
    await remove_account(services, user_id)
    audit(request, "account_delete", "accepted", f"{user_id} by {principal.user.id}")


# --------------------------------------------------------------------------------------- shared by handlers


def found(row: Row | None) -> Row:
    """Return the row, or raise ApiError 404."""
    if row is None:
        raise not_found()
    return row


def require_session(principal: Principal) -> LoginSession:
    """Return the login of a caller; raise ApiError 403 for an API key, which has none."""
    if principal.session is None:
        raise forbidden("login_required", "This operation needs a login.")
    return principal.session


def refuse_escalation(principal: Principal, scopes: Iterable[str]) -> None:
    """Raise ApiError 403 if a key would get a scope that the credential asking for it lacks."""
    if not principal.scopes.issuperset(scopes):
        raise forbidden("scope_not_yours", "A key cannot do more than the credential that asks for it.")


def token_digest(token: SecretStr) -> str:
    """Return what the database knows of a mailed token."""
    return digest(token.get_secret_value())


def bad_mailed_token() -> ApiError:
    """Return the one answer to every mailed token that does not work."""
    return ApiError(
        status.HTTP_400_BAD_REQUEST, "invalid_mailed_token", "The token is wrong, used or too old."
    )


def write_session_cookie(response: Response, value: str, max_age: int) -> None:
    """Set the session cookie; with an empty value and age 0, take it away."""
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=max_age,
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
    )


def clear_session_cookie(response: Response, principal: Principal) -> None:
    """Take the cookie away from a browser that used it, and what it may have kept (ASVS V14.3.1)."""
    if principal.scheme == "session":
        write_session_cookie(response, "", 0)
        response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'


def describe_browser_session(services: Services, login: LoginSession) -> BrowserSessionResponse:
    """Return what a page may know about its session."""
    return BrowserSessionResponse(csrf_token=csrf_token(services, login.id), expires_at=login.expires_at)


def describe_session(session: LoginSession, principal: Principal) -> SessionResponse:
    """Return what its owner may know about a login."""
    described = SessionResponse.model_validate(session)
    described.is_current = principal.session is not None and principal.session.id == session.id
    return described


def show_new_key(key: ApiKey, secret: str) -> ApiKeyCreatedResponse:
    """Return a new key with its secret."""
    return ApiKeyCreatedResponse(**ApiKeyResponse.model_validate(key).model_dump(), key=secret)


async def keep_last_admin(tx: Transaction, user: User) -> None:
    """Raise ApiError 409 if nobody could administer the service without this account."""
    if user.role == Role.ADMIN and user.is_active and not await tx.users.has_other_active(user):
        raise conflict("last_administrator", "Appoint another administrator first.")


async def remove_account(services: Services, user_id: str) -> None:
    """Delete an account; raise ApiError 404 if it does not exist, 409 for the last administrator."""
    async with services.database.transaction() as tx:
        await keep_last_admin(tx, found(await tx.users.get(user_id)))
        await tx.users.remove(user_id)


# ---------------------------------------------------------------------------------------------- application


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return a new application.

    Without settings the environment is read, here and not at import. Raises ConfigurationError if a secret is
    missing or weak.
    """
    settings = settings or load_settings()
    tokens = TokenCodec(settings)
    outbox = Outbox(settings.mail_directory)
    audit_log.setLevel(logging.INFO)
    logging.getLogger("uvicorn.access").addFilter(hide_query)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database_url)
        app.state.services = Services(
            settings=settings,
            tokens=tokens,
            database=database,
            passwords=PasswordHasher(settings),
            limiter=RateLimiter(settings.rate_limit_storage_url),
            outbox=outbox,
        )
        try:
            await database.create_tables()
            await create_admin(app.state.services)
            yield
        finally:
            await database.dispose()

    app = FastAPI(
        title="Reference app",
        version="1.0.0",
        summary="Notes behind bearer tokens, API keys and browser sessions.",
        description="Every failure has the body of `ErrorResponse`. Times are UTC.",
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs_enabled else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would copy `api_key` into its target
        exception_handlers={HTTPException: on_http_error, RequestValidationError: on_validation_error},
    )
    app.state.settings = settings
    app.state.outbox = outbox
    for router in (*ROUTERS, keyset) if tokens.public_keys() else ROUTERS:
        app.include_router(router)
    docs_policy = add_docs(app) if settings.docs_enabled else API_POLICY
    app.add_middleware(LastResort, max_body_bytes=settings.max_body_bytes)
    app.add_middleware(
        Cors,
        allow_origins=settings.cors_origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key", CSRF_HEADER],
        expose_headers=["Retry-After", "WWW-Authenticate"],
    )
    https = settings.public_url.startswith("https:")
    app.add_middleware(SecurityHeaders, docs_policy=docs_policy, https=https)
    return app


def add_docs(app: FastAPI) -> str:
    """Serve the interactive documentation; return the content policy that its page needs.

    The page loads its script and style from a CDN. Its own inline script is allowed by its hash.
    """
    page = get_swagger_ui_html(openapi_url="/openapi.json", title=app.title, oauth2_redirect_url=None)
    html = bytes(page.body).decode()
    inline = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inline]

    @app.get(DOCS_PATH, include_in_schema=False)
    async def read_docs() -> HTMLResponse:
        return HTMLResponse(html)

    sources = " ".join(f"'sha256-{value}'" for value in hashes)
    return (
        f"default-src 'none'; script-src https://cdn.jsdelivr.net {sources}; "
        "style-src https://cdn.jsdelivr.net 'unsafe-inline'; "
        "img-src https://fastapi.tiangolo.com data:; connect-src 'self'; frame-ancestors 'none'"
    )
