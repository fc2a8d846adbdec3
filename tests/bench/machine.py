"""What a process tree costs, and the load that is put on it. 127.0.0.1 only, bounded in time."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROXY_CORE, LOAD_CORE = 0, 1


def process_tree(pid):
    """``pid`` and all its descendants."""
    found = [pid]
    for process in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{process}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def cpu_s(pid):
    """User and system seconds of the process tree so far."""
    total = 0
    for process in process_tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS_PER_S


def memory_mb(pid):
    """Proportional resident memory of the process tree, MB."""
    total = 0
    for process in process_tree(pid):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def wait_for_port(port, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return True
        time.sleep(0.05)
    return False


def settled(pid, seconds=20.0):
    """Wait until a process tree has started: it uses less than a twentieth of a core."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = cpu_s(pid)
        time.sleep(0.4)
        if cpu_s(pid) - before < 0.02:
            break


def compiled(name, folder, *, tls=False):
    """The C program ``name`` built in ``folder``; RuntimeError without what that takes."""
    binary = folder / (f"{name}-tls" if tls else name)
    source = HERE / f"{name}.c"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise RuntimeError("make bench needs a C compiler (cc) for its load generator")
        more = ["-DTLS", "-lssl", "-lcrypto"] if tls else []
        made = subprocess.run([compiler, "-O2", "-o", binary, source, *more], check=not tls)
        if made.returncode:
            raise RuntimeError("load over TLS needs OpenSSL's headers (Debian: libssl-dev)")
    return binary


class Stage:
    """The processes of one run. Everything started here ends here."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.backend: int | None = None
        """The backend's process, which shares its core with the load."""

    def start(self, argv, name, core, port):
        log = (self.folder / f"{name}.log").open("w")
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *map(str, argv)],
            stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
        )  # fmt: skip
        self.processes.append(process)
        if not wait_for_port(port):
            raise RuntimeError(f"{name} did not open its port: see {self.folder / name}.log")
        return process.pid

    def load(self, port, *, rate=0, seconds=2.0, connections=32, path="/same", body=1024,
             users=1, tls=False):  # fmt: skip
        """One burst of load; its JSON result. rate 0: as fast as the answers come back."""
        argv = ["taskset", "-c", LOAD_CORE, compiled("openloop", self.folder, tls=tls)]
        argv += [port, rate, seconds, connections, path, body, users]
        out = subprocess.run(
            list(map(str, argv)), capture_output=True, text=True, timeout=seconds + 30, check=True
        )
        return json.loads(out.stdout)

    def close(self):
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)


def describe():
    """The machine, for the results file."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=HERE,
        check=False,
    ).stdout.strip()
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "python": ".".join(map(str, __import__("sys").version_info[:3])),
        "commit": commit,
    }
