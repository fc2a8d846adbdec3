"""Gates on late truth: auc, mae, business, trust; what they say and whom they convict."""

import json
import random

import pytest

from router.core.gates import GATES, GateContext
from router.core.gates.auc import WAITING_MAX, Couples, wrong
from router.core.gates.sample import NEVER, Detect, lost
from router.core.gates.verdict import Verdict
from router.core.logged.figures import auc
from router.core.wire.outcomes import Batch
from router.core.wire.ripe import Ripe, RipePair

FIELDS = {"auc": {}, "mae": {"largest": 60.0}, "business": {"most": 100.0}, "trust": {}}


def gate(kind, **fields):
    return GATES[kind].model_validate(FIELDS[kind] | fields)


def state(kind, **fields):
    return gate(kind, **fields).start(GateContext())


def feed(one, *ripe):
    one.observe(Batch("r", 1, matured=ripe))
    return one


def drawn(rng, quality, w=0.5):
    """One drawn request of each kind of truth; ``quality`` of the candidate, stable's is 0.9."""
    candidate = rng.random() < w
    good = rng.random() < (quality if candidate else 0.9)
    positive = rng.random() < 0.3
    return Ripe(
        weight_bp=round(w * 10_000), candidate=candidate, correct=good,
        error=rng.random() * (10.0 if good else 60.0), score=rng.random() + (positive == good),
        positive=positive, value=100.0 * good * rng.random(), accepted=good,
    )  # fmt: skip


@pytest.mark.parametrize("kind", sorted(FIELDS))
@pytest.mark.parametrize(("quality", "verdict"), [(0.9, Verdict.PASS), (0.4, Verdict.FAIL)])
def test_drawn_requests_convict_the_worse_one_alone(kind, quality, verdict):
    rng, one = random.Random(5), state(kind)
    feed(one, *(drawn(rng, quality) for _ in range(1_200)))
    assert (one.verdict is Verdict.FAIL) == (verdict is Verdict.FAIL), one.sentence()
    assert f"{one.candidate.total:,}" in one.sentence()


def test_pairs_need_no_coin():
    rng, auc, mae = random.Random(6), state("auc"), state("mae")
    for _ in range(150):
        truth = rng.random() < 0.3
        pair = RipePair(truth, None, None, 4.0, 30.0, rng.random() + truth, rng.random())
        feed(auc, Ripe(pairs=(pair,)))
        feed(mae, Ripe(pairs=(pair, pair._replace(candidate_error=20.0))))
    assert auc.verdict is mae.verdict is Verdict.FAIL
    assert "candidate off by 25, stable off by 4 in 150 labelled predictions" in mae.sentence()
    assert auc.candidate.total == auc.stable.total <= 50  # a couple needs a positive


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_a_truth_that_does_not_tell_is_none(kind):
    one = feed(state(kind), Ripe(5_000, candidate=True), Ripe(pairs=(RipePair(),)))
    assert (one.capital, one.candidate.total) == (1.0, 0)


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_snapshots_are_exact(kind):
    rng, left, right = random.Random(7), state(kind), state(kind)
    feed(left, *(drawn(rng, 0.7) for _ in range(50)))
    feed(left, Ripe(pairs=(RipePair(True, None, None, 4.0, 30.0, 0.5, 0.4),)))
    right.restore(json.loads(json.dumps(left.snapshot())))
    more = [drawn(rng, 0.7) for _ in range(20)]
    assert feed(right, *more).sentence() == feed(left, *more).sentence()
    assert right.capital == left.capital


def test_values_and_errors_beyond_the_range_count_as_its_ends():
    mae, business = state("mae"), state("business", least=0.0)
    assert mae.loss(Ripe(error=1e300)) == 1.0
    assert business.loss(Ripe(value=-5.0)) == 1.0
    assert business.loss(Ripe(value=1e9)) == 0.0
    assert business.shown(0.25) == "75 a prediction"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("mae", {"margin": 60.0}), ("business", {"least": 100.0}), ("business", {"margin": 100.0})],
)
def test_ranges_that_are_none_are_refused(kind, fields):
    with pytest.raises(ValueError, match="expected"):
        gate(kind, **fields)


def test_couples_are_made_in_order_and_once():
    couples = Couples()
    assert couples.add((1.0,), positive=True) is None
    assert couples.add((2.0,), positive=True) is None
    assert couples.add((0.5,), positive=False) == ((1.0,), (0.5,))
    assert couples.add((0.7,), positive=False) == ((2.0,), (0.7,))
    assert couples.add((0.9,), positive=False) is None
    assert couples.add((3.0,), positive=True) == ((3.0,), (0.9,))
    for _ in range(2 * WAITING_MAX):
        couples.add((0.0,), positive=True)
    assert len(couples.snapshot()[1]) == WAITING_MAX
    assert [wrong(2, 1), wrong(1, 2), wrong(1, 1)] == [0.0, 1.0, 0.5]


def test_the_couples_order_is_the_area_under_the_curve():
    """Against the area by ranks, which `make test-log` holds against scikit-learn."""
    rng, one, truths, scores = random.Random(8), state("auc"), [], []
    for _ in range(1_500):
        truth = rng.random() < 0.4
        score = round(rng.gauss(truth * 0.8, 1.0), 1)  # with ties
        truths.append(truth)
        scores.append(score)
        feed(one, Ripe(pairs=(RipePair(truth, None, None, None, None, score, score),)))
    ours, theirs = one.evidence.together.means()
    assert ours == theirs
    assert 1 - ours == pytest.approx(auc(truths, scores), abs=0.03)


def test_a_step_waits_for_as_many_as_convict():
    detect = Detect()
    assert lost(0, 0.0, detect, limit=200.0, min_bad=2) == NEVER
    many = [lost(w, 0.02, detect, limit=200.0, min_bad=2) for w in (500, 2_000, 5_000)]
    assert all(20 < n < 2_000 for n in many)
    one = state("trust")
    assert one.sample(detect, 5_000).wanted < NEVER
    assert one.sample(detect, 0).wanted == NEVER  # a copy is taken by nobody
    assert state("auc").sample(detect, 0).wanted < NEVER  # by pairs
