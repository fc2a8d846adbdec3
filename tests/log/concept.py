"""Labels until concept drift is named: what is right changes on a day, what is asked does not.

``python -m tests.log.concept [SEEDS]``. Stable is wrong in 10.4 % (the demonstration's v2 on the
flights) and from day 20 on in as much as each kind says; 40 requests and labels an hour.
"""

import random
import statistics
import sys

from router.core.monitors.alarm import AlarmCause
from tests.core.monitors.streams import BEGIN, CHANGE, HOUR, monitors, row

PER_HOUR = 40
DAYS = 26
WRONG = 0.104
KINDS = {
    "one in ten labels turns": 0.183,
    "one in five": 0.262,
    "a class swaps": 0.45,
    "none": WRONG,
}
"""Share that is wrong afterwards: of turned labels those that were wrong are right."""


def labels_until(wrong, seed):
    """(labels after the change, or None; other alarms) of one stream."""
    draw, one = random.Random(seed), monitors("stationary", seed)
    told, others = 0, 0
    for hour in range(DAYS * 24):
        changed = hour >= CHANGE * 24
        for k in range(PER_HOUR):
            now = BEGIN + hour * HOUR + k * HOUR / PER_HOUR
            one.observe([row(draw, 0.0)], [{"score": draw.random()}], now)
            is_wrong = draw.random() < (wrong if changed else WRONG)
            one.labelled(int(not is_wrong), int(is_wrong), now)
            told += changed
        for alarm in one.tick(BEGIN + (hour + 1) * HOUR - 1.0):
            if changed and alarm.cause is AlarmCause.CONCEPT:
                return told, others
            others += 1
    return None, others


def run(kind, seeds):
    """Median labels, how many streams were named, and alarms of anything else."""
    found = [labels_until(KINDS[kind], seed) for seed in range(seeds)]
    named = [labels for labels, _ in found if labels is not None]
    return {
        "median": statistics.median(named) if named else None, "most": max(named, default=None),
        "named": len(named), "of": seeds, "others": sum(others for _, others in found),
    }  # fmt: skip


if __name__ == "__main__":
    for kind in KINDS:
        print(kind, run(kind, int(sys.argv[1]) if len(sys.argv) > 1 else 20), flush=True)
