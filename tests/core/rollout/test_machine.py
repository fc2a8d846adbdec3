"""The state machine: scenarios as data, then the properties that hold for every history."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.core.rollout import machine
from router.core.rollout.events import (
    EVENTS,
    Abort,
    Action,
    Observed,
    Pause,
    Promote,
    Refused,
    Resume,
    Retry,
    Rollback,
    SetWeight,
)
from router.core.rollout.machine import TRANSITIONS, Transition, decide
from router.core.rollout.plan import Approval, Default, Ending, OnInconclusive, Plan, Step
from router.core.rollout.rollout import TERMINAL, Phase, Rollout, begin, remaining_s
from router.core.rollout.traffic import split_for

CANARY = Plan(
    (
        Step(100, hold_s=60, until_samples=50),
        Step(1_000, hold_s=60),
        Step(5_000, hold_s=60, approval=Approval(3_600, Default.ABORT)),
    ),
    bake_s=600,
)
SHADOW = Plan((Step(0, 10_000, until_samples=500),), ending=Ending.KEEP, strategy="shadow")
BAD = Observed(Action.ROLLBACK, "4 of 57 failed (7.0 %) > 1.1 % tolerated")
HOLD = Observed(Action.HOLD, "evidence 4 : 1", samples=1_000)


def ok(samples=1_000, **more):
    return Observed(samples=samples, **more)


def start(plan=CANARY):
    return begin("r-1", "r", "v1", "v2", revision=1, now=0.0), plan


@dataclass
class Seen:
    phase: Phase
    step: int
    weight: float
    mirror: float = 0


def seen(rollout, plan):
    split = split_for(rollout, plan)
    return (rollout.phase.value, rollout.step, split.candidate_bp / 100, split.mirror_bp / 100)


TRIAL = Observed(Action.HOLD, cap_bp=1_000, round=1, cap_reason="trial 1")

SCENARIOS = {
    "risk down acts first, wherever it is": (
        CANARY,
        [
            (61, ok(50), ("progressing", 1, 10, 0)),
            (62, Observed(Action.HOLD, cap_bp=500), ("progressing", 1, 5, 0)),
            (63, ok(), ("progressing", 1, 10, 0)),
            (122, ok(), ("progressing", 2, 50, 0)),
            (182, ok(), ("awaiting_approval", 2, 50, 0)),
            (183, TRIAL, ("awaiting_approval", 2, 10, 0)),
            (184, replace(ok(), round=1), ("awaiting_approval", 2, 50, 0)),
            (901, Promote(), ("baking", 2, 100, 0)),
            (902, TRIAL, ("baking", 2, 10, 0)),
            (903, Pause(), ("paused", 2, 10, 0)),
            (904, replace(ok(), round=1), ("paused", 2, 100, 0)),
            (905, TRIAL, ("paused", 2, 10, 0)),
            (906, Resume(), ("baking", 2, 10, 0)),
            (907, replace(ok(), round=1), ("baking", 2, 100, 0)),
            (2000, replace(ok(), round=1), ("completed", 2, 100, 0)),
            (2001, TRIAL, ("completed", 2, 100, 0)),
        ],
    ),
    "the whole way": (
        CANARY,
        [
            (30, ok(), ("progressing", 0, 1, 0)),
            (60, ok(49), ("progressing", 0, 1, 0)),
            (61, ok(50), ("progressing", 1, 10, 0)),
            (120, ok(), ("progressing", 1, 10, 0)),
            (121, ok(), ("progressing", 2, 50, 0)),
            (181, ok(), ("awaiting_approval", 2, 50, 0)),
            (900, ok(), ("awaiting_approval", 2, 50, 0)),
            (901, Promote(), ("baking", 2, 100, 0)),
            (1500, ok(), ("baking", 2, 100, 0)),
            (1501, ok(), ("completed", 2, 100, 0)),
            (9999, BAD, ("completed", 2, 100, 0)),
            (10_000, Rollback(), ("rolled_back", 2, 0, 0)),
        ],
    ),
    "a bad candidate goes at once, in every live phase": (
        CANARY,
        [
            (1, BAD, ("rolled_back", 0, 0, 0)),
            (2, ok(), ("rolled_back", 0, 0, 0)),
            (3, Retry(), ("progressing", 0, 1, 0)),
            (4, Pause(), ("paused", 0, 1, 0)),
            (5, BAD, ("rolled_back", 0, 0, 0)),
            (6, Retry(), ("progressing", 0, 1, 0)),
            (66, ok(), ("progressing", 1, 10, 0)),
            (126, ok(), ("progressing", 2, 50, 0)),
            (186, ok(), ("awaiting_approval", 2, 50, 0)),
            (187, BAD, ("rolled_back", 2, 0, 0)),
            (188, Retry(), ("progressing", 0, 1, 0)),
            (189, Promote(full=True), ("baking", 2, 100, 0)),
            (190, BAD, ("rolled_back", 2, 0, 0)),
        ],
    ),
    "a hold stops progress and nothing else": (
        CANARY,
        [(100, HOLD, ("progressing", 0, 1, 0)), (101, ok(), ("progressing", 1, 10, 0))],
    ),
    "a hold keeps a bake from completing": (
        CANARY,
        [
            (1, Promote(full=True), ("baking", 2, 100, 0)),
            (700, HOLD, ("baking", 2, 100, 0)),
            (701, ok(), ("completed", 2, 100, 0)),
        ],
    ),
    "a pause stops the clock": (
        CANARY,
        [
            (50, Pause(), ("paused", 0, 1, 0)),
            (500, ok(), ("paused", 0, 1, 0)),
            (550, Resume(), ("progressing", 0, 1, 0)),
            (559, ok(), ("progressing", 0, 1, 0)),
            (560, ok(), ("progressing", 1, 10, 0)),
        ],
    ),
    "promote leaves a pause": (
        CANARY,
        [
            (1, Pause(), ("paused", 0, 1, 0)),
            (2, Promote(), ("progressing", 1, 10, 0)),
            (3, Promote(full=True), ("baking", 2, 100, 0)),
            (4, Pause(), ("paused", 2, 100, 0)),
            (5, Promote(), ("completed", 2, 100, 0)),
        ],
    ),
    "nobody approves": (
        CANARY,
        [
            (60, ok(), ("progressing", 1, 10, 0)),
            (120, ok(), ("progressing", 2, 50, 0)),
            (180, ok(), ("awaiting_approval", 2, 50, 0)),
            (3_779, ok(), ("awaiting_approval", 2, 50, 0)),
            (3_780, ok(), ("aborted", 2, 0, 0)),
        ],
    ),
    "an override ends by itself and the step goes on": (
        CANARY,
        [
            (10, SetWeight(weight_bp=2_500, until=100), ("progressing", 0, 25, 0)),
            (99, ok(), ("progressing", 0, 25, 0)),
            (100, ok(), ("progressing", 0, 1, 0)),
            (100, ok(), ("progressing", 1, 10, 0)),
            (101, SetWeight(weight_bp=0, until=200), ("progressing", 1, 0, 0)),
            (102, SetWeight(), ("progressing", 1, 10, 0)),
        ],
    ),
    "an override ends in a pause too": (
        CANARY,
        [
            (1, Pause(), ("paused", 0, 1, 0)),
            (2, SetWeight(weight_bp=500, until=10), ("paused", 0, 5, 0)),
            (10, ok(), ("paused", 0, 1, 0)),
        ],
    ),
    "a shadow ends without taking traffic": (
        SHADOW,
        [
            (1, ok(499), ("progressing", 0, 0, 100)),
            (2, ok(500), ("completed", 0, 0, 0)),
        ],
    ),
    "an abort is the end": (
        CANARY,
        [
            (5, Abort(), ("aborted", 0, 0, 0)),
            (6, BAD, ("aborted", 0, 0, 0)),
            (9_999, ok(), ("aborted", 0, 0, 0)),
        ],
    ),
    "a rollback is the end": (
        CANARY,
        [
            (5, Rollback(), ("rolled_back", 0, 0, 0)),
            (6, BAD, ("rolled_back", 0, 0, 0)),
            (9_999, ok(), ("rolled_back", 0, 0, 0)),
        ],
    ),
    "a step that is done stays put in a pause": (
        CANARY,
        [
            (70, ok(0), ("progressing", 0, 1, 0)),
            (71, Pause(), ("paused", 0, 1, 0)),
            (9_999, ok(), ("paused", 0, 1, 0)),
        ],
    ),
    "an approval stays open in a pause": (
        Plan((Step(100, approval=Approval(10, Default.PROMOTE)), Step(10_000))),
        [
            (1, ok(), ("awaiting_approval", 0, 1, 0)),
            (12, Pause(), ("paused", 0, 1, 0)),
            (13, ok(), ("paused", 0, 1, 0)),
            (14, Resume(), ("awaiting_approval", 0, 1, 0)),
            (15, ok(), ("progressing", 1, 100, 0)),
        ],
    ),
    "a closed window keeps it where it is": (
        CANARY,
        [
            (100, ok(may_advance=False, wait_reason="freeze"), ("progressing", 0, 1, 0)),
            (101, ok(), ("progressing", 1, 10, 0)),
        ],
    ),
    "approval that promotes by default waits for its window": (
        Plan((Step(100, approval=Approval(10, Default.PROMOTE)), Step(10_000))),
        [
            (1, ok(), ("awaiting_approval", 0, 1, 0)),
            (11, ok(may_advance=False), ("awaiting_approval", 0, 1, 0)),
            (12, ok(), ("progressing", 1, 100, 0)),
        ],
    ),
    "approval that promotes by default waits for a gate that holds": (
        Plan((Step(100, approval=Approval(10, Default.PROMOTE)), Step(10_000))),
        [
            (1, ok(), ("awaiting_approval", 0, 1, 0)),
            (11, HOLD, ("awaiting_approval", 0, 1, 0)),
            (12, ok(), ("progressing", 1, 100, 0)),
        ],
    ),
    "a bake ends only where it may": (
        replace(CANARY, bake_s=10),
        [
            (1, Promote(full=True), ("baking", 2, 100, 0)),
            (20, ok(may_advance=False), ("baking", 2, 100, 0)),
            (21, replace(BAD, may_advance=False), ("rolled_back", 2, 0, 0)),
        ],
    ),
    "a ramp that may not advance still goes down": (
        Plan((Step(5_000, auto=True),)),
        [
            (0, ok(auto_weight_bp=100, may_advance=False), ("progressing", 0, 0, 0)),
            (1, ok(auto_weight_bp=100), ("progressing", 0, 1, 0)),
            (2, ok(auto_weight_bp=900, may_advance=False), ("progressing", 0, 1, 0)),
            (3, ok(auto_weight_bp=50, may_advance=False), ("progressing", 0, 0.5, 0)),
        ],
    ),
    "undecided: promote, but not where it may not": (
        replace(CANARY, max_duration_s=1_000, on_inconclusive=OnInconclusive.PROMOTE),
        [
            (1_000, ok(0, may_advance=False), ("progressing", 0, 1, 0)),
            (1_001, ok(0), ("baking", 2, 100, 0)),
        ],
    ),
    "approval without a default waits for ever": (
        Plan((Step(100, approval=Approval(10)), Step(10_000))),
        [(1, ok(), ("awaiting_approval", 0, 1, 0)), (1e9, ok(), ("awaiting_approval", 0, 1, 0))],
    ),
    "a step that needs proof": (
        Plan((Step(5_000, proof=True),)),
        [(9, ok(), ("progressing", 0, 50, 0)), (10, ok(proven=True), ("completed", 0, 100, 0))],
    ),
    "the ramp follows the evidence up to the step's weight": (
        Plan((Step(5_000, auto=True),)),
        [
            (0, ok(), ("progressing", 0, 0, 0)),
            (1, ok(auto_weight_bp=100), ("progressing", 0, 1, 0)),
            (2, ok(auto_weight_bp=100), ("progressing", 0, 1, 0)),
            (3, ok(auto_weight_bp=9_000), ("progressing", 0, 50, 0)),
            (4, ok(auto_weight_bp=9_000), ("completed", 0, 100, 0)),
        ],
    ),
    "undecided: hold": (
        replace(CANARY, max_duration_s=1_000),
        [
            (1_000, HOLD, ("awaiting_approval", 0, 1, 0)),
            (9_000, ok(), ("awaiting_approval", 0, 1, 0)),
            (9_001, Promote(), ("progressing", 1, 10, 0)),
            (9_002, ok(0), ("progressing", 1, 10, 0)),
        ],
    ),
    "undecided: roll back": (
        replace(CANARY, max_duration_s=1_000, on_inconclusive=OnInconclusive.ROLLBACK),
        [(999, HOLD, ("progressing", 0, 1, 0)), (1_000, HOLD, ("rolled_back", 0, 0, 0))],
    ),
    "undecided: promote, unless a gate holds": (
        replace(CANARY, max_duration_s=1_000, on_inconclusive=OnInconclusive.PROMOTE),
        [(1_000, HOLD, ("progressing", 0, 1, 0)), (1_001, ok(0), ("baking", 2, 100, 0))],
    ),
    "undecided in the bake: roll back": (
        replace(CANARY, max_duration_s=1_000, on_inconclusive=OnInconclusive.ROLLBACK),
        [
            (1, Promote(full=True), ("baking", 2, 100, 0)),
            (999, HOLD, ("baking", 2, 100, 0)),
            (1_000, HOLD, ("rolled_back", 2, 0, 0)),
        ],
    ),
    "a bake that ends well as the time is up was decided": (
        replace(CANARY, max_duration_s=1_000, on_inconclusive=OnInconclusive.ROLLBACK),
        [(1, Promote(full=True), ("baking", 2, 100, 0)), (1_000, ok(), ("completed", 2, 100, 0))],
    ),
    "undecided: the bake after it is not cut short": (
        replace(CANARY, max_duration_s=1_000, on_inconclusive=OnInconclusive.PROMOTE),
        [
            (1_000, ok(0), ("baking", 2, 100, 0)),
            (1_001, ok(0), ("baking", 2, 100, 0)),
            (1_000 + CANARY.bake_s, ok(0), ("completed", 2, 100, 0)),
        ],
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    plan, acts = SCENARIOS[name]
    rollout, plan = start(plan)
    for now, event, expected in acts:
        before = rollout
        rollout = decide(rollout, plan, event, float(now))
        assert seen(rollout, plan) == expected, (now, event)
        assert (rollout is before) == (rollout.revision == before.revision)


def test_reasons_are_sentences_with_numbers():
    rollout, plan = start()
    assert decide(rollout, plan, BAD, 1.0).reason == BAD.sentence
    rollout = decide(rollout, plan, ok(1_204), 75.0)
    assert rollout.reason == (
        "step 1 of 3 at 1 % done after 1m15s and 1,204 samples; next: step 2 of 3 at 10 %"
    )
    paused = decide(rollout, plan, Pause("alice", "lunch"), 80.0)
    assert (paused.reason, paused.actor) == ("paused by alice: lunch", "alice")


def test_ready_is_all_but_permission():
    rollout, plan = start()
    assert not machine.ready(rollout, plan, ok(may_advance=False), 59.0)
    assert machine.ready(rollout, plan, ok(may_advance=False), 60.0)
    for event in (ok(49), HOLD, BAD):
        assert not machine.ready(rollout, plan, event, 60.0)
    baking = decide(rollout, plan, Promote(full=True), 1.0)
    assert not machine.ready(baking, plan, ok(), 600.0)
    assert machine.ready(baking, plan, ok(may_advance=False), 601.0)
    ended = decide(rollout, plan, Abort(), 1.0)
    assert not machine.ready(ended, plan, ok(), 9e9)


def test_what_remains():
    rollout, plan = start()
    assert remaining_s(rollout, plan, 20.0) == 40.0
    paused = decide(rollout, plan, Pause(), 20.0)
    assert remaining_s(paused, plan, 500.0) == 40.0
    baking = decide(rollout, plan, Promote(full=True), 20.0)
    assert remaining_s(baking, plan, 120.0) == 500.0
    assert remaining_s(decide(rollout, plan, Abort(), 30.0), plan, 31.0) == 0.0


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_phase_and_event_has_a_row(phase, kind):
    assert isinstance(TRANSITIONS[phase][kind], Transition)


def test_refusals_say_what_is_possible():
    rollout, plan = start()
    ended = decide(rollout, plan, Abort(), 1.0)
    with pytest.raises(Refused, match=r"cannot promote r: the rollout is aborted; `retry`"):
        decide(ended, plan, Promote(), 2.0)
    with pytest.raises(Refused, match="no weight override"):
        decide(rollout, plan, SetWeight(), 1.0)
    with pytest.raises(Refused, match="0 % to 100 %"):
        decide(rollout, plan, SetWeight(weight_bp=-2_500, until=9.0), 1.0)
    with pytest.raises(Refused, match="a time in the future"):
        decide(rollout, plan, SetWeight(weight_bp=100, until=1.0), 1.0)


def test_a_rule_that_leaves_its_row_is_caught(monkeypatch):
    rows = dict(TRANSITIONS[Phase.PROGRESSING])
    rows[Abort] = Transition(rows[Abort].rule, (Phase.PAUSED,))
    monkeypatch.setattr(machine, "TRANSITIONS", {Phase.PROGRESSING: rows})
    rollout, plan = start()
    with pytest.raises(AssertionError, match="may not lead to"):
        decide(rollout, plan, Abort(), 1.0)


# --- properties over random histories -----------------------------------------------------------

steps = st.builds(
    Step,
    weight_bp=st.integers(0, 10_000),
    mirror_bp=st.sampled_from([0, 5_000, 10_000]),
    hold_s=st.floats(0, 100),
    until_samples=st.integers(0, 50),
    approval=st.none()
    | st.builds(Approval, st.none() | st.floats(1, 100), st.sampled_from(Default)),
    auto=st.booleans(),
    proof=st.booleans(),
)
plans = st.builds(
    Plan,
    steps=st.lists(steps, min_size=1, max_size=4).map(tuple),
    ending=st.sampled_from(Ending),
    bake_s=st.sampled_from([0.0, 50.0]),
    max_duration_s=st.none() | st.floats(10, 500),
    on_inconclusive=st.sampled_from(OnInconclusive),
)
observations = st.builds(
    Observed,
    action=st.sampled_from([Action.CONTINUE] * 8 + [Action.HOLD, Action.ROLLBACK]),
    sentence=st.just("because"),
    samples=st.integers(0, 100),
    proven=st.booleans(),
    auto_weight_bp=st.none() | st.integers(0, 10_000),
    may_advance=st.booleans(),
)
commands = st.one_of(
    st.builds(Promote, full=st.booleans()),
    *(st.builds(kind) for kind in (Pause, Resume, Abort, Rollback, Retry)),
    st.builds(SetWeight, weight_bp=st.none() | st.integers(-5, 10_005), until=st.floats(0, 2_000)),
)
histories = st.lists(st.tuples(st.floats(0.01, 60), observations | commands), max_size=30)


def walk(plan, history):
    """Every state of a history, refusals skipped."""
    rollout, now = begin("r-1", "r", "v1", "v2", revision=1, now=0.0), 0.0
    yield rollout, None, now
    for pause, event in history:
        now += pause
        try:
            rollout = decide(rollout, plan, event, now)
        except Refused:
            continue
        yield rollout, event, now


@given(plans, histories)
@settings(max_examples=80, deadline=None)
def test_properties_of_every_history(plan, history):
    hold_properties(plan, history)


@pytest.mark.nightly
@given(plans, histories)
@settings(max_examples=5_000, deadline=None)
def test_properties_of_thousands_of_histories(plan, history):
    hold_properties(plan, history)


def hold_properties(plan, history):
    previous = None
    for rollout, event, now in walk(plan, history):
        split = split_for(rollout, plan)
        assert split.candidate_bp + split.stable_bp == 10_000
        assert 0 <= split.candidate_bp <= 10_000
        assert 0 <= rollout.step < len(plan.steps)
        assert Rollout.from_json(rollout.to_json()) == rollout
        assert remaining_s(rollout, plan, now) >= 0
        if rollout.phase in (Phase.ABORTED, Phase.ROLLED_BACK):
            assert (split.candidate_bp, split.mirror_bp) == (0, 0)
        if previous is not None and rollout is not previous:
            assert rollout.revision == previous.revision + 1
            assert rollout.reason
        if previous is not None and previous.phase in TERMINAL and isinstance(event, Observed):
            assert rollout is previous
        if isinstance(event, Observed) and event.action is Action.ROLLBACK:
            assert rollout.phase in TERMINAL
        previous = rollout


@given(plans, histories)
@settings(max_examples=25, deadline=None)
def test_the_same_history_gives_the_same_states(plan, history):
    assert list(walk(plan, history)) == list(walk(plan, history))


@given(plans, histories, st.data())
@settings(max_examples=50, deadline=None)
def test_from_every_live_state_a_person_can_roll_back(plan, history, data):
    states = [(rollout, now) for rollout, _, now in walk(plan, history) if rollout.phase.live]
    if not states:
        return
    rollout, now = data.draw(st.sampled_from(states))
    back = decide(rollout, plan, Rollback(), now)
    assert back.phase is Phase.ROLLED_BACK
    assert split_for(back, plan).candidate_bp == 0


MUTANTS = [
    (phase, kind, other)
    for phase, rows in TRANSITIONS.items()
    for kind, row in rows.items()
    for other in {
        id(r.rule): r for rs in TRANSITIONS.values() for r in rs.values() if r.to
    }.values()
    if row.to and other.rule is not row.rule and kind is Observed
]


def test_a_mutated_row_is_caught(monkeypatch):
    """Exchanging the rule of any Observed row breaks at least one scenario or its own `to`."""
    survivors = []
    for phase, kind, other in MUTANTS:
        table = {p: dict(rows) for p, rows in TRANSITIONS.items()}
        table[phase][kind] = Transition(other.rule, table[phase][kind].to)
        monkeypatch.setattr(machine, "TRANSITIONS", table)
        if not any(breaks(*scenario) for scenario in SCENARIOS.values()):
            survivors.append((phase.value, other.rule.__name__))
    assert survivors == []


def breaks(plan, acts):
    rollout, plan = start(plan)
    try:
        for now, event, expected in acts:
            before, rollout = rollout, decide(rollout, plan, event, float(now))
            absorbs = before.phase in TERMINAL and isinstance(event, Observed)
            if seen(rollout, plan) != expected or (absorbs and rollout is not before):
                return True
    except (Refused, AssertionError, AttributeError, TypeError):
        return True
    return False


UNPROVEN = "not enough yet: error_rate has 0 of 328 answers"


@pytest.mark.parametrize("lack", [{"unproven": UNPROVEN}, {"unready": "v2 is not ready"}])
@pytest.mark.parametrize("where", ["step", "approval", "bake", "overdue", "ramp"])
def test_time_alone_promotes_nobody(where, lack):
    step = Step(5_000, hold_s=60, auto=where == "ramp")
    approved = replace(step, approval=Approval(60, Default.PROMOTE))
    plan = Plan(
        (approved if where == "approval" else step, Step(9_000, hold_s=1e9)), bake_s=60,
        max_duration_s=1_000.0 if where == "overdue" else None,
        on_inconclusive=OnInconclusive.PROMOTE,
    )  # fmt: skip
    rollout, _ = start(plan)
    if where == "approval":
        rollout = decide(rollout, plan, ok(), 61)
    if where == "bake":
        rollout = decide(rollout, plan, Promote(full=True), 61)
    if where == "overdue":
        rollout = decide(rollout, plan, ok(), 61)
    up = {"auto_weight_bp": 5_000} if where == "ramp" else {}
    still = decide(rollout, plan, ok(**lack, **up), 1e6)
    asked = Phase.AWAITING_APPROVAL if where == "overdue" else rollout.phase
    assert (still.phase, still.step) == (asked, rollout.step)
    if where == "overdue":
        assert split_for(still, plan) == split_for(rollout, plan)
    assert decide(still, plan, ok(**up), 2e6) is not still, "it was all that it lacked"


def test_a_ramp_does_not_grow_while_the_candidate_is_not_ready():
    plan = Plan((Step(5_000, auto=True),))
    rollout, _ = start(plan)
    grown = decide(rollout, plan, ok(auto_weight_bp=100), 1)
    assert decide(grown, plan, ok(auto_weight_bp=900, unready="no"), 2) is grown
    assert decide(grown, plan, ok(auto_weight_bp=50, unready="no"), 2).auto_weight_bp == 50


def test_a_blind_step_is_left_unproven_but_never_unready():
    plan = Plan((Step(5_000, blind=True), Step(9_000)))
    rollout, _ = start(plan)
    assert decide(rollout, plan, ok(unready="no endpoint"), 1) is rollout
    assert decide(rollout, plan, ok(unproven=UNPROVEN), 1).step == 1


def test_a_person_may_promote_what_is_unproven_and_the_journal_says_so():
    rollout, plan = start()
    moved = decide(rollout, plan, Promote("ann", "we know it", unproven=UNPROVEN), 1)
    assert moved.reason.startswith(f"step 1 of 3 at 1 % promoted by ann: we know it; {UNPROVEN}")


def test_a_weight_that_would_not_be_given_is_refused():
    rollout, plan = start()
    paused = decide(decide(rollout, plan, Promote(full=True), 1), plan, Pause(), 2)
    with pytest.raises(Refused, match="v2 bakes at 100 %: `rollback` takes it back"):
        decide(paused, plan, SetWeight(weight_bp=1_000, until=99), 3)
    done = decide(rollout, plan, Abort(), 1)
    with pytest.raises(Refused, match="cannot set-weight r: the rollout is aborted"):
        decide(done, plan, SetWeight(weight_bp=1_000, until=99), 3)


def test_a_rollback_may_lead_elsewhere():
    rollout, plan = start()
    back = decide(rollout, plan, Rollback("ann", "better", to="v0"), 1)
    assert (back.stable, back.reason) == ("v0", "rolled back to v0 by ann: better")


def test_a_retry_begins_without_the_cap_and_the_rounds_of_the_attempt_before():
    """Users are evidence of the attempt in round 0 only: what began in another is never judged."""
    tried = replace(begin("r-1", "r", "v1", "v2", revision=1, now=0.0), cap_bp=1_000, round=2)
    ended = decide(tried, CANARY, Rollback("ann"), 1.0)
    again = decide(ended, CANARY, Retry("ann"), 2.0)
    assert (again.attempt, again.cap_bp, again.round) == (2, None, 0)


BRAKED = Observed(samples=1_000, cap_bp=500, cap_reason="brake: at most 5 %; an alarm")


def told(plan, *looks):
    """What is told of each look that moves it: the sentence and the line."""
    rollout, _ = start(plan)
    found = []
    for now, event in looks:
        after = decide(rollout, plan, event, now)
        if after is not rollout:
            found.append((after.reason, after.line))
        rollout = after
    return found


SHORT = Plan((Step(5_000, hold_s=60),), bake_s=600)


def test_a_bake_under_the_brake_is_not_told_as_one_at_100_percent():
    assert told(SHORT, (61, ok()), (161, BRAKED), (641, ok()), (661, ok()))[-1] == (
        "baked 10m, 8m of it at less than 100 %; v2 is stable",
        "v2 is stable: it was not convicted in 10m, 8m of it at less than 100 %",
    )
    assert told(SHORT, (61, ok()), (661, ok()))[-1] == (
        "baked 10m at 100 %; v2 is stable",
        "v2 is stable: nothing was found against it in 10m at 100 %",
    )


def test_what_begins_and_ends_under_the_brake_says_so():
    two = replace(SHORT, steps=(Step(5_000, hold_s=60), Step(8_000, hold_s=60)))
    _, *found = told(two, (31, BRAKED), (61, BRAKED), (121, BRAKED), (721, BRAKED))
    sentences, lines = zip(*found, strict=True)
    assert sentences == (
        ("step 1 of 2 at 50 % done after 1m1s (30s of it at less than 50 %) and 1,000 samples; "
         "next: step 2 of 2 at 80 %, held at 5 % at first"),
        ("step 2 of 2 at 80 % done after 1m (1m of it at less than 80 %) and 1,000 samples; "
         "v2 bakes at 100 % for 10m, held at 5 % at first"),
        "baked 10m, 10m of it at less than 100 %; v2 is stable",
    )  # fmt: skip
    assert lines == (
        "v2 goes to 80 % (step 2 of 2), held at 5 % at first: step 1 took 1m1s and 1,000 samples",
        "v2 bakes for 10m, held at 5 % at first",
        "v2 is stable: it was not convicted in 10m, 10m of it at less than 100 %",
    )


def test_time_in_which_the_clocks_stood_is_none_under_the_brake():
    looks = (61, ok()), (161, BRAKED), (261, Pause()), (5_261, Resume()), (5_361, ok())
    assert told(SHORT, *looks, (5_661, ok()))[-1][0] == (
        "baked 10m, 3m20s of it at less than 100 %; v2 is stable"
    )


def test_a_cap_above_the_step_holds_nothing():
    low = replace(SHORT, steps=(Step(500, hold_s=60),))
    found = told(low, (31, BRAKED), (41, ok()), (61, ok()))
    assert found[-1][0].startswith("step 1 of 1 at 5 % done after 1m1s and")
