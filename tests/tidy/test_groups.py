"""Each test of a group is where its make target looks for it, and `.ci/run` runs the target."""

import re
from pathlib import Path

import pytest

from tests.conftest import GROUPS

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGET = re.compile(r"^([a-z-]+):")
RUN = re.compile(r"-m pytest (.*?) -m (\w+|\"[\w ]+\") ")
MARKS = re.compile(r"pytest\.mark\.([a-z]+)\b")
BY_HAND = {"nightly"}
"""What is too long for `.ci/run`."""


def recorded():
    """Files of the variable that two targets share."""
    (names,) = re.findall(r"RECORDED := \$\(addprefix tests/live/,(.*?)\)", MAKEFILE)
    return [f"tests/live/{name}" for name in names.split()]


def collected():
    """Group -> the folders and files that its targets name."""
    found, target = {}, ""
    for line in MAKEFILE.splitlines():
        if begun := TARGET.match(line):
            target = begun[1]
        if run := RUN.search(line):
            paths = run[1].replace("$(RECORDED)", " ".join(recorded())).split()
            for group in run[2].strip('"').split(" or "):
                found.setdefault(group, {})[target] = [p for p in paths if p.startswith("tests")]
    return found


@pytest.mark.parametrize("group", sorted(GROUPS.keys() - BY_HAND))
def test_a_target_collects_every_test_of_its_group(group):
    targets = collected()[group]
    run = (ROOT / ".ci/run").read_text()
    assert all(f"make {target}" in run for target in targets)
    paths = [ROOT / path for one in targets.values() for path in one]
    left = [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if group in MARKS.findall(file.read_text())
        and not any(path == file or path in file.parents for path in paths)
    ]
    assert left == [], f"nobody runs them: make {'/'.join(targets)} collects {paths}"
