"""Truths by segment: what is bad for a few is found, and nobody pays more than before."""

import json
import random

import pytest

from router.core.gates import GATES, GateContext
from router.core.gates.by import SEGMENTS_MAX
from router.core.gates.verdict import Verdict
from router.core.wire.outcomes import Batch
from router.core.wire.ripe import Ripe, RipePair

FIELDS = {
    "accuracy": {}, "auc": {}, "mae": {"largest": 60.0}, "business": {"most": 100.0}, "trust": {},
}  # fmt: skip


def state(kind, **fields):
    gate = GATES[kind].model_validate(FIELDS[kind] | {"by": {"header": "X-Country"}} | fields)
    return gate.start(GateContext())


def drawn(rng, segment, bad):
    """One drawn request; the candidate's is bad in the ``bad`` segment."""
    candidate = rng.random() < 0.5
    good = rng.random() < (0.2 if candidate and segment == bad else 0.9)
    positive = rng.random() < 0.4
    return Ripe(5_000, candidate, good, 5.0 if good else 55.0, rng.random() + (positive == good),
                positive, 100.0 * good, good, segment=segment)  # fmt: skip


def feed(one, rng, requests, bad=""):
    for _ in range(requests):
        segment = "FR" if rng.random() < 0.1 else "DE"
        one.observe(Batch("r", 1, matured=(drawn(rng, segment, bad),)))
    return one


@pytest.mark.parametrize("kind", FIELDS)
def test_one_bad_segment_convicts_and_is_named(kind):
    one = feed(state(kind), random.Random(3), 6_000, "FR")
    assert one.verdict is Verdict.FAIL, one.sentence()
    assert one.sentence().startswith("X-Country FR: ")
    assert "where X-Country is FR" in one.plain()
    assert one.leading[1].candidate.total < 1_000


@pytest.mark.parametrize("kind", FIELDS)
def test_equal_ones_pass_and_snapshots_are_exact(kind):
    left, right = feed(state(kind), random.Random(4), 500), state(kind)
    assert left.verdict is Verdict.PASS, left.sentence()
    right.restore(json.loads(json.dumps(left.snapshot())))
    assert right.capital == left.capital
    assert (
        feed(right, random.Random(5), 50).sentence() == feed(left, random.Random(5), 50).sentence()
    )


def test_pairs_are_told_apart_too_and_their_number_is_bounded():
    one, wrong = state("accuracy"), RipePair(True, stable_correct=True, candidate_correct=False)
    for n in range(SEGMENTS_MAX + 5):
        one.observe(Batch("r", 1, matured=(Ripe(pairs=(wrong,), segment=f"s{n}"),)))
    assert len(one.parts) == SEGMENTS_MAX + 1
    assert one.parts[-1].candidate.bad == 5


def test_a_header_that_no_request_has_holds():
    """A typo must not switch segments off; what has it late lets go."""
    one = state("trust")
    for _ in range(120):
        one.observe(Batch("r", 1, matured=(drawn(random.Random(1), "", ""),)))
    assert (one.held, one.verdict) == (True, Verdict.PENDING)
    assert one.sentence().startswith("none of 120 requests had the header X-Country, which tells")
    assert not feed(one, random.Random(2), 1).held


def test_capital_begins_at_one_and_features_are_refused():
    assert state("trust").capital == 1.0
    with pytest.raises(ValueError, match=r"by: \{header"):
        state("mae", by={"feature": "carrier"})
