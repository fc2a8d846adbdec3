"""A worker asks the kernel for short turns, and serves where that is refused."""

import ctypes
import os
import platform
import struct

import pytest

from router.proxy import scheduling
from tests.proxy.process import Process
from tests.proxy.rig import route, version
from tests.proxy.scripted import OK, Scripted, answers

READ = {"x86_64": 315, "aarch64": 275}
"""The number of ``sched_getattr``."""


def asked(pid):
    """Policy, niceness and length of turns that the kernel has for this process."""
    room = ctypes.create_string_buffer(48)
    if ctypes.CDLL(None).syscall(READ[platform.machine()], pid, room, 48, 0):
        pytest.skip("the scheduler is not told here")
    _, policy, _, nice, _, turn_ns, _, _ = struct.unpack("=IIQiIQQQ", room.raw)
    return policy, nice, turn_ns


@pytest.mark.skipif(platform.machine() not in READ, reason="another machine's numbers")
async def test_a_worker_asks_for_short_turns_and_keeps_its_niceness():
    if not asked(0)[2]:
        pytest.skip("a kernel before 6.12 tells nothing of turns")
    async with Scripted(answers(OK)) as stable, Process(route(version("v1", stable))) as worker:
        assert asked(worker.child.pid) == (
            os.sched_getscheduler(0),
            os.getpriority(os.PRIO_PROCESS, 0),
            scheduling.TURN_NS,
        )


def test_where_it_is_unknown_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(scheduling.platform, "machine", lambda: "another")
    assert not scheduling.ask_for_short_turns()


def test_where_it_is_refused_nothing_happens(monkeypatch):
    monkeypatch.setattr(scheduling, "CALLS", {platform.machine(): -1})
    before = os.sched_getscheduler(0)
    assert not scheduling.ask_for_short_turns()
    assert os.sched_getscheduler(0) == before
