"""Refusals and empty answers of both arms, and what pins and rules send: through real sockets."""

from __future__ import annotations

import pytest

from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.rollout.events import Action
from router.core.wire.baseline import Baseline
from router.core.wire.table import MatchEntry, RuleEntry, ValueEntry
from tests.proxy.rig import Rig, rollout
from tests.proxy.scripted import OK, Scripted, answers, ok

EMPTY = ok(b"")
BROKEN = ok(b"broken", status=500)


def judged(rig, *gates):
    """What the product's judge says to everything that was counted."""
    rig.count()
    judge = Judge([GATES[gate]() for gate in gates], JudgeSettings(), Baseline(), 0.0)
    for batch in rig.batches:
        judge.observe(batch, 1.0)
    return judge, judge.tick(1.0)


@pytest.mark.parametrize(
    ("reply", "refused"),
    [(ok(status=422), 1), (ok(status=404), 1), (ok(status=429), 0), (EMPTY, 1), (OK, 0),
     (ok(b"", status=204), 0), (ok(status=302), 0)],
)  # fmt: skip
async def test_what_is_an_answer(reply, refused):
    async with Scripted(answers(reply)) as backend, Rig(rollout(backend, backend, 9_999)) as rig:
        await rig.ask(method="GET")
        rig.count()
        (cell,) = rig.cells
        assert (cell.candidate.ok, cell.candidate.refused) == (1, refused)


@pytest.mark.parametrize("reply", [ok(status=422), EMPTY], ids=["422", "empty"])
async def test_who_refuses_everything_that_stable_answers_is_taken_back(reply):
    async with (
        Scripted(answers(OK)) as stable,
        Scripted(answers(reply)) as candidate,
        Rig(rollout(stable, candidate, 5_000)) as rig,
    ):
        for _ in range(60):
            await rig.ask(method="GET")
        judge, action = judged(rig, "error_rate", "guard")
        assert action is Action.ROLLBACK
        assert "refused (4xx) or empty: candidate" in judge.conviction


async def test_what_clients_do_wrong_counts_against_nobody():
    async with (
        Scripted(answers(ok(status=422))) as backend,
        Rig(rollout(backend, backend, 5_000)) as rig,
    ):
        for _ in range(60):
            await rig.ask(method="GET")
        judge, action = judged(rig, "error_rate", "guard")
        assert action is not Action.ROLLBACK
        assert judge.capital < 3


def ruled(stable, candidate, **fields):
    rule = RuleEntry(MatchEntry(headers=(ValueEntry("x-team", "us"),)), 1)
    return rollout(stable, candidate, 0, rules=(rule,), **fields)


async def test_a_cohort_chosen_by_a_rule_is_judged_by_absolute_limits():
    async with (
        Scripted(answers(OK)) as stable,
        Scripted(answers(BROKEN)) as candidate,
        Rig(ruled(stable, candidate)) as rig,
    ):
        for _ in range(12):
            await rig.ask(method="GET", headers=("X-Team: us",))
            await rig.ask(method="GET")
        assert rig.wakes >= 12, "each failure is told at once"
        judge, action = judged(rig, "error_rate", "guard")
        assert (judge.bad, judge.answers) == (12, 12)
        assert action is Action.ROLLBACK
        assert judge.conviction.startswith("guard: ")
        assert judge.states["error_rate"].capital == 1.0, "nothing was drawn"
        assert not judge.router_bug


async def test_pins_are_judged_too():
    async with (
        Scripted(answers(OK)) as stable,
        Scripted(answers(BROKEN)) as candidate,
        Rig(rollout(stable, candidate, 0, pin=True, pinnable=(0, 1))) as rig,
    ):
        for _ in range(9):
            await rig.ask(method="GET", headers=("X-Rampway-Pin: v2",))
        judge, _ = judged(rig, "guard")
        assert judge.bad == 9
