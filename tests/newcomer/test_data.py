"""docs/how-to/watch-your-data.md typed from nothing, as printed: one's own model, plain JSON."""

import re

import pytest

from tests.newcomer.conftest import BLOCK, ROOT, TYPED_S_MAX, pasted, typed

pytestmark = [pytest.mark.newcomer, pytest.mark.timeout(TYPED_S_MAX + 60)]

PAGE = (ROOT / "docs/how-to/watch-your-data.md").read_text()
POLICY_LINES_MAX = 30


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each block printed."""
    out, code = typed(pasted(PAGE), tmp_path_factory.mktemp("data"))
    assert code in (0, 143), out[-3_000:]
    return re.split(r"--- block \d+\n", out)


def block(said, words):
    blocks = [text for _, text in BLOCK.findall(PAGE)]
    return said[1 + next(n for n, text in enumerate(blocks) if words in text)]


def test_the_policy_is_short():
    policy = next(text for _, text in BLOCK.findall(PAGE) if "cat > rampway.yaml" in text)
    lines = policy.partition("<<'END'\n")[2].partition("END\n")[0].splitlines()
    assert len(lines) <= POLICY_LINES_MAX


def test_what_is_as_before_is_shown_and_nothing_more(said):
    quiet = block(said, "ask.py 80 30")
    assert "rampway.yaml: ok" in block(said, "rampway check")
    assert re.search(r"area +requests +0\.0\d", quiet)
    assert "drift" not in quiet


def test_clients_that_change_hold_and_take_nobody_back(said):
    moved = block(said, "ask.py 130 20")
    assert re.search(r"data drift in area \(distribution, (sudden|gradual)\): PSI", moved)
    assert "waits for" in moved or "data drift in" in moved
    assert "rolled" not in moved.lower()


def test_a_person_may_accept_it(said):
    assert re.search(r"price: \d+ changes? accepted", block(said, "--accept"))


def test_a_candidate_that_alone_changes_is_taken_back(said):
    broken = block(said, "touch forgets")
    assert "rolled" in broken.lower()
    assert re.search(r"scores|candidate drift", broken)
