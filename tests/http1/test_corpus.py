"""Every case of the corpus gets its verdict, whole, cut at every byte, and in random pieces."""

from __future__ import annotations

import random

import pytest

from router.http1 import DEFAULT_LIMITS, RequestParser, ResponseParser
from router.http1.framing import FramingError
from router.http1.headers import REQUEST_KINDS, RESPONSE_KINDS, FieldCache
from router.http1.plain import HEADS_BEFORE
from router.http1.reader import DEAD
from tests.http1.corpus import ANSWERS, REQUESTS, Case
from tests.http1.wire import Recorder

SEED = 20261121
EVERY_CUT_MAX = 400  # longer cases are cut where they are interesting: near both ends
RANDOM_CUTS = 8


def fields_of(kinds, *, taught):
    """Lines of one direction; `taught`: every shape of the corpus that is plain is known."""
    fields = FieldCache(kinds)
    fields.shapes._credit = 1 << 60 if taught else -(1 << 60)
    answers = kinds is RESPONSE_KINDS
    for case in (ANSWERS if answers else REQUESTS) if taught else ():
        for number in range(HEADS_BEFORE + 1):
            raw = case.raw.replace(b"/x", b"/%d" % number).replace(b"OK", b"OK%d" % number)
            run(Case(case.name, raw), [raw], answers=answers, fields=fields)
    return fields


def run(case: Case, pieces: list[bytes], *, answers: bool, fields: FieldCache) -> Case:
    """The case as it came out, to be compared with what was asked for."""
    recorder = Recorder()
    parser = (ResponseParser if answers else RequestParser)(recorder, DEFAULT_LIMITS, fields)
    if answers:
        parser.expect(to_head=case.to_head)
    status = None
    try:
        for piece in filter(None, pieces):
            if answers and not parser._due:
                parser.close()  # what a pool does with a connection that speaks out of turn
            parser.feed(piece)
        if case.eof:
            parser.feed_eof()
    except FramingError as error:
        status = error.status
    assert status is None or parser._state == DEAD
    return Case(
        case.name,
        case.raw,
        tuple(recorder.seen),
        status,
        partial=status is None and (recorder.open is not None or parser.mid_message),
        to_head=case.to_head,
        eof=case.eof,
        reusable=parser.reusable if answers else True,
    )


def cuts(raw: bytes, seed: str) -> list[list[bytes]]:
    """The raw bytes whole, in two pieces at every place, byte by byte, and at random."""
    whole = len(raw)
    if whole <= EVERY_CUT_MAX:
        places = range(1, whole)
    else:
        places = [*range(1, 120), *range(4000, 4300, 43), *range(32764, 32772)]
        places = [p for p in [*places, *range(whole - 30, whole)] if p < whole]
    ways = [[raw], *([raw[:p], raw[p:]] for p in places)]
    if whole <= EVERY_CUT_MAX:
        ways.append([raw[i : i + 1] for i in range(whole)])
    rng = random.Random(f"{SEED}{seed}")
    for _ in range(RANDOM_CUTS):
        marks = sorted(rng.choices(range(whole + 1), k=rng.randint(1, 9)))
        ways.append([raw[a:b] for a, b in zip([0, *marks], [*marks, whole], strict=True)])
    return ways


@pytest.fixture(scope="module", params=[True, False], ids=["plain", "two-readers"])
def fields(request):
    """Both ways a head may be read, for both directions."""
    return {kinds: fields_of(one, taught=request.param) for kinds, one in KINDS.items()}


KINDS = {"requests": REQUEST_KINDS, "answers": RESPONSE_KINDS}


@pytest.mark.parametrize("case", REQUESTS, ids=lambda c: c.name)
def test_request_verdict_however_it_is_cut(case, fields):
    for pieces in cuts(case.raw, case.name):
        got = run(case, pieces, answers=False, fields=fields["requests"])
        assert got == case, [len(p) for p in pieces]


@pytest.mark.parametrize("case", ANSWERS, ids=lambda c: c.name)
def test_answer_verdict_however_it_is_cut(case, fields):
    for pieces in cuts(case.raw, case.name):
        got = run(case, pieces, answers=True, fields=fields["answers"])
        assert got == case, [len(p) for p in pieces]


def test_shapes_of_the_corpus_are_known_where_they_are_plain():
    assert len(fields_of(REQUEST_KINDS, taught=True).shapes) >= 10
    assert len(fields_of(RESPONSE_KINDS, taught=True).shapes) >= 5
    assert not fields_of(REQUEST_KINDS, taught=False).shapes


def test_the_corpus_is_large_and_its_names_are_unique():
    assert len(REQUESTS) >= 300
    assert len(ANSWERS) >= 100
    for cases in (REQUESTS, ANSWERS):
        names = [case.name for case in cases]
        assert len(set(names)) == len(names)


def test_most_cases_are_refusals():
    refused = sum(case.status is not None for case in REQUESTS)
    assert refused > len(REQUESTS) / 2
