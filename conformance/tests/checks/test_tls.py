"""WEB111 against real TLS: uvicorn with a certificate that was made for it."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from checks.mixed_app import create_app
from checks.token_app import PEOPLE
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth_conformance import catalog
from auth_conformance.engine import conduct
from auth_conformance.model import Result
from auth_conformance.probe import cleartext
from auth_conformance.settings import ConfigurationError, load


def certificate(folder: Path, name: str = "localhost", days: int = 1) -> Path:
    """Certificate and key in one file, signed by itself; with negative days it has ended."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - dt.timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}{days}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


@contextlib.contextmanager
def served(file: Path | None, *, old: bool = False, app: ASGIApp | None = None) -> Iterator[int]:
    """A service behind TLS on a free port, in clear without a file; `old` lets it agree to TLS 1.0 as well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"ssl_ciphers": "ALL:@SECLEVEL=0"} if old else {}
    config = uvicorn.Config(
        app or create_app(),
        host="127.0.0.1",
        port=port,
        log_level="error",
        ssl_certfile=str(file) if file is not None else None,
        **options,
    )
    config.load()
    if old and config.ssl is not None:
        with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(autouse=True)
def seen_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the machine itself nothing is said about TLS: this one plays another, on which port 80 is closed."""
    monkeypatch.setattr(cleartext, "is_loopback", lambda _: False)
    monkeypatch.setattr(cleartext, "listens", closed)
    for name, password in PEOPLE.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name}".upper(), password)


async def closed(*_: object) -> bool:
    return False


async def opened(*_: object) -> bool:
    return True


def forbidding(app: ASGIApp) -> ASGIApp:
    """The service, which says 403 where it would say 401, as FastAPI's HTTPBearer did for years."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def changed(message: Message) -> None:
            await send({**message, "status": 403} if message.get("status") == 401 else message)

        await app(scope, receive, changed)

    return answer


def judged(port: int, **settings: Any) -> Result:
    accounts = {
        label: {"username": name, "password": {"env": f"PASSWORD_OF_{name}".upper()}}
        for label, name in zip("ab", PEOPLE, strict=False)
    }
    chosen = load({"accounts": accounts, "url": f"https://localhost:{port}", **settings}, start=Path("/"))
    return asyncio.run(conduct(chosen, [catalog.load()["WEB111"]])).results[0]


def test_todays_tls_under_a_trusted_certificate_is_no_finding(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    with served(file) as port:
        result = judged(port, ca_file=str(file))
    assert result.name == "passed", result.verdict.reason


@pytest.mark.parametrize(
    ("name", "days", "trusted", "said"),
    [
        ("localhost", 1, False, "self-signed"),
        ("localhost", -1, True, "expired"),
        ("elsewhere.example", 1, True, "Hostname mismatch"),
    ],
)
def test_a_certificate_that_is_not_valid_is_a_finding(
    tmp_path: Path, name: str, days: int, trusted: bool, said: str
) -> None:
    file = certificate(tmp_path, name, days)
    with served(file) as port:
        result = judged(port, verify_tls=False, **({"ca_file": str(file)} if trusted else {}))
    assert result.name == "failed", result.verdict.reason
    assert said in result.verdict.reason.replace("self signed", "self-signed")


def test_old_versions_that_are_agreed_to_are_a_finding(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    with served(file, old=True) as port:
        result = judged(port, ca_file=str(file))
    assert result.name == "failed", result.verdict.reason
    assert "agrees to TLS 1.0" in result.verdict.reason


@pytest.mark.parametrize(("same", "verdict"), [(True, "failed"), (False, "passed")])
def test_port_80_that_answers_as_the_service_does_is_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool, verdict: str
) -> None:
    file, service = certificate(tmp_path), forbidding(create_app())
    edge = PlainTextResponse("Use https.", 403)
    with served(file, app=service) as port, served(None, app=service if same else edge) as plain:
        monkeypatch.setattr(cleartext, "_PLAIN", plain)
        monkeypatch.setattr(cleartext, "listens", opened)
        result = judged(port, ca_file=str(file))
    assert result.name == verdict, result.verdict.reason
    assert ("is served in clear at port 80" in result.verdict.reason) == same


def with_socket(app: ASGIApp, *, greets: bool) -> ASGIApp:
    """The service with a WebSocket: it opens and says hello, or refuses strangers as Starlette does."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await app(scope, receive, send)
            return
        await receive()
        if greets:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": "hello"})
        await send({"type": "websocket.close", "code": 4401})

    return answer


EDGE = PlainTextResponse("Use https.", 403)


async def redirecting(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands at port 80 and sends handshakes elsewhere; other requests it refuses."""
    if scope["type"] != "websocket":
        await EDGE(scope, receive, send)
        return
    await receive()
    where = [(b"location", b"wss://localhost/live")]
    await send({"type": "websocket.http.response.start", "status": 308, "headers": where})
    await send({"type": "websocket.http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("greets", "plain", "said"),
    [
        (True, "service", "opened by ws:// at port 80"),
        (False, "service", "answers ws:// at port 80 as it answers wss:// (403)"),
        (False, "edge", ""),
        (True, "redirect", "redirected from ws to wss"),
    ],
)
def test_a_handshake_in_clear_is_refused_before_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greets: bool, plain: str, said: str
) -> None:
    file, service = certificate(tmp_path), with_socket(create_app(), greets=greets)
    # The proxy lets handshakes through and no other request: those are judged by the test above.
    sockets_only = with_socket(EDGE, greets=greets)
    edge = {"service": sockets_only, "edge": EDGE, "redirect": redirecting}[plain]
    with served(file, app=service) as port, served(None, app=edge) as clear:
        monkeypatch.setattr(cleartext, "_PLAIN", clear)
        monkeypatch.setattr(cleartext, "listens", opened)
        result = judged(port, ca_file=str(file), websockets=[{"path": "/live/{room}"}])
    assert result.name == ("failed" if said else "passed"), result.verdict.reason
    assert said in result.verdict.reason
    sent = [item for item in result.verdict.evidence if item.operation.startswith("WebSocket")]
    assert all("authorization" not in {name.lower() for name, _ in item.request.headers} for item in sent)
    assert len(sent) >= 2


def test_a_certificate_that_nobody_trusts_stops_a_run_that_was_not_told_to_accept_it(tmp_path: Path) -> None:
    told = pytest.raises(ConfigurationError, match="let ca_file name its authority")
    with served(certificate(tmp_path)) as port, told:
        judged(port)
