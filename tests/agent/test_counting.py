"""Records of Envoy into evidence: each attempt once, in the arm and at the weight it was drawn."""

from dataclasses import replace

import pytest

from router.agent.counting import ENDED, STARTED, AttemptBook
from router.agent.outcomes import outcome_of, status_of
from router.agent.routes import Placed
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.outcomes import Outcome
from router.core.wire.table import (
    MatchEntry,
    RescueEntry,
    RetryEntry,
    RouteEntry,
    RoutingTable,
    RuleEntry,
    StickyEntry,
    StickyKind,
    VersionEntry,
)
from router.proxy.serving import Serving
from router.telemetry.recorder import Recorder
from router.upstream import Pools

ENTRY = RouteEntry(
    "score", MatchEntry(),
    tuple(
        VersionEntry(name, (EndpointEntry("127.0.0.1", port),))
        for name, port in (("v1", 9001), ("v2", 9002))
    ),
    0, 1, weights_bp=(9_000, 1_000), revision=3, rollout_id="score-1",
    thresholds_s=(0.1,), slow_abort_s=1.0, answer_within_s=5.0,
)  # fmt: skip
RESCUED = replace(ENTRY, rescue=RescueEntry((5,)))
CLUSTERS = {"v1": "score/v1/http", "v2": "score/v2/http/else/v1"}


class Scene:
    """A counting at a clock of its own, told as Envoy tells."""

    def __init__(self, entry=ENTRY, generation=5):
        self.now = 100.0
        self.woken = 0
        self.recorder = Recorder(self._wake)
        self.pools = Pools()
        self.serving = Serving(RoutingTable(generation, (entry,)), self.pools, self.recorder)
        self.counting = AttemptBook(self.recorder, lambda: self.now)
        self.counting.follow(self.serving, [Placed(f"b.{generation}", entry)])
        self.number = 0

    def _wake(self):
        self.woken += 1

    def move(self, entry, generation):
        self.serving = Serving(
            RoutingTable(generation, (entry,)), self.pools, self.recorder, self.serving
        )
        self.counting.follow(self.serving, [Placed(f"b.{generation}", entry)])

    def record(self, kind, version="v2", *, stream="s", attempt=1, status=0, flags="-", **more):
        told = {
            "type": kind, "stream": stream, "request": f"r{stream}", "attempt": str(attempt),
            "route": "score", "mark": "b.5", "weight": 1_000, "forced": None, "version": version,
            "role": "live", "of": "score", "cluster": CLUSTERS[version], "host": None,
            "status": status, "call": None, "flags": flags, "whole_us": None, "first_us": None,
            "client": "10.0.0.1", "sent": 3,
        }  # fmt: skip
        self.counting.take(told | more)

    def asked(self, version="v2", status=200, *, seconds=0.01, **more):
        """A whole attempt."""
        self.number += 1
        stream = more.pop("stream", f"s{self.number}")
        self.record(STARTED, version, stream=stream, **more)
        self.now += seconds
        us = int(seconds * 1e6)
        self.record(
            ENDED, version, stream=stream, status=status, whole_us=us, first_us=us, **more
        )  # fmt: skip

    def cells(self):
        return [cell for batch in self.recorder.delta().batches for cell in batch.cells]

    def arms(self):
        """(drawn, ok, bad, left) of candidate and stable, over all slices of one report."""
        cells = self.cells()
        return tuple(
            tuple(
                sum(getattr(getattr(cell, arm), name) for cell in cells)
                for name in ("arrived", "ok", "bad", "left")
            )
            for arm in ("candidate", "stable")
        )


def test_each_attempt_counts_in_its_arm_at_the_weight_of_its_routing():
    scene = Scene()
    scene.asked("v1")
    scene.asked("v2", 503)
    scene.asked("v2")
    assert scene.woken
    (batch,) = scene.recorder.delta().batches
    assert batch.revision == 3
    (cell,) = batch.cells
    assert cell.weight_bp == 1_000
    candidate, stable = cell.candidate, cell.stable
    assert (candidate.arrived, candidate.ok, candidate.bad) == (2, 1, 1)
    assert (stable.arrived, stable.ok, stable.bad) == (1, 1, 0)


def test_the_draw_is_told_before_its_end():
    scene = Scene()
    scene.record(STARTED)
    assert scene.arms() == ((1, 0, 0, 0), (0, 0, 0, 0))
    scene.record(ENDED, status=500)
    assert scene.arms() == ((1, 0, 1, 0), (0, 0, 0, 0))
    assert scene.counting.open == 0


def test_a_record_of_a_former_generation_counts_at_its_own_weight():
    scene = Scene()
    scene.record(STARTED)
    scene.move(replace(ENTRY, weights_bp=(5_000, 5_000), revision=4), 6)
    scene.record(ENDED, status=500)
    scene.asked("v2", mark="b.6")
    told = {
        (batch.revision, cell.weight_bp): (cell.candidate.bad, cell.candidate.ok)
        for batch in scene.recorder.delta().batches
        for cell in batch.cells
    }
    assert told == {(3, 1_000): (1, 0), (4, 5_000): (0, 1)}


def test_a_rescued_failure_is_the_candidates_and_the_replay_is_no_evidence():
    scene = Scene(RESCUED)
    scene.asked("v2", 503, stream="a")
    scene.record(STARTED, "v1", stream="b", attempt=2, request="ra", cluster=CLUSTERS["v2"])
    scene.record(
        ENDED, "v1", stream="b", attempt=2, request="ra", cluster=CLUSTERS["v2"], status=200
    )  # fmt: skip
    delta = scene.recorder.delta()
    (batch,) = delta.batches
    assert batch.replays == (1, 0)
    assert sum(cell.candidate.bad for cell in batch.cells) == 1
    assert sum(cell.stable.arrived for cell in batch.cells) == 0
    rescued = {one.version: one.rescued for one in delta.versions}
    assert rescued == {"v1": 0, "v2": 1}


def test_what_stable_answers_for_an_ejected_candidate_is_no_ones_draw():
    scene = Scene(RESCUED)
    scene.asked("v1", cluster=CLUSTERS["v2"])
    assert scene.arms() == ((0, 0, 0, 0), (0, 0, 0, 0))


def test_no_connection_is_a_failure_without_a_start():
    scene = Scene(RESCUED)
    scene.record(ENDED, flags="UF")
    assert scene.arms() == ((1, 0, 1, 0), (0, 0, 0, 0))


def test_a_second_try_at_the_same_version_is_the_same_draw():
    scene = Scene(replace(ENTRY, retry=RetryEntry(attempts=1)))
    scene.record(ENDED, flags="UF", stream="0.1", request="q")
    assert scene.arms() == ((1, 0, 0, 0), (0, 0, 0, 0))
    scene.record(STARTED, stream="7.2", request="q", attempt=2)
    scene.record(ENDED, stream="7.2", request="q", attempt=2, status=200)
    assert scene.arms() == ((1, 1, 0, 0), (0, 0, 0, 0))


def test_a_second_try_that_never_comes_is_the_failure_of_the_first():
    scene = Scene(replace(ENTRY, retry=RetryEntry(attempts=1)))
    scene.record(ENDED, flags="UF", stream="0.1", request="q")
    scene.now += 1.5
    scene.counting.sweep()
    assert scene.arms() == ((1, 0, 1, 0), (0, 0, 0, 0))


def test_a_client_that_leaves_is_nobodys_fault_until_stable_would_have_answered():
    scene = Scene()
    scene.record(STARTED, stream="a")
    scene.record(ENDED, stream="a")
    assert scene.arms() == ((1, 0, 0, 1), (0, 0, 0, 0))
    scene.record(STARTED, stream="b")
    scene.now += 2.0
    scene.record(ENDED, stream="b", flags="DC")
    assert scene.arms() == ((1, 0, 1, 0), (0, 0, 0, 0))


def test_slow_and_failed_by_age_while_it_hangs():
    scene = Scene()
    scene.record(STARTED)
    scene.now += 0.2
    scene.counting.sweep()
    (cell,) = scene.cells()
    assert cell.candidate.slow == (1,)
    scene.now += 5.0
    scene.counting.sweep()
    (cell,) = scene.cells()
    assert cell.candidate.bad == 1
    scene.record(ENDED, status=200)
    assert scene.cells() == []


def test_lost_records_make_a_second_unknown_in_both_arms_alike():
    scene = Scene()
    scene.asked("v1", 503)
    scene.asked("v2", 503)
    scene.record(STARTED, stream="open")
    assert scene.arms()[0][2] == 1
    scene.record(STARTED, stream="open2")
    scene.counting.lost()
    scene.record(ENDED, stream="open", status=503)
    candidate, stable = scene.arms()
    assert candidate[2] == stable[2] == 0
    assert candidate[0] == candidate[3]
    assert scene.counting.unknown == 1


def test_a_user_is_one_unit_however_often_they_ask():
    scene = Scene(replace(ENTRY, sticky=StickyEntry(StickyKind.HEADER, "x-user-id")))
    for user in ("ann", "ann", "bob", "-"):
        scene.asked("v2", **{"key-x-user-id": user})
    drawn = [unit for cell in scene.cells() for unit in cell.candidate.users.drawn]
    assert len(drawn) == len(set(drawn)) == 3


def test_a_rule_is_told_apart_from_a_draw():
    scene = Scene(replace(ENTRY, rules=(RuleEntry(MatchEntry(), 1),)))
    scene.asked("v2", 503, forced=1)
    (cell,) = scene.cells()
    assert cell.forced
    assert cell.candidate.bad == 1


def test_copies_of_calls_are_counted_apart():
    scene = Scene()
    scene.asked("v2", 200, route=None, role="shadow", call=0)
    scene.asked("v2", 200, route=None, role="shadow", call=14)
    delta = scene.recorder.delta()
    (mirror,) = delta.mirrors
    assert (mirror.delivered, mirror.failed) == (1, 1)
    assert delta.batches == ()


def test_records_of_nothing_that_is_known_change_nothing():
    scene = Scene()
    for more in ({"mark": "b.4"}, {"route": "other"}, {"mark": None}):
        scene.asked("v2", **more)
    scene.record(ENDED, stream="never", status=200)
    assert scene.counting.unknown >= 4
    assert scene.arms() == ((0, 0, 0, 0), (0, 0, 0, 0))


@pytest.mark.parametrize(
    ("told", "outcome", "status"),
    [
        ({"status": 200, "flags": "-"}, Outcome.OK, 200),
        ({"status": 404, "flags": "-"}, Outcome.OK, 404),
        ({"status": 503, "flags": "-"}, Outcome.SERVER_ERROR, 503),
        ({"status": 200, "call": 14, "flags": "-"}, Outcome.SERVER_ERROR, 503),
        ({"status": 200, "call": 3, "flags": "-"}, Outcome.OK, 400),
        ({"status": 200, "call": 0, "flags": "-"}, Outcome.OK, 200),
        ({"status": 0, "flags": "UT"}, Outcome.TIMEOUT, 0),
        ({"status": 0, "flags": "SI"}, Outcome.TIMEOUT, 0),
        ({"status": 0, "flags": "UF,URX"}, Outcome.REFUSED, 0),
        ({"status": 0, "flags": "UC"}, Outcome.RESET, 0),
        ({"status": 200, "flags": "UC"}, Outcome.TRUNCATED, 200),
        ({"status": 0, "flags": "UO"}, Outcome.SHED, 0),
        ({"status": 0, "flags": "UPE"}, Outcome.MALFORMED, 0),
        ({"status": 0, "flags": "DC"}, Outcome.CLIENT_ABORT, 0),
        ({"status": 0, "flags": "-"}, Outcome.CLIENT_ABORT, 0),
        ({"status": "nonsense", "flags": None}, Outcome.CLIENT_ABORT, 0),
    ],
)
def test_whose_fault_it_was(told, outcome, status):
    assert outcome_of(told, range(500, 600)) is outcome
    assert status_of(told) == status
