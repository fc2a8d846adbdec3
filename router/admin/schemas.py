"""The shapes of the OpenAPI document (3.1), as far as this interface writes them."""

from __future__ import annotations

from typing import TypedDict

Schema = TypedDict(
    "Schema",
    {
        "$ref": str, "type": str | list[str], "description": str, "examples": list[str],
        "default": str | float, "enum": list[str], "pattern": str, "maxLength": int,
        "minimum": float, "maximum": float, "anyOf": list["Schema"], "items": "Schema",
        "minItems": int, "maxItems": int, "properties": dict[str, "Schema"],
        "additionalProperties": bool, "required": bool | list[str],
    },
    total=False,
)  # fmt: skip
"""A JSON Schema; a query parameter says in its own whether it is ``required``."""


class MediaType(TypedDict):
    """What a body of one type is."""

    schema: Schema


class RequestBody(TypedDict):
    """By media type."""

    required: bool
    content: dict[str, MediaType]


class Response(TypedDict):
    """By media type."""

    description: str
    content: dict[str, MediaType]


Parameter = TypedDict(
    "Parameter",
    {"name": str, "in": str, "required": bool, "schema": Schema, "description": str},
    total=False,
)
"""Of a path, a query or a header."""

OperationObject = TypedDict(
    "OperationObject",
    {
        "operationId": str, "summary": str, "x-role": str, "parameters": list[Parameter],
        "responses": dict[str, Response], "requestBody": RequestBody,
        "security": list[dict[str, list[str]]],
    },
    total=False,
)  # fmt: skip
"""One method of one path."""


class Licence(TypedDict):
    """Of the interface."""

    name: str
    identifier: str


class DocumentInfo(TypedDict):
    """What it is."""

    title: str
    version: str
    license: Licence


class SecurityScheme(TypedDict):
    """How a caller says who they are."""

    type: str
    scheme: str


class DocumentParts(TypedDict):
    """What the rest refers to."""

    schemas: dict[str, object]
    """As msgspec makes them of the answers' types."""
    securitySchemes: dict[str, SecurityScheme]


class OpenApiDocument(TypedDict):
    """All of it."""

    openapi: str
    info: DocumentInfo
    security: list[dict[str, list[str]]]
    paths: dict[str, dict[str, OperationObject]]
    components: DocumentParts
