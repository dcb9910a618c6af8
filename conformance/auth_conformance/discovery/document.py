"""An OpenAPI document (3.0, 3.1) as operations and carriers: what can be read is used, the rest is named."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from auth_conformance.credentials import Carrier, Kind
from auth_conformance.discovery.names import mentions, names, rank
from auth_conformance.discovery.references import References
from auth_conformance.discovery.schemas import writable
from auth_conformance.discovery.values import sample
from auth_conformance.target import Operation, Parameter, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_PLACES = ("path", "query", "header", "cookie")
_NOWHERE = "http://relative.invalid"
# How descriptions put it: `Authorization: Token xxx`, 'the prefix "Api-Key"', or 'prepended with "token"'.
_SCHEME_WORD = re.compile(
    r"Authorization:\s*([A-Za-z][\w-]*)\s+\S|\bprefix:?\s+[\"'`]([A-Za-z][\w-]*)|[\"'`](bearer|token|jwt|api-?key)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says. `token_paths` are the token URLs of its password flows, as written.

    `grant_paths` are those of its other flows, `client_paths` of them those for programs,
    `openid_urls` where its OpenID providers describe themselves.
    `cookie_scheme` is the scheme that says only that there are cookies.
    `problems` are sentences about what could not be read, `unusable` about schemes without a carrier.
    """

    title: str
    operations: tuple[Operation, ...]
    carriers: tuple[Carrier, ...]
    token_paths: tuple[str, ...]
    problems: tuple[str, ...]
    unusable: tuple[str, ...] = ()
    openid_urls: tuple[str, ...] = ()
    grant_paths: tuple[str, ...] = ()
    client_paths: tuple[str, ...] = ()
    cookie_scheme: str = ""


def is_document(value: Any) -> bool:
    """Whether JSON data is an OpenAPI 3 document: by content, whatever status or type it came with."""
    return (
        isinstance(value, dict)
        and str(value.get("openapi", "")).startswith("3")
        and isinstance(value.get("paths"), dict)
    )


def base_paths(raw: Mapping[str, Any], origin: str, prefix: str, where: str) -> list[str]:
    """Where the paths of a document may start, relative to the address, likeliest first.

    `origin` is scheme and authority of the target, `prefix` the path of its address, `where` the path of
    the document below the address. Entries that name another host give their path only: never the host.
    """
    found: list[str] = []
    elsewhere: list[str] = []
    servers = raw.get("servers")
    for entry in servers if isinstance(servers, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
            continue
        url = entry["url"]
        variables = entry.get("variables")
        for name, variable in variables.items() if isinstance(variables, dict) else ():
            default = variable.get("default", "") if isinstance(variable, dict) else ""
            url = url.replace("{" + name + "}", str(default))
        parts = joined(_NOWHERE + prefix + where, url)
        if parts is None:
            continue
        netloc, path = parts
        path = path.rstrip("/")
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            path = path.removeprefix(prefix)
        own = netloc in (urlsplit(_NOWHERE).netloc, urlsplit(origin).netloc)
        (found if own else elsewhere).append(path)
    return list(dict.fromkeys([*found, "", *elsewhere]))


def joined(base: str, url: str) -> tuple[str, str] | None:
    """Authority and path of `url` as seen from `base`; None for what is no URL at all."""
    try:
        parts = urlsplit(urljoin(base, url))
    except ValueError:
        return None
    return parts.netloc, parts.path


def read_document(raw: Mapping[str, Any], base: str = "") -> Document:
    """Read a document whose paths start at `base`."""
    references = References(raw)
    problems: list[str] = []
    operations: list[Operation] = []
    for path, item in raw["paths"].items():
        resolved = (
            references.resolve({"$ref": item["$ref"]}) if isinstance(item, dict) and "$ref" in item else item
        )
        if not isinstance(resolved, dict):
            problems.append(f"the path {path!s:.80} is no object")
            continue
        template = base + (str(path) if str(path).startswith("/") else f"/{path}")
        for method, described in resolved.items():
            if method not in _METHODS:
                continue
            if not isinstance(described, dict):
                problems.append(f"{method.upper()} {path!s:.80} is no object")
                continue
            operations.append(_operation(method, template, described, resolved, raw, references))
    schemes = _schemes(raw, references)
    carriers, unusable = _carriers(schemes)
    known = set(schemes)
    for operation in operations:
        unknown = sorted(set().union(*(operation.security or ())) - known)
        problems += [f"{operation.name} demands the scheme {name}, which is not defined" for name in unknown]
    info = raw.get("info")
    return Document(
        title=str(info.get("title") or "") if isinstance(info, dict) else "",
        operations=tuple(operations),
        carriers=carriers,
        cookie_scheme=next((name for name, scheme in schemes.items() if _says_cookies(scheme)), ""),
        token_paths=tuple(_token_paths(schemes)),
        problems=tuple(dict.fromkeys([*problems, *references.problems])),
        unusable=unusable,
        openid_urls=tuple(
            str(scheme["openIdConnectUrl"])
            for scheme in schemes.values()
            if str(scheme.get("type")).lower() == "openidconnect" and scheme.get("openIdConnectUrl")
        ),
        grant_paths=tuple(_token_paths(schemes, ("authorizationCode", "clientCredentials"))),
        client_paths=tuple(_token_paths(schemes, ("clientCredentials",))),
    )


def _operation(  # noqa: PLR0917 - the levels of a document that all add to one operation
    method: str,
    path: str,
    described: Mapping[str, Any],
    item: Mapping[str, Any],
    raw: Mapping[str, Any],
    references: References,
) -> Operation:
    demanded = described.get("security", raw.get("security"))
    alternatives = (
        [entry for entry in demanded if isinstance(entry, dict)] if isinstance(demanded, list) else None
    )
    scopes = sorted(
        {
            str(scope)
            for entry in alternatives or ()
            for listed in entry.values()
            if isinstance(listed, list)
            for scope in listed
        }
    )
    tags = described.get("tags")
    parameters = _parameters(item, described, references)
    responses = described.get("responses")
    return Operation(
        method=method.upper(),
        path=path,
        operation_id=str(described.get("operationId") or ""),
        summary=str(described.get("summary") or ""),
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        security=None
        if alternatives is None
        else tuple(frozenset(map(str, entry)) for entry in alternatives),
        scopes=tuple(scopes),
        parameters=parameters,
        bodies=_bodies(described, references),
        responses=references.resolve(responses) if isinstance(responses, dict) else {},
        fixed=_fixed(method, parameters),
    )


def _fixed(method: str, parameters: tuple[Parameter, ...]) -> tuple[tuple[str, str, str], ...]:
    """Required headers that are no credential, such as a version or a tenant; for a GET its query as well."""
    credential = names("tokens", "headers")
    places = ("header", "query") if method == "get" else ("header",)
    return tuple(
        (item.place, item.name, str(sample(item.schema, random.Random(0), item.name)))
        for item in parameters
        if item.required
        and item.place in places
        and rank(item.name, credential) is None
        and not mentions(item.name, names("tokens", "csrf"))
    )


def _parameters(
    item: Mapping[str, Any], described: Mapping[str, Any], references: References
) -> tuple[Parameter, ...]:
    found: dict[tuple[str, str], Parameter] = {}
    for holder in (item, described):
        listed = holder.get("parameters")
        for entry in listed if isinstance(listed, list) else []:
            resolved = references.resolve(entry)
            if not isinstance(resolved, dict) or resolved.get("in") not in _PLACES or "name" not in resolved:
                continue
            name, place = str(resolved["name"]), str(resolved["in"])
            required = bool(resolved.get("required")) or place == "path"
            found[name, place] = Parameter(name, place, required, _parameter_schema(resolved))
    return tuple(found.values())


def _parameter_schema(parameter: Mapping[str, Any]) -> Schema:
    schema = parameter.get("schema")
    if not isinstance(schema, dict):
        content = parameter.get("content")
        media = next(iter(content.values()), None) if isinstance(content, dict) else None
        schema = media.get("schema") if isinstance(media, dict) else None
    schema = dict(schema) if isinstance(schema, dict) else {}
    if "example" in parameter and "example" not in schema:
        schema["example"] = parameter["example"]
    return schema


def _bodies(described: Mapping[str, Any], references: References) -> dict[str, Schema]:
    body = references.resolve(described.get("requestBody"))
    content = body.get("content") if isinstance(body, dict) else None
    found: dict[str, Schema] = {}
    for media, entry in content.items() if isinstance(content, dict) else ():
        schema = entry.get("schema") if isinstance(entry, dict) else None
        kind = str(media).split(";")[0].strip().lower()
        found[kind] = writable(schema, references.written) if isinstance(schema, dict) else {}
    return found


def _schemes(raw: Mapping[str, Any], references: References) -> dict[str, dict[str, Any]]:
    components = raw.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    resolved = (
        {str(name): references.resolve(entry) for name, entry in (schemes or {}).items()}
        if isinstance(schemes, dict)
        else {}
    )
    return {name: entry for name, entry in resolved.items() if isinstance(entry, dict)}


def _carriers(schemes: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[Carrier, ...], tuple[str, ...]]:
    carriers, unusable = [], []
    for name, scheme in schemes.items():
        carrier = carrier_of(name, scheme)
        if carrier is not None:
            carriers.append(carrier)
        else:
            kind = " ".join(str(scheme.get(key)) for key in ("type", "scheme") if scheme.get(key))
            unusable.append(f"the scheme {name} ({kind or 'of no type'}) cannot be used from here")
    return tuple(carriers), tuple(unusable)


def _says_cookies(scheme: Mapping[str, Any]) -> bool:
    """Whether a scheme is the header Cookie: it says that there are cookies, not which (Swagger 2 has no more)."""
    kind, name = str(scheme.get("type") or ""), str(scheme.get("name") or "")
    return (kind.lower(), name.lower(), scheme.get("in")) == ("apikey", "cookie", "header")


def carrier_of(name: str, scheme: Mapping[str, Any]) -> Carrier | None:
    """Where the credentials of a security scheme travel; None for TLS certificates, Digest and nonsense."""
    field = str(scheme.get("name") or "")
    match str(scheme.get("type") or "").lower(), str(scheme.get("scheme") or "").lower():
        case ("oauth2" | "openidconnect", _) | ("http", "bearer"):
            return Carrier(Kind.BEARER, "header", "Authorization", "Bearer", name)
        case ("http", "basic"):
            return Carrier(Kind.BASIC, "header", "Authorization", "Basic", name)
        case ("http", word) if word and word not in {
            "digest",
            "negotiate",
            "mutual",
            "hoba",
            "scram-sha-256",
        }:
            written = str(scheme.get("scheme"))
            return Carrier(
                Kind.BEARER, "header", "Authorization", written.title() if written == word else written, name
            )
        case ("apikey", _) if field and scheme.get("in") == "cookie":
            return Carrier(Kind.COOKIE, "cookie", field, "", name)
        case ("apikey", _) if _says_cookies(scheme):
            return None
        case ("apikey", _) if field and field.lower() == "authorization" and scheme.get("in") == "header":
            said = _SCHEME_WORD.search(str(scheme.get("description") or ""))
            word = next(filter(None, said.groups())) if said else ""
            return Carrier(Kind.BEARER, "header", field, word, name)
        case ("apikey", _) if field and scheme.get("in") in ("header", "query"):
            return Carrier(Kind.KEY, str(scheme["in"]), field, "", name)
        case _:
            return None


def _token_paths(
    schemes: Mapping[str, Mapping[str, Any]], wanted: tuple[str, ...] = ("password",)
) -> Iterator[str]:
    for scheme in schemes.values():
        flows = scheme.get("flows")
        for name in wanted:
            flow = flows.get(name) if isinstance(flows, dict) else None
            if isinstance(flow, dict) and isinstance(flow.get("tokenUrl"), str):
                yield flow["tokenUrl"]
