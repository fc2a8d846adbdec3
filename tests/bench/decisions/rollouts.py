"""Whole rollouts by the product's own judge, machine and plans: power, late onsets, bakes, harm."""

from __future__ import annotations

import math
import os
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from router.config import loads
from router.config.check import load
from router.core.gates.latency import Latency
from router.core.judge import JudgeSettings
from router.core.policy import RolloutPolicy, Route
from router.core.rollout.plan import Ending
from router.core.words import duration
from router.simulation.result import many, percentile
from router.simulation.run import Setup, SimulatedRun
from router.simulation.scenario import DAY_S, Bursts, LatencyModel, Scenario
from tests.bench.decisions.stretches import Refusing, Stretches
from tests.bench.decisions.tables import Size, Table, gate, pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WEIGHT_BP = 500
STABLE = 0.01
CONFIGS = Path(__file__).parents[3] / "configs"
POWER = {1.0: 3, 0.2: 5, 0.05: 12, 0.02: 65}
"""Candidate's share of failures; the most bad answers that the median may be."""


def sticky_setup(weight_bp: int) -> Setup:
    """The default gates at one weight, users drawn."""
    settings = JudgeSettings(no_data_after_s=math.inf, sticky=True)
    return Setup.constant(weight_bp, [gate("error_rate"), gate("guard")], settings)


def _default(*, sticky: bool = False) -> Setup:
    settings = JudgeSettings(no_data_after_s=math.inf, sticky=sticky)
    return Setup.constant(WEIGHT_BP, [gate("error_rate"), gate("guard")], settings)


def _back(runs: Sequence[SimulatedRun]) -> str:
    return f"{sum(run.outcome == 'rolled back' for run in runs)} of {len(runs)}"


def _convicted(runs: Sequence[SimulatedRun], what: str) -> list[float]:
    return [getattr(r, what) if r.outcome == "rolled back" else math.inf for r in runs]


def _kl(p: float, q: float) -> float:
    """Nats by which outcomes of rate ``p`` speak against the rate ``q``."""
    first = p * math.log(p / q) if p else 0.0
    second = (1.0 - p) * math.log((1.0 - p) / (1.0 - q)) if p < 1.0 else 0.0
    return first + second


def wald(candidate: float, stable: float = STABLE, weight: float = WEIGHT_BP / 10_000) -> float:
    """Requests that any test at 1 % needs in the mean, told both rates: ln 100 over the nats a
    request gives against the closest world within the default tolerance (Wald 1945)."""
    nulls = [stable * (1.0 + step / 400.0) for step in range(-399, 40_000)]
    least = min(
        weight * _kl(candidate, 1.1 * q + 0.001) + (1.0 - weight) * _kl(stable, q)
        for q in nulls
        if 1.1 * q + 0.001 < 1.0
    )
    return math.log(100.0) / least


def default_power(size: Size) -> Table:
    """Default gates at 2 and 50 requests a second."""
    table = Table(
        "Bad answers until the default gates roll back (stable 1 %, weight 5 %), median / p95",
        ("candidate", "2/s", "50/s", "requests, times Wald's bound"),
    )
    runs = size.part(0.1)
    for candidate, most in POWER.items():
        cells, ratio = [], math.inf
        for rps in (2.0, 50.0):
            scenario = Scenario(candidate_rate=candidate, requests_per_s=rps, duration_s=20 * DAY_S)
            found = many(_default(), scenario, range(200, 200 + runs), size.processes)
            bad = _convicted(found, "bad")
            cells.append(pair(bad))
            table.goal(f"median at {candidate:.0%}, {rps:g}/s", percentile(sorted(bad), 0.5), most)
            ratio = sum(run.at_s for run in found) / runs * rps / wald(candidate)
        table.rows.append((f"{candidate:.0%}", *cells, f"{ratio:.2f}"))
        table.goal(f"times Wald's bound at {candidate:.0%}", ratio, 1.6)
    return table


def onset(size: Size) -> Table:
    """A candidate that turns bad after an hour or twelve, users drawn or not."""
    table = Table(
        "Bad answers after a late onset (default gates, stable 1 %, weight 5 %; 50/s, in the rows "
        "of twelve hours 10/s), median / p95",
        ("users", "after", "candidate", "bad answers", "seconds", "taken back before"),
    )
    for users in (0, 500, 20_000):
        for hours in (1.0, 12.0):
            for candidate, most in ((1.0, 10), (0.2, 30)):
                runs = size.part(0.01, 10)
                at = hours * 3_600.0
                scenario = Scenario(candidate_rate=candidate, change_at_s=at, users=users,
                                    requests_per_s=50.0 if hours < 2 else 10.0,
                                    duration_s=at + 2 * 3_600.0)  # fmt: skip
                setup = _default(sticky=bool(users))
                found = many(setup, scenario, range(300, 300 + runs), size.processes)
                after = [r for r in found if r.at_s >= at]
                bad = _convicted(after, "bad_since")
                who = f"{users:,}" if users else "a coin a request"
                table.rows.append((
                    who, duration(at), f"{candidate:.0%}", pair(bad),
                    pair(_convicted(after, "seconds_since"), lambda v: f"{v:.1f}"),
                    f"{len(found) - len(after)} of {len(found)}",
                ))  # fmt: skip
                name = f"median, {who}, after {duration(at)}, {candidate:.0%}"
                table.goal(name, percentile(sorted(bad), 0.5), most)
    return table


def _unasked(strategy: object, *, sticky: bool = False) -> Setup:
    policy = RolloutPolicy.model_validate({"candidate": "v2", "strategy": strategy})
    return replace(Setup.of(policy, sticky=sticky), detect=None)


BAKE = {"canary": {"steps": [{"weight": "50%", "hold": "1s"}], "bake": "10m"}}
SWITCH = {"blue_green": {"bake": "10m"}}


def outages(size: Size) -> Table:
    """Outages that both versions share, and a broken candidate, where nothing is compared at first.

    An outage every five minutes in the mean, of exponential length.
    """
    table = Table(
        "Shared outages while the candidate has everything, and a candidate that fails there",
        ("plan", "traffic", "world", "taken back", "bad answers, median / p95"),
    )
    worlds = {
        "both 50 %, 20 s": Bursts(per_day=288.0, rate=0.5, mean_s=20.0),
        "both 20 %, 60 s": Bursts(per_day=288.0, rate=0.2, mean_s=60.0),
        "both 100 %, 10 s": Bursts(per_day=288.0, rate=1.0, mean_s=10.0),
    }
    for name, strategy in (("bake", BAKE), ("switch", SWITCH)):
        setup = _unasked(strategy)
        for rps in (50.0, 500.0):
            for world, bursts in worlds.items():
                runs = size.part(0.5 if rps < 100 else 0.1)
                scenario = Scenario(requests_per_s=rps, bursts=bursts, duration_s=1_800.0)
                found = many(setup, scenario, range(400, 400 + runs), size.processes)
                table.rows.append((name, f"{rps:g}/s", world, _back(found), ""))
                hits = sum(run.outcome == "rolled back" for run in found)
                table.goal(f"{name}, {rps:g}/s, {world}, of {runs:,}", hits, 0.01 * runs)
            for candidate in (1.0, 0.5, 0.2):
                runs = size.part(0.1)
                scenario = Scenario(requests_per_s=rps, candidate_rate=candidate, change_at_s=30.0,
                                    duration_s=900.0)  # fmt: skip
                found = many(setup, scenario, range(500, 500 + runs), size.processes)
                bad = _convicted(found, "bad_since")
                what = f"candidate fails {candidate:.0%}"
                table.rows.append((name, f"{rps:g}/s", what, _back(found), pair(bad)))
                if candidate == 1.0 and rps < 100:
                    table.goal(f"{name}, median at 100 %, {rps:g}/s", percentile(bad, 0.5), 6)
    return table


REFUSALS = {
    "both refuse 70 %": ((0.7, 0.7), None),
    "both refuse 90 %, 60 s every 5 min": (
        (0.01, 0.01),
        Bursts(per_day=288.0, rate=0.9, mean_s=60),
    ),
}
"""Shares of answers that refuse the request, (candidate, stable), and when both refuse more."""


def refusals(size: Size) -> Table:
    """Refusals (4xx, empty) that both versions share, in a bake and at a switch: short rollouts."""
    runs = size.part(0.5)
    table = Table(
        f"Refusals that both versions share, {runs:,} rollouts each (50/s, a bake or switch of "
        "10 minutes; stable fails 1 %)",
        ("plan", "world", "taken back"),
    )
    for name, strategy in (("bake", BAKE), ("switch", SWITCH)):
        setup = _unasked(strategy)
        for world, (shares, bursts) in REFUSALS.items():
            scenario = Scenario(requests_per_s=50.0, duration_s=660.0)
            worlds = partial(Refusing, shares=shares, more=bursts)
            found = many(setup, scenario, range(700, 700 + runs), size.processes, worlds)
            hits = sum(run.outcome == "rolled back" for run in found)
            table.rows.append((name, world, f"{hits} of {runs}"))
            table.goal(f"{name}, {world}, of {runs:,}", hits, 0.007 * runs)
    setup = _unasked(SWITCH)
    worlds = partial(Refusing, shares=(1.0, 0.01), more=None)
    some = size.part(0.05)
    found = many(setup, Scenario(duration_s=660.0), range(700, 700 + some), size.processes, worlds)
    table.rows.append(("switch", "candidate refuses everything", _back(found)))
    return table


SHIPPED = ("quickstart", "guarded-canary", "canary", "canary-auto", "blue-green", "segments",
           "experiment")  # fmt: skip


def shipped(size: Size) -> Table:
    """Whole shipped policies with an equal candidate, and with one that has half the failures."""
    runs = size.part(0.05)
    table = Table(
        f"Whole shipped policies, {runs:,} runs each (stable 1 %; approvals at once; 20/s, "
        "experiment 2/s; gates that live on labels are idle)",
        ("policy", "route", "holds divided by", "equal", "half the failures"),
    )
    for name in SHIPPED:
        for route in load(CONFIGS / f"{name}.yaml").policy.routes:
            if route.rollout is None:
                continue
            sticky = route.sticky is not None
            setup = _scaled(Setup.of(route.rollout, sticky=sticky), SCALED.get(name, 1))
            timed = any(isinstance(one, Latency) for one in route.rollout.gates)
            cells = []
            for rate in (STABLE, STABLE / 2):
                scenario = Scenario(
                    candidate_rate=rate, requests_per_s=2.0 if name == "experiment" else 20.0,
                    users=2_000 if sticky else 0, duration_s=2 * DAY_S,
                    latency=LatencyModel() if timed else None,
                )  # fmt: skip
                found = many(setup, scenario, range(600, 600 + runs), size.processes)
                hits = sum(run.outcome == "rolled back" for run in found)
                cells.append(str(hits))
                most = max(0.01 * runs, 1) if rate == STABLE else 0
                table.goal(f"{name}/{route.name} at {rate:.1%}, of {runs:,}", hits, most)
            table.rows.append((name, route.name, str(SCALED.get(name, 1)), *cells))
            print(*table.rows[-1], sep=" | ", file=sys.stderr, flush=True)
    return table


SCALED = {"experiment": 56}
"""Two weeks are six hours."""


def _scaled(setup: Setup, by: int) -> Setup:
    """The same plan with shorter holds and bake."""
    plan = setup.plan
    steps = tuple(replace(step, hold_s=step.hold_s / by) for step in plan.steps)
    return replace(setup, plan=replace(plan, steps=steps, bake_s=plan.bake_s / by))


WORSE = {
    "2x errors": Scenario(candidate_rate=2 * STABLE),
    "5x errors": Scenario(candidate_rate=5 * STABLE),
    "30 % slower": Scenario(latency=LatencyModel(factor=1.3)),
}
"""A candidate beside a stable version that fails 1 %."""

TIMED = ("latency", "slo", "shadow_slo")
PROMOTED_RATES = (2.0, 50.0, 500.0)
MAY_PASS = 0.05
"""Share of rollouts of a worse candidate above which `plan` must have named it."""


def promoting() -> Iterator[tuple[str, Route]]:
    """Every policy of configs/ whose candidate can become stable, and the README's."""
    readme = (CONFIGS.parent / "README.md").read_text(encoding="utf-8")
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "rollout:" in b)
    yield "README", loads(block).policy.routes[0]
    for file in sorted(CONFIGS.glob("*.yaml")):
        routes = load(file, os.environ | SECRETS).policy.routes
        for route in routes:
            ends = route.rollout is not None and route.rollout.plan().ending is Ending.PROMOTE
            if ends and file.stem not in FOR_SHOW:
                yield file.stem if len(routes) == 1 else f"{file.stem}/{route.name}", route


FOR_SHOW = frozenset({"demo"})
"""Steps of seconds, and a `detect` to go with them."""


SECRETS = dict.fromkeys(
    re.findall(r"\$\{(RAMPWAY_\w+)\}", "".join(f.read_text() for f in CONFIGS.glob("*.yaml"))),
    "http://127.0.0.1:1/what-is-asked-for",
)


def promoted_setup(policy: RolloutPolicy, worse: Scenario) -> Setup | None:
    """The policy as it meets that candidate; None where none of its gates looks at that."""
    slow = worse.latency is not None
    if slow and not any(isinstance(one, Latency) for one in policy.gates):
        return None
    gates = tuple(g for g in policy.gates if slow or g.kind not in TIMED)
    return Setup.of(policy.model_copy(update={"gates": gates}))


def promoted(size: Size) -> Table:
    """Shipped policies beside a candidate that is worse: how many are promoted all the same."""
    runs = size.part(0.25)
    table = Table(
        f"Promoted of {runs:,} rollouts each (stable fails 1 %; a coin a request; at most two "
        "days; approvals at once, copies agree; gates of time only where it is slower)",
        ("policy", "candidate", *(f"{rps:g}/s" for rps in PROMOTED_RATES)),
    )
    chosen = [one for one in promoting() if not size.policies or one[0] in size.policies]
    for name, route in chosen:
        for what, worse in WORSE.items():
            if (setup := promoted_setup(route.rollout, worse)) is None:
                table.rows.append((name, what, *["no gate looks at time"] * 3))
                continue
            # A ramp looks each second, which is dear where it lasts for hours.
            looks = any(step.auto or step.proof for step in setup.plan.steps)
            cells = []
            for rps in PROMOTED_RATES:
                scenario = replace(worse, requests_per_s=rps, duration_s=2 * DAY_S)
                some = max(runs // 5, 1) if looks and rps < 10 else runs
                found = many(setup, scenario, range(800, 800 + some), size.processes, Stretches)
                passed = sum(run.outcome == "promoted" for run in found)
                cells.append(f"{passed} of {some}")
                if what == "5x errors":
                    share = 100 * passed / some
                    table.goal(f"{name} at {rps:g}/s, 5x of 1 %, percent", share, 5.0)
            table.rows.append((name, what, *cells))
            print(*table.rows[-1], sep=" | ", file=sys.stderr, flush=True)
    return table
