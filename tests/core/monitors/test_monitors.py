"""Monitors from rows to alarms, in virtual time: who moved, and how."""

import json
import random

import pytest

from router.core.monitors.alarm import AlarmCause, Course
from router.core.monitors.monitors import Monitors, Settings
from router.core.monitors.profile import profiled
from router.core.monitors.settings import Tolerances
from router.core.monitors.signal import COURSE, Signal
from tests.core.monitors.streams import reference

SLOT_S = 1.0
FAST = Tolerances(rows=200, window=24)
PER_SLOT = 25


def made(**more):
    known = {"features": (("x", "numeric"), ("c", "categorical")), "outputs": ("score",)}
    settings = Settings(**known | {"terms": FAST, "season_s": 168.0, "learn_s": 24.0} | more)
    return Monitors(settings)


class Feed:
    """Requests of both arms, ``PER_SLOT`` a slot."""

    def __init__(self, one, seed=1):
        self.one, self.draw, self.now, self.news = one, random.Random(seed), 0.0, []

    def slots(self, number, *, x=0.0, null=0.0, c="ab", own=0.0, both=0.0):
        """``own``: by how much the candidate's scores move; ``both``: those of both."""
        for _ in range(number):
            for k in range(PER_SLOT):
                role = "candidate" if k % 2 else "stable"
                value = None if self.draw.random() < null else self.draw.gauss(x, 1.0)
                score = self.draw.random() / 2 + both + (own if role == "candidate" else 0.0)
                row = {"x": value, "c": self.draw.choice(c)}
                self.one.observe([row], [{"score": score}], self.now + k / 100, role=role)
            self.news += self.one.tick(self.now + 0.9)
            self.now += SLOT_S
        return self


def label(fed, correct, rows=1):
    fed.one.labelled(rows * int(correct), rows * int(not correct), fed.now)


@pytest.fixture
def fed():
    """Monitors that have learnt and seen a window like it."""
    return Feed(made()).slots(60)


def names(news):
    return [(alarm.signal, alarm.check, alarm.cause, alarm.course) for alarm in news]


def test_nothing_is_said_of_what_does_not_change(fed):
    fed.slots(200)
    assert fed.news == []
    assert all(signal.learnt for signal in fed.one.inputs.values())


def test_inputs_that_move_are_data_drift_and_hold(fed):
    fed.slots(30, x=1.0)
    assert names(fed.news)[0] == ("x", "distribution", AlarmCause.DATA, Course.SUDDEN)
    alarm = fed.one.holding()[0]
    assert "nobody is taken back" in alarm.sentence()
    assert fed.one.convicting() is None


def test_answers_alone_are_watched_where_no_feature_is_declared():
    """A model that is asked by ids: nothing of its inputs can be read."""
    fed = Feed(made(features=())).slots(60)
    assert fed.one.requests == 60 * 13  # stable's
    assert fed.news == []
    fed.slots(40, both=0.2)
    assert ("score", "distribution", AlarmCause.DATA) in [one[:3] for one in names(fed.news)]
    assert fed.one.convicting() is None


def test_answers_are_watched_where_requests_cannot_be_read():
    """A declared feature that no request has the shape for costs the answers nothing."""
    one, draw = made(reference="training.csv"), random.Random(1)
    for slot in range(100):
        for _ in range(PER_SLOT):
            one.observe([], [{"score": draw.random() / 2 + (slot > 60) / 3}], slot + 0.1)
        one.tick(slot + 0.9)
    assert {alarm.signal for alarm in one.lasting()} == {"score"}
    assert not one.compared


@pytest.mark.parametrize(
    ("change", "signal", "check"),
    [({"null": 0.2}, "x", "nulls"), ({"c": "abz"}, "c", "outside")],
)
def test_each_kind_of_bad_value_is_named(fed, change, signal, check):
    fed.slots(30, **change)
    assert (signal, check) in [(alarm.signal, alarm.check) for alarm in fed.news]


class Apart:
    """Requests of three segments of very different size; what is rare moves by itself."""

    def __init__(self, one):
        self.one, self.draw, self.now, self.news = one, random.Random(5), 0.0, []

    def slots(self, number, *, rare=0.0):
        for _ in range(number):
            for _ in range(60):
                c = self.draw.choices("abz", (60, 30, 10))[0]
                row = {"x": self.draw.gauss(rare if c == "z" else 0.0, 1.0), "c": c}
                self.one.observe([row], [{"score": self.draw.random()}], self.now)
            self.news += self.one.tick(self.now + 0.9)
            self.now += SLOT_S
        return self


@pytest.mark.parametrize("by", ["", "c"])
def test_a_segment_that_moves_alone_is_named_where_segments_are_asked_of(by):
    """A tenth of the traffic moves by one standard deviation: all together do not show it."""
    fed = Apart(made(by=by, outputs=())).slots(80)
    assert fed.news == []
    fed.slots(60, rare=1.0)
    found = {alarm.signal for alarm in fed.one.lasting()}
    assert found == ({"x [z]"} if by else set())
    if by:
        assert fed.one.holding()[0].sentence().startswith("data drift in x [z] (distribution, ")
        again = Monitors.restored(fed.one.settings, json.loads(json.dumps(fed.one.snapshot())))
        assert again.lasting() == fed.one.lasting()
        assert again.snapshot() == fed.one.snapshot()
        assert fed.one.accept() == 1
        assert fed.one.holding() == []
        fed.slots(60)
        assert [alarm.signal for alarm in fed.one.ended()] == ["x [z]"]


def test_a_header_tells_segments_apart_where_it_is_said():
    """What has no such header is part of the whole alone."""
    one, draw = made(header="X-Plan"), random.Random(2)
    for slot in range(120):
        for _ in range(PER_SLOT):
            plan = draw.choice(("a", "b", ""))
            row = {"x": draw.gauss(1.0 if plan == "b" and slot > 80 else 0.0, 1.0), "c": "a"}
            one.observe([row], [{"score": draw.random()}], slot + 0.1, segment=plan)
        one.tick(slot + 0.9)
    assert set(one.parts) == {"a", "b"}
    assert "x [b]" in {alarm.signal for alarm in one.lasting()}
    assert "x [a]" not in {alarm.signal for alarm in one.lasting()}
    again = Monitors.restored(one.settings, json.loads(json.dumps(one.snapshot())))
    assert again.snapshot() == one.snapshot()
    with pytest.raises(ValueError, match="of other settings"):
        Monitors.restored(made(by="c").settings, one.snapshot())


def test_segments_are_bounded_and_share_the_error():
    settings = made(by="c", features=tuple((f"f{k}", "numeric") for k in range(20))).settings
    assert settings.segments == 2
    assert settings.of_segment("").terms.false_discovery_rate == pytest.approx(0.01 / 3)
    fed = Feed(made(by="c")).slots(3, c="abcdefghijkl")
    assert len(fed.one.parts) == made(by="c").settings.segments == 8


def test_values_of_another_type_are_named(fed):
    for _ in range(40):
        for k in range(PER_SLOT):
            fed.one.observe([{"x": "12", "c": "a"}], [], fed.now + k / 100)
        fed.news += fed.one.tick(fed.now + 0.9)
        fed.now += 1
    assert ("x", "type") in [(alarm.signal, alarm.check) for alarm in fed.news]


def test_what_comes_and_goes_is_temporary(fed):
    fed.slots(30, x=1.0).slots(80)
    assert fed.news[-1].course is Course.TEMPORARY
    assert fed.one.holding() == []
    assert fed.one.over[-1].until is not None


def test_a_season_that_repeats_is_no_change():
    feed = Feed(made(learn_s=168.0))
    for _ in range(4):
        feed.slots(120).slots(48, x=1.5)
    assert feed.news == []


def test_the_candidate_alone_is_taken_back(fed):
    fed.one.begin("r-1")
    fed.slots(40)
    assert fed.news == []
    fed.slots(40, own=0.2)
    assert names(fed.news) == [("score", "candidate", AlarmCause.CANDIDATE, Course.SUDDEN)]
    assert fed.one.holding() == []
    assert "so it is the candidate" in fed.one.convicting().sentence()
    fed.one.begin("r-2")
    assert fed.one.convicting() is None


def test_answers_of_both_arms_that_move_take_nobody_back(fed):
    fed.one.begin("r-1")
    fed.slots(40).slots(60, both=0.2)
    assert fed.one.convicting() is None
    assert {alarm.cause for alarm in fed.one.holding()} == {AlarmCause.DATA}


def test_a_reference_unlike_traffic_is_said_at_once():
    settings = Settings((("amount", "numeric"),), (), FAST, 168.0, reference="training.csv")
    one = Monitors(settings, {"amount": reference(1, 1.0)["amount"]})
    assert not one.compared
    draw, news = random.Random(1), []
    for k in range(250):
        one.observe([{"amount": draw.gauss(0.0, 1.0)}], [], k / 100)
        news += one.tick(k / 100)
    assert names(news) == [("amount", "distribution", AlarmCause.REFERENCE, Course.FROM_THE_START)]
    assert one.compared
    assert one.holding()[0].since <= 2.0


def test_labels_that_move_while_inputs_do_not_are_concept_drift(fed):
    for _ in range(40):
        for k in range(20):
            label(fed, k % 10 > 0)
        fed.slots(1)
    for _ in range(40):
        for k in range(20):
            label(fed, k % 4 > 0)
        fed.slots(1)
    assert names(fed.news) == [("labels", "wrong", AlarmCause.CONCEPT, Course.SUDDEN)]
    for _ in range(60):
        for k in range(20):
            label(fed, k % 10 > 0)
        fed.slots(1)
    assert fed.news[-1].until is not None


@pytest.mark.parametrize(("rows", "found"), [(1, 1), (32, 0)])
def test_rows_of_one_request_are_one_label_where_significance_is_asked(rows, found):
    """Eight points more wrong rows in 216 requests of 32 rows, all of a request alike: chance."""
    fed, asked = Feed(made()).slots(60), 9 if rows > 1 else 288
    for wrong in (10, 18):
        for slot in range(24):
            for k in range(slot * asked, (slot + 1) * asked):
                label(fed, k % 100 >= wrong, rows)
            fed.slots(1)
    assert len(fed.news) == found


def test_labels_are_looked_at_where_nothing_is_sampled():
    fed = Feed(made())
    for right in (10, 3):
        for _ in range(40):
            for k in range(20):
                label(fed, k % right > 0)
            fed.one.tick(fed.now)
            fed.now += SLOT_S
    assert fed.one.holding()[0].cause is AlarmCause.CONCEPT


def test_labels_that_move_with_the_inputs_are_data_drift(fed):
    for moved, right in ((0.0, 10), (1.0, 4)):
        for _ in range(40):
            for k in range(20):
                label(fed, k % right > 0)
            fed.slots(1, x=moved)
    assert {alarm.cause for alarm in fed.news} == {AlarmCause.DATA}


def test_a_person_may_say_that_this_is_how_it_is(fed):
    fed.slots(30, x=1.0)
    assert fed.one.accept() == len(fed.news)
    assert fed.one.holding() == []
    assert not fed.one.drifting
    assert fed.one.accept() == 0


def test_a_steady_change_is_foretold():
    feed = Feed(made())
    feed.slots(60)
    for day in range(16):
        feed.slots(24, x=0.018 * day)
    assert 0 < feed.one.foretold()["x"] < 168 * 3


def test_a_new_stable_version_has_answers_of_its_own(fed):
    fed.slots(60, both=0.2)
    assert fed.one.holding()
    fed.one.forget_answers()
    assert fed.one.holding() == []
    assert not fed.one.outputs["score"].learnt


def test_a_restart_changes_nothing(fed):
    fed.one.begin("r-1")
    fed.slots(30, x=0.7, own=0.1)
    label(fed, True)
    text = json.dumps(fed.one.snapshot())
    twin = Monitors.restored(fed.one.settings, json.loads(text))
    assert json.dumps(twin.snapshot()) == text
    other = Feed(twin)
    other.draw.setstate(fed.draw.getstate())
    other.now = fed.now
    fed.news.clear()
    assert other.slots(50, x=1.0).news == fed.slots(50, x=1.0).news
    assert json.dumps(twin.snapshot()) == json.dumps(fed.one.snapshot())


def test_a_restart_with_other_settings_begins_anew(fed):
    other = made(features=(("y", "numeric"),)).settings
    with pytest.raises(ValueError, match="other settings"):
        Monitors.restored(other, fed.one.snapshot())


@pytest.mark.parametrize("key", ["inputs", "traffic", "alarms", "arms", "truth"])
def test_a_damaged_snapshot_is_refused(fed, key):
    damaged = fed.one.snapshot() | {key: [{"width": 3}, 1]}
    with pytest.raises((KeyError, TypeError, ValueError)):
        Monitors.restored(fed.one.settings, damaged)


def test_few_requests_say_nothing():
    one = made(reference="f")
    one.inputs["x"] = type(one.inputs["x"])("x", "numeric", profiled("numeric", [1.0, 2.0, 3.0]))
    for k in range(100):
        one.observe([{"x": 9.0}], [], k / 10)
        assert one.tick(k / 10) == []


def test_rows_of_one_request_count_as_one():
    """A batch of 64 equal rows is one client, not 64."""
    feed = Feed(made()).slots(60)
    for _ in range(30):
        for k in range(PER_SLOT):
            value = feed.draw.gauss(0.0, 1.0)
            feed.one.observe([{"x": value, "c": "a"}] * 64, [], feed.now + k / 100)
        feed.news += feed.one.tick(feed.now + 0.9)
        feed.now += 1
    assert [alarm for alarm in feed.news if alarm.signal == "x"] == []


def test_both_arms_and_the_looks_are_there_for_people_and_go_through_json(fed):
    fed.one.begin("flights-1/1")
    fed.slots(12)
    fed.slots(12, both=0.3)
    score, x = fed.one.outputs["score"], fed.one.inputs["x"]
    rows = {arm: sum(counts[:-1]) for arm, counts in x.arms.items()}
    assert rows == {"stable": 24 * 13, "candidate": 24 * 12}
    sizes = {arm: x.deviation_of(arm, FAST)["distribution"].size for arm in rows}
    assert max(sizes.values()) < 0.1
    assert score.deviation_of("candidate", FAST)["outside"].size > 0.1
    row = dict(zip(COURSE, score.course[-1], strict=True))
    assert row["psi"] > FAST.psi > score.course[-30][1]
    assert row["at"] == fed.now - SLOT_S + 0.9
    assert row["ks"] > 0.3
    assert row["jensen_shannon"] > 0.1
    stored = json.loads(json.dumps(fed.one.snapshot()))
    again = Monitors.restored(fed.one.settings, stored)
    assert again.outputs["score"].course == score.course
    assert again.inputs["x"].arms == x.arms
    fed.one.begin("flights-1/2")
    assert x.arms == {}
    assert x.deviation_of("stable", FAST) == {}


def test_a_store_of_an_older_router_has_no_looks(fed):
    stored = json.loads(json.dumps(fed.one.inputs["x"].snapshot()))
    for name in ("course", "arms"):
        del stored[name]
    again = Signal("x")
    again.restore(stored)
    assert (list(again.course), again.arms) == ([], {})
    with pytest.raises(ValueError, match="numbers of a look"):
        Signal("x").restore({**stored, "course": [[1.0]]})
