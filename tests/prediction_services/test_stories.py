"""Each story as somebody types it: it ends well, and says what happened."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prediction_services.stories import TITLES
from prediction_services.stories.command import PLAYS
from tests.models_cache import models_cache

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
SAYS = {
    "automation": "at partial v3 answers",
    "table": "clients have v2's answers alone",
    "cache": "are v3's",
    "score": "rampway score --to broken-zero: fail",
    "set": "v2, behind the same address, answers everything",
}


@pytest.mark.timeout(150)
@pytest.mark.parametrize("name", TITLES)
def test_a_story_ends_well(tmp_path, name):
    done = subprocess.run(
        [sys.executable, "-m", "prediction_services", "story", name, "--cache",
         str(models_cache())],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=140,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert SAYS[name] in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_story_has_a_play():
    assert PLAYS.keys() == TITLES.keys() == SAYS.keys()
