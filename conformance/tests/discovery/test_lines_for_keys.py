"""What is proposed where the signing key is not known: lines that fit the algorithm of the service's own tokens."""

import pytest

from auth_conformance.credentials import Jwt, b64url, compact_json
from auth_conformance.discovery.gaps import signing_lines
from auth_conformance.probe.keyrings import rotation_lines


def token(algorithm: str) -> Jwt:
    parsed = Jwt.parse(f"{b64url(compact_json({'alg': algorithm}).encode())}.{b64url(b'{}')}.{b64url(b'x')}")
    assert parsed is not None
    return parsed


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_key_with_a_public_half_is_asked_for_as_a_private_key(algorithm: str) -> None:
    lines = signing_lines(token(algorithm))
    assert f'algorithm = "{algorithm}"' in lines
    assert 'env = "JWT_PRIVATE_KEY"' in lines
    assert "SECRET_KEY" not in lines + rotation_lines(algorithm)
    assert "JWT_PREVIOUS_PUBLIC_KEYS" in rotation_lines(algorithm)


def test_a_secret_is_asked_for_as_a_secret() -> None:
    lines = signing_lines(token("HS512"))
    assert 'algorithm = "HS512"' in lines
    assert 'env = "SECRET_KEY"' in lines
    assert "PRIVATE" not in lines + rotation_lines("HS512")
