"""What a policy may say about clients, and what it is told when it says something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.config import loads
from router.config.problems import PolicyError

ROOT = Path(__file__).resolve().parents[3]
POLICY = """
listen: 127.0.0.1:8080
routes:
  - name: r
    payload: {payload}
    {key}: {value}
    versions: {{a: {{endpoints: ["http://127.0.0.1:9001"]}}}}
    stable: a
"""


def loaded(key, value, payload="json"):
    return loads(POLICY.format(key=key, value=value, payload=payload), "p.yaml")


def problem(key, value, payload="json"):
    with pytest.raises(PolicyError) as caught:
        loaded(key, value, payload)
    (one,) = caught.value.problems
    return one


@pytest.mark.parametrize(("value", "place", "said"), [
    ("{by: adress, rate: 1/s}", "by", "expected 'address', got 'adress'"),
    ("{by: [address], rate: 1/s}", "by", "expected a mapping, got a list"),
    ('{by: {header: "a b"}, rate: 1/s}', "by.header", "expected a field name"),
    ("{by: {header: A, kind: address}, rate: 1/s}", "by", "expected address, or a header such as"),
    ("{by: address}", "", "expected a bound: rate such as 10/s, or per_day"),
    ("{by: address, burst: 5, per_day: 7}", "", "expected rate with burst"),
    ("{by: address, rate: 10}", "rate", "expected a rate such as 10/s, 100/m or 1000/h, got 10"),
    ("{by: address, rate: 0/s}", "rate", "expected a rate above 0"),
    ("{by: address, rate: 0.001/h, burst: 1000000}", "", "that the rate fills again within 366d"),
    ("{by: address, per_hour: 3}", "per_hour", "expected a known key"),
])  # fmt: skip
def test_what_is_wrong_with_a_quota_is_said_at_its_place(value, place, said):
    one = problem("quota", value)
    assert said in one.message
    assert one.path == f"routes[0].quota{'.' if place else ''}{place}"


def test_a_quota_as_it_is_written():
    quota = loaded("quota", "{by: address, rate: 90/m}").policy.routes[0].quota
    assert (quota.rate, quota.at_once, quota.by.name) == (1.5, 1, "")
    quota = loaded("quota", "{by: {header: X-Key}, rate: 50/s}").policy.routes[0].quota
    assert (quota.at_once, quota.by.name) == (50, "x-key")
