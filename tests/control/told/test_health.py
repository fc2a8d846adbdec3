"""How many routers are how far, as people read it."""

from router.control.fleet.fleet import WorkerState
from router.control.told.health import replicas_of
from router.core.wire.reporter import WorkerId


def state(replica, term, generation, number=0):
    return WorkerState(WorkerId(replica, 1, number), None, 80, term, generation)


def test_a_replica_counts_when_all_its_workers_serve_by_the_newest_table():
    there = [state("a", 3, 42), state("b", 3, 42), state("b", 3, 42, 1), state("c", 2, 77)]
    assert replicas_of(there, 3, 42) == "2 of 3 replicas on generation 42"
    assert replicas_of([*there[:2], state("b", 3, 41, 1)], 3, 42) == (
        "1 of 2 replicas on generation 42"
    )


def test_one_machine_has_no_replicas():
    assert replicas_of([state("a", 3, 41), state("a", 3, 42, 1)], 3, 42) == ""
    assert replicas_of([], 3, 42) == ""
