"""Real servers behind the router, with default settings and clients that send their keys.

    plain pass      status, fields and body are those of a direct call
    shadow, equal   60 of 60 pairs agree
    shadow, other   pairs with another model disagree
    canary, kill    50 %, then the candidate is killed: no client sees a failure

Run by ``make test-peers``, which installs the servers.
"""

from __future__ import annotations

import signal
import time

import pytest

from tests.peers.lab import START_S, Lab, difference
from tests.peers.setups import SETUPS

pytestmark = [pytest.mark.peers, pytest.mark.timeout(400)]
PAIRS = 60


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_a_server(setup, tmp_path):
    with Lab(setup, tmp_path) as lab:
        _plain_pass(lab)
        _shadows(lab)
        _canary_and_kill(lab)


def _plain_pass(lab):
    for ask in lab.setup.asks:
        direct = lab.ask(lab.at("a"), ask, "pass")
        routed = lab.ask(lab.port, ask, "pass")
        again = lab.ask(lab.at("a"), ask, "pass")
        changed = difference(direct, routed)
        if not difference(direct, again):
            assert not changed, (ask, changed)
        assert direct[0] == routed[0], (ask, direct, routed)


def _shadows(lab):
    setup = lab.setup
    assert lab.drive("equal", PAIRS) == {200: PAIRS}
    seen = lab.pairs("equal", "b", PAIRS)
    print(setup.name, "equal:", {k: seen.get(k) for k in ("pairs", "agreed", "unusable")})
    if setup.needs_key:
        assert (seen["unusable"], seen["agreed"], seen["failed"]) == (PAIRS, 0, 0), seen
        assert lab.drive("kept", PAIRS) == {200: PAIRS}
        seen = lab.pairs("kept", "b", PAIRS)
    assert (seen["pairs"], seen["agreed"]) == (PAIRS, PAIRS), seen
    assert lab.api("/api/v1/rollouts/equal")["phase"] == "progressing"

    assert lab.drive("other", PAIRS) == {200: PAIRS}
    seen = lab.pairs("other", "c", PAIRS)
    print(setup.name, "other:", {k: seen.get(k) for k in ("pairs", "disagreed", "unusable")})
    assert seen["pairs"] == PAIRS, seen
    assert seen["disagreed"] >= setup.differs, seen


def _canary_and_kill(lab):
    assert lab.drive("canary", 120) == {200: 120}
    status = lab.api("/api/v1/rollouts/canary")
    assert status["phase"] == "progressing", status["reason"]
    lab.stop("b", signal.SIGKILL)
    deadline = time.monotonic() + START_S
    while status["phase"] != "rolled_back" and time.monotonic() < deadline:
        # half of them, then the tenth of a trial: the coin may take its time
        assert lab.drive("canary", PAIRS) == {200: PAIRS}
        status = lab.api("/api/v1/rollouts/canary")
    print(lab.setup.name, "killed:", status["phase"], status["line"])
    assert status["phase"] == "rolled_back", status
