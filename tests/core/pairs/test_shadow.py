"""What a pair says, what is kept of it, and what of that is evidence."""

import gzip
import json
from dataclasses import replace

import pytest

from router.core.pairs.compare import Compare
from router.core.pairs.shadow import TWICE, ShadowBook, Terms, together
from router.core.pairs.tally import (
    HIDDEN,
    OTHER,
    SEGMENTS_MAX,
    WORST_DIFFERENCES_MAX,
    WORST_MAX,
    Learnt,
    Result,
)
from router.core.wire.counts import MirrorCounts, PairSample
from router.core.wire.outcomes import Pairs
from tests.core.pairs.judged import as_told, judged, judged_by


def sample(stable=b'{"x": 0}', other=b'{"x": 0}', *, statuses=(200, 200), version="v2", **more):
    bodies = [b if isinstance(b, bytes) else json.dumps(b).encode() for b in (stable, other)]
    return PairSample("r", version, 1, more.pop("request_id", "id"), *statuses, *bodies, **more)


AT_ONCE = ((0.0, 0.0),)
"""Times of a pair whose answers took none."""


def terms(payload="json", errors=(5,), **compare):
    return Terms("v1", "v2", Compare.model_validate(compare), payload, errors)


def booked(book, *samples):
    return [book.add(one, judged_by(book, one), 1.0) for one in samples]


@pytest.mark.parametrize(
    ("stable", "other", "expected"),
    [
        (200, 0, Result.FAILED),
        (200, 503, Result.FAILED),
        (200, 429, Result.FAILED),
        (200, 422, Result.DISAGREED),
        (422, 200, Result.DISAGREED),
        (422, 422, Result.REFUSED),
        (500, 200, Result.UNUSABLE),
        (429, 429, Result.UNUSABLE),
        (0, 200, Result.UNUSABLE),
        (0, 0, Result.UNUSABLE),
    ],
)
def test_statuses_come_first(stable, other, expected):
    rules = terms(errors=(5, 429))
    assert judged(rules, sample(statuses=(stable, other)), frozenset()).result is expected


@pytest.mark.parametrize(
    ("stable", "other", "expected"),
    [
        ({"y": 1}, {"y": 1}, Result.AGREED),
        ({"y": 1}, {"y": 2}, Result.DISAGREED),
        (b"", b"", Result.REFUSED),  # HEAD, or a readiness call
        (b"{", {"y": 1}, Result.UNUSABLE),
        ({"y": 1}, b"{", Result.FAILED),
        (b"[" * 100_000, b"[" * 100_000, Result.UNUSABLE),
    ],
)
def test_then_bodies(stable, other, expected):
    assert judged(terms(), sample(stable, other), frozenset()).result is expected


def test_evidence_of_one_pair():
    book = ShadowBook(terms(score="y"))
    yes, no = {"y": 0.9}, {"y": 0.1}
    assert booked(
        book, sample(yes, yes), sample(yes, no), sample(no, yes), sample(statuses=(200, 500)),
        sample(statuses=(500, 200)), sample({"z": "a"}, {"z": "b"}),
    ) == [
        Pairs(agreed=1, scored=1, times=AT_ONCE),
        Pairs(disagreed=1, scored=1, lost=1, times=AT_ONCE),
        Pairs(disagreed=1, scored=1, gained=1, times=AT_ONCE),
        Pairs(failed=1),
        None,
        Pairs(disagreed=1, times=AT_ONCE, absent=("y",)),
    ]  # fmt: skip
    told = as_told(book)["versions"]["v2"]
    assert (told["pairs"], told["agreement"], told["unusable"]) == (5, 0.2, 1)
    assert told["positive"] == {"pairs": 3, "stable": 0.666667, "candidate": 0.666667}
    assert told["score"] == {"pairs": 3, "mean": 0.533333, "far_share": 0.666667, "far": 0.05,
                             "max": 0.8}  # fmt: skip


def test_a_reverse_pair_is_turned_round():
    book = ShadowBook(terms(score="y"))
    turned = sample({"y": 0.9}, {"y": 0.1}, version="v1", primary="v2", primary_s=2.0, shadow_s=1.0)
    (pairs,) = booked(book, turned)
    assert pairs == Pairs(disagreed=1, scored=1, gained=1, reverse=True)
    told = as_told(book)["versions"]
    assert list(told) == ["v2"]
    assert (told["v2"]["latency"]["candidate"]["p50_s"],
            told["v2"]["latency"]["stable"]["p50_s"]) == (2.0, 1.0)  # fmt: skip
    (worst,) = told["v2"]["worst"]
    assert (worst["reverse"], worst["differences"][0]["stable"]) == (True, "0.1")
    assert booked(book, sample(version="v1", primary="v2", statuses=(200, 500))) == [None]
    assert booked(book, sample(version="v1", primary="v2", statuses=(500, 200))) == [
        Pairs(failed=1, reverse=True)
    ]


def test_further_versions_are_shown_and_are_no_evidence():
    book = ShadowBook(terms())
    assert booked(book, sample({"y": 1}, {"y": 2}, version="v9")) == [None]
    told = as_told(book)["versions"]
    assert (told["v9"]["disagreed"], told["v9"]["evidence"]) == (1, False)
    assert (told["v2"]["pairs"], told["v2"]["evidence"]) == (0, True)


def test_noise_is_learnt_then_does_not_decide():
    book = ShadowBook(terms(noise="50%", noise_pairs=20, score="y"))
    at = iter(range(10_000))

    def pair(version="v2", **change):
        return sample({"y": 1, "t": next(at)}, {"y": 1, "t": next(at)} | change, version=version)

    assert booked(book, *(pair() for _ in range(30))) == [Pairs(learning=1, times=AT_ONCE)] * 30
    assert booked(book, *(pair("v1") for _ in range(20))) == [None] * 20
    assert book.noise.silenced == {"t"}
    assert booked(book, pair(), pair(y=2)) == [
        Pairs(agreed=1, scored=1, times=AT_ONCE),
        Pairs(disagreed=1, scored=1, times=AT_ONCE),
    ]
    told = as_told(book)
    assert told["noise"]["silenced"] == ["t"]
    assert told["versions"][TWICE]["pairs"] == 20
    assert booked(book, sample(statuses=(200, 500))) == [Pairs(failed=1)]


def test_a_failed_copy_is_evidence_also_while_noise_is_learnt():
    book = ShadowBook(terms(noise="50%"))
    assert booked(book, sample(statuses=(200, 0))) == [Pairs(failed=1)]


def test_the_worst_are_kept_bounded_and_redacted():
    book = ShadowBook(terms(score="y", redact=["name", "rows.secret"]))
    for n in range(3 * WORST_MAX):
        other = {"y": n / 100, "name": "Bob", "rows": [{"secret": 2, "open": 3}]}
        stable = {"y": 0.0, "name": "Ann", "rows": [{"secret": 1, "open": 2}]}
        booked(book, sample(stable, other, request_id=f"q{n}"))
    worst = as_told(book)["versions"]["v2"]["worst"]
    assert [w["request_id"] for w in worst] == [f"q{n}" for n in range(59, 39, -1)]
    values = {d["path"]: (d["stable"], d["candidate"]) for d in worst[0]["differences"]}
    assert values["name"] == (HIDDEN, HIDDEN)
    assert values["rows[0].secret"] == (HIDDEN, HIDDEN)
    assert values["rows[0].open"] == ("2", "3")
    assert "Ann" not in json.dumps(as_told(book))
    large = {f"field-{n}-{'x' * 500}": "y" * 500 for n in range(500)}
    booked(book, *(sample({"y": 0.0}, large | {"y": 9.0 + n}) for n in range(WORST_MAX)))
    worst = as_told(book)["versions"]["v2"]["worst"]
    assert {len(w["differences"]) for w in worst} == {WORST_DIFFERENCES_MAX}
    assert len(json.dumps(worst)) < 64 * 1024


def test_what_the_log_keeps_nowhere_pairs_do_not_either():
    book = ShadowBook(replace(terms(score="y"), redacted=frozenset({"name"})))
    other, stable = {"y": 1.0, "user": {"name": "Bob"}}, {"y": 0.0, "user": {"name": "Ann"}}
    booked(book, sample(stable, other, request_id="q"))
    told = json.dumps(as_told(book))
    assert "user.name" in told
    assert "Bob" not in told
    assert "Ann" not in told


def test_an_answer_that_cannot_be_read_is_the_worst():
    book = ShadowBook(terms(score="y"))
    booked(book, sample({"y": 0.0}, {"y": 1.0}), sample({"y": 0.0}, b"<html>"))
    first, _ = as_told(book)["versions"]["v2"]["worst"]
    assert first["differences"][0]["kind"] == "unreadable"


def test_segments_are_bounded():
    book = ShadowBook(terms(segment={"header": "X-Country"}))
    booked(book, *(sample(segment=f"s{n}") for n in range(SEGMENTS_MAX + 10)))
    booked(book, sample(), sample({"y": 1}, {"y": 2}, segment="s0"))
    told = {s["segment"]: s for s in as_told(book)["versions"]["v2"]["segments"]}
    assert len(told) == SEGMENTS_MAX + 1
    assert told[OTHER]["pairs"] == 11
    assert told["s0"] == {"segment": "s0", "pairs": 2, "agreement": 0.5}
    plain_book = ShadowBook(terms())
    booked(plain_book, sample(segment="DE"))
    assert as_told(plain_book)["versions"]["v2"]["segments"] == []


def test_counts_survive_a_restart_and_values_do_not():
    book = ShadowBook(terms(score="y", noise="10%", segment={"header": "X"}))
    booked(book, sample({"y": 0.1}, {"y": 0.9}, segment="DE", shadow_s=0.2), sample(version="v1"))
    book.mirrored(MirrorCounts("r", "v2", 5, 1, {"queue": 2, "sample": 900}))
    kept = json.dumps(book.snapshot())
    again = ShadowBook(book.terms)
    again.restore(json.loads(kept))
    told, before = as_told(again), as_told(book)
    assert told["versions"]["v2"].pop("worst") == []
    assert before["versions"]["v2"].pop("worst")
    assert told == before
    assert told["versions"]["v2"]["delivery"] == {
        "delivered": 5, "failed": 1, "dropped": {"queue": 2},
    }  # fmt: skip


def test_sums():
    counted = [Pairs(agreed=1, scored=1), Pairs(disagreed=1, scored=1, gained=1), Pairs(failed=1)]
    assert together(counted) == Pairs(agreed=1, disagreed=1, failed=1, scored=2, gained=1)
    assert together([Pairs(agreed=2, reverse=True)]) == Pairs(agreed=2, reverse=True)
    timed = [Pairs(agreed=1, times=((1.0, 2.0),)), Pairs(), Pairs(agreed=1, times=((3.0, 4.0),))]
    assert together(timed) == Pairs(agreed=2, times=((1.0, 2.0), (3.0, 4.0)))


# --- what the router did itself is nobody's failure ---------------------------------------------

GZIP = gzip.compress(b'{"y": 1}', mtime=0)
SECOND = gzip.compress(b'{"y": 2}', mtime=0)


@pytest.mark.parametrize(
    ("stable", "other", "codings", "expected"),
    [
        ({"y": 1}, GZIP, ("", "gzip"), Result.AGREED),
        (GZIP, SECOND, ("gzip", "x-gzip"), Result.DISAGREED),
        ({"y": 1}, GZIP, ("", "br"), Result.FAILED),  # no client can read it either
        (GZIP, {"y": 1}, ("br", ""), Result.UNUSABLE),
        ({"y": 1}, b"?", ("", "lz4"), Result.UNUSABLE),
        (b"?", b"?", ("lz4", "lz4"), Result.UNUSABLE),
    ],
)
def test_codings(stable, other, codings, expected):
    one = sample(stable, other, primary_coding=codings[0], shadow_coding=codings[1])
    finding = judged(terms(), one, frozenset())
    assert finding.result is expected
    assert bool(finding.why) is (expected is Result.UNUSABLE)
    turned = sample(other, stable, version="v1", primary="v2", primary_coding=codings[1],
                    shadow_coding=codings[0])  # fmt: skip
    assert judged(terms(), turned, frozenset()).result is expected


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_copy_refused_for_want_of_a_credential_is_no_evidence(status, reverse):
    book = ShadowBook(terms())
    who = {"version": "v1", "primary": "v2"} if reverse else {}
    one = sample(statuses=(200, status), stripped=True, **who)
    assert booked(book, one) == [None]
    (told,) = book.candidate.reasons
    assert "credentials" in told
    assert booked(book, sample(statuses=(200, status), **who)) == [
        Pairs(disagreed=1, reverse=reverse, times=() if reverse else AT_ONCE)
    ], "nothing was taken from this copy"


def test_some_services_answer_500_to_a_missing_key_until_one_copy_was_admitted():
    book = ShadowBook(terms())
    failed = sample(statuses=(200, 500), stripped=True)
    good = sample({"y": 1}, {"y": 1}, stripped=True)
    lost = sample(statuses=(200, 0), stripped=True)
    assert booked(book, failed, lost, good, failed) == [
        None,
        Pairs(failed=1),  # no answer at all is no refusal
        Pairs(agreed=1, scored=1, times=AT_ONCE),
        Pairs(failed=1),
    ]
    kept = ShadowBook(terms())
    kept.restore(book.snapshot())
    assert booked(kept, failed) == [Pairs(failed=1)]


def test_equal_refusals_dilute_no_agreement():
    book = ShadowBook(terms())
    refused = sample(statuses=(422, 422))
    assert booked(book, *[refused] * 96, sample({"y": 1}, {"y": 2}))[:96] == [None] * 96
    told = as_told(book)["versions"]["v2"]
    assert (told["pairs"], told["agreement"], told["refused"]) == (1, 0.0, 96)


def test_an_answer_far_larger_disagrees():
    book = ShadowBook(terms())
    (pairs,) = booked(book, sample(b"", b"", far=(100, 99_999)))
    assert pairs.disagreed == 1
    (worst,) = as_told(book)["versions"]["v2"]["worst"]
    assert worst["differences"][0]["candidate"] == "99,999 bytes or more"
    turned = sample(b"", b"", far=(99_999, 100), version="v1", primary="v2")
    (difference,) = judged(terms(), turned, frozenset()).comparison.differences
    assert (difference.stable, difference.candidate) == ("100 bytes", "99,999 bytes or more")


def test_where_nothing_decides_nothing_agrees():
    book = ShadowBook(terms(decide_on=["prediction"]))
    assert booked(book, *[sample({"predict": 1}, {"predict": 0})] * 100) == [None] * 100
    told = book.unlearnt(Learnt(0, 0, 0))
    assert "100 of 100 pairs" in told
    assert "stable's answer has no field prediction" in told
    missing = sample({"prediction": 1}, {"predict": 1})
    assert booked(book, missing)[0].disagreed == 1


def test_pairs_that_teach_nothing_are_told_and_most_of_all_why():
    book = ShadowBook(terms(score="prob"))
    nothing = Learnt(0, 0, 0)
    booked(book, *[sample(b"?", b"?", primary_coding="lz4")] * 99)
    assert not book.unlearnt(nothing), "too few"
    booked(book, sample(statuses=(500, 200)))
    assert "because the coding 'lz4' is not read" in book.unlearnt(nothing)
    before = book.candidate.learnt
    booked(book, *[sample({"y": "a"}, {"y": "a"})] * 100)
    assert not book.unlearnt(nothing).startswith("the shadow teaches nothing")
    assert "has the score prob" in book.unlearnt(before)
    keyless = ShadowBook(terms())
    booked(keyless, *[sample(statuses=(200, 401), stripped=True)] * 100)
    assert "keep_headers" in keyless.unlearnt(nothing)
    refused = ShadowBook(terms())
    booked(refused, *[sample(statuses=(422, 422))] * 100)
    assert "both versions refused alike" in refused.unlearnt(nothing)
    assert len(keyless.candidate.reasons) == 1


def test_reasons_are_bounded():
    book = ShadowBook(terms())
    for number in range(100):
        booked(book, sample(b"?", b"?", primary_coding=f"c{number}"))
    assert len(book.candidate.reasons) <= 13
    assert sum(book.candidate.reasons.values()) == 100
