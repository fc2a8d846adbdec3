"""Small nights that once failed, spelled out: other draws leave them as they are.

`python -m tests.nights --seed N --keep A,B --story` prints one.
"""

from __future__ import annotations

from tests.nights.night import Setup

STORIES = {
    16: (
        "a candidate that hooks took back, orders in a burst, a retry",
        Setup(
            base=83,
            horizon_s=14.0,
            rate=2.0,
            clients=2,
            users=40,
            impatience=0.02,
            split=0.1,
            kernel=212992,
            bad=(9202, 0.05),
            manner="mixed",
            full_recording=0.01,
            events=(
                (1.1585274425860685, "outside", {"manner": "broken"}),
                (2.353572912361582, "reload", {"force": True, "way": "order"}),
                (
                    3.561168249824668,
                    "burst",
                    {"route": "a", "names": ["weight", "promote", "resume"], "number": 89},
                ),
                (
                    4.155558421489346,
                    "order",
                    {"route": "a", "name": "retry", "number": 205, "way": "plain"},
                ),
            ),
        ),
    ),
    54: (
        "a worker that took back alone gets an amendment before the whole table",
        Setup(
            base=3,
            horizon_s=6.0,
            rate=6.0,
            clients=4,
            users=40,
            impatience=0.3,
            split=0.0,
            kernel=212992,
            manner="mixed",
            events=(
                (1.0692602286142, "stuck_disk", {"for_s": 5.0}),
                (2.8281548447534237, "stop", {"who": "control", "number": 3, "for_s": 6.5}),
            ),
        ),
    ),
    87: (
        "a rollback that returns in steps overtakes a step up that is being written",
        Setup(
            base=88,
            horizon_s=6.0,
            rate=2.0,
            clients=2,
            users=0,
            impatience=0.02,
            split=0.6,
            kernel=4096,
            bad=(9102, 1.0),
            full_recording=0.01,
            events=(
                (
                    5.135456537348649,
                    "burst",
                    {"route": "b", "names": ["promote", "rollback"], "number": 931},
                ),
            ),
        ),
    ),
    243: (
        "the last member of a group is ready while the disk is stuck",
        Setup(
            base=79,
            horizon_s=14.0,
            rate=6.0,
            clients=2,
            users=40,
            impatience=0.3,
            split=0.0,
            kernel=4096,
            events=((5.4387556544420335, "stuck_disk", {"for_s": 14.0}),),
        ),
    ),
    317: (
        "killed with an edit that does not fit: starts that are refused, then one",
        Setup(
            base=85,
            horizon_s=14.0,
            rate=10.0,
            clients=4,
            users=0,
            impatience=0.3,
            split=0.6,
            kernel=212992,
            manner="no",
            full_recording=0.01,
            events=(
                (
                    3.1681188683765718,
                    "turn",
                    {"port": 9102, "rate": 0.4, "manners": ["slow"], "for_s": 2.0},
                ),
                (4.835460490899611, "rename", {"old": "v2", "new": "v7"}),
                (6.9674099717743445, "restore", {}),
                (10.201024114034965, "kill", {"who": "control", "number": 2, "after": 16}),
            ),
        ),
    ),
    525: (
        "blame that waits for its instance when its rollout ends",
        Setup(
            base=74,
            horizon_s=14.0,
            rate=6.0,
            clients=4,
            users=40,
            impatience=0.02,
            split=0.0,
            kernel=212992,
            bad=(9102, 1.0),
            events=(
                (
                    0.81597575963666,
                    "burst",
                    {"route": "b", "names": ["abort", "promote"], "number": 479},
                ),
                (1.0758721496474977, "clock", {"step_s": 30.0}),
                (
                    8.01317212573368,
                    "order",
                    {"route": "a", "name": "instant", "number": 294, "way": "plain"},
                ),
            ),
        ),
    ),
    656: (
        "a way back overtakes an order that is being written",
        Setup(
            base=95,
            horizon_s=14.0,
            rate=6.0,
            clients=4,
            users=0,
            impatience=0.0,
            split=0.0,
            kernel=212992,
            events=(
                (0.8519661989593441, "edit", {"numbers": [90]}),
                (
                    5.988147836432839,
                    "burst",
                    {"route": "a", "names": ["promote", "rollback", "rollback"], "number": 913},
                ),
            ),
        ),
    ),
    724: (
        "a retry that a router writes in its last moment, before it hands over",
        Setup(
            base=16,
            horizon_s=4.0,
            rate=2.0,
            clients=4,
            users=0,
            impatience=0.02,
            split=0.1,
            kernel=212992,
            full_recording=0.01,
            events=(
                (
                    2.658554835265421,
                    "burst",
                    {"route": "b", "names": ["force", "to"], "number": 321},
                ),
                (2.6741440019085987, "hand_over", {"late_s": 0.5}),
                (
                    3.1962008906415202,
                    "burst",
                    {"route": "a", "names": ["retry", "to", "full"], "number": 355},
                ),
            ),
        ),
    ),
    828: (
        "an edit makes a route sticky while its trial counts requests",
        Setup(
            base=57,
            horizon_s=14.0,
            rate=2.0,
            clients=2,
            users=0,
            impatience=0.0,
            split=0.1,
            kernel=4096,
            full_recording=0.01,
            events=(
                (
                    0.6157991740970357,
                    "order",
                    {"route": "a", "name": "promote", "number": 670, "way": "revision"},
                ),
                (4.15457339713117, "edit", {"numbers": [50, 36]}),
            ),
        ),
    ),
    2525: (
        "a successor is told to stop while it waits, then the old one is killed",
        Setup(
            base=9,
            horizon_s=4.0,
            rate=6.0,
            clients=4,
            users=0,
            impatience=0.3,
            split=0.6,
            kernel=4096,
            events=(
                (2.632810722991736, "hand_over", {"late_s": 0.5}),
                (2.9394638964743245, "terminate", {"number": 1, "for_s": 1.0}),
                (3.038467023206612, "kill", {"who": "control", "number": 0, "after": 15}),
            ),
        ),
    ),
    220: (
        "one arm of an experiment gets more although all together get less",
        Setup(
            base=154,
            horizon_s=8.0,
            rate=10.0,
            clients=2,
            users=40,
            impatience=0.02,
            split=0.1,
            kernel=212992,
            bad=(9101, 1.0),
            manner="yes",
            full_recording=0.0,
            events=(
                (0.6118, "freeze", {"frozen": False, "route": "", "lasting": None}),
                (2.6643762359845224, "label", {"number": 7}),
            ),
        ),
    ),
    741: (
        "a disk takes a step late, and meanwhile sticky was edited",
        Setup(
            base=24,
            horizon_s=6.0,
            rate=10.0,
            clients=2,
            users=40,
            impatience=0.3,
            split=0.0,
            kernel=4096,
            bad=(),
            manner="yes",
            full_recording=0.0,
            events=(
                (4.310498380686882, "disk", {"fault": "late_error", "rate": 1.0, "for_s": 8.0}),
                (5.84085913201569, "edit", {"numbers": [49]}),
            ),
        ),
    ),
    4136: (
        "an order that failed is on the disk all the same",
        Setup(
            base=51,
            horizon_s=14.0,
            rate=2.0,
            clients=2,
            users=0,
            impatience=0.0,
            split=0.1,
            kernel=212992,
            bad=(9101, 0.05),
            manner="slow",
            full_recording=0.0,
            events=(
                (7.002627030801764, "disk", {"fault": "late_error", "rate": 1.0, "for_s": 3.0}),
                (
                    9.829295147260526,
                    "burst",
                    {"route": "b", "names": ["lift", "pause", "pause"], "number": 258},
                ),
            ),
        ),
    ),
    5342: (
        "a model goes back to one that was taken back, in mid-rollout",
        Setup(
            base=114,
            horizon_s=8.0,
            rate=2.0,
            clients=4,
            users=40,
            impatience=0.02,
            split=0.6,
            kernel=4096,
            bad=(9101, 0.05),
            manner="mixed",
            full_recording=0.0,
            events=(
                (
                    1.1008954031385274,
                    "order",
                    {"route": "a", "name": "to", "number": 110, "way": "key"},
                ),
                (2.931700527051704, "edit", {"numbers": [73]}),
                (5.381047476054531, "rename", {"old": "v2", "new": "v7"}),
            ),
        ),
    ),
    27: (
        "what is written again waits for the disk without turning",
        Setup(
            base=60,
            horizon_s=8.0,
            rate=10.0,
            clients=2,
            users=5,
            impatience=0.02,
            split=0.6,
            kernel=212992,
            bad=(),
            manner="yes",
            full_recording=0.0,
            events=(
                (1.2238000783243737, "disk", {"fault": "io", "rate": 1.0, "for_s": 8.0}),
                (
                    7.489700557847988,
                    "order",
                    {"route": "b", "name": "retry", "number": 478, "way": "plain"},
                ),
            ),
        ),
    ),
}
"""Seed -> (what it is about, its night)."""
