"""Some fleets; the same one twice; mistakes are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fleet

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from tests.fleets import seams  # noqa: E402
from tests.fleets.faults import FAULTS, put_in  # noqa: E402
from tests.fleets.fleet import Fleet  # noqa: E402
from tests.fleets.story import KINDS, Setup, setup  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
FLEETS = 40


def fleets(*arguments, status=0):
    """What ``python -m tests.fleets`` says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fleets", "--jobs", "0", *arguments], cwd=ROOT,
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONHASHSEED": "0"},
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_the_first_fleets():
    assert f"{FLEETS} fleets of 5, 0 with a violation" in fleets("--seeds", f"0:{FLEETS}")


def test_a_fleet_is_the_same_every_time():
    said = [fleets("--seeds", "1:4").partition("digest ")[2] for _ in range(2)]
    assert said[0] == said[1]


@pytest.mark.parametrize("name", FAULTS)
def test_a_mistake_can_be_put_in_and_taken_away(name):
    codes = [function.__code__ for function, _, _ in FAULTS[name]]
    with put_in(name):
        assert all(f.__code__ is not c for (f, _, _), c in zip(FAULTS[name], codes, strict=True))
    assert [function.__code__ for function, _, _ in FAULTS[name]] == codes


QUICK = ("a batch deleted before it is booked", "a batch deleted while a failure of it waits",
         "evidence of an earlier term counted",
         "a word that may not have been heard is not said again",
         "who is asked waits until slow requests are told",
         "workers are told that control lives while nobody leads",
         "whatever a router says is taken for a leader's word",
         "a table of who does not lead accepted")  # fmt: skip


def test_mistakes_are_found():
    said = fleets("--faults", ",".join(QUICK), "--within", "20")
    assert "NOBODY" not in said


def test_every_kind_of_event_happens_within_the_first_fleets():
    assert {kind for seed in range(100) for _, kind, _ in setup(seed, 5).events} == set(KINDS)


def test_a_router_whose_clock_went_back_takes_its_name_again_and_is_counted():
    back, killed = {"number": 1, "step_s": -86_400.0}, {"who": "one", "number": 1}
    events = ((0.8, "skew", back), (1.0, "kill", killed | {"after": 1, "whole": True}))
    story = Setup(2, 3.0, rate=8.0, failing=1.0, stable_failing=0.0, hold="1h", events=events)
    with seams.installed():
        fleet = Fleet(3, story=story)
        out = fleet.live()
        assert (out.violations, out.facts["leaders"]) == ([], 1), "the other one was killed"
        plane = fleet.leader().plane
        (worker,) = plane.fleet._others["r1"].workers
        assert plane.reporters.source(worker.who) is not None
