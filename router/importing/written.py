"""The parts of a policy that an import writes, as they stand in the file.

They are texts yet: a duration is ``5m``, a secret ``${NAME}``. The policy's own types come with the
parse, as for everything that people write. A test holds each key against the policy's schema.
"""

from __future__ import annotations

from typing import TypedDict

# --- which requests ----------------------------------------------------------------------------


class WrittenConditions(TypedDict, total=False):
    """``match``: what a request must have."""

    host: str
    path: str
    headers: dict[str, dict[str, str]]
    """By name: how it is compared (exact, prefix, suffix, regex) with what."""
    cookies: dict[str, dict[str, str]]


class WrittenRule(TypedDict):
    """A fixed choice."""

    match: WrittenConditions
    version: str


class WrittenCookie(TypedDict, total=False):
    """What keeps a browser at its version."""

    name: str
    secret: str
    max_age: str
    secure: bool
    same_site: str
    domain: str
    path: str


class WrittenSticky(TypedDict, total=False):
    """``sticky``."""

    cookie: WrittenCookie


# --- how it takes over -------------------------------------------------------------------------


class WrittenApproval(TypedDict, total=False):
    """A person; both keys or none."""

    deadline: str
    then: str


class WrittenPlateau(TypedDict, total=False):
    """A weight that is held for a time."""

    weight: str
    mirror: str
    hold: str
    approval: WrittenApproval


class WrittenLinear(TypedDict):
    """Equal steps."""

    step: str
    to: str
    hold: str


class WrittenRamp(TypedDict):
    """``ramp``, where it is not ``auto``."""

    linear: WrittenLinear


class WrittenCanary(TypedDict, total=False):
    """``canary``."""

    steps: list[WrittenPlateau]
    ramp: str | WrittenRamp


class WrittenSwitch(TypedDict, total=False):
    """``blue_green``."""

    mirror: str
    hold: str
    approval: WrittenApproval
    bake: str


class WrittenStrategy(TypedDict, total=False):
    """One of the two."""

    canary: WrittenCanary
    blue_green: WrittenSwitch


class WrittenMirroring(TypedDict, total=False):
    """Which requests are copied."""

    paths: list[str]
    methods: list[str]


# --- who judges, and who is told ---------------------------------------------------------------


class WrittenGuard(TypedDict):
    """``guard``."""

    error_rate: str


class WrittenSlo(TypedDict):
    """``slo`` or ``shadow_slo``."""

    slower_than: str


class WrittenQuery(TypedDict, total=False):
    """``prometheus``."""

    name: str
    url: str
    query: str
    at_least: float
    at_most: float
    interval: str
    initial_delay: str
    failure_limit: int
    consecutive_error_limit: int


class WrittenGate(TypedDict, total=False):
    """One gate with its settings; one without is its name alone."""

    guard: WrittenGuard
    slo: WrittenSlo
    shadow_slo: WrittenSlo
    prometheus: WrittenQuery


class WrittenHook(TypedDict, total=False):
    """A webhook at one point of a rollout."""

    name: str
    url: str
    timeout: str
    retries: int
    metadata: dict[str, str]
    mute_alert: bool
    interval: str
    failure_limit: int


class WrittenAlert(TypedDict, total=False):
    """Who is told of what."""

    kind: str
    url: str
    on: list[str]
    severity: str


# --- a route -----------------------------------------------------------------------------------


class WrittenTimeouts(TypedDict, total=False):
    """``timeouts``."""

    response: str
    total: str


class WrittenVersion(TypedDict):
    """A version."""

    endpoints: list[str]


class WrittenRescue(TypedDict):
    """What is answered by stable where the candidate fails."""

    on: list[str]


class WrittenRollout(TypedDict, total=False):
    """``rollout``."""

    candidate: str
    strategy: WrittenStrategy
    gates: list[str | WrittenGate]
    hooks: list[dict[str, WrittenHook]]
    alerts: list[WrittenAlert]
    mirroring: WrittenMirroring
    rescue: WrittenRescue


class WrittenRoute(TypedDict, total=False):
    """One of ``routes``."""

    name: str
    match: WrittenConditions
    rules: list[WrittenRule]
    sticky: WrittenSticky
    versions: dict[str, WrittenVersion]
    stable: str
    timeouts: WrittenTimeouts
    rollout: WrittenRollout
