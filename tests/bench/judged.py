"""What a judge outside convicts, and how soon: seeded verdicts through the product's own judge.

    python -m tests.bench.judged [--runs 500]

Each run is one candidate that a judge of a stated taste is asked about, up to so many verdicts, one
at a time, with a look after each; which answer stands first is drawn by a fair coin.
"""

from __future__ import annotations

import argparse
import random
import statistics
from dataclasses import dataclass

from router.core.gates.judge import JudgeGate
from router.core.gates.sample import Detect
from router.core.judge import Judge, JudgeSettings
from router.core.wire.baseline import Baseline
from router.core.wire.judged import JudgedPair
from router.core.wire.outcomes import Batch

MOST = 1_000
"""Verdicts of a run."""


@dataclass(frozen=True)
class Taste:
    """How a judge decides."""

    name: str
    worse: float = 0.5
    """How often it calls the candidate's the worse one, where it judges answers."""
    ties: float = 0.0
    place: float = 0.0
    """How often it looks at the place alone, and says first."""
    score: bool = False
    """It says how much."""

    def said(self, draw: random.Random) -> JudgedPair:
        """One verdict."""
        first = draw.random() < 0.5  # the candidate's stands first
        if draw.random() < self.ties:
            return JudgedPair("judge", 0.0)
        lost = draw.random() < self.worse if draw.random() >= self.place else not first
        size = draw.random() if self.score else 1.0
        return JudgedPair("judge", size if lost else -size, 1 if lost is not first else -1)


EQUAL = (
    Taste("throws dice"),
    Taste("throws dice, three ties in five", ties=0.6),
    Taste("says first, always", place=1.0),
    Taste("says how much", score=True),
)
WORSE = (
    Taste("loses 60 %", 0.6),
    Taste("loses 62.5 %, as `detect` asks", 0.625),
    Taste("loses 70 %", 0.7),
    Taste("loses 70 %, half are ties", 0.7, ties=0.5),
    Taste("loses 80 %", 0.8),
    Taste("loses 80 %, judge says first in half", 0.8, place=0.5),
    Taste("loses always", 1.0),
)


def run(taste: Taste, gate: JudgeGate, seed: int, most: int = MOST) -> int | None:
    """Verdicts until it is taken back; None: it stays."""
    draw = random.Random(seed)
    judge = Judge((gate,), JudgeSettings(no_data_after_s=1e9), Baseline(1_000, 10), 0.0)
    for number in range(most):
        judge.observe(Batch("r", 1, verdicts=(taste.said(draw),)), float(number))
        if judge.conviction:
            return number + 1
    return None


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    runs = parser.parse_args().runs
    for margin in ("0%", "5%"):
        gate = JudgeGate.model_validate({"url": "http://127.0.0.1:1/", "margin": margin})
        wanted = gate.start(_context()).sample(Detect(), 0).wanted
        print(f"margin {margin}: {runs} runs of {MOST} verdicts; sample {wanted}")
        for taste in EQUAL:
            ended = [run(taste, gate, seed) for seed in range(runs)]
            print(f"  equal, {taste.name}: {sum(one is not None for one in ended)} taken back")
        for taste in WORSE if margin != "0%" else ():
            found = [run(taste, gate, seed) or MOST + 1 for seed in range(max(runs // 5, 1))]
            parts = statistics.quantiles(found, n=10)
            missed = sum(one > MOST for one in found)
            print(f"  {taste.name}: median {statistics.median(found):.0f}, 90 % within "
                  f"{parts[-1]:.0f}, missed {missed} of {len(found)}")  # fmt: skip


def _context():
    from router.core.gates import GateContext

    return GateContext()


if __name__ == "__main__":
    main()
