"""What Envoy does not carry is said before it is started, with the place and the way out."""

import pytest

from router.config.check import loads
from router.config.problems import PolicyError

BASE = """
engine: envoy
{top}
routes:
  - name: r
    match: {{path: /*{match}}}
{route}
    versions:
      v1: {{endpoints: [http://127.0.0.1:9001]{version}}}
      v2: {{endpoints: [http://127.0.0.1:9002]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{canary: {{steps: [{{weight: 5%, hold: 1m}}]}}}}
{rollout}
"""


def said(**parts):
    text = BASE.format(
        **({"top": "", "match": "", "route": "", "version": "", "rollout": ""} | parts)
    )
    try:
        loads(text)
    except PolicyError as error:
        return [(problem.path, problem.message, problem.hint) for problem in error.problems]
    return []


@pytest.mark.parametrize("payload", ["open_inference_grpc", "tensorflow_grpc"])
def test_who_reads_calls_gets_none_without_it(payload):
    text = BASE.format(top="", match="", route=f"    payload: {payload}", version="", rollout="")
    about = f"gets gRPC, which {payload} reads"
    assert not [one for one in loads(text).warnings if about in one.message]
    elsewhere = loads(text.replace("engine: envoy", "")).warnings
    (told,) = [one for one in elsewhere if about in one.message]
    assert told.hint == "write engine: envoy"


def test_what_it_carries_is_taken():
    route = "    sticky: {header: X-User-Id}\n    pin: true\n    payload: json\n"
    rules = "    rules: [{match: {headers: {x-beta: '1'}, query: {a: b}}, version: v2}]"
    rollout = (
        "      rescue: {on: [5xx, timeout, connect]}\n      gates: [error_rate, guard, latency]"
    )
    assert said(route=route + rules, rollout=rollout) == []


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"top": "tls: {certificate: a, key: b}"}, "tls"),
        ({"top": "trusted_proxies: [10.0.0.0/8]"}, "trusted_proxies"),
        ({"top": "access_log: true"}, "access_log"),
        ({"top": "traces: {}"}, "traces"),
        ({"route": "    sticky: {json: user.id}"}, "sticky.json"),
        ({"route": "    sticky: {cookie: {secret: 0123456789abcdef}}"}, "sticky.cookie"),
        ({"route": "    log: {}\n    payload: json"}, "log"),
        ({"route": "    upgrade: websocket"}, "upgrade"),
        ({"route": "    quota: {rate: 5/s, by: address}"}, "quota"),
        ({"route": "    cache: {ttl: 1m}"}, "cache"),
        ({"route": "    body_limit: 1MiB"}, "body_limit"),
        ({"route": "    timeouts: {first_token: 1s}"}, "timeouts.first_token"),
        ({"match": ", cookies: {a: b}"}, "match.cookies"),
        ({"match": ", body: {a: b}"}, "match.body"),
        ({"version": ", set: {model: a}"}, "set"),
        ({"rollout": "      rescue: {on: [5xx], excuse_payload: true}"}, "rescue.excuse_payload"),
        ({"rollout": "      compare: {reverse: 5%}"}, "compare.reverse"),
    ],
)
def test_what_it_does_not_carry_is_refused_with_its_place(parts, place):
    found = [one for one in said(**parts) if "engine: envoy" in one[1]]
    assert any(place in message for _, message, _ in found), said(**parts)
    assert all("engine: built-in" in hint for _, _, hint in found)


def test_the_built_in_plane_takes_all_of_that():
    text = BASE.format(
        top="trusted_proxies: [10.0.0.0/8]", match="", route="    upgrade: websocket", version="",
        rollout="",
    ).replace("engine: envoy", "engine: built-in")  # fmt: skip
    assert loads(text).policy.engine == "built-in"


PREDICTS = """    payload: open_inference_v2
    predictions: {label: p, score: y}
    sticky: {header: X-User-Id}"""


@pytest.mark.parametrize(
    "gate", ["nulls: {}", "classes: {}", "scores: {}", "fairness: {by: {header: a}}"]
)
def test_gates_on_live_predictions_are_taken(gate):
    assert said(route=PREDICTS, rollout=f"      gates: [error_rate, {{{gate}}}]") == []


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ("streams: {gap: 1s}", "does not time the pieces of answers"),
        ("accuracy: {}", "puts no receipt into answers"),
        ("business: {}", "puts no receipt into answers"),
        ("cascade: {}", "puts no mark into answers"),
    ],
)
def test_gates_that_need_something_in_answers_are_refused_with_the_reason(gate, why):
    found = said(route=PREDICTS, rollout=f"      gates: [error_rate, {{{gate}}}]")
    kind = gate.partition(":")[0]
    assert any(why in message and kind in message for _, message, _ in found), found
