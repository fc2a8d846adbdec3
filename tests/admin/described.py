"""Answers held against the OpenAPI document by somebody else's reader of JSON Schema."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from router.admin.openapi import document
from router.admin.routes import ROUTES


@cache
def _schemas() -> dict[str, Any]:
    """Of the document, but no key may be there that it does not name."""
    told: dict[str, Any] = json.loads(json.dumps(document(ROUTES)["components"]["schemas"]))
    for schema in told.values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return told


@cache
def _reader(name: str) -> Draft202012Validator:
    whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": _schemas()}}
    return Draft202012Validator(whole)


def wrong(value: Any, name: str) -> list[str]:
    """What is said and not described, or described and not said, with its place."""
    return [
        f"{error.json_path}: {error.message[:200]}" for error in _reader(name).iter_errors(value)
    ]
