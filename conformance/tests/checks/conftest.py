import pytest
from services.people import PEOPLE


@pytest.fixture(autouse=True)
def secrets_of_people(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, password in PEOPLE.items():
        monkeypatch.setenv(f"PASSWORD_OF_{name}".upper(), password)
        monkeypatch.setenv(f"KEY_OF_{name}".upper(), f"key-of-{name}-0123456789")
