"""Workers of several machines tell of one rollout: together they tell what one would have told."""

import random

from router.control.fleet import reporters
from router.control.fleet.reporters import ELSEWHERE_FROM, Reporters, batches_of, samples_of
from router.core.evidence.ledger import Ledger
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.core.wire.reporter import WorkerId
from router.core.wire.sampled import Sampled

HERE = "pod-a"


def cell(source, number, bad, answers, arrived):
    return Cell(
        500, ArmCounts(ok=answers - bad, bad=bad, arrived=arrived), source=source, slice=number
    )  # fmt: skip


def told(rnd, who, slices):
    """What one worker says: each slice again and again, until all of it has ended."""
    words = []
    for number in range(1, slices + 1):
        arrived = rnd.randrange(1, 9)
        bad = rnd.randrange(arrived + 1)
        for answers in sorted({*rnd.sample(range(arrived + 1), min(3, arrived)), arrived}):
            one = cell(who.number, number, min(bad, answers), answers, arrived)
            words += [(who, one)]
    return words


def mixed(rnd, streams):
    """In any order that keeps each worker's own."""
    streams = [list(one) for one in streams if one]
    while streams:
        stream = rnd.choice(streams)
        yield stream.pop(0)
        streams = [one for one in streams if one]


def booked(reporters, words):
    """(drawn, bad, answers) in the books of one decider."""
    ledger, sums = Ledger(), [0, 0, 0]
    for who, one in words:
        if (source := reporters.source(who)) is None:
            continue
        (batch,) = batches_of(source, (Batch("r", 1, (one,)),))
        new = ledger.book(batch.cells[0])
        for place, number in enumerate(new[:3]):
            sums[place] += number
    return sums


def test_what_several_machines_count_adds_up_to_what_one_would_have_counted():
    for seed in range(50):
        rnd = random.Random(seed)
        workers = [WorkerId(name, 7, n) for name in (HERE, "pod-b", "pod-c") for n in range(2)]
        streams = [told(rnd, who, rnd.randrange(1, 12)) for who in workers]
        last = {(who, one.slice): one for stream in streams for who, one in stream}.values()
        alone = [sum(getattr(one.candidate, name) for one in last)
                 for name in ("arrived", "bad", "answers")]  # fmt: skip
        assert booked(Reporters(HERE, lambda _source: None), mixed(rnd, streams)) == alone, seed


def test_workers_of_this_machine_keep_their_numbers_and_others_get_one_each():
    ended = []
    reporters = Reporters(HERE, ended.append)
    assert [reporters.source(WorkerId(HERE, boot, 3)) for boot in (5, 6)] == [3, 3]
    other = [reporters.source(WorkerId("pod-b", 5, n)) for n in (3, 4, 3)]
    assert other == [ELSEWHERE_FROM, ELSEWHERE_FROM + 1, ELSEWHERE_FROM]
    assert reporters.source(WorkerId("pod-b", 9, 3)) == ELSEWHERE_FROM + 2
    assert ended == [ELSEWHERE_FROM], "nobody will tell what became of what it had under way"


def test_what_is_said_after_a_successor_began_counts_nothing():
    reporters = Reporters(HERE, lambda _source: None)
    old, new = WorkerId("pod-b", 5, 0), WorkerId("pod-b", 6, 0)
    assert reporters.source(old) is not None
    assert reporters.source(new) is not None
    assert reporters.source(old) is None


def test_samples_go_with_the_slices_that_they_were_drawn_in():
    sample = Sampled(route="r", version="v1", revision=1, role="stable", arm="s", source=0, slice=4)
    assert samples_of(0, (sample,)) == (sample,)
    (moved,) = samples_of(1_000, (sample,))
    assert (moved.source, moved.slice, sample.source) == (1_000, 4, 0)


def test_workers_whose_routers_never_come_again_are_forgotten(monkeypatch):
    monkeypatch.setattr(reporters, "PLACES_MAX", 3)
    ended = []
    known = Reporters(HERE, ended.append)
    assert known.source(WorkerId(HERE, 1, 0)) == 0
    first = [known.source(WorkerId(name, 1, 0)) for name in ("b", "c")]
    assert known.source(WorkerId("b", 1, 0)) == first[0]
    known.source(WorkerId("d", 1, 0))
    assert ended == [first[1]], "who spoke longest ago of those elsewhere"
    assert known.source(WorkerId("b", 1, 0)) == first[0]
    assert known.source(WorkerId("c", 1, 0)) not in (*first, None), "a number that nobody had"
