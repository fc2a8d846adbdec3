"""What a start costs: verbs beside Python's own start, the first answer, memory at rest.

    python -m tests.bench.start [--times 9]

Verbs are CPU seconds of the whole process, the least of several runs; bytecode is written before.
At rest means behind a few requests that were mirrored and compared, so that the reader lives too.
"""

import argparse
import compileall
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.bench.machine import cpu_s, memory_mb, process_tree, settled
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
RAMPWAY = (sys.executable, "-m", "router")
VERBS = {
    "rampway --help": ("--help",),
    "rampway list (nobody there)": ("list", "--admin", "http://127.0.0.1:9"),
    "rampway check": ("check", "configs/canary.yaml"),
}
POLICY = """
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:0"}}
store: "sqlite:///{folder}/start.db"
routes:
  - name: start
    match: {{path: "/*"}}
    payload: json
    versions:
      v1: {{endpoints: ["http://127.0.0.1:{backend}"]}}
      v2: {{endpoints: ["http://127.0.0.1:{backend}"]}}
    stable: v1
    rollout:
      candidate: v2
      strategy: {{shadow: {{mirror: 100%, hold: 7d}}}}
      gates: [agreement]
"""
BACKEND = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b'{"a": 1}')
    log_message = lambda self, *_: None
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
PROCESSES = 3
"""Control, a worker, and the reader, which the first pair starts."""
QUESTION = b"GET / HTTP/1.1\r\nHost: start\r\nConnection: close\r\n\r\n"


def cost(command, times):
    """Least CPU seconds of a command."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    least = float("inf")
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, cwd=ROOT, env=env, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        least = min(least, spent)
    return least


def answered(port):
    """Whether a request is answered with 200 now."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as one:
        one.sendall(QUESTION)
        return b" 200 " in one.recv(1_000)
    return False


def first_answer(folder, backend):
    """Seconds and CPU seconds until a router answers, and its memory at rest by process."""
    port = free_port()
    policy = folder / "start.yaml"
    policy.write_text(POLICY.format(port=port, folder=folder, backend=backend))
    began = time.monotonic()
    log = (folder / "log").open("w")
    router = subprocess.Popen([*RAMPWAY, "serve", policy], stderr=log, cwd=ROOT)
    try:
        while not answered(port):
            if router.poll() is not None or time.monotonic() > began + 60.0:
                raise SystemExit((folder / "log").read_text() or "no router within a minute")
            time.sleep(0.002)
        seconds, cpu = time.monotonic() - began, cpu_s(router.pid)
        while len(process_tree(router.pid)) < PROCESSES and time.monotonic() < began + 90.0:
            answered(port)
            time.sleep(0.05)
        settled(router.pid)
        return seconds, cpu, memory_mb(router.pid), len(process_tree(router.pid))
    finally:
        router.send_signal(signal.SIGTERM)
        router.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=9)
    times = parser.parse_args().times
    compileall.compile_dir(str(ROOT / "router"), quiet=1)
    base = cost([sys.executable, "-c", "pass"], 2 * times)
    print(f"{'python -c pass':32s}{base * 1000:8.0f} ms")
    for name, said in VERBS.items():
        spent = cost([*RAMPWAY, *said], times)
        print(f"{name:32s}{spent * 1000:8.0f} ms{spent / base:8.1f} x")
    port = free_port()
    backend = subprocess.Popen([sys.executable, "-c", BACKEND, str(port)])
    try:
        for _ in range(3):
            with tempfile.TemporaryDirectory(prefix="rampway-start-") as folder:
                seconds, cpu, mb, processes = first_answer(Path(folder), port)
            print(f"first answer {seconds:.2f} s, {cpu:.2f} s of CPU; at rest {mb:.1f} MB "
                  f"in {processes} processes")  # fmt: skip
    finally:
        backend.terminate()
        backend.wait()


if __name__ == "__main__":
    main()
