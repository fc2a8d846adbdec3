"""What a policy may say about clients, and what it is told when it says something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.config import load, loads
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


@pytest.mark.parametrize(("more", "place", "said"), [
    ("{v1: v1}", "['v1']", "expected a path that begins with /"),
    ("{/v1/*: v7}", "./v1/*", "expected one of opaque, v1"),
    ("{/v3/*: v1}", "./v3/*", "expected a path that the route takes (/v2/*), got /v3/*"),
])  # fmt: skip
def test_what_is_wrong_with_the_payload_of_a_path(more, place, said):
    one = problem("payload_paths", f"{more}\n    match: {{path: /v2/*}}")
    assert said in one.message


def test_inputs_are_readable_on_every_path():
    one = problem("inputs", "{refuse: {missing: [a]}}\n    payload_paths: {/a: csv}")
    assert "expected a payload whose requests can be read, got csv" in one.message


def test_a_quota_as_it_is_written():
    quota = loaded("quota", "{by: address, rate: 90/m}").policy.routes[0].quota
    assert (quota.rate, quota.at_once, quota.by.name) == (1.5, 1, "")
    quota = loaded("quota", "{by: {header: X-Key}, rate: 50/s}").policy.routes[0].quota
    assert (quota.at_once, quota.by.name) == (50, "x-key")


@pytest.mark.parametrize(("key", "value", "place", "said"), [
    ("answers", "{}", "", "expected round, such as 2, or drop"),
    ("answers", "{round: 16}", ".round", "15"),
    ("answers", "{round: 2.5}", ".round", "whole number"),
    ("answers", "{round: 2, otherwise: drop}", ".otherwise", "expected 'refuse' or 'pass'"),
    ("inputs", "{refuse: {}}", ".refuse", "expected at least one of type, range, missing"),
    ("inputs", "{refuse: {missing: [a]}, then: 400}", ".then",
     "expected 422, stable or review, got 400"),
    ("inputs", "{refuse: {type: {a: integer}}}", ".refuse.type.a", "expected 'number'"),
    ("inputs", "{refuse: {range: {a: [9, 1]}}}", ".refuse.range.a", "the lower bound first"),
    ("inputs", "{refuse: {range: {a: [9]}}}", ".refuse.range.a", "expected"),
    ("extraction", "{by: address}", "", "expected distinct, such as 10000, or near"),
    ("extraction", "{by: address, distinct: 9}", ".distinct", "100"),
    ("extraction", "{by: address, near: {}}", ".near.score", "which is required"),
    ("extraction", "{by: address, distinct: 100, window: 5s}", ".window", "1m"),
    ("fallback", "{}", "", "expected answer, such as ${file:answer.json}, or table"),
    ("fallback", "{answer: 'no JSON'}", "", "answer: expected JSON"),
    ("fallback", "{table: '[]', by: {header: A}}", "", "table: expected a JSON object"),
    ("fallback", "{table: '{', by: {header: A}}", "", "table: expected JSON"),
    ("fallback", "{table: '{\"a\": 1}'}", "", "expected table and by together"),
    ("fallback", "{table: '{\"a\": 1}', by: {}}", ".by", "expected exactly one of header, json"),
    ("fallback", "{answer: a, content_type: 'x y'}", ".content_type", "expected a media type"),
])  # fmt: skip
def test_what_is_wrong_with_the_others_is_said_at_its_place(key, value, place, said):
    one = problem(key, value)
    assert said in one.message
    assert one.path == f"routes[0].{key}{place}"


def test_inputs_need_a_payload_in_which_fields_are_found():
    one = problem("inputs", "{refuse: {missing: [a]}}", "opaque")
    assert "expected a payload whose requests can be read, got opaque" in one.message


@pytest.mark.parametrize(("versions", "log", "said"), [
    ("", "log: {}", "expected one version of people for review, got 0"),
    ("desk: {person: true}, ", "", "expected log where desk reviews and has no endpoints"),
    ("desk: {person: true}, ", "log: {}", ""),
    ('desk: {person: true, endpoints: ["http://127.0.0.1:9002"]}, ', "", ""),
])  # fmt: skip
def test_review_is_by_people_who_can_see_what_they_are_asked(versions, log, said):
    text = POLICY.format(key="inputs", value="{refuse: {missing: [a]}, then: review}",
                         payload="json")  # fmt: skip
    text = text.replace("versions: {", f"versions: {{{versions}")
    text = text.replace("    stable", f"    {log}\n    stable")
    if said:
        with pytest.raises(PolicyError, match=said):
            loads(text, "p.yaml")
    else:
        assert loads(text, "p.yaml").policy.routes[0].inputs.then == "review"


def test_streams_and_shaped_answers_are_warned_of():
    (warning,) = loaded("answers", "{round: 2}", "openai").warnings
    assert "streamed answers are no JSON document" in warning.message
    assert not loaded("answers", "{round: 2, otherwise: pass}", "openai").warnings


def test_a_fallback_from_a_file(tmp_path):
    (tmp_path / "t.json").write_text('{"ann": {"score": 0.5}, "bob": null}\n')
    policy = tmp_path / "p.yaml"
    value = '{table: "${file:t.json}", by: {json: user.id}, answer: a b, content_type: text/plain}'
    policy.write_text(POLICY.format(key="fallback", value=value, payload="json"))
    fallback = load(policy).policy.routes[0].fallback
    assert fallback.answers() == {"ann": '{"score": 0.5}', "bob": "null"}
    assert fallback.answer == "a b"


def test_a_score_needs_a_payload_that_answers_are_read_by():
    one = problem("extraction", "{by: address, near: {score: p}}", "opaque")
    assert "opaque has no score" in one.message
