"""How often drift is named right: seeded streams of each kind through the product's own core.

python -m tests.bench.drift [--seeds 50] [--jobs 2]
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor

from router.core.monitors.alarm import AlarmCause, Course
from tests.core.monitors.streams import CHANGE, DAYS, day_of, run

GOAL = 45


def right(kind, news):
    """Whether a stream's change was named for what it was, and nothing else was said of it."""
    inputs = [alarm for alarm in news if alarm.signal == "amount"]
    early = [alarm for alarm in news if day_of(alarm) < CHANGE]
    others = [alarm for alarm in news if alarm.signal in ("carrier", "age")]
    names = [(alarm.cause, alarm.course, alarm.until is not None) for alarm in inputs]
    if kind == "weekly":
        return all(day_of(alarm) < 14 for alarm in news)
    if kind in ("stationary", "dependent"):
        return not news
    if kind == "training":
        return bool(names) and names[0] == (AlarmCause.REFERENCE, Course.FROM_THE_START, False)
    wanted = {
        "step": [(AlarmCause.DATA, Course.SUDDEN, False)],
        "ramp": [(AlarmCause.DATA, Course.GRADUAL, False)],
        "pulse": [
            (AlarmCause.DATA, Course.SUDDEN, False),
            (AlarmCause.DATA, Course.TEMPORARY, True),
        ],
    }[kind]
    checks = {alarm.check for alarm in inputs}
    return names == wanted and checks == {"distribution"} and not early and not others


def one(about):
    kind, seed = about
    _, news = run(kind, seed)
    return kind, seed, right(kind, news), [day_of(alarm) for alarm in news[:1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=list(DAYS))
    asked = parser.parse_args()
    began = time.perf_counter()
    work = [(kind, seed) for kind in asked.kinds for seed in range(asked.seeds)]
    found = {kind: [] for kind in asked.kinds}
    with ProcessPoolExecutor(asked.jobs) as pool:
        for kind, seed, good, days in pool.map(one, work, chunksize=5):
            found[kind].append((seed, good, days))
    print(f"{'stream':<12}{'named right':>14}{'first alarm, median day':>26}   wrong seeds")
    failed = False
    for kind, results in found.items():
        good = sum(ok for _, ok, _ in results)
        days = sorted(day for _, _, days in results for day in days)
        middle = f"{days[len(days) // 2]:.2f}" if days else "-"
        wrong = [seed for seed, ok, _ in results if not ok]
        failed |= good * 50 < GOAL * len(results)
        print(f"{kind:<12}{good:>8} of {len(results):<3}{middle:>26}   {wrong or ''}")
    print(f"{time.perf_counter() - began:.0f} s; the change is on day {CHANGE}")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
