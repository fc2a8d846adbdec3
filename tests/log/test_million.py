"""Labels in any order, see :mod:`tests.log.million`: a tenth of the million; at night all of it."""

import ast
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.xdist_group("million"), pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("count", "most_mb"),
    [
        pytest.param(100_000, 200, marks=pytest.mark.log),
        pytest.param(1_000_000, 300, marks=pytest.mark.nightly),
    ],
)
def test_labels_are_joined_right_once_in_bounded_memory(count, most_mb):
    """In a process of its own: the memory is that of nothing else."""
    command = [sys.executable, "-m", "tests.log.million", str(count)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    print(said.stdout)
    found = ast.literal_eval(said.stdout)
    assert (found["right"], found["wrong"]) == (count, 0)
    assert found["taken"] == {
        "waiting": count // 2, "joined": count // 2, "duplicate": count // 10,
    }  # fmt: skip
    assert found["held"]["waiting"] == 0
    assert found["peak_mb"] < most_mb
