"""The interface as a page, made from the OpenAPI document and the examples that a test runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue

from webapp.api import openapi
from webapp.api.operations import OPERATIONS

blueprint = Blueprint("api_docs", __name__)
EXAMPLES = Path(__file__).parent / "examples"
# What is shown, in this order: file and the words above it.
SHOWN = (
    ("analyze.sh", "curl", "Read one picture"),
    ("analyze.py", "Python", "Read one picture"),
    ("analyze.mjs", "JavaScript", "Read one picture"),
    ("survey.py", "Python", "A survey from beginning to end"),
)
_VARIABLES = ('os.environ["MIEN_URL"]', "process.env.MIEN_URL", "$MIEN_URL")


def examples(url: str) -> list[dict[str, str]]:
    """The examples with this server's address in the place of ``MIEN_URL``."""
    made = []
    for file, language, title in SHOWN:
        text = (EXAMPLES / file).read_text(encoding="utf-8")
        text = text.replace(_VARIABLES[0], f'"{url}"')
        text = text.replace("${" + _VARIABLES[1] + "}", url).replace(_VARIABLES[2], url)
        made.append({"file": file, "language": language, "title": title, "text": text.strip()})
    return made


def _body(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """Media types with their schema as text; types with the same schema together."""
    by_schema: dict[str, list[str]] = {}
    for kind, media in content.items():
        schema = media.get("schema", {})
        text = schema["$ref"].rpartition("/")[2] if "$ref" in schema else _pretty(schema)
        by_schema.setdefault(text, []).append(kind)
    return [{"kinds": ", ".join(kinds), "schema": text} for text, kinds in by_schema.items()]


def _pretty(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2).replace("#/components/schemas/", "")


def operations(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Every operation of an OpenAPI document as the page shows it, by its tag."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method, entry in item.items():
            description = entry.get("description", "")
            row = {
                "id": entry["operationId"],
                "method": method.upper(),
                "path": path,
                "summary": entry["summary"],
                "description": description if description != entry["summary"] else "",
                "parameters": [
                    {
                        "name": parameter["name"],
                        "place": parameter["in"],
                        "required": parameter.get("required", False),
                        "description": parameter.get("description", ""),
                        "schema": json.dumps(parameter["schema"]),
                    }
                    for parameter in entry.get("parameters", ())
                ],
                "body": _body(entry.get("requestBody", {}).get("content", {})),
                "responses": [
                    {
                        "status": status,
                        "description": answer["description"],
                        "body": _body(answer.get("content", {})),
                    }
                    for status, answer in sorted(entry["responses"].items())
                ],
            }
            found.setdefault((entry.get("tags") or ["other"])[0], []).append(row)
    return found


@blueprint.get("/api/docs")
def docs() -> ResponseReturnValue:
    """What the interface takes and gives, with examples."""
    document = openapi.describe(current_app, OPERATIONS)
    schemas = {name: _pretty(schema) for name, schema in document["components"]["schemas"].items()}
    return render_template(
        "api_docs.html",
        groups=operations(document),
        schemas=schemas,
        examples=examples(request.host_url.rstrip("/")),
        version=document["info"]["version"],
    )
