"""The policy that an import writes: a route with what could be translated, then the remarks."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

import yaml

from router.importing.written import (
    WrittenAlert,
    WrittenConditions,
    WrittenGate,
    WrittenHook,
    WrittenMirroring,
    WrittenRollout,
    WrittenRoute,
    WrittenRule,
    WrittenSticky,
    WrittenStrategy,
    WrittenTimeouts,
)

LINE_CHARS_MAX = 100


@dataclass(slots=True)
class Draft:
    """One route in the making. ``notes`` become comments behind it."""

    name: str
    origin: str
    """What it was made from: ``Argo Rollout``."""
    stable_url: str = ""
    candidate_url: str = ""
    match: WrittenConditions = field(default_factory=WrittenConditions)
    rules: list[WrittenRule] = field(default_factory=list)
    sticky: WrittenSticky = field(default_factory=WrittenSticky)
    timeouts: WrittenTimeouts = field(default_factory=WrittenTimeouts)
    strategy: WrittenStrategy = field(default_factory=WrittenStrategy)
    gates: list[str | WrittenGate] = field(default_factory=list)
    mirroring: WrittenMirroring = field(default_factory=WrittenMirroring)
    hooks: list[dict[str, WrittenHook]] = field(default_factory=list)
    """Each by the point at which it is asked."""
    alerts: list[WrittenAlert] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def route(self) -> WrittenRoute:
        """The route in the order in which people read it, without what is empty."""
        made: WrittenRoute = {"name": self.name} if self.name else {}
        if self.match:
            made["match"] = self.match
        if self.rules:
            made["rules"] = self.rules
        if self.sticky:
            made["sticky"] = self.sticky
        made["versions"] = {
            "stable": {"endpoints": [self.stable_url]},
            "candidate": {"endpoints": [self.candidate_url]},
        }
        made["stable"] = "stable"
        if self.timeouts:
            made["timeouts"] = self.timeouts
        made["rollout"] = self._rollout()
        return made

    def _rollout(self) -> WrittenRollout:
        made: WrittenRollout = {"candidate": "candidate"}
        if self.strategy:
            made["strategy"] = self.strategy
        made["gates"] = self.gates or ["guard"]
        if self.hooks:
            made["hooks"] = self.hooks
        if self.alerts:
            made["alerts"] = self.alerts
        if self.mirroring:
            made["mirroring"] = self.mirroring
        made["rescue"] = {"on": ["5xx", "timeout", "connect"]}
        return made


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
