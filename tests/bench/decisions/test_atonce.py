"""Many runs at once hold the evidence that the product's judge holds, look by look."""

from bisect import bisect_right

import numpy as np
import pytest

from router.core.evidence.users import bets_of
from router.core.gates import GATES
from router.core.judge import Judge, JudgeSettings
from router.core.wire.baseline import Baseline
from router.core.wire.outcomes import ArmCounts, Batch, Cell
from router.telemetry.users import ArmUsers, Seen
from tests.bench.decisions.atonce import SLICE_S, SLICES_A_LOOK, Plan, Requests, simulate

LENGTH_S = 6.0
PAST = Baseline(100_000, 2_000, (), 80.0)


def world(failing, good_s, users=0, rate=80.0, w=0.1):
    def make(draw):
        n = int(draw.poisson(rate * LENGTH_S))
        at = np.sort(draw.random(n) * LENGTH_S)
        who = draw.integers(0, users, n) if users else None
        mine = draw.random(n) < w if who is None else (draw.random(users) < w)[who]
        bad = draw.random(n) < np.where(mine, *failing)
        seconds = np.where(bad, 1e-6, np.where(mine, *good_s)) * np.exp(0.3 * draw.random(n))
        return Requests(at, mine, bad, seconds, who)

    return make


def judged(make, seed, p0, sticky):
    """The product's judge, told at the same moments what of the same slices is known then."""
    r = make(np.random.default_rng([seed, 0]))
    past = PAST
    gates = [GATES[name]() for name in ("error_rate", "guard")]
    judge = Judge(gates, JudgeSettings(sticky=sticky), past, 0.0)
    seen = Seen(("", 0), bets_of(p0))
    slices, ends = (r.at / SLICE_S).astype(int), r.at + r.seconds
    users = {}
    nth = [0] * len(r.at)
    events = [(t, end, i) for end, times in enumerate((r.at, ends)) for i, t in enumerate(times)]
    events, at = sorted(events) if sticky else [], 0
    told = []
    for look in range(1, int(np.ceil(max(ends.max(), LENGTH_S) / 0.2)) + 1):
        upto = min(look * SLICES_A_LOOK, round(LENGTH_S / SLICE_S))
        now = look * 0.2
        for _, end, i in events[at : (at := bisect_right(events, (now, 2, 0)))]:
            arm = _users(users, slices[i], seen)[not r.mine[i]]
            if end:
                arm.end(int(r.who[i]) + 1, nth[i], bad=bool(r.bad[i]))
            else:
                nth[i] = arm.arrive(int(r.who[i]) + 1)
        cells = []
        for j in range(upto):
            here = slices == j
            arms = []
            for index, arm in enumerate((r.mine, ~r.mine)):
                mine = here & arm
                over = mine & (ends <= now)
                told_users = _users(users, j, seen)[index].counts([]) if sticky else None
                arms.append(ArmCounts(
                    ok=int((over & ~r.bad).sum()), bad=int((over & r.bad).sum()),
                    arrived=int(mine.sum()), users=told_users,
                ))  # fmt: skip
            if arms[0].arrived or arms[1].arrived:
                cells.append(Cell(1_000, *arms, sticky=sticky, source=1, slice=j + 1))
        judge.observe(Batch("r", 1, tuple(cells)), now)
        if judge.cap.round:  # a trial needs the machine
            break
        told.append(judge.capital)
    return told, judge


def _users(users, j, seen):
    return users.setdefault(int(j), (ArmUsers(seen, 0), ArmUsers(seen, 0)))


@pytest.mark.parametrize("users", [0, 60])
@pytest.mark.parametrize("failing", [(0.02, 0.02), (0.3, 0.02), (0.12, 0.1)])
def test_the_capital_is_the_products(failing, users):
    make, p0 = world(failing, (0.5, 0.15), users), PAST.bad_rate
    arrays = simulate(make, Plan(LENGTH_S, 1_000, p0), 1, 5, sticky=bool(users), keep=True)
    told, _ = judged(make, 5, p0, bool(users))
    found = [float(c[0]) for c in arrays.capital]
    alike = min(len(found), len(told))
    assert alike > 10
    assert found[:alike] == pytest.approx(told[:alike], rel=1e-6)


def test_a_failing_candidate_is_convicted_in_every_run():
    found = simulate(
        world((1.0, 0.01), (0.1, 0.1), w=0.05), Plan(LENGTH_S, 500, 0.01), 20, 7, stop=True
    )
    assert np.isfinite(found.convicted_s).all()
    assert np.median(found.bad) <= 4


def test_what_is_not_near_the_limit_is_left_out_and_changes_nothing():
    make, plan = world((0.2, 0.02), (0.8, 0.3)), Plan(LENGTH_S, 1_000, 0.02)
    quick, exact = (simulate(make, plan, 40, 3, keep=keep) for keep in (False, True))
    assert 0 < np.isfinite(exact.convicted_s).sum() < 40
    assert (quick.convicted_s == exact.convicted_s).all()
