"""A manifest held against the published schema of its kind, as an API server would.

Defaults first, since some rules read them; then fields, types and limits; then the schema's own
rules (CEL). What an API server asks others (webhooks, controllers) is not asked here.
"""

import copy
import json
from functools import cache
from pathlib import Path

import celpy
import jsonschema
from celpy.adapter import json_to_cel

FOLDER = Path(__file__).parent
KINDS = {"HTTPRoute", "InferenceService", "ServiceMonitor"}
CEL = celpy.Environment()


def closed(schema):
    """The same schema with every object that lists its fields closed to any other."""
    if isinstance(schema, list):
        return [closed(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(inner) for key, inner in schema.items()}
    if isinstance(made.get("properties"), dict) and "additionalProperties" not in made:
        made["additionalProperties"] = bool(made.get("x-kubernetes-preserve-unknown-fields"))
    if made.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    return made


@cache
def published(kind):
    """The schema as published, and a validator of its closed form."""
    schema = json.loads((FOLDER / f"{kind.lower()}.json").read_text())
    return schema, jsonschema.Draft202012Validator(closed(schema))


def filled(schema, value):
    """`value` with the defaults that an API server sets, in place."""
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                filled(inner, value[name])
    elif isinstance(value, list):
        for inner in value:
            filled(schema.get("items", {}), inner)
    return value


def rules(schema, value, where):
    """Each rule with the value that it is about."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule, value, where
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from rules(inner, value[name], f"{where}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for index, inner in enumerate(value):
            yield from rules(schema["items"], inner, f"{where}[{index}]")


@cache
def program(text):
    return CEL.program(CEL.compile(text))


def kept(rule, value):
    """Whether a rule holds; one that cannot be worked out does not, as in an API server."""
    try:
        return bool(program(rule["rule"]).evaluate({"self": json_to_cel(value)}))
    except celpy.CELEvalError:
        return False


def problems(manifest):
    """One line for each thing that is wrong; a kind of which there is no schema is a KeyError."""
    if manifest["kind"] not in KINDS:
        raise KeyError(manifest["kind"])
    schema, validator = published(manifest["kind"])
    whole = filled(schema, copy.deepcopy(manifest))
    found = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(whole)]
    if found:
        return found
    return [
        f"{where}: {rule.get('message', rule['rule'])}"
        for rule, value, where in rules(schema, whole, "$")
        if not kept(rule, value)
    ]
