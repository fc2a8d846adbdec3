"""What may be written for a key, in words, from the JSON Schema of its model."""

from typing import Any

from pydantic import BaseModel

QUANTITIES = ("duration", "share", "size")
SIMPLE = {"boolean": "true or false", "string": "text", "null": "nothing", "number": "number"}


def kinds(model: type[BaseModel]) -> dict[str, str]:
    """Key -> what may be written for it."""
    schema = model.model_json_schema()
    listed = schema.get("$defs", {})
    return {key: worded(found, listed) for key, found in schema.get("properties", {}).items()}


def worded(schema: dict[str, Any], listed: dict[str, Any]) -> str:
    """The words of one schema; a model is a link to its section, a choice what may be chosen."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if "enum" in listed.get(name, {}):
            return worded(listed[name], listed)
        return f"[{name}](#{name.lower()})"
    if "allOf" in schema:
        return worded(schema["allOf"][0], listed)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        words = dict.fromkeys(worded(one, listed) for one in choices if one.get("type") != "null")
        return " or ".join(filter(None, words))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    return _typed(schema, listed)


def _typed(schema: dict[str, Any], listed: dict[str, Any]) -> str:
    kind = schema.get("type")
    if schema.get("title") in QUANTITIES:
        return str(schema["title"])
    if kind == "array":
        return f"list of: {worded(schema.get('items', {}), listed)}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        if isinstance(inner, dict):
            return f"name: {worded(inner, listed)}"
        return "" if schema.get("properties") else "mapping"
    if kind == "integer":
        return f"whole number{_range(schema)}"
    return SIMPLE.get(str(kind), "see below")


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return ""
    if high is None:
        return f" from {low:,}"
    return f" up to {high:,}" if low is None else f", {low:,} to {high:,}"
