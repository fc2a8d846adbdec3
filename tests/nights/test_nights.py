"""Nights and stories; the same night twice; mistakes of the past are found; a failure shrinks."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from router.control.state import layout
from router.control.state.sqlite import SqliteStore
from tests.nights import disk, policies, seams
from tests.nights.checks import NAMES
from tests.nights.events import KINDS
from tests.nights.faults import FAULTS, put_back
from tests.nights.night import Night, setup
from tests.nights.shrink import command, shrunk, violates
from tests.nights.stories import STORIES

ROOT = Path(__file__).resolve().parents[2]
NIGHTS = 300


@pytest.fixture(autouse=True)
def _installed():
    with seams.installed():
        yield


def nights(*arguments):
    """What ``python -m tests.nights`` says: sets have the same order there every time."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.nights", *arguments], cwd=ROOT, capture_output=True,
        text=True, check=False, env=os.environ | {"PYTHONHASHSEED": "0"}, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(620)
def test_the_first_nights_and_those_that_once_failed():
    said = nights("--seeds", f"0:{NIGHTS}", "--stories")
    assert f"{NIGHTS} nights, 0 with a violation" in said
    assert f"{len(STORIES)} stories, 0 with a violation" in said


@pytest.mark.slow
def test_a_night_is_the_same_every_time():
    said = [nights("--seeds", "2:5", "--jobs", str(jobs)) for jobs in (0, 2)]
    digests = {one.partition("digest ")[2].split()[0] for one in said}
    assert len(digests) == 1
    assert len({Night(seed).live().digest for seed in (2, 3, 4)}) == 3


@pytest.mark.parametrize("name", FAULTS)
def test_a_mistake_of_the_past_can_be_put_back_and_taken_away(name):
    codes = [function.__code__ for function, _, _ in FAULTS[name]]
    with put_back(name):
        assert all(f.__code__ is not c for (f, _, _), c in zip(FAULTS[name], codes, strict=True))
    assert [function.__code__ for function, _, _ in FAULTS[name]] == codes


QUICK = {
    "the never-answered order": 20, "the freed slot": 40, "the clock read twice": 40,
    "an evidence batch counted twice": 40,
}  # fmt: skip
"""Found within a few nights; the table of all is `python -m tests.nights --faults`."""


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_mistake_is_found(name):
    with put_back(name):
        assert any(Night(seed).live().violations for seed in range(QUICK[name]))


@pytest.mark.slow
def test_a_failing_night_becomes_small():
    with put_back("the freed slot"):
        seed, name = next(
            (seed, out.violations[0][0])
            for seed in range(60)
            if (out := Night(seed).live()).violations
        )
        kept = shrunk(seed, name)
        assert violates(seed, kept, name)
        assert len(kept) <= 2
        assert f"--seed {seed}" in command(seed, kept)


def test_every_kind_of_event_happens_within_the_first_nights():
    drawn = {kind for seed in range(300) for _, kind, _ in setup(seed).events}
    assert drawn == set(KINDS)


def test_most_edits_are_accepted_and_some_are_not():
    accepted = refused = 0
    for number in range(0, len(policies.EDITS), 2):
        try:
            policies.load(policies.text_of(policies.edited(policies.base(1), number)))
            accepted += 1
        except seams.PolicyError:
            refused += 1
    assert accepted > 30
    assert refused > 15


def test_every_key_of_a_policy_is_edited():
    told = json.dumps(policies.EDITS, default=str)
    known = {name for text in told.split('"') for name in text.split(".")}
    schema = json.loads((ROOT / "schemas/policy.schema.json").read_text())
    assert sorted(set(keys_of(schema)) - known) == []


def keys_of(schema):
    for name, inner in schema.items() if isinstance(schema, dict) else ():
        if name == "properties":
            yield from inner
        yield from keys_of(inner)
    for inner in schema if isinstance(schema, list) else ():
        yield from keys_of(inner)


def test_violations_have_names_of_their_own():
    assert len(set(NAMES)) == len(NAMES)
    with pytest.raises(AssertionError):
        Night(1).checks.fail("no such name", "")


def test_the_disk_of_the_nights_is_that_of_a_real_file(tmp_path, monkeypatch):
    """All transactions of a night, once more into a real store: it then holds the same."""
    changes = []
    write = SqliteStore._write

    def noted(self, db, *together):
        write(self, db, *together)
        changes.extend(together)

    monkeypatch.setattr(SqliteStore, "_write", noted)
    night = Night(2)
    assert not night.live().violations
    with contextlib.closing(disk.sqlite3.connect(":memory:")) as db:
        db.deserialize(night.disk.images[-1])
        simulated = layout.loaded(db)
    monkeypatch.undo()
    assert len(changes) > 5
    assert really_written(tmp_path / "real.db", changes) == simulated


def really_written(path, changes):
    """What a store in a real file holds after these transactions."""
    store = SqliteStore(path)
    store._hold.take_now()
    with contextlib.closing(disk.sqlite3.connect(path, isolation_level=None)) as db:
        layout.created(db)
        for change in changes:
            store._write(db, change)
        return layout.loaded(db)
