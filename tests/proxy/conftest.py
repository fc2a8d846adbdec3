"""Every exchange of these tests is watched: it may only take steps that the table has."""

from __future__ import annotations

from inspect import ismemberdescriptor

import pytest

from router.proxy.exchange import Exchange
from router.proxy.stage import STEPS


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    """(before, after) of every step in this test, compared with the table when it ends."""
    steps = []
    slot = Exchange.__dict__["stage"]
    if not ismemberdescriptor(slot):  # compiled: slots of such a class cannot be watched
        yield steps
        return

    def move(exchange, stage):
        if hasattr(exchange, "arrived"):
            steps.append((slot.__get__(exchange), stage))
        slot.__set__(exchange, stage)

    monkeypatch.setattr(Exchange, "stage", property(slot.__get__, move))
    yield steps
    assert [f"{a.name} -> {b.name}" for a, b in steps if b not in STEPS[a]] == []
