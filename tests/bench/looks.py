"""What taking in a report and a look of the decider cost, without sockets: a recording, fed again.

    python -m tests.bench.looks RECORDING [--times 8]

The recording of a router under load (``recording: {file: …}``) is fed to this tree's own code, and
every third look takes the evidence down for the disk, as under load. Printed are the least CPU a
report of all times, and a digest of everything that was seen and judged: two trees that say the
same judge the same, to the last bit. For instructions of the machine run it in valgrind:

    PYTHONHASHSEED=0 valgrind --tool=callgrind python -m tests.bench.looks RECORDING --times 1

less the same with ``--times 0``.
"""

import argparse
import hashlib
import time
from pathlib import Path

from router.control.rollouts.lines import BatchLine, TurnLine, read
from router.control.rollouts.recording import unsealed
from router.control.rollouts.replay import Replay

LOOKS_A_WRITE = 3


def fed(lines, told=None):
    """CPU seconds of one time; ``told`` gets what was seen at each look."""
    replay, looks, before = Replay(), 0, time.process_time()
    for line in lines:
        replay._take(line)
        if isinstance(line, TurnLine):
            run, looks = replay._runs[line.route], looks + 1
            if told is not None:
                told.update(repr((run.seen, run.trial.judgement())).encode())
            elif looks % LOOKS_A_WRITE == 0:
                run.trial.snapshot()
    return time.process_time() - before


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("--times", type=int, default=8)
    args = parser.parse_args()
    lines = [read(unsealed(raw)[0]) for raw in args.recording.open("rb")]
    reports = sum(isinstance(line, BatchLine) for line in lines)
    if args.times:
        spent = min(fed(lines) for _ in range(args.times))
        told = hashlib.sha256()
        fed(lines, told)
        print(f"{spent / reports * 1e3:.3f} ms of CPU a report, of {reports}; "
              f"judged: {told.hexdigest()[:16]}")  # fmt: skip


if __name__ == "__main__":
    main()
