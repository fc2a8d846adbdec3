"""`feeds` says who uses a route's answers: whom it names exists, and the join can be made."""

from __future__ import annotations

import pytest

from router.config.check import loads
from router.config.problems import PolicyError
from router.core.policy.kept import log_terms, sampled_bp

POLICY = """
routes:
  - name: a
    match: {{path: /a}}
    payload: json
    versions: {{v1: {{endpoints: [http://127.0.0.1:9001]}}, v2: {{endpoints: [http://127.0.0.1:9002]}}}}
    stable: v1
    feeds: {feeds}
    {a}
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 10%, hold: 1h}}], bake: 1h}}}}
      gates: {gates}
  - name: b
    match: {{path: /b}}
    payload: json
    {b}
    versions: {{v1: {{endpoints: [http://127.0.0.1:9003]}}}}
    stable: v1
"""
READ = "predictions: {score: p, sample: 20%}"
BY_KEY = "{route: b, by: {json: user.id}}"


def told(feeds="[b]", *, a="", b=READ, gates="[error_rate, guard: {error_rate: 5%}, cascade]"):
    """Warnings, the error, the policy."""
    try:
        loaded = loads(POLICY.format(feeds=feeds, a=a, b=b, gates=gates))
    except PolicyError as error:
        return [], str(error), None
    return [str(one) for one in loaded.warnings], "", loaded.policy


@pytest.mark.parametrize(
    ("feeds", "more", "error"),
    [
        ("[c]", {}, "expected another route (b), got 'c'"),
        ("[bb]", {}, "did you mean b?"),
        ("[a]", {}, "expected another route, got 'a' itself"),
        ("[b, b]", {}, "expected each route once, got 'b' again"),
        ("[b]", {"b": ""}, "nothing of b is read"),
        ("[b]", {"b": "predictions: {score: p, sample: 0%}"}, "nothing of b is read"),
        (BY_KEY, {}, "expected log beside feeds by user.id"),
        (BY_KEY, {"a": "log: {person: who}"}, "the key that the log has (who), got user.id"),
        ("[]", {}, "cascade can never be decided: the route says nobody who uses its answers"),
        ("{route: b, by: {header: X-User}}", {}, "header"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_refused(feeds, more, error):
    assert error in told(feeds, **more)[1]


@pytest.mark.parametrize(
    ("feeds", "more", "warning"),
    [
        ("[b]", {"gates": "[error_rate, guard]"}, "no gate looks at what becomes of its answers"),
        (BY_KEY, {"a": "log: {sample: 50%}"}, "50% of what a makes is not logged"),
        ("{route: b, by: {json: u}, within: 90d}", {"a": "log: {}"}, "the log forgets after 30d"),
    ],
)
def test_what_joins_less_than_was_meant_is_told(feeds, more, warning):
    found, error, _ = told(feeds, **more)
    assert not error
    assert any(warning in one for one in found)


@pytest.mark.parametrize("feeds", ["b", "[b]", "{route: b}", "[{route: b}]"])
def test_one_may_be_written_in_short(feeds):
    found, error, policy = told(feeds)
    assert (found, error) == ([], "")
    a, b = policy.routes
    assert [(feed.route, feed.by, feed.told_by) for feed in a.feeds] == [("b", None, "baggage")]
    assert (a.fed_by, b.fed_by) == ((), ("a",))
    assert sampled_bp(b, ()) == 2_000, "it is read though it has no gates of its own"


def test_the_log_finds_what_was_made_by_the_key():
    _, error, policy = told(BY_KEY, a="log: {}")
    assert not error
    terms = log_terms(policy)
    assert [one.person for one in terms.routes] == ["user.id"]
    (feed,) = terms.feeds
    assert (feed.feeder, feed.fed, feed.path, feed.within_s) == ("a", "b", "user.id", 604_800.0)
