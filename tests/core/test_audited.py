"""What people audit is held against what the version served, copies against who served."""

from router.core.logged.judging import Fresh, Said, row_of
from router.core.pairs.comparison import Likeness

LIKENESS = Likeness()
TOLD = Fresh(True, None, None, None, None, True, "human", 9.0)


def said(version, role="candidate", prediction=True, score=0.9):
    return Said(1, "q", 1, 1.0, "r", version, role, 1.0, prediction, score, 1, "c", 0)


def test_an_audit_is_an_answer_beside_the_versions_own():
    row = row_of(said("model"), None, TOLD, LIKENESS)
    assert (row.answered.agreed, row.answered.person, row.answered.said) == (True, True, True)
    assert row.served.correct is True
    row = row_of(said("model", prediction=False, score=0.1), None, TOLD, LIKENESS)
    assert row.answered.agreed is False


def test_who_serves_as_people_has_said_nothing_of_its_own():
    row = row_of(said("desk", "stable", None, None), None, TOLD, LIKENESS)
    assert row.answered is None


def test_a_copy_is_held_against_the_people_who_served():
    copy = said("model", "shadow", prediction=False, score=0.2)
    row = row_of(said("desk", "stable", None, None), copy, TOLD, LIKENESS)
    assert (row.answered.agreed, row.answered.score) == (False, 0.2)
