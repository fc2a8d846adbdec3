"""Real servers as processes, and the router as a process before them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from tests.peers.setups import HERE

HOME = Path(os.environ.get("RAMPWAY_TEST_PEERS", ".cache/peers")).absolute()
START_S = 120.0
"""The slowest of them loads for half a minute on a machine that is busy."""
PORTS = {"a": 0, "b": 3, "c": 6}
NOT_PASSED = {"date", "x-request-id", "connection", "keep-alive", "via", "x-rampway-version",
              "transfer-encoding"}  # fmt: skip


def python_of(venv, module):
    """The interpreter of an environment that has the module; else the test is skipped."""
    python = HOME / venv / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no environment {python}: run by make test-peers")
    code = f"import importlib.util as u; raise SystemExit(u.find_spec({module!r}) is None)"
    if subprocess.run([python, "-c", code], check=False).returncode:
        pytest.skip(f"{module} could not be installed into {python.parent.parent}")
    return python


def ports(count):
    """The first of so many free ports in a row, below those that the system gives to clients."""
    for _ in range(200):
        base = random.randrange(20_000, 32_000 - count)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(base, base + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base
    raise AssertionError("no free ports in a row")


class Lab:
    """Servers a, b (one model) and c (another) of a set-up, and a router with a route for each try.

    A request says by the header X-Try which route takes it; the last one takes all others.
    """

    def __init__(self, setup, folder):
        self.setup = setup
        self.folder = folder
        self.python = python_of(setup.venv, setup.needs)
        self.short = Path(tempfile.mkdtemp(prefix="peer"))
        self.base = ports(11)
        self.port, self.admin = self.base + 9, self.base + 10
        self.processes = {}

    def __enter__(self):
        try:
            self._make()
            for variant in PORTS:
                self._start(variant)
            for variant in PORTS:
                self._await(variant)
            self._route()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in list(self.processes):
            self.stop(name)
        shutil.rmtree(self.short, ignore_errors=True)

    def at(self, variant):
        return self.base + PORTS[variant]

    def _make(self):
        for config, word in (("same", "late"), ("other", "early")):
            text = (HERE / "litellm.yaml").read_text().replace("ANSWER", word)
            (self.folder / f"{config}.yaml").write_text(text)
        if self.setup.make:
            env = os.environ | {"PORTS": json.dumps([self.at(v) for v in PORTS])}
            subprocess.run([self.python, HERE / self.setup.make], cwd=self.folder, env=env,
                           check=True, stdout=subprocess.DEVNULL, timeout=120)  # fmt: skip

    def _start(self, variant):
        setup, folder = self.setup, self.folder
        words = {"port": str(self.at(variant)), "variant": variant, "folder": str(folder)}
        words |= {"short": str(self.short), "model": "other" if variant == "c" else "same"}
        filled = [word.format(**words) for word in setup.command]
        bin_folder = self.python.parent
        filled[0] = str(bin_folder / filled[0])
        env = os.environ | {
            "HOME": str(folder), "PORT": words["port"], "VARIANT": variant, "PYTHONPATH": str(HERE),
            "TMPDIR": str(self.short),  # what a killed server leaves goes with it
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
        } | {name: value.format(**words) for name, value in setup.env.items()}  # fmt: skip
        cwd = folder / variant if setup.folders else folder if setup.make else HERE
        self._run(variant, filled, cwd, env)

    def _run(self, name, command, cwd, env):
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=cwd, env=env, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def _await(self, variant):
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.at(variant), timeout=3)
                connection.request("GET", self.setup.ready)
                if connection.getresponse().status < 400:
                    return
            assert self.processes[variant].poll() is None, self.log(variant)
            time.sleep(0.1)
        raise AssertionError(f"{variant} is not ready: {self.log(variant)}")

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2_000:]

    def _route(self):
        setup = self.setup
        shadow = "{shadow: {mirror: 100%, hold: 1h}}"
        watched = "[agreement: {at_least: 95%, dry_run: true}, guard: {dry_run: true}]"
        keep = "\n      mirroring: {keep_headers: [authorization]}"
        tries = (
            ("pass", "", "", "", ""),
            ("equal", "b", shadow, "[agreement: {at_least: 95%}, error_rate, guard]", ""),
            ("kept", "b", shadow, watched, keep),
            ("other", "c", shadow, watched, keep if setup.needs_key else ""),
            ("canary", "b", "{canary: {steps: [{weight: 50%, hold: 1h}]}}",
             "[error_rate, latency, guard]",
             "\n      rescue: {on: [5xx, timeout, connect, schema]}"),
            ("anybody", "b", shadow, watched, keep),
        )  # fmt: skip
        routes = ""
        for name, candidate, strategy, gates, more in tries:
            versions = {"a", candidate} - {""}
            routes += f"  - name: {name}\n"
            routes += "" if name == "anybody" else f"    match: {{headers: {{X-Try: {name}}}}}\n"
            routes += f"    payload: {setup.payload}\n    stable: a\n    versions:\n"
            for version in sorted(versions):
                url = f"http://127.0.0.1:{self.at(version)}"
                routes += f'      {version}: {{endpoints: ["{url}"]}}\n'
            if candidate:
                routes += f"    rollout:\n      candidate: {candidate}\n"
                routes += f"      strategy: {strategy}\n      gates: {gates}\n"
                routes += f"      compare: {setup.compare}{more}\n"
        text = (
            f"listen: 127.0.0.1:{self.port}\nadmin: {{listen: '127.0.0.1:{self.admin}'}}\n"
            f"store: sqlite:///{self.folder}/r.db\nroutes:\n{routes}"
        )
        policy = self.folder / "policy.yaml"
        policy.write_text(text)
        self._serve(policy)
        for name, candidate, *_ in tries:
            while candidate and not self._begun(name):
                time.sleep(0.1)  # the test's own time-out bounds it

    def _begun(self, name):
        """A rollout begins when its candidate is ready."""
        status = self.api(f"/api/v1/rollouts/{name}")
        return status["mirror_bp"] or status["weight_bp"]

    def _serve(self, policy):
        command = [sys.executable, "-m", "router", "serve", str(policy)]
        self._run("router", command, self.folder, dict(os.environ))
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                if self.api("/readyz", raw=True):
                    return
            assert self.processes["router"].poll() is None, self.log("router")
            time.sleep(0.1)
        raise AssertionError(self.log("router"))

    def stop(self, name, sign=signal.SIGTERM):
        """It and whatever it has started; what is left of that after a while is killed."""
        process = self.processes.pop(name)
        family = descendants(process.pid)
        _send(family if sign == signal.SIGKILL else [process.pid], sign)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            _send(family, signal.SIGKILL)
            process.wait(10)
        _send([pid for pid in family[1:] if _parents().get(pid)], signal.SIGKILL)

    def api(self, path, *, raw=False):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
            return True if raw else json.load(answer)

    def ask(self, port, ask, way, connection=None):
        """Status, fields and body."""
        own = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            own.request(ask.method, ask.path, ask.body, {**ask.headers, "X-Try": way})
            answer = own.getresponse()
            fields = sorted((name.lower(), value) for name, value in answer.getheaders())
            return answer.status, fields, answer.read()
        finally:
            if connection is None:
                own.close()

    def drive(self, way, number):
        """So many counted requests through the router: how often each status came; 0 is none."""
        asks = [ask for ask in self.setup.asks if ask.counted]
        seen = Counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for turn in range(number):
            try:
                seen[self.ask(self.port, asks[turn % len(asks)], way, connection)[0]] += 1
            except (OSError, http.client.HTTPException):
                seen[0] += 1
                connection.close()
        connection.close()
        return seen

    def pairs(self, way, candidate, number):
        """What comparing said, once so many copies have been read."""
        seen = {}
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            views = self.api(f"/api/v1/rollouts/{way}/shadow")["versions"]
            seen = views.get(candidate, {})
            if seen.get("pairs", 0) >= number:
                break
            time.sleep(0.1)
        return seen


def _parents():
    """Of every process of this machine."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return parents


def descendants(pid):
    """It, its children, theirs and so on: servers put their workers into groups of their own."""
    parents, family = _parents(), [pid]
    for one in family:
        family += [child for child, parent in parents.items() if parent == one]
    return family


def _send(pids, sign):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)


def difference(direct, routed):
    """What the router changed, but for fields that are each hop's own."""
    fields = [[one for one in answer[1] if one[0] not in NOT_PASSED] for answer in (direct, routed)]
    if "transfer-encoding" in dict(direct[1]):  # a chunked answer may come with a length
        fields = [[one for one in some if one[0] != "content-length"] for some in fields]
    return [
        (one, other)
        for one, other in zip((direct[0], fields[0], direct[2]), (routed[0], fields[1], routed[2]),
                              strict=True)
        if one != other
    ]  # fmt: skip
