"""A machine-to-machine API: a key in `X-API-Key`, and no login anywhere.

`GET /v1/whoami` names the caller; `GET|POST /v1/widgets` and `GET|DELETE /v1/widgets/{id}` are private to
each key's owner (404 for anybody else). Keys are kept as digests. Start: `services.apikey_app:create_app`;
alice and bob have the keys of `KEYS`.

True faults: none known, but that a lone surrogate in JSON is a 500 (FastAPI's own error page cannot write
it). Keys cannot be rotated or revoked over HTTP, and never expire.
"""

import hashlib
from collections.abc import Mapping
from itertools import count
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field

KEYS: Mapping[str, str] = {
    "alice": "ak_live_5uQ2mXw8ZrT0cVn4bJ6hLp9sDfGk3yEa",
    "bob": "ak_live_Hn7tRz1KqWb5oYx9MvCj2gUs8dPe4iLf",
}


class Widget(BaseModel):
    name: str = Field(max_length=100)


class StoredWidget(Widget):
    id: int


def create_app(*, keys: Mapping[str, str] = KEYS) -> FastAPI:
    app = FastAPI(title="Widgets")
    owners = {hashlib.sha256(key.encode()).hexdigest(): name for name, key in keys.items()}
    widgets: dict[int, tuple[str, StoredWidget]] = {}
    numbers = count(1)

    def caller(key: Annotated[str | None, Depends(APIKeyHeader(name="X-API-Key", auto_error=False))]) -> str:
        name = owners.get(hashlib.sha256(key.encode()).hexdigest()) if key else None
        if name is None:
            raise HTTPException(401, "A valid API key is required", {"WWW-Authenticate": "ApiKey"})
        return name

    authenticated = Annotated[str, Depends(caller)]

    def own_widget(widget_id: int, name: str) -> StoredWidget:
        owner, widget = widgets.get(widget_id, (None, None))
        if owner != name or widget is None:
            raise HTTPException(404, "No such widget")
        return widget

    @app.get("/v1/whoami")
    def whoami(name: authenticated) -> dict[str, str]:
        return {"owner": name}

    @app.get("/v1/widgets")
    def list_widgets(name: authenticated) -> list[StoredWidget]:
        return [widget for owner, widget in widgets.values() if owner == name]

    @app.post("/v1/widgets", status_code=201)
    def make_widget(widget: Widget, name: authenticated) -> StoredWidget:
        made = StoredWidget(id=next(numbers), name=widget.name)
        widgets[made.id] = (name, made)
        return made

    @app.get("/v1/widgets/{widget_id}")
    def read_widget(widget_id: int, name: authenticated) -> StoredWidget:
        return own_widget(widget_id, name)

    @app.delete("/v1/widgets/{widget_id}", status_code=204)
    def drop_widget(widget_id: int, name: authenticated) -> None:
        del widgets[own_widget(widget_id, name).id]

    return app
