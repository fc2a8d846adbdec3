"""The worker that is there before it is wanted: what it gets, and how it ends."""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys

import pytest

from router.link import spare
from router.proxy import worker

CONTROL = """
import asyncio, json, os, socket
from router.link.spare import COMM, SpareTerms, fork, terms

def work(link):
    given = terms(link)
    if given is None:
        raise SystemExit(7)
    name = COMM.read_text().strip()
    says = [name, given.worker, os.read(given.listen, 9).decode(), os.getsid(0) == os.getpid()]
    os.write(given.quotas, json.dumps(says).encode())
    link.close()

def broken(link):
    raise ValueError("no worker")

async def status(child):
    async with asyncio.timeout(20):
        return await child.wait()

async def main():
    told, tell = os.pipe()
    asks, ask = os.pipe()
    os.write(ask, b"a socket")
    child = first.begin(SpareTerms(3, asks, tell))
    ends = [await status(child), child.pid == first.pid, json.loads(os.read(told, 999))]
    left.leave()
    ends.append(os.path.exists(f"/proc/{left.pid}"))
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    ends.append(dead.begin(SpareTerms(0, asks, tell)))
    print(json.dumps(ends))

first, left, dead = fork(work), fork(work), fork(broken)
asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(spare.os, "pidfd_open"), reason="needs Linux")
def test_a_spare_gets_what_it_works_with_and_ends_without_control():
    ran = subprocess.run(
        [sys.executable, "-c", CONTROL], capture_output=True, text=True, check=True, timeout=60
    )
    status, same, said, left, dead = json.loads(ran.stdout)
    assert (status, same) == (0, True)
    assert said == ["rampway-worker", 3, "a socket", True]
    assert not left, "it has ended, and is buried"
    assert dead is None, "another one is started"
    assert "ValueError: no worker" in ran.stderr


def test_where_an_end_cannot_be_awaited_there_is_none(monkeypatch):
    def refused(_pid):
        raise OSError(38, "not implemented")

    monkeypatch.setattr(spare.os, "pidfd_open", refused)
    assert spare.fork(lambda _link: None) is None


def test_a_worker_that_was_forked_collects_garbage(monkeypatch):
    """Control starts with its collector at rest, and so was the worker's for life."""
    ours, theirs = socket.socketpair()
    listen, quotas = os.pipe()
    found = []

    def served(link, index, listen, quotas):
        found.append((index, gc.isenabled()))
        for fd in (link, listen.fd, quotas):
            os.close(fd)

    monkeypatch.setattr(worker, "serve", served)
    with ours:
        socket.send_fds(ours, [b"3"], [listen, quotas])
        os.close(listen)
        os.close(quotas)
        gc.disable()
        try:
            worker.stand_by(theirs)
        finally:
            gc.enable()
    assert found == [(3, True)]
