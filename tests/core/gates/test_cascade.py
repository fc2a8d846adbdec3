"""What becomes of a version's answers in the routes that use them convicts it, kind by kind."""

from __future__ import annotations

import json
import random

import pytest
from pydantic import ValidationError

from router.core.gates.cascade import DRAWS_MAX, WITHOUT_MAE, Cascade, Met
from router.core.gates.gate import GateContext
from router.core.gates.sample import Detect
from router.core.gates.verdict import Verdict
from router.core.wire.fed import FedRequest
from router.core.wire.outcomes import Batch
from router.core.wire.ripe import Ripe
from router.core.wire.sampled import Facts, PredictedRow

EVEN = 5_000
MAE = {"ask": ["mae"], "mae": {"largest": 100.0, "margin": 1.0}}


def started(sticky=False, **written):
    gate = Cascade.model_validate(written)
    return gate.start(GateContext(limit=100.0, sticky=sticky))


def answered(draw, *, candidate, worse=""):
    """One request of the fed route, and its truth."""
    hurt = candidate and draw.random() < 0.5
    score = draw.random() * (0.5 if worse == "scores" and candidate else 1.0)
    positive = draw.random() < score
    said = score >= 0.5
    if worse == "classes" and hurt:
        said = True
    if worse in {"accuracy", "auc"} and hurt:
        score = 1.0 - score
    fault = "null" if worse == "nulls" and hurt else ""
    unit = draw.getrandbits(60)
    right = (score >= 0.5) == positive
    error = 30.0 if worse == "mae" and hurt else 10.0
    return (
        FedRequest("late", EVEN, candidate, unit, bad=worse == "errors" and hurt,
            missing=0.5 if worse == "inputs" and hurt else 0.0,
            facts=Facts((PredictedRow(str(said), score, fault),))),
        FedRequest("late", EVEN, candidate, unit, ripe=Ripe(
            EVEN, candidate, right, error, score, positive)),
    )  # fmt: skip


def run(state, requests, seed=3, **how):
    draw = random.Random(seed)
    for _ in range(requests):
        state.observe(Batch("r", 1, fed=answered(draw, candidate=draw.random() < 0.5, **how)))
        if state.verdict is Verdict.FAIL:
            break
    return state


@pytest.mark.parametrize(
    ("worse", "words"),
    [
        ("errors", "failed: candidate"), ("inputs", "features missing"), ("nulls", "faulty rows"),
        ("classes", "label True"), ("scores", "scores up to"), ("auc", "AUC"),
        ("accuracy", "wrong by label"), ("mae", "off by"),
    ],
)  # fmt: skip
def test_each_kind_of_suffering_is_found(worse, words):
    written = MAE if worse == "mae" else {"ask": [worse]}
    state = run(started(**written), 1_500, worse=worse)
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("late, by who made its input: ")
    assert words in state.sentence()
    assert "late, which it feeds" in state.plain()


def test_all_questions_together_find_it_too_and_spare_what_harms_nobody():
    assert run(started(), 1_500, worse="errors").verdict is Verdict.FAIL
    fine = run(started(), 150)
    assert fine.verdict is Verdict.PASS
    assert fine.capital < 3.0
    assert fine.stable.total + fine.candidate.total > 50


def test_a_draw_counts_once_however_many_requests_use_what_it_made():
    state = started(ask=["errors"])
    one = FedRequest("late", EVEN, True, 7, bad=True)
    state.observe(Batch("r", 1, fed=(one,) * 500))
    assert state.candidate.total == 1
    assert state.capital < 3.0


def test_each_route_has_a_part_and_what_is_left_stays_aside():
    state = started(ask=["errors"])
    for route in ("b", "c"):
        state.observe(Batch("r", 1, fed=(FedRequest(route, EVEN, True, 1, bad=False),)))
    assert state.routes == ["b", "c"]
    assert state.capital == pytest.approx(
        0.5 * state.asked[0].capital + 0.25 * state.asked[1].capital + 0.25
    )
    for n in range(20):
        state.observe(Batch("r", 1, fed=(FedRequest(f"more{n}", EVEN, True, 1, bad=True),)))
    assert len(state.routes) == 8


def test_what_no_coin_decided_bets_nothing():
    state = started()
    state.observe(Batch("r", 1, fed=(FedRequest("late", 10_000, True, 1, bad=True),)))
    assert state.capital == 1.0
    assert state.verdict is Verdict.PENDING
    assert "whose input was drawn by the coin" in state.plain()


@pytest.mark.parametrize("written", [{}, MAE])
def test_a_snapshot_goes_on_exactly(written):
    before, after = started(**written), started(**written)
    run(before, 40)
    after.restore(json.loads(json.dumps(before.snapshot())))
    for state in (before, after):
        run(state, 40, seed=5, worse="scores")
    assert after.snapshot() == before.snapshot()
    assert after.capital == before.capital


def test_a_step_waits_for_what_is_fed_and_for_truths_that_are_named():
    detect = Detect()
    state = started()
    nothing = state.sample(detect, EVEN)
    assert nothing.seen == 0
    assert 20 < nothing.wanted < 2_000
    run(state, 150)
    assert state.sample(detect, EVEN).left < nothing.wanted
    waits = started(ask=["errors", "auc"])
    draw = random.Random(1)
    for _ in range(200):
        told = answered(draw, candidate=draw.random() < 0.5)[0]
        waits.observe(Batch("r", 1, fed=(told,)))
    assert waits.sample(detect, EVEN).left > 0
    assert waits.sample(detect, 10_000).wanted == 0


def test_a_name_that_no_answer_has_holds():
    state = started(ask=["scores"])
    missing = Facts((PredictedRow(None, None, "missing"),))
    for n in range(120):
        told = FedRequest("late", EVEN, n % 2 == 0, n, facts=missing)
        state.observe(Batch("r", 1, fed=(told,)))
    assert state.held
    assert "holds" in state.sentence()


def test_draws_are_forgotten_where_requests_are_drawn_and_never_where_users_are():
    for rotates in (True, False):
        met = Met(rotates=rotates)
        assert met.add(1, 0)
        met.known = DRAWS_MAX - 1
        assert met.add(2, 0)
        assert not met.add(1, 0)
        met.known = DRAWS_MAX - 1
        assert met.add(3, 0)
        assert met.add(1, 0) is rotates


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"ask": ["mae"]}, "expected mae"),
        ({"mae": {"largest": 5.0}}, "expected mae in ask"),
        ({"ask": ["auc", "auc"]}, "each question once"),
        ({"ask": []}, "at least 1 item"),
        ({"ask": ["mae"], "mae": {"largest": 1.0, "margin": 1.0}}, "margin below largest"),
    ],
)
def test_what_cannot_be_asked_is_refused(written, why):
    with pytest.raises(ValidationError, match=why):
        Cascade.model_validate(written)


def test_absent_everything_but_mae_is_asked():
    assert Cascade().ask == WITHOUT_MAE
    assert not Cascade().waits_for("auc")
