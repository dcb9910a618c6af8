"""Which operations are found to manage accounts, where names and members mislead."""

from typing import Annotated, Any

from discovery_people import Store, bearer_of
from fastapi import Body, FastAPI
from pydantic import BaseModel


class Thing(BaseModel):
    """The envelope of every answer of this service."""

    id: str
    name: str
    body: dict[str, str]
    metadata: dict[str, str]


def test_an_envelope_that_every_list_has_makes_no_list_of_people(learn: Any) -> None:
    app, store = FastAPI(), Store()
    known_caller = bearer_of(store)

    @app.post("/login")
    def login(username: Annotated[str, Body()], password: Annotated[str, Body()]) -> dict[str, str]:
        return {"access_token": store.log_in(username, password)}

    @app.get("/me")
    def me(name: Annotated[str, known_caller]) -> Thing:
        return Thing(id=f"id-of-{name}", name=name, body={}, metadata={})

    for collection in ("artifacts", "runs", "service_accounts", "users"):

        @app.get(f"/{collection}", operation_id=f"list_{collection}")
        def listing(name: Annotated[str, known_caller]) -> list[Thing]:
            return []

        @app.delete(f"/{collection}/{{key}}", operation_id=f"delete_{collection}")
        def delete(key: str, name: Annotated[str, known_caller]) -> None:
            return None

    users = learn(app).target.users
    assert users.delete.operation.name == "DELETE /users/{key}"
