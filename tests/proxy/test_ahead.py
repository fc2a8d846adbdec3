"""Batch traffic ahead of the coin: undrawn the candidate's, each user in one place."""

import pytest

from router.core.wire.endpoint import EndpointEntry
from router.core.wire.protection import BatchEntry
from router.core.wire.table import StickyEntry, StickyKind, stable_only
from router.proxy.assign import assign
from router.proxy.matching import NO_DOCUMENT
from router.proxy.serving import ServedRoute
from router.telemetry.recorder import Recorder
from router.upstream import Pools
from tests.proxy.rig import rollout
from tests.proxy.test_assign import head

NOBODY = EndpointEntry("127.0.0.1", 9)
BATCH = BatchEntry("x-priority", ("batch", "low"), 4_444)
"""At 10 %: half of the batch."""


@pytest.fixture
def served():
    pools = Pools()

    def make(weight_bp=1_000, batch=BATCH, **more):
        entry = rollout(NOBODY, NOBODY, weight_bp, batch=batch, **more)
        return ServedRoute(entry, pools, Recorder())

    yield make
    pools.close()


def shares(route, *fields, number=4_000):
    """Of so many requests: the candidate's, and those of them that nobody drew."""
    found = [assign(route, head(*fields), NO_DOCUMENT) for _ in range(number)]
    mine = [one for one in found if one.version is route.candidate]
    assert all(one.drawn for one in found if one.version is not route.candidate)
    return len(mine) / number, sum(not one.drawn for one in mine) / number


@pytest.mark.parametrize("value", ["batch", "LOW", " Batch "])
def test_batch_goes_ahead_and_the_rest_of_it_is_drawn(served, value):
    mine, undrawn = shares(served(), f"X-Priority: {value}")
    # Five standard deviations of 4,000 are 4 points at most.
    assert mine == pytest.approx(0.5, abs=0.04)
    assert undrawn == pytest.approx(0.4444, abs=0.04)


@pytest.mark.parametrize("fields", [(), ("X-Priority: high",), ("X-Priority:",)])
def test_what_is_no_batch_is_drawn(served, fields):
    mine, undrawn = shares(served(), *fields)
    assert mine == pytest.approx(0.1, abs=0.03)
    assert undrawn == 0.0


def test_a_worker_that_takes_a_candidate_back_takes_its_batch_back(served):
    entry = stable_only(served().entry)
    assert entry.batch.ahead_bp == 0
    route = ServedRoute(entry, Pools(), Recorder())
    assert shares(route, "X-Priority: batch", number=500) == (0.0, 0.0)
    assert route.batch.names(head("X-Priority: batch")), "in a full queue it still makes room"


def test_a_user_keeps_his_place_and_who_cannot_be_told_has_a_coin(served):
    sticky = StickyEntry(StickyKind.HEADER, "x-user", salt="0123456789abcdef")
    route = served(sticky=sticky)
    fields = "X-Priority: batch"
    found = {}
    for number in range(600):
        user = f"X-User: u{number % 200}"
        one = assign(route, head(fields, user), NO_DOCUMENT)
        found.setdefault(user, set()).add((one.version.name, one.drawn))
    assert all(len(seen) == 1 for seen in found.values())
    undrawn = sum(seen == {("v2", False)} for seen in found.values())
    assert 50 < undrawn < 130
    assert shares(route, fields, number=1_000)[1] == pytest.approx(0.44, abs=0.08)
