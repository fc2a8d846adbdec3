"""Processes by their ids: whether one lives, listens, is the one that was meant, and its end.

What control must know of workers that are not its children: those that a killed control process
left behind. Linux's ``/proc`` tells it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

STARVED_SHARE: Final = 0.5
"""Below this share of a CPU a runnable process is starved, not in a loop."""


async def end(pids: list[int], within_s: float) -> None:
    """Let them drain, and wait until none accepts connections; killed after ``within_s``."""
    for pid in pids:
        send(pid, signal.SIGTERM)
    deadline = time.monotonic() + within_s
    left: Sequence[int] = pids
    while left := [pid for pid in left if listens(pid)]:
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(0.02)
    for pid in left:
        send(pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; nothing where there is no such process."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def born(pid: int) -> str:
    """When the process started, in clock ticks since boot; empty when there is none.

    With the pid it names a process for good: pids are used again.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def write_down(file: Path, pids: Sequence[int]) -> None:
    """Keep ids where a successor finds them. A full disk: orphans then end by their own grace."""
    temporary = file.with_name(file.name + ".new")
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o600), "w") as written:
            written.write(json.dumps([[pid, born(pid)] for pid in pids]))
        temporary.replace(file)


def written_down(file: Path) -> list[int]:
    """Those of them that still live, and are the same processes."""
    try:
        known = json.loads(file.read_text())
        return [int(pid) for pid, when in known if when and born(int(pid)) == when]
    except (OSError, ValueError, TypeError):
        return []


def state_of(pid: int) -> tuple[str, float]:
    """The kernel's letter for what a process does, and the seconds of CPU that it has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", 0.0
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def starved(pid: int, since_s: float, then_s: float, now: float) -> bool:
    """Whether a process wants to run and is hardly let, since it had had ``then_s`` of CPU."""
    state, cpu_s = state_of(pid)
    return state == "R" and cpu_s - then_s < STARVED_SHARE * (now - since_s)


def listens(pid: int) -> bool:
    """Whether a process still has a listening TCP socket (Linux; elsewhere: whether it lives)."""
    try:
        links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return bool(born(pid))
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        # Column 3 is the state (0A: LISTEN), column 9 the inode.
        if any(f[3] == "0A" and f[9] in inodes for f in map(str.split, lines)):
            return True
    return False
