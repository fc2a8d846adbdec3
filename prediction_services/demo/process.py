"""The router as a process of its own, surely ended with everything it has started."""

import asyncio
import contextlib
import ctypes
import itertools
import os
import random
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from prediction_services.demo.admin import Admin

READY_S = 60.0
"""Deadline from start to ready."""

DRAWN = range(20_000, 32_000)
"""Ports below those that Linux gives to clients: none is given away before the router has it."""

_draw = itertools.cycle(random.SystemRandom().sample(DRAWN, len(DRAWN)))
"""In an order of this process, so that no two that are asked for are one."""

STOP_S = 10.0
"""From SIGTERM to SIGKILL: a drain with its requests, and some air."""

LOG_TAIL_BYTES = 4_000
"""How much of a failed router's log its error shows."""

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1


class RouterError(Exception):
    """The router did not become ready, or ended in mid-play; the message holds its log's end."""


class RouterProcess:
    """`rampway serve POLICY` as a child in a session of its own.

        async with RouterProcess(policy, log) as router:
            await router.wait_ready(admin)

    Args:
        policy: the YAML file; its directory is the router's working directory.
        log: file for everything the router writes.
    """

    def __init__(self, policy: Path, log: Path) -> None:
        self._policy = policy.resolve()
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        paths = [str(_PACKAGE_PARENT), os.environ.get("PYTHONPATH", "")]
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "router", "serve", str(self._policy)),
                cwd=self._policy.parent,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                start_new_session=True,  # Ctrl-C reaches us alone; the group has our child's PID
                preexec_fn=_end_with_parent,
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.shield(self.stop())

    @property
    def pid(self) -> int:
        """Process id of the control process, which leads the process group."""
        assert self._process is not None, "use as: async with RouterProcess"  # noqa: S101 - misuse
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.returncode is None

    async def wait_ready(self, admin: Admin) -> None:
        """Return once the router serves with its table.

        Raises:
            RouterError: it ended, or is not ready within `READY_S`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                while self.running:
                    if await admin.ready():
                        return
                    await asyncio.sleep(0.05)
        raise RouterError(self.trouble(f"was not ready within {READY_S:g} s"))

    async def ended(self) -> None:
        """Return when the router has ended, by itself or stopped."""
        if self._process is not None:
            await self._process.wait()

    def trouble(self, otherwise: str) -> str:
        """How it ended, or `otherwise` while it runs, with the end of its log."""
        status = None if self._process is None else self._process.returncode
        what = otherwise if status is None else f"ended with status {status}"
        tail = self._log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return f"the router {what}\n{tail}".rstrip()

    async def stop(self) -> None:
        """SIGTERM to the router, then SIGKILL to it and to workers that it has not ended."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        workers = _children(process.pid)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        for pid, started in workers.items():
            # A worker serves on for a while when its control process was killed; ours must not.
            if _start_time(pid) == started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def free_address(port: int = 0) -> str:
    """`127.0.0.1:port` nobody listens on: the wanted one if free, else one of `DRAWN`."""
    for wanted in itertools.chain([port] if port else [], itertools.islice(_draw, 100)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", wanted))
                return f"127.0.0.1:{wanted}"
    raise RouterError("no free port on 127.0.0.1")


def _children(pid: int) -> dict[int, str]:
    """Children of a process by PID, with the start time that tells a PID from its reuse."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return {}
    return {int(child): _start_time(int(child)) for child in listed.split()}


def _start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat (proc(5)); empty when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _end_with_parent() -> None:
    """Ask Linux to send SIGTERM when our parent dies, however it dies (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
