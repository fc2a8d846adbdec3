"""Seeded streams of requests whose data change in one known way, fed to the product's own core."""

import math
import random

from router.core.monitors.monitors import Monitors, Settings
from router.core.monitors.profile import profiled
from router.core.monitors.settings import Tolerances

HOUR = 3_600.0
DAY = 24 * HOUR
BEGIN = 1_700_000_000.0 // HOUR * HOUR
FEATURES = (("amount", "numeric"), ("carrier", "categorical"), ("age", "numeric"))
CHANGE = 20
"""Day of the change."""

DAYS = {
    "step": 30, "ramp": 55, "pulse": 34, "weekly": 42, "training": 4, "stationary": 30,
    "dependent": 30,
}  # fmt: skip
"""Kinds of streams, with the days that are looked at."""


def shift(kind, day):
    """By how many standard deviations the amount has moved."""
    if kind == "step":
        return float(day >= CHANGE)
    if kind == "ramp":
        return min(max(day - CHANGE, 0.0) / 30.0, 1.0)
    if kind == "pulse":
        return float(CHANGE <= day < CHANGE + 3)
    if kind == "weekly":
        return float(int(day) % 7 in (5, 6))
    return 0.0


def row(draw, moved):
    carrier = draw.choices("abcd", (50, 30, 15, 5))[0]
    return {"amount": draw.gauss(moved, 1.0), "carrier": carrier, "age": draw.expovariate(0.1)}


DEPENDENT = tuple((f"f{k}", "numeric") for k in range(12))


def dependent_row(draw):
    """Twelve features that are nearly one: each two of them are correlated by 0.9."""
    common = draw.gauss(0.0, 0.9**0.5)
    return {name: common + draw.gauss(0.0, 0.1**0.5) for name, _ in DEPENDENT}


def reference(seed, moved):
    draw = random.Random(-seed)
    rows = [row(draw, moved) for _ in range(5_000)]
    return {name: profiled(kind, [one[name] for one in rows]) for name, kind in FEATURES}


def monitors(kind, seed):
    if kind == "training":
        return Monitors(
            Settings(FEATURES, ("score",), reference="training.csv"), reference(seed, 1.0)
        )
    features = DEPENDENT if kind == "dependent" else FEATURES
    return Monitors(Settings(features, ("score",), Tolerances()))


def run(kind, seed, *, per_hour=40, days=None, made=None):
    """The monitors at the end, and every alarm that began or ended, in order."""
    draw, one, news = random.Random(seed), made or monitors(kind, seed), []
    for hour in range((days or DAYS[kind]) * 24):
        moved = shift(kind, hour / 24)
        for k in range(per_hour):
            now = BEGIN + hour * HOUR + k * HOUR / per_hour
            asked = dependent_row(draw) if kind == "dependent" else row(draw, moved)
            amount = asked.get("amount", asked.get("f0"))
            score = 1.0 / (1.0 + math.exp(0.2 * amount + draw.gauss(0.0, 1.0)))
            one.observe([asked], [{"score": score}], now)
        news += one.tick(BEGIN + (hour + 1) * HOUR - 1.0)
    return one, news


def day_of(alarm):
    return (alarm.since - BEGIN) / DAY
