"""Pairs of several rows: what two batches say, and what gates on pairs make of it."""

from __future__ import annotations

import json
import random

import pytest

from router.control.told.paired import shadow_brief
from router.core.gates import GateContext
from router.core.gates.agreement import Agreement
from router.core.gates.by import SegmentKeys
from router.core.gates.nulls import Nulls
from router.core.gates.positive_rate import PositiveRate
from router.core.gates.verdict import Verdict
from router.core.pairs.compare import Compare
from router.core.pairs.rows import row_of, with_features
from router.core.pairs.shadow import ShadowBook, Terms, evidence, together
from router.core.predictions.rows import Declared
from router.core.wire.counts import PairSample
from router.core.wire.outcomes import Batch, Pairs
from router.core.wire.paired import PairRows
from tests.core.pairs.judged import judged

DECLARED = Declared(label="predict", score="p", range=(0.0, 1.0))
COMPARE = Compare(decide_on=("predict",), score="p")


def answer(scores, labels=None):
    labels = [int((s or 0) >= 0.5) for s in scores] if labels is None else labels
    n = len(scores)
    return json.dumps({"outputs": [
        {"name": "predict", "shape": [n, 1], "datatype": "INT64", "data": labels},
        {"name": "p", "shape": [n, 2], "datatype": "FP64",
         "data": [x for s in scores for x in (None if s is None else 1 - s, s)]},
    ]}).encode()  # fmt: skip


def pair(stable, candidate, declared=DECLARED, compare=COMPARE, payload="open_inference_v2"):
    bodies = [one if isinstance(one, bytes) else answer(one) for one in (stable, candidate)]
    return judged(
        Terms("v1", "v2", compare, payload, declared=declared),
        PairSample("r", "v2", 1, "id", 200, 200, *bodies),
    )


def rows(*scores, **more):
    found = pair(*scores, **more).comparison.rows
    return [(r.agreed, r.change, None if r.moved is None else round(r.moved, 3)) for r in found]


def test_each_row_has_its_label_and_its_score():
    assert rows([0.9, 0.2, 0.4], [0.8, 0.7, 0.1]) == [
        (True, 0, -0.1), (False, 1, 0.5), (True, 0, -0.3),
    ]  # fmt: skip
    assert rows([0.9], [0.9]) == [(True, 0, 0.0)]


def test_a_score_that_is_gone_is_no_move_and_a_fault():
    (row,) = pair([0.2], [None]).comparison.rows
    assert (row.agreed, row.moved, row.candidate.fault) == (True, None, "null")


def test_rows_that_one_answer_lacks_differ():
    assert [r[0] for r in rows([0.9, 0.2], [0.9])] == [True, False]
    assert [r[0] for r in rows([0.9], [0.9, 0.9, 0.9])] == [True, False, False]


def test_without_a_declaration_rows_are_places_of_lists():
    plain = {"declared": Declared(), "compare": Compare(score="p", decide_on=("predict",))}
    assert rows([0.9, 0.2], [0.9, 0.7], **plain) == [(True, 0, None), (False, 1, None)]
    assert rows([0.9], [0.2], **plain) == []
    v1 = {"declared": Declared(), "compare": Compare(), "payload": "v1"}
    found = rows(b'{"predictions": [1, 2, 3]}', b'{"predictions": [1, 2, 4]}', **v1)
    assert [r[0] for r in found] == [True, True, False]
    lines = {"declared": Declared(), "compare": Compare(), "payload": "json"}
    found = rows(b'{"a": 1}\n{"a": 2}', b'{"a": 1}\n{"a": 3}', **lines)
    assert [r[0] for r in found] == [True, False]


def test_what_has_no_row_is_in_every_row():
    json_rows = {
        "declared": Declared(label="rows.y"), "payload": "json",
        "compare": Compare(decide_on=("rows.y", "v")),
    }  # fmt: skip
    one = b'{"v": 1, "rows": [{"y": 1}, {"y": 2}]}'
    assert [r[0] for r in rows(one, one.replace(b'"v": 1', b'"v": 2'), **json_rows)] == [False] * 2
    assert [r[0] for r in rows(one, one.replace(b"2}", b"3}"), **json_rows)] == [True, False]
    assert row_of("v", 2) is None
    assert row_of("rows[999999]", 2) is None


def test_answers_in_which_nothing_decides_do_not_agree():
    found = pair(b"{}", b"{}", declared=Declared(), compare=Compare(), payload="json")
    assert (found.result, found.why) == ("unusable", "nothing in the answers decides")


def observed(gate, *pairs):
    state = gate.start(GateContext())
    for one in pairs:
        state.observe(Batch("r", 1, pairs=evidence(one, False)))
    return state


def batches(rnd, wrong, count=32, requests=40):
    """Pairs of so many rows, of which the candidate has a share the other way round."""
    for _ in range(requests):
        scores = [rnd.random() for _ in range(count)]
        yield pair(scores, [1 - s if rnd.random() < wrong else s for s in scores])


def test_a_better_model_that_gets_32_rows_a_request_stays():
    """Measured before rows were the unit: taken back after 13 pairs, for 0.98 ** 32 is 52 %."""
    state = observed(Agreement(at_least="95%"), *batches(random.Random(1), 0.02, requests=60))
    assert state.verdict is Verdict.PASS
    assert "of 1,920 (" in state.sentence()
    assert "compared rows" in state.sentence()


def test_one_that_is_wrong_in_a_fifth_of_the_rows_goes():
    state = observed(Agreement(at_least="95%"), *batches(random.Random(1), 0.2))
    assert state.verdict is Verdict.FAIL


def test_rows_of_one_request_are_one_bet():
    """However many rows the only bad request has, it is one event."""
    gate = Agreement(at_least="95%")
    one = observed(gate, pair([0.1], [0.9])).capital
    many = observed(gate, pair([0.1] * 256, [0.9] * 256)).capital
    assert many == pytest.approx(one)


def test_scores_that_lie_apart_fail_where_labels_agree_often_enough():
    rnd = random.Random(2)
    stale = [pair([s], [rnd.random() if rnd.random() < 0.1 else s])
             for s in (rnd.random() ** 3 for _ in range(900))]  # fmt: skip
    gate = Agreement(at_least="90%", apart="50%")
    state = observed(gate, *stale)
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("scored more than 50 % of the range away from stable: ")
    assert "far from" in state.plain()
    assert observed(Agreement(at_least="90%"), *stale).verdict is Verdict.PASS
    lost = [pair([0.2], [None]) for _ in range(20)]
    assert observed(gate, *lost).verdict is Verdict.FAIL


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_mean_score_that_moves_fails_although_labels_stay(factor):
    rnd = random.Random(3)
    gate = PositiveRate(score_margin="1%")
    moved = [pair([s], [s * factor]) for s in (0.45 * rnd.random() for _ in range(300))]
    state = observed(gate, *moved)
    assert state.verdict is Verdict.FAIL
    way = "above" if factor > 1 else "below"
    assert f"of the range {way} stable's in the mean of 300" in state.sentence()
    assert "of the range" in state.plain()
    assert state.stable.bad == 0
    assert observed(PositiveRate(), *moved).verdict is Verdict.PASS
    again = gate.start(GateContext())
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert (again.capital, again.sentence()) == (state.capital, state.sentence())


def test_positive_rows_of_a_request_are_one_bet_by_their_share():
    state = observed(PositiveRate(), *[pair([0.1, 0.1], [0.9, 0.1])] * 40)
    assert state.verdict is Verdict.FAIL
    assert "alone: 40, by stable alone: 0 of 80 compared rows" in state.sentence()


def test_a_name_that_no_answer_has_holds():
    compare = Compare(decide_on=("predict", "prediction"), score="p")
    same = [pair([0.1], [0.1], compare=compare)] * 99
    gate = Agreement(at_least="95%")
    assert not observed(gate, *same).held
    state = observed(gate, *same, same[0])
    assert state.held
    assert state.verdict is Verdict.PENDING
    assert "no answer of 100 has prediction" in state.sentence()
    again = gate.start(GateContext())
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert again.held
    assert not observed(gate, *same, pair([0.1], [0.1]), same[0]).held
    unscored = {"declared": Declared(score="b"), "compare": Compare(), "payload": "json"}
    silent = observed(PositiveRate(), *[pair(b'{"a": 1}', b'{"a": 1}', **unscored)] * 100)
    assert silent.held
    assert "no answer of 100 has a score" in silent.sentence()


def test_sums_keep_rows_in_order_and_names_that_all_lack():
    first, second = (evidence(pair([s], [0.9]), False) for s in (0.1, 0.8))
    total = together([first, Pairs(failed=1), second])
    assert [one.rows[0].stable.score for one in total.rows] == [0.1, 0.8]
    assert (total.agreed, total.disagreed, total.failed, total.absent) == (1, 1, 1, ())


def test_people_see_rows():
    book = ShadowBook(Terms("v1", "v2", COMPARE, "open_inference_v2", declared=DECLARED))
    bodies = answer([0.9, 0.1]), answer([0.9, 0.8])
    one = PairSample("r", "v2", 1, "id", 200, 200, *bodies)
    book.add(one, judged(book.terms, one), 1.0)
    told = shadow_brief(book)
    assert (told.pairs, told.rows, told.agreement) == (1, 2, 0.5)
    again = ShadowBook(book.terms)
    again.restore(json.loads(json.dumps(book.snapshot())))
    assert again.candidate.agreement == 0.5


def test_faults_of_copies_fail_where_stables_are_not_there():
    rnd = random.Random(4)
    scores = [rnd.random() for _ in range(1_000)]
    gone = [pair([s], [None if n % 100 == 0 else s]) for n, s in enumerate(scores)]
    state = observed(Nulls(), *gone)
    assert state.verdict is Verdict.FAIL
    assert "faulty rows" in state.sentence()
    both = [pair([None], [None]), *[pair([s], [s]) for s in scores[:50]]] * 10
    assert observed(Nulls(), *both).verdict is Verdict.PASS


def test_one_segment_that_is_wrong_fails_although_all_together_agree():
    gate = Agreement(at_least="95%", by={"header": "X-Carrier"})
    state = gate.start(GateContext())
    for number in range(1_000):
        rare = number % 100 == 0
        one = evidence(pair([0.1], [0.9] if rare else [0.1]), False, (), "FL" if rare else "UA")
        state.observe(Batch("r", 1, pairs=one))
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("X-Carrier FL: disagreed with stable: 10 of 10 (100 %)")
    assert "where X-Carrier is FL" in state.plain()
    again = gate.start(GateContext())
    again.restore(json.loads(json.dumps(state.snapshot())))
    assert (again.capital, again.sentence()) == (state.capital, state.sentence())


def test_one_carrier_in_every_batch_that_is_wrong_fails_row_by_row():
    gate = Agreement(at_least="80%", by={"feature": "carrier"})
    state = gate.start(GateContext(told=SegmentKeys([gate])))
    rows = pair([0.1] * 10, [0.9] + [0.1] * 9).comparison.rows
    asked = [("FL",), *[("UA",)] * 9]
    one = PairRows(with_features(rows, asked))
    for _ in range(60):
        state.observe(Batch("r", 1, pairs=Pairs(disagreed=1, rows=(one,))))
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("carrier FL: disagreed with stable")
    assert with_features(rows, asked[:9]) == rows, "whose row is whose is not known"


@pytest.mark.parametrize("by", [{"feature": "carier"}, {"header": "X-Carier"}])
@pytest.mark.parametrize("kind", [Agreement, PositiveRate])
def test_what_no_request_has_holds(kind, by):
    gate = kind.model_validate({"by": by})
    state = gate.start(GateContext(told=SegmentKeys([gate])))
    rows = with_features(pair([0.1], [0.1]).comparison.rows, [("(missing)",)])
    for _ in range(100):
        state.observe(Batch("r", 1, pairs=Pairs(agreed=1, scored=1, rows=(PairRows(rows),))))
    assert state.verdict is Verdict.PENDING
    assert "requests had the" in state.sentence()


def test_segments_are_asked_of_where_nothing_is_declared_too():
    """One row, no `predictions`: the pair itself is the row."""
    gate = Agreement(at_least="95%", by={"header": "X-Carrier"})
    state = gate.start(GateContext())
    for number in range(1_000):
        rare = number % 100 == 0
        said = judged(Terms("v1", "v2", Compare(), "json"), PairSample(
            "r", "v2", 1, "id", 200, 200, b'{"y": 1}', b'{"y": %d}' % (2 if rare else 1),
        ))  # fmt: skip
        one = evidence(said, False, (), "FL" if rare else "UA")
        state.observe(Batch("r", 1, pairs=one))
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("X-Carrier FL: disagreed with stable: 10 of 10 (100 %)")


def test_faults_of_copies_are_found_by_feature():
    gate = Nulls.model_validate({"at_most": "20%", "by": {"feature": "carrier"}})
    state = gate.start(GateContext(told=SegmentKeys([gate])))
    rows = pair([0.1] * 10, [None] + [0.1] * 9).comparison.rows
    one = PairRows(with_features(rows, [("FL",), *[("UA",)] * 9]))
    for _ in range(60):
        state.observe(Batch("r", 1, pairs=Pairs(disagreed=1, rows=(one,))))
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("carrier FL: ")
