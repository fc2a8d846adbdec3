"""A short run of what is said to the decider; the long ones are ``make test-fuzz``."""

import asyncio
import random
import time

import pytest

from router.control.fleet.feedback import Feedback
from router.loops import BOOKS
from tests.fuzz import decider_fuzz


@pytest.fixture
def untimed(monkeypatch):
    monkeypatch.setattr(decider_fuzz, "TURN_S_MAX", float("inf"))  # no times in tests
    monkeypatch.setattr(decider_fuzz.Line, "PATIENCE_S", 0.05)


@pytest.mark.parametrize("kind", decider_fuzz.KINDS)
async def test_nothing_said_to_it_ends_a_loop(untimed, kind, capsys):
    BOOKS.failures.clear()
    seed = random.randrange(10**6)
    each = 400 if kind in ("labels", "answers", "samples", "edits") else 150
    assert await decider_fuzz.run([kind], each, seed), capsys.readouterr().out
    assert f"{kind} " in capsys.readouterr().out


async def test_a_long_turn_is_found_with_its_input(monkeypatch, capsys):
    tell = Feedback.tell

    async def slow(self, given):
        until = time.process_time() + 3 * decider_fuzz.TURN_S_MAX
        while time.process_time() < until:
            pass
        return await tell(self, given)

    monkeypatch.setattr(Feedback, "tell", slow)
    assert not await decider_fuzz.run(["labels"], 60, 1)
    assert "longest during b'POST /api/v1/feedback" in capsys.readouterr().out


async def test_a_bug_in_what_takes_labels_is_found(untimed, monkeypatch):
    monkeypatch.setattr(Feedback, "tell", lambda _self, _given: 1 / 0)
    with pytest.raises(AssertionError, match="500: b'POST /api/v1/feedback"):
        await decider_fuzz.run(["labels"], 400, 1)


def test_the_command_ends_with_1_where_the_bound_does_not_hold(monkeypatch, capsys):
    monkeypatch.setattr(decider_fuzz, "TURN_S_MAX", -1.0)
    assert decider_fuzz.main(["--each", "20", "--kinds", "edits"]) == 1
    assert "beyond" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
