"""Users harmed by a candidate that turns bad after five minutes; a good one's time to promotion.

In whichever tree `router` is imported from, so that two of them can be compared by the same seeds:

    git worktree add /tmp/before feb6321
    PYTHONPATH=/tmp/before python tests/bench/decisions/harm.py [RUNS]
    PYTHONPATH=. python tests/bench/decisions/harm.py [RUNS]
"""

import dataclasses
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
            print(f"{weight_bp / 100:g} %, fails {rate:.0%}: mean {bad:.1f} bad answers, "
                  f"{len(back)} of {runs}", flush=True)  # fmt: skip
    found = [run_once(unasked(), Scenario(), seed) for seed in range(800, 800 + runs)]
    took = [run.at_s for run in found if run.outcome == "promoted"]
    print(f"promoted {len(took)} of {runs}: mean {statistics.mean(took):.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
