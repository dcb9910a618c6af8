"""The services are what their docstrings say: they start, know alice from bob, and refuse strangers."""

from collections.abc import Iterator

import httpx
import pytest
from services.catalogue import SERVICES, Service
from services.serving import serve


@pytest.fixture(scope="module", params=SERVICES, ids=lambda service: service.name)
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.param
    return found


@pytest.fixture(scope="module")
def served(service: Service) -> Iterator[httpx.Client]:
    with serve(service.create_app()) as url, httpx.Client(base_url=url, timeout=10) as client:
        yield client


@pytest.fixture
def client(served: httpx.Client) -> httpx.Client:
    served.cookies.clear()
    return served


def test_the_witness_names_its_caller(service: Service, client: httpx.Client) -> None:
    for name, other in (("alice", "bob"), ("bob", "alice")):
        credential = service.sign_in(client, name)
        client.cookies.clear()
        answer = client.get(service.witness, headers=credential)
        assert answer.status_code == 200
        assert name in answer.text
        assert other not in answer.text


def test_strangers_are_refused(service: Service, client: httpx.Client) -> None:
    assert client.get(service.witness).status_code == service.refusal


def test_the_document_is_where_the_catalogue_says(service: Service, client: httpx.Client) -> None:
    if service.document is None:
        assert client.get("/openapi.json").status_code == 404
    else:
        assert client.get(service.document).json()["paths"]
