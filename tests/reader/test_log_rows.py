"""From bodies to rows, from rows and truths to what has matured."""

import json
import sqlite3
from dataclasses import replace

import pytest
from msgspec import structs

from router.core.logged.judging import Fresh, Said, judged, positive, row_of
from router.core.logged.lag import STEP, Lag
from router.core.logged.redaction import names_field, without
from router.core.logged.terms import LogTerms, RouteLog
from router.core.logged.truth import Truth
from router.core.pairs.comparison import Likeness
from router.core.predictions.rows import Declared
from router.core.wire.outcomes import Outcome
from router.core.wire.sampled import Sampled
from router.link.frames import Frames
from router.link.reading import (
    KINDS,
    CopyAnswer,
    Logging,
    LogState,
    Ripened,
    TellTruths,
    TruthsTold,
)
from router.reader.book import Taken
from router.reader.clerk import Clerk, _chosen
from router.reader.keeper import QUEUE_ROWS_MAX, LogKeeper, digest_of
from router.reader.log_rows import RouteRows

DECLARED = Declared("late", "p", features=(("distance", "auto"), ("email", "auto")))
RULES = RouteLog("r", "v1", Likeness(), redact=("email",), declared=DECLARED)
ASKED = [{"distance": 900, "email": "a@b.example"}, {"distance": 10, "email": "c@d.example"}]
SAID = [{"late": True, "p": 0.9}, {"late": False, "p": 0.2}]


def sample(**changes):
    made = Sampled(
        "r", "v1", 3, "stable", "s", weight_bp=2_000, nonce=255, request_id="id-1", key="Erika",
        at=1000.0, seconds=0.01, status=200, outcome=int(Outcome.OK),
        request=json.dumps({"instances": ASKED}).encode(),
        answer=json.dumps({"predictions": SAID}).encode(),
    )  # fmt: skip
    return replace(made, **changes)


def rows(one, rules=RULES):
    return RouteRows(rules, lambda person: f"<{person}>").of_sample(one)


def test_a_path_with_another_payload_is_read_by_that():
    one = sample(request=json.dumps(ASKED[0]).encode(), answer=json.dumps(SAID[0]).encode())
    assert rows(one)[0].error == "unreadable"
    (row,) = rows(replace(one, payload="json"))
    assert (row.prediction, row.score, row.features) == (1, 0.9, '{"distance":900}')


def test_rows_of_a_batch():
    first, second = rows(sample())
    assert (first.row, first.rows, first.prediction, first.score) == (0, 2, 1, 0.9)
    assert (second.row, second.rows, second.prediction, second.score) == (1, 2, 0, 0.2)
    assert first.features == '{"distance":900}'
    assert (first.weight, first.arm, first.receipt, first.person) == (
        0.2,
        "s",
        f"{255:016x}",
        "<Erika>",
    )
    assert first.request is first.answer is None


@pytest.mark.parametrize(
    ("changes", "error", "count"),
    [
        ({"status": 500, "outcome": int(Outcome.SERVER_ERROR)}, "server_error", 2),
        ({"status": 0, "outcome": int(Outcome.TIMEOUT), "answer": b""}, "timeout", 2),
        ({"answer": b"<html>"}, "unreadable", 2),
        ({"cut": "body", "request": b"", "answer": b""}, "", 1),
        ({"status": 422}, "", 2),
    ],
)
def test_what_failed_is_kept_with_its_error(changes, error, count):
    found = rows(sample(**changes))
    assert [one.error for one in found] == [error] * count
    assert {one.prediction for one in found} == {None}


def test_bodies_are_exact_or_redacted():
    exact = rows(sample(), replace(RULES, bodies=True, redact=()))
    assert exact[0].request == sample().request
    assert exact[1].request is None  # with the first row alone
    assert exact[0].features == '{"distance":900,"email":"a@b.example"}'
    less = rows(sample(), replace(RULES, bodies=True))
    assert b"email" not in less[0].request
    unreadable = sample(request=b"email=a@b.example", answer=b"")
    assert rows(unreadable, replace(RULES, bodies=True))[0].request is None


def test_the_person_is_found_in_the_body():
    body = json.dumps({"user": {"ids": ["Erika"]}, "instances": ASKED}).encode()
    rules = replace(RULES, person="user.ids.0")
    assert rows(sample(request=body), rules)[0].person == "<Erika>"
    assert rows(sample(), rules)[0].person == "<>"
    assert digest_of("Erika", b"k") != digest_of("Erika", b"l")


def test_a_copy_is_a_row_nobody_was_served_by():
    body = json.dumps({"predictions": SAID}).encode()
    copied = CopyAnswer("r", "v2", "id-1", 3, 200, 0.2, 1000.0, "DE", body, "")
    rules = RouteRows(RULES, str)
    found = rules.of_copy(copied)
    assert [(one.role, one.version, one.prediction) for one in found] == [
        ("shadow", "v2", 1), ("shadow", "v2", 0),
    ]  # fmt: skip
    assert rules.of_copy(structs.replace(copied, status=0))[0].error == "no_answer"


def test_redaction_knows_objects_tensors_and_columns():
    names = frozenset({"email"})
    for body in (
        {"a": [{"email": "x@y"}]}, {"inputs": [{"name": "email", "data": ["x@y"]}]},
        {"dataframe_split": {"columns": ["d", "email"], "data": [[1, "x@y"]]}},
    ):  # fmt: skip
        assert b"x@y" not in without(json.dumps(body).encode(), names)
    assert without(b"x@y", names) is None
    assert without(b"x@y", frozenset()) == b"x@y"
    assert names_field("user.email[0]", names)
    assert not names_field("emails", names)


SERVED = Said(1, "a", 1, 0.0, "r", "v1", "stable", 0.2, True, 0.9, 3, "s", 0)


def test_a_truth_judges_what_was_said():
    like = Likeness()
    assert judged(SERVED, True, like).correct is True
    assert judged(SERVED, 0.0, like).error == 1.0
    assert judged(SERVED, "late", like).correct is None
    assert [positive(x, like) for x in (None, "x", True, 0.7, 0.2)] == [
        None,
        None,
        True,
        True,
        False,
    ]
    fresh = Fresh(True, False, 0.5, 2.0, True, None, "human", 9.0)
    row = row_of(SERVED, SERVED._replace(version="v2", prediction=False), fresh, like)
    assert (row.served.correct, row.shadow.correct) == (False, False)  # somebody said it was wrong
    assert (row.rating, row.value, row.accepted) == (0.5, 2.0, True)


def test_a_lag_is_known_within_a_quarter():
    lag = Lag()
    assert lag.quantile(0.5) is None
    for seconds in [*range(1, 1001), 1e12, -5.0]:
        lag.add(seconds)
    assert 500 <= lag.quantile(0.5) <= 500 * STEP
    assert 950 <= lag.quantile(0.95) <= 950 * STEP
    assert lag.quantile(1.0) > 1e8


class Loop:
    """The reader's side of the log in virtual time."""

    def __init__(self, tmp_path, **rules):
        self.now = 1000.0
        self.clerk = Clerk(LogKeeper(), lambda: self.now)
        self.terms = LogTerms(
            str(tmp_path / "log.db"), 1e9, 10**9, 60.0, (replace(RULES, **rules),)
        )
        self.clerk.said(Logging(self.terms))

    def sampled(self, request_id, **changes):
        one = sample(request_id=request_id, at=self.now, nonce=0, **changes)
        self.clerk.sampled(one)

    def tell(self, *truths):
        (told,) = Frames(KINDS).feed(self.clerk.said(TellTruths(1, truths)))
        assert isinstance(told, TruthsTold)
        return told

    def later(self, seconds):
        self.now += seconds
        said = Frames(KINDS).feed(self.clerk.due())
        self.state = next((one for one in said if isinstance(one, LogState)), None)
        return [one for each in said if isinstance(each, Ripened) for one in each.matured]


def test_rows_and_copies_mature_to_one_outcome_and_one_pair(tmp_path):
    loop = Loop(tmp_path)
    loop.sampled("a")
    loop.later(0.3)
    assert loop.tell(*(Truth("a", n, label=n == 0) for n in range(2))).taken == ("joined",) * 2
    (served,) = loop.later(1.0)
    assert [row.served.correct for row in served.rows] == [True, True]
    assert (served.counts, served.weight_bp, served.arm) == (True, 2_000, "s")
    body = json.dumps({"predictions": [{"late": False, "p": 0.1}] * 2}).encode()
    loop.clerk.said(CopyAnswer("r", "v2", "a", 3, 200, 0.2, loop.now, "", body, ""))
    (pair,) = loop.later(1.0)
    assert [row.shadow.correct for row in pair.rows] == [False, True]
    assert not pair.counts  # the request was told of before: of a batch only the first time counts
    assert loop.state.held["predictions"] == 4
    assert loop.state.lags["r"][0] == 1


def test_what_waits_too_long_is_unknown_and_named(tmp_path):
    loop = Loop(tmp_path)
    assert loop.tell(Truth("nobody", label=True)).taken == ("waiting",)
    loop.later(30)
    loop.later(40)
    assert (loop.state.unknown, loop.state.unknown_ids) == (1, ("nobody",))


def test_a_queue_that_is_full_drops_and_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("router.reader.keeper.STROKE_ROWS", 10**9)
    monkeypatch.setattr("router.reader.keeper.QUEUE_ROWS_MAX", 10)
    loop = Loop(tmp_path)
    for n in range(8):
        loop.sampled(f"id-{n}")
    loop.later(2)
    assert loop.state.dropped == {"queue": 6}
    assert loop.state.written == 10
    assert QUEUE_ROWS_MAX == 20_000


def test_a_disk_that_refuses_costs_rows_and_says_so(tmp_path):
    loop = Loop(tmp_path / "no-such-folder")
    loop.sampled("a")
    loop.later(2)
    assert loop.state.dropped == {"disk": 2}
    assert "unable to open" in loop.state.error
    assert "unable to open" in loop.tell(Truth("a", label=True)).error
    (tmp_path / "no-such-folder").mkdir()
    loop.later(6)
    loop.sampled("b")
    loop.later(6)
    assert loop.state.written == 2
    assert not loop.state.error
    assert loop.tell(Truth("b", label=True)).taken == (Taken.JOINED.value,)


def test_without_a_log_it_keeps_nothing_and_says_nothing(tmp_path):
    clerk = Clerk(LogKeeper())
    clerk.sampled(sample())
    assert clerk.wait_s is None
    assert clerk.due() == b""
    assert not list(tmp_path.iterdir())


def test_a_share_is_kept_by_the_id():
    kept = [n for n in range(4_000) if _chosen(f"id-{n}", 1_000)]
    assert 300 < len(kept) < 500
    assert all(_chosen(f"id-{n}", 2_000) for n in kept)


def person(tmp_path):
    loop = Loop(tmp_path, persons=("v1",))

    def copied(request_id, late, **changes):
        body = json.dumps({"predictions": [{"late": late, "p": 0.5 + 0.4 * late}]}).encode()
        one = CopyAnswer("r", "v2", request_id, 3, 200, 0.2, loop.now, "DE", body, "")
        loop.clerk.said(structs.replace(one, **changes))

    return loop, copied


@pytest.mark.parametrize("order", ["answer last", "answer first", "label first"])
def test_a_persons_answer_meets_the_copys_in_any_order_once(tmp_path, order):
    loop, copied = person(tmp_path)
    if order == "answer first":
        assert loop.tell(Truth("a", answer=True)).taken == ("waiting",)
    loop.sampled("a", status=202, answer=b"taken", request=b"{}")
    copied("a", late=False)
    found = loop.later(1.0)
    if order == "label first":
        loop.tell(Truth("a", label=True))
        found = loop.later(1.0)
        assert [row.answered for one in found for row in one.rows] == [None, None]
        assert all(one.rows[0].served.correct is None for one in found)
    if order != "answer first":
        assert loop.tell(Truth("a", answer=True), Truth("a", answer=False)).taken == (
            "joined", "duplicate",
        )  # fmt: skip
        found = loop.later(1.0)
    (pair,) = [one for one in found if one.rows[0].shadow is not None]
    answered = pair.rows[0].answered
    assert (answered.agreed, answered.person, answered.said) == (False, True, False)
    assert (pair.request_id, answered.positive, answered.seconds) == ("a", (True, False), 0.2)
    if order == "label first":  # it is judged now, with the answer that it was about
        assert (pair.rows[0].served.correct, pair.rows[0].shadow.correct) == (True, False)
    assert loop.tell(Truth("a", answer=True)).taken == ("duplicate",)


def test_a_copy_that_failed_waits_for_nobody_and_one_without_a_prediction_is_told(tmp_path):
    loop, copied = person(tmp_path)
    for name, changes in (("a", {"status": 500}), ("b", {"answer": b'{"predictions": [{}]}'})):
        loop.sampled(name, status=202, answer=b"", request=b"{}")
        copied(name, late=True, **changes)
    loop.later(1.0)
    loop.tell(Truth("a", answer=True), Truth("b", answer=True))
    found = [one for one in loop.later(1.0) if one.rows[0].shadow is not None]
    told = {one.request_id: one.rows[0].answered for one in found}
    assert told["a"] is None
    assert (told["b"].agreed, told["b"].said) == (None, None)


def test_a_file_of_an_earlier_router_gets_a_place_for_answers(tmp_path):
    loop, _ = person(tmp_path)
    loop.clerk.keeper.close()
    with sqlite3.connect(tmp_path / "log.db") as db:
        db.execute("DROP VIEW log")
        db.execute("ALTER TABLE truths DROP COLUMN answer")
    loop, _ = person(tmp_path)
    assert loop.tell(Truth("a", answer=2.5)).taken == ("waiting",)


def test_what_was_told_and_not_booked_is_told_again_by_the_next_reader(tmp_path):
    loop = Loop(tmp_path)
    for name in ("a", "b"):
        loop.sampled(name, request=b"{}", answer=json.dumps({"predictions": SAID[:1]}).encode())
    loop.later(1.0)
    loop.tell(Truth("a", label=True))
    (first,) = loop.later(1.0)
    loop.tell(Truth("b", label=True))
    (second,) = loop.later(1.0)
    assert 0 < first.number < second.number
    for after, told in (({"r": first.number}, ["b"]), ({"r": 0}, ["a", "b"]), ({}, [])):
        loop.clerk.keeper.close()
        loop.clerk = Clerk(LogKeeper(), lambda: loop.now)
        loop.clerk.said(Logging(loop.terms, after))
        assert [one.request_id for one in loop.later(1.0)] == told
        loop.clerk.said(Logging(loop.terms, after))  # a reload is no beginning
        assert loop.later(1.0) == []
    for fact in ({"value": 1.0}, {"score": 0.5}):
        loop.now += 3600.0
        loop.tell(Truth("b", **fact))
        loop.later(2.0)
    (left,) = loop.clerk.keeper._book.posted({"r": 0})
    assert left.rows[0].rating == 0.5, "what is old has gone"
