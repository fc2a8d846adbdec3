"""A million labels, see :mod:`tests.log.million`."""

import pytest

from tests.log.million import run

pytestmark = [pytest.mark.log, pytest.mark.timeout(900)]


def test_a_million_labels_are_joined_right_once_in_bounded_memory():
    count = 1_000_000
    found = run(count)
    print(found)
    assert (found["right"], found["wrong"]) == (count, 0)
    assert found["taken"] == {
        "waiting": count // 2, "joined": count // 2, "duplicate": count // 10,
    }  # fmt: skip
    assert found["held"]["waiting"] == 0
    assert found["peak_mb"] < 400
