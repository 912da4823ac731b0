"""The OpenAPI 3.1 document, put together from the routes that an application really has.

A view under /api/v1 carries its operation by :func:`operation`, or has it in a table that was
given to :func:`describe`; a test holds that none is without. Where an operation has no summary,
the view's docstring is it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Flask

from webapp import __version__
from webapp.api.schemas import SCHEMAS, schema
from webapp.web.strict_input import MAX_ID

PREFIX = "/api/v1"
_ID = {"type": "integer", "minimum": 0, "maximum": MAX_ID}
_ATTRIBUTE = "openapi_operation"
View = TypeVar("View", bound=Callable[..., Any])


def operation(spec: Mapping[str, Any]) -> Callable[[View], View]:
    """Attach an OpenAPI operation object to a view; goes below the route decorator."""

    def attach(view: View) -> View:
        setattr(view, _ATTRIBUTE, spec)
        return view

    return attach


def answer(description: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON response object."""
    return {"description": description, "content": {"application/json": {"schema": body}}}


def json_body(body: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """A JSON request body."""
    return {"required": required, "content": {"application/json": {"schema": body}}}


def query(
    name: str, body: Mapping[str, Any], description: str, *, required: bool = False
) -> dict[str, Any]:
    """A parameter behind the question mark."""
    return {
        "name": name,
        "in": "query",
        "description": description,
        "required": required,
        "schema": body,
    }


def errors(*statuses: int) -> dict[str, Any]:
    """Response objects in the one error shape for the given statuses."""
    return {str(status): answer(_MEANING[status], schema("Error")) for status in statuses}


_MEANING = {
    400: "The request's form is wrong.",
    401: "A login or token is needed.",
    403: "The caller may not do this.",
    404: "No such thing.",
    408: "The body arrived too slowly.",
    409: "The request contradicts the present state.",
    410: "It is over: closed, ended, or enough people took part.",
    411: "The body came in chunks, without its Content-Length.",
    413: "More bytes or pixels than allowed.",
    415: "Not a picture in a supported format.",
    422: "The picture, or the model, is damaged or not there.",
    429: "Too many requests from this address.",
    502: "The inference worker died while it held this request; try again.",
    503: "No inference worker can take the request now; try again.",
    507: "The disk, or the share of it that may be used, is full.",
    504: "The inference worker did not answer in time.",
}

_BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
ANALYZE = {
    "operationId": "analyze",
    "tags": ["analysis"],
    "requestBody": {
        "required": True,
        "content": {
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {"type": "string", "contentMediaType": "application/octet-stream"}
                    },
                    "required": ["image"],
                }
            },
        },
    },
    "responses": {
        "200": answer("The faces that were found; none is an empty list.", schema("FrameResult")),
        **errors(400, 413, 415, 422, 429, 502, 503, 504),
    },
}
MODELS = {
    "operationId": "listModels",
    "tags": ["models"],
    "responses": {"200": answer("All versions.", schema("Models"))},
}
DELETE_MODEL = {
    "operationId": "deleteModel",
    "tags": ["models"],
    "responses": {
        "204": {"description": "It is gone."},
        **errors(401, 403, 404, 409, 503),
    },
}
DOCUMENT = {
    "operationId": "openapi",
    "tags": ["meta"],
    "responses": {"200": answer("An OpenAPI 3.1 document.", {"type": "object"})},
}


def describe(app: Flask, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The document of everything an application serves under :data:`PREFIX`.

    ``tables`` maps endpoint names to operations, for views that carry none themselves.
    """
    paths: dict[str, dict[str, Any]] = {}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        spec = getattr(view, _ATTRIBUTE, tables.get(rule.endpoint))
        if not rule.rule.startswith(PREFIX + "/") or spec is None:
            continue
        path, parameters = _path_of(rule.rule)
        text = inspect.getdoc(view) or ""
        entry = {"summary": text.split("\n", 1)[0], "description": text, **spec}
        if not entry["description"]:
            del entry["description"]
        if "requestBody" in spec:
            entry["responses"] = errors(408, 411) | spec["responses"]
        more = spec.get("parameters", ())
        named = {parameter["name"] for parameter in more if parameter["in"] == "path"}
        parameters = [p for p in parameters if p["name"] not in named]
        if parameters or more:
            entry["parameters"] = [*parameters, *more]
        for method in sorted(rule.methods or ()):
            if method not in ("HEAD", "OPTIONS"):
                paths.setdefault(path, {})[method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mien",
            "version": __version__,
            "summary": "Reads facial expressions.",
            "description": "This reads facial movement, not inner feeling. Errors have one shape.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _path_of(rule: str) -> tuple[str, list[dict[str, Any]]]:
    """Flask's ``/a/<int:n>`` as OpenAPI's ``/a/{n}`` and its parameters."""
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": dict(_ID if converter == "int:" else {"type": "string"}),
        }
        for converter, name in re.findall(r"<(\w+:)?(\w+)>", rule)
    ]
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule), parameters
