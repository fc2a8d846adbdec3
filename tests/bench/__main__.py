"""``make bench``: Rampway beside its peers, in one run, as ratios.

Every proxy is pinned to core 0; the load generator and the backend live on core 1. CPU per request
(user and system time of the whole process tree, divided by the requests) is the figure that noisy
neighbours disturb least; requests per second and latencies are printed with it.

    python -m tests.bench [--parts saturation,endurance,rates,secure_rates,mirror,features,
                                   streams,secure,bodies,workers,growth,protection,reading]
                          [--rounds 5] [--seconds 2] [--only rampway,nginx]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
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


def find_system_peers():
    """Debian's peers are installed where that is possible; nginx is also the backend."""
    missing = [name for name in ("nginx", "haproxy") if shutil.which(name) is None]
    if missing and shutil.which("apt-get") and os.geteuid() == 0:
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        subprocess.run(command, check=False, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    if shutil.which("nginx") is None:
        sys.exit("make bench needs nginx as backend and yardstick: apt-get install nginx haproxy")


def main():
    args = arguments()
    find_system_peers()
    folder = Path(tempfile.mkdtemp(prefix="rampway-bench-"))
    folder.chmod(0o755)  # nginx serves its files as nobody
    stage, backend = Stage(folder), Backend()
    machine, parts_now = describe(), {}
    try:
        backend.start(stage)
        for name in args.parts.split(","):
            print(f"\n== {name}", flush=True)
            parts_now[name] = parts.PARTS[name](stage, backend, args)
    finally:
        stage.close()
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    keep(machine, {"rounds": args.rounds, "seconds": args.seconds}, parts_now)


def keep(machine, load, parts_now):
    """Results of one day and commit are one file: parts measured later are added to it."""
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / f"{time.strftime('%Y-%m-%d')}-{machine['commit']}"
    file = stem.with_suffix(".json")
    before = json.loads(file.read_text())["parts"] if file.exists() else {}
    found = before | {name: {**load, "rows": rows} for name, rows in parts_now.items()}
    file.write_text(json.dumps({"machine": machine, "parts": found}, indent=1) + "\n")
    if "saturation" in parts_now:
        stem.with_suffix(".svg").write_text(bars(parts_now["saturation"]))
    if "growth" in parts_now:
        stem.with_name(f"{stem.name}-growth.svg").write_text(curves(parts_now["growth"]))
    print(f"\nsaved {file}")


if __name__ == "__main__":
    main()
