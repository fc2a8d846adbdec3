"""Every case of the corpus gets its verdict, whole, cut at every byte, and in random pieces."""

from __future__ import annotations

import random

import pytest

from router.http1 import RequestParser, ResponseParser
from router.http1.framing import FramingError
from tests.http1.corpus import ANSWERS, REQUESTS, Case
from tests.http1.wire import Recorder

SEED = 20261121
EVERY_CUT_MAX = 400  # longer cases are cut where they are interesting: near both ends
RANDOM_CUTS = 8


def run(case: Case, pieces: list[bytes], *, answers: bool) -> Case:
    """The case as it came out, to be compared with what was asked for."""
    recorder = Recorder()
    parser = ResponseParser(recorder) if answers else RequestParser(recorder)
    if answers:
        parser.expect(to_head=case.to_head)
    status = None
    try:
        for piece in filter(None, pieces):
            if answers and not parser.due:
                parser.close()  # what a pool does with a connection that speaks out of turn
            parser.feed(piece)
        if case.eof:
            parser.feed_eof()
    except FramingError as error:
        status = error.status
    assert status is None or parser.closed
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


@pytest.mark.parametrize("case", REQUESTS, ids=lambda c: c.name)
def test_request_verdict_however_it_is_cut(case):
    for pieces in cuts(case.raw, case.name):
        assert run(case, pieces, answers=False) == case, [len(p) for p in pieces]


@pytest.mark.parametrize("case", ANSWERS, ids=lambda c: c.name)
def test_answer_verdict_however_it_is_cut(case):
    for pieces in cuts(case.raw, case.name):
        assert run(case, pieces, answers=True) == case, [len(p) for p in pieces]


def test_the_corpus_is_large_and_its_names_are_unique():
    assert len(REQUESTS) >= 300
    assert len(ANSWERS) >= 100
    for cases in (REQUESTS, ANSWERS):
        names = [case.name for case in cases]
        assert len(set(names)) == len(names)


def test_most_cases_are_refusals():
    refused = sum(case.status is not None for case in REQUESTS)
    assert refused > len(REQUESTS) / 2
