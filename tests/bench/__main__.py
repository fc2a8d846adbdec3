"""``make bench``: Rampway beside its peers, in one run, as ratios.

Every proxy is pinned to core 0; the load generator and the backend live on core 1. CPU per request
(user and system time of the whole process tree, divided by the requests) is the figure that noisy
neighbours disturb least; requests per second and latencies are printed with it.

    python -m tests.bench [--parts saturation,rates,mirror,features,workers,growth]
                          [--rounds 5] [--seconds 2] [--only rampway,nginx]
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from tests.bench import parts
from tests.bench.machine import HERE, Stage, describe
from tests.bench.peers import Backend
from tests.bench.plot import bars, curves

RESULTS = HERE / "results"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(parts.PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", default="", help="names of targets; default: all")
    parser.add_argument("--keep", action="store_true", help="keep the run's folder (logs, configs)")
    return parser.parse_args()


def main():
    args = arguments()
    folder = Path(tempfile.mkdtemp(prefix="rampway-bench-"))
    folder.chmod(0o755)  # nginx serves its files as nobody
    stage, backend = Stage(folder), Backend()
    results = {"machine": describe(), "rounds": args.rounds, "seconds": args.seconds, "parts": {}}
    try:
        backend.start(stage)
        for name in args.parts.split(","):
            print(f"\n== {name}", flush=True)
            results["parts"][name] = parts.PARTS[name](stage, backend, args)
    finally:
        stage.close()
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    RESULTS.mkdir(exist_ok=True)
    stem = f"{time.strftime('%Y-%m-%d')}-{results['machine']['commit']}"
    (RESULTS / f"{stem}.json").write_text(json.dumps(results, indent=1) + "\n")
    if "saturation" in results["parts"]:
        (RESULTS / f"{stem}.svg").write_text(bars(results["parts"]["saturation"]))
    if "growth" in results["parts"]:
        (RESULTS / f"{stem}-growth.svg").write_text(curves(results["parts"]["growth"]))
    print(f"\nsaved {RESULTS / stem}.json")


if __name__ == "__main__":
    main()
