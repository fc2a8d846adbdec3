"""The reader's process as control sees it: started when first needed, watched, replaced.

What it is given and has not answered is lost with it. Nobody is told twice to read the same bytes:
they may be what ended it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from router.link.reading import (
    KINDS,
    Entered,
    Found,
    LogState,
    Looked,
    ReaderMessage,
    Ripened,
    TruthsTold,
)
from router.link.socket import Link, opened
from router.loops import forever
from router.telemetry.log import get_logger

SILENT_S: Final = 10.0
"""A reader that has work and says nothing for this long is ended; a pair takes 0.1 s at most."""
WATCH_S: Final = 0.5
BACKOFF_S: Final = 1.0
"""Before a reader is started again that lived shorter than this."""

ReaderCommandLine = Callable[[int], Sequence[str]]
"""Link fd -> argv."""

log = get_logger("router.control")


def reader_command(link_fd: int) -> Sequence[str]:
    """How the reader is started."""
    return (sys.executable, "-m", "router.reader.process", "--link-fd", str(link_fd))


class ReaderProcess:
    """See the module. ``run`` is its supervisor.

    ``on_found`` is called for each compared pair, ``on_looked`` for each sample that was read; all
    of ``on_ready`` when there is a process to send to, of ``on_lost`` when it has gone with
    everything that was sent.
    """

    def __init__(self, command: ReaderCommandLine = reader_command) -> None:
        self.on_found: Callable[[Found], None] = lambda _found: None
        self.on_looked: Callable[[Looked], None] = lambda _looked: None
        self.on_entered: Callable[[int], None] = lambda _number: None
        self.on_told: Callable[[TruthsTold], None] = lambda _told: None
        self.on_ripened: Callable[[Ripened], None] = lambda _ripened: None
        self.on_log_state: Callable[[LogState], None] = lambda _state: None
        self.on_ready: list[Callable[[], None]] = []
        self.on_lost: list[Callable[[], None]] = []
        self.restarts = 0
        self.pid = 0
        """0 while none runs."""
        self._command = command
        self._link: Link[ReaderMessage] | None = None
        self._wanted = asyncio.Event()
        self._unanswered = 0
        self._heard_s = 0.0

    def __repr__(self) -> str:
        return f"<ReaderProcess pid {self.pid}: {self._unanswered} under way>"

    @property
    def ready(self) -> bool:
        """Whether something can be sent. Asking for it starts the process."""
        if self._link is not None and self._link.open:
            return True
        self._wanted.set()
        return False

    def send(self, message: ReaderMessage, *, answered: bool = False) -> bool:
        """Queue a message; ``answered``: an answer is to come. False when it cannot be sent now."""
        if self._link is None or not self._link.send(message):
            return False
        if answered:
            if not self._unanswered:
                self._heard_s = time.monotonic()
            self._unanswered += 1
        return True

    async def run(self) -> None:
        """Keep one running, from the first need on, until cancelled."""
        await forever("reader", self._life)

    async def _life(self) -> None:
        """One process, from its start to its end."""
        await self._wanted.wait()
        began_s = time.monotonic()
        process = await self._spawn()
        try:
            for begin in self.on_ready:
                begin()
            code = await self._watch(process)
            log.warning("reader_ended", status=code)
        finally:
            self._gone(process)
            await process.wait()
        self.restarts += 1
        if time.monotonic() - began_s < BACKOFF_S:
            await asyncio.sleep(BACKOFF_S)

    async def _spawn(self) -> asyncio.subprocess.Process:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._link = await opened(ours, Link(KINDS, self._receive, lambda _why: None))
        self.pid, self._unanswered = process.pid, 0
        return process

    async def _watch(self, process: asyncio.subprocess.Process) -> int:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    return await process.wait()
            if self._unanswered and time.monotonic() - self._heard_s > SILENT_S:
                log.warning("reader_silent", pid=process.pid, within_s=SILENT_S)
                _kill(process)

    def _receive(self, message: ReaderMessage) -> None:
        if isinstance(message, Found | Looked | Entered | TruthsTold):
            self._unanswered -= 1
            self._heard_s = time.monotonic()
        match message:
            case Found():
                self.on_found(message)
            case Looked():
                self.on_looked(message)
            case Entered():
                self.on_entered(message.number)
            case TruthsTold():
                self.on_told(message)
            case Ripened():
                self.on_ripened(message)
            case LogState():
                self.on_log_state(message)
            case _:  # nothing else comes from there
                pass

    def _gone(self, process: asyncio.subprocess.Process) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close("the reader ended")
        _kill(process)
        self.pid = self._unanswered = 0
        self._wanted.clear()
        for lose in self.on_lost:
            lose()


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
