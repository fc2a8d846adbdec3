"""Segments: what a policy with `for_each` becomes."""

from __future__ import annotations

import pytest

from router.config.check import loads
from router.config.problems import PolicyError
from router.core.policy.segments import base_of, expanded

POLICY = """
routes:
  - name: first
    match: {{path: /first}}
    versions: {{v1: {{endpoints: [http://127.0.0.1:9001]}}}}
    stable: v1
  - name: r
    match: {{path: /r, headers: {{X-Tenant: acme}}}}
    {more}
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      for_each: {each}
      strategy: {{canary: {{steps: [{{weight: 5%, hold: 1h}}]}}}}
"""


def policy(each, more="pin: true"):
    return loads(POLICY.format(each=each, more=more)).policy


def test_each_value_is_a_route_before_the_rest():
    made = expanded(policy("{header: X-Country, values: [de, fr]}"))
    assert [r.name for r in made.routes] == ["first", "r@de", "r@fr", "r"]
    german = made.route("r@de")
    assert {k: v.exact for k, v in german.match.headers.items()} == {
        "X-Tenant": "acme", "X-Country": "de",
    }  # fmt: skip
    assert german.match.path == "/r"
    assert german.rollout == made.route("r").rollout
    assert "X-Country" not in made.route("r").match.headers
    assert (base_of("r@de"), base_of("r")) == ("r", "r")


def test_the_rest_may_stay_with_stable():
    made = expanded(policy("{query: lang, values: [de], rest: stable}"))
    assert made.route("r").rollout is None
    assert made.route("r@de").match.query["lang"].exact == "de"


def test_cookies_too_and_policies_without_segments_are_untouched():
    made = expanded(policy("{cookie: market, values: [de]}"))
    assert made.route("r@de").match.cookies["market"].exact == "de"
    first, _, _ = POLICY.partition("  - name: r\n")
    plain = loads(first.replace("{{", "{").replace("}}", "}")).policy
    assert expanded(plain) is plain


@pytest.mark.parametrize(
    ("each", "more", "says"),
    [
        ("{header: X-A, query: b, values: [de]}", "pin: true", "exactly one of header, query"),
        ("{values: [de]}", "pin: true", "exactly one of header, query"),
        ("{header: X-A, values: [de, de]}", "pin: true", "each value once"),
        ("{header: X-A, values: []}", "pin: true", "values"),
        ("{header: X-A, values: [a/b]}", "pin: true", "letters, digits"),
        ("{header: X-A, values: [de], stop_all_when: 3}", "pin: true", "at most 2 segments"),
        ("{header: x-tenant, values: [de]}", "pin: true", "another key than 'x-tenant'"),
        (
            "{header: X-A, values: [de]}",
            "registry: {mlflow: {url: 'http://127.0.0.1:1', model: m}}",
            "no registry",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(each, more, says):
    with pytest.raises(PolicyError) as refused:
        policy(each, more)
    assert says in str(refused.value)
