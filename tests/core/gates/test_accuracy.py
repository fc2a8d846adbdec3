"""Gate accuracy: late labels, of either kind."""

from router.core.gates import GateContext
from router.core.gates.accuracy import Accuracy
from router.core.gates.verdict import Counts, Verdict
from router.core.wire.outcomes import Batch, LabelledPairs, Labels


def test_labels_carry_the_weight_of_routing():
    state = Accuracy().start(GateContext())
    state.observe(
        Batch("route", 1, labels=(Labels(500, 40, 60, 190, 1_710), Labels(5_000, 30, 20, 12, 88)))
    )
    assert (state.candidate, state.stable) == (Counts(70, 150), Counts(202, 2_000))
    assert state.verdict is Verdict.FAIL
    assert state.sentence().startswith("wrong by label: candidate 70 of 150 (46.7 %), stable 202")


def test_pairs_speak_where_there_are_more_of_them():
    state = Accuracy().start(GateContext())
    state.observe(Batch("route", 1, labelled_pairs=LabelledPairs(worse=40, better=2, same=160)))
    assert state.verdict is Verdict.FAIL
    assert (state.candidate, state.stable) == (Counts(40, 202), Counts(2, 202))
    assert state.sentence().startswith(
        "labelled pairs: candidate alone wrong in 40, stable alone in 2 of 202; "
        "tolerated: stable + 1 pp"
    )


def test_equal_versions_pass():
    state = Accuracy().start(GateContext())
    state.observe(Batch("route", 1, labels=(Labels(500, 10, 90, 190, 1_710),)))
    assert state.verdict is Verdict.PASS
