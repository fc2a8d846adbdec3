"""The verdict in one word, from what a rollout is and what its gates say."""

import pytest

from router.control.told.verdict import CONFIRMS, verdict_of
from tests.cli.told import gate, rollout

PASS, LACKS, FAIL = gate(name="a"), gate(name="b", lacks="b has 4 of 55"), {"verdict": "fail"}
GOES = {
    "pass": {"confirm-rollout", "confirm-traffic-increase", "confirm-promotion"},
    "fail": {"confirm-rollback"},
}


@pytest.mark.parametrize(
    ("more", "gates", "word"),
    [
        ({}, [PASS], "pass"),
        ({}, [], "pending"),
        ({}, [PASS, LACKS], "pending"),
        ({}, [PASS, gate(name="c", verdict="inconclusive")], "inconclusive"),
        ({}, [PASS, gate(name="c", verdict="error")], "error"),
        ({}, [PASS, gate(name="c", **FAIL)], "fail"),
        ({}, [PASS, gate(name="c", **FAIL, dry_run=True)], "pass"),
        ({"action": "hold"}, [PASS], "pending"),
        ({"action": "rollback"}, [PASS], "fail"),
        ({"phase": "rolled_back", "action": None}, [PASS], "fail"),
        ({"phase": "aborted", "action": None}, [PASS], "fail"),
        ({"phase": "completed", "action": None}, [LACKS], "pass"),
    ],
)
def test_the_worst_gate_wins_unless_it_has_ended(more, gates, word):
    said = verdict_of(rollout(gates=gates, **more))
    assert (said.verdict, said.success, said.failure) == (word, word == "pass", word == "fail")
    going = {point for point, (_, goes) in CONFIRMS.items() if goes(said)}
    assert going == GOES.get(word, {"confirm-rollout"})
