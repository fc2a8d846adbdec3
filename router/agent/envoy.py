"""The Envoy of one agent: found, started or taken over, asked, drained.

It outlives its agent: a successor finds it by the folder of its sockets, which nobody else may
open, and goes on with it. Nobody's requests are cut because a process that counts has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import stat
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp

from router.agent.command import binary
from router.agent.listener import bootstrap
from router.control.fleet import processes

ASK_S: Final = 2.0
"""Longest wait for an answer of Envoy's admin interface."""
START_S: Final = 20.0
STOP_S: Final = 2.0
LOOK_S: Final = 0.05
LOG_BYTES: Final = 65_536
"""Of the end of Envoy's log, where it says why it refused something."""
ASKED: Final = (
    r"^(access_logs.*\.entries_lost|http\.clients\.(no_route|downstream_[cr][xq]_active))$"
)
"""Of its statistics: records that it lost, requests without a route, who is there."""


def private(folder: Path) -> Path:
    """The folder of sockets, ours alone. Raises OSError where it is somebody else's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise OSError(f"{folder} is somebody else's")
    folder.chmod(0o700)
    return folder


class Envoy:
    """See the module."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        self.threads = threads
        self.pid = 0
        self.admin = folder / "admin"
        self.adopted = False
        self._process: asyncio.subprocess.Process | None = None
        self._born = ""

    def __repr__(self) -> str:
        return f"<Envoy {self.pid} in {self.folder}>"

    @property
    def _pids(self) -> Path:
        return self.folder / "envoy.pid"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def lives(self) -> bool:
        """Whether its process is there."""
        return bool(self._born) and processes.born(self.pid) == self._born

    async def start(self) -> None:
        """Go on with the one that is here, or start one. Raises EnvoyMissingError, OSError."""
        config = self.folder / "envoy.json"
        left = processes.written_down(self._pids)
        if left and (admin := self._started(config)):
            self.pid, self._born, self.adopted = left[0], processes.born(left[0]), True
            self.admin = admin
            return
        for pid in left:
            processes.send(pid, signal.SIGKILL)
        self.admin = self.folder / f"admin-{secrets.token_hex(4)}"
        config.write_text(json.dumps(bootstrap(self.folder, self.admin)))
        self._log.unlink(missing_ok=True)
        # With hot restart Envoy ends with its parent (PR_SET_PDEATHSIG), and nobody is served.
        self._process = await asyncio.create_subprocess_exec(
            str(binary()), "--config-path", str(config), "--concurrency", str(self.threads),
            "--disable-hot-restart", "--log-level", "warning", "--log-path", str(self._log),
            "--drain-time-s", "5", "--file-flush-interval-msec", "50", start_new_session=True,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self.pid, self.adopted = self._process.pid, False
        self._born = processes.born(self.pid)
        processes.write_down(self._pids, [self.pid])
        (self.folder / "threads").write_text(str(self.threads))

    def _started(self, config: Path) -> Path | None:
        """The admin socket of one that was started as this one would be."""
        try:
            admin = Path(json.loads(config.read_text())["admin"]["address"]["pipe"]["path"])
            same = json.loads(config.read_text()) == bootstrap(self.folder, admin)
            threads = (self.folder / "threads").read_text()
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return admin if same and threads == str(self.threads) else None

    async def up(self) -> None:
        """Wait until its admin interface answers. Raises OSError when it does not."""
        deadline = asyncio.get_running_loop().time() + START_S
        while True:
            try:
                await self.ask("/server_info")
            except (OSError, TimeoutError, aiohttp.ClientError):
                late = asyncio.get_running_loop().time() > deadline
                if late or not self.lives:
                    said = self.said() or "it says nothing"
                    raise OSError(f"Envoy does not start: {said}") from None
                await asyncio.sleep(LOOK_S)
            else:
                return

    async def ask(self, path: str, method: str = "GET") -> str:
        """Its admin interface. Raises OSError, TimeoutError, aiohttp.ClientError."""
        connector = aiohttp.UnixConnector(str(self.admin))
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, f"http://envoy{path}") as answer,
        ):
            return await answer.text()

    async def numbers(self) -> dict[str, int]:
        """Some of its statistics, by the end of their names, added up."""
        found: dict[str, int] = {}
        for line in (await self.ask(f"/stats?filter={quote(ASKED)}")).splitlines():
            name, _, value = line.partition(": ")
            if value.isdigit():
                last = name.rpartition(".")[2]
                found[last] = found.get(last, 0) + int(value)
        return found

    def said(self, word: str = "") -> str:
        """The last line of its log with this word in it."""
        try:
            with self._log.open("rb") as log:
                log.seek(max(self._log.stat().st_size - LOG_BYTES, 0))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return next((line for line in reversed(lines) if word in line), "")

    async def drain(self, within_s: float) -> None:
        """Take no more, let what is under way end, stop."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        self._pids.unlink(missing_ok=True)  # nobody takes over what takes no more
        try:
            await self.ask("/drain_listeners", "POST")
            while loop.time() < deadline:
                if not (await self.numbers()).get("downstream_rq_active"):
                    break
                await asyncio.sleep(LOOK_S)
        except (OSError, TimeoutError, aiohttp.ClientError):
            pass  # it has ended, or hangs: it is ended now
        await self.stop()

    async def stop(self) -> None:
        """End it."""
        processes.send(self.pid, signal.SIGTERM)
        deadline = asyncio.get_running_loop().time() + STOP_S
        while self.lives:
            if asyncio.get_running_loop().time() > deadline:
                processes.send(self.pid, signal.SIGKILL)
            await asyncio.sleep(LOOK_S)
        self.admin.unlink(missing_ok=True)
        if self._process is not None:
            await self._process.wait()
