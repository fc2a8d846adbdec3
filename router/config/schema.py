"""The JSON Schema of policies: completion and hover help in editors, and known keys for hints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, TypedDict, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from router.config.descriptions import descriptions
from router.config.problems import Path
from router.core.policy import Policy
from router.core.policy.status import format_failure
from router.core.quantities import (
    DURATION_PATTERN,
    SHARE_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_share,
    format_size,
)
from router.core.spec import Spec

_FORMATS = {
    DURATION_PATTERN: format_duration,
    SHARE_PATTERN: format_share,
    SIZE_PATTERN: format_size,
}


SchemaPart = TypedDict(
    "SchemaPart",
    {
        "$schema": str,
        "$defs": dict[str, "SchemaPart"],
        "$ref": str,
        "title": str,
        "description": str,
        "type": str,
        "pattern": str,
        "anyOf": list["SchemaPart"],
        "items": "SchemaPart",
        "required": list[str],
        "properties": dict[str, "SchemaPart"],
        "patternProperties": dict[str, "SchemaPart"],
        "additionalProperties": "bool | SchemaPart",
    },
    total=False,
)
"""The keys of a JSON Schema (draft 2020-12) that are read or written here; others pass through."""


class _Generator(GenerateJsonSchema):
    """Writes defaults as people do: ``5m`` instead of 300.0; and what fields mean."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made, model = super().model_schema(schema), cast("type[Spec]", schema["cls"])
        said = descriptions(model)
        for name, field in model.model_fields.items():
            if name in said:
                made["properties"][field.alias or name]["description"] = said[name]
        return made

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        written = _FORMATS.get(_pattern(made))
        if written and isinstance(made.get("default"), int | float):
            made["default"] = written(made["default"])
        if "5xx" in str(made.get("items")):
            made["default"] = [format_failure(status) for status in made["default"]]
        return made


def _pattern(schema: JsonSchemaValue) -> str:
    inner = [schema, *schema.get("anyOf", ())]
    return next((str(part["pattern"]) for part in inner if "pattern" in part), "")


@cache
def schema() -> SchemaPart:
    """The schema of a policy file (draft 2020-12); the same object each time, not to be changed."""
    made = cast("SchemaPart", Policy.model_json_schema(schema_generator=_Generator))
    made.pop("title", None)
    _with_templates(made)
    untitled: SchemaPart = _without_titles(made)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rampway policy",
        **untitled,
    }


def _with_templates(made: SchemaPart) -> None:
    """Add what :mod:`router.config.templates` takes out before the models see a policy."""
    made["properties"]["templates"] = {
        "type": "object", "additionalProperties": {"type": "object"},
        "description": "Routes to copy, by name; $(argument) stands for what a route gives.",
    }  # fmt: skip
    copied: SchemaPart = {
        "type": "object", "required": ["name", "template"],
        "properties": {
            "name": made["$defs"]["Route"]["properties"]["name"],
            "template": {"type": "string", "description": "The template that this route copies."},
            "with": {"type": "object", "description": "Arguments of the template, by name."},
        },
    }  # fmt: skip
    routes = made["properties"]["routes"]
    routes["items"] = {"anyOf": [routes["items"], copied]}


def text() -> str:
    """The file ``schemas/policy.schema.json``."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def parts(path: Path) -> Iterator[SchemaPart]:
    """All schemas that apply to the value at `path`: one, or one for each alternative."""
    yield from _parts(schema(), path)


def keys(path: Path) -> list[str]:
    """The keys that a mapping at `path` may have; empty where any key is allowed."""
    return sorted({key for part in parts(path) for key in part.get("properties", ())})


def format_limit(path: Path, limit: Any) -> str:
    """A limit of a number, in the unit in which the value at `path` is written."""
    for part in parts(path):
        if written := _FORMATS.get(str(part.get("pattern", ""))):
            return str(written(limit))
    return f"{limit:,}"


def _parts(node: SchemaPart, path: Path) -> Iterator[SchemaPart]:
    if reference := node.get("$ref"):
        name = str(reference).rpartition("/")[2]
        yield from _parts(schema()["$defs"][name], path)
        return
    if "anyOf" in node:
        for choice in node["anyOf"]:
            yield from _parts(choice, path)
        return
    if not path:
        yield node
        return
    step, rest = path[0], path[1:]
    inner = node.get("items") if isinstance(step, int) else _property(node, step)
    if isinstance(inner, dict):
        yield from _parts(inner, rest)


def _property(node: SchemaPart, key: str) -> SchemaPart | None:
    if key in (properties := node.get("properties", {})):
        return properties[key]
    other = node.get("additionalProperties") or next(
        iter(node.get("patternProperties", {}).values()), None
    )
    return other if isinstance(other, dict) else None


def _without_titles(node: Any) -> Any:
    """Pydantic repeats every field's name as its title; editors show it twice."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if key == "title" and isinstance(value, str):
            continue
        inner = key in ("properties", "$defs", "patternProperties") and isinstance(value, dict)
        kept[key] = (
            {name: _without_titles(item) for name, item in value.items()}
            if inner
            else _without_titles(value)
        )
    return kept
