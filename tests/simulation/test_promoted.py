"""Promoted under any shipped policy: a candidate that is dead, or refuses everything. None.

The product's own judge, machine and plan in virtual time. Policies: configs/, the README's, and
what the importers make of the examples of other tools. A person gives every approval at once, so
what stays unpromoted does so by its gates.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from router.config import loads
from router.config.check import load
from router.simulation import world
from router.simulation.run import Setup, run_once
from router.simulation.scenario import Scenario

ROOT = Path(__file__).parents[2]
GOOD = Scenario(requests_per_s=5.0, duration_s=2 * 86_400.0, stable_rate=0.01, history=5_000)


def policies():
    text = (ROOT / "README.md").read_text()
    blocks = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "rollout:" in b]
    found = [("README", loads(block).policy) for block in blocks if "routes:" in block]
    files = [*sorted(ROOT.glob("configs/*.yaml")),
             *sorted(ROOT.glob("tests/importing/files/*.expected.yaml"))]  # fmt: skip
    names = {n for path in files for n in re.findall(r"\$\{(RAMPWAY_\w+)\}", path.read_text())}
    named = dict.fromkeys(names, "http://127.0.0.1:1/what-is-asked-for")
    found += [(path.name, load(path, os.environ | named).policy) for path in files]
    for name, policy in found:
        for route in policy.routes:
            if route.rollout is not None and route.rollout.plan().ending.value == "promote":
                yield pytest.param(route, id=f"{name}:{route.name}")


DEAD = replace(GOOD, candidate_rate=1.0)
FAILURES = {
    "dead port": DEAD,
    "answers 500 to all": DEAD,
    "refuses everything": replace(GOOD, disagree_rate=1.0),
    "empty body": replace(GOOD, disagree_rate=1.0),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("route", policies())
def test_nobody_of_them_is_promoted(route, failure, monkeypatch):
    if failure in {"refuses everything", "empty body"}:
        monkeypatch.setattr(world.CountingWorld, "_count", refusing(world.CountingWorld._count))
    sticky = route.sticky is not None
    scenario = replace(FAILURES[failure], users=10_000 if sticky else 0)
    run = run_once(Setup.of(route.rollout, sticky=sticky), scenario, 1)
    assert run.outcome != "promoted", run.sentence


def refusing(count):
    """The candidate's good answers refuse the request, or have nothing in them."""

    def counted(self, *args):
        at = count(self, *args)
        cells = tuple(
            replace(cell, candidate=replace(
                cell.candidate, refused=cell.candidate.ok,
                users=cell.candidate.users
                and replace(cell.candidate.users, refused=cell.candidate.users.drawn),
            ))
            for cell in self._batch.cells
        )  # fmt: skip
        self._batch = replace(self._batch, cells=cells)
        return at

    return counted
