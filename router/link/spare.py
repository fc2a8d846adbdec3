"""A worker that is there before it is wanted: this process as it was when it began.

Half of what a worker imports control imports as well. So the first worker is forked from a router
that starts, once that is imported and nothing else has happened: there is no thread, no loop, no
policy and no secret yet. It imports what forwards, and waits, while control reads the rest of its
own code; a small part of its memory stays shared. What it works with it gets by the link
(SCM_RIGHTS); should control end before that, the link closes, and it ends as well.

Each further worker, and each that takes the place of one that died, is a program of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

NAME: Final = "rampway-worker"
"""What `ps` and `top` call it; the kernel takes 15 bytes."""
COMM: Final = Path("/proc/self/comm")
INDEX_BYTES_MAX: Final = 16


class SpareTerms(NamedTuple):
    """What a worker works with; the last two are file descriptors."""

    worker: int
    listen: int
    quotas: int


def fork(run: Callable[[socket.socket], None]) -> Spare | None:
    """A process that does ``run`` with its end of the link; None where that cannot be.

    To be called before there is a second thread.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # no Linux, or an old one: its end could not be awaited
        return None
    ours, theirs = socket.socketpair()
    gc.freeze()  # what both have stays unwritten by their collectors, and so shared
    if pid := os.fork():
        theirs.close()
        return Spare(pid, ours)
    status = 1
    try:
        ours.close()
        os.setsid()  # Ctrl-C in a terminal must drain through control, once
        with contextlib.suppress(OSError):
            COMM.write_text(NAME)
        run(theirs)
        status = 0
    except BaseException:  # noqa: BLE001 - this process ends here, whatever its callers think
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def terms(link: socket.socket) -> SpareTerms | None:
    """Wait for what a spare worker is to work with; None: control has ended."""
    said, fds, _, _ = socket.recv_fds(link, INDEX_BYTES_MAX, len(SpareTerms._fields) - 1)
    return SpareTerms(int(said), *fds) if said else None


class Spare:
    """One that waits, as control sees it."""

    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.link = link

    def __repr__(self) -> str:
        return f"<Spare worker pid {self.pid}>"

    def begin(self, given: SpareTerms) -> Forked | None:
        """Have it work; None when it has ended meanwhile."""
        try:
            socket.send_fds(self.link, [b"%d" % given.worker], list(given[1:]))
        except OSError:
            self.leave()
            return None
        return Forked(self.pid)

    def leave(self) -> None:
        """It is not wanted: without its link it ends at once."""
        self.link.close()
        os.waitpid(self.pid, 0)


class Forked:
    """A process that was forked, in the running loop: as much as others use of asyncio's own."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._over = asyncio.Event()
        self._loop, self._fd = asyncio.get_running_loop(), os.pidfd_open(pid)
        self._loop.add_reader(self._fd, self._ended)

    def __repr__(self) -> str:
        return f"<Forked pid {self.pid}: {self.returncode}>"

    def _ended(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._over.set()

    async def wait(self) -> int:
        """Its exit status, when it has ended."""
        await self._over.wait()
        return self.returncode or 0
