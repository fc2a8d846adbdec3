"""``rampway simulate``: what a policy would do, before it does it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Annotated, TypeVar

from router.cli.exits import Exit, VerbFailed
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.seconds import parse_rate
from router.config.check import load
from router.config.problems import PolicyError
from router.core.policy import RolloutPolicy, Route
from router.core.quantities import parse_duration, parse_share
from router.core.wire.baseline import Baseline
from router.core.words import FULL_BP, count
from router.simulation.recording import read_traffic
from router.simulation.report import render_html, render_json, render_text
from router.simulation.result import simulate
from router.simulation.run import Setup
from router.simulation.scenario import DAY_S, Bursts, LatencyModel, Scenario
from router.simulation.world import MADE

RUNS = 200
RUNS_MAX = 100_000
PATIENCE_S = 8.0
"""How long somebody waits who has not said how many runs it shall be."""
PROCESSES_MAX = 16
USERS_MAX = 1_000_000
TOGETHER_MAX = 64
OUTAGE_RATE, OUTAGE_S = 0.5, 20.0
"""Of an outage: the share of answers that fail, and its mean length in seconds."""

T = TypeVar("T")

# What requests may differ in besides their versions' failures and latency.
_Log = Annotated[
    Path | None,
    Option("Access log, or recording, to take stable's bad answers, rate and latency from."),
]
_Users = Annotated[
    int, Option("Users of a sticky route, of very different popularity.", least=2, most=USERS_MAX)
]
_Failures = Annotated[
    str, Option("How long a failure takes, such as 30ms; absent: as long as an answer.")
]
_Together = Annotated[
    int,
    Option("Requests that are served together in the mean, and fail with one cause.", least=1,
           most=TOGETHER_MAX),
]  # fmt: skip
_Patience = Annotated[str, Option("Clients leave after so long without an answer, such as 2s.")]
_Refuses = Annotated[str, Option("Good answers of the candidate that are 4xx, or empty: 100%.")]
_Pinned = Annotated[
    str, Option("Requests that a pin or a rule sends to the candidate, such as 2%.")
]
_Outages = Annotated[
    str, Option("Outages that both versions share, half of the answers for 20s: 6/d.")
]


def run(
    policy: Annotated[Path, Argument("Policy file.")],
    route: Annotated[str, Argument("Route; may be left out if just one has a rollout.")] = "",
    *,
    stable: Annotated[str, Option("Bad answers of stable, such as 1%.")] = "",
    candidate: Annotated[str, Option("Bad answers of the candidate; absent: as stable.")] = "",
    rate: Annotated[str, Option("Requests, such as 50/s or 3/m.")] = "",
    log: _Log = None,
    change_at: Annotated[
        str, Option("Until then the candidate is as good as stable, such as 12h.")
    ] = "0s",
    latency: Annotated[str, Option("Stable's median latency, such as 100ms.")] = "",
    slower: Annotated[str, Option("The candidate's latency is so many times stable's: 1.3.")] = "1",
    hang: Annotated[bool, Option("The candidate never answers.")] = False,
    failures: _Failures = "",
    together: _Together = 1,
    patience: _Patience = "",
    refuses: _Refuses = "0%",
    pinned: _Pinned = "0%",
    outages: _Outages = "",
    users: _Users = 10_000,
    duration: Annotated[str, Option("The simulation ends here, decided or not.")] = "24h",
    runs: Annotated[
        int,
        Option(
            "Rollouts to simulate; absent: 200, or what 10 s suffice for.", least=0, most=RUNS_MAX
        ),
    ] = 0,
    seed: Annotated[int, Option("The same seed gives the same answer.", least=0)] = 1,
    html: Annotated[Path | None, Option("Also write a page with plots to this file.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Simulate a rollout many times: bad answers and seconds to rollback, false rollbacks.

    Runs the router's own decisions in virtual time, against a world of the given traffic, and as
    often against one whose candidate is as good as stable: a rollback there is a false one.
    """
    chosen, rollout = _route(policy, route)
    try:
        world = _traffic(log, chosen.name, stable, candidate, rate)
        slow = _latency(world.latency, latency, slower, hang=hang)
        sticky = chosen.sticky is not None
        change_at_s, duration_s = _times(change_at, duration)
        scenario = replace(
            world, change_at_s=change_at_s, duration_s=duration_s,
            latency=slow, users=users if sticky else 0, together=together,
            failures_s=_read("--failures", parse_duration, failures) if failures else None,
            patience_s=_read("--patience", parse_duration, patience) if patience else None,
            refuses=_read("--refuses", parse_share, refuses) / FULL_BP,
            pinned=_read("--pinned", parse_share, pinned) / FULL_BP,
            bursts=_outages(outages) if outages else None,
        )  # fmt: skip
        setup = Setup.of(rollout, sticky=sticky, sampled=chosen.sampled)
        _tell_blind(setup, slow, asked=bool(latency) or slow.factor != 1)
        _tell_idle(setup)
        processes = min(os.cpu_count() or 1, PROCESSES_MAX)
        result = simulate(
            setup, scenario, runs=runs or RUNS, seed=seed, processes=processes,
            seconds=inf if runs else PATIENCE_S,
        )  # fmt: skip
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, str(error)) from None
    if html is not None:
        html.write_text(render_html(result), encoding="utf-8")
    render = render_json if output is Output.JSON else render_text
    echo(render(result), nl=False)


def _times(change_at: str, duration: str) -> tuple[float, float]:
    change_at_s = _read("--change-at", parse_duration, change_at)
    duration_s = _read("--duration", parse_duration, duration)
    if change_at_s >= duration_s:
        end = f"the end of the simulation (--duration {duration})"
        raise ValueError(f"--change-at: expected a time before {end}, got {change_at}")
    return change_at_s, duration_s


def _outages(text: str) -> Bursts:
    return Bursts(parse_rate("--outages", text) * DAY_S, OUTAGE_RATE, OUTAGE_S)


def _tell_blind(setup: Setup, latency: LatencyModel, *, asked: bool) -> None:
    """Say where a latency that was asked for changes nothing."""
    if asked and not latency.hang and not any(g.limits(_PAST) for g in setup.gates):
        echo("rampway: no gate of this policy sees latency", err=True)


def _tell_idle(setup: Setup) -> None:
    """Say which gates the simulated world never feeds."""
    for gate in setup.gates:
        if unmade := sorted(gate.needs - MADE):
            text = f"rampway: {gate.title} is idle: a simulated world makes no {unmade[0]}"
            echo(text, err=True)


_PAST = Baseline(1_000, 10, LatencyModel().buckets(1_000))
"""Any past that suffices for thresholds."""


def _read(option: str, parse: Callable[[str], T], text: str) -> T:
    """The value of an option; ValueError names it."""
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def _route(path: Path, name: str) -> tuple[Route, RolloutPolicy]:
    try:
        routes = load(path).policy.routes
    except PolicyError as error:
        raise VerbFailed(Exit.USAGE, f"{path} cannot be used\n{error}") from None
    having = [(made, made.rollout) for made in routes if made.rollout is not None]
    found = [one for one in having if name in ("", one[0].name)]
    if len(found) != 1:
        known = ", ".join(made.name for made, _ in having)
        raise VerbFailed(Exit.USAGE, f"name a route with a rollout; there is {known or 'none'}")
    return found[0]


def _traffic(log: Path | None, route: str, stable: str, candidate: str, rate: str) -> Scenario:
    """The world of the options; what they leave open is as in the access log, or as usual."""
    world = Scenario()
    if log is not None:
        try:
            with log.open(encoding="utf-8", errors="replace") as lines:
                traffic, skipped = read_traffic(lines, route)
        except OSError as error:
            raise VerbFailed(Exit.USAGE, f"{log}: {error.strerror}") from None
        if skipped:
            echo(f"rampway: {count(skipped, 'line')} of {log} not understood", err=True)
        world = _read(str(log), lambda _: traffic.scenario(), "")
    stable_rate = world.stable_rate
    if stable:
        stable_rate = _read("--stable", parse_share, stable) / FULL_BP
    candidate_rate = stable_rate
    if candidate:
        candidate_rate = _read("--candidate", parse_share, candidate) / FULL_BP
    return replace(
        world,
        stable_rate=stable_rate,
        candidate_rate=candidate_rate,
        requests_per_s=parse_rate("--rate", rate) if rate else world.requests_per_s,
    )


def _latency(logged: LatencyModel | None, median: str, slower: str, *, hang: bool) -> LatencyModel:
    """Stable's latency by option or log or as usual, and the candidate's."""
    try:
        factor = float(slower.removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 0.01 <= factor <= 1_000:
        raise ValueError(f"--slower: expected a factor from 0.01 to 1000, got {slower!r}")
    if median:
        stable_s = _read("--latency", parse_duration, median)
        return LatencyModel(stable_s, factor=factor, hang=hang)
    return replace(logged or LatencyModel(), factor=factor, hang=hang)
