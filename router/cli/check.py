"""``rampway check``: everything that is wrong with a policy, before a router reads it."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.seconds import parse_rate
from router.cli.show import emit
from router.config.check import LoadedPolicy, load, loads, statistics
from router.config.named_files import problems
from router.config.problems import PolicyError, Problem, Severity, render
from router.config.source import SIZE_BYTES_MAX
from router.core.databases import POSTGRES_STORE, POSTGRES_URLS
from router.core.policy.advice import advice
from router.core.policy.power import ExpectedTraffic, Sight, describe, sights
from router.core.policy.risk import unjudged
from router.core.quantities import parse_share
from router.core.words import FULL_BP, count

BAD_MAX = 0.5
"""Stable's bad answers must stay below: comparing failures says nothing about a broken stable."""


def run(
    policies: Annotated[
        list[Path], Argument("Policy files; - is standard input.", metavar="POLICY...")
    ],
    rate: Annotated[
        str, Option("Requests a route gets, such as 50/s: also check what its gates can see.")
    ] = "",
    stable: Annotated[str, Option("Stable's bad answers, supposed with --rate.")] = "1%",
    strict: Annotated[bool, Option("Warnings fail as well.", "--strict")] = False,
    output: Format = Output.TABLE,
) -> None:
    """All problems of policies at once, with line, column and hint; exit 2 if there are any.

    With --rate, such as 50/s, also what the error gate sees at every step, how soon, and warnings
    about steps too short for a verdict, caps that healthy candidates reach, and proofs that cannot
    come in time.
    """
    traffic = expected(rate, stable)
    found: list[Problem] = []
    seen: dict[str, list[ShownSight]] = {}
    notes: list[str] = []
    failed = False
    for path in policies:
        try:
            loaded = _loaded(path)
        except PolicyError as error:
            found += error.problems
            failed = True
            continue
        warnings = [*loaded.warnings, *problems(loaded)]
        notes += [f"{path}: {note}" for note in advice(loaded.policy)]
        if traffic is not None:
            warnings += statistics(loaded, traffic.requests_per_s, traffic.stable_bad_rate)
            seen[str(path)] = _sights(loaded, traffic)
            notes += [f"{path}: {note}" for note in _single_instances(loaded)]
        notes += [f"{path}: {note}" for note in (*_unjudged(loaded), *_not_installed(loaded))]
        failed |= any(strict or one.severity is Severity.ERROR for one in warnings)
        found += warnings
        if output is Output.TABLE and not warnings:
            echo(f"{path}: ok")
    _tell(found, seen, notes, ok=not failed, output=output)
    if failed:
        said = "" if output is Output.JSON else count(len(found), "problem")
        raise VerbFailed(Exit.USAGE, said)


@dataclass(frozen=True, slots=True)
class ShownSight:
    """What ``error_rate`` sees in one step, as numbers and as text."""

    route: str
    step: int
    """1-based."""
    weight_bp: int
    smallest_bad_rate: float
    fastest_s: float
    text: str


def _loaded(path: Path) -> LoadedPolicy:
    if str(path) == "-":
        return loads(sys.stdin.buffer.read(SIZE_BYTES_MAX + 1), "standard input")
    return load(path)


def expected(rate: str, stable: str) -> ExpectedTraffic | None:
    """What is supposed of every route; None where nothing is said."""
    if not rate:
        return None
    try:
        traffic = ExpectedTraffic(parse_rate("--rate", rate), parse_share(stable) / FULL_BP)
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, str(error)) from None
    if not 0 < traffic.stable_bad_rate < BAD_MAX:
        raise VerbFailed(Exit.USAGE, f"--stable: expected between 0 and 50 %, got {stable}")
    return traffic


def _sights(loaded: LoadedPolicy, traffic: ExpectedTraffic) -> list[ShownSight]:
    """What ``error_rate`` sees in every step of every rollout, as text and as numbers."""
    told = []
    for route in loaded.policy.routes:
        if route.rollout is not None:
            one = replace(traffic, sticky=route.sticky is not None)
            told += [_sight(route.name, sight, one) for sight in sights(route.rollout, one)]
    return told


def _sight(route: str, sight: Sight, traffic: ExpectedTraffic) -> ShownSight:
    return ShownSight(
        route, sight.step + 1, sight.weight_bp, sight.smallest_bad_rate, sight.fastest_s,
        describe(sight, traffic),
    )  # fmt: skip


def _not_installed(loaded: LoadedPolicy) -> list[str]:
    """What this machine lacks to serve by it; another one may have it."""
    if loaded.policy.store.startswith(POSTGRES_URLS) and find_spec("asyncpg") is None:
        return [f"store: {POSTGRES_STORE}, where the router runs"]
    return []


def _unjudged(loaded: LoadedPolicy) -> list[str]:
    """Ways to all traffic that nothing judges; `plan` has the other risks."""
    return [
        f"{route.name}: {way}"
        for route in loaded.policy.routes
        if route.rollout is not None
        for way in unjudged(route.rollout)
    ]


def _single_instances(loaded: LoadedPolicy) -> list[str]:
    """The limit that no test can pass, where it applies: one endpoint is the whole candidate."""
    return [
        f"{route.name}: {route.rollout.candidate} has one endpoint: no gate can tell an incident "
        "there from a bad version; with two, the one that fails is ejected first"
        for route in loaded.policy.routes
        if route.rollout is not None
        and (version := route.versions.get(route.rollout.candidate)) is not None
        and len(version.endpoints) == 1
    ]


def _tell(
    found: list[Problem], seen: dict[str, list[ShownSight]], notes: list[str], *, ok: bool,
    output: Output,
) -> None:  # fmt: skip
    if output is Output.JSON:
        problems = [problem.to_json() for problem in found]
        sights = {path: [asdict(one) for one in lines] for path, lines in seen.items()}
        emit({"ok": ok, "problems": problems, "sights": sights or None, "notes": notes})
        return
    if found:
        echo(render(found))
    for path, lines in seen.items():
        for line in lines:
            echo(f"{path}: {line.route}, step {line.step}: {line.text}")
    for note in notes:
        echo(note)
