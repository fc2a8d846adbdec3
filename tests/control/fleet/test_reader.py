"""The reader as a process: it answers, it is replaced when it ends or hangs, and it is small."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import subprocess
import sys

import pytest

from router.control.fleet import reader as reader_
from router.control.fleet.reader import ReaderProcess
from router.core.pairs.comparison import Likeness
from router.core.predictions.rows import Declared
from router.link.frames import Frames
from router.link.reading import KINDS, Found, Read, Reading
from router.loops import background
from router.reader.process import ReaderLoop


async def until(condition, within_s=20):
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


class Desk:
    """A reader with everything it said."""

    def __init__(self):
        self.reader = ReaderProcess()
        self.found, self.lost, self.ready = [], 0, 0
        self.reader.on_found = self.found.append
        self.reader.on_lost.append(self._lost)
        self.reader.on_ready.append(self._ready)
        self.task = background("reader", self.reader.run())

    def _lost(self):
        self.lost += 1

    def _ready(self):
        self.ready += 1

    async def up(self):
        """A running process, told of a route."""
        wanted = self.ready + 1
        if not self.reader.ready:
            await until(lambda: self.ready == wanted)
        self.reader.send(Reading("r", "json", Likeness()))

    def ask(self, number, stable, other):
        assert self.reader.send(Read(number, "r", stable, other), answered=True)


@pytest.fixture
async def desk(monkeypatch):
    monkeypatch.setattr(reader_, "BACKOFF_S", 0.01)
    monkeypatch.setattr(reader_, "WATCH_S", 0.05)
    made = Desk()
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)
    assert made.reader.pid == 0


async def test_it_is_started_when_first_needed_and_reports_finished_facts(desk):
    await asyncio.sleep(0.05)
    assert desk.reader.pid == 0
    await desk.up()
    desk.ask(1, b'{"y": 1}', b'{"y": 1}')
    desk.ask(2, b'{"y": 1}', b'{"y": 2}')
    desk.ask(3, b'{"y": 1}', b'{"y": %s}' % (b"9" * 400))
    desk.ask(4, b'{"y": 1}', b"[" * 500_000)
    await until(lambda: len(desk.found) == 4)
    assert [one.number for one in desk.found] == [1, 2, 3, 4]
    assert [one.comparison.agreed for one in desk.found] == [True, False, False, False]
    assert desk.found[3].comparison.candidate_unreadable
    assert desk.found[1].comparison.differences[0].candidate == "2"


async def test_one_that_was_killed_is_replaced(desk):
    await desk.up()
    before = desk.reader.pid
    os.kill(before, signal.SIGKILL)
    await until(lambda: desk.lost == 1)
    assert not desk.reader.send(Read(1, "r", b"1", b"1"))
    await desk.up()
    assert desk.reader.pid not in (0, before)
    desk.ask(1, b"[1]", b"[1]")
    await until(lambda: desk.found)
    assert desk.reader.restarts == 1


async def test_one_that_hangs_with_work_is_ended_and_one_without_is_left_alone(desk, monkeypatch):
    await desk.up()
    desk.ask(1, b"[1]", b"[1]")
    await until(lambda: desk.found)
    monkeypatch.setattr(reader_, "SILENT_S", 0.1)
    await asyncio.sleep(0.25)
    assert (desk.lost, desk.reader.restarts) == (0, 0)
    os.kill(desk.reader.pid, signal.SIGSTOP)
    desk.ask(1, b"[1]", b"[1]")
    await until(lambda: desk.lost == 1)
    monkeypatch.setattr(reader_, "SILENT_S", 20)  # it starts slowly on a busy machine
    await desk.up()
    desk.ask(2, b"[1]", b"[1]")
    await until(lambda: len(desk.found) == 2)
    assert desk.found[1].number == 2


async def test_it_ends_with_its_link(desk):
    await desk.up()
    desk.reader._link.close()
    await until(lambda: desk.lost == 1)


def test_it_imports_little():
    code = (
        "import sys, router.reader.process; "
        "print([m for m in ('pydantic', 'asyncio', 'structlog', 'aiohttp', 'yaml', 'sqlite3', "
        "'router.core.policy', 'router.telemetry') if m in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "number", [2**64, 10**19 + 1, -(2**63) - 1, -(10**18) * 99, 10**20, 10**300], ids=str
)
def test_a_number_that_no_message_carries_does_not_end_it(number):
    """What decides is told as it was said; msgpack's integers have 64 bits."""
    reader = ReaderLoop()
    reader.answer(Reading("r", "json", Likeness()))
    said = reader.said(Read(7, "r", b"%d" % number, b"%d" % (number + 10**18)))
    (found,) = Frames(KINDS).feed(said)
    assert (found.number, found.error) == (7, "")
    assert found.comparison is not None


def test_a_pair_is_read_by_its_paths_payload_and_tells_its_features():
    reader = ReaderLoop()
    like = Likeness(("label",), declared=Declared("label"))
    reader.answer(Reading("r", "open_inference_v2", like, by=("carrier",)))
    asked = gzip.compress(b'{"instances": [{"carrier": "UA"}, {"carrier": "FL"}]}')
    said = [b'{"predictions": [{"label": 1}, {"label": %d}]}' % label for label in (0, 1)]
    told = reader.said(Read(7, "r", *said, payload="v1", request=asked, request_coding="gzip"))
    (found,) = Frames(KINDS).feed(told)
    rows = found.comparison.rows
    assert [(row.agreed, row.stable.features) for row in rows] == [
        (True, ("UA",)), (False, ("FL",)),
    ]  # fmt: skip


def test_a_finding_that_cannot_be_written_is_a_failed_reading(monkeypatch):
    reader = ReaderLoop()
    reader.answer(Reading("r", "json", Likeness()))
    monkeypatch.setattr(reader, "answer", lambda message: Found(message.number, {2**70}))
    (found,) = Frames(KINDS).feed(reader.said(Read(7, "r", b"1", b"2")))
    assert found == Found(7, None, "OverflowError")
    assert ReaderLoop().said(Reading("r", "json", Likeness())) == b""
