"""Writes the pages that are drawn from code: `make docs`."""

import inspect
import json
from functools import partial
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, PydanticUndefined, to_jsonable_python

from router.config import schema, templates
from router.config.descriptions import descriptions
from router.core.gates import GATES
from router.core.payloads import PAYLOADS
from router.core.policy import Policy
from router.core.rollout.machine import TRANSITIONS
from router.core.rollout.rollout import TERMINAL
from router.core.spec import Later
from router.core.strategies import STRATEGIES
from tests.tidy.commands_page import commands_page
from tests.tidy.grafana import grafana
from tests.tidy.kinds import kinds
from tests.tidy.metrics_page import metrics_page
from tests.tidy.pictures import PICTURES, picture

ROOT = Path(__file__).resolve().parents[2]


def state_machine() -> str:
    """The transition table as a diagram and as a table."""
    lines = [
        "# The state machine",
        "",
        "Drawn by `make docs` from the table in `router/core/rollout/machine.py`; read it there.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> progressing",
    ]
    for phase, rows in TRANSITIONS.items():
        edges: dict[str, list[str]] = {}
        for event, row in rows.items():
            for to in row.to:
                if to is not phase:
                    edges.setdefault(to.value, []).append(event.__name__)
        lines += [f"    {phase.value} --> {to}: {', '.join(names)}" for to, names in edges.items()]
        if phase in TERMINAL:
            lines.append(f"    {phase.value} --> [*]")
    lines += ["```", "", "| phase | " + " | ".join(e.__name__ for e in rows) + " |"]
    lines.append("| --- |" + " --- |" * len(rows))
    for phase, rows in TRANSITIONS.items():
        cells = [", ".join(p.value for p in row.to) or "refused" for row in rows.values()]
        lines.append(f"| {phase.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def policy_reference() -> str:
    """Every key of a policy with its meaning, part by part."""
    lines = [
        "# Policy reference",
        "",
        "Every key, drawn from the types by `make docs`. `configs/reference.yaml` has them all in",
        "place. Durations are written `250ms 2s 5m 1h`, shares `5%` or `0.05%`, sizes `64KiB`. An",
        "unknown key is an error with its line and column.",
        "`${NAME}`, `${NAME:-default}` and `${file:/path}` are expanded in values.",
        "",
    ]
    seen: set[type[BaseModel]] = set()
    tables = {id(model) for table in (STRATEGIES, GATES) for model in table.values()}
    for model in _models(Policy, seen):
        if id(model) not in tables:
            lines += _section(model.__name__, model)
    lines += [
        "## Templates", "", *(inspect.getdoc(templates) or "").splitlines(), "",
        "A whole example: [configs/templates.yaml](../configs/templates.yaml).", "",
    ]  # fmt: skip
    lines += ["## Strategies", "", "Written `strategy: {NAME: {...}}`.", ""]
    for name, strategy in STRATEGIES.items():
        lines += _section(name, strategy)
    lines += ["## Gates", "", "Written `gates: [NAME, NAME: {...}]`.", ""]
    for name, gate in GATES.items():
        lines += _section(name, gate)
    lines += ["## Parts of strategies and gates", ""]
    for table in (STRATEGIES, GATES):
        for model in table.values():
            for part in _models(model, seen):
                if id(part) not in tables and part.model_fields:
                    lines += _section(part.__name__, part)
    lines += [
        "## Payloads",
        "",
        "Written `payload: NAME`.",
        "",
        "| name | reads |",
        "| --- | --- |",
    ]
    lines += [f"| `{name}` | {inspect.getdoc(type(reader))} |" for name, reader in PAYLOADS.items()]
    return "\n".join(lines) + "\n"


def _models(model: type[BaseModel], seen: set[type[BaseModel]]):
    """A model and those its fields are made of, outermost first."""
    if model in seen:
        return
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for inner in _inside(field.annotation):
            yield from _models(inner, seen)


def _inside(annotation):
    annotation = annotation.kind if isinstance(annotation, Later) else annotation
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        if not inspect.isabstract(annotation):
            yield annotation
        return
    for part in getattr(annotation, "__args__", ()):
        yield from _inside(part)


def _section(name: str, model: type[BaseModel]) -> list[str]:
    text = " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())
    lines = [f"### {name}", "", text, ""]
    if model.model_fields:
        lines += ["| key | what | default | meaning |", "| --- | --- | --- | --- |"]
    types = kinds(model) if model.model_fields else {}
    for key, field in model.model_fields.items():
        meaning = " ".join(descriptions(model)[key].split()).replace("|", "\\|")
        name = field.alias or key
        lines.append(f"| `{name}` | {types[name]} | {_default(model, key)} | {meaning} |")
    return [*lines, ""]


def _default(model: type[BaseModel], key: str) -> str:
    field = model.model_fields[key]
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined or field.default is None:
        return ""
    if isinstance(field.default, BaseModel):
        return "see below"
    bare = model.model_construct()
    try:
        written = bare.model_dump(mode="json", include={key}, warnings=False)[key]
    except PydanticSerializationError:  # it has a short form of its own, and is not whole here
        written = to_jsonable_python(field.default)
    return f"`{json.dumps(written)}`" if written not in ((), [], {}) else ""


PAGES = {
    "docs/state-machine.md": state_machine,
    "docs/policy.md": policy_reference,
    "docs/commands.md": commands_page,
    "docs/metrics.md": metrics_page,
    "schemas/policy.schema.json": schema.text,
    "deploy/grafana/rampway.json": grafana,
    **{f"docs/pictures/{name}.svg": partial(picture, name) for name in PICTURES},
}

if __name__ == "__main__":
    for path, page in PAGES.items():
        (ROOT / path).write_text(page())
        print(path)
