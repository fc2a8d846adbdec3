"""What becomes evidence: which cell, which arm, whose fault; slow by age and fast by answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import xxhash

from router.core.wire.counts import PairSample
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.histogram import BOUNDS_S
from router.core.wire.outcomes import BAD_OUTCOMES, Outcome
from router.core.wire.table import StickyEntry, StickyKind
from router.telemetry.recorder import (
    CELLS_MAX,
    PAIR_BYTES_MAX,
    PAIRS_MAX,
    Recorder,
    unit_of,
)
from router.telemetry.slices import SLICES_MAX
from router.telemetry.users import BUCKETS, NTH_MAX
from tests.proxy.rig import rollout

HERE = EndpointEntry("127.0.0.1", 1)
OK = int(Outcome.OK)
ERROR = int(Outcome.SERVER_ERROR)


def entry(weight_bp=5_000, **fields):
    return rollout(HERE, HERE, weight_bp, **fields)


def cells(recorder):
    return {cell.weight_bp: cell for batch in recorder.delta().batches for cell in batch.cells}


def test_a_request_counts_at_the_weight_it_was_drawn_with():
    """It ends after the weight has changed, twice; the cell is that of its drawing."""
    recorder = Recorder()
    arm = recorder.cell(entry(100)).candidate
    arm.arrive()
    recorder.cell(entry(500))
    assert set(cells(recorder)) == {100}
    recorder.cell(entry(10_000))
    arm.end(OK, 0.1, 0, 0)
    got = cells(recorder)
    assert set(got) == {100}
    assert got[100].candidate.ok == 1


def test_equal_weights_share_a_cell_and_revisions_do_not():
    recorder = Recorder()
    assert recorder.cell(entry(100)) is recorder.cell(entry(100))
    assert recorder.cell(entry(100)) is not recorder.cell(entry(100, revision=8))
    assert recorder.cell(entry(100)) is not recorder.cell(entry(100, thresholds_s=(0.1,)))
    recorder.cell(entry(100, revision=8)).stable.arrive()
    (batch,) = recorder.delta().batches
    assert (batch.route, batch.revision) == ("r", 8)


def test_without_a_share_there_is_no_evidence():
    recorder = Recorder()
    assert recorder.cell(entry(0)) is None
    assert recorder.cell(replace(entry(0), candidate=-1)) is None
    assert recorder.cell(entry(10_000)).weight_bp == 10_000


def test_the_weight_is_the_candidates_share_of_the_two_arms():
    three = replace(entry(), versions=(*entry().versions, entry().versions[0]),
                    weights_bp=(3_000, 1_000, 6_000))  # fmt: skip
    assert Recorder().cell(three).weight_bp == 2_500


def test_finished_cells_go_and_open_ones_stay_within_a_bound():
    recorder = Recorder()
    for weight_bp in range(1, CELLS_MAX + 100):
        recorder.cell(entry(weight_bp)).stable.arrive()
    recorder.cell(entry(9_999))
    recorder.delta()
    assert len(recorder._cells["r"]) == CELLS_MAX + 1
    recorder.keep_routes(set())
    for cell in list(recorder._cells["r"].values()):
        for one in cell.slices:
            one.stable.left = one.stable.arrived
    recorder.delta()
    assert recorder._cells == {}
    assert recorder._current == {}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_r11_each_outcome_counts_as_its_fault_says(outcome):
    """Each has exactly one end in each question; who left saw no failure."""
    recorder = Recorder()
    arm = recorder.cell(entry(thresholds_s=(0.5,))).candidate
    arm.arrive()
    arm.end(int(outcome), 0.1, 0, 0)
    counts = cells(recorder)[5_000].candidate
    assert counts.ok == (outcome is Outcome.OK)
    assert counts.bad == (outcome in BAD_OUTCOMES)
    assert counts.left == (outcome is not Outcome.OK and outcome not in BAD_OUTCOMES)
    assert (counts.slow, counts.fast, counts.arrived, arm.open) == ((0,), (1,), 1, 0)


def arm_of(thresholds_s, recorder=None, stretch=0.0, **fields):
    made = entry(thresholds_s=thresholds_s, slow_tolerance=stretch, **fields)
    return (recorder or Recorder()).cell(made).candidate


def told(arm):
    return arm.counts(arm.slice.cell.order)


def test_slow_is_counted_by_age_once_per_threshold_answered_or_not():
    arm = arm_of((0.1, 0.5, 1.0))
    arm.arrive()
    passed = arm.pass_limits(0.1, 0, 0)
    assert passed == 0  # at the threshold is not above it
    passed = arm.pass_limits(0.6, passed, 0)
    assert passed == 2
    assert arm.pass_limits(0.7, passed, 0) == 2
    assert told(arm).slow == (1, 1, 0)
    arm.end(OK, 2.0, passed, 0)
    counts = told(arm)
    assert (counts.slow, counts.fast, counts.ok) == ((1, 1, 1), (0, 0, 0), 1)


def test_fast_of_every_threshold_not_passed():
    arm = arm_of((1.0, 0.1, 0.5))  # in the order of the table, whatever it is
    for age_s in (0.05, 0.3, 0.7, 3.0):
        arm.arrive()
        arm.end(OK, age_s, 0, 0)
    counts = told(arm)
    assert counts.fast == (3, 1, 2)
    assert counts.slow == (1, 3, 2)


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.CLIENT_ABORT, Outcome.SHED])
def test_nobody_is_dropped_from_a_threshold(outcome):
    """What ended before a threshold was not slow, however it ended."""
    arm = arm_of((0.1, 5.0))
    arm.arrive()
    arm.end(int(outcome), 1.0, 0, 0)
    assert (told(arm).slow, told(arm).fast) == ((1, 0), (0, 1))


def test_the_candidates_thresholds_are_stretched_by_the_tolerance():
    cell = Recorder().cell(entry(thresholds_s=(1.0,), slow_tolerance=0.1))
    for arm in (cell.candidate, cell.stable):
        arm.arrive()
        arm.end(OK, 1.05, 0, 0)
    assert told(cell.candidate).slow == (0,)
    assert told(cell.stable).slow == (1,)


def test_the_candidate_wakes_and_stable_does_not():
    wakes, slow = [], []
    recorder = Recorder(lambda: wakes.append(1), lambda: slow.append(1))
    cell = recorder.cell(entry(thresholds_s=(0.1,)))
    for arm in (cell.stable, cell.candidate):
        for outcome, age_s in ((OK, 0.01), (int(Outcome.CLIENT_ABORT), 0.01)):
            arm.arrive()
            arm.end(outcome, age_s, 0, 0)
    assert wakes == []
    cell.stable.end(ERROR, 0.01, 0, 0)
    cell.stable.end(OK, 0.2, 0, 0)
    assert wakes == []
    cell.candidate.end(ERROR, 0.01, 0, 0)
    assert len(wakes) == 1
    assert slow == []
    cell.candidate.pass_limits(0.2, 0, 0)
    assert (len(wakes), len(slow)) == (1, 1)


def test_a_slice_is_told_whole_until_it_has_ended_and_then_no_more():
    recorder = Recorder(source=3, first_slice=70)
    cell = recorder.cell(entry())
    first = cell.candidate
    first.arrive()
    first.arrive()
    first.end(OK, 0.1, 0, 0)
    (one,) = recorder.delta().batches[0].cells
    assert (one.source, one.slice) == (3, 70)
    assert (one.candidate.arrived, one.candidate.ok) == (2, 1)
    assert not recorder.delta(), "nothing is new"
    cell.candidate.arrive()
    assert cell.candidate is not first
    (two,) = recorder.delta().batches[0].cells
    assert (two.slice, two.candidate.arrived) == (71, 1)
    first.end(ERROR, 0.1, 0, 0)
    (again,) = recorder.delta().batches[0].cells
    assert (again.slice, again.candidate.ok, again.candidate.bad) == (70, 1, 1)
    assert cell.open == 1
    assert len(cell.slices) == 2


def test_slices_are_cut_with_time_and_versions_follow():
    class Version:
        arm = None

    recorder, candidate, stable = Recorder(), Version(), Version()
    cell = recorder.cell(entry())
    cell.count_for(candidate, stable)
    recorder.cut()
    assert candidate.arm is cell.candidate, "an empty slice is not cut"
    before = stable.arm
    before.arrive()
    recorder.cut()
    assert stable.arm is cell.stable is not before
    for _ in range(SLICES_MAX + 9):
        stable.arm.arrive()
        recorder.cut()
    assert len(cell.slices) == SLICES_MAX, "and beyond a bound, none is"
    recorder.cell(entry(0))
    recorder.cut()


def test_the_end_of_a_slice_with_a_failure_behind_it_is_told_at_once():
    wakes = []
    recorder = Recorder(lambda: wakes.append(1))
    cell = recorder.cell(entry())
    slow = cell.stable
    slow.arrive()
    recorder.cut()
    cell.candidate.arrive()
    cell.candidate.end(ERROR, 0.1, 0, 0)
    assert len(wakes) == 1
    slow.end(OK, 0.2, 0, 0)
    assert len(wakes) == 2


def test_on_sticky_routes_the_user_is_the_unit_by_the_first_request():
    sticky = StickyEntry(StickyKind.HEADER, "x-user")
    recorder = Recorder()
    one, two = unit_of(b"one"), unit_of(b"two")
    made = entry(sticky=sticky, thresholds_s=(0.1,), bets_a_user=3)
    arm = recorder.cell(made).candidate
    nth = [arm.arrive(unit) for unit in (one, two, one, one)]
    assert nth == [0, 0, 1, 2]
    arm.end(OK, 0.05, 0, one, 0)
    arm.end(ERROR, 0.2, 0, two, 0)
    arm.end(ERROR, 0.2, 0, one, 1)
    arm.end(ERROR, 0.2, 0, one, 2)
    cell = cells(recorder)[5_000]
    assert cell.sticky
    users = cell.candidate.users
    assert (cell.candidate.bad, users.drawn, users.open, users.bad) == (3, (one, two), (), (two,))
    assert users.slow == ((two,),)
    assert (users.betting, users.betting_good, users.first_bad) == (4, 2, (two, one))
    later = recorder.cell(made).candidate
    assert later.arrive(one) == NTH_MAX, "who has failed bets no more"
    later.end(ERROR, 0.2, 0, one, NTH_MAX)
    assert told(later).users.first_bad == ()
    anew = recorder.cell(entry(sticky=sticky, thresholds_s=(0.1,), bets_a_user=3, round=1))
    assert anew.candidate.arrive(one) == 0, "in a new round everybody counts anew"
    again = entry(sticky=sticky, thresholds_s=(0.1,), bets_a_user=3, round=1, attempt=2, revision=9)
    assert recorder.cell(again).candidate.arrive(one) == 0, "and in a new attempt"


def test_the_memory_of_users_is_bounded():
    arm = arm_of((), sticky=StickyEntry(StickyKind.HEADER, "x-user"), bets_a_user=1_000)
    for _ in range(300):
        arm.arrive(5)
    assert arm.arrive(5) == NTH_MAX
    assert len(arm.users.seen.counts) == BUCKETS
    assert arm.users.betting == NTH_MAX


def test_a_units_name_does_not_tell_its_bucket():
    assert unit_of(b"user") != xxhash.xxh64_intdigest(b"user", seed=0)


# --- counters of versions, mirrors, pairs ---


def test_versions_are_counted_where_they_happen_and_start_anew():
    recorder = Recorder()
    stats = recorder.version("r", "v1", "stable")
    assert recorder.version("r", "v1", "stable") is stats
    stats.begin()
    stats.begin()
    stats.end(OK, 200, 0.010, 0.004)
    (counts,) = recorder.delta().versions
    assert counts.outcomes[OK] == 1
    assert counts.classes == (0, 1, 0, 0, 0)
    assert counts.in_flight == 1
    assert sum(count for _, count in counts.latency) == 1
    assert BOUNDS_S[counts.latency[0][0]] == 0.01
    assert BOUNDS_S[counts.first_byte[0][0]] == 0.004
    assert not recorder.delta()
    stats.end(int(Outcome.RESET), 0, 0.5, -1.0)
    (counts,) = recorder.delta().versions
    assert (counts.in_flight, counts.classes, counts.first_byte) == (0, (0, 0, 0, 0, 0), ())


def test_routes_that_are_gone_are_forgotten_once_they_were_reported():
    recorder = Recorder()
    stats = recorder.version("old", "v1", "stable")
    stats.begin()
    recorder.mirror("old", "v2").drop("queue")
    recorder.keep_routes({"new"})
    stats.end(OK, 200, 0.1, 0.1)
    delta = recorder.delta()
    assert (len(delta.versions), delta.mirrors[0].dropped) == (1, {"queue": 1})
    recorder.keep_routes({"new"})
    assert recorder._versions == {}
    assert recorder._mirrors == {}


def test_rejections_by_cause():
    recorder = Recorder()
    for cause in ("framing", "framing", "overload"):
        recorder.reject(cause)
    assert recorder.delta().rejected == {"framing": 2, "overload": 1}
    assert recorder.delta().rejected == {}


def pair(body=b""):
    return PairSample("r", "v2", 1, "id", 200, 200, primary_body=body, shadow_body=body)


def test_pairs_are_bounded_by_count_and_bytes():
    recorder = Recorder()
    for _ in range(PAIRS_MAX + 5):
        recorder.pair(pair())
    pairs, shed = recorder.take_pairs()
    assert (len(pairs), shed) == (PAIRS_MAX, 5)
    half = bytes(PAIR_BYTES_MAX // 4)
    for _ in range(4):
        recorder.pair(pair(half))
    pairs, shed = recorder.take_pairs()
    assert (len(pairs), shed) == (2, 2)
    assert recorder.take_pairs() == ((), 0)
