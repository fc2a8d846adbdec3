"""The JSON Schema that editors use."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from router.config.schema import keys, parts, schema, text

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "configs").glob("*.yaml"))


def test_the_committed_schema_is_the_present_one():
    assert (ROOT / "schemas" / "policy.schema.json").read_text() == text()


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


class Core(yaml.SafeLoader):
    """YAML as editors read it: `on` is text."""


Core.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Core.add_implicit_resolver(
    "tag:yaml.org,2002:bool", __import__("re").compile("^(true|false)$"), "tf"
)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_editors_accept_the_examples(file):
    document = yaml.load(file.read_text().replace("${WORKERS:-1}", "1"), Loader=Core)

    errors = list(jsonschema.Draft202012Validator(schema()).iter_errors(document))

    assert [f"{list(error.path)}: {error.message[:200]}" for error in errors] == []


@pytest.mark.parametrize(
    "name", ["unknown_key", "plain_number_as_share", "unknown_gate", "missing_key"]
)
def test_editors_refuse_broken_policies(name):
    document = yaml.load((ROOT / "tests/config/broken" / f"{name}.yaml").read_text(), Loader=Core)

    assert not jsonschema.Draft202012Validator(schema()).is_valid(document)


def test_every_field_is_described():
    undescribed = [
        f"{name}.{field}"
        for name, model in schema()["$defs"].items()
        for field, settings in model.get("properties", {}).items()
        if not settings.get("description")
    ]

    assert undescribed == []


def test_defaults_are_written_as_people_write_them():
    (bake,) = parts(("routes", 0, "rollout", "strategy", "canary", "bake"))
    version = schema()["$defs"]["Version"]["properties"]

    assert bake["default"] == "0s"
    assert version["queue_timeout"]["default"] == "1s"
    assert schema()["$defs"]["Route"]["properties"]["errors"]["default"] == ["5xx"]


def test_keys_are_found_along_lists_mappings_and_tables():
    assert "candidate" in keys(("routes", 3, "rollout"))
    assert "endpoints" in keys(("routes", 0, "versions", "anything"))
    assert "error_rate" in keys(("routes", 0, "rollout", "gates", 0))
    assert "tolerance" in keys(("routes", 0, "rollout", "gates", 0, "error_rate"))
