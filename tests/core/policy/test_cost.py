"""What a rollout will cost, and what monitors may keep it from, as `rampway plan` says it."""

import pytest

from router.config.check import loads
from router.core.policy.cost import costs
from router.core.policy.forecast import StepForecast
from router.core.policy.risk import watched

POLICY = """
routes:
  - name: r
    match: {{path: /r}}
    payload: json
    predictions: {{features: [age]}}
    {more}
    versions:
      v1: {{endpoints: ["http://127.0.0.1:1"], price: {{per_request: 0.001}}}}
      v2: {{endpoints: ["http://127.0.0.1:2", "http://127.0.0.1:3"]{price}}}
    stable: v1
    rollout:
      candidate: v2
      strategy:
        canary:
          steps: [{{mirror: 50%, until: {{samples: 1}}}}, {{weight: 10%, hold: 1h}}]
          bake: 1h
"""
PRICE = ", price: {per_request: 0.002, per_hour: 3}"


def route(price=PRICE, more=""):
    return loads(POLICY.format(price=price, more=more)).policy.routes[0]


def told(made, *lasting):
    found = [StepForecast(f"step {n}", seconds) for n, seconds in enumerate(lasting)]
    return list(costs(made, made.rollout.plan(), found, 10.0))


def test_copies_live_requests_and_endpoints_are_added_up():
    assert told(route(), 3_600.0, 3_600.0, 3_600.0) == [
        "copies cost 36.00 on top: 18,000 copies",
        "live requests cost 79.20 in place of 39.60: 39,600 requests",
        "2 endpoints beside stable's for 3h cost 18.00",
    ]


def test_what_never_ends_and_what_has_no_price_is_not_told():
    assert told(route(price=""), 60.0, 60.0, 60.0) == []
    assert told(route(), float("inf"), 0.0, 0.0) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("", []),
        ("monitors: {}", ["1 feature watched: data drift holds it"]),
        ("monitors: {on_drift: notify}", ["1 feature watched: data drift is told"]),
        ("monitors: {reference: t.csv}",
         ["it begins once traffic was compared with t.csv (500 sampled requests)",
          "1 feature watched: data drift holds it"]),
    ],
)  # fmt: skip
def test_what_monitors_may_keep_it_from_is_named(more, says):
    assert [one.partition(", nobody")[0] for one in watched(route(more=more))] == says


def test_tokens_are_priced_and_not_foreseen():
    said = told(route(", price: {per_1k_output_tokens: 0.002}"), 100.0, 3_600.0)
    assert next(text for text in said if text.startswith("tokens")) == (
        "tokens are not foreseen: of 4,100 copies and requests, each 1,000 tokens cost 0 in and "
        "0.002 out"
    )
