"""What workers of a replica say: once, under the term in which it was counted, within bounds."""

from __future__ import annotations

import pytest

from router.control.fleet import telling as module
from router.control.fleet.last import FailuresLast
from router.control.fleet.telling import ReplicaWords
from router.control.state.postgres_exchange import FailureQuestion, Me
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.reporter import WorkerId
from router.core.wire.sampled import Sampled
from router.link.frames import Frames
from router.link.messages import KINDS, LookAgain, PairReport, Report, SampleReport
from tests.control.fleet.hearing import Hearing

WHO = WorkerId("b", 7, 0)


def report(*slices, bad=0):
    arm = ArmCounts(ok=2, bad=bad, arrived=2 + bad)
    return Report((Batch("r", 1, tuple(Cell(500, arm, slice=n) for n in slices)),))


ELSEWHERE = FailureQuestion("a", 3, 9)


def slices(words):
    return [
        cell.slice
        for word in words
        if word.question is None
        for message in Frames(KINDS).feed(word.message)
        for batch in message.batches
        for cell in batch.cells
    ]


def following(term=1):
    made = ReplicaWords(Me("b"))
    made.follow(term)
    return made


def test_words_come_in_their_order_and_once():
    made = following()
    made.report(WHO, report(5))
    made.noticed(WHO, "slow")
    made.gone(WHO, "ended")
    words = made.take()
    assert slices(words[:1]) == [5]
    assert [(w.text, w.ended) for w in words[1:]] == [("slow", False), ("ended", True)]
    assert not made.waiting
    assert made.take() == ()


def test_only_a_failure_of_a_candidate_is_urgent():
    made = following()
    made.report(WHO, report(5))
    assert not made.hint
    made.report(WHO, report(6, bad=1))
    assert made.hint == "failed"
    assert made.wake.is_set()


def answered(made):
    """Questions to which all has been told, by the words that are told next."""
    return [word.question for word in made.take() if word.answered]


def own(made, number):
    return FailureQuestion("b", made._me.boot, number)


def test_a_failure_asks_all_other_workers_and_the_last_one_who_reports_answers():
    made, asked = following(), []
    second, third = WorkerId("b", 7, 1), WorkerId("b", 7, 2)
    made.hurry = lambda but: asked.append(but) or {second, third}
    made.report(WHO, report(5, bad=1))
    assert (made.hint, asked) == ("failed", [WHO])
    made.hint = ""
    made.report(WHO, report(6))
    made.report(second, report(1))
    assert (made.hint, answered(made)) == ("", [])
    made.report(third, report(1))
    assert (made.hint, answered(made)) == ("told", [own(made, 1)])
    made.report(third, report(2))
    assert not answered(made), "it was asked once"


def test_who_has_nobody_to_ask_answers_at_once_behind_the_failure():
    made = following()
    made.report(WHO, report(5, bad=1))
    assert made.hint == "failed"
    question, failure, answer = made.take()
    assert (question.question, slices([failure])) == (own(made, 1), [5])
    assert (answer.question, answer.answered) == (own(made, 1), True)
    made.report(WHO, report(6, bad=1))
    assert FailureQuestion.hinted(f"a schema {made.hinted('failed')}") == own(made, 2)
    assert made.hinted("told") == "told"


def test_a_failure_elsewhere_asks_all_workers():
    made, asked = following(), []
    made.hurry = lambda but: asked.append(but) or {WHO}
    made.failed(ELSEWHERE)
    made.failed(later := ELSEWHERE._replace(number=10))
    assert asked == [None, None]
    assert not answered(made)
    made.report(WHO, report(5))
    assert answered(made) == [later], "which answers what was asked before it"


async def test_who_leads_waits_for_its_own_workers_too():
    made, heard, other = following(), Hearing(), WorkerId("b", 7, 1)
    made.to = FailuresLast(heard, lambda: {"c"})
    made.hurry = lambda _but: {other}
    made.report(WHO, report(5, bad=1))
    made.to.answered("c", own(made, 1))
    assert heard.reports == []
    made.report(other, report(1))
    assert [who for who, _ in heard.reports] == [other, WHO]


def test_everybody_is_told_where_both_are_due():
    made = following()
    made.say("failed")
    made.say("told")
    assert made.hint == "failed"


def test_what_an_earlier_leader_was_told_of_a_slice_no_later_one_is():
    made = following(1)
    made.report(WHO, report(5, 6))
    made.follow(2)
    assert made.take() == (), "it was for who led before"
    made.report(WHO, report(6, 7))
    made.report(WHO, report(7, 8))
    assert slices(made.take()) == [7, 7, 8]
    made.report(WorkerId("b", 8, 0), report(3))
    assert slices(made.take()) == [3], "another process has slices of its own"
    made.follow(2)
    made.report(WHO, report(8))
    assert slices(made.take()) == [8], "the same leader again"


def test_who_leads_hears_its_own_workers_likewise():
    made, decider = following(1), Hearing()
    made.report(WHO, report(5))
    made.follow(2)
    made.to = decider
    made.report(WHO, report(5, 6))
    assert [c.slice for c in decider.reports[0][1].batches[0].cells] == [6]
    sample = Sampled("r", "v2", 1, "candidate", "c", slice=5, counted=True)
    made.sampled(WHO, SampleReport((sample,)))
    assert not decider.reports[1][1].samples[0].counted
    for say, what in ((made.pairs, PairReport(())), (made.traced, None)):
        say(WHO, what)
    made.noticed(WHO, "slow")
    made.gone(WHO, "ended")
    assert len(decider.reports) == 4
    assert decider.texts == ["slow", "ended"]
    assert not made.waiting


@pytest.mark.parametrize("leads", [False, True])
def test_questions_for_people_go_their_own_way_whoever_leads(leads):
    made, asked = following(), []
    made.people = lambda *about: asked.append(about)
    decider = Hearing()
    if leads:
        made.to = FailuresLast(decider, set)
    made.asked(LookAgain("a", "b"), len)
    assert asked == [(LookAgain("a", "b"), len)]
    assert not decider.reports
    assert not made.waiting


def test_what_waits_is_bounded_and_counts_are_lost_last(monkeypatch):
    made = following()
    made.report(WHO, report(1))
    size = len(made.take()[0].message)
    monkeypatch.setattr(module, "WAITING_BYTES_MAX", 4 * size)
    monkeypatch.setattr(module, "AT_ONCE_BYTES", 2 * size)
    for number in range(1, 10):
        made.report(WHO, report(number))
    lost = []
    made.lost = lost.append
    made.pairs(WHO, PairReport((), shed=9))
    made.sampled(WHO, SampleReport((Sampled("r", "v2", 1, "candidate", "c", slice=5),)))
    assert lost == [{"pairs_shed": 0}, {"sample_shed": 1}]
    assert made.behind
    assert slices(made.take()) == [6, 7]
    assert slices(made.take()) == [8, 9]
    assert made.take() == ()


@pytest.mark.parametrize("term", [1, 2])
def test_its_repr_says_how_it_stands(term):
    assert f"term {term}" in repr(following(term))
