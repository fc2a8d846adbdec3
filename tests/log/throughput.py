"""Ten thousand predictions a second through a router that logs them: what is kept, what is dropped.

``python -m tests.log.throughput [RATE] [SECONDS] [WORKERS]``; wants nginx, wrk and two idle cores.
nginx is the model, and answers at once. wrk asks with a body of its own and an id of its own each
time, each at its moment, so that RATE a second come of it, or as many as this machine makes. A
second, shorter run has the longest turn of a worker: CPU of its event loop's thread in one pass,
measured in the worker, with the loop of the standard library, whose passes can be.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.bench.machine import cpu_s, wait_for_port
from tests.ports import free_port
from tests.reliability.whole import Router

NGINX = """\
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000;
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{
    default_type application/json; return 200 '{{"predictions": [{{"late": true, "p": 0.75}}]}}';
  }} }}
}}
"""
POLICY = """\
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:0"}}
store: sqlite:///{folder}/r.db
workers: {workers}
prediction_log: {{file: "{folder}/log.db", age: 1d, size: 10GiB}}
routes:
  - name: flights
    payload: v1
    predictions: {{label: late, score: p, features: [distance, carrier]}}
    versions: {{v1: {{endpoints: ["http://127.0.0.1:{port}"]}}}}
    stable: v1
    log: {{}}
"""
LOAD = """\
local ffi = require("ffi")
ffi.cdef("typedef struct {{ long s; long ns; }} moment; int clock_gettime(int, moment *);")
local moment = ffi.new("moment")
local function now()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.s) + tonumber(moment.ns) * 1e-9
end
local n, planned, began = 0, 0, nil
request = function()
  n = n + 1
  wrk.headers["X-Request-Id"] = string.format("id-%d-%d", {seed}, n)
  local body = string.format('{{"instances": [{{"distance": %d, "carrier": "UA"}}]}}', n % 2000)
  return wrk.format("POST", "/predict", {{["Content-Type"] = "application/json"}}, body)
end
function delay()
  began = began or now()
  planned = planned + 1
  return math.max(0, math.floor((began + planned / {rate} - now()) * 1000))
end
"""
CONNECTIONS = 64
TURNS = """\
import asyncio, os, sys, threading, time
def worker():
    sys.modules["uvloop"] = None
    once, seen = asyncio.BaseEventLoop._run_once, [0.0, 0, 0.0]
    def measured(loop):
        before = time.thread_time()
        once(loop)
        took = time.thread_time() - before
        if time.monotonic() > seen[2] + 5.0:
            seen[0] = max(seen[0], took)
            seen[1] += took > 0.005
    def told():
        seen[2] = time.monotonic()
        while True:
            time.sleep(0.5)
            with open(os.environ["TURNS"] + str(os.getpid()), "w") as file:
                file.write(f"{{seen[0]}} {{seen[1]}}")
    threading.Thread(target=told, daemon=True).start()
    asyncio.BaseEventLoop._run_once = measured

if any("router.proxy.worker" in one for one in sys.orig_argv):
    worker()
elif "serve" in sys.orig_argv:
    os.register_at_fork(after_in_child=worker)
"""
"""Read by the interpreter when it starts; the first five seconds are its own."""


def longest(folder):
    """Of every worker's turns."""
    found = [one.read_text().split() for one in folder.glob("turns-*")]
    return {
        "longest_turn_ms": round(max(float(one[0]) for one in found) * 1e3, 1),
        "turns_beyond_5_ms": sum(int(one[1]) for one in found),
    }


def run(rate=10_000, seconds=60, workers=1, *, turns=False):
    """Figures of one run."""
    folder = Path(tempfile.mkdtemp())
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    (folder / "sitecustomize.py").write_text(TURNS.replace("{{", "{").replace("}}", "}"))
    nginx = subprocess.Popen(["nginx", "-c", folder / "nginx.conf", "-p", folder])
    wait_for_port(port)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY.format(folder=folder, port=port, workers=workers))
    os.environ |= {"PYTHONPATH": str(folder), "TURNS": str(folder / "turns-")} if turns else {}
    router = Router(folder, policy).serving()
    try:
        (folder / "load.lua").write_text(LOAD.format(seed=port, rate=rate))
        time.sleep(5)
        cpu = cpu_s(router.process.pid)
        wrk = subprocess.run(
            ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", folder / "load.lua",
             f"http://127.0.0.1:{router.port}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        time.sleep(3)
        cpu = cpu_s(router.process.pid) - cpu
        said = wrk.stdout
        requests = int(said.split(" requests in")[0].split()[-1])
        told = router.api("/api/v1/log")[1]
        with closing(sqlite3.connect(folder / "log.db")) as db:
            logged, features = db.execute(
                "SELECT count(*), sum(features <> '') FROM log"
            ).fetchone()
        dropped = {
            line.split(" ")[0]: float(line.split()[1])
            for line in router.api("/metrics")[1].splitlines()
            if "sample_shed" in line or ("samples_total" in line and 'result="l' in line)
        }
        return {
            "asked": requests, "a_second": round(requests / seconds), "logged": logged,
            "with_features": features, "dropped": dropped | told["dropped"],
            "cpu_s_of_all_processes": round(cpu, 1), "failed": "Non-2xx" in said,
            **(longest(folder) if turns else {}),
        }  # fmt: skip
    finally:
        router.end()
        nginx.terminate()
        nginx.wait()


if __name__ == "__main__":
    given = tuple(map(int, sys.argv[1:]))
    print(json.dumps(run(*given), indent=1), flush=True)
    rate, seconds, workers = (*given, *(10_000, 60, 1)[len(given) :])
    print(json.dumps(run(rate, min(seconds, 15), workers, turns=True), indent=1))
