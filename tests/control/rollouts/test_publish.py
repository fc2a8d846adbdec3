from __future__ import annotations

from dataclasses import replace

import pytest

from router.config.check import loads
from router.control.rollouts.lifecycle import settle
from router.control.rollouts.publish import BadTable, Situation, entry_of, table_of
from router.core.rollout.rollout import Phase
from router.core.wire import table

FULL = """
listen: 127.0.0.1:0
limits: {head: 8KiB, drain: 7s}
trusted_proxies: [10.0.0.0/8]
routes:
  - name: r
    match: {host: "*.example.org", path: /v2/*, methods: [POST], headers: {X-Tenant: acme}}
    rules: [{match: {cookies: {beta: {present: true}}}, version: v2}]
    sticky: {header: X-User-Id}
    pin: true
    payload: open_inference_v2
    payload_paths: {/v2/*: json, /v2/a: csv, /v2/a*: v1, /v2/models/x/*: mlflow}
    versions:
      v1:
        endpoints: [http://127.0.0.1:9001, "https://[::1]:9002"]
        health: {path: /ready, interval: 3s}
        outlier: {consecutive: 9}
        warm_connections: 2
      v2: {endpoints: [http://127.0.0.1:9003], in_flight: 7}
    stable: v1
    errors: [5xx, 429]
    expect: pass
    timeouts: {connect: 1s, response: 2s, body: 3s, total: 4s}
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 12.5%, mirror: 50%, hold: 1h}], bake: 1m}}
      rescue: {on: [5xx, 429, timeout, schema], buffer: 128KiB, deadline: 500ms,
               excuse_payload: true}
      mirroring: {concurrency: 3, strip_headers: [Authorization]}
"""


@pytest.fixture
def situation():
    route = loads(FULL).policy.routes[0]
    record = settle(route, None, 0.0).record
    return Situation(route, record, (0.1, 0.25), 0.1)


def test_everything_of_the_policy_reaches_the_table(situation):
    entry = entry_of(situation)
    assert entry.weights_bp == (8_750, 1_250)
    assert entry.expect_passed
    assert entry.payload_paths == (
        ("/v2/models/x/*", "mlflow"), ("/v2/a", "csv"), ("/v2/a*", "v1"), ("/v2/*", "json"),
    )  # fmt: skip
    assert (entry.stable, entry.candidate, entry.revision) == (0, 1, 1)
    assert entry.mirrors == (table.Mirror(1, 5_000),)
    assert entry.match == table.MatchEntry(
        "*.example.org", "/v2/*", ("POST",),
        (table.ValueEntry("x-tenant", table.MatchKind.EXACT, "acme"),),
    )  # fmt: skip
    beta = table.MatchEntry(cookies=(table.ValueEntry("beta", table.MatchKind.PRESENT),))
    assert entry.rules == (table.RuleEntry(beta, 1),)
    assert entry.sticky == table.StickyEntry(table.StickyKind.HEADER, "x-user-id")
    assert (entry.pin, entry.pinnable) == (True, (0, 1))
    v1, v2 = entry.versions
    assert v1.endpoints == (
        table.EndpointEntry("127.0.0.1", 9001), table.EndpointEntry("::1", 9002, tls=True),
    )  # fmt: skip
    assert (v1.health.path, v1.health.interval_s, v1.outlier.consecutive) == ("/ready", 3.0, 9)
    assert (v1.warm_connections, v2.in_flight) == (2, 7)
    assert entry.errors == (5, 429)
    assert entry.timeouts == table.TimeoutsEntry(1.0, 2.0, 3.0, 4.0)
    assert entry.rescue.statuses == (5, 429)
    assert (entry.rescue.timeout, entry.rescue.connect) == (True, False)
    assert (entry.rescue.schema, entry.rescue.answer_buffer_bytes) == (True, 16_384)
    assert entry.rescue.excuse_payload
    assert (entry.rescue.deadline_s, entry.buffer_bytes) == (0.5, 131_072)
    assert (entry.mirror_limits.concurrency, entry.mirror_limits.strip_headers) == (
        3, ("authorization",),
    )  # fmt: skip
    assert (entry.thresholds_s, entry.slow_tolerance) == ((0.1, 0.25), 0.1)


def test_without_a_live_rollout_stable_answers_alone(situation):
    from dataclasses import replace

    ended = replace(situation.record, rollout=None)
    entry = entry_of(replace(situation, record=ended))
    assert (entry.weights_bp, entry.candidate, entry.mirrors) == ((10_000, 0), -1, ())
    assert (entry.rescue, entry.thresholds_s) == (None, ())


def test_a_table_that_does_not_add_up_is_never_made(situation):
    from dataclasses import replace

    policy = loads(FULL).policy
    made = table_of(5, policy, (entry_of(situation),))
    assert (made.generation, made.limits.head_bytes, made.limits.drain_s) == (5, 8_192, 7.0)
    assert made.trusted_proxies == ("10.0.0.0/8",)
    with pytest.raises(BadTable, match="10000"):
        table_of(6, policy, (replace(entry_of(situation), weights_bp=(9_999, 0)),))


def test_a_sticky_cookie_keeps_what_browsers_are_told():
    sticky = "sticky: {cookie: {secret: sixteen-characters, max_age: 1h, secure: true}}"
    route = loads(FULL.replace("sticky: {header: X-User-Id}", sticky)).policy.routes[0]
    record = settle(route, None, 0.0).record
    entry = entry_of(Situation(route, record, (0.1, 0.25), 0.1))
    assert entry.sticky == table.StickyEntry(
        table.StickyKind.COOKIE, "rampway", "sixteen-characters", 3_600,
        "Path=/; HttpOnly; Secure; SameSite=Lax",
    )  # fmt: skip


def test_the_entries_of_versions_are_made_once_an_edit(situation):
    """A table of a rollback makes none; one after an edit makes all."""
    first = entry_of(situation).versions
    rollout = replace(situation.record.rollout, phase=Phase.ABORTED)
    ended = replace(situation.record, rollout=rollout)
    again = entry_of(replace(situation, record=ended)).versions
    assert again[0] is first[0]
    assert (first[1].health.connect, again[1].health.connect) == (True, False)
    assert entry_of(replace(situation, record=ended)).versions[1] is again[1]
    edited = loads(FULL.replace("in_flight: 7", "in_flight: 8")).policy.routes[0]
    assert entry_of(replace(situation, route=edited)).versions[1].in_flight == 8
