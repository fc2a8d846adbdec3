"""What passes Envoy, joined with its record: each sample told once, within bounds, as drawn."""

import random
from dataclasses import replace

import pytest

import router.agent.samples as module
from router.agent.counting import ENDED, STARTED, AttemptBook
from router.agent.passing import Passed, PassedKind
from router.agent.routes import Placed
from router.agent.samples import HELD_BYTES_MAX, LATE_S, PASSAGES_A_TURN, SampleDesk
from router.core.wire.outcomes import Outcome
from router.core.wire.sampled import SamplingEntry
from router.core.wire.table import StickyEntry, StickyKind
from tests.agent.test_counting import ENTRY, RESCUED, Scene

SAMPLED = SamplingEntry(10_000, headers=("x-country",))


class Passing(Scene):
    """A scene with a filter that tells what passes."""

    def __init__(self, entry=ENTRY, sampling=SAMPLED):
        super().__init__(replace(entry, sampling=sampling))
        self.desk = SampleDesk(self.recorder, lambda: self.now)
        self.counting = AttemptBook(self.recorder, lambda: self.now, self.desk)
        self.counting.follow(self.serving, [Placed("b.5", self.serving.routes[0].entry)])

    def record(self, kind, version="v2", *, stream="s", **more):
        super().record(kind, version, stream=stream, **({"sampled": 1, "connection": "7"} | more))

    def begins(self, name="s", *, connection=7, path=b"/p?q"):
        head = {b":path": path, b"x-request-id": f"r{name}".encode(), b"x-country": b"de"}
        passage = self.desk.begin()
        if passage is not None:
            self.desk.take(passage, Passed(PassedKind.ASKED, head, b"", False, connection))
        return passage

    def answers(self, passage, body=b"said", status=200, *, asked=b"asked", ends=True):
        wanted = True
        for kind, head, data, ended in (
            (PassedKind.REQUEST_BODY, {}, asked, True),
            (PassedKind.ANSWERED, {b":status": str(status).encode()}, b"", False),
            (PassedKind.ANSWER_BODY, {}, body, ends),
        ):
            wanted = wanted and self.desk.take(passage, Passed(kind, head, data, ended, 0))
        if ends or not wanted:
            self.desk.over(passage)
        return wanted

    def told(self):
        return self.recorder.take_samples()

    def drawn(self):
        return sum(cell.candidate.sampled + cell.stable.sampled for cell in self.cells())


@pytest.mark.parametrize("order", ["passes first", "record first", "in turns"])
def test_a_sample_is_told_once_with_its_draw_and_both_bodies(order):
    scene = Passing()
    passage = scene.begins()
    if order == "passes first":
        scene.answers(passage)
    scene.record(STARTED)
    if order == "in turns":
        scene.answers(passage)
    assert scene.told() == ()
    scene.record(ENDED, status=200, whole_us=10_000, first_us=10_000)
    if order == "record first":
        assert scene.told() == ()
        scene.answers(passage)
    (one,) = scene.told()
    assert (one.version, one.arm, one.weight_bp, one.counted) == ("v2", "c", 1_000, True)
    assert (one.status, one.request, one.answer, one.cut) == (200, b"asked", b"said", "")
    assert (one.segments, one.target, one.request_id) == (("de",), "/p?q", "rs")
    (cell,) = scene.cells()
    assert (cell.candidate.sampled, cell.stable.sampled, cell.slice) == (1, 0, one.slice)
    assert (scene.desk.held, scene.recorder.sample_bytes, scene.recorder.samples_open) == (0, 0, 0)


def test_a_draw_of_which_nothing_passed_is_no_sample_and_nor_is_what_no_draw_claims():
    scene = Passing()
    scene.asked()
    passage = scene.begins("other")
    scene.answers(passage)
    assert scene.drawn() == 0
    scene.now += LATE_S + 1
    scene.desk.sweep()
    assert scene.told() == ()
    assert scene.desk.held == 0


def test_only_the_first_request_of_a_user_is_evidence():
    sticky = replace(ENTRY, sticky=StickyEntry(StickyKind.HEADER, "x-user-id"))
    scene = Passing(sticky)
    for name in ("a", "b"):
        scene.answers(scene.begins(name))
        scene.record(STARTED, stream=name, **{"key-x-user-id": "u"})
        scene.record(ENDED, stream=name, status=200, whole_us=1, **{"key-x-user-id": "u"})
    assert len(scene.told()) == 1
    assert scene.drawn() == 1


def test_an_answer_of_stable_is_not_read_as_the_candidates_that_failed():
    scene = Passing(RESCUED)
    passage = scene.begins()
    scene.record(STARTED)
    scene.record(ENDED, status=503, whole_us=1)
    scene.record(STARTED, "v1", stream="s2", request="rs", attempt=2)
    scene.record(ENDED, "v1", stream="s2", request="rs", attempt=2, status=200, whole_us=1)
    scene.answers(passage, b"of stable")
    (one,) = scene.told()
    assert (one.version, one.status, one.answer) == ("v2", 503, b"")
    assert one.outcome == int(Outcome.SERVER_ERROR)


@pytest.mark.parametrize("what", ["never ends", "is cut", "records lost"])
def test_what_is_not_known_is_told_in_doubt(what):
    scene = Passing()
    passage = scene.begins()
    scene.answers(passage, ends=False)
    scene.record(STARTED)
    if what == "records lost":
        scene.counting.lost()
    else:
        scene.record(ENDED, status=200, whole_us=1)
        assert scene.told() == ()
        if what == "is cut":
            scene.desk.over(passage)
        scene.now += LATE_S + 1
        scene.desk.sweep()
    (one,) = scene.told()
    assert (one.status, one.cut, one.request, one.answer) == (200, "shed", b"", b"")
    scene.desk.over(passage)
    assert scene.told() == ()
    assert (scene.desk.held, scene.recorder.sample_bytes) == (0, 0)


def test_two_requests_of_one_id_on_one_connection_are_nobodys():
    scene = Passing()
    first, second = scene.begins(), scene.begins()
    assert not scene.answers(first)
    assert not scene.answers(second)
    scene.asked(stream="s")
    assert (scene.told(), scene.drawn()) == ((), 0)


def test_the_same_id_on_another_connection_is_another_request():
    scene = Passing()
    theirs, mine = scene.begins(connection=8), scene.begins()
    scene.answers(theirs, b"theirs")
    scene.answers(mine, b"mine")
    scene.asked(stream="s")
    assert [one.answer for one in scene.told()] == [b"mine"]


def test_a_larger_answer_than_is_kept_is_given_up_and_nothing_more_of_it_is_wanted():
    scene = Passing()
    passage = scene.begins()
    scene.record(STARTED)
    assert not scene.answers(passage, b"x" * (ENTRY.mirror_limits.body_bytes + 1))
    scene.record(ENDED, status=200, whole_us=1)
    (one,) = scene.told()
    assert (one.cut, one.size) == ("body", 0)
    assert scene.recorder.sample_bytes == 0


def test_so_many_a_turn_and_so_many_bytes_and_what_is_beyond_is_settled_with_the_draw():
    class Reading:
        paused = False

        def pause(self):
            self.paused = True

        def resume(self):
            self.paused = False

    scene = Passing()
    reader = Reading()
    scene.desk.readers.add(reader)
    passages = [scene.begins(f"n{n}") for n in range(PASSAGES_A_TURN)]
    assert scene.desk.full
    assert scene.desk.begin() is None
    scene.desk.pause()
    assert reader.paused
    scene.desk.turn()
    assert not reader.paused
    wanted = [scene.answers(one, b"x" * 100_000) for one in passages]
    assert scene.desk.held <= HELD_BYTES_MAX
    assert 30 < sum(wanted) < 50
    for n in range(PASSAGES_A_TURN):
        scene.asked(stream=f"n{n}")
    told = scene.told()
    assert sum(one.cut == "" for one in told) == sum(wanted)


def test_a_smaller_share_than_one_per_cent_is_thinned_here(monkeypatch):
    scene = Passing(sampling=SamplingEntry(50))
    places = iter([4_999, 5_000])
    monkeypatch.setattr(module, "coin", lambda: next(places))
    for name in ("a", "b"):
        scene.answers(scene.begins(name))
        scene.asked(stream=name)
    assert [one.request_id for one in scene.told()] == ["ra"]
    assert scene.drawn() == 1


def test_whatever_the_order_all_bytes_are_given_back_and_each_draw_is_told_once():
    rng = random.Random(5)
    scene = Passing()
    drawn = told = 0
    for turn in range(60):
        under_way = {}
        for n in range(rng.randrange(1, 20)):
            name = f"t{turn}n{n}"
            under_way[name] = scene.begins(name) if rng.random() < 0.9 else None
        steps = [(kind, name) for name in under_way for kind in ("started", "ended", "passes")]
        rng.shuffle(steps)
        begun = set()
        for kind, name in steps:
            passage = under_way[name]
            if kind == "passes":
                if passage is not None:
                    scene.answers(passage, b"x" * rng.choice([0, 9, 2_000_000]),
                                  ends=rng.random() < 0.8)  # fmt: skip
                continue
            if name not in begun:
                begun.add(name)
                scene.record(STARTED, rng.choice(["v1", "v2"]), stream=name)
            if kind == "ended":
                scene.record(ENDED, stream=name, status=rng.choice([200, 503]), whole_us=1)
        for name in under_way:
            scene.record(ENDED, stream=name, status=200, whole_us=1)
        scene.now += LATE_S + 1
        scene.desk.sweep()
        scene.desk.turn()
        drawn += scene.drawn()
        told += len(scene.told())
        assert scene.recorder.sample_bytes == 0
        for passage in filter(None, under_way.values()):
            scene.desk.over(passage)
        assert (scene.desk.held, scene.recorder.samples_open) == (0, 0)
    assert drawn == told > 100
