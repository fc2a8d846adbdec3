"""Shadows on the flights of 2013: real models, whose answers are always 200 and always in time.

The pairs are what the services would answer over the wire; the policy is the one of
``configs/shadow.yaml``'s kind. Status and latency see nothing wrong in any of these versions.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from prediction_services.dataset import load_table
from prediction_services.predictor import load_predictor
from prediction_services.wire import InferRequest, encode_v2
from router.core.gates.agreement import Agreement
from router.core.gates.guard import Guard
from router.core.gates.positive_rate import PositiveRate
from router.core.judge import Judge, JudgeSettings
from router.core.pairs.compare import Compare
from router.core.pairs.shadow import ShadowBook, Terms
from router.core.wire.baseline import Baseline
from router.core.wire.counts import PairSample
from router.core.wire.outcomes import Batch
from tests.core.pairs.judged import as_told, judged_by
from tests.models_cache import models_cache

PAIRS = 1_500
FOUND_WITHIN = 250
"""Pairs within which a broken version must be found; three times what this order of flights takes
at most."""
COMPARE = Compare.model_validate({"decide_on": ["predict"], "score": "predict_proba"})
GUARD = Guard.model_validate({"error_rate": "2%"})
AGREEMENT = Agreement.model_validate({"at_least": "95%"})
POSITIVE = PositiveRate.model_validate({"margin": "5%"})


@pytest.fixture(scope="session")
def cache() -> Path:
    """Shared with the tests of the services."""
    return models_cache()


@pytest.fixture(scope="session")
def answers(cache):
    """Bodies of one flight each, March to May in a random order, by version."""
    table = load_table(cache)
    rows = random.Random(2013).sample(range(table.first_row(3), table.first_row(6)), PAIRS)
    flights = [table.row_flight(row) for row in rows]
    known: dict[str, list[bytes]] = {}

    def of(version: str) -> list[bytes]:
        if version not in known:
            with threadpool_limits(1):  # OpenMP's threads wait for each other, busily
                scores = load_predictor(version, cache).scores(flights)
            requests = [InferRequest((flight,)) for flight in flights]
            known[version] = [
                encode_v2(request, [score], version)
                for request, score in zip(requests, scores, strict=True)
            ]
        return known[version]

    return of


def shadowed(answers, candidate: str, *gates, pairs_max=PAIRS):
    """The judge of a shadow of ``candidate`` after its pairs, and when it convicted (or None)."""
    judge = Judge(gates, JudgeSettings(), Baseline(), 0.0)
    book = ShadowBook(Terms("v2", candidate, COMPARE, "open_inference_v2"))
    found = None
    for number, bodies in enumerate(zip(answers("v2"), answers(candidate), strict=True), 1):
        if number > pairs_max:
            break
        sample = PairSample("r", candidate, 1, str(number), 200, 200, *bodies, primary_s=0.004,
                            shadow_s=0.004)  # fmt: skip
        pairs = book.add(sample, judged_by(book, sample), float(number))
        judge.observe(Batch("r", 1, pairs=pairs), float(number))
        if judge.conviction and found is None:
            found = number
    return judge, book, found


@pytest.mark.simulated
@pytest.mark.parametrize("candidate", ["broken-zero", "broken-seconds"])
@pytest.mark.parametrize("gate", [AGREEMENT, POSITIVE], ids=["agreement", "positive_rate"])
def test_a_broken_lookup_is_found_by_what_it_answers(answers, candidate, gate):
    judge, book, found = shadowed(answers, candidate, GUARD, gate, pairs_max=FOUND_WITHIN)
    print(f"{gate.title} convicts {candidate} after {found} pairs; {book}")
    assert found is not None
    assert judge.conviction.startswith(gate.title)
    guard = judge.states["guard"]
    assert (guard.candidate.bad, guard.candidate.total) == (0, FOUND_WITHIN)  # fast, 200, and wrong


@pytest.mark.simulated
def test_broken_zero_never_says_late(answers):
    _, book, _ = shadowed(answers, "broken-zero", GUARD, pairs_max=1_000)
    told = as_told(book)["versions"]["broken-zero"]
    assert told["positive"]["candidate"] == 0.0
    assert 0.15 < told["positive"]["stable"] < 0.25
    assert told["stricter"] == told["disagreed"] > 0.15 * 1_000
    assert told["latency"]["stable"] == told["latency"]["candidate"]
    assert len(told["worst"]) == 20
    assert told["worst"][0]["score_distance"] > 0.9


@pytest.mark.simulated
def test_the_better_model_passes_and_differs(answers):
    judge, book, found = shadowed(answers, "v3", GUARD, POSITIVE, Agreement())
    told = as_told(book)["versions"]["v3"]
    print(f"v3: {told['agreement']:.4f} agree, score {told['score']}, positive {told['positive']}")
    assert found is None
    assert 0.975 < told["agreement"] < 0.995
    assert judge.capital < 3.0  # not even held


@pytest.mark.simulated
def test_the_same_model_is_noticed_by_the_upper_border(answers):
    band = Agreement.model_validate({"at_least": "95%", "at_most": "99.5%"})
    judge, book, _ = shadowed(lambda _: answers("v2"), "v2-again", GUARD, band)
    assert book.candidate.agreement == 1.0
    assert judge.states["agreement"].capital > 100
