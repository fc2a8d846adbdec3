"""The verdict from an access log is the router's own, whoever wrote the log."""

import json
import random

import pytest

from router.cli.found import log_found
from router.config import loads
from router.core.judge import Judge, JudgeSettings
from router.core.rollout.events import Action
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.simulation.access_log import Logged, read_lines
from router.simulation.judge_log import USERS_MAX, InOrder, LogJudge
from router.telemetry.recorder import unit_of
from router.telemetry.users import BUCKETS

POLICY = """
routes:
  - name: a
    match: {path: /*}
    STICKY
    versions:
      v1: {endpoints: [http://127.0.0.1:1]}
      v2: {endpoints: [http://127.0.0.1:2]}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 10%, hold: 1h}], bake: 1h}}
      gates: GATES
"""


def judge(gates="[error_rate, guard]", sticky="", **more):
    text = POLICY.replace("GATES", gates).replace("STICKY", sticky)
    (route,) = loads(text).policy.routes
    more = {"stable": "v1", "candidate": "v2", "weight_bp": 1_000} | more
    return LogJudge(route, route.rollout, **more)


def read(judge, entries):
    judge.take(entries)
    judge.finish()


def requests(number, candidate_rate, *, stable_rate=0.01, seed=1, weight=0.1, slower=1.0):
    """(second, version, status, seconds) of a split by a coin."""
    draw = random.Random(seed)
    for i in range(number):
        version = "v2" if draw.random() < weight and i > number / 10 else "v1"
        rate, slow = (candidate_rate, slower) if version == "v2" else (stable_rate, 1.0)
        yield i * 0.02, version, 503 if draw.random() < rate else 200, draw.uniform(0.1, 0.2) * slow


def nginx(at, version, status, seconds):
    time = f"10/Oct/2025:13:{55 + int(at) // 60:02d}:{int(at) % 60:02d} +0000"
    return (
        f'127.0.0.1 - - [{time}] "POST /v2/x HTTP/1.1" {status} 23 "-" "curl" '
        f"version={version} request_time={seconds:.3f}"
    )


def envoy(at, version, status, seconds):
    return json.dumps({
        "start_time": f"2025-10-10T13:{55 + int(at) // 60:02d}:{at % 60:06.3f}Z",
        "response_code": status, "duration": round(seconds * 1000), "upstream_cluster": version,
    })  # fmt: skip


def own(at, version, status, seconds):
    outcome = "ok" if status < 500 else "server_error"
    return json.dumps({
        "event": "request", "timestamp": 1760104500 + at, "route": "a", "version": version,
        "status": status, "outcome": outcome, "ms": seconds * 1000, "rescued": False,
        "weight_bp": 1_000 if at > 18.0 else None,
    })  # fmt: skip


@pytest.mark.simulated
@pytest.mark.parametrize(
    ("write", "candidate_rate", "number", "verdict"),
    [
        (nginx, 0.01, 9_000, "pass"), (nginx, 0.3, 2_000, "fail"),
        (envoy, 1.0, 2_000, "fail"), (own, 0.3, 2_000, "fail"),
    ],
)  # fmt: skip
def test_logs_of_three_writers_give_the_verdict(write, candidate_rate, number, verdict):
    j = judge()
    read(j, read_lines(write(*one) for one in requests(number, candidate_rate)))

    found = j.verdict()
    assert found.verdict == verdict
    assert found.skipped == 0
    assert sum(found.requests.values()) == number


def test_it_is_the_sentence_of_the_router():
    lines = list(requests(3_000, 0.3))
    j = judge()
    read(j, read_lines(envoy(*one) for one in lines))
    (route,) = loads(
        POLICY.replace("GATES", "[error_rate, guard]").replace("STICKY", "")
    ).policy.routes
    first = next(i for i, one in enumerate(lines) if one[1] == "v2")
    past = lines[:first]
    baseline = Baseline(len(past), sum(status >= 500 for _, _, status, _ in past), (), 50.0)
    router = Judge(
        route.rollout.gates, JudgeSettings.of(route.rollout, sticky=False), baseline, 0.0
    )
    for at, version, status, _ in lines[first:]:
        arm = ArmCounts(int(status < 500), int(status >= 500), arrived=1)
        both = (arm, ArmCounts()) if version == "v2" else (ArmCounts(), arm)
        router.observe(Batch("a", 1, (Cell(1_000, *both),)), at)

    assert router.tick(lines[-1][0]) is Action.ROLLBACK
    assert j.verdict().sentence == router.judgement().sentence


@pytest.mark.simulated
def test_a_slow_candidate_is_seen_where_times_are_logged():
    j = judge("[latency]")
    read(j, read_lines(envoy(*one) for one in requests(9_000, 0.01, slower=2.0)))
    assert j.verdict().verdict == "fail"


def test_too_little_is_no_pass():
    j = judge()
    read(j, read_lines(envoy(*one) for one in requests(500, 0.0, stable_rate=0.0)))
    found = j.verdict()
    assert found.verdict == "pending"
    assert "not enough yet: error_rate has" in found.sentence
    assert log_found(found).value == 0


@pytest.mark.parametrize(
    ("entries", "more", "said"),
    [
        ([], {}, "no line is of v2"),
        ([Logged(1.0, 200, version="v2")], {"weight_bp": None}, "no weight"),
        ([Logged(1.0, 200, version="v2")], {"weight_bp": 10_000}, "no line is of v1"),
        ([None], {}, "no line is of v2"),
        ([Logged(1.0, 200, version="v2", route="b")], {}, "no line is of v2"),
    ],
)
def test_what_cannot_be_judged_is_said(entries, more, said):
    j = judge(**more)
    read(j, entries)
    assert said in j.verdict().sentence
    assert j.verdict().verdict == "pending"


def test_a_user_counts_once_where_users_are_split():
    j = judge(sticky="sticky: {header: X-User-Id}")
    read(j, (Logged(float(i), 200 if i else 503, version="v2", user="bob") for i in range(50)))
    read(j, [Logged(60.0, 503, version="v2")])
    assert j.verdict().judgement.reports[0].candidate.total == 1
    assert len(j.users) == 1


def test_places_of_users_are_those_of_a_worker():
    assert USERS_MAX == BUCKETS
    j = judge(sticky="sticky: {header: X-User-Id}")
    read(j, [Logged(1.0, 200, version="v2", user="bob")])
    read(j, [Logged(2.0, 200, version="v2", user=f"{unit_of(b'bob'):016x}")])
    assert len(j.users) == 1


def test_lines_are_judged_in_the_order_in_which_they_were_drawn():
    """Fast failures are logged before slow successes that were drawn before them."""
    ordered, out = InOrder(), []
    for end, seconds in ((10.0, 2.0), (10.1, 0.1), (10.6, 0.1), (12.0, 1.9), (12.3, 0.1)):
        out += ordered.put(Logged(end, 200, seconds))
    out += ordered.rest()
    assert [one.began_s for one in out] == pytest.approx([8.0, 10.0, 10.1, 10.5, 12.2])


@pytest.mark.parametrize("good", [0, 1, 10, 48])
def test_a_few_good_answers_of_stable_before_the_split_slow_no_verdict(good):
    j = judge("[error_rate, guard]", weight_bp=3_000)
    read(j, [*(Logged(i * 0.1, 200, 0.01, "v1", weight_bp=0) for i in range(good)),
             *(Logged(10 + i * 0.1, *((500, 0.01, "v2") if i % 3 == 2 else (200, 0.01, "v1")))
               for i in range(12))])  # fmt: skip
    assert j.verdict().verdict == "fail"


def test_refusals_and_answers_with_nothing_in_them_are_the_gates_business():
    j = judge()
    read(j, (Logged(i * 0.02, 422 if i % 10 == 0 else 200, 0.01, "v2" if i % 10 == 0 else "v1")
             for i in range(3_000)))  # fmt: skip
    assert j.verdict().verdict == "fail"


def test_a_rescued_request_is_the_candidates_failure_and_a_client_that_left_nobodys():
    j = judge()
    read(j, [Logged(1.0, 200, version="v1", rescued=True), Logged(2.0, 499, version="v2")])
    assert j.verdict().judgement.reports[0].candidate.bad == 1


def test_other_names_of_the_fields():
    (entry,) = read_lines(
        ['{"ts": 1, "code": 200, "v": "blue", "uid": 7, "weight": "2.5%"}'],
        {"status": "code", "version": "v", "user": "uid"},
    )
    assert entry == Logged(1.0, 200, version="blue", user="7", weight_bp=250)


@pytest.mark.parametrize(
    "line", ["", "x", "{", "[]", '{"ts": 1e999, "status": 200}', '{"ts": 1, "status": null}',
             '{"ts": 1, "status": 200, "seconds": "soon"}']
)  # fmt: skip
def test_lines_that_are_none(line):
    assert list(read_lines([line])) == [None]
