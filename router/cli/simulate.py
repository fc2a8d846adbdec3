"""``rampway simulate``: what a policy would do, before it does it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import click

from router.cli.exits import Exit, Failure
from router.cli.options import Format, Output
from router.cli.parse import Argument, Option
from router.cli.seconds import parse_rate
from router.config.check import load
from router.config.problems import PolicyError
from router.core.policy import Route
from router.core.quantities import parse_duration, parse_share
from router.core.words import count
from router.simulation import (
    Latency,
    Scenario,
    Setup,
    read_traffic,
    render_html,
    render_json,
    render_text,
    simulate,
)

RUNS_MAX = 100_000
PROCESSES_MAX = 16
USERS_MAX = 1_000_000


def run(
    policy: Annotated[Path, Argument("Policy file.")],
    route: Annotated[str, Argument("Route; may be left out if just one has a rollout.")] = "",
    *,
    stable: Annotated[str, Option("Bad answers of stable, such as 1%.")] = "",
    candidate: Annotated[str, Option("Bad answers of the candidate; absent: as stable.")] = "",
    rate: Annotated[str, Option("Requests, such as 50/s or 3/m.")] = "",
    log: Annotated[
        Path | None,
        Option("Access log, or recording, to take stable's bad answers, rate and latency from."),
    ] = None,
    change_at: Annotated[
        str, Option("Until then the candidate is as good as stable, such as 12h.")
    ] = "0s",
    latency: Annotated[str, Option("Stable's median latency, such as 100ms.")] = "",
    slower: Annotated[str, Option("The candidate's latency is so many times stable's: 1.3.")] = "1",
    hang: Annotated[bool, Option("The candidate never answers.")] = False,
    users: Annotated[
        int,
        Option("Users of a sticky route, of very different popularity.", least=2, most=USERS_MAX),
    ] = 10_000,
    duration: Annotated[str, Option("The simulation ends here, decided or not.")] = "24h",
    runs: Annotated[int, Option("Rollouts to simulate.", least=1, most=RUNS_MAX)] = 200,
    seed: Annotated[int, Option("The same seed gives the same answer.", least=0)] = 1,
    html: Annotated[Path | None, Option("Also write a page with plots to this file.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Simulate a rollout many times: bad answers and seconds to rollback, false rollbacks.

    Runs the router's own decisions in virtual time, against a world of the given traffic, and as
    often against one whose candidate is as good as stable: a rollback there is a false one.
    """
    chosen = _route(policy, route)
    assert chosen.rollout is not None  # noqa: S101 - _route chose one that has it
    try:
        world = _traffic(log, chosen.name, stable, candidate, rate)
        slow = _latency(world.latency, latency, slower, hang=hang)
        sticky = chosen.sticky is not None
        scenario = replace(
            world, change_at_s=parse_duration(change_at), duration_s=parse_duration(duration),
            latency=None if sticky else slow, users=users if sticky else 0,
        )  # fmt: skip
        if sticky and slow is not None:
            click.echo("rampway: sticky users are simulated without latency", err=True)
        setup = Setup.of(chosen.rollout, sticky=sticky)
        processes = min(os.cpu_count() or 1, PROCESSES_MAX)
        result = simulate(setup, scenario, runs=runs, seed=seed, processes=processes)
    except ValueError as error:
        raise Failure(Exit.USAGE, str(error)) from None
    if html is not None:
        html.write_text(render_html(result), encoding="utf-8")
    render = render_json if output is Output.JSON else render_text
    click.echo(render(result), nl=False)


def _route(path: Path, name: str) -> Route:
    try:
        routes = load(path).policy.routes
    except PolicyError as error:
        raise Failure(Exit.USAGE, f"{path} cannot be used\n{error}") from None
    found = [made for made in routes if made.rollout is not None and name in ("", made.name)]
    if len(found) != 1:
        known = ", ".join(made.name for made in routes if made.rollout is not None)
        raise Failure(Exit.USAGE, f"name a route with a rollout; there is {known or 'none'}")
    return found[0]


def _traffic(log: Path | None, route: str, stable: str, candidate: str, rate: str) -> Scenario:
    """The world of the options; what they leave open is as in the access log, or as usual."""
    world = Scenario()
    if log is not None:
        try:
            with log.open(encoding="utf-8", errors="replace") as lines:
                traffic, skipped = read_traffic(lines, route)
        except OSError as error:
            raise Failure(Exit.USAGE, f"{log}: {error.strerror}") from None
        if skipped:
            click.echo(f"rampway: {count(skipped, 'line')} of {log} not understood", err=True)
        world = traffic.scenario()
    stable_rate = parse_share(stable) / 10_000 if stable else world.stable_rate
    return replace(
        world,
        stable_rate=stable_rate,
        candidate_rate=parse_share(candidate) / 10_000 if candidate else stable_rate,
        requests_per_s=parse_rate("--rate", rate) if rate else world.requests_per_s,
    )


def _latency(logged: Latency | None, median: str, slower: str, *, hang: bool) -> Latency | None:
    """Stable's latency by option or log, and the candidate's; None where nothing is said."""
    factor = float(slower.removesuffix("x"))
    if not 0.01 <= factor <= 1_000:
        raise ValueError(f"--slower: expected a factor such as 1.3, got {slower!r}")
    if median:
        return Latency(parse_duration(median), factor=factor, hang=hang)
    if logged is None and factor == 1 and not hang:
        return None
    return replace(logged or Latency(), factor=factor, hang=hang)
