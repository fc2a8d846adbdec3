"""Machines of their own for routers: network namespaces, whose link to the database is cut.

One namespace has the database and the versions, each router one more. They vanish with the
processes that hold them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

SERVICES, DATABASE = "10.92.0.1", "10.93.0.1"
"""Addresses that each router reaches by a link of its own."""
_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_left = threading.local()
"""Where this thread was before."""


def _go(to):
    if _libc.setns(to, _NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def allowed():
    """Whether namespaces may be made here, and links between them."""
    said = subprocess.run(
        ["unshare", "-n", "ip", "link", "add", "one", "type", "veth", "peer", "name", "other"],
        check=False, capture_output=True,
    )  # fmt: skip
    return said.returncode == 0


def spaces_or_skip():
    with contextlib.suppress(OSError):
        if allowed():
            return Network()
    pytest.skip("wants network namespaces: root with `ip` and `unshare`")


class Space:
    """A network namespace; ``with space:`` this thread is in it, and what it starts or opens."""

    def __init__(self):
        self._holder = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE)
        self.pid = self._holder.pid
        path, ours = (
            Path(f"/proc/{self.pid}/ns/net"),
            Path("/proc/thread-self/ns/net").stat().st_ino,
        )
        deadline = time.monotonic() + 20
        while path.stat().st_ino == ours:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self._inside = os.open(path, os.O_RDONLY)
        self.ip("link", "set", "lo", "up")

    def __enter__(self):
        _left.__dict__.setdefault("spaces", []).append(
            os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        )
        _go(self._inside)

    def __exit__(self, *_):
        before = _left.spaces.pop()
        _go(before)
        os.close(before)

    def ip(self, *command):
        with self:
            subprocess.run(["ip", *command], check=True, capture_output=True)

    def end(self):
        self._holder.stdin.close()
        self._holder.wait(10)
        os.close(self._inside)


class Network:
    """The hub, and a machine for each router with two links to it."""

    def __init__(self, routers=3):
        self.hub = Space()
        for address in (SERVICES, DATABASE):
            self.hub.ip("addr", "add", f"{address}/32", "dev", "lo")
        self.machines = [Machine(self.hub, number + 1) for number in range(routers)]

    def end(self):
        for space in [*self.machines, self.hub]:
            space.end()


class Machine(Space):
    """One router's."""

    def __init__(self, hub, number):
        super().__init__()
        self._hub, self._far, self._way = hub, f"base{number}", f"10.91.{number}.1"
        self._connect("models", f"models{number}", f"10.90.{number}.", SERVICES)
        self._connect("base", self._far, f"10.91.{number}.", DATABASE)

    def _connect(self, near, far, net, to):
        self._hub.ip(
            "link", "add", far, "type", "veth", "peer", "name", near, "netns", str(self.pid)
        )
        self._hub.ip("addr", "add", f"{net}1/24", "dev", far)
        self._hub.ip("link", "set", far, "up")
        self.ip("addr", "add", f"{net}2/24", "dev", near)
        self.ip("link", "set", near, "up")
        self.ip("route", "add", f"{to}/32", "via", f"{net}1")

    def cut(self, how):
        """The link to the database: ``down``, which is refused here; ``lost``: nothing arrives."""
        if how == "down":
            self.ip("link", "set", "base", "down")
        else:
            self._hub.ip("link", "set", self._far, "down")

    def mend(self):
        """As it was."""
        self._hub.ip("link", "set", self._far, "up")
        self.ip("link", "set", "base", "up")
        self.ip("route", "replace", f"{DATABASE}/32", "via", self._way)
