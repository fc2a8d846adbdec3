"""What an edit changes, in sentences."""

import pytest

from router.config import loads
from router.config.diff import CHANGES_MAX, consequences, diff

POLICY = """admin:
  tokens: [{name: ci, role: operator, token: sixteen-characters-1}]
routes:
  - name: flights
    versions:
      v1: {endpoints: [http://127.0.0.1:9001]}
      v2: {endpoints: [http://127.0.0.1:9002]}
      v3: {endpoints: [http://127.0.0.1:9004]}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 5%, hold: 60s}, {weight: 25%, hold: 5m}], bake: 0s}}
      gates: [error_rate, guard: {error_rate: 5%}]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("25%", "50%", ["flights: canary step 2 weight: 25% -> 50%"]),
        ("hold: 60s", "hold: 2m", ["flights: canary step 1 hold: 1m -> 2m"]),
        ("bake: 0s", "bake: 1h", ["flights: canary bake: 0s -> 1h"]),
        ("stable: v1", "stable: v3", ["flights: stable: v1 -> v3"]),
        (", guard: {error_rate: 5%}", "", ["flights: gate guard removed"]),
        ("{error_rate: 5%}", "{error_rate: 4%}", ["flights: gate guard error_rate: 5% -> 4%"]),
        (
            "9002]}\n",
            "9002]}\n      v4: {endpoints: [http://127.0.0.1:9003]}\n",
            ["flights: version v4 added"],
        ),
        (", {weight: 25%, hold: 5m}", "", ["flights: canary step 2 removed"]),
        ("characters-1", "characters-2", ["admin tokens ci token: (secret) -> (secret)"]),
        ("role: operator", "role: viewer", ["admin tokens ci role: operator -> viewer"]),
        ("admin:", "listen: 127.0.0.1:1\nadmin:", ["listen: 127.0.0.1:8080 -> 127.0.0.1:1"]),
        ("9001]", "9001, http://127.0.0.1:9009]",
         [("flights: version v1 endpoints: [http://127.0.0.1:9001] -> "
           "[http://127.0.0.1:9001, http://127.0.0.1:9009]")]),
        ("hold: 60s", "hold: 1m", []),
        (", bake: 0s", "", []),
        ("stable: v1", "stable: v1 # comment", []),
        ("stable: v1", "pin: false\n    stable: v1", []),
    ],
)  # fmt: skip
def test_sentences(old, new, said):
    assert old in POLICY

    assert said == diff(loads(POLICY).policy, loads(POLICY.replace(old, new, 1)).policy)


def test_another_strategy():
    start = POLICY.index("strategy: ")
    end = POLICY.index("      gates")
    other = POLICY[:start] + "strategy: {shadow: {mirror: 5%, hold: 1h}}\n" + POLICY[end:]

    changes = diff(loads(POLICY).policy, loads(other).policy)

    assert changes == ["flights: shadow added", "flights: canary removed"]


def test_routes_come_and_go():
    name = loads(POLICY.replace("flights", "other")).policy

    assert diff(loads(POLICY).policy, name) == ["route other added", "route flights removed"]


def test_a_large_edit_is_cut():
    many = "".join(f"      w{i}: {{endpoints: [http://127.0.0.1:{i + 1}]}}\n" for i in range(25))
    before = loads(POLICY.replace("    stable: v1", many + "    stable: v1"))
    after = before.document.text.splitlines()
    settings = "], queue: 1, in_flight: 2, connections: 3, keep_alive: 9s, queue_timeout: 1ms}"
    text = "\n".join(
        line.replace("]}", settings) if line.startswith("      w") else line for line in after
    )

    changes = diff(before.policy, loads(text).policy)

    assert len(changes) == CHANGES_MAX + 1
    assert changes[-1] == "... and 25 more changes"


LIVE = """
routes:
  - name: r
    versions:
      v1: {endpoints: [http://127.0.0.1:9001]}
      v2: {endpoints: [http://127.0.0.1:9002]}
      v3: {endpoints: [http://127.0.0.1:9003]}
    stable: v1
    rollout:
      candidate: v2
      strategy: {canary: {steps: [{weight: 5%, hold: 1m}], bake: 1m}}
"""


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ((":9002]", ":9002, http://127.0.0.1:9012]"), ""),
        ((":9002]", ":9012]"), "begins anew: all its endpoints changed"),
        (("v2: {", "v2: {model: '7', "), "begins anew: its model changed"),
        (("candidate: v2", "candidate: v3"), "goes on first; v3 waits for its end"),
        (
            ("candidate: v2", "on_new_candidate: replace\n      candidate: v3"),
            "is given up; v3 takes its place",
        ),
        (("weight: 5%", "weight: 6%"), "keeps the plan it began with"),
        (("name: r", "name: q\n    formerly: r"), "q: goes on with the record of r"),
        (("name: r", "name: q"), ""),
    ],
)
def test_what_an_edit_does_to_rollouts_is_said(edit, said):
    found = consequences(loads(LIVE).policy, loads(LIVE.replace(*edit)).policy)
    assert len(found) == bool(said)
    assert said in "".join(found)


def test_taking_the_rollout_out_ends_it():
    without = loads(LIVE[: LIVE.index("    rollout:")]).policy
    (told,) = consequences(loads(LIVE).policy, without)
    assert told == "r: a live rollout of v2 ends: the policy has it no more"
    assert consequences(without, loads(LIVE).policy) == []
