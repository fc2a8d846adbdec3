"""docs/quickstart.md typed from nothing, as printed, by somebody with only the system's Python."""

import re

import pytest

from tests.newcomer.conftest import BLOCK, PAGE, TYPED_S_MAX

pytestmark = [pytest.mark.newcomer, pytest.mark.timeout(TYPED_S_MAX + 60)]


def block(said, words):
    """What the block that has these words printed."""
    blocks = [text for _, text in BLOCK.findall(PAGE)]
    return said[1 + next(n for n, text in enumerate(blocks) if words in text)]


def test_init_and_check_are_content(said):
    assert "wrote rampway.yaml" in block(said, "rampway init")
    assert "rampway.yaml: ok" in block(said, "rampway check")


def test_every_request_is_answered(said):
    assert re.search(r"^ *400 200$", block(said, "seq 400"), re.MULTILINE)
    assert '{"minutes":19.0}' in block(said, "seq 400")


def test_it_can_be_watched(said):
    watched = block(said, "rampway get")
    assert "Progressing" in watched
    assert "100 % agree" in watched


def test_the_broken_version_is_taken_back_and_no_client_sees_it(said):
    broken = block(said, "BROKEN=yes")
    assert re.search(r"^ *1000 200$", broken, re.MULTILINE)
    assert "rolled_back" in broken
