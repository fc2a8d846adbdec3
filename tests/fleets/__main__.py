"""``python -m tests.fleets``: many fleets, one told in full, or mistakes put in.

--seeds 0:300 --replicas 5    these fleets; a failing one is told with what repeats it
--seed 7 [--keep 0,3]         one, told; with only these of its events
--faults [NAME,...]           mistakes, one at a time: which seed finds each
[--within N]
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from functools import partial

from tests import programs
from tests.nights import policies
from tests.nights.runner import PIECE, lives, mistakes, pieces, spread

programs.wants_asyncpg()

from tests.fleets import seams  # noqa: E402 - asyncpg first
from tests.fleets.faults import FAULTS, put_in  # noqa: E402 - asyncpg first
from tests.fleets.fleet import Fleet, policy  # noqa: E402 - asyncpg first


def many(replicas, piece):
    """Fleets of a piece: (number, CPU seconds, violations by seed, sums of facts)."""
    with seams.installed(PIECE + 1):
        return lives(piece, lambda seed: Fleet(seed, replicas))


def run(seeds, replicas, jobs):
    """All of them, told; the number of bad ones."""
    gates = ("guard",), ("error_rate", "guard")
    for one in itertools.product(gates, ("1s", "1h"), (1, 2)):
        policies.load(policy(*one))  # before any process is split off
    began, fleets, cpu_s, bad, digest, sums = time.time(), 0, 0.0, 0, 0, {}
    with spread(partial(many, replicas), pieces(seeds, jobs), jobs) as done:
        for number, took_s, found, facts in done:
            fleets, cpu_s, bad = fleets + number, cpu_s + took_s, bad + len(found)
            digest ^= facts.pop("digest")
            for name, value in facts.items():
                sums[name] = sums.get(name, 0) + value
            for seed, (name, text) in found.items():
                again = f"python -m tests.fleets --replicas {replicas} --seed {seed}"
                print(f"seed {seed}: {name}: {text[:300]}\n  PYTHONHASHSEED=0 {again}", flush=True)
    print(f"{fleets:,} fleets of {replicas}, {bad} with a violation; {time.time() - began:.0f} s, "
          f"{cpu_s / max(fleets, 1) * 1e3:.0f} ms of CPU each, digest {digest:x}")  # fmt: skip
    print(", ".join(f"{value:,} {name}" for name, value in sums.items()))
    return bad


def tell(seed, replicas, kept):
    """One fleet with all its events, leaders and moves."""
    with seams.installed():
        out = Fleet(seed, replicas, kept=kept, log=print).live()
    for name, text in out.violations:
        print(f"VIOLATION: {name}: {text}")
    print(out.facts, f"digest {out.digest:x}")
    return len(out.violations)


def finding(name, replicas, piece):
    """(seed, violation) of the first of a piece that finds a mistake; None: none does."""
    with seams.installed(PIECE + 1), put_in(name):
        for seed in piece:
            if violations := Fleet(seed, replicas).live().violations:
                return seed, violations[0]
    return None


def table(names, replicas, within, jobs):
    """Mistakes; the number of those that are not found."""

    def fleets(name):
        return spread(partial(finding, name, replicas), pieces(range(within), jobs), jobs)

    return mistakes(("put in", "fleets"), names, fleets)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.fleets")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep", help="numbers of events with commas, or none")
    parser.add_argument("--seeds", default="0:300")
    parser.add_argument("--replicas", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2, help="processes; 0: this one")
    parser.add_argument("--faults", nargs="?", const=",".join(FAULTS))
    parser.add_argument("--within", type=int, default=300)
    args = parser.parse_args(argv)
    if os.environ.get("PYTHONHASHSEED") != "0":
        print("a fleet is repeated exactly only with PYTHONHASHSEED=0", file=sys.stderr)
    if args.faults:
        return table(args.faults.split(","), args.replicas, args.within, args.jobs) > 0
    if args.seed is not None:
        numbers = (args.keep or "").replace("none", "").split(",")
        kept = None if args.keep is None else {int(n) for n in numbers if n}
        return tell(args.seed, args.replicas, kept) > 0
    return run(range(*map(int, args.seeds.split(":"))), args.replicas, args.jobs) > 0


if __name__ == "__main__":
    sys.exit(main())
