"""How a worker of the data plane begins: as a program, or as the spare that waits for it."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from router.link.spare import Spare, SpareTerms

CommandLine = Callable[[int, int, str], Sequence[str]]
"""(link fd, worker index, ``fd:N`` of a bound socket) -> argv."""


def worker_command(link_fd: int, index: int, listen: str) -> Sequence[str]:
    """How a worker of the data plane is started."""
    return (
        sys.executable, "-m", "router.proxy.worker",
        "--link-fd", str(link_fd), "--worker", str(index), "--listen", listen,
    )  # fmt: skip


class ChildProcess(Protocol):
    """What is used of ``asyncio.subprocess.Process``; one that was forked is none."""

    @property
    def pid(self) -> int:
        """Of the process."""

    @property
    def returncode(self) -> int | None:
        """Its exit status; None while it lives."""

    async def wait(self) -> int:
        """Its exit status, when it has ended."""


async def begun(
    command: CommandLine, index: int, listener: int, quotas: int, spare: Spare | None
) -> tuple[socket.socket, ChildProcess]:
    """Begin worker ``index``; our end of its link, and its process.

    ``listener`` and ``quotas`` are file descriptors; ``spare`` is used where it lives and is what
    ``command`` would start (an agent of Envoy is not).
    """
    if spare is not None and command is not worker_command:
        spare.leave()
    elif (
        spare is not None
        and (forked := spare.begin(SpareTerms(index, listener, quotas))) is not None
    ):
        return spare.link, forked
    ours, theirs = socket.socketpair()
    with theirs:
        argv = command(theirs.fileno(), index, f"fd:{listener}")
        # Its own process group: Ctrl-C in a terminal must drain through control, once.
        process = await asyncio.create_subprocess_exec(
            *argv, "--quotas-fd", str(quotas), start_new_session=True,
            pass_fds=(theirs.fileno(), listener, quotas),
        )  # fmt: skip
    return ours, process
