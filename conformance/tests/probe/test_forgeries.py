"""What forgers write: signatures, encrypted tokens, recovered keys, and the listener for callbacks."""

import json
import socket
import urllib.request
import zlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from auth_conformance.credentials import Jwt, SigningKey, attacker_keys, unb64url
from auth_conformance.probe.encryption import INFLATED, bombs, encrypted, with_public_key, with_secret
from auth_conformance.probe.recovery import modulus_of
from auth_conformance.probe.signatures import degenerate, padded, repackaged, respelled
from auth_conformance.secret import Secret
from auth_conformance.transports.listener import Listener, Watch

KEYS = attacker_keys()
CLAIMS = {"sub": "alice", "exp": 2_000_000_000}


def token_of(family: str) -> Jwt:
    return Jwt.build({"alg": family, "typ": "JWT"}, CLAIMS, KEYS[family])


def private(family: str) -> object:
    return serialization.load_pem_private_key(KEYS[family].secret.reveal().encode(), None)


@pytest.mark.parametrize("family", ["HS256", "ES256", "RS256", "EdDSA"])
def test_no_degenerate_signature_verifies(family: str) -> None:
    token = token_of(family)
    forged = degenerate(token, 1 << 2047 | 1)
    assert len(forged) >= 4
    assert KEYS[family].verifies(token)
    for label, value in forged.items():
        assert not KEYS[family].verifies(token.with_signature(value)), label


def test_respellings_decode_to_the_same_signature_and_read_otherwise() -> None:
    token = token_of("ES256")
    texts = dict(respelled(token))
    assert len(set(texts.values()) - {token.text}) == len(texts)
    spare = texts["the unused bits of the last character set"]
    assert unb64url(spare.rpartition(".")[2]) == token.signature
    assert all(text.startswith(token.text) for text in padded(token).values())
    assert token.text not in repackaged(token).values()
    flattened = json.loads(repackaged(token)["the flattened JSON form"])
    assert flattened["payload"] == token.payload_text


def test_rsa_oaep_opens_with_the_private_key() -> None:
    key = private("RS256")
    assert isinstance(key, rsa.RSAPrivateKey)
    head, wrapped, iv, text, tag = encrypted(key.public_key(), "RSA-OAEP-256", "A256GCM", b"claims").split(
        "."
    )
    content = key.decrypt(unb64url(wrapped), OAEP(MGF1(hashes.SHA256()), hashes.SHA256(), None))
    assert AESGCM(content).decrypt(unb64url(iv), unb64url(text) + unb64url(tag), head.encode()) == b"claims"


def test_ecdh_es_opens_with_the_private_key() -> None:
    key = private("ES256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    head, wrapped, iv, text, tag = encrypted(key.public_key(), "ECDH-ES", "A128GCM", b"claims").split(".")
    assert wrapped == ""
    epk = json.loads(unb64url(head))["epk"]
    point = b"\4" + unb64url(epk["x"]) + unb64url(epk["y"])
    agreed = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point))
    info = b"\0\0\0\7A128GCM" + bytes(8) + (128).to_bytes(4, "big")
    content = ConcatKDFHash(hashes.SHA256(), 16, info).derive(agreed)
    assert AESGCM(content).decrypt(unb64url(iv), unb64url(text) + unb64url(tag), head.encode()) == b"claims"


def test_every_way_is_tried_for_each_sort_of_key() -> None:
    for family, count in (("RS256", 9), ("ES256", 6), ("EdDSA", 0)):
        public = private(family).public_key()  # type: ignore[attr-defined] # every private key has one
        assert len(dict(with_public_key(public, b"x", {}))) == count
    ways = dict(with_secret(b"s" * 64, b"x", {}))
    assert {"dir with A256CBC-HS512 under the secret", "PBES2 with the secret as password"} <= set(ways)


def test_bombs_are_small_and_inflate_a_thousandfold() -> None:
    secret = b"k" * 32
    names = []
    for name, bomb, twin in bombs(secret):
        names.append(name)
        assert abs(len(bomb) - len(twin)) < 100
        assert len(bomb) < 20_000
        head, _, iv, text, tag = bomb.split(".")
        packed = AESGCM(secret).decrypt(unb64url(iv), unb64url(text) + unb64url(tag), head.encode())
        assert len(zlib.decompress(packed, -15 if name == "raw DEFLATE" else 15)) > INFLATED
    assert names == ["raw DEFLATE", "zlib"]


def test_a_small_exponent_gives_the_modulus_away() -> None:
    key = rsa.generate_private_key(3, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signing = SigningKey("RS256", Secret(pem.decode()))
    tokens = [Jwt.build({"alg": "RS256"}, {"sub": str(number)}, signing) for number in (1, 2)]
    assert modulus_of(tokens, 3) == key.public_key().public_numbers().n
    assert modulus_of(tokens, 17) is None


def test_the_listener_remembers_paths_and_the_watch_sees_this_process() -> None:
    listener, watch = Listener({"/keys": b"[1]"}), Watch()
    try:
        watch.start(f"'127.0.0.1', {listener.port})", "k0123456789.invalid")
        with urllib.request.urlopen(f"{listener.url}/keys?x=1", timeout=2) as reply:  # noqa: S310 - our own
            assert reply.read() == b"[1]"
        with pytest.raises(OSError, match=r".*"):
            socket.getaddrinfo("k0123456789.invalid", 443)
    finally:
        watch.stop()
        listener.close()
    assert listener.asked == ["/keys"]
    assert len({text.partition(" ")[2] for text in watch.seen}) == 2
    seen = len(watch.seen)
    with pytest.raises(OSError, match=r".*"):
        socket.getaddrinfo("k0123456789.invalid", 443)
    assert len(watch.seen) == seen
