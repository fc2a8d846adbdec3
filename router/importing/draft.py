"""The policy that an import writes: a route with what could be translated, then the remarks."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Any

import yaml

LINE_CHARS_MAX = 100


@dataclass(slots=True)
class Draft:
    """One route in the making. ``notes`` become comments behind it."""

    name: str
    origin: str
    """What it was made from: ``Argo Rollout``."""
    stable_url: str = ""
    candidate_url: str = ""
    match: dict[str, Any] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    sticky: dict[str, Any] = field(default_factory=dict)
    timeouts: dict[str, Any] = field(default_factory=dict)
    strategy: dict[str, Any] = field(default_factory=dict)
    gates: list[Any] = field(default_factory=list)
    mirroring: dict[str, Any] = field(default_factory=dict)
    hooks: list[dict[str, dict[str, Any]]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def route(self) -> dict[str, Any]:
        """The route as plain values in the order in which people read it."""
        rollout = {
            "candidate": "candidate",
            "strategy": self.strategy,
            "gates": self.gates or ["guard"],
            "hooks": self.hooks,
            "alerts": self.alerts,
            "mirroring": self.mirroring,
            "rescue": {"on": ["5xx", "timeout", "connect"]},
        }
        route = {
            "name": self.name,
            "match": self.match,
            "rules": self.rules,
            "sticky": self.sticky,
            "versions": {
                "stable": {"endpoints": [self.stable_url]},
                "candidate": {"endpoints": [self.candidate_url]},
            },
            "stable": "stable",
            "timeouts": self.timeouts,
            "rollout": {key: value for key, value in rollout.items() if value},
        }
        return {key: value for key, value in route.items() if value}


HEAD = """\
# yaml-language-server: $schema=../schemas/policy.schema.json
#
# Written by `rampway import` from {origins}.
# Check the endpoints, read the remarks at the end, then run `rampway check` on it. `rescue` is
# an addition: where the candidate fails, clients get stable's answer.
listen: 127.0.0.1:8080
admin: {{listen: 127.0.0.1:8081}}
"""


def text(drafts: list[Draft]) -> str:
    """The file: head, routes, remarks."""
    origins = ", ".join(f"the {draft.origin} {draft.name}" for draft in drafts)
    routes = yaml.safe_dump(
        {"routes": [draft.route() for draft in drafts]},
        sort_keys=False,
        default_flow_style=None,
        width=LINE_CHARS_MAX,
    )
    remarks = [line for draft in drafts for line in _remarks(draft)]
    return "\n".join([HEAD.format(origins=origins) + routes, *remarks]) + "\n"


def _remarks(draft: Draft) -> list[str]:
    lines = [f"# Remarks on {draft.name}, by line of the imported file:"]
    for note in draft.notes:
        lines += textwrap.wrap(
            note, LINE_CHARS_MAX, initial_indent="#   ", subsequent_indent="#     "
        )
    return lines
