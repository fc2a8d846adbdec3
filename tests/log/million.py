"""A million labels in any order through the reader's side of the log, with restarts.

``python -m tests.log.million [N]``: half of them before their prediction is logged, a tenth twice.
"""

import random
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from router.core.logged.prediction import LoggedPrediction
from router.core.logged.terms import LogTerms, RouteLog
from router.core.logged.truth import Truth
from router.core.pairs.comparison import Likeness
from router.link.frames import Frames
from router.link.reading import KINDS, Logging, Ripened, TellTruths
from router.reader.clerk import Clerk
from router.reader.keeper import LogKeeper

BATCH = 10_000
"""Labels of one request to the API."""


def row(n):
    return LoggedPrediction(
        1e9 + n, f"request-{n * 2_654_435_761 % 2**32:08x}-{n:07}", 0, 1, "flights", "v1", "stable",
        0.1, "", '{"distance":1200,"carrier":"UA"}', float(n % 1000), 0.5, 0.01, 200, "", 1, "s",
    )  # fmt: skip


def truth(n):
    return Truth(row(n).request_id, label=float(n % 1000))


def open_clerk(file, clock):
    clerk = Clerk(LogKeeper(), lambda: clock[0])
    clerk.said(Logging(LogTerms(
        str(file), 1e12, 10**12, 1e9, (RouteLog("flights", "v1", Likeness()),)
    )))  # fmt: skip
    return clerk


def run(count, seed=1):
    """Joined rightly, told twice, CPU seconds of the labels, peak MB."""
    rng, clock = random.Random(seed), [2e9]
    file = Path(tempfile.mkdtemp()) / "log.db"
    early = [n for n in range(count) if n % 2]
    late = [n for n in range(count) if not n % 2]
    twice = rng.sample(range(count), count // 10)
    for part in (early, late, twice):
        rng.shuffle(part)
    clerk, taken, met, labels_s, wall_s = open_clerk(file, clock), Counter(), Counter(), 0.0, 0.0

    def due():
        clock[0] += 1.0
        for message in Frames(KINDS).feed(clerk.due()):
            if isinstance(message, Ripened):
                for one in message.matured:
                    met[bool(one.rows[0].served.correct)] += 1

    def tell(part):
        nonlocal labels_s, wall_s, clerk
        for at in range(0, len(part), BATCH):
            truths = tuple(map(truth, part[at : at + BATCH]))
            began, wall = time.process_time(), time.perf_counter()
            (told,) = Frames(KINDS).feed(clerk.said(TellTruths(1, truths)))
            labels_s += time.process_time() - began
            wall_s += time.perf_counter() - wall
            taken.update(told.taken)
            due()
            if rng.random() < 0.05:  # a restart
                clerk.keeper.close()
                clerk = open_clerk(file, clock)

    tell(early)
    for at in range(0, count, 2_500):
        clerk.keeper.add([row(n) for n in range(at, min(at + 2_500, count))], clock[0])
        clerk.keeper.stroke(clock[0])
        due()
    tell(late)
    tell(twice)
    due()
    held = clerk.keeper.counts()
    peak_mb = _peak_kb() / 1024
    told = count + count // 10
    return {
        "right": met[True], "wrong": met[False], "taken": dict(taken), "held": held,
        "labels_a_cpu_second": round(told / labels_s), "labels_a_second": round(told / wall_s),
        "peak_mb": round(peak_mb), "file_mb": round(file.stat().st_size / 1e6),
    }  # fmt: skip


def _peak_kb():
    """Of this program alone: ``ru_maxrss`` remembers that of the one which started it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1])


if __name__ == "__main__":
    print(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
