"""Some fleets; the same one twice; mistakes are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fleet

pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")

from tests.fleets.faults import FAULTS, put_in  # noqa: E402
from tests.fleets.story import KINDS, setup  # noqa: E402

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
         "who is asked waits until slow requests are told")  # fmt: skip


def test_mistakes_are_found():
    said = fleets("--faults", ",".join(QUICK), "--within", "10")
    assert "NOBODY" not in said


def test_every_kind_of_event_happens_within_the_first_fleets():
    assert {kind for seed in range(100) for _, kind, _ in setup(seed, 5).events} == set(KINDS)
