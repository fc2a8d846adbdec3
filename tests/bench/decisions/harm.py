"""Users harmed by a candidate that turns bad after five minutes; a good one's time to promotion.

In whichever tree `router` is imported from, so that two of them can be compared by the same seeds:

    git worktree add /tmp/before feb6321
    PYTHONPATH=/tmp/before python tests/bench/decisions/harm.py [RUNS]
    PYTHONPATH=. python tests/bench/decisions/harm.py [RUNS]
"""

import dataclasses
import math
import statistics
import sys

from router.core.gates import GATES
from router.core.judge import JudgeSettings
from router.core.policy import RolloutPolicy
from router.simulation.run import Setup, run_once
from router.simulation.scenario import Scenario

POLICY = {
    "candidate": "v2",
    "strategy": {
        "canary": {
            "steps": [{"weight": "5%", "hold": "5m"}, {"weight": "50%", "hold": "10m"}],
            "bake": "10m",
        }
    },
}


def kl(p, q):
    """Nats by which an outcome of rate ``p`` speaks against the rate ``q``, in the mean."""
    return sum(a * math.log(a / b) for a, b in ((p, q), (1.0 - p, 1.0 - q)) if a > 0.0)


def least(rate, stable=0.01, share=0.05):
    """Bad answers that no rule of this kind can do without, were it told both rates.

    Until an alarm that a good candidate raises once in a thousand requests (Lorden 1971), and from
    then on at the braked share until a verdict at 1 % (Wald 1945); stable's rate may be another.
    """
    until_alarm = rate * math.log(1_000.0) / kl(rate, 1.1 * stable + 0.001)
    others = (stable * (1.0 + step / 200.0) for step in range(-199, 10_000))
    nats = min(share * kl(rate, 1.1 * q + 0.001) + (1.0 - share) * kl(stable, q)
               for q in others if 1.1 * q + 0.001 < 1.0)  # fmt: skip
    return until_alarm + share * rate * math.log(100.0) / nats


def constant(weight_bp):
    gates = [GATES[name]() for name in ("error_rate", "guard")]
    return Setup.constant(weight_bp, gates, JudgeSettings(no_data_after_s=1e12))


def unasked():
    setup = Setup.of(RolloutPolicy.model_validate(POLICY))
    names = {field.name for field in dataclasses.fields(setup)}
    return dataclasses.replace(setup, detect=None) if "detect" in names else setup


def main(runs):
    """Print both."""
    for weight_bp in (1_000, 2_500, 5_000):
        for rate in (1.0, 0.2, 0.05, 0.02):
            world = Scenario(candidate_rate=rate, change_at_s=300.0, duration_s=86_400.0)
            found = [run_once(constant(weight_bp), world, seed) for seed in range(700, 700 + runs)]
            back = [run for run in found if run.outcome == "rolled back" and run.at_s >= 300.0]
            bad = statistics.mean(run.bad_since for run in back)
            what = f"mean {bad:.1f} bad answers (no less than {least(rate):.1f})"
            where = f"{weight_bp / 100:g} %, fails {rate:.0%}"
            print(f"{where}: {what}, {len(back)} of {runs}", flush=True)
    found = [run_once(unasked(), Scenario(), seed) for seed in range(800, 800 + runs)]
    took = [run.at_s for run in found if run.outcome == "promoted"]
    print(f"promoted {len(took)} of {runs}: mean {statistics.mean(took):.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
