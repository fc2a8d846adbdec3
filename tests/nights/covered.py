"""``python -m tests.nights.covered FILE``: branches that nights took, of a `coverage json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(file):
    """The share of all, and by module how many are left and where they begin."""
    told = json.loads(Path(file).read_text())
    totals = told["totals"]
    taken, all_of_them = totals["covered_branches"], totals["num_branches"]
    left = sorted(
        ((one["missing_branches"], name) for name, one in told["files"].items()),
        key=lambda pair: (-len(pair[0]), pair[1]),
    )
    for branches, name in left:
        if branches:
            lines = ", ".join(map(str, sorted({begin for begin, _ in branches})))
            print(f"{len(branches):4} {name}: {lines}")
    print(f"{taken:,} of {all_of_them:,} branches: {taken / all_of_them:.1%}")


if __name__ == "__main__":
    main(sys.argv[1])
