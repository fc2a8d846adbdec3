"""The claims about decisions, each as a table with its goal, by one command and from fixed seeds.

``python -m tests.bench.decisions [--runs 2000]`` prints the tables, saves them as
``build/bench-decisions.md`` and ``.json``, and ends with 1 if a goal is missed. ``--docs FILE``
also writes each table between its marks in that page::

    <!-- bench-decisions: level -->
    <!-- end -->
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from router.core.gates import GateContext
from router.core.judge import JudgeSettings
from router.core.policy import RolloutPolicy
from router.core.wire.outcomes import Batch, LabelledPairs, Labels
from router.core.words import FULL_BP, duration
from router.simulation.result import many, percentile
from router.simulation.run import Setup, SimulatedRun
from router.simulation.scenario import DAY_S, Bursts, LatencyModel, Scenario
from tests.bench.decisions.atonce import simulate
from tests.bench.decisions.baselines import MINUTE_S, TOOLS, drawn
from tests.bench.decisions.field import level_worlds, power_worlds, runs_of
from tests.bench.decisions.level import GATES as LEVEL_GATES
from tests.bench.decisions.level import false_rollbacks
from tests.bench.decisions.rollouts import (
    default_power,
    onset,
    outages,
    promoted,
    refusals,
    shipped,
)
from tests.bench.decisions.rounds import rounds
from tests.bench.decisions.tables import Size, Table, gate, or_inf, pair, written
from tests.bench.decisions.vector import Detection, detection
from tests.bench.decisions.worlds import batch_worlds, late_worlds, other_worlds, user_worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.decisions.worlds import Field

RATES = (2.0, 50.0, 1000.0)
WEIGHT_BP = 500
NO_TOLERANCE = {"tolerance": {"relative": "0%", "absolute": "0%"}}


# --- 1. false rollbacks -----------------------------------------------------------------------


def level(size: Size) -> Table:
    """Equal versions for a day, steady and with shared outages."""
    table = Table(
        f"False rollbacks of an equal candidate in 24 h, percent of {size.runs:,} runs",
        ("traffic", "shared outages", *LEVEL_GATES),
    )
    for number, rps in enumerate(RATES):
        for bursts in (None, Bursts()):
            scenario = Scenario(stable_rate=0.005, candidate_rate=0.005, requests_per_s=rps,
                                bursts=bursts)  # fmt: skip
            found = false_rollbacks(scenario, runs=size.runs, seed=10 + number)
            shares = [found.shares[name] * 100 for name in LEVEL_GATES]
            when = "six a day, to 20 %" if bursts else "none"
            table.rows.append((f"{rps:g}/s", when, *(f"{share:.2f}" for share in shares)))
            table.goal(f"worst gate at {rps:g}/s, outages {when}, percent", max(shares), 1.0)
    return table


# --- 2. how soon ------------------------------------------------------------------------------

GOALS = {
    "none": {1.0: 3, 0.2: 4, 0.05: 9, 0.02: 40},
    "default": {1.0: 3, 0.2: 4, 0.05: 10, 0.02: 60},
}
TOLERANCES = {"none": (0.0, 0.0), "default": (0.1, 0.001)}


def power(size: Size) -> Table:
    """Bad candidate answers before a rollback; the product's judge beside the arrays."""
    table = Table(
        "Bad candidate answers before the rollback (stable 1 %, weight 5 %), median / p95",
        ("tolerance", "candidate", "any traffic", *(f"judge, {rps:g}/s" for rps in RATES)),
    )
    for name, tolerance in TOLERANCES.items():
        fields = NO_TOLERANCE if name == "none" else {}
        setup = Setup.constant(WEIGHT_BP, [gate("error_rate", **fields)])
        for candidate, most in GOALS[name].items():
            found = _detect(2 * size.runs, candidate, tolerance)
            runs = size.part(0.1)
            cells = [pair(_bad_of(setup, candidate, rps, runs, size)) for rps in RATES]
            table.rows.append((name, f"{candidate * 100:g} %", pair(or_inf(found.bad)), *cells))
            table.goal(
                f"median at {candidate * 100:g} %, tolerance {name}",
                percentile(or_inf(found.bad), 0.5), most,
            )  # fmt: skip
    return table


def _detect(runs: int, candidate: float, tolerance: tuple[float, float]) -> Detection:
    return detection(
        runs, weight_bp=WEIGHT_BP, stable=0.01, candidate=candidate, tolerance=tolerance, seed=20
    )


def _bad_of(setup: Setup, candidate: float, rps: float, runs: int, size: Size) -> list[float]:
    scenario = Scenario(candidate_rate=candidate, requests_per_s=rps, duration_s=20 * DAY_S)
    first = 30 + round(rps)
    found = many(setup, scenario, range(first, first + runs), size.processes)
    return [run.bad if run.outcome == "rolled back" else math.inf for run in found]


# --- 3. latency -------------------------------------------------------------------------------

SLOW = {
    "hangs": (LatencyModel(hang=True), 7.0, 0.32 * 1.1 + 1.0),
    "20 % take 1 s more": (LatencyModel(tail_share=0.2), 20.0, 7.8),
    "5 % take 1 s more (p99 four times stable's)": (LatencyModel(tail_share=0.05), 170.0, 69.0),
    "30 % slower": (LatencyModel(factor=1.3), 171.0, 74.0),
    "twice as slow": (LatencyModel(factor=2.0), 16.0, 6.0),
}
"""Candidate; goals for requests sent to it (p95 of a hang, else median) and median seconds."""


def latency(size: Size) -> Table:
    """A slow candidate at 50 requests a second, every request followed through its latency."""
    table = Table(
        "Slow candidates (stable log-normal, p50 100 ms, p99 320 ms; 50/s, weight 5 %), "
        "median / p95",
        ("candidate", "requests sent to it", "seconds"),
    )
    setup = Setup.constant(WEIGHT_BP, [gate("latency")])
    for name, (model, requests, seconds) in SLOW.items():
        runs = size.part(0.2)
        scenario = Scenario(latency=model, duration_s=1_800.0)
        found = many(setup, scenario, range(40, 40 + runs), size.processes)
        sent = [r.exposed if r.outcome == "rolled back" else math.inf for r in found]
        took = [r.at_s if r.outcome == "rolled back" else math.inf for r in found]
        table.rows.append((name, pair(sent), pair(took, lambda v: f"{v:.1f}")))
        share = 0.95 if name == "hangs" else 0.5
        table.goal(f"requests ({share:g} quantile), {name}", percentile(sent, share), requests)
        table.goal(f"median seconds, {name}", percentile(took, 0.5), seconds)
    return table


# --- in the field: answers that take their time ------------------------------------------------


AT_ONCE = 500
"""Runs that are held in memory together."""


def _hits(world: Field, first: int, runs: int) -> int:
    """How many of these runs take the candidate back."""
    found = simulate(world.make, world.plan, runs, 9, sticky=bool(world.users), first=first)
    return int(np.isfinite(found.convicted_s).sum())


def _worlds(title: str, worlds: Sequence[Field]) -> Callable[[Size], Table]:
    """A table of equal or better candidates, many runs at once."""

    def made(size: Size) -> Table:
        runs = size.part(0.5)
        table = Table(
            f"{title}, default gates",
            ("world (candidate / stable)", "rate", "weight", "runs", "taken back"),
        )
        for world in worlds:
            hits = sum(_hits(world, first, min(AT_ONCE, runs - first))
                       for first in range(0, runs, AT_ONCE))  # fmt: skip
            weights = sorted({f"{bp / 100:g}" for bp in world.plan.weights()}, key=float)
            weight = f"{' to '.join(weights[:: max(len(weights) - 1, 1)])} %"
            table.rows.append((world.name, f"{world.rate:g}/s", weight, f"{runs:,}", f"{hits}"))
            print(*table.rows[-1], sep=" | ", file=sys.stderr, flush=True)
            half = world.failing[0] < world.failing[1]
            table.goal(f"{world.name}, of {runs:,}", hits, 0 if half else 0.007 * runs)
        return table

    return made


def field_workers(size: Size) -> Table:
    """The same through the product's judge, event by event, told by two workers."""
    runs = size.part(0.05)
    table = Table(
        f"Equal versions, two workers, the product's own judge event by event, {runs:,} runs each",
        ("world (candidate / stable)", "rate", "weight", "taken back"),
    )
    for world in level_worlds():
        found = runs_of(world, runs, size.processes)
        hits = sum(one.convicted_s is not None for one in found)
        weight = f"{world.weight_bp / 100:g} %"
        table.rows.append((world.name, f"{world.rate:g}/s", weight, str(hits)))
        table.goal(f"{world.name}, of {runs:,} runs", hits, max(0.01 * runs, 1))
    return table


def field_power(size: Size) -> Table:
    """A failing candidate whose good answers, and stable's, are quick or slow."""
    runs = size.part(0.1)
    table = Table(
        f"Bad answers drawn until the rollback, median / p95 of {runs:,} runs (weight 5 %, "
        "stable 1 %, default gates)",
        ("candidate", "bad answers", "seconds"),
    )
    for world, most in power_worlds():
        found = runs_of(world, runs, size.processes)
        bad = [one.bad if one.convicted_s is not None else math.inf for one in found]
        took = [math.inf if one.convicted_s is None else one.convicted_s for one in found]
        table.rows.append((world.name, pair(bad), pair(took, lambda v: f"{v:.2f}")))
        if math.isfinite(most):
            table.goal(f"median, {world.name}", percentile(sorted(bad), 0.5), most)
    return table


# --- 4. other tools ---------------------------------------------------------------------------


def comparison(size: Size) -> Table:
    """Ours against documented settings of others on the same kind of traffic."""
    table = Table(
        "Stable 1 %, weight 5 %, 24 h: bad candidate answers median / p95, and median seconds; "
        "equal candidate: percent falsely rolled back",
        ("candidate", "traffic", "Rampway", *TOOLS),
    )
    runs = size.part(0.1)
    draw = np.random.default_rng(50)
    for candidate in (0.01, 0.05, 0.2, 1.0):
        for rps in RATES:
            ours = _our_cell(size, candidate, rps)
            cells = [
                _tool_cell(draw, tool, candidate, rps, runs if name != "Kayenta" else runs // 4)
                for name, tool in TOOLS.items()
            ]
            table.rows.append((f"{candidate * 100:g} %", f"{rps:g}/s", ours, *cells))
    return table


def _our_cell(size: Size, candidate: float, rps: float) -> str:
    if candidate == 0.01:
        scenario = Scenario(requests_per_s=rps)
        runs = size.part(0.25)
        share = false_rollbacks(scenario, runs=runs, seed=60).shares["error_rate"]
        return f"{share * 100:.2f} %"
    found = _detect(size.runs, candidate, TOLERANCES["default"])
    seconds = percentile(or_inf(found.requests / rps), 0.5)
    return f"{pair(or_inf(found.bad))}; {duration(seconds)}"


def _tool_cell(
    draw: np.random.Generator, tool: Callable[..., np.ndarray], candidate: float, rps: float,
    runs: int,
) -> str:  # fmt: skip
    shape = (max(runs, 10), round(DAY_S / MINUTE_S))
    minutes = drawn(
        draw, requests_per_s=rps, weight=WEIGHT_BP / 10_000,
        candidate=np.full(shape, candidate), stable=np.full(shape, 0.01),
    )  # fmt: skip
    at = tool(minutes)
    if candidate == 0.01:
        return f"{(at >= 0).mean() * 100:.0f} %"
    if (at >= 0).mean() < 0.5:
        return f"missed {(at < 0).mean() * 100:.0f} %"
    bad = np.cumsum(minutes.candidate_bad, axis=1)[np.arange(len(at)), np.maximum(at, 0)]
    bad = np.where(at >= 0, bad, np.inf).tolist()
    seconds = np.where(at >= 0, (at + 1) * MINUTE_S, np.inf).tolist()
    return f"{pair(bad)}; {duration(percentile(seconds, 0.5))}"


# --- 5. late failures and promotion -------------------------------------------------------------


def late(size: Size) -> Table:
    """A candidate that turns bad after twelve good hours, in rollouts of at most a day."""
    table = Table(
        "Bad candidate answers after twelve good hours (stable 1 %, weight 5 %), median / p95",
        ("candidate", "traffic", "bad answers", "seconds", "rolled back before it was bad"),
    )
    settings = JudgeSettings(no_data_after_s=math.inf, max_duration_s=DAY_S)
    setup = Setup.constant(WEIGHT_BP, [gate("error_rate")], settings)
    for candidate, most in ((1.0, 9), (0.05, 30)):
        for rps in RATES:
            runs = size.part(0.05 if rps < 1000 else 0.01)
            scenario = Scenario(candidate_rate=candidate, requests_per_s=rps, change_at_s=DAY_S / 2,
                                duration_s=1.5 * DAY_S)  # fmt: skip
            found = many(setup, scenario, range(70, 70 + runs), size.processes)
            early = [r for r in found if r.at_s < scenario.change_at_s]
            after = [r for r in found if r.at_s >= scenario.change_at_s]
            bad = [r.bad_since if r.outcome == "rolled back" else math.inf for r in after]
            table.rows.append((
                f"{candidate * 100:g} %", f"{rps:g}/s", pair(bad),
                pair([r.seconds_since for r in after], duration),
                f"{len(early)} of {runs}",
            ))  # fmt: skip
            table.goal(f"median at {candidate * 100:g} %, {rps:g}/s", percentile(bad, 0.5), most)
    return table


def promotion(size: Size) -> Table:
    """An equal candidate under ``ramp: auto``, until it is proven not worse by one point."""
    table = Table(
        "Time to promote an equal candidate with proof (stable 0.5 %, 1 pp, risk 5 %, ramp auto), "
        "median / p95",
        ("traffic", "until all traffic", "bad answers on the way", "rolled back"),
    )
    policy = RolloutPolicy.model_validate(
        {"candidate": "v2", "strategy": {"canary": {"ramp": {"auto": {"hold": "0s"}}}}}
    )
    for rps, most in zip(RATES, (900.0, 60.0, 10.0), strict=True):
        runs = size.part(0.1)
        scenario = Scenario(stable_rate=0.005, candidate_rate=0.005, requests_per_s=rps)
        found = many(Setup.of(policy), scenario, range(80, 80 + runs), size.processes)
        took = [r.at_s if r.outcome == "promoted" else math.inf for r in found]
        table.rows.append((
            f"{rps:g}/s", pair(took, duration), pair([r.bad for r in found]), _backs(found),
        ))  # fmt: skip
        table.goal(f"median seconds at {rps:g}/s", percentile(took, 0.5), most)
    return table


def _backs(runs: Sequence[SimulatedRun]) -> str:
    return f"{sum(r.outcome == 'rolled back' for r in runs)} of {len(runs)}"


# --- 6. labels ----------------------------------------------------------------------------------

LABELS_MAX, LABELS_AT_ONCE = 30_000, 5
WRONG, SHARED = 0.1, 0.09
"""Stable is wrong in 10 % of predictions, both versions in 9 %."""


def labels(size: Size) -> Table:
    """Late labels until gate ``accuracy`` convicts: pairs of a shadow, or a split."""
    table = Table(
        "Labels until gate accuracy convicts, median / p95 (stable right in 90 %, nine tenths of "
        "its mistakes shared, tolerance 1 point)",
        ("candidate right", "labelled shadow pairs", "split 50/50", "split 5/95"),
    )
    draw = np.random.default_rng(90)
    for right in (0.85, 0.8, 0.5):
        cells = [
            pair([_labels_needed(draw, 1.0 - right, bp) for _ in range(size.part(0.05))])
            for bp in (0, 5_000, 500)
        ]
        table.rows.append((f"{right * 100:g} %", *cells))
    return table


def _labels_needed(draw: np.random.Generator, wrong: float, weight_bp: int) -> float:
    """Labels of one run; weight 0: every label is of a shadow pair."""
    state = gate("accuracy").start(GateContext())
    w = weight_bp / FULL_BP
    shares = [w * wrong, w * (1 - wrong), (1 - w) * WRONG, (1 - w) * (1 - WRONG)]
    if not weight_bp:
        shares = [wrong - SHARED, WRONG - SHARED, 1.0 - wrong - WRONG + 2 * SHARED]
    for seen in range(1, LABELS_MAX // LABELS_AT_ONCE):
        drawn = draw.multinomial(LABELS_AT_ONCE, shares).tolist()
        if weight_bp:
            batch = Batch("r", 1, labels=(Labels(weight_bp, *drawn),))
        else:
            batch = Batch("r", 1, labelled_pairs=LabelledPairs(*drawn))
        state.observe(batch)
        if state.capital >= 100.0:
            return float(seen * LABELS_AT_ONCE)
    return math.inf


# --- 7. the judge itself, for two thousand days ------------------------------------------------


def days(size: Size) -> Table:
    """Equal versions under the product's own judge, look by look; a quarter of an hour."""
    table = Table(
        "False rollbacks of an equal candidate by the product's own judge: error_rate and guard, "
        "stable 1 %, 50/s, weight 5 %, 24 h",
        ("runs", "rolled back"),
    )
    setup = Setup.constant(WEIGHT_BP, [gate("error_rate"), gate("guard")])
    found = many(setup, Scenario(), range(size.runs), size.processes)
    back = sum(run.outcome == "rolled back" for run in found)
    table.rows.append((f"{size.runs:,}", f"{back}"))
    table.goal("rolled back, percent", back / size.runs * 100, 1.0)
    return table


SECTIONS: dict[str, Callable[[Size], Table]] = {
    "level": level,
    "power": power,
    "latency": latency,
    "comparison": comparison,
    "late": late,
    "promotion": promotion,
    "labels": labels,
    "field-power": field_power,
}
"""Every table, by the name that ``--only`` takes."""

ON_DEMAND: dict[str, Callable[[Size], Table]] = {
    "days": days,
    "late-level": _worlds("Equal versions whose answers take their time", late_worlds()),
    "user-level": _worlds("Equal versions, users drawn", user_worlds()),
    "other-level": _worlds("Equal versions, what both share", other_worlds()),
    "batch-level": _worlds("Failures with one cause", batch_worlds()),
    "field-workers": field_workers,
    "default-power": default_power,
    "onset": onset,
    "outages": outages,
    "refusals": refusals,
    "rounds": rounds,
    "shipped": shipped,
    "promoted": promoted,
}
"""Made only when ``--only`` names them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the tables; 0 if every goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000, help="runs of the largest tables")
    parser.add_argument("--processes", type=int, default=1, help="processes for single runs")
    parser.add_argument("--only", choices=[*SECTIONS, *ON_DEMAND], action="append",
                        help="make these tables only")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("build"), help="directory of the results")
    parser.add_argument("--docs", type=Path, help="page whose marked parts are written anew")
    parser.add_argument("--policies", nargs="*", default=[], help="`promoted`: these rows only")
    options = parser.parse_args(arguments)
    size = Size(options.runs, options.processes, tuple(options.policies))
    known = SECTIONS | ON_DEMAND
    named = {name: _timed(known[name], size) for name in options.only or SECTIONS}
    if options.docs is not None:
        page = options.docs.read_text(encoding="utf-8")
        options.docs.write_text(written(page, named), encoding="utf-8")
    tables = list(named.values())
    options.out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(table.markdown() for table in tables)
    (options.out / "bench-decisions.md").write_text(text, encoding="utf-8")
    data = [
        {"title": t.title, "head": t.head, "rows": t.rows, "goals": t.goals, "seconds": t.seconds}
        for t in tables
    ]
    (options.out / "bench-decisions.json").write_text(json.dumps(data, indent=2), encoding="utf-8")
    return 0 if all(met for table in tables for _, met in table.goals) else 1


def _timed(section: Callable[[Size], Table], size: Size) -> Table:
    begun = time.perf_counter()
    table = section(size)
    table.seconds = time.perf_counter() - begun
    print(table.markdown(), flush=True)
    return table


if __name__ == "__main__":
    sys.exit(main())
